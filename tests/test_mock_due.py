"""What is due comes out in order of its moment and never before it, whichever way it came in."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from loadtests.mock.due import Due

MOMENTS = st.lists(st.tuples(st.integers(0, 100), st.booleans()), max_size=60)


def filled(moments: list[tuple[int, bool]]) -> Due:
    """All of them, each as its own delivery, begun or gone on with."""
    due = Due()
    for at_ns, begins in moments:
        delivery: Any = at_ns
        (due.begin if begins else due.go_on)(at_ns, delivery)
    return due


def popped(due: Due, now_ns: int) -> list[Any]:
    found: list[Any] = []
    while (delivery := due.pop(now_ns)) is not None:
        found.append(delivery)
    return found


@given(MOMENTS, st.integers(0, 100))
def test_what_is_due_comes_in_order_and_nothing_else_does(moments: list[tuple[int, bool]], now_ns: int) -> None:
    due = filled(moments)
    ascending = sorted(at for at, _ in moments)

    assert popped(due, now_ns) == [at for at in ascending if at <= now_ns]
    assert due.first_ns() == min((at for at in ascending if at > now_ns), default=None)
    assert popped(due, 100) == [at for at in ascending if at > now_ns]


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=20), st.integers(1, 50))
def test_streams_with_one_gap_leave_the_heap_at_their_first_write(starts: list[int], gap: int) -> None:
    """Each is due again a gap after it was due, in the order they were: the queue's own."""
    due = filled([(at, True) for at in starts])
    for now_ns in range(1001):
        for at_ns in popped(due, now_ns):
            due.go_on(at_ns + gap, at_ns + gap)

    assert not due._heap
    assert len(due._queue) == len(starts)


def test_nothing_is_left_once_it_is_cleared() -> None:
    due = filled([(1, True), (2, False)])

    due.clear()

    assert due.first_ns() is None
    assert popped(due, 5) == []
