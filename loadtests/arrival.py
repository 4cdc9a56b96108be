"""One request on its way: what is asked, when, of which arm, and what became of it as far as others have to know."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loadtests.schedule import Size
    from loadtests.wire.exchange import Exchange
    from loadtests.workload import Request, Workload


@dataclass(slots=True)
class Conversation:
    """
    One conversation as it stands.

    Attributes:
        number: Its place among the arrivals; in closed loop the seq of its first request.
        turns: How many it is going to have.
        turn: The one that is asked now, from 0.
        history: The messages of the turns before, with the answers as they came.
        size: What a trace says of its first prompt; None without one.
    """

    number: int
    turns: int
    turn: int = 0
    history: tuple[dict[str, Any], ...] = ()
    size: Size | None = None

    @property
    def is_last(self) -> bool:
        """No turn follows the one that is asked now."""
        return self.turn + 1 >= self.turns

    def ask(self, workload: Workload, seq: int) -> Request:
        """The request of the turn at hand, which has this place in the schedule."""
        return workload.request(seq, a=self.number, turn=self.turn, history=self.history, size=self.size)

    def answered(self, request: Request, text: str) -> None:
        """The turn at hand is over: what was asked and answered becomes history, and the next turn is at hand."""
        self.history = (*request.messages, {"role": "assistant", "content": text})
        self.turn += 1


@dataclass(slots=True)
class Arrival:
    """
    One request and its place in the run; stamps in ns since the run's start.

    Attributes:
        flags: What is notable already, for its record.
        conversation, turn: Where it is one of several turns.
        keep_text: Its answer's text is wanted: it becomes `text`.
        exchange: Its answer, once it is on its way.
        over_ns, went_well: Once it is over: when, and whether its answer is a good one.
    """

    request: Request
    scheduled_ns: int
    data: bytes
    arm: str
    phase: str = "measure"
    block: int | None = None
    user: int | None = None
    body_bytes: int = 0
    flags: list[str] = field(default_factory=list)
    conversation: Conversation | None = None
    turn: int | None = None
    keep_text: bool = False
    text: str = ""
    exchange: Exchange | None = None
    over_ns: int = 0
    went_well: bool = False

    @property
    def is_silent(self) -> bool:
        """Nothing of an answer has come."""
        return self.exchange is None or (self.exchange.headers_ns is None and not self.exchange.reads)


class GaveUpError(BaseException):
    """Whoever asked does not want the answer any more; no failure of the wire's, whatever it is in the middle of."""
