"""One worker of a run, as its master sees it: who it is, what it last said, how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from loadtests.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Iterable


class FleetError(RuntimeError):
    """Workers did not come up, or ended unasked."""


@dataclass(slots=True)
class Member:
    """
    One worker.

    Attributes:
        where: Its host's name; "" where it is a process of this master's own.
        ready: It has read its plan and could start.
        started: It was told the start.
        over: It has said that all of its share is over; its last rows may still be on their way.
        reached: The last slot that it is done with; -1 before the first.
        gone: How it ended without a word, for people; "" while it hasn't.
        dealt: What it had has been given to others, or nobody is left who could take it.
        seen_ns: When it was last heard, on the monotonic clock here.
        about: What run.json keeps of it.
    """

    number: int
    where: str = ""
    status: dict[str, Any] = field(default_factory=dict)
    ready: bool = False
    started: bool = False
    over: bool = False
    reached: int = -1
    stopping: Stop | None = None
    gone: str = ""
    dealt: bool = False
    seen_ns: int = 0
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What people call it."""
        return f"worker {self.number} ({self.where})" if self.where else f"worker {self.number}"

    @property
    def alive(self) -> bool:
        """It may still do something."""
        return not self.over and not self.gone

    @property
    def plays(self) -> bool:
        """It was started, and may still do something."""
        return self.started and self.alive

    def heard(self, said: dict[str, Any]) -> None:
        """Take in what it says: `ready`, `reached`, `status` or `over`."""
        kind = said["kind"]
        if kind == "ready":
            self.ready = True
        elif kind == "reached":
            self.reached = max(self.reached, said["slot"])
        elif kind == "over":
            self.over = True
        elif kind == "failed":
            self.gone = self.gone or said["text"]
        else:
            self.status = said
        if stopping := said.get("stopping"):
            self._stops(Stop(*stopping))

    def _stops(self, stop: Stop) -> None:
        """It offers no more before its plan is over: for a reason that stops all, or because it is on its own."""
        if stop.word == "orphaned":
            self.gone = self.gone or stop.text
        else:
            self.stopping = stop


def total(members: Iterable[Member], key: str) -> int:
    """The sum of one count over all workers' last statuses."""
    return sum(int(member.status.get(key, 0)) for member in members)
