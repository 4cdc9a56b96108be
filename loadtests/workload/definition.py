"""What a workload's TOML file may hold, checked: lengths, prefixes, caches, and what users do."""

from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, InstanceOf, PlainSerializer, ValidationInfo

from loadtests.draws import Law, Unit, law_of
from loadtests.profiles.tables import Table
from loadtests.profiles.values import Count, Name, Text, Texts
from loadtests.workload.lengths import with_values
from loadtests.workload.text import CHARS_PER_TOKEN

LEAST_INPUT: Final = 16
"""Tokens that hold a nonce, a short system message and a few words; shorter prompts are not made."""


def _law(unit: Unit) -> BeforeValidator:
    """A law as a file spells it; a file that it names is read, relative to the `folder` of the context."""

    def read(value: Any, info: ValidationInfo) -> Law:
        folder = (info.context or {}).get("folder", Path())
        return value if isinstance(value, Law) else law_of(with_values(value, unit, folder), unit)

    return BeforeValidator(read)


def _share(value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError("a number from 0 to 1")
    return value


def _some(value: float) -> float:
    if not 0 < value <= 1:
        raise ValueError("a number above 0, at most 1")
    return value


def _weight(value: float) -> float:
    if not 0 < value < float("inf"):
        raise ValueError("a number above 0")
    return value


_JSON: Final = PlainSerializer(lambda law: law.to_json())
Tokens: TypeAlias = Annotated[InstanceOf[Law], _law("tokens"), _JSON]
Time: TypeAlias = Annotated[InstanceOf[Law], _law("s"), _JSON]
Part: TypeAlias = Annotated[float, AfterValidator(_some)]
Languages: TypeAlias = Annotated[tuple[Literal["en", "de"], ...], Field(strict=False, min_length=1)]

INPUT: Final = {"law": "lognormal", "median": 120, "sigma": 0.8, "min": 16, "max": 2000}
OUTPUT: Final = {"law": "lognormal", "median": 64, "sigma": 0.6, "min": 16, "max": 256}
TURNS: Final = {"law": "lognormal", "median": 3, "sigma": 0.7, "min": 1, "max": 20}
THINK: Final = {"law": "lognormal", "median": 8, "sigma": 0.8, "max": 120}
NEXT_INPUT: Final = {"law": "lognormal", "median": 30, "sigma": 0.7, "min": 4, "max": 500}


class Prefix(Table):
    """The first `tokens` tokens of a share of the requests are those of their group."""

    share: Part = 1.0
    tokens: Count
    groups: Count = 1


class Cancel(Table):
    """A share of the requests is given up by the client, a drawn time after the scheduled moment."""

    share: Part
    after: Time


class Some(Table):
    """A share of the requests."""

    share: Part = 1.0


class Conversation(Table):
    """
    Each arrival brings several turns; `think` is the pause before each but the first.

    Attributes:
        input: Tokens of each user message behind the first.
    """

    turns: Tokens | None = None
    think: Time = Field(default_factory=lambda: law_of(THINK, "s"))
    input: Tokens | None = None


class Columns(Table):
    """Which column of a file holds what; those that are not named have their usual names."""

    prompt: Text | None = None
    system: Text | None = None
    messages: Text | None = None
    output_tokens: Text | None = None


class Dataset(Table):
    """A file of prompts, of which `sample` are drawn; its format is told by its extension unless said."""

    file: Text
    format: Literal["sharegpt", "openai-batch", "jsonl", "csv", "parquet"] | None = None
    sample: Count = 10_000
    columns: Columns | None = None


class Definition(Table):
    """
    One workload.

    Attributes:
        input: Tokens of the whole prompt, nonce and system message included.
        output: The cap on the answer, in tokens; of a dataset's prompt the dataset's own where this is not given.
        cache: "cold": a nonce opens every prompt, so that no prefix cache answers; "warm": none does.
        distinct: How many different prompts there are; only warm.
    """

    name: Name
    description: Text | None = None
    input: Tokens | None = None
    output: Tokens | None = None
    stream_share: Annotated[float, AfterValidator(_share)] | None = None
    languages: Languages | None = None
    system: Text | None = None
    tasks: Annotated[Texts, Field(min_length=1)] | None = None
    filler: Literal["prose", "code"] | None = None
    cache: Literal["cold", "warm"] = "cold"
    distinct: Count | None = None
    prefix: Prefix | None = None
    cancel: Cancel | None = None
    tools: Some | None = None
    answer_schema: Some | None = Field(default=None, alias="schema")
    conversation: Conversation | None = None
    dataset: Dataset | None = None

    def settled(self) -> "Definition":
        """The same with what it leaves open filled in."""
        if self.dataset is not None:
            return self
        filler = self.filler or "prose"
        update: dict[str, Any] = {
            "input": self.input or law_of(INPUT, "tokens"),
            "output": self.output or law_of(OUTPUT, "tokens"),
            "filler": filler,
            "languages": self.languages or (("en", "de") if filler == "prose" else None),
        }
        if (talk := self.conversation) is not None:
            laws = {"turns": talk.turns or law_of(TURNS, "tokens"), "input": talk.input or law_of(NEXT_INPUT, "tokens")}
            update["conversation"] = talk.model_copy(update=laws)
        return self.model_copy(update=update)

    def to_json(self) -> dict[str, Any]:
        """As kept with the run."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Mix(Table):
    """Several workloads in one run: names or files with their weights."""

    name: Name | None = None
    description: Text | None = None
    mix: Annotated[dict[Text, Annotated[float, AfterValidator(_weight)]], Field(min_length=1)]


TABLES: Final[dict[str, type[Table]]] = {
    "prefix": Prefix, "cancel": Cancel, "tools": Some, "schema": Some, "conversation": Conversation,
    "dataset": Dataset, "columns": Columns,
}  # fmt: skip
"""The table under a key."""


def keys_at(loc: tuple[int | str, ...]) -> list[str]:
    """The allowed keys of the table in which a place of the file stands."""
    table: type[Table] = Definition
    for part in loc[:-1]:
        table = TABLES.get(str(part), table)
    keys = [field.alias or name for name, field in table.model_fields.items()]
    return [*keys, "mix"] if table is Definition else keys


# What no single value shows.

_OF_PROMPTS: Final = ("input", "languages", "system", "tasks", "filler", "distinct", "prefix")


def contradiction(known: Definition) -> tuple[tuple[str, ...], str] | None:
    """The first mistake: the key it is about, and a line that begins with it."""
    if known.dataset is not None:
        for key in _OF_PROMPTS:
            if getattr(known, key) is not None:
                return (key,), f"{key} says nothing beside [dataset]: the prompts are the file's; leave it out"
        if known.conversation is not None and known.conversation.input is not None:
            place = ("conversation", "input")
            return place, "conversation.input says nothing beside [dataset]: the turns are the file's; leave it out"
        return None
    if known.distinct is not None and known.cache != "warm":
        return ("distinct",), 'distinct needs cache = "warm": in front of every cold prompt is a nonce of its own'
    if known.filler == "code" and known.languages is not None:
        return ("languages",), 'languages says nothing beside filler = "code"; leave it out'
    return _too_short(known)


def _too_short(known: Definition) -> tuple[tuple[str, ...], str] | None:
    """Prompts that cannot hold what they have to."""
    middle = int((known.input or law_of(INPUT, "tokens")).at(0.5))
    system = len(known.system or "") // CHARS_PER_TOKEN
    need = max(known.prefix.tokens if known.prefix else 0, system) + LEAST_INPUT * bool(known.prefix or known.system)
    if middle >= max(need, LEAST_INPUT):
        return None
    what = "the prefix and the system message" if need > LEAST_INPUT else "a nonce, a system message and a task"
    return ("input",), f"input {middle} (its median) isn't at least {max(need, LEAST_INPUT)} tokens: {what} need them"
