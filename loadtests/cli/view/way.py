"""How far a run has come, and where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadtests.plan import Plan
    from loadtests.standing import Following, Standing


class Way:
    """
    How far a run has come.

    Args:
        plan: Of the run.
        following: Knows its schedule and its slots.

    Attributes:
        length_s: Of the whole schedule, all turns of all arms; None where the requests alone end it.
    """

    def __init__(self, plan: Plan, following: Following) -> None:
        self._plan, self._slots = plan, following.slots
        schedule = following.schedule
        sides = len(plan.arms)
        self._requests = plan.requests if schedule is None else schedule.requests
        self._requests = self._requests and self._requests * sides
        length_s = plan.closed_schedule().duration_s if schedule is None else schedule.length_s
        self.length_s = length_s and length_s * (sides if plan.interleaved else 1)

    def share(self, now: Standing, elapsed_s: float) -> float:
        """0 to 1, by what there is of requests and time."""
        if self._plan.mode == "open":
            return min(1.0, now.issued / (self._requests or 1))
        by_time = elapsed_s / self.length_s if self.length_s else 0.0
        by_count = now.issued / self._requests if self._requests else 0.0
        return min(1.0, max(by_time, by_count))

    def left_s(self, now: Standing, elapsed_s: float) -> float | None:
        """How long it goes on, about; None where nobody knows yet."""
        if self.length_s and self._plan.mode == "open":
            return max(0.0, self.length_s - elapsed_s)
        share = self.share(now, elapsed_s)
        return elapsed_s * (1 - share) / share if share > 0.02 else None

    def word(self, now: Standing, elapsed_s: float) -> str:
        """What is going on: which arm plays, that the load is kept on, or that the last answers are waited for."""
        if self._plan.interleaved and now.slot is not None:
            slot = self._slots[now.slot]
            return f"{self._plan.arms[slot.arms[0]].name}, block {(slot.block or 0) + 1} of {self._plan.blocks}"
        if now.slot is None and now.issued:
            return "draining"
        if self.length_s and elapsed_s > self.length_s and self._plan.hold:
            return "holding"
        return "running" if elapsed_s > 0 else "starting"

    def playing(self, now: Standing) -> set[str]:
        """The names of the arms whose turn it is; none where they don't take turns."""
        if not self._plan.interleaved or now.slot is None:
            return set()
        return {self._plan.arms[place].name for place in self._slots[now.slot].arms}
