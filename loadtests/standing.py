"""
How a run stands while it is on: what its workers last said, put together, and what was due by then.

Between the statuses of `live` and whoever shows them: the terminal, or a Prometheus server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from loadtests.live import Side, together
from loadtests.slots import slots

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loadtests.fleet import Fleet, Member
    from loadtests.plan import Plan
    from loadtests.schedule import Schedule
    from loadtests.slots import Slot

FAR_S: Final = 1e8
FAR_NS: Final = int(FAR_S * 1e9)
Health = dict[str, float]
"""Of the last second of one worker: `live.HEALTH`, as far as it is known."""


@dataclass(frozen=True, slots=True)
class Standing:
    """
    One moment of a run.

    Attributes:
        t_s: Seconds since the run's start at which the workers said so, on average.
        due: Requests whose moment had come; None in closed loop. Of conversations, what was launched.
        issued: Requests that were picked up, or withheld.
        waiting: Kept back by --max-in-flight.
        slot: The number of the slot at hand; None between two, and when all has been offered.
        sides: By the name of an arm, in the plan's order; whole: all of them together.
        health: By the number of a worker.
        workers: How many still play; gone: how many were lost.
    """

    t_s: float
    due: int | None
    issued: int
    in_flight: int
    waiting: int
    slot: int | None
    sides: Mapping[str, Side]
    whole: Side
    health: Mapping[int, Health]
    workers: int
    gone: int


class Following:
    """
    Puts together what the workers of a run say.

    Args:
        plan: Of the run.

    Attributes:
        schedule: Of an open loop; None in closed loop.
        slots: In order of playing.
    """

    def __init__(self, plan: Plan) -> None:
        self._arms = [arm.name for arm in plan.arms]
        self.schedule = plan.open_schedule() if plan.mode == "open" else None
        self.slots = slots(plan, self.schedule)
        self._due = 0
        self._seen: list[tuple[Any, ...]] = []
        self._last = self._of([])

    def at(self, fleet: Fleet) -> Standing:
        """The run as it stands; the same object until a worker has said something new."""
        return self.of(fleet.members)

    def of(self, members: Sequence[Member]) -> Standing:
        """The same of these workers."""
        seen = [(member.status.get("t_s"), member.plays, member.gone) for member in members]
        if seen != self._seen:
            self._seen, self._last = seen, self._of(members)
        return self._last

    def _of(self, members: Sequence[Member]) -> Standing:
        told = [member.status for member in members if member.status]
        playing = [member.status for member in members if member.status and member.plays] or told
        at = [status["slot"] for status in playing if self._is_slot(status.get("slot"))]
        t_s = sum(status["t_s"] for status in playing) / max(1, len(playing))
        t_s = max(0.0, min(FAR_S, t_s))
        issued, in_flight, waiting = (
            sum(status[name] for status in told) for name in ("issued", "in_flight", "waiting")
        )
        sides = {arm: together(_sides(told, arm)) for arm in self._arms}
        return Standing(
            t_s,
            self._due_by(t_s, playing, issued, waiting),
            issued,
            in_flight,
            waiting,
            min(at, default=None),
            sides,
            together(sides.values()),
            {member.number: member.status["health"] for member in members if member.status},
            sum(member.plays for member in members),
            sum(bool(member.gone) for member in members),
        )

    def _is_slot(self, number: object) -> bool:
        """What comes from other machines may be anything."""
        return isinstance(number, int) and 0 <= number < len(self.slots)

    def _due_by(self, t_s: float, playing: Sequence[dict[str, Any]], issued: int, waiting: int) -> int | None:
        if self.schedule is None:
            return None
        self._due = max(self._due, issued + waiting)
        first = next((status for status in playing if self._is_slot(status.get("slot"))), None)
        if first is not None and self.schedule.turns is None:
            into_ns = int(t_s * 1e9) - first["slot_ns"]
            self._due = max(self._due, due_in(self.schedule, self.slots, first["slot"], into_ns))
        return self._due


def _sides(told: Sequence[dict[str, Any]], arm: str) -> list[Side]:
    """What each worker says of an arm."""
    return [Side.from_json(status["arms"][arm]) for status in told if arm in status["arms"]]


def due_in(schedule: Schedule, of: Sequence[Slot], number: int, into_ns: int) -> int:
    """
    How many requests were due by a moment of an open loop whose arrivals bring one request each.

    Args:
        schedule: All arrivals.
        of: All slots of the plan.
        number: The slot at hand.
        into_ns: How far into it, in nanoseconds.
    """
    here = of[number]
    last = len(schedule) if number + 1 == len(of) or here.last is None else here.last  # the tail of --hold, too
    offsets = schedule.offsets_ns[here.first : last]
    by_now = int(np.searchsorted(offsets, min(max(into_ns, -1), FAR_NS) + here.first_ns, side="right"))
    before = sum(((one.last or 0) - one.first) * len(one.arms) for one in of[:number])
    return before + by_now * len(here.arms)
