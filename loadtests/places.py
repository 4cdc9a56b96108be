"""The users of a closed loop in one process: their places in the schedule, who holds one, and what each asks next."""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import TYPE_CHECKING, Any

from loadtests.plan import BEYOND

if TYPE_CHECKING:
    from loadtests.plan import Plan


class Places:
    """
    Args:
        plan: Of the run.
        worker: Number of this process.

    Attributes:
        schedule: The closed loop's; None in open loop.
        users: The Locust users of this process by their place.
    """  # noqa: D205 - the module says what it is

    def __init__(self, plan: Plan, worker: int) -> None:
        self.schedule = plan.closed_schedule() if plan.mode == "closed" else None
        self.users: dict[int, Any] = {}
        self._plan, self._worker = plan, worker
        self._beyond = count(BEYOND + worker, plan.workers)
        self._entered = 0
        self._turns: Counter[int] = Counter()

    def enter(self, user: Any) -> int:
        """A user comes: the lowest free place among this worker's users."""
        self._entered += 1
        place = next(place for place in count(self._worker, self._plan.workers) if place not in self.users)
        self.users[place] = user
        return place

    def leave(self, place: int, issued: int) -> bool:
        """A user goes; True where all who were to come have gone, so that the loop is over."""
        self.users.pop(place, None)
        if self.schedule is None or self.users:
            return False
        all_came = self._entered >= len(self.schedule.users_of(self._worker, self._plan.workers))
        return all_came or self._handed_out(issued)

    def _handed_out(self, issued: int) -> bool:
        """Every request that a bounded closed loop may make has been made; known where one process has all users."""
        most = self._plan.requests
        return self._plan.workers == 1 and most is not None and issued >= most

    def next_seq(self, place: int, issued: int) -> int | None:
        """The seq of the next request of whoever holds a place; None where there is none."""
        if self.schedule is None or self._handed_out(issued):
            return None
        if place >= self.schedule.users:
            return next(self._beyond)
        seq = self.schedule.seq(place, self._turns[place])
        self._turns[place] += 1  # of the place: who takes it over goes on from there
        return seq if self.schedule.allows(seq) else None
