"""Where workers of other machines come in: they wait for each other, are numbered, and get their work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from loadtests import clock
from loadtests.fleet.member import Member
from loadtests.link.frames import mismatch
from loadtests.shards import MOST_WORKERS

if TYPE_CHECKING:
    from collections.abc import Iterator

WAITING_NS: Final = 5_000_000_000
"""Who waits for the others and has not asked again for so long has gone."""


class Entrance:
    """
    Keeps those who have joined until all who are expected are there; then lets in anybody.

    Attributes:
        waiting: By their key on the socket, when each last asked, and with what message.
    """

    def __init__(self) -> None:
        self.waiting: dict[bytes, tuple[int, dict[str, Any]]] = {}
        self._work: tuple[dict[str, Any], dict[str, bytes]] | None = None
        self._expected = 1

    def offer(self, manifest: dict[str, Any], inputs: dict[str, bytes], workers: int) -> None:
        """What there is to do, once so many have come."""
        self._work, self._expected = (manifest, inputs), workers

    def work(self, number: int) -> tuple[dict[str, Any], list[bytes]]:
        """What the worker of this number is told, and the inputs that go with it."""
        assert self._work is not None
        about, inputs = self._work
        return {"kind": "prepare", "manifest": about | {"worker": number}, "inputs": list(inputs)}, [*inputs.values()]

    @staticmethod
    def refuses(message: dict[str, Any], here: int) -> str:
        """Why somebody cannot join a run that has so many workers, for people; "" where it can."""
        if here >= MOST_WORKERS:
            return f"the run has {MOST_WORKERS} workers, which is all it may have"
        return mismatch(message)

    def join(self, key: bytes, message: dict[str, Any], here: int) -> Iterator[tuple[bytes, dict[str, Any]]]:
        """
        Somebody asks to join a run that has so many workers.

        Returns:
            Who is let in now, in the order that they ask for.
        """
        now_ns = clock.monotonic_ns()
        self.waiting[key] = (now_ns, message)
        self.waiting = {key: one for key, one in self.waiting.items() if now_ns - one[0] < WAITING_NS}
        if self._work is None or len(self.waiting) + here < self._expected:
            return
        waited, self.waiting = self.waiting, {}
        for other, (_, one) in sorted(waited.items(), key=lambda item: str(item[1][1].get("order", ""))):
            yield other, one


def host_of(message: dict[str, Any]) -> str:
    """The name of the host that somebody joins from, as it says itself; never empty."""
    return str(message.get("host") or "?")[:100]


def new_member(number: int, message: dict[str, Any]) -> Member:
    """A worker that has been let in."""
    member = Member(number, where=host_of(message), seen_ns=clock.monotonic_ns())
    member.about = {key: message.get(key) for key in ("pid", "cpus", "kernel", "limits")}
    member.about |= {"joined_unix_ns": clock.realtime_ns(), "delivered": False}
    return member
