"""One request before any provider is known, and what makes requests."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from loadtests.schedule import Size


class WorkloadError(ValueError):
    """A workload that does not exist or cannot be made; its text is one line: bad value and allowed ones."""


@dataclass(frozen=True, slots=True)
class Request:
    """
    One request before any provider is known: messages as role and content, and what is wanted back.

    Attributes:
        prompt_hash: Of what is asked, nonces left out; of a later turn, of its new message alone, since the answers
            before it are the provider's.
        input_chars: Of all messages.
        extra: Body fields of this request alone, such as `tools` or `response_format`; they win over the run's.
        cancel_after_s: The client gives up so long after the scheduled moment; None: it waits for the end.
    """

    seq: int
    workload: str
    messages: tuple[dict[str, Any], ...]
    stream: bool
    output_cap: int | None
    prompt_hash: int
    input_chars: int
    extra: Mapping[str, Any] = field(default_factory=dict)
    cancel_after_s: float | None = None


class Workload(Protocol):
    """
    Anything that makes requests from their place in the schedule.

    An arrival `a` brings one request, or a conversation of several turns. Every answer depends on the arguments alone,
    so that any process gives the same.
    """

    @property
    def name(self) -> str:
        """Its name; the rows have the name of the workload that made them (`name_of`)."""

    @property
    def extra(self) -> Mapping[str, Any]:
        """Every body field beside the messages that any of its requests may bring."""

    def turns(self, a: int) -> int:
        """How many turns an arrival brings, at least 1."""

    def think_s(self, a: int, t: int) -> float:
        """The pause before turn t >= 1, in seconds."""

    def request(
        self, seq: int, *, a: int | None = None, turn: int = 0, history: Sequence[dict[str, Any]] = (),
        size: Size | None = None,
    ) -> Request:  # fmt: skip
        """
        The request at a place in the schedule.

        Args:
            seq: Its place.
            a: Its arrival; None: one request per arrival, so the same as seq.
            turn: Of the conversation, from 0.
            history: The messages so far, from the first to the last answer; the new user message comes behind them.
            size: What a trace says of this arrival; it wins over drawn lengths.
        """

    def streams(self, seq: int, *, a: int | None = None, turn: int = 0) -> bool:
        """Whether that request is streamed."""

    def name_of(self, a: int) -> str:
        """The name of the workload that an arrival is of."""

    def digest(self, n: int) -> str:
        """A hash of the prompts of the first n arrivals, in hex."""

    def words(self, told: Size | None = None) -> list[str]:
        """What it asks, for people, a line each; `told`: the medians of a trace, whose lengths win over drawn ones."""


def digest(workload: Workload, n: int) -> str:
    """The sha256 of the prompt hashes of arrivals 0 to n - 1, all their turns, in hex: the prompt set."""
    total = hashlib.sha256()
    for a in range(n):
        for turn in range(workload.turns(a)):
            total.update(struct.pack("<q", workload.request(a, a=a, turn=turn).prompt_hash))
    return total.hexdigest()


def prompt_hash(messages: Iterable[Mapping[str, Any]], nonces: Iterable[str] = ()) -> int:
    """
    A signed 64-bit hash of the messages, the same in every process (Python's own hash is not).

    Args:
        messages: Role and content; content that is no text counts by its repr.
        nonces: What is no part of what is asked; the first place of each is left out.
    """
    text = "\0".join(str(part) for message in messages for part in (message.get("content"), message.get("role")))
    for nonce in nonces:
        text = text.replace(nonce, "", 1)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)


def characters(messages: Iterable[Mapping[str, Any]]) -> int:
    """Characters of all contents that are texts, parts of a content included."""
    total = 0
    for message in messages:
        content = message.get("content")
        if isinstance(content, str):
            total += len(content)
        elif isinstance(content, list):
            total += characters({"content": part.get("text")} for part in content)
    return total
