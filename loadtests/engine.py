"""
One process' share of a run: its receiver, its sender, its sink, its health, and what it knows of how the run goes.

The Locust classes of `users` ask the engine to send; `dispatch` asks it in open loop. Whoever owns the process (our own
worker, or plain Locust) begins it, tells it to stop, and waits until it is over.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import gevent
import gevent.event

from loadtests.bodies import Bodies
from loadtests.budget import FILE as BUDGET
from loadtests.budget import WAIT, Budget
from loadtests.client import Health
from loadtests.conduct import Conduct
from loadtests.places import Places
from loadtests.send import Arrival, Sender
from loadtests.sink import DiskFullError, Sink
from loadtests.stop import Stop
from loadtests.wire.receiver import SLICE_NS, Receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from loadtests.plan import Plan
    from loadtests.profiles import Profile
    from loadtests.record import Record
    from loadtests.workload import Request

SAMPLE_S: Final = 1.0
BUDGET_POLL_S: Final = 0.05


class Engine:
    """
    Offers one worker's share of a plan and records what came back.

    Args:
        parts: The run's parts directory.
        environ: Where the profile's key is looked up.
        on_record: Called with every finished record (live figures, Locust's events).

    Attributes:
        stopping: Why no more load is offered; None while it is, or where the plan is done.
        issued, done, in_flight: Requests of this process.
        schedule: The open loop's, made before the start: an hour of arrivals takes a while; None in closed loop.
        places: The closed loop's users.
        last_due_ns: The last arrival of the schedule whose moment has come.
        on_pause: Called when the provider has asked for a pause, or for a longer one.
        conduct: What the answers so far mean for the requests to come.
    """

    def __init__(
        self,
        plan: Plan,
        profile: Profile,
        parts: Path,
        *,
        worker: int,
        environ: Mapping[str, str],
        on_record: Callable[[Record], None],
    ) -> None:
        self.plan = plan
        self.worker = worker
        self.workload = plan.source()
        self.receiver = Receiver()
        self._breathed_ns = 0
        self.sink = Sink(parts, worker, self._breathe)
        self.health = Health(self.receiver, worker)
        key = profile.api_key(environ)
        secrets = profile.secrets(environ)
        self.bodies = Bodies(parts, worker, plan.keep_bodies, secrets) if plan.keep_bodies else None
        self.sender = Sender(
            plan.target(profile), self.receiver, key=key, worker=worker, keep=self._keep, bodies=self.bodies
        )
        self.conduct = Conduct(plan, strict_model=profile.strict_model, now_ns=self.receiver.now_ns)
        self.budget = Budget(plan, profile, parts / BUDGET) if plan.has_budget else None
        self.stopping: Stop | None = None
        self.issued = self.done = self.in_flight = 0
        self.last_due_ns = -1
        self.offering = True
        self.began = False
        self.places = Places(plan, worker)
        self.schedule = plan.open_schedule() if plan.mode == "open" else None
        self._cancelled = ""
        self._timers: list[Any] = []
        self._launched = 0
        self._on_record = on_record
        self.on_pause: Callable[[], None] = lambda: None
        self._active: set[Any] = set()
        self._idle = gevent.event.Event()
        self._sampler: Any = None

    # From start to end.

    def begin(self, zero_ns: int) -> None:
        """Put the run's start at this moment of the monotonic clock and start sampling."""
        self.receiver.set_zero(zero_ns)
        self.health.start()
        self.began = True
        self._sampler = gevent.spawn(self._sample)
        ends = [(self.plan.duration_s, self.exhausted)] if self.places.schedule is not None else []
        for end_s, call in (*ends, (self.plan.budget_time_s, self._out_of_time)):
            if end_s is not None:
                self._timers.append(gevent.spawn_later(max(0.0, end_s - self.receiver.now_ns() / 1e9), call))

    def stop(self, stop: Stop) -> None:
        """Offer no more; what is in flight goes on."""
        self.stopping = self.stopping or stop
        self.exhausted()

    def _out_of_time(self) -> None:
        self.stop(Stop("budget", f"--budget-time {self.plan.budget_time_s:g}s is over"))
        self.cancel("run_end")

    def exhausted(self) -> None:
        """Nothing more is offered: the schedule is over, or the run is."""
        self.offering = False
        self.receiver.wake()
        self._settle()

    def cancel(self, flag: str) -> None:
        """End what is in flight now; each request is recorded as cancelled by `flag`."""
        self.sender.cancel_flag = self._cancelled = flag
        gevent.killall(list(self._active), block=False)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Let this greenlet sleep until nothing is offered and nothing is in flight; False where time ran out."""
        return bool(self._idle.wait(timeout_s))

    def close(self) -> None:
        """
        Write what is left and end the parts.

        Raises:
            DiskFullError: Rows found no room; they are still in `sink.rows`.
        """
        if self._sampler is not None:
            self._sampler.kill()
            self._sampler = None
        gevent.killall(self._timers, block=False)
        self.health.stop()
        self.sender.close()
        for one in (self.budget, self.bodies):
            if one is not None:
                one.close()
        try:
            if self.began:
                self._write_sample()
        finally:
            self.sink.close()
            self.receiver.close()

    # One request.

    def prepare(self, seq: int, scheduled_ns: int, *, user: int | None = None) -> Arrival:
        """The workload's request for this place in the schedule, ready to be sent."""
        return self.arrival(self.workload.request(seq), scheduled_ns, user=user)

    def arrival(self, request: Request, scheduled_ns: int, *, user: int | None = None) -> Arrival:
        """A request of one's own, ready to be sent."""
        return self.sender.prepare(request, scheduled_ns, phase=self.plan.phase(scheduled_ns), user=user)

    def launch(self, deliver: Callable[[Arrival], object], arrival: Arrival) -> None:
        """Open loop: deliver an arrival in a greenlet of its own; it counts as under way from now on."""
        self._launched += 1
        self._idle.clear()
        gevent.spawn(self._deliver, deliver, arrival)

    def _deliver(self, deliver: Callable[[Arrival], object], arrival: Arrival) -> None:
        try:
            if self._cancelled:
                self.withhold(arrival, self._cancelled)
            else:
                deliver(arrival)
        finally:
            self._launched -= 1
            self.release(arrival)
            self._settle()

    def admit(self, arrival: Arrival) -> bool:
        """Reserve what an arrival may spend; False where it finds no room. Where a cap is reached, the run ends."""
        if self.budget is None:
            return True
        reached = self.budget.reserve(arrival.request, arrival.body_bytes)
        while reached == WAIT and arrival.user is not None and self.offering:
            gevent.sleep(BUDGET_POLL_S)
            reached = self.budget.reserve(arrival.request, arrival.body_bytes)
        if reached and reached != WAIT:
            self.stop(Stop("budget", reached))
        return not reached

    def release(self, arrival: Arrival) -> None:
        """What an arrival that was not sent had reserved is free again."""
        if self.budget is not None:
            self.budget.release(arrival.request.seq)

    def send(self, arrival: Arrival) -> Record:
        """Send in this greenlet and wait for the answer."""
        greenlet = gevent.getcurrent()
        self.issued += 1
        self.in_flight += 1
        self._idle.clear()
        self._active.add(greenlet)
        record = None
        try:
            record = self.sender.send(arrival)
            return record
        finally:
            self._active.discard(greenlet)
            self.in_flight -= 1
            if self.budget is not None:
                self.budget.settle(arrival.request.seq, record)
            self._settle()

    # Closed-loop users.

    def leave(self, place: int) -> None:
        """A user goes; with the last one a closed loop is over."""
        if self.places.leave(place, self.issued):
            self.exhausted()

    def next_seq(self, place: int) -> int | None:
        """The place in the schedule of a user's next request; None where the run offers no more."""
        return self.places.next_seq(place, self.issued) if self.offering else None

    def withhold(self, arrival: Arrival, flag: str) -> None:
        """Record an arrival that is not sent, and why."""
        record = self.sender.record(arrival)
        record.flags = [flag]
        self.issued += 1
        self.done += 1
        self.sink.keep(record)
        self._on_record(record)

    def _settle(self) -> None:
        if not self.offering and self.in_flight == 0 and self._launched == 0:
            self._idle.set()

    def _keep(self, record: Record) -> None:
        self.done += 1
        if record.sent_ns is not None:
            self.health.send_lags_ns.append(record.sent_ns - record.scheduled_ns)
        self.sink.keep(record)
        paused_ns = self.conduct.paused_until_ns
        if stop := self.conduct.react(record):
            self.stop(stop)
        self._on_record(record)
        if self.conduct.paused_until_ns > paused_ns:
            self.on_pause()

    # Each second.

    def _breathe(self) -> None:
        """Between two slices of work: look at the sockets, and let the others go where a millisecond is over."""
        self.receiver.look()
        now_ns = self.receiver.now_ns()
        if now_ns - self._breathed_ns > SLICE_NS:
            gevent.sleep(0)
            self._breathed_ns = self.receiver.now_ns()

    def _sample(self) -> None:
        while True:
            gevent.sleep(SAMPLE_S)
            try:
                self._write_sample()
                self.sink.flush()
            except DiskFullError as error:
                self.stop(Stop("disk_full", f"disk full: {error}"))
                return
            except Exception:  # noqa: BLE001 - a flaw of ours: it is shown; the rows are kept and tried again
                gevent.get_hub().handle_error(self, *sys.exc_info())
            if self.sink.full:
                self.stop(Stop("disk_full", "disk full: the last rows took the reserve"))
                return

    def _write_sample(self) -> None:
        self.sink.sample(self.health.sample(in_flight=self.in_flight, issued=self.issued, done=self.done))
