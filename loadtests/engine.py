"""
One process' share of a run: its receiver, its sender, its sink, its health, and what it knows of how the run goes.

The Locust classes of `users` ask the engine to send; `dispatch` asks it in open loop. Whoever owns the process (our own
worker, or plain Locust) begins it, tells it to stop, and waits until it is over.
"""

from __future__ import annotations

import sys
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import gevent
import gevent.event

from loadtests.client import Health
from loadtests.plan import BEYOND
from loadtests.send import Arrival, Sender
from loadtests.sink import DiskFullError, Sink
from loadtests.wire.receiver import SLICE_NS, Receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from loadtests.plan import Plan
    from loadtests.profiles import Profile
    from loadtests.record import Record
    from loadtests.workload import Request

SAMPLE_S: Final = 1.0
REFUSALS: Final = frozenset({401, 402, 403})
DEFAULT_PAUSE_S: Final = 1.0
"""How long a 429 without Retry-After pauses this process."""

MAX_PAUSE_S: Final = 3600.0

NO_CONNECTION: Final = frozenset({"dns", "connect", "tls", "timeout_connect"})
BACK_OFF_NS: Final = 200_000_000
"""How long closed-loop users wait after a failed connection: the next one would fail at once, thousands of times."""

OUT_OF_FILES: Final = ("EMFILE", "ENFILE")


class Engine:
    """
    Offers one worker's share of a plan and records what came back.

    Args:
        parts: The run's parts directory.
        environ: Where the profile's key is looked up.
        on_record: Called with every finished record (live figures, Locust's events).

    Attributes:
        stopping: Why no more load is offered; "" while it is.
        issued, done, in_flight: Requests of this process.
        schedule, closed: The plan's, made before the start: an hour of arrivals takes a while; the other one is None.
        users: The Locust users of this process by their place.
        last_due_ns: The last arrival of the schedule whose moment has come.
        paused_until_ns: Arrivals before this moment of the run are not sent: the provider asked for it.
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
        self.sender = Sender(
            plan.target(profile), self.receiver, key=profile.api_key(environ), worker=worker, keep=self._keep
        )
        self.stopping = ""
        self.issued = self.done = self.in_flight = 0
        self.paused_until_ns = -1
        self.no_connection_until_ns = -1
        self.last_due_ns = -1
        self.offering = True
        self.began = False
        self.users: dict[int, Any] = {}
        self.closed = plan.closed_schedule() if plan.mode == "closed" else None
        self.schedule = plan.open_schedule() if plan.mode == "open" else None
        self._beyond = count(BEYOND + self.worker, self.plan.workers)
        self._entered = 0
        self._launched = 0
        self._on_record = on_record
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
        if self.closed is not None and self.plan.duration_s is not None:
            gevent.spawn_later(max(0.0, self.plan.duration_s - self.receiver.now_ns() / 1e9), self.exhausted)

    def stop(self, reason: str) -> None:
        """Offer no more; what is in flight goes on."""
        if not self.stopping:
            self.stopping = reason
        self.exhausted()

    def exhausted(self) -> None:
        """Nothing more is offered: the schedule is over, or the run is."""
        self.offering = False
        self.receiver.wake()
        self._settle()

    def cancel(self, flag: str) -> None:
        """End what is in flight now; each request is recorded as cancelled by `flag`."""
        self.sender.cancel_flag = flag
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
        self.health.stop()
        self.sender.close()
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
            deliver(arrival)
        finally:
            self._launched -= 1
            self._settle()

    def send(self, arrival: Arrival) -> Record:
        """Send in this greenlet and wait for the answer."""
        greenlet = gevent.getcurrent()
        self.issued += 1
        self.in_flight += 1
        self._idle.clear()
        self._active.add(greenlet)
        try:
            return self.sender.send(arrival)
        finally:
            self._active.discard(greenlet)
            self.in_flight -= 1
            self._settle()

    # Closed-loop users.

    def enter(self, user: Any) -> int:
        """A user comes: the lowest free place among this worker's users."""
        self._entered += 1
        place = next(place for place in count(self.worker, self.plan.workers) if place not in self.users)
        self.users[place] = user
        return place

    def leave(self, place: int) -> None:
        """A user goes; when all who were to come have gone, a closed loop is over."""
        self.users.pop(place, None)
        if self.closed is not None and not self.users:
            all_came = self._entered >= len(self.closed.users_of(self.worker, self.plan.workers))
            if all_came or self._handed_out():
                self.exhausted()

    def _handed_out(self) -> bool:
        """Every request that a bounded closed loop may make has been made; known where one process has all users."""
        most = self.plan.requests
        return self.plan.workers == 1 and most is not None and self.issued >= most

    def next_seq(self, place: int, turn: int) -> int | None:
        """The place in the schedule of a user's next request; None where the run offers no more."""
        if not self.offering or self.closed is None or self._handed_out():
            return None
        if place >= self.closed.users:
            return next(self._beyond)
        seq = self.closed.seq(place, turn)
        if not self.closed.allows(seq):
            return None
        return seq

    def rest(self) -> None:
        """
        Closed loop: wait while the provider asks for a pause, and a moment where nothing could even be connected.

        Returns early where the run offers no more.
        """
        while self.offering:
            wait_ns = max(self.paused_until_ns, self.no_connection_until_ns) - self.receiver.now_ns()
            if wait_ns <= 0:
                return
            gevent.sleep(min(wait_ns / 1e9, 0.1))

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
        self._react(record)
        self._on_record(record)

    def _react(self, record: Record) -> None:
        """What an answer means for the requests to come."""
        if record.status in REFUSALS:
            self.stop(f"refused: {record.error}")
        elif record.error_kind in NO_CONNECTION:
            self.no_connection_until_ns = self.receiver.now_ns() + BACK_OFF_NS
            if any(text in (record.error or "") for text in OUT_OF_FILES):
                self.stop("out of file descriptors: raise the limit (ulimit -n), or offer less at a time")
        elif record.error_kind == "throttled" or (record.retry_after_s and record.outcome == "error"):
            wait_s = DEFAULT_PAUSE_S if record.retry_after_s is None else min(record.retry_after_s, MAX_PAUSE_S)
            self.paused_until_ns = max(self.paused_until_ns, self.receiver.now_ns() + int(wait_s * 1e9))

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
                self.stop(f"disk full: {error}")
                return
            except Exception:  # noqa: BLE001 - a flaw of ours: it is shown; the rows are kept and tried again
                gevent.get_hub().handle_error(self, *sys.exc_info())
            if self.sink.full:
                self.stop("disk full: the last rows took the reserve")
                return

    def _write_sample(self) -> None:
        self.sink.sample(self.health.sample(in_flight=self.in_flight, issued=self.issued, done=self.done))
