"""
When requests go out, or users come: an open loop's schedule, and a closed loop's number of users over time.

Open loop: arrivals go out when the schedule says, however many are still in flight. One greenlet walks this worker's
shard of the schedule, and the turns of its conversations as their moments become known; it makes the next requests'
bytes while it would only wait, and sleeps on the receiver's timer. A late arrival is sent at once and keeps its
scheduled moment; one inside a pause that the provider asked for is not sent later in a burst but recorded as unsent.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

import gevent
import numpy as np

from loadtests import orders
from loadtests.arrival import Arrival  # noqa: TC001 - a named tuple keeps its types
from loadtests.draws import draw
from loadtests.shards import Owners

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from loadtests.engine import Engine
    from loadtests.slots import Slot

AHEAD: Final = 64
"""Requests prepared ahead of their moment, at most; of a burst all, up to `MOST_BYTES`."""

MOST_BYTES: Final = 64 << 20
IN_A_ROW: Final = 16
"""Arrivals issued one after the other before those who send them get their turn."""

SLACK_NS: Final = 3_000_000
"""Closer than this to the next arrival nothing is prepared."""

LATE_NS: Final = 1_000_000_000
FAR_NS: Final = 1 << 62
GONE: Final = -1
"""In the place of one that has gone out already, but for other arms."""


def offer(engine: Engine, deliver: Callable[[Arrival], object]) -> None:
    """
    Offer this worker's shard of an open-loop plan.

    Args:
        engine: Begun.
        deliver: Sends an arrival; called in a greenlet of its own for each.
    """
    try:
        for slot in engine.course.slots:
            while engine.offering and engine.course.slot is not slot:
                engine.course.wait(1.0)
            if not engine.offering:
                break
            Player(engine, slot, deliver).play()
    finally:
        engine.exhausted()  # a flaw of ours must not leave a run that never ends


def drive(engine: Engine, start: Callable[[int], object]) -> None:
    """
    Have as many closed-loop users here as the plan wants, from one moment to the next.

    Args:
        engine: Begun.
        start: Has so many users running, from now on.
    """
    places = engine.places
    schedule = places.schedule
    assert schedule is not None, "an open loop's schedule decides, and no number of users"
    here = -1

    def have() -> None:
        nonlocal here
        if places.wanted is None:
            return  # dealt anew before anybody was to come
        before, here = here, len(places.mine(places.wanted))
        if here != before and engine.offering:
            start(here)

    engine.on_deal = have
    for at_ns, wanted in schedule.steps or ((0, schedule.users),):
        while engine.offering and engine.receiver.now_ns() < at_ns:
            engine.receiver.sleep_until(at_ns)  # whatever is over wakes it before that
        if not engine.offering:
            return
        places.wanted = wanted
        have()


class Ready(NamedTuple):
    """An arrival that is ready to go out, and its place in the schedule."""

    place: int
    arrival: Arrival


class Player:
    """Plays one slot: the arrivals of this worker's shard, and the turns that follow from them."""

    def __init__(self, engine: Engine, slot: Slot, deliver: Callable[[Arrival], object]) -> None:
        assert engine.schedule is not None, "a closed loop has no schedule to offer"
        self._engine, self._slot, self._deliver = engine, slot, deliver
        self._start_ns = engine.course.start_ns
        self._ready: deque[Ready] = deque()
        self._ready_bytes = 0
        self._issued = GONE  # the place whose arrivals go out, or have just gone
        self._owners = Owners(engine.shards, slot.number, len(engine.schedule), engine.receiver.look)
        self._done: NDArray[np.bool_] | None = None  # by place, what had been issued when it was last dealt anew
        self._arrivals = self._of_schedule()
        self._left = True

    def play(self) -> None:
        """Offer all of it; returns when that is done, and all of it is over where something follows."""
        engine, receiver, issued = self._engine, self._engine.receiver, 0
        while engine.offering and engine.course.slot is self._slot:
            if self._owners.deals != len(engine.shards.deals):
                self._redeal()
            arrival = self._next()
            if self._offered_all(arrival):
                if engine.course.is_final:
                    return
                engine.offered()
            due_ns = arrival.scheduled_ns - engine.senders[arrival.arm].lead_ns if arrival is not None else FAR_NS
            self._prepare(due_ns)
            late_ns = receiver.now_ns() - due_ns
            if late_ns < 0:
                receiver.sleep_until(due_ns)
                issued = 0
                continue  # perhaps it was woken before that: a turn has become known, or all is over
            assert arrival is not None
            if late_ns > LATE_NS:
                orders.look(engine)  # this process was held up: perhaps others have it by now
                if not engine.offering:
                    return
            self._issue(self._take(arrival))
            issued += 1
            if issued % IN_A_ROW == 0:
                gevent.sleep(0)

    def _next(self) -> Arrival | None:
        """What comes first: an arrival of the schedule, or a turn; None where at most a turn is still to come."""
        if not self._ready and self._left:
            self._pull()
        first = self._ready[0].arrival if self._ready else None
        turn = self._engine.arrivals.first_turn
        if first is None or (turn is not None and turn.scheduled_ns <= first.scheduled_ns):
            return turn
        return first

    def _take(self, arrival: Arrival) -> Arrival:
        if self._ready and self._ready[0].arrival is arrival:
            self._ready_bytes -= arrival.body_bytes
            self._issued = self._ready[0].place
            return self._ready.popleft().arrival
        return self._engine.arrivals.pop_turn()

    def _offered_all(self, following: Arrival | None) -> bool:
        """Nothing that is to be measured comes any more."""
        over = following is None or following.phase == "drain"
        return over and not self._engine.course.offered and not self._engine.arrivals.goes_on

    def _prepare(self, due_ns: int) -> None:
        receiver = self._engine.receiver
        while self._left and self._wants_more() and receiver.now_ns() < due_ns - SLACK_NS:
            self._pull()
            gevent.sleep(0)

    def _wants_more(self) -> bool:
        """Fewer are ready than may be, or not yet all of a burst."""
        ready = self._ready
        if len(ready) < AHEAD:
            return True
        is_burst = ready[-1].arrival.scheduled_ns == ready[-2].arrival.scheduled_ns
        return is_burst and self._ready_bytes < MOST_BYTES

    def _pull(self) -> None:
        ready = next(self._arrivals, None)
        if ready is None:
            self._left = False
        else:
            self._ready.append(ready)
            self._ready_bytes += ready.arrival.body_bytes

    def _issue(self, arrival: Arrival) -> None:
        engine = self._engine
        engine.last_due_ns = max(engine.last_due_ns, arrival.scheduled_ns)
        if arrival.scheduled_ns < engine.conducts[arrival.arm].paused_until_ns:
            engine.withhold(arrival, "paused")
        elif not engine.flight.may_send:
            engine.withhold(arrival, "in_flight_cap")
        elif not engine.admission.leased and not engine.admission.admit(arrival):
            engine.withhold(arrival, "budget")
        else:
            engine.launch(self._deliver, arrival)

    # What is this worker's.

    def _own(self, last: int) -> Iterator[NDArray[np.int64]]:
        """The places of this worker in the slot and before this one, ascending, a slice at a time."""
        return self._owners.own(self._engine.worker, self._slot.first, last)

    def _of_schedule(self) -> Iterator[Ready]:
        """What the places of this worker ask, arm by arm, but for those that have been issued."""
        engine, schedule, slot = self._engine, self._engine.schedule, self._slot
        assert schedule is not None
        last = len(schedule) if engine.course.is_last or slot.last is None else slot.last
        for own in self._own(last):
            for place in (own if self._done is None else own[~self._done[own]]).tolist():
                at_ns = self._start_ns + int(schedule.offsets_ns[place]) - slot.first_ns
                for arm in self._in_turn(place):
                    yield Ready(place, engine.arrivals.of_schedule(place, arm, at_ns))

    def _redeal(self) -> None:
        """Go on with what is this worker's now, but for what it has issued; what is late goes out at once."""
        engine = self._engine
        assert engine.schedule is not None
        if self._done is None:
            self._done = np.zeros(len(engine.schedule), dtype=np.bool_)
        for own in self._own(self._issued + 1):
            self._done[own] = True
        self._ready = deque(self._other_sides())
        self._ready_bytes = sum(one.arrival.body_bytes for one in self._ready)
        self._owners.follow()
        self._arrivals, self._left, self._issued = self._of_schedule(), True, GONE

    def _other_sides(self) -> Iterator[Ready]:
        """What goes to the other arms of an arrival that has gone out to one of them; nobody else makes it up."""
        if self._issued != GONE:
            for _ in self._slot.arms[1:]:
                if self._left and (not self._ready or self._ready[-1].place == self._issued):
                    self._pull()
        for one in self._ready:
            if one.place in (GONE, self._issued):
                yield Ready(GONE, one.arrival)

    def _in_turn(self, place: int) -> tuple[int, ...]:
        """Arms that play together, in an order of each arrival's own: who goes first goes out first."""
        arms = self._slot.arms
        first = draw(f"first {self._engine.plan.seed} {place}")[0] % len(arms) if len(arms) > 1 else 0
        return arms[first:] + arms[:first]
