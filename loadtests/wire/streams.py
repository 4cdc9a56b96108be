"""
Network streams for httpcore, the transport under httpx: a greenlet's own socket, TLS, and the moment of every read.

What our own wire does not speak goes through these. httpcore's own streams would block the whole process wherever it
is not monkey-patched, and could not say when a piece of a body was read.
"""

from __future__ import annotations

import select
import socket as names
import ssl
from typing import TYPE_CHECKING, Any, Final

import gevent.socket
import httpcore
from gevent.monkey import get_original

from loadtests import clock
from loadtests.errors import Failure, of_exception
from loadtests.wire.tls import Tls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

READ_BYTES: Final = 64 << 10
FRAME_HEAD: Final = 9
GOAWAY: Final = 7
MAX_FRAME: Final = 16 << 10
"""Bytes in a frame's payload, unless the receiver allows more, which we do not. Source: RFC 9113, 4.2."""


class Stream(httpcore.NetworkStream):
    """
    A TCP connection.

    Attributes:
        read_ns: CLOCK_MONOTONIC of the last read, as it returned.
        received, sent: Bytes of plain text so far.
        frames: What looks at the frames of HTTP/2 where that is spoken.
    """

    def __init__(self, sock: Any, backend: Backend) -> None:
        self._sock = sock
        self._backend = backend
        self.read_ns = 0
        self.received = self.sent = 0
        self.frames: Frames | None = None
        self._corked: list[bytes] | None = None
        self._ready: Callable[[], None] | None = None

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - the exchange has patience
        """Some bytes as they came; b"" at the end."""
        self.uncork()  # HTTP/2 reads in mid-request where its window is full
        while True:
            if self.frames is not None and self.frames.over is not None:
                raise self.frames.over
            data = self._receive(max_bytes)
            self.received += len(data)
            if self.frames is None or not data:
                return data
            if passed := self.frames.passed(data):
                return passed

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - the same
        """Send all of it, or keep it until `uncork`."""
        if self._corked is not None:
            self._corked.append(buffer)
        elif buffer:
            self._send(buffer)
            self.sent += len(buffer)

    def cork(self, ready: Callable[[], None]) -> None:
        """Keep what is written from now on: a request is built piece by piece, and shall go out as one."""
        self._corked, self._ready = [], ready

    def uncork(self) -> None:
        """Send what was kept, after `ready` has returned."""
        if self._corked is not None and self._ready is not None:
            data, ready = b"".join(self._corked), self._ready
            self._corked = self._ready = None
            ready()
            self.write(data)

    def _receive(self, max_bytes: int) -> bytes:
        try:
            data: bytes = self._sock.recv(max_bytes)
        except OSError as error:
            raise of_exception(error, connecting=False) from None
        self.read_ns = clock.monotonic_ns()
        return data

    def _send(self, data: bytes) -> None:
        try:
            self._sock.sendall(data)
        except OSError as error:
            # In httpcore's words: it then looks for an early answer, which may say why.
            raise httpcore.WriteError(of_exception(error, connecting=False).text) from None

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> Stream:
        """The same connection with TLS from here on; inside another TLS where this stream has one."""
        del timeout
        return self._backend.secure(self, ssl_context, server_hostname or "")

    def get_extra_info(self, info: str) -> Any:
        """Whether the peer has closed, or said something that nobody asked for."""
        return self.is_readable() if info == "is_readable" else None

    def is_readable(self) -> bool:
        """Whether a read would return at once."""
        poll = get_original("select", "poll")()
        if self._sock.fileno() < 0:
            return True
        poll.register(self._sock.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()


class TlsStream(Stream):
    """TLS over another stream."""

    def __init__(self, lower: Stream, tls: Tls, backend: Backend) -> None:
        super().__init__(lower._sock, backend)  # noqa: SLF001 - one family
        self._lower = lower
        self._tls = tls

    def _receive(self, max_bytes: int) -> bytes:
        try:
            data, ended = self._tls.decrypt(b"")  # the peer may have spoken right behind its part of the handshake
            while not data and not ended:
                sealed = self._lower.read(max_bytes)
                if not sealed:
                    return b""
                data, ended = self._tls.decrypt(sealed)
        except ssl.SSLError as error:
            raise of_exception(error, connecting=False) from None
        self.read_ns = self._lower.read_ns
        return data

    def _send(self, data: bytes) -> None:
        self._lower.write(self._tls.encrypt(data))

    def get_extra_info(self, info: str) -> Any:
        """What httpcore asks for: the session, which knows the protocol that the peer chose."""
        return self._tls if info == "ssl_object" else super().get_extra_info(info)


class Backend(httpcore.NetworkBackend):
    """
    Opens the connection of one httpcore pool and remembers what it is.

    Args:
        tls: The context of the target, as against a proxy's; None for plain HTTP.
        http2: The target has to speak HTTP/2.

    Attributes:
        stream: The outermost stream: what the request is written to.
        began_ns: When opening it began.
        tls_s: How long the target's handshake took; `tls_version` is what it agreed on.
    """

    def __init__(self, tls: ssl.SSLContext | None, *, http2: bool) -> None:
        self._tls = tls
        self._http2 = http2
        self.stream: Stream | None = None
        self.began_ns = 0
        self.tls_s: float | None = None
        self.tls_version: str | None = None

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the exchange has patience
        local_address: str | None = None,  # noqa: ARG002 - httpcore's signature
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002 - httpcore's signature
    ) -> Stream:
        """Resolve and connect."""
        self.began_ns = clock.monotonic_ns()
        try:
            sock = gevent.socket.create_connection((host, port))
            sock.setsockopt(names.IPPROTO_TCP, names.TCP_NODELAY, 1)
        except (OSError, UnicodeError) as error:
            raise of_exception(error, connecting=True) from None
        self.stream = Stream(sock, self)
        return self.stream

    def secure(self, lower: Stream, context: ssl.SSLContext, host: str) -> Stream:
        """Shake hands; a target that will not speak HTTP/2 where it has to is refused before anything is sent."""
        began = clock.monotonic_ns()
        tls = Tls(context, host)
        try:
            tls.handshake(lower.write, lambda: lower.read(READ_BYTES))
        except ssl.SSLError as error:
            raise Failure("tls", f"{host}: {of_exception(error, connecting=True).text}") from None
        if context is self._tls:
            self.tls_s, self.tls_version = (clock.monotonic_ns() - began) / 1e9, tls.version
            if self._http2 and tls.selected_alpn_protocol() != "h2":
                raise Failure("tls", f"{host}: it does not offer HTTP/2 (ALPN)")
        self.stream = TlsStream(lower, tls, self)
        return self.stream

    def close(self) -> None:
        """Close the connection, if there is one, and break the cycles of stream and backend, frames and failure."""
        if self.stream is not None:
            self.stream.close()
            self.stream.frames = None
            self.stream = None


class Frames:
    """
    The frames of an HTTP/2 connection, passed on whole; a GOAWAY is understood here.

    A server that says GOAWAY without an error finishes what it took, as RFC 9113, 6.8 has it (nginx does so every
    1,000 requests). httpcore and h2 would give such a request up, or send it again where it was not taken.

    Attributes:
        stream_id: Of the request at hand.
        leaving: The server takes no more requests on this connection.
        over: Why nothing more is to be expected from it; None while something is.
    """

    def __init__(self) -> None:
        self.stream_id = 0
        self.leaving = False
        self.over: Failure | None = None
        self._rest = b""

    def passed(self, data: bytes) -> bytes:
        """The frames that these bytes complete."""
        rest, passed, at = self._rest + data, [], 0
        while len(rest) - at >= FRAME_HEAD and self.over is None:
            size = int.from_bytes(rest[at : at + 3])
            if size > MAX_FRAME:
                self.over = Failure("protocol", f"not HTTP/2: {_line(rest[at : at + 40])}")
            end = at + FRAME_HEAD + size
            if end > len(rest):
                break
            if rest[at + 3] == GOAWAY:
                self._leave(rest[at + FRAME_HEAD : end])
            else:
                passed.append(rest[at:end])
            at = end
        self._rest = rest[at:]
        return b"".join(passed)

    def _leave(self, said: bytes) -> None:
        last, code = int.from_bytes(said[:4]) & 0x7FFFFFFF, int.from_bytes(said[4:8])
        self.leaving = True
        if code:
            self.over = Failure("reset", f"GOAWAY with error {code} (RFC 9113, 7) {_line(said[8:])}".rstrip())
        elif last < self.stream_id:
            self.over = Failure("reset", "GOAWAY: the server did not take the request")


def _line(data: bytes) -> str:
    """What a peer said, up to the end of its first line, without what a terminal would act on."""
    text = data.decode("utf-8", "replace").lstrip().partition("\n")[0]
    return "".join(char if char.isprintable() else " " for char in text).rstrip()
