"""One definition's workload: its prompts, and what is drawn beside them for each request."""

from __future__ import annotations

from itertools import product
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from loadtests.draws import drawn
from loadtests.formats import SCHEMA, TOOLS
from loadtests.workload.request import Request, characters, digest
from loadtests.workload.shares import Share

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loadtests.schedule import Size
    from loadtests.workload.definition import Definition
    from loadtests.workload.synthetic import Asked


class Source(Protocol):
    """Where prompts come from; `extra`: every body field that one of them brings."""

    extra: Mapping[str, Any]

    def turns(self, a: int) -> int:
        """How many turns there is something to say for."""

    def first(self, a: int, size: Size | None) -> Asked:
        """What an arrival's first request asks."""

    def later(self, a: int, turn: int, history: Sequence[dict[str, Any]]) -> Asked:
        """What a later turn of a conversation asks, behind its history."""

    def words(self, told: Size | None = None) -> list[str]:
        """Its lengths and where they come from, for people; with the medians of a trace where that tells them."""


class Single:
    """
    The workload of one definition.

    Each kind of draw has a label of its own, so that one option never moves what another one drew.

    Attributes:
        name: The definition's.
        extra: Every body field beside the messages that any of its requests may bring.

    Args:
        known: The definition, settled.
        source: Its prompts.
        seed: Another seed gives other prompts.
        stream_share: Share of streamed requests; None: the definition's, else all.
        output_tokens: The cap of every answer; None: drawn.
        without: Body fields that are left out, since the run says them itself.
    """

    def __init__(
        self, known: Definition, source: Source, seed: int | str, stream_share: float | None = None,
        output_tokens: int | None = None, without: frozenset[str] = frozenset(),
    ) -> None:  # fmt: skip
        self.name = known.name
        self._known, self._source, self._seed, self._output_tokens = known, source, seed, output_tokens
        share = stream_share if stream_share is not None else known.stream_share
        self._streamed = Share("stream", seed, 1.0 if share is None else share)
        self._tools = Share("tools", seed, known.tools.share if known.tools else 0.0)
        self._schema = Share("schema", seed, known.answer_schema.share if known.answer_schema else 0.0)
        self._cancelled = Share("cancel", seed, known.cancel.share if known.cancel else 0.0)
        self._without = without
        self._extras = {
            (tools, schema): MappingProxyType(self._allowed({**(TOOLS if tools else {}), **(SCHEMA if schema else {})}))
            for tools, schema in product((False, True), repeat=2)
        }
        mine = self._extras[known.tools is not None, known.answer_schema is not None]
        self.extra: Mapping[str, Any] = MappingProxyType({**self._allowed(source.extra), **mine})

    def _allowed(self, extra: Mapping[str, Any]) -> dict[str, Any]:
        """Body fields that the run doesn't say itself."""
        return {key: value for key, value in extra.items() if key not in self._without}

    def request(
        self, seq: int, *, a: int | None = None, turn: int = 0, history: Sequence[dict[str, Any]] = (),
        size: Size | None = None,
    ) -> Request:  # fmt: skip
        """The request at a place in the schedule; the same on every machine and in every process."""
        return self.placed(seq, seq, seq if a is None else a, turn, history, size)

    def placed(
        self, seq: int, order: int, a: int, turn: int, history: Sequence[dict[str, Any]], size: Size | None
    ) -> Request:  # fmt: skip
        """The same, where the place for exact shares (`order`) and the arrival are counted in this workload alone."""
        asked = self._source.later(a, turn, history) if turn else self._source.first(a, size)
        cap = asked.cap
        if self._output_tokens is not None:
            cap = self._output_tokens
        elif size is not None and size.output_tokens is not None:
            cap = max(1, size.output_tokens)
        extra: Mapping[str, Any] = self._extras[self._tools.holds(order), self._schema.holds(order)]
        if asked.extra:
            extra = {**self._allowed(asked.extra), **extra}
        return Request(
            seq, self.name, asked.messages, self._streamed.holds(order), cap, asked.prompt_hash,
            characters(asked.messages), extra, self._cancel_after_s(order, a, turn),
        )  # fmt: skip

    def _cancel_after_s(self, order: int, a: int, turn: int) -> float | None:
        if self._known.cancel is None or not self._cancelled.holds(order):
            return None
        return self._known.cancel.after.at(drawn(f"after {self._seed} {a} {turn}"))

    def streams(self, seq: int, *, a: int | None = None, turn: int = 0) -> bool:  # noqa: ARG002 - a mix needs them
        """Whether the request at this place is streamed: the exact share in every ten."""
        return self._streamed.holds(seq)

    def turns(self, a: int) -> int:
        """How many turns an arrival brings: as drawn, and no more than there is something to say for."""
        if self._known.conversation is None:
            return 1
        law, most = self._known.conversation.turns, self._source.turns(a)
        return most if law is None else min(most, int(law.at(drawn(f"turns {self._seed} {a}"))))

    def think_s(self, a: int, t: int) -> float:
        """The pause before turn t >= 1, in seconds."""
        if self._known.conversation is None:
            return 0.0
        return self._known.conversation.think.at(drawn(f"think {self._seed} {a} {t}"))

    def name_of(self, a: int) -> str:  # noqa: ARG002 - a mix needs it
        """Its own name, whatever the arrival."""
        return self.name

    def digest(self, n: int) -> str:
        """A hash of the prompts of the first n arrivals, all their turns, in hex."""
        return digest(self, n)

    def words(self, told: Size | None = None) -> list[str]:
        """What it asks, for people, a line each; with the medians of a trace where that tells lengths."""
        known, lines = self._known, self._source.words(told)
        cap = None if self._output_tokens is None else f"{self._output_tokens} tokens"
        if cap is None and told is not None and told.output_tokens is not None:
            cap = f"as long as the trace says, median {told.output_tokens:,} tokens"
        if cap is not None:
            lines = [*(line for line in lines if not line.startswith("answers")), f"answers at most {cap}"]
        for field, share in (("tools", known.tools), ("a schema for the answer", known.answer_schema)):
            if share is not None:
                lines.append(f"{share.share:.0%} bring {field}")
        if (talk := known.conversation) is not None:
            turns = f"{talk.turns.words()} turns" if talk.turns else "the dataset's turns"
            lines.append(f"conversations of {turns}, before each but the first a pause of {talk.think.words()}")
        if (cancel := known.cancel) is not None:
            lines.append(f"{cancel.share:.0%} are given up by the client after {cancel.after.words()}")
        return lines
