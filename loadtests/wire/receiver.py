"""
The receiver: all connections of a process drained from one epoll in one callback.

In the callback: read, stamp, append. What follows comes after it, in this order: greenlets whose moment has come are
woken, then answers are framed in slices of at most a millisecond, with another look at the sockets between two slices.
The kernel stamps the data on arrival (SO_TIMESTAMPNS), so that a late reader does not make a late number.
"""

from __future__ import annotations

import select
import struct
import sys
from array import array
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Protocol

from gevent.hub import Waiter, get_hub
from gevent.monkey import get_original

from loadtests import clock
from loadtests.errors import Failure

if TYPE_CHECKING:
    from loadtests.wire.exchange import Exchange

SO_TIMESTAMPNS: Final = 35
"""x86-64 and arm64; Python's socket module has no name for it. Source: asm-generic/socket.h."""

READ_BYTES: Final = 16 << 10
ANCILLARY_BYTES: Final = 64
SLICE_NS: Final = 1_000_000
TICK_S: Final = 0.05
MAX_READY: Final = 256

_TIMESPEC: Final = struct.Struct("qq")


class Readable(Protocol):
    """What the receiver drains: a connection."""

    exchange: Exchange | None

    def ready(self) -> bool:
        """Read once, without blocking; True where its exchange should be framed soon."""

    def broken(self) -> None:
        """Reading raised something unforeseen: close."""


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
        self._sleeper: Any = None
        self._scheduled = False
        self._loop = get_hub().loop
        self._epoll: Any = get_original("select", "epoll")()
        self._timer = clock.Timer()
        self._epoll.register(self._timer.fd, select.EPOLLIN)
        self._watcher = self._loop.io(self._epoll.fileno(), 1)
        self._watcher.start(self._turn)
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
        self.offset = clock.measure_offset()
        self.shift_ns = self.offset.offset_ns + self.zero_ns

    def now_ns(self) -> int:
        """This moment on the run's axis."""
        return clock.monotonic_ns() - self.zero_ns

    def close(self) -> None:
        """Stop watching; the connections are their pool's."""
        self._watcher.stop()
        self._watcher.close()
        self._next.stop()
        self._next.close()
        self._ticker.stop()
        self._ticker.close()
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

    def _turn(self) -> None:
        due = self._drain()
        if due and self._sleeper is not None:
            self._sleeper.switch(None)
        if self._queue:
            self._parse_slice()

    def _drain(self) -> bool:
        """Read every socket that is ready, once; True where the timer's moment has come."""
        due = False
        for fd, _ in self._epoll.poll(0, MAX_READY):
            target = self._targets.get(fd)
            if target is None:
                if fd == self._timer.fd:
                    self._timer.clear()
                    due = True
                continue
            try:
                soon = target.ready()
            except Exception:  # noqa: BLE001 - an exception here would stop the watcher for good
                get_hub().handle_error(self, *sys.exc_info())
                target.broken()
                continue
            if soon and target.exchange is not None:
                self._enqueue(target.exchange)
        return due

    def _enqueue(self, exchange: Exchange) -> None:
        if not exchange.queued:
            exchange.queued = True
            self._queue.append(exchange)

    # Off it.

    def _parse_slice(self) -> None:
        """Frame queued answers for at most a millisecond, then look at the sockets again."""
        until = clock.monotonic_ns() + SLICE_NS
        while self._queue:
            self._parse(self._queue.popleft())
            if clock.monotonic_ns() > until:
                break
        if self._queue and not self._scheduled:
            self._scheduled = True
            self._next.send()

    def _parse(self, exchange: Exchange) -> None:
        exchange.queued = False
        self.reads += len(exchange.reads)
        try:
            self.lags_ns.extend(exchange.parse(self.shift_ns, self.zero_ns))
        except Exception as error:  # noqa: BLE001 - a flaw of ours: it is shown, and the others' answers go on
            get_hub().handle_error(self, *sys.exc_info())
            exchange.fail(Failure("protocol", f"firsttoken failed to read this answer: {error!r}"), self.now_ns())
        if not exchange.over:
            self._check(exchange, self.now_ns())

    @staticmethod
    def _check(exchange: Exchange, now_ns: int) -> None:
        if (failure := exchange.expired(now_ns)) is not None:
            exchange.fail(failure, now_ns)

    def _tick(self) -> None:
        """Every 50 ms: frame what has piled up, and end what has lost its patience."""
        now = self.now_ns()
        for exchange in self._live:
            if exchange.reads:
                self._enqueue(exchange)
            else:
                self._check(exchange, now)
        if self._queue and not self._scheduled:
            self._scheduled = True
            self._next.send()


def stamp_of(ancillary: list[tuple[int, int, bytes]]) -> int:
    """The kernel's receive stamp among recvmsg's ancillary data, CLOCK_REALTIME ns; 0 where there is none."""
    for _, kind, data in ancillary:
        if kind == SO_TIMESTAMPNS and len(data) >= 16:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return int(seconds * 1_000_000_000 + nanoseconds)
    return 0
