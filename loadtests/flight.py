"""What is under way in one process: counted, capped where the plan says so, cancelled, waited for."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import gevent
import gevent.event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loadtests.arrival import Arrival


class Flight:
    """
    Requests from their launch to their end.

    Args:
        most: In flight at a time; who comes beyond that waits, first come, first served. None: no cap.
        settled: Called when a request is over.

    Attributes:
        issued, done, in_flight: Requests so far; `issued` and `done` with those that were withheld.
        measured: Launched or in flight, and not of the tail.
        cancelled: By which flag all that was in flight was cancelled; "" where it wasn't.
    """

    def __init__(self, most: int | None, settled: Callable[[], None]) -> None:
        self.issued = self.done = self.in_flight = self.measured = 0
        self.cancelled = ""
        self._most = most
        self._settled = settled
        self._launched = 0
        self._open = True
        self._waiting: deque[tuple[Arrival, Callable[..., None], Any]] = deque()
        self._active: dict[Any, Arrival] = {}
        self._idle = gevent.event.Event()

    def launch(self, arrival: Arrival, deliver: Callable[..., None], how: Any) -> None:
        """Have `deliver(how, arrival)` done in a greenlet of its own, at once or when the cap allows it."""
        self.measured += arrival.phase != "drain"
        self._idle.clear()
        if self._most is not None and self._launched >= self._most:
            arrival.flags.append("in_flight_cap")
            self._waiting.append((arrival, deliver, how))
        else:
            self._start(arrival, deliver, how)

    def _start(self, arrival: Arrival, deliver: Callable[..., None], how: Any) -> None:
        self._launched += 1
        gevent.spawn(self._run, arrival, deliver, how)

    def _run(self, arrival: Arrival, deliver: Callable[..., None], how: Any) -> None:
        try:
            deliver(how, arrival)
        finally:
            self._launched -= 1
            self.measured -= arrival.phase != "drain"
            if self._waiting and (self._most is None or self._launched < self._most):
                self._start(*self._waiting.popleft())
            self._settle()

    def allow(self, most: int | None) -> list[Arrival]:
        """So many may be in flight from now on; what is, stays. Returns who waited, where nobody can go any more."""
        self._most = most
        while self._waiting and (most is None or self._launched < most):
            self._start(*self._waiting.popleft())
        dropped = [] if self.may_send else self.drop()
        if dropped:
            self._settle()
        return dropped

    @property
    def may_send(self) -> bool:
        """The cap leaves room for one at least."""
        return self._most != 0

    def begin(self, arrival: Arrival) -> None:
        """A request is sent in this greenlet from now on, until `end`."""
        self.issued += 1
        self.in_flight += 1
        if arrival.user is not None and arrival.phase != "drain":
            self.measured += 1  # an arrival of the schedule counts from its launch on
        self._idle.clear()
        self._active[gevent.getcurrent()] = arrival

    def end(self, arrival: Arrival) -> None:
        """The request that this greenlet sent is over."""
        self._active.pop(gevent.getcurrent(), None)
        self.in_flight -= 1
        if arrival.user is not None and arrival.phase != "drain":
            self.measured -= 1
        self._settle()

    @property
    def waiting(self) -> int:
        """How many the cap keeps back."""
        return len(self._waiting)

    def under_way(self) -> Iterator[Arrival]:
        """What is in flight, and then what waits for the cap, each in its order."""
        yield from self._active.values()
        yield from (waiting[0] for waiting in self._waiting)

    def withheld(self) -> None:
        """A request was not sent, and is over."""
        self.issued += 1
        self.done += 1

    def drop(self, *, tail_only: bool = False) -> list[Arrival]:
        """Take out who waits for the cap, or those of the tail among them: they are not going to be sent."""
        waiting, self._waiting, dropped = self._waiting, deque(), []
        for one in waiting:
            if tail_only and one[0].phase != "drain":
                self._waiting.append(one)
            else:
                dropped.append(one[0])
        self.measured -= sum(arrival.phase != "drain" for arrival in dropped)
        return dropped

    def close(self) -> None:
        """Nothing more will be launched."""
        self._open = False
        self._settle()

    def cancel(self, flag: str) -> None:
        """End what is in flight, and what waits for its turn, now."""
        self.cancelled = flag
        gevent.killall(list(self._active), block=False)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Let this greenlet sleep until nothing is launched any more and nothing is in flight."""
        return bool(self._idle.wait(timeout_s))

    def _settle(self) -> None:
        if not self._open and self.in_flight == 0 and self._launched == 0 and not self._waiting:
            self._idle.set()
        self._settled()
