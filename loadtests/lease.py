"""
One machine's lease of a budget over many: what its agent reads and writes in the file that its load process counts in.

The load process needs no message: it finds room in the file as soon as a grant is there.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from loadtests import clock
from loadtests.ledger import Told
from loadtests.tally import Caps, Counts, Spend, Tally

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loadtests.plan import Plan

LEASED: Final = "leased"
"""A file of this name beside the counts says that they are a lease."""

AHEAD: Final = 8
"""Requests for which room is kept at least."""

SECOND_NS: Final = 1_000_000_000


class Lease:
    """
    The agent's side of a machine's counts; for one thread of the process.

    Args:
        path: The file, shared with a `Budget` that is leased.
        now_ns: The monotonic clock.
    """

    def __init__(self, path: Path, now_ns: Callable[[], int] = clock.monotonic_ns) -> None:
        self._tally = Tally(path)
        self._now_ns = now_ns
        self._looks: deque[tuple[int, int]] = deque()
        self._granted_ns = -SECOND_NS

    def close(self) -> None:
        """Give the file back."""
        self._tally.close()

    def counts(self) -> Counts:
        """The counts, with how many requests have reserved since the last look that is a second old."""
        now_ns = self._now_ns()
        with self._tally.held() as counts:
            pass
        self._looks.append((now_ns, counts.asked.requests))
        while len(self._looks) > 1 and self._looks[1][0] <= now_ns - SECOND_NS:
            self._looks.popleft()
        return counts._replace(lately=counts.asked.requests - self._looks[0][1])

    def grant(self, total: Spend) -> None:
        """The master has leased so much to this machine since the start; an older sum changes nothing."""
        with self._tally.held() as counts:
            granted = counts.granted.at_least(total)
            if granted != counts.granted:
                self._granted_ns = self._now_ns()
                self._tally.write(counts._replace(granted=granted))

    def give_back(self) -> Told:
        """
        Lower the lease to what is taken and reserved.

        A request that waits has a second to take what was granted for it and counts as under way meanwhile: else two
        machines could pull the last of a budget to and fro for ever.

        Returns:
            What the master is to be told: `returned` is all that was ever given back.
        """
        keeps = self._now_ns() - self._granted_ns < SECOND_NS
        with self._tally.held() as counts:
            kept = counts.wanted if keeps else Spend()
            returned = counts.returned.plus(counts.room.plus(kept, -1).at_least(Spend()))
            self._tally.write(counts._replace(returned=returned))
        return Told(counts.granted, returned, counts.reserved.requests + kept.requests)

    def end(self) -> None:
        """The master has no more to give: who finds no room from now on learns which cap is reached."""
        with self._tally.held() as counts:
            self._tally.write(counts._replace(final=1))


def hunger(counts: Counts, plan: Plan) -> Told | None:
    """
    What the master is to be asked for now; None where there is room enough.

    Room is kept for `AHEAD` requests, or for twice as many as have reserved within the last second where that is more,
    each of the mean worst case so far. Where a capped count has less, the machine asks for twice that room. Before the
    first request nobody knows how large they are, and it asks for whatever the master finds fair.
    """
    caps, room = Caps.of(plan), counts.room
    seen = counts.asked if counts.asked.requests else counts.wanted
    keep = seen.share(max(AHEAD, 2 * counts.lately), max(1, seen.requests)) if seen.requests else Spend(AHEAD)
    waits = bool(counts.wanted.requests and caps.beyond(counts.wanted, room))
    if counts.final or not (waits or caps.beyond(keep, room) or counts.granted == Spend()):
        return None
    short = caps.only(counts.wanted.plus(room, -1)).at_least(Spend()) if waits else Spend()
    want = caps.only(keep.share(2, 1).plus(room, -1)).at_least(Spend())
    return Told(counts.granted, counts.returned, counts.reserved.requests, want, short)
