"""
What is asked next: the arrivals of the schedule, and the turns of conversations as they follow from their answers.

A conversation's turns come one after the other, each with everything that was said before it, and with the answers as
they really were.
"""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

from loadtests.arrival import Conversation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadtests.arrival import Arrival
    from loadtests.course import Course
    from loadtests.plan import Plan
    from loadtests.schedule import Schedule
    from loadtests.send import Sender
    from loadtests.workload import Request, Workload


class Arrivals:
    """
    Makes arrivals ready to be sent.

    Args:
        schedule: The open loop's; None in closed loop.
        course: Says which slot of the plan is at hand.
        senders: By the name of an arm.

    Attributes:
        talking: Conversations under way that have a turn to come whose moment nobody knows yet; not those of the tail.
    """

    def __init__(
        self, plan: Plan, workload: Workload, schedule: Schedule | None, course: Course, senders: Mapping[str, Sender]
    ) -> None:
        self._plan, self._workload, self._schedule = plan, workload, schedule
        self._course, self._senders = course, senders
        self.talking = 0
        self._turns: list[tuple[int, int, Arrival]] = []
        self._number = count()

    def make(self, request: Request, scheduled_ns: int, *, arm: str, user: int | None = None) -> Arrival:
        """A request to an arm, for a moment of the slot at hand; a user's is put in its place when it goes out."""
        arrival = self._senders[arm].prepare(request, scheduled_ns, user=user)
        if user is None:
            self.place(arrival, scheduled_ns)
        return arrival

    def place(self, arrival: Arrival, scheduled_ns: int) -> None:
        """Put an arrival at a moment of the slot at hand."""
        course, slot = self._course, self._course.slot
        arrival.scheduled_ns = scheduled_ns
        is_tail = course.offered or self._is_behind(arrival.request.seq)
        arrival.phase = "drain" if is_tail else self._plan.phase(course.axis_ns(scheduled_ns))
        arrival.block = None if slot is None else slot.block

    def _is_behind(self, seq: int) -> bool:
        """Closed loop under --hold: its number of requests does not ask for this one."""
        plan = self._plan
        return self._schedule is None and plan.hold and plan.requests is not None and seq >= plan.requests

    # Open loop.

    def of_schedule(self, place: int, arm: int, scheduled_ns: int) -> Arrival:
        """What an arrival of the schedule asks of an arm, by its place in the plan."""
        schedule = self._schedule
        assert schedule is not None
        talk = Conversation(place, schedule.turns_of(place), size=schedule.size_of(place))
        request = talk.ask(self._workload, schedule.seq(place, 0))
        arrival = self.make(request, scheduled_ns, arm=self._plan.arms[arm].name)
        if place >= schedule.planned:
            arrival.phase = "drain"
        if schedule.turns is not None:
            arrival.conversation, arrival.turn, arrival.keep_text = talk, 0, not talk.is_last
        return arrival

    def launched(self, arrival: Arrival) -> None:
        """An arrival is under way; a turn may follow from it."""
        talk = arrival.conversation
        self.talking += talk is not None and not talk.is_last and arrival.phase != "drain"

    def over(self, arrival: Arrival, *, goes_on: bool) -> None:
        """An arrival is over: the next turn of its conversation, if this one went well, a think time after it."""
        talk = arrival.conversation
        if talk is None or talk.is_last:
            return
        self.talking -= arrival.phase != "drain"
        if not goes_on or not arrival.went_well:
            return
        talk.answered(arrival.request, arrival.text)
        assert self._schedule is not None
        request = talk.ask(self._workload, self._schedule.seq(talk.number, talk.turn))
        pause_ns = int(self._workload.think_s(talk.number, talk.turn) * 1e9)
        turn = self.make(request, arrival.over_ns + pause_ns, arm=arrival.arm)
        turn.phase, turn.block = arrival.phase, arrival.block
        turn.conversation, turn.turn, turn.keep_text = talk, talk.turn, not talk.is_last
        heappush(self._turns, (turn.scheduled_ns, next(self._number), turn))

    @property
    def goes_on(self) -> bool:
        """A conversation that is to be measured has a turn to come."""
        return self.talking > 0 or any(turn.phase != "drain" for *_, turn in self._turns)

    @property
    def first_turn(self) -> Arrival | None:
        """The earliest turn whose moment is known; None where there is none."""
        return self._turns[0][2] if self._turns else None

    def pop_turn(self) -> Arrival:
        """Take it."""
        return heappop(self._turns)[2]
