"""
Whose turn it is: a run's arms take turns, block by block of their one schedule, so that no hour of the day favours one.

A plain run is one slot, and so is one whose arms play together. Blocks come in pairs, the second in the reverse order
of the first (AB BA), each pair's order drawn from the seed: what drifts steadily falls on all arms alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from loadtests.draws import draw

if TYPE_CHECKING:
    from loadtests.plan import Plan
    from loadtests.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Slot:
    """
    One arm's turn to play one block; the whole run where nobody takes turns.

    Attributes:
        number: In order of playing, from 0.
        arms: Who plays, as places in the plan's arms.
        block: Of the schedule, from 0; None where there is one slot.
        first_ns: Where it begins on the schedule's own axis.
        length_ns: How much of that axis it takes; None: until its requests are done.
        first, last: Arrivals of an open loop from and to (exclusive); seqs of a closed one; last None: no end but time.
    """

    number: int
    arms: tuple[int, ...]
    block: int | None
    first_ns: int
    length_ns: int | None
    first: int
    last: int | None


def slots(plan: Plan, schedule: Schedule | None) -> list[Slot]:
    """
    The slots of a plan in order of playing.

    Args:
        plan: Of the run.
        schedule: The open loop's; None in closed loop.
    """
    everybody = tuple(range(len(plan.arms)))
    if not plan.interleaved:
        length_s = plan.closed_schedule().duration_s if schedule is None else schedule.length_s
        last = plan.requests if schedule is None else schedule.planned
        return [Slot(0, everybody, None, 0, None if length_s is None else round(length_s * 1e9), 0, last)]
    stretches = _by_time(plan, schedule) if plan.duration_s is not None else _by_requests(plan, schedule)
    turns = [(arm, block) for block in range(len(stretches)) for arm in order(plan.seed, len(plan.arms), block)]
    return [Slot(number, (arm,), block, *stretches[block]) for number, (arm, block) in enumerate(turns)]


def order(seed: int, arms: int, block: int) -> list[int]:
    """In which order the arms play a block."""
    drawn = sorted(range(arms), key=lambda arm: draw(f"arms {seed} {block // 2} {arm}"))
    return drawn[::-1] if block % 2 else drawn


def _by_time(plan: Plan, schedule: Schedule | None) -> list[tuple[int, int, int, int | None]]:
    """Equal stretches of the whole length: from, length, and the arrivals in it."""
    length_s = plan.duration_s if schedule is None else schedule.length_s  # its requests may end it before
    assert length_s is not None
    edges = np.rint(np.linspace(0, length_s * 1e9, plan.blocks + 1)).astype(np.int64)
    if schedule is None:
        return [(int(low), int(high - low), 0, plan.requests) for low, high in pairwise(edges)]
    places = np.searchsorted(schedule.offsets_ns[: schedule.planned], edges)
    places[-1] = schedule.planned
    return [
        (int(edges[b]), int(edges[b + 1] - edges[b]), int(places[b]), int(places[b + 1])) for b in range(plan.blocks)
    ]


def _by_requests(plan: Plan, schedule: Schedule | None) -> list[tuple[int, int | None, int, int | None]]:
    """As many requests in each block, give or take one."""
    n = plan.requests if schedule is None else schedule.planned
    assert n is not None
    edges = [n * block // plan.blocks for block in range(plan.blocks + 1)]
    if schedule is None:
        return [(0, None, low, high) for low, high in pairwise(edges)]
    times = [int(schedule.offsets_ns[edge]) if edge < n else round(schedule.length_s * 1e9) for edge in edges]
    times[0] = 0
    return [(times[b], times[b + 1] - times[b], edges[b], edges[b + 1]) for b in range(plan.blocks)]
