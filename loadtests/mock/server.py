"""
The mock's server: one thread, one epoll, and what is due when.

A timerfd in the same epoll wakes it on the microsecond. A write goes straight to the kernel, with its moment taken
right before; what the kernel's buffer has no room for waits in the connection. No reference cycle outlives its
connection, since `serve` switches the garbage collector off.
"""

from __future__ import annotations

import errno
import select
import socket
import struct
from typing import TYPE_CHECKING, Final

from loadtests.clock import Timer, monotonic_ns, realtime_ns
from loadtests.mock.condition import Conditions, Drift, Freezes, Slots
from loadtests.mock.connection import Connection, Delivery
from loadtests.mock.due import Due
from loadtests.mock.figures import Figures
from loadtests.mock.outbox import Outbox
from loadtests.mock.tls import Session

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from loadtests.mock.front import Front
    from loadtests.mock.journal import Journal
    from loadtests.mock.log import Log

BURST: Final = 64
"""Writes that are made before sockets get their turn again, where many are due at once."""

READ_BYTES: Final = 65536
WAITING_REQUESTS: Final = 64
"""Pipelined requests that a connection may have waiting; with more, it is closed."""

IDLE_S: Final = 1.0
_NO_DESCRIPTOR: Final = frozenset({errno.EMFILE, errno.ENFILE})
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER on, 0 seconds: close() sends RST."""


class Server:
    """Serves connections of a listening socket until `stop` is called; without a context for TLS, plain ones."""

    def __init__(
        self,
        listener: socket.socket,
        front: Front,
        logs: tuple[Log | None, Journal | None] = (None, None),
        tls: ssl.SSLContext | None = None,
        conditions: Conditions | None = None,
    ) -> None:
        self._listener = listener
        self._front = front
        self._log = logs[0]
        self._logs = tuple(log for log in logs if log is not None)
        self._tls = tls
        state = conditions or Conditions()
        drifts_from_ns = realtime_ns() if state.drift_from_s is None else round(state.drift_from_s * 1e9)
        self._drift = Drift(state.drift, drifts_from_ns) if state.drift else None
        self._slots = Slots(state.slots)
        self._figures = Figures(self._slots)
        self._timer = Timer()
        self._armed_ns = 0
        self._due = Due()
        self._connections: dict[int, Connection] = {}
        self._stops = self._is_full = False
        self._epoll = select.epoll()
        self._outbox = Outbox(self._epoll, Freezes(state.freezes) if state.freezes else None)
        self._others: dict[int, Callable[[], None]] = {}
        self.watch(listener.fileno(), self._accept)
        # Edge-triggered: setting it again is enough to take note of it, without a read() each time.
        self._epoll.register(self._timer.fd, select.EPOLLIN | select.EPOLLET)

    def watch(self, fd: int, call: Callable[[], None]) -> None:
        """Call this whenever the descriptor is readable."""
        self._epoll.register(fd, select.EPOLLIN)
        self._others[fd] = call

    def stop(self) -> None:
        """Make `run` return."""
        self._stops = True

    def run(self) -> None:
        """Serve."""
        while not self._stops:
            self._play()
            for fd, events in self._epoll.poll(self._patience_s(), 256):
                self._on_event(fd, events)
                self._play()
            for log in self._logs:
                log.tick(monotonic_ns())

    def close(self) -> None:
        """End all connections, noting what they had been sent, and give the descriptors back."""
        for connection in list(self._connections.values()):
            self._close(connection, "shutdown")
        self._due.clear()
        self._epoll.close()
        self._timer.close()

    # What is due.

    def _patience_s(self) -> float:
        """How long the epoll may wait; the timer is set to wake it for what is due first."""
        due_ns = self._outbox.frozen_until_ns() or self._due.first_ns()
        if due_ns is None:
            return IDLE_S
        if due_ns <= monotonic_ns():
            return 0.0
        if due_ns != self._armed_ns:
            self._timer.set(due_ns)
            self._armed_ns = due_ns
        return IDLE_S

    def _play(self) -> None:
        """Make the writes that are due, a burst of them at most."""
        due, freezes = self._due, self._outbox.freezes
        if freezes is not None:
            self._outbox.thaw(self._connections)
        for _ in range(BURST):
            if freezes is not None and self._outbox.frozen_until_ns():
                return
            delivery = due.pop(monotonic_ns())
            if delivery is None:
                return
            next_ns = self._step(delivery)
            if next_ns:
                due.go_on(next_ns, delivery)

    def _step(self, delivery: Delivery) -> int:
        """Make the next write, and with the last but one the last; when the next is due, monotonic ns, 0 if none is."""
        connection = delivery.connection
        if connection is None:
            return 0
        data = connection.seal(next(delivery.writes))
        delivery.stamps.append(realtime_ns())
        if not self._send(connection, data):
            return 0
        delivery.position = position = delivery.position + 1
        if position < len(delivery.offsets_ns):
            return delivery.start_ns + delivery.offsets_ns[position]
        rest = next(delivery.writes)
        if not rest or self._send(connection, connection.seal(rest)):
            self._end(connection, delivery)
        return 0

    def _end(self, connection: Connection, delivery: Delivery) -> None:
        """All is written: what becomes of the connection?"""
        ending = delivery.answer.ending
        if ending == "stall":  # the delivery stays, so that nothing else is answered; noted when the connection closes
            return
        self._note(delivery, delivery.answer.finish)
        connection.delivery = delivery.connection = None
        self._release()
        if ending == "close" and connection.tls is not None and not self._send(connection, connection.tls.goodbye()):
            return
        if ending == "reset":
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._close(connection)
        elif ending == "keep":
            self._advance(connection)
        elif connection.out:
            connection.closes = True
        else:
            self._close(connection)

    def _note(self, delivery: Delivery, finish: str) -> None:
        self._figures.add(delivery, finish)
        if self._log is not None and delivery.answer.number:
            self._log.add(delivery.truth(finish))

    # Bytes out.

    def _send(self, connection: Connection, data: bytes) -> bool:
        """Send bytes of an answer, or keep what the kernel has no room for. False if the client is gone."""
        if self._outbox.send(connection, data):
            return True
        self._lose(connection)
        return False

    def _reply(self, connection: Connection, data: bytes) -> bool:
        """The same of bytes that are no part of an answer, so that they may come in a freeze."""
        return self._outbox.keep(connection, data) or self._send(connection, data)

    def _flush(self, connection: Connection) -> None:
        """The kernel has room again."""
        if not self._outbox.flush(connection):
            self._close(connection)

    # Bytes in.

    def _on_event(self, fd: int, events: int) -> None:
        connection = self._connections.get(fd)
        if connection is None:
            if fd in self._others:
                self._others[fd]()
            return
        if events & ~select.EPOLLOUT:
            self._read(connection)
        if events & select.EPOLLOUT and self._connections.get(fd) is connection and connection.out:
            self._flush(connection)

    def _accept(self) -> None:
        """Take all clients that wait; out of descriptors, they wait until a connection closes."""
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError as error:
                if error.errno in _NO_DESCRIPTOR and self._connections:
                    self._epoll.unregister(self._listener.fileno())  # it would wake the loop again and again
                    self._is_full = True
                return
            sock.setblocking(False)
            connection = Connection(sock, Session(self._tls) if self._tls else None)
            self._connections[connection.fd] = connection
            self._epoll.register(connection.fd, select.EPOLLIN)

    def _read(self, connection: Connection) -> None:
        try:
            data = connection.sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        moments = monotonic_ns(), realtime_ns()
        if data and connection.tls is not None:
            data, reply, is_over = connection.tls.receive(data)
            if reply and not self._reply(connection, reply):
                return
            if not data and not is_over:
                return
        if not data:
            self._close(connection)
            return
        if connection.closes:  # what comes after its last request is none
            return
        for request in connection.reader.feed(data):
            connection.waiting.append((request, *moments))
        if len(connection.waiting) > WAITING_REQUESTS:
            self._close(connection)
            return
        if connection.reader.awaits_continue and connection.delivery is None and not connection.waiting:
            connection.reader.awaits_continue = False
            self._reply(connection, connection.seal(b"HTTP/1.1 100 Continue\r\n\r\n"))
        self._advance(connection)

    def _advance(self, connection: Connection) -> None:
        """Begin the next answer, unless one is on its way: pipelined requests are answered in order."""
        if connection.delivery is None and connection.waiting:
            told = self._figures.answers(connection, self._connections.values())
            if told and not self._reply(connection, told):
                return
        if connection.delivery is None and connection.waiting and self._slots.take(connection):
            self._begin(connection, connection.waiting[0][1])

    def _begin(self, connection: Connection, start_ns: int) -> None:
        """Answer its next request, as if all of it had been read at that moment."""
        request, _, read_ns = connection.waiting.popleft()
        answer, ask = self._front.answer(request, read_ns // 1_000_000_000, start_ns)
        if self._outbox.freezes is not None and answer.number:
            self._outbox.freezes.begin(start_ns)
        connection.delivery = delivery = Delivery(connection, answer, ask, (start_ns, read_ns))
        if self._drift is not None:
            delivery.offsets_ns = self._drift.stretched(answer.offsets_ns, read_ns)
        self._due.begin(start_ns + delivery.offsets_ns[0], delivery)

    def _release(self) -> None:
        """An answer is over: its slot is for whoever has waited longest."""
        following = self._slots.free()
        if following is not None:
            self._begin(following, monotonic_ns())

    # The end of a connection.

    def _lose(self, connection: Connection) -> None:
        """A write failed: its stamp is none."""
        if connection.delivery is not None and connection.delivery.position < len(connection.delivery.stamps):
            connection.delivery.stamps.pop()
        self._close(connection)

    def _close(self, connection: Connection, why: str = "disconnected") -> None:
        """Close, note the answer that was on its way, and break the cycles."""
        delivery = connection.delivery
        if delivery is not None:
            has_stalled = delivery.answer.ending == "stall" and delivery.position == len(delivery.offsets_ns)
            self._note(delivery, "stall" if has_stalled else why)
            connection.delivery = delivery.connection = None
            self._release()
        connection.waiting.clear()
        del self._connections[connection.fd]
        connection.reader.close()
        connection.sock.close()
        if self._is_full:
            self._epoll.register(self._listener.fileno(), select.EPOLLIN)
            self._is_full = False
