"""Where a process stands in its slots: each begins once, is reached once, and after the end nothing begins."""

from __future__ import annotations

from dataclasses import replace

import gevent
import pytest

from loadtests.course import Course
from loadtests.slots import Slot

S = 1_000_000_000
FIRST = Slot(0, (0,), 0, 0, 2 * S, 0, 20)
SECOND = Slot(1, (1,), 0, 0, 2 * S, 0, 20)
THIRD = Slot(2, (1,), 1, 2 * S, 2 * S, 20, 40)


def course(*slots: Slot, hold: bool = False) -> tuple[Course, list[int]]:
    reached: list[int] = []
    made = Course(list(slots), hold=hold)
    made.on_reached = reached.append
    return made, reached


def test_a_slot_is_reached_when_all_is_offered_and_over_and_only_once() -> None:
    made, reached = course(FIRST, SECOND)
    made.go(0, 0)
    made.settle(0)
    assert reached == []  # more is to come
    made.offered = True
    made.settle(2)
    assert reached == []  # two are under way
    assert made.slot is FIRST
    made.settle(0)
    made.settle(0)
    assert reached == [0]
    assert made.slot is None  # between two slots


def test_the_next_slot_begins_when_somebody_says_so_with_nothing_offered() -> None:
    made, reached = course(FIRST, SECOND)
    made.go(0, 0)
    made.offered = True
    made.settle(0)
    made.go(1, 5 * S)

    assert (made.slot, made.start_ns, made.offered, made.over) == (SECOND, 5 * S, False, False)
    assert made.is_last
    made.offered = True
    made.settle(0)
    assert reached == [0, 1]


def test_behind_the_last_slot_all_is_over_and_stays_so() -> None:
    made, _ = course(FIRST, SECOND)
    made.go(1, 0)
    made.go(2, S)
    assert (made.slot, made.over) == (None, True)
    made.go(1, 2 * S)  # it was on its way when the run was stopped
    assert (made.slot, made.over) == (None, True)


def test_under_hold_the_last_slot_stays_at_hand_after_it_was_reached() -> None:
    made, reached = course(FIRST, hold=True)
    made.go(0, 0)
    assert made.is_last
    assert not made.is_final
    made.offered = True
    made.settle(0)
    made.settle(0)
    assert reached == [0]
    assert made.slot is FIRST


@pytest.mark.parametrize(("slots", "final"), [((FIRST,), True), ((FIRST, SECOND), False)])
def test_nothing_follows_the_last_slot_unless_it_is_held(slots: tuple[Slot, ...], final: bool) -> None:
    made, _ = course(*slots)
    made.go(0, 0)

    assert made.is_final is final


def test_users_ask_in_the_slot_at_hand_until_all_of_it_was_offered() -> None:
    made, _ = course(FIRST, SECOND)
    made.go(0, 0)
    assert made.takes(FIRST)
    assert not made.takes(SECOND)
    made.offered = True
    assert not made.takes(FIRST)
    made.go(1, S)
    made.offered = True
    assert made.takes(SECOND)  # held: they go on behind the end


def test_the_axis_of_an_arm_leaves_the_other_arms_turns_out() -> None:
    made, _ = course(FIRST, SECOND, THIRD)
    made.go(2, 30 * S)

    assert made.axis_ns(30 * S) == 2 * S
    assert made.axis_ns(31 * S) == 3 * S


def test_blocks_without_a_length_are_on_the_axis_one_behind_the_other() -> None:
    """By requests: arm 0 plays from 0 to 3 s and from 5 s on, so that 6 s are its 4th second; arm 1 began at 3 s."""
    slots = [replace(slot, first_ns=0, length_ns=None) for slot in (FIRST, SECOND, replace(THIRD, arms=(0,)))]
    made, _ = course(*slots)
    made.go(0, 0)
    assert made.axis_ns(2 * S) == 2 * S
    made.go(1, 3 * S)
    assert made.axis_ns(4 * S) == S
    made.go(2, 5 * S)
    assert made.axis_ns(6 * S) == 4 * S


@pytest.mark.parametrize("number", [1, 9])
def test_who_waits_is_woken_by_the_next_slot_and_by_the_end(number: int) -> None:
    made, _ = course(FIRST, SECOND)
    made.go(0, 0)
    waiting = gevent.spawn(made.wait)
    gevent.sleep(0)
    assert not waiting.dead
    made.go(number, S)
    gevent.joinall([waiting], timeout=60)
    assert waiting.dead
    again = gevent.spawn(made.wait)  # for what comes after that
    gevent.sleep(0.01)
    assert not again.dead
    again.kill()
