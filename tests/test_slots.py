"""Whose turn it is: blocks that leave nothing out and favour nobody."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.plan import Arm, Plan
from loadtests.schedule import Schedule, open_loop
from loadtests.slots import Slot, order, slots

ARMS = tuple(Arm(name, "m") for name in "abcde")


def plan_of(arms: int = 2, **load: object) -> Plan:
    return Plan(ARMS[:arms], **load)  # type: ignore[arg-type]


def of_arm(found: list[Slot], arm: int) -> list[Slot]:
    """An arm's slots by their blocks."""
    return sorted((slot for slot in found if arm in slot.arms), key=lambda slot: slot.block or 0)


@given(
    offsets=st.lists(st.integers(0, 59_999_999_999), min_size=10, max_size=80).map(sorted),
    arms=st.integers(2, 5), blocks=st.integers(1, 10), seed=st.integers(0, 2**31), by_time=st.booleans(),
)  # fmt: skip
def test_every_arm_plays_every_arrival_once_in_order(
    offsets: list[int], arms: int, blocks: int, seed: int, by_time: bool
) -> None:
    schedule = Schedule(np.array(offsets, dtype=np.int64), len(offsets), 60.0 if by_time else offsets[-1] / 1e9)
    load = {"duration_s": 60.0} if by_time else {"requests": len(offsets)}
    found = slots(plan_of(arms, blocks=blocks, seed=seed, **load), schedule)

    assert [slot.number for slot in found] == list(range(arms * blocks))
    assert [slot.block for slot in found] == [block for block in range(blocks) for _ in range(arms)]
    for arm in range(arms):
        mine = of_arm(found, arm)
        assert [place for slot in mine for place in range(slot.first, slot.last or 0)] == list(range(len(offsets)))
        assert sum(slot.length_ns or 0 for slot in mine) == round(schedule.length_s * 1e9)
        assert mine[0].first_ns == 0
        assert all(a.first_ns + (a.length_ns or 0) == b.first_ns for a, b in pairwise(mine))
        for slot in mine:  # nothing lies before its block; behind it only what is at the very end
            assert all(0 <= offsets[place] - slot.first_ns <= (slot.length_ns or 0)
                       for place in range(slot.first, slot.last or 0))  # fmt: skip


@given(seed=st.integers(0, 2**31), arms=st.integers(2, 5), pair=st.integers(0, 50))
def test_the_second_block_of_a_pair_is_in_reverse_order(seed: int, arms: int, pair: int) -> None:
    first, second = order(seed, arms, 2 * pair), order(seed, arms, 2 * pair + 1)

    assert sorted(first) == list(range(arms))
    assert second == first[::-1]


def test_who_comes_first_is_drawn_anew_for_each_pair_and_seed() -> None:
    """40 fair coins: 8 to 32 heads in all but 1 of 10^4 seeds; a fixed order has 0 or 40."""
    assert 8 <= sum(order(1, 2, 2 * pair)[0] for pair in range(40)) <= 32
    assert 8 <= sum(order(seed, 2, 0)[0] for seed in range(40)) <= 32


def test_blocks_by_time_are_equally_long_and_hold_what_comes_in_them() -> None:
    """Constant 10/s for 8 s in 4 blocks: 20 arrivals in each stretch of 2 s."""
    schedule = open_loop("constant", 10.0, 8.0, 1)
    mine = of_arm(slots(plan_of(duration_s=8.0, rate=10.0, blocks=4), schedule), 1)

    assert [(slot.first_ns, slot.length_ns, slot.first, slot.last) for slot in mine] == [
        (b * 2_000_000_000, 2_000_000_000, 20 * b, 20 * (b + 1)) for b in range(4)
    ]


def test_where_requests_end_the_schedule_before_its_duration_the_blocks_share_what_there_is() -> None:
    """20 arrivals at 10/s are over after 1.9 s; a block is a quarter of that, not of the 60 s asked for."""
    schedule = open_loop("constant", 10.0, 60.0, 1, 20)
    mine = of_arm(slots(plan_of(duration_s=60.0, requests=20, rate=10.0, blocks=4), schedule), 0)

    assert [(slot.last or 0) - slot.first for slot in mine] == [5, 5, 5, 5]
    assert mine[-1].first_ns + (mine[-1].length_ns or 0) == 1_900_000_000


def test_blocks_by_requests_differ_by_one_at_most() -> None:
    schedule = open_loop("constant", 10.0, None, 1, 23)
    mine = of_arm(slots(plan_of(requests=23, rate=10.0, blocks=4), schedule), 0)

    assert [(slot.first, slot.last) for slot in mine] == [(0, 5), (5, 11), (11, 17), (17, 23)]
    assert [slot.first_ns for slot in mine] == [0, 500_000_000, 1_100_000_000, 1_700_000_000]


def test_a_closed_loop_by_time_has_all_its_requests_in_each_block() -> None:
    found = slots(plan_of(mode="closed", concurrency=3, duration_s=9.0, requests=40, blocks=3), None)

    assert [(slot.first_ns, slot.length_ns, slot.first, slot.last) for slot in of_arm(found, 0)] == [
        (b * 3_000_000_000, 3_000_000_000, 0, 40) for b in range(3)
    ]


def test_a_closed_loop_by_requests_has_its_share_of_them_in_each_block() -> None:
    found = slots(plan_of(mode="closed", concurrency=3, requests=10, blocks=4), None)

    assert [(slot.first, slot.last) for slot in of_arm(found, 1)] == [(0, 2), (2, 5), (5, 7), (7, 10)]
    assert {slot.length_ns for slot in found} == {None}


STAGES = ({"kind": "concurrency", "start": 1, "end": 4, "duration_s": 3.0, "n": 0},)


@pytest.mark.parametrize(
    ("plan", "schedule", "length_ns", "last"),
    [
        (plan_of(1, rate=10.0, duration_s=8.0), open_loop("constant", 10.0, 8.0, 1), 8_000_000_000, 80),
        (plan_of(1, rate=10.0, requests=5), open_loop("constant", 10.0, None, 1, 5), 400_000_000, 5),
        (plan_of(2, rate=10.0, duration_s=8.0, together=True), open_loop("constant", 10.0, 8.0, 1), 8_000_000_000, 80),
        (plan_of(1, mode="closed", concurrency=2, duration_s=3.0), None, 3_000_000_000, None),
        (plan_of(1, mode="closed", concurrency=2, requests=9), None, None, 9),
        (plan_of(1, mode="closed", stages=STAGES), None, 3_000_000_000, None),
    ],
)  # fmt: skip
def test_who_does_not_take_turns_has_one_slot(
    plan: Plan, schedule: Schedule | None, length_ns: int | None, last: int | None
) -> None:
    everybody = tuple(range(len(plan.arms)))

    assert slots(plan, schedule) == [Slot(0, everybody, None, 0, length_ns, 0, last)]


def test_the_tail_of_hold_is_of_no_slot() -> None:
    schedule = open_loop("constant", 10.0, 2.0, 1, hold_s=5.0)
    (slot,) = slots(plan_of(1, rate=10.0, duration_s=2.0, hold=True), schedule)

    assert (len(schedule), slot.last) == (70, 20)
