"""Time has one home: the map between the clocks, and the punctual timer."""

from __future__ import annotations

import select

from loadtests import clock


def test_the_offset_maps_a_realtime_stamp_to_the_monotonic_axis() -> None:
    offset = clock.measure_offset()
    before = clock.monotonic_ns()
    mapped = clock.realtime_ns() - offset.offset_ns
    after = clock.monotonic_ns()

    assert before - 1_000_000 <= mapped <= after + 1_000_000
    assert 0 <= offset.error_ns < 1_000_000


def test_the_timer_is_ready_at_its_moment_and_not_before() -> None:
    timer = clock.Timer()
    due = clock.monotonic_ns() + 3_000_000
    timer.set(due)

    assert not select.select([timer.fd], [], [], 0)[0]
    assert select.select([timer.fd], [], [], 2)[0]
    assert clock.monotonic_ns() >= due
    timer.clear()
    assert not select.select([timer.fd], [], [], 0)[0]
    timer.close()


def test_a_moment_that_is_past_is_ready_at_once() -> None:
    timer = clock.Timer()
    timer.set(clock.monotonic_ns() - 1)

    assert select.select([timer.fd], [], [], 1)[0]
    timer.close()


def test_clearing_an_idle_timer_is_harmless() -> None:
    timer = clock.Timer()
    timer.clear()
    timer.close()
