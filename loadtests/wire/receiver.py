"""
The receiver: all connections of a process drained from one epoll in one callback.

In the callback: read, stamp, append. After it, in slices of at most a millisecond and with another look at the sockets
between two of them: answers are framed, and greenlets whose answer is over are woken. Who sleeps until a moment of the
schedule has a watcher of its own and waits for no slice. The kernel stamps the data on arrival (SO_TIMESTAMPNS), so
that a late reader does not make a late number.
"""

from __future__ import annotations

import select
import socket
import sys
from array import array
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from gevent.hub import Waiter, get_hub
from gevent.monkey import get_original

from loadtests import clock
from loadtests.clock import monotonic_ns
from loadtests.errors import Failure
from loadtests.wire.beat import Beat
from loadtests.wire.stamps import NO_STAMP

if TYPE_CHECKING:
    from loadtests.wire.exchange import Exchange
    from loadtests.wire.readable import Readable

SO_TIMESTAMPNS: Final = 35
"""x86-64 and arm64; Python's socket module has no name for it. Source: asm-generic/socket.h."""

READ_BYTES: Final = 16 << 10
ANCILLARY_BYTES: Final = 64
SLICE_NS: Final = 1_000_000
TICK_S: Final = 0.05
UNPARSED_NS: Final = 150_000_000
"""Reads wait this long to be framed, unless they may end their answer or have piled up: many at once cost less."""

LOOK_NS: Final = 300_000
"""Whatever takes longer than this looks at the sockets in between."""

STEP_NS: Final = 100_000
"""A change of the clocks' offset within a second that is no slewing."""

MAX_READY: Final = 256


class Receiver:
    """
    One per process; everything on it runs in the hub's thread.

    Attributes:
        shift_ns: CLOCK_REALTIME - the run's axis; refreshed by `resync`.
        offset: The measurement behind it.
        lags_ns: Delay between receive stamp and reader of every read since somebody last took them.
        reads: Socket reads with response bytes so far.
    """

    def __init__(self) -> None:
        self.zero_ns = 0
        self.offset = clock.measure_offset()
        self.shift_ns = self.offset.offset_ns
        self.lags_ns = array("q")
        self.reads = 0
        self._targets: dict[int, Readable] = {}
        self._live: set[Exchange] = set()
        self._queue: deque[Exchange] = deque()
        self._woken: deque[Waiter[None]] = deque()
        self._sleeper: Any = None
        self._scheduled = self._closed = False
        self._looked_ns = 0
        self._loop = get_hub().loop
        self._epoll: Any = get_original("select", "epoll")()
        self._poll = self._epoll.poll
        self._beat = Beat(self._loop, self._epoll.fileno(), self._turn)
        self._timer = clock.Timer()
        self._alarm = self._loop.io(self._timer.fd, 1)
        self._alarm.start(self._on_time)
        # With no socket asking for stamps the kernel takes none, and is slow to begin: this one always asks.
        self._asking = get_original("socket", "socket")()
        ask_for_stamps(self._asking)
        # A callback would run in the same pass of the loop, over and over; this one lets the others have theirs.
        self._next = self._loop.async_()
        self._next.start(self._again)
        self._ticker = self._loop.timer(TICK_S, TICK_S)
        self._ticker.start(self._tick)

    def set_zero(self, zero_ns: int) -> None:
        """Put the run's start at this moment of the monotonic clock; every stamp is relative to it."""
        self.zero_ns = zero_ns
        self.resync()

    def resync(self) -> None:
        """Measure the offset of the kernel's clock anew: it is slewed and can step."""
        before, self.offset = self.offset, clock.measure_offset()
        if abs(self.offset.offset_ns - before.offset_ns) > STEP_NS:
            self._drain()
            for exchange in tuple(self._live):
                self.frame(exchange)  # what waits was stamped before the step
        self.shift_ns = self.offset.offset_ns + self.zero_ns

    def now_ns(self) -> int:
        """This moment on the run's axis."""
        return monotonic_ns() - self.zero_ns

    def close(self) -> None:
        """Stop watching; the connections are their pool's."""
        self._closed = True
        self._beat.close()
        while self._woken:
            self._woken.popleft().switch(None)
        for watcher in (self._alarm, self._next, self._ticker):
            watcher.stop()
            watcher.close()
        self._asking.close()
        self._epoll.close()
        self._timer.close()

    # Connections and exchanges.

    def add(self, fd: int, target: Readable) -> None:
        """Watch a connected socket from now on."""
        self._targets[fd] = target
        self._epoll.register(fd, select.EPOLLIN)

    def remove(self, fd: int) -> None:
        """Stop watching a socket that is about to be closed."""
        if self._targets.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def begin(self, exchange: Exchange) -> None:
        """Watch over an exchange's patience and frame what comes for it."""
        self._live.add(exchange)
        exchange.resume = self._resume

    def end(self, exchange: Exchange) -> None:
        """The exchange has its outcome."""
        self._live.discard(exchange)

    # Sleeping to the microsecond.

    def sleep_until(self, at_ns: int) -> None:
        """Let this greenlet sleep until a moment of the run's axis, or until `wake`; one sleeper at a time."""
        if self.now_ns() >= at_ns:
            return
        assert self._sleeper is None, "the receiver has one timer"
        self._sleeper = Waiter()
        self._timer.set(at_ns + self.zero_ns)
        try:
            self._sleeper.get()
        finally:
            self._sleeper = None

    def wake(self) -> None:
        """End the sleep of the sleeper, if there is one."""
        if self._sleeper is not None:
            self._loop.run_callback(self._sleeper.switch, None)

    # The timed path.

    def _again(self) -> None:
        self._scheduled = False
        self._turn()

    def _turn(self) -> int:
        reads = self._drain()
        if self._queue or self._woken:
            self._slice()
        return reads

    def _on_time(self) -> None:
        self._timer.clear()
        if self._sleeper is not None:
            self._sleeper.switch(None)

    def look(self) -> None:
        """
        Read what has come meanwhile, if the last look is a while ago.

        To be called now and then by everything that keeps the loop: it switches to nobody. Reads that wait share their
        stamp with the next ones, however honest the stamp is.
        """
        if monotonic_ns() - self._looked_ns > LOOK_NS and not self._closed:
            self._drain()
            self._continue()

    def _drain(self) -> int:
        """Read every socket that is ready, once; how many were."""
        targets = self._targets
        ready = self._poll(0, MAX_READY)
        for fd, _ in ready:
            target = targets.get(fd)
            if target is None:
                continue
            try:
                data, ancillary, _, _ = target.recvmsg(READ_BYTES, ANCILLARY_BYTES)
                exchange = target.exchange
                if exchange is None:
                    target.idle_read()
                    continue
                if exchange.append(data, ancillary[0][2] if ancillary else NO_STAMP, monotonic_ns()):
                    if not data:
                        target.at_eof()
                    self._enqueue(exchange)
            except BlockingIOError:
                continue
            except OSError as error:
                target.lost(error)
            except Exception:  # noqa: BLE001 - an exception here would stop the watcher for good
                get_hub().handle_error(self, *sys.exc_info())
                target.broken()
        self._looked_ns = monotonic_ns()
        return len(ready)

    def _enqueue(self, exchange: Exchange) -> None:
        if not exchange.queued:
            exchange.queued = True
            self._queue.append(exchange)

    # Off it.

    def _slice(self) -> None:
        """Frame what is queued and wake who waits for at most a millisecond; then it is the others' turn."""
        until = monotonic_ns() + SLICE_NS
        while self._queue or self._woken:
            if self._queue:
                self._parse(self._queue.popleft())
            if self._woken:
                self._woken.popleft().switch(None)
            if monotonic_ns() > until:
                self._continue()
                return
            self.look()

    def _resume(self, waiter: Waiter[None]) -> None:
        """Wake a greenlet whose answer is over: in slices, for gevent runs fifty callbacks before it looks up."""
        if self._closed:
            self._loop.run_callback(waiter.switch, None)
            return
        self._woken.append(waiter)
        self._continue()

    def _continue(self) -> None:
        if (self._queue or self._woken) and not self._scheduled:
            self._scheduled = True
            self._next.send()

    def _parse(self, exchange: Exchange) -> None:
        exchange.queued = False
        self.frame(exchange)
        if not exchange.over:
            self._check(exchange, self.now_ns())

    def frame(self, exchange: Exchange) -> None:
        """Frame what has been read for an exchange, and never raise."""
        if not exchange.reads:
            return
        exchange.parsed_ns = self.now_ns()
        self.reads += len(exchange.reads)
        try:
            self.lags_ns.extend(exchange.parse(self.shift_ns, self.zero_ns))
        except Exception as error:  # noqa: BLE001 - a flaw of ours: it is shown, and the others' answers go on
            get_hub().handle_error(self, *sys.exc_info())
            exchange.fail(Failure("protocol", f"firsttoken failed to read this answer: {error!r}"), self.now_ns())

    @staticmethod
    def _check(exchange: Exchange, now_ns: int) -> None:
        if (failure := exchange.expired(now_ns)) is not None:
            exchange.fail(failure, now_ns)

    def _tick(self) -> None:
        """Every 50 ms: frame what has waited long enough, and end what has lost its patience."""
        self._drain()  # where the loop was held, what came meanwhile is still to be read
        now = self.now_ns()
        for exchange in self._live:
            if not exchange.reads:
                self._check(exchange, now)
            elif now - exchange.parsed_ns > UNPARSED_NS or exchange.expired(now) is not None:
                self._enqueue(exchange)  # it may be alive after all
        self._continue()


def ask_for_stamps(sock: Any) -> None:
    """Have the kernel stamp what this socket receives; where it can't, the reads carry the user clock."""
    if sys.maxsize < 1 << 32:
        return  # its stamps are of another size there
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except OSError:
        return
