"""
Our own wire as a transport of httpx: plain httpx code can use it, and its answers say when the kernel received them.

    with httpx.Client(transport=WireTransport(receiver)) as client:
        response = client.post("http://127.0.0.1:8000/v1/chat/completions", json={...})
        response.extensions["stamps"].pieces

An answer is read to its end before it is returned. HTTP/1.1 over TCP or TLS; the body has to fit into memory. A header
that is repeated comes joined with ", " (RFC 9110, 5.3), Set-Cookie too: of several cookies httpx sees one line. HEAD
and CONNECT, whose answers end at the head whatever it says of a length, are refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx

from loadtests import clock
from loadtests.errors import Failure
from loadtests.wire.connection import Origin
from loadtests.wire.exchange import Exchange
from loadtests.wire.pool import Pool
from loadtests.wire.tls import trusting

if TYPE_CHECKING:
    from loadtests.wire.receiver import Receiver

FOREVER_S: Final = 1e6
REFUSED: Final = frozenset({"HEAD", "CONNECT"})
_RAISED: Final = {
    "dns": httpx.ConnectError, "connect": httpx.ConnectError, "tls": httpx.ConnectError,
    "timeout_connect": httpx.ConnectTimeout, "timeout_first_byte": httpx.ReadTimeout,
    "timeout_silence": httpx.ReadTimeout, "timeout_total": httpx.ReadTimeout, "reset": httpx.ReadError,
}  # fmt: skip
"""httpx's exception for each kind of failure; for the rest it is the peer's protocol that is broken."""


@dataclass(slots=True)
class Stamps:
    """
    When an answer came; ns on the receiver's axis.

    Attributes:
        kernel: The stamps are the kernel's.
        pieces: (stamp, bytes) of each piece of the body.
    """

    pieces: list[tuple[int, int]] = field(default_factory=list)
    sent_ns: int | None = None
    headers_ns: int | None = None
    end_ns: int | None = None
    kernel: bool = True


class WireTransport(httpx.BaseTransport):
    """
    Sends httpx's requests on our own wire, a pool of connections for each origin.

    Args:
        receiver: Stamps what comes; its process' only one.
        tls: The context for https; None: httpx's own.
    """

    def __init__(self, receiver: Receiver, *, tls: Any = None) -> None:
        self._receiver = receiver
        self._tls = tls
        self._pools: dict[tuple[str, str, int], Pool] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, wait for the whole answer, and return it with its stamps in `extensions`."""
        if request.method in REFUSED:
            raise httpx.UnsupportedProtocol(f"{request.method} isn't spoken on this transport", request=request)
        patience = request.extensions.get("timeout", {})
        connect_s, read_s = (patience.get(key) or FOREVER_S for key in ("connect", "read"))
        read_ns, total_ns = int(read_s * 1e9), int(FOREVER_S * 1e9)
        stamps, body = Stamps(), bytearray()

        def take(data: bytes, stamp: int) -> bool:
            stamps.pieces.append((stamp, len(data)))
            body.extend(data)
            return True

        exchange = Exchange(
            lambda _: take, first_byte_ns=read_ns, silence_ns=read_ns, total_ns=total_ns,
            started_ns=self._receiver.now_ns(),
        )  # fmt: skip
        try:
            self._talk(request, exchange, connect_s)
            if exchange.failure is not None:
                raise exchange.failure.bare()
        except Failure as failure:
            raise _RAISED.get(failure.kind, httpx.RemoteProtocolError)(str(failure), request=request) from None
        finally:
            exchange.release()
        stamps.headers_ns, stamps.end_ns, stamps.kernel = exchange.headers_ns, exchange.end_ns, exchange.kernel
        stamps.sent_ns = min(exchange.sent_ns or 0, exchange.headers_ns or 0)  # the answer may outrun send()'s return
        return httpx.Response(
            exchange.status or 0, headers=list(exchange.headers.items()), stream=httpx.ByteStream(bytes(body)),
            extensions={"http_version": (exchange.http_version or "").encode(), "stamps": stamps},
        )  # fmt: skip

    def _talk(self, request: httpx.Request, exchange: Exchange, connect_s: float) -> None:
        connection = self._pool(request.url).take(connect_s)
        try:
            connection.send(exchange, _bytes(request), clock.monotonic_ns() + exchange.total_ns)
            exchange.wait()
        except BaseException:
            exchange.fail(Failure("reset", "given up"), self._receiver.now_ns())
            raise
        finally:
            connection.done(exchange)

    def _pool(self, url: httpx.URL) -> Pool:
        secure = url.scheme == "https"
        place = url.scheme, url.host, url.port or (443 if secure else 80)
        if place not in self._pools:
            if secure and self._tls is None:
                self._tls = trusting()
            self._pools[place] = Pool(self._receiver, Origin(*place[1:], self._tls if secure else None))
        return self._pools[place]

    def close(self) -> None:
        """Close the idle connections."""
        for pool in self._pools.values():
            pool.close()


def _bytes(request: httpx.Request) -> bytes:
    content = request.read()
    left_out = {b"transfer-encoding", b"content-length"}
    lines = [b"%b: %b" % item for item in request.headers.raw if item[0].lower() not in left_out]
    head = [b"%b %b HTTP/1.1" % (request.method.encode(), request.url.raw_path), *lines]
    return b"\r\n".join([*head, b"Content-Length: %d\r\n\r\n%b" % (len(content), content)])
