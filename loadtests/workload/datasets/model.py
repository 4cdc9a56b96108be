"""What comes out of a dataset: its examples, how many rows they were drawn from, and what was wrong with a file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable


class DatasetError(ValueError):
    """A dataset that cannot be read; its text is one line: file, row, column, what is wrong and what is allowed."""

    def __init__(self, text: str) -> None:
        super().__init__(one_line(text))


class RowError(ValueError):
    """What is wrong with one row, without the place of it; never leaves this folder."""


@dataclass(frozen=True, slots=True)
class Example:
    """
    One prompt of a dataset.

    Attributes:
        messages: Role and content, up to and including the first user message; of OpenAI batch input all of them.
        turns: The further user messages of a conversation, in order.
        output_tokens: What the dataset says of the answer's length or cap, >= 1; None where it says nothing.
        output_chars: Characters of the first answer; None where the dataset has none.
        extra: Body fields of this request alone, such as `tools` or `response_format`.
    """

    messages: tuple[dict[str, Any], ...]
    turns: tuple[str, ...] = ()
    output_tokens: int | None = None
    output_chars: int | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sample:
    """
    The examples drawn from a file, in the file's order.

    Attributes:
        file: Its name, without its folder.
        rows: Rows in the file.
        left_out: Of these, the ones without any text of a user.
    """

    file: str
    examples: tuple[Example, ...]
    rows: int
    left_out: int

    def words(self) -> str:
        """For people: `10,000 of 94,145 prompts of sharegpt.json`."""
        rest = f" ({self.left_out:,} rows without a prompt left out)" if self.left_out else ""
        return f"{len(self.examples):,} of {self.rows - self.left_out:,} prompts of {self.file}{rest}"


def sendable(example: Example) -> Example:
    """
    The example as it can be sent: a half of a surrogate pair, which no UTF-8 has, becomes U+FFFD.

    Raises:
        RowError: Something in it is no JSON even so.
    """
    try:
        orjson.dumps(example)
    except TypeError:
        return _mended(example)
    return example


def _mended(example: Example) -> Example:
    try:
        mended = replace(example, **{name: _whole(getattr(example, name)) for name in ("messages", "turns", "extra")})
        orjson.dumps(mended)
    except (TypeError, RecursionError) as error:
        raise RowError(f"can't be sent as JSON ({error})") from None
    return mended


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list | tuple):
        return type(value)(map(_whole, value))
    if isinstance(value, dict):
        return {_whole(name): _whole(inner) for name, inner in value.items()}
    return value


def shown(value: Any) -> str:
    """A bad value as JSON, short."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 40 else f"{text[:39]}…"


def listed(names: Iterable[str]) -> str:
    """What a row has, for a message."""
    return f"the row has [{', '.join(names)}]"


def one_line(text: str) -> str:
    """A message that any terminal shows in one line, whatever is in the file it cites."""
    text = " ".join(_whole(text).split())
    return text if len(text) <= 500 else f"{text[:499]}…"
