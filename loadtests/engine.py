"""
One process' share of a run: its receiver, its senders, its sink, its health, and what it knows of how the run goes.

The Locust classes of `users` ask the engine to send; `dispatch` asks it in open loop. Whoever owns the process (our own
worker, or plain Locust) begins it, tells it to stop, and waits until it is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gevent

from loadtests.admission import Admission
from loadtests.arrivals import Arrivals
from loadtests.bodies import Bodies
from loadtests.client import Health
from loadtests.conduct import conducts_of
from loadtests.course import Course
from loadtests.flight import Flight
from loadtests.places import Places
from loadtests.plan import target_of
from loadtests.pulse import Pulse
from loadtests.send import Sender
from loadtests.shards import Shards
from loadtests.sink import Sink
from loadtests.slots import slots
from loadtests.stop import Stop
from loadtests.wire.receiver import SLICE_NS, Receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from loadtests.arrival import Arrival
    from loadtests.plan import Plan
    from loadtests.profiles import Profile
    from loadtests.record import Record
    from loadtests.shards import Deal


class Engine:
    """
    Offers one worker's share of a plan and records what came back.

    Args:
        profiles: Of the plan's arms, in their order.
        parts: The run's parts directory.
        environ: Where the profiles' keys are looked up.
        on_record: Called with every finished record (live figures, Locust's events).

    Attributes:
        stopping: Why no more load is offered; None while it is, or where the plan is done.
        senders, conducts: By the name of an arm: who sends, and what its answers mean for the requests to come.
        schedule: The open loop's, made before the start: an hour of arrivals takes a while; None in closed loop.
        course: Which slot of the plan is at hand.
        flight: What is under way.
        arrivals: What is asked next.
        admission: What of it may be sent.
        places: The closed loop's users.
        last_due_ns: The last arrival of the schedule whose moment has come.
        until_ns: Until then, on the monotonic clock, others will not take over what is this worker's; None: never.
        shards: Which arrivals, and which users, are this worker's.
        on_deal: Called when something was dealt anew.
        on_news: Called when others must know: a provider has asked for a pause, or no more load is offered.
    """

    def __init__(
        self,
        plan: Plan,
        profiles: Sequence[Profile],
        parts: Path,
        *,
        worker: int,
        environ: Mapping[str, str],
        on_record: Callable[[Record], None],
    ) -> None:
        self.plan, self.worker = plan, worker
        self.workload = plan.source(parts)
        self.receiver = Receiver()
        self._breathed_ns = 0
        self.sink = Sink(parts, worker, self._breathe)
        self.health = Health(self.receiver, worker)
        secrets = [secret for profile in profiles for secret in profile.secrets(environ)]
        self.bodies = Bodies(parts, worker, plan.keep_bodies, secrets) if plan.keep_bodies else None
        self.senders: dict[str, Sender] = {}
        self.conducts = conducts_of(plan, profiles, self.receiver.now_ns)
        for arm, profile in zip(plan.arms, profiles, strict=True):
            self.senders[arm.name] = Sender(
                target_of(plan, arm, profile), self.receiver, key=profile.api_key(environ), worker=worker,
                keep=self._keep, bodies=self.bodies,
            )  # fmt: skip
        self.admission = Admission(plan, profiles, parts, self._goes_on, self.stop)
        self.stopping: Stop | None = None
        self.last_due_ns = -1
        self.offering, self.began = True, False
        self.until_ns: int | None = None
        self.schedule = plan.open_schedule(parts, self.workload) if plan.mode == "open" else None
        self.shards = Shards(plan.workers)
        self.course = Course(slots(plan, self.schedule), hold=plan.hold)
        self.flight = Flight(plan.share_of_cap(worker), self._settle)
        self.arrivals = Arrivals(plan, self.workload, self.schedule, self.course, self.senders)
        self.places = Places(plan, worker, self.workload, self.shards)
        self._timers: list[Any] = []
        self._on_record = on_record
        self.on_news: Callable[[], None] = lambda: None
        self.on_deal: Callable[[], None] = lambda: None
        self._pulse = Pulse(self.health, self.sink, self.flight, self.stop)

    # From start to end.

    def begin(self, zero_ns: int, slot: int = 0, start_ns: int = 0, live: Sequence[int] = ()) -> None:
        """
        Put the run's start at this moment of the monotonic clock, perhaps a past one, and start the slot at hand.

        `live` numbers all who offer load; without it they are those that were planned.
        """
        self._share_cap(live)
        self.receiver.set_zero(zero_ns)
        self.began = True
        self._pulse.start()
        self.go(slot, start_ns)
        if self.plan.budget_time_s is not None:
            self._at(int(self.plan.budget_time_s * 1e9), self._out_of_time)

    def go(self, number: int, start_ns: int) -> None:
        """The slot of this number begins at this moment of the run; behind the last one, the run is over."""
        self.places.begin()
        self.course.go(number, start_ns)
        slot = self.course.slot
        if slot is None:
            self.exhausted()
        elif self.places.is_empty:
            self.offered()  # there are fewer requests than workers
        elif self.places.schedule is not None and slot.length_ns is not None:
            self._at(start_ns + slot.length_ns, self._time_is_up, number)
        self.receiver.wake()

    def deal(self, deal: Deal, live: Sequence[int]) -> None:
        """Somebody was lost, or has joined late: what some had is others' now; all who offer load are named."""
        self.shards.add(deal)
        self._share_cap(live)
        self.on_deal()
        self.receiver.wake()

    def _share_cap(self, live: Sequence[int]) -> None:
        """How many may be in flight here; where that is none, who waits would wait for ever."""
        if self.plan.max_in_flight is None or self.worker not in live:
            return
        for arrival in self.flight.allow(self.plan.share_of_cap(sorted(live).index(self.worker), len(live))):
            self.withhold(arrival, "in_flight_cap")
            self.admission.release(arrival)
            self.arrivals.over(arrival, goes_on=False)

    def _at(self, at_ns: int, call: Callable[..., None], *args: Any) -> None:
        gevent.get_hub().loop.update_now()  # else the timer runs from when this process last waited
        self._timers.append(gevent.spawn_later(max(0.0, (at_ns - self.receiver.now_ns()) / 1e9), call, *args))

    def _time_is_up(self, number: int) -> None:
        if self.course.slot is not None and self.course.slot.number == number:
            self.offered()

    def offered(self) -> None:
        """All that the slot at hand plans has been offered by this process."""
        if self.course.is_final:
            self.exhausted()
            return
        self.course.offered = True
        self._settle()

    def stop(self, stop: Stop) -> None:
        """Offer no more; what is in flight goes on."""
        is_news, self.stopping = self.stopping is None, self.stopping or stop
        for arrival in self.flight.drop():
            self.withhold(arrival, "run_end")
        self.exhausted()
        if is_news:
            self.on_news()

    def _out_of_time(self) -> None:
        self.stop(Stop("budget", f"--budget-time {self.plan.budget_time_s:g}s is over"))
        self.cancel("run_end")

    def exhausted(self) -> None:
        """Nothing more is offered: the schedule is over, or the run is."""
        self.offering = False
        self.course.end()
        for arrival in self.flight.drop(tail_only=True):
            self.withhold(arrival, "run_end")
        self.flight.close()
        self.receiver.wake()

    def cancel(self, flag: str) -> None:
        """End what is in flight now; each request is recorded as cancelled by `flag`."""
        for sender in self.senders.values():
            sender.cancel_flag = flag
        self.flight.cancel(flag)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Let this greenlet sleep until nothing is offered and nothing is in flight; False where time ran out."""
        return self.flight.wait(timeout_s)

    def close(self) -> None:
        """
        Write what is left and end the parts.

        Raises:
            DiskFullError: Rows found no room; they are still in `sink.rows`.
        """
        gevent.killall(self._timers, block=False)
        for one in [one for one in (*self.senders.values(), self.admission, self.bodies) if one is not None]:
            one.close()
        try:
            self._pulse.end()
        finally:
            self.sink.close(cut=self.stopping is not None and self.stopping.word == "orphaned")
            self.receiver.close()

    # One request.

    def launch(self, deliver: Callable[[Arrival], object], arrival: Arrival) -> None:
        """Open loop: deliver an arrival in a greenlet of its own; it counts as under way from now on."""
        self.arrivals.launched(arrival)
        self.flight.launch(arrival, self._deliver, deliver)

    def _deliver(self, deliver: Callable[[Arrival], object], arrival: Arrival) -> None:
        try:
            if self.flight.cancelled:
                self.withhold(arrival, self.flight.cancelled)
            elif self._paused(arrival):
                self.withhold(arrival, "paused")
            elif self.admission.leased and not self.admission.admit(arrival):
                self.withhold(arrival, "budget")
            else:
                deliver(arrival)
        finally:
            self.admission.release(arrival)
            if arrival.conversation is not None:
                self.arrivals.over(arrival, goes_on=self.offering)
                self.receiver.wake()  # a turn's moment may have become known

    def _goes_on(self, arrival: Arrival) -> bool:
        """A user may go on asking; an arrival that was launched may still be sent."""
        return self.offering if arrival.user is not None else not self.stopping and not self.flight.cancelled

    def _paused(self, arrival: Arrival) -> bool:
        """Its provider has asked for a pause since it was launched: it waited for the cap, or came just then."""
        return max(self.receiver.now_ns(), arrival.scheduled_ns) < self.conducts[arrival.arm].paused_until_ns

    def send(self, arrival: Arrival) -> Record:
        """Send in this greenlet and wait for the answer."""
        record = None
        self.flight.begin(arrival)
        try:
            record = self.senders[arrival.arm].send(arrival)
            return record
        finally:
            self.admission.settle(arrival, record)
            self.flight.end(arrival)

    # Closed-loop users.

    def leave(self, place: int) -> None:
        """A user goes; with the last one a closed loop is over."""
        if self.places.leave(place):
            self.exhausted()

    def withhold(self, arrival: Arrival, flag: str) -> None:
        """Record an arrival that is not sent, and why."""
        record = self.senders[arrival.arm].record(arrival)
        record.flags = [*dict.fromkeys([*(record.flags or ()), flag])]
        self.flight.withheld()
        self.sink.keep(record)
        self._on_record(record)

    def _settle(self) -> None:
        """Something is over: perhaps with it all of a slot."""
        if self.offering:
            self.course.settle(self.flight.measured)

    def _keep(self, record: Record) -> None:
        self.flight.done += 1
        if record.sent_ns is not None:
            self.health.send_lags_ns.append(record.sent_ns - record.scheduled_ns)
        self.sink.keep(record)
        conduct = self.conducts[record.arm]
        paused_ns = conduct.paused_until_ns
        if stop := conduct.react(record):
            self.stop(stop)
        self._on_record(record)
        if conduct.paused_until_ns > paused_ns:
            self.on_news()

    def _breathe(self) -> None:
        """Between two slices of work: look at the sockets, and let the others go where a millisecond is over."""
        self.receiver.look()
        now_ns = self.receiver.now_ns()
        if now_ns - self._breathed_ns > SLICE_NS:
            gevent.sleep(0)
            self._breathed_ns = self.receiver.now_ns()
