"""What is under way: counted, capped first come first served, dropped, cancelled, waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gevent
import gevent.event
import pytest

from loadtests.arrival import Arrival
from loadtests.flight import Flight
from loadtests.workload import Request

if TYPE_CHECKING:
    from collections.abc import Callable


def arrival(seq: int, phase: str = "measure", user: int | None = None) -> Arrival:
    request = Request(seq, "w", (), stream=False, output_cap=None, prompt_hash=0, input_chars=0)
    return Arrival(request, 0, b"", "a", phase=phase, user=user)


def settle() -> None:
    """Let all greenlets go that can; nothing here waits for time to pass."""
    for _ in range(50):
        gevent.sleep(0)


class Desk:
    """Delivers arrivals that stay until they are let go, and remembers in which order they came."""

    def __init__(self, most: int | None) -> None:
        self.settled = 0
        self.flight = Flight(most, self._settle)
        self.came: list[int] = []
        self._gates: dict[int, gevent.event.Event] = {}

    def _settle(self) -> None:
        self.settled += 1

    def launch(self, *arrivals: Arrival) -> None:
        """Launch them one after the other."""
        for one in arrivals:
            self.flight.launch(one, self._deliver, None)
        gevent.sleep(0)

    def _deliver(self, _how: Any, one: Arrival) -> None:
        self.came.append(one.request.seq)
        gate = self._gates.setdefault(one.request.seq, gevent.event.Event())
        self.flight.begin(one)
        try:
            gate.wait()
        finally:
            self.flight.end(one)
        self.flight.done += 1

    def let_go(self, seq: int) -> None:
        """End the request of this seq."""
        self._gates[seq].set()
        settle()


@pytest.fixture
def desk() -> Callable[[int | None], Desk]:
    return Desk


def test_without_a_cap_all_go_at_once(desk: Any) -> None:
    made = desk(None)
    made.launch(*map(arrival, range(50)))

    assert made.came == list(range(50))
    assert (made.flight.issued, made.flight.in_flight, made.flight.done) == (50, 50, 0)


def test_the_cap_is_first_come_first_served_and_who_waited_says_so(desk: Any) -> None:
    made = desk(2)
    arrivals = [arrival(seq) for seq in range(5)]
    made.launch(*arrivals)
    assert made.came == [0, 1]
    made.let_go(1)
    assert made.came == [0, 1, 2]
    made.let_go(0)
    made.let_go(2)
    assert made.came == [0, 1, 2, 3, 4]
    assert [one.flags for one in arrivals] == [[], [], *[["in_flight_cap"]] * 3]
    assert (made.flight.issued, made.flight.in_flight, made.flight.done) == (5, 2, 3)


def test_room_that_became_free_is_taken_without_a_word(desk: Any) -> None:
    made, late = desk(1), arrival(1)
    made.launch(arrival(0))
    made.let_go(0)
    made.launch(late)

    assert made.came == [0, 1]
    assert late.flags == []


def test_nobody_waits_for_a_cap_of_nothing(desk: Any) -> None:
    made = desk(1)
    made.launch(arrival(0), arrival(1), arrival(2))
    assert made.flight.allow(1) == []
    made.flight.close()
    assert [one.request.seq for one in made.flight.allow(0)] == [1, 2]
    assert not made.flight.may_send
    made.let_go(0)
    assert made.flight.wait(0)
    assert made.flight.measured == 0


def test_where_nothing_is_in_flight_all_is_over_with_those_who_waited(desk: Any) -> None:
    made = desk(0)
    made.launch(arrival(0))
    made.flight.close()
    assert not made.flight.wait(0)
    assert len(made.flight.allow(0)) == 1
    assert made.flight.wait(0)
    assert made.flight.allow(None) == []


def test_who_waits_counts_as_measured_until_it_is_dropped(desk: Any) -> None:
    made = desk(1)
    made.launch(arrival(0), arrival(1), arrival(2, "drain"), arrival(3, "warmup"))
    assert made.flight.measured == 3  # the tail is not
    dropped = made.flight.drop()
    assert [one.request.seq for one in dropped] == [1, 2, 3]
    assert made.flight.measured == 1
    made.flight.close()
    made.let_go(0)
    assert made.came == [0]
    assert made.flight.measured == 0
    assert made.flight.wait(0)


def test_of_those_who_wait_only_the_tail_may_be_dropped(desk: Any) -> None:
    made = desk(1)
    made.launch(arrival(0), arrival(1), arrival(2, "drain"))

    assert [one.request.seq for one in made.flight.drop(tail_only=True)] == [2]
    made.let_go(0)
    assert made.came == [0, 1]
    made.let_go(1)
    assert made.came == [0, 1]
    assert made.flight.measured == 0


def test_it_is_idle_when_nothing_more_comes_and_all_is_over(desk: Any) -> None:
    made = desk(1)
    made.launch(arrival(0), arrival(1))
    assert not made.flight.wait(0)
    made.flight.close()
    made.let_go(0)
    assert not made.flight.wait(0)  # one waited for the cap
    made.let_go(1)
    assert made.flight.wait(1)


def test_it_is_not_idle_as_long_as_more_may_come(desk: Any) -> None:
    made = desk(None)
    made.launch(arrival(0))
    made.let_go(0)
    assert not made.flight.wait(0)
    made.flight.close()
    assert made.flight.wait(0)


def test_each_end_is_told(desk: Any) -> None:
    made = desk(None)
    made.launch(arrival(0), arrival(1))
    made.let_go(0)
    before = made.settled
    made.let_go(1)
    assert made.settled > before


def test_a_users_request_counts_while_it_is_sent(desk: Any) -> None:
    flight = desk(None).flight
    first, second = arrival(0, user=3), arrival(1, "drain", user=4)
    flight.begin(first)
    assert (flight.issued, flight.in_flight, flight.measured) == (1, 1, 1)
    flight.begin(second)
    assert (flight.issued, flight.in_flight, flight.measured) == (2, 2, 1)
    flight.end(second)
    flight.end(first)
    assert (flight.issued, flight.in_flight, flight.measured) == (2, 0, 0)


def test_an_arrival_of_the_schedule_counts_once(desk: Any) -> None:
    made = desk(None)
    made.launch(arrival(0))

    assert made.flight.measured == 1


def test_what_is_withheld_is_issued_and_done() -> None:
    flight = Flight(None, lambda: None)
    flight.withheld()

    assert (flight.issued, flight.done, flight.in_flight) == (1, 1, 0)


def test_a_cancel_ends_what_is_sent_and_hands_out_who_waits(desk: Any) -> None:
    """Who waited comes to its delivery, which sees that all was cancelled."""
    made = desk(1)
    made.launch(arrival(0), arrival(1))
    made.flight.close()
    made.flight.cancel("run_end")
    settle()

    assert made.flight.cancelled == "run_end"
    assert made.came == [0, 1]
    assert made.flight.in_flight == 1  # this desk delivers it all the same
    made.let_go(1)
    assert made.flight.wait(1)
    assert made.flight.measured == 0
