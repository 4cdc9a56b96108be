"""
Connections: opened, sent on, read by the receiver, kept for reuse.

A connection carries one exchange at a time. While it is idle the receiver still watches it, so that a peer's close is
noticed before the next request is sent into it.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket as names
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import gevent
import gevent.socket
from gevent.monkey import get_original

from loadtests import clock
from loadtests.errors import Failure, of_exception
from loadtests.wire.receiver import READ_BYTES, ask_for_stamps
from loadtests.wire.tls import Tls

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from loadtests.wire.exchange import Exchange
    from loadtests.wire.receiver import Receiver

_socket: Final[Any] = get_original("socket", "socket")  # the plain one: waiting is the receiver's


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a profile's requests go: host, port, and the TLS context where the scheme is https."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class OutOfTimeError(TimeoutError):
    """Our own patience has run out, not the kernel's: no other address will be tried."""


class Connection:
    """
    One TCP connection, with TLS where the origin wants it.

    Args:
        give: Takes it back when another request may use it.
        forget: Called when it was closed.

    Attributes:
        dns_s, connect_s, tls_s: How long opening took; None where the step was not needed.
        tls_version: What was agreed on; None on a plain connection.
        served: Requests sent so far.
        exchange: The one under way; None while idle.
    """

    __slots__ = (
        "_forget",
        "_give",
        "_receiver",
        "at_end",
        "closed",
        "connect_s",
        "dns_s",
        "exchange",
        "fd",
        "recvmsg",
        "served",
        "sock",
        "tls",
        "tls_s",
        "tls_version",
    )

    def __init__(
        self, receiver: Receiver, *, give: Callable[[Connection], None], forget: Callable[[Connection], None]
    ) -> None:
        self._receiver = receiver
        self._give = give
        self._forget = forget
        self.sock: Any = None
        self.recvmsg: Any = None
        self.fd = -1
        self.tls: Tls | None = None
        self.dns_s: float | None = None
        self.connect_s: float | None = None
        self.tls_s: float | None = None
        self.tls_version: str | None = None
        self.served = 0
        self.exchange: Exchange | None = None
        self.closed = False
        self.at_end = False

    # Opening, in the request's own greenlet.

    def open(self, origin: Origin, patience_s: float) -> None:
        """
        Resolve, connect and shake hands.

        Raises:
            Failure: dns, connect, tls or timeout_connect.
        """
        until = clock.monotonic_ns() + int(patience_s * 1e9)
        self._receiver.look()  # hundreds may open at once
        try:
            addresses = self._resolve(origin, until)
            self._connect(addresses, until)
            if origin.tls is not None:
                self._shake(origin.tls, origin.host, until)
        except BaseException as error:
            self.close()
            if not isinstance(error, Exception):
                raise
            failure = of_exception(error, connecting=True)
            raise Failure(failure.kind, f"{origin}: {failure.text}") from None
        self.recvmsg = self.sock.recvmsg
        self._receiver.add(self.fd, self)

    def _resolve(self, origin: Origin, until: int) -> list[tuple[int, Any]]:
        """(family, address) in the resolver's order; an address needs no resolver and takes no time."""
        try:
            ip = ipaddress.ip_address(origin.host)
        except ValueError:
            began = clock.monotonic_ns()
            patience_s = max(0.0, (until - began) / 1e9)
            with gevent.Timeout(patience_s, OutOfTimeError("no address in time")):
                found = gevent.socket.getaddrinfo(origin.host, origin.port, 0, names.SOCK_STREAM)
            self.dns_s = (clock.monotonic_ns() - began) / 1e9
            return [(family, address) for family, _, _, _, address in found]
        return [(names.AF_INET6 if ip.version == 6 else names.AF_INET, (origin.host, origin.port))]

    def _connect(self, addresses: list[tuple[int, Any]], until: int) -> None:
        began = clock.monotonic_ns()
        last: OSError = ConnectionError("the name has no address")
        for family, address in addresses:
            try:
                self._connect_to(family, address, until)
            except OutOfTimeError:
                raise
            except OSError as error:
                last = error
                self._drop()
            else:
                self.connect_s = (clock.monotonic_ns() - began) / 1e9
                return
        try:
            raise last
        finally:
            del last  # its traceback holds this frame: a cycle that nobody would collect

    def _connect_to(self, family: int, address: Any, until: int) -> None:
        self.sock = _socket(family, names.SOCK_STREAM)
        self.sock.setblocking(False)
        self.sock.setsockopt(names.IPPROTO_TCP, names.TCP_NODELAY, 1)
        ask_for_stamps(self.sock)
        self.fd = self.sock.fileno()
        code = self.sock.connect_ex(address)
        if code == errno.EINPROGRESS:
            self._wait_write(until, "no connection")
            code = self.sock.getsockopt(names.SOL_SOCKET, names.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))

    def _shake(self, context: ssl.SSLContext, host: str, until: int) -> None:
        began = clock.monotonic_ns()
        self.tls = Tls(context, host)
        self.tls.handshake(lambda data: self._send_all(data, until), lambda: self._receive(until))
        self.tls_s = (clock.monotonic_ns() - began) / 1e9
        self.tls_version = self.tls.version

    # Sending.

    def send(self, exchange: Exchange, data: bytes, until: int) -> None:
        """
        Put a request on the wire; its answer belongs to this exchange from now on.

        Raises:
            Failure: reset or timeout_total.
        """
        self.exchange = exchange
        exchange.tls = self.tls
        self.served += 1
        self._receiver.begin(exchange)
        try:
            self._send_all(self.tls.encrypt(data) if self.tls is not None else data, until)
        except OSError as error:
            raise of_exception(error, connecting=False) from None
        exchange.sent_ns = self._receiver.now_ns()

    def _send_all(self, data: bytes, until: int) -> None:
        view = memoryview(data)
        while view:
            if self.sock is None:
                raise ConnectionResetError(errno.ECONNRESET, "the peer closed while the request was sent")
            try:
                view = view[self.sock.send(view) :]
            except BlockingIOError:
                self._wait_write(until, "the request could not be sent")

    def _wait_write(self, until: int, what: str) -> None:
        left_s = max(0.0, (until - clock.monotonic_ns()) / 1e9)
        gevent.socket.wait_write(self.fd, timeout=left_s, timeout_exc=OutOfTimeError(f"{what} in time"))

    def _receive(self, until: int) -> bytes:
        """Some bytes of the handshake, before the receiver has the socket."""
        left_s = max(0.0, (until - clock.monotonic_ns()) / 1e9)
        gevent.socket.wait_read(self.fd, timeout=left_s, timeout_exc=OutOfTimeError("no TLS handshake in time"))
        self._receiver.look()  # a step of a handshake takes a millisecond, and hundreds may shake hands at once
        data: bytes = self.sock.recv(READ_BYTES)
        return data

    # What the receiver reads but cannot just append.

    def at_eof(self) -> None:
        """The peer has closed: a socket at its end stays readable for ever."""
        self.at_end = True
        self._receiver.remove(self.fd)

    def idle_read(self) -> None:
        """Closed while idle, or bytes that nobody asked for."""
        self.close()

    def lost(self, error: OSError) -> None:
        """The kernel says that the connection has failed."""
        exchange = self.exchange
        if exchange is not None:
            self._receiver.frame(exchange)
            exchange.fail(of_exception(error, connecting=False), self._receiver.now_ns())
        self.close()

    def broken(self) -> None:
        """Something unforeseen was raised while reading."""
        if self.exchange is not None:
            self.exchange.fail(Failure("protocol", "firsttoken failed to read this answer"), self._receiver.now_ns())
        self.close()

    # The end.

    def done(self, exchange: Exchange) -> None:
        """The exchange is over: keep the connection if another request may use it, else close it."""
        self._receiver.end(exchange)
        self.exchange = None
        whole = exchange.complete and exchange.sent_ns is not None
        tidy = exchange.keep_alive and not exchange.extra and not exchange.reads
        if whole and tidy and not self.at_end and not self.closed:
            self._give(self)
        else:
            self.close()

    @property
    def is_fresh(self) -> bool:
        """Idle and still open: neither a close nor stray bytes wait to be read."""
        try:
            self.sock.recv(1, names.MSG_PEEK)
        except BlockingIOError:
            return not self.closed
        except (OSError, AttributeError):
            return False
        return False

    def close(self) -> None:
        """Close the socket; harmless where it is closed already."""
        if not self.closed:
            self.closed = True
            self._forget(self)
            self._drop()

    def _drop(self) -> None:
        if self.sock is not None:
            self._receiver.remove(self.fd)
            self.sock.close()
            self.sock = self.recvmsg = None
