"""Who takes over what a lost worker had, and what somebody who joins late gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from loadtests.shards import Deal, Shards
from loadtests.slots import slots

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.plan import Plan
    from loadtests.schedule import Schedule


class Dealer:
    """
    Keeps the map of a run.

    Args:
        plan: Of the run.
        parts: Where its inputs are.

    Attributes:
        shards: As they stand.
    """

    def __init__(self, plan: Plan, parts: Path) -> None:
        self._plan, self._parts = plan, parts
        self.shards = Shards(plan.workers)
        self._schedule: Schedule | None = None

    @property
    def deals_arrivals(self) -> bool:
        """Whether what is dealt is a schedule's arrivals, and no users."""
        return self._plan.mode == "open"

    @property
    def can_deal(self) -> bool:
        """Whether others can go on where a worker is lost: not in a closed loop whose users have their requests."""
        return self.deals_arrivals or self._plan.requests is None

    def has_slot(self, number: int) -> bool:
        """Whether the plan has a slot of this number."""
        return number < len(slots(self._plan, self._of_plan()))

    def _of_plan(self) -> Schedule | None:
        """The schedule of an open loop, made once."""
        if self._schedule is None and self.deals_arrivals:
            self._schedule = self._plan.open_schedule(self._parts)
        return self._schedule

    def deal(self, of: tuple[int, ...], to: tuple[int, ...], slot: int, into_ns: int) -> Deal:
        """
        Give what some have from a moment on to others.

        Args:
            of: Numbers of the workers.
            to: Numbers of the workers.
            slot: From this one on.
            into_ns: So long after its start.
        """
        deal = Deal(slot, self._place(slot, into_ns), of, to)
        self.shards.add(deal)
        return deal

    def _place(self, slot: int, into_ns: int) -> int:
        """The first arrival of the schedule that is due so long after a slot's start."""
        schedule = self._of_plan()
        if schedule is None:
            return 0
        first = slots(self._plan, schedule)[slot]
        return int(np.searchsorted(schedule.offsets_ns, first.first_ns + into_ns)) if into_ns else first.first
