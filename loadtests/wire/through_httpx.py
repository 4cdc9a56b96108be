"""
What our own wire does not speak: HTTP/2, and proxies. Requests go through httpcore, httpx's own transport.

The three classes stand where `Exchange`, `Connection` and `Pool` stand on our own wire, and a record made here differs
in its clock: a piece of a body carries the moment when the read that brought it returned to this process. Two more
things follow from httpcore: `dns_s` is null, since resolving is a part of `connect_s`, and `headers_ns` is the read
that completed the head, not its first byte. As on our own wire, each request in flight has a connection to itself,
HTTP/2 or not: no answer waits behind another one, and no limit of streams holds an arrival back.
"""

from __future__ import annotations

import contextlib
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import httpcore
import httpx
from gevent.hub import get_hub

from loadtests import clock, proxies
from loadtests.errors import Failure
from loadtests.wire.httpx_exchange import HttpxExchange, OutOfPatienceError, failure_of
from loadtests.wire.streams import Backend, Frames
from loadtests.wire.tls import trusting

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.wire.receiver import Receiver

TICK_S: Final = 0.05
LATE_NS: Final = 100_000_000
"""A tick that comes this much late does not judge: what has come meanwhile waits in the kernel, unread."""

GRACE_NS: Final = 250_000_000
"""Nor do those that follow it for so long: each answer's greenlet has to get its turn."""

PROXY_WANTS_CREDENTIALS: Final = 407

UNOPENED: Final = frozenset({"reset", "truncated", "protocol"})
"""Kinds that, before there is a connection all the way to the target, say that there will be none."""

OF_THE_WAY: Final = frozenset({"dns", "connect", "timeout_connect"})
"""Kinds whose text says where they happened."""


class HttpxConnection:
    """One connection: a pool of httpcore's that carries one request at a time."""

    def __init__(self, pool: HttpxPool) -> None:
        self._owner = pool
        self._backend = Backend(pool.tls, http2=pool.http2)
        self._pool: httpcore.ConnectionPool | None = httpcore.ConnectionPool(
            ssl_context=pool.tls, proxy=pool.proxy, http1=not pool.http2, http2=pool.http2, max_connections=None,
            network_backend=self._backend,
        )  # fmt: skip
        self._base = (0, 0)
        self._h2_state: Any = None

    def perform(self, exchange: HttpxExchange, request: httpcore.Request, ready: Callable[[], None]) -> None:
        """
        Send a request and read its answer to the end.

        Args:
            exchange: Takes the answer.
            request: Goes out as it is.
            ready: Called when all is there but the moment, and the request is built; may hold it back.

        Raises:
            Failure: Whatever went wrong.
        """
        assert self._pool is not None
        self._backend.began_ns = 0
        request.extensions["trace"] = partial(self._trace, exchange, ready)
        try:
            response = self._pool.handle_request(request)
            try:
                self._read(exchange, response)
            finally:
                response.close()
        finally:
            request.extensions.clear()  # the trace holds the exchange, and httpcore the request
            if (stream := self._backend.stream) is not None and exchange.opened:
                exchange.received = stream.received - self._base[0]

    def _read(self, exchange: HttpxExchange, response: httpcore.Response) -> None:
        exchange.head(response, self._read_ns())
        if response.status == PROXY_WANTS_CREDENTIALS and self._owner.proxy is not None:
            reason = response.extensions.get("reason_phrase", b"").decode("ascii", "replace")
            raise httpcore.ProxyError(f"{response.status} {reason}")
        for piece in response.iter_stream():
            stamp = self._read_ns()
            self._owner.count()
            try:
                if exchange.take is not None and exchange.take(piece, stamp):
                    exchange.payload_ns = stamp
            except ValueError as error:
                raise Failure("bad_body", str(error)) from None
            if exchange.over:
                return  # its consumer has had enough
        exchange.finish(self._read_ns())

    def _read_ns(self) -> int:
        stream = self._backend.stream
        assert stream is not None
        return stream.read_ns - self._owner.zero_ns

    # What httpcore tells.

    def _trace(self, exchange: HttpxExchange, ready: Callable[[], None], name: str, info: dict[str, Any]) -> None:
        step = name.partition(".")[2]
        stream = self._backend.stream
        if step == "send_connection_init.started" and stream is not None:
            stream.frames = Frames()
            self._h2_state = self._find_h2_state()
        elif step == "send_request_headers.started" and info["request"].method == b"POST":
            assert stream is not None
            if stream.frames is not None:
                stream.frames.stream_id = info["stream_id"]
            self._open(exchange)
            self._base = stream.received, stream.sent
            stream.cork(ready)
        elif step == "send_request_body.complete" and exchange.opened:
            assert stream is not None
            stream.uncork()
            exchange.sent_ns = clock.monotonic_ns() - self._owner.zero_ns
            exchange.bytes_sent = stream.sent - self._base[1]

    def _find_h2_state(self) -> Any:
        """h2's side of the connection, for `close`; None where httpcore has it elsewhere."""
        for connection in self._pool.connections if self._pool is not None else ():
            return getattr(getattr(connection, "_connection", None), "_h2_state", None)
        return None

    def _open(self, exchange: HttpxExchange) -> None:
        """There is a connection, all the way to the target."""
        backend = self._backend
        exchange.opened = True
        exchange.conn_reused, exchange.tls_version = not backend.began_ns, backend.tls_version
        if not exchange.conn_reused:
            exchange.tls_s = backend.tls_s
            exchange.connect_s = (clock.monotonic_ns() - backend.began_ns) / 1e9 - (backend.tls_s or 0.0)

    # Between two requests.

    @property
    def is_fresh(self) -> bool:
        """Idle and still open, and the peer has said nothing more: an HTTP/2 server may have said that it closes."""
        stream = self._backend.stream
        return stream is not None and not stream.is_readable() and not self.is_leaving

    @property
    def is_leaving(self) -> bool:
        """The server takes no more requests here."""
        stream = self._backend.stream
        return stream is not None and stream.frames is not None and stream.frames.leaving

    def close(self) -> None:
        """Close the connection; harmless where it is closed already. No cycle stays: nobody would collect it."""
        if self._pool is not None:
            with contextlib.suppress(Exception):  # HTTP/2's last words find a broken connection
                self._pool.close()
            self._backend.close()
            self._pool = None  # it holds the backend
            if self._h2_state is not None:
                vars(self._h2_state).clear()  # it holds its own bound methods
                self._h2_state = None


class HttpxPool:
    """
    The idle connections to one target; the last one used is the first one taken.

    Args:
        receiver: Its axis is the stamps'.
        url: Where all requests go.
        http2: Speak HTTP/2 and nothing else; without TLS by prior knowledge.
        proxy: A proxy's address; user and password are in the environment.
        tls: The target's context; None: as usual.
        reuse: False: every request opens its own connection.
    """

    def __init__(
        self, receiver: Receiver, url: str, *, http2: bool = False, proxy: str | None = None, tls: Any = None,
        reuse: bool = True,
    ) -> None:  # fmt: skip
        if http2:
            import_module("h2.connection")  # now, and not in the first request
        target = httpx.URL(url)
        self.http2, self.reuse = http2, reuse
        self.tls = (tls or trusting()) if target.scheme == "https" else None
        self.proxy = None if proxy is None else _proxy(proxy, target.scheme)
        self._url = httpcore.URL(
            scheme=target.raw_scheme, host=target.raw_host, port=target.port, target=target.raw_path
        )
        self._via = f"{target.host}:{self._url.origin.port}" if proxy is None else f"proxy {proxy}"
        self._receiver = receiver
        self._idle: list[HttpxConnection] = []
        self._live: set[HttpxExchange] = set()
        self._ticker = get_hub().loop.timer(TICK_S, TICK_S)
        self._ticked_ns = clock.monotonic_ns()
        self._judging_from_ns = 0
        self._ticker.start(self._tick)

    @property
    def zero_ns(self) -> int:
        """What to take from a CLOCK_MONOTONIC stamp to be on the run's axis."""
        return self._receiver.zero_ns

    def count(self) -> None:
        """A piece of an answer has come."""
        self._receiver.reads += 1

    def perform(self, exchange: HttpxExchange, data: bytes, ready: Callable[[], None]) -> None:
        """
        Send prepared bytes, an HTTP/1.1 request with its length, and read the answer to its end.

        Raises:
            Failure: Whatever went wrong; the exchange holds what had come before it.
        """
        connection = self._take()
        self._live.add(exchange)
        try:
            connection.perform(exchange, self._request(data), ready)
        except OutOfPatienceError as error:
            raise self._failure(error.failure, exchange) from None
        except Exception as error:  # noqa: BLE001 - whatever httpcore, h11, h2 or socksio raise
            raise self._failure(error, exchange) from None
        finally:
            self._live.discard(exchange)
            if exchange.keep_alive and self.reuse and not connection.is_leaving:
                self._idle.append(connection)
            else:
                connection.close()

    def _take(self) -> HttpxConnection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_fresh:
                return connection
            connection.close()
        return HttpxConnection(self)

    def _request(self, data: bytes) -> httpcore.Request:
        """The request that the bytes are, as httpcore wants it."""
        head, _, content = data.partition(b"\r\n\r\n")
        lines = [line.partition(b": ") for line in head.split(b"\r\n")[1:]]
        dropped = b"connection" if self.http2 else b""
        headers = [(name, value) for name, _, value in lines if name.lower() != dropped]
        return httpcore.Request("POST", self._url, headers=headers, content=content)

    def _failure(self, error: Exception, exchange: HttpxExchange) -> Failure:
        failure = failure_of(error, answered=exchange.headers_ns is not None)
        if not exchange.opened and failure.kind in UNOPENED:
            failure = Failure("connect", failure.text)
        return Failure(failure.kind, f"{self._via}: {failure.text}") if failure.kind in OF_THE_WAY else failure.bare()

    def _tick(self) -> None:
        """Judge what has taken too long; the loop calls this before it reads, so a late tick gives it time to."""
        last_ns, self._ticked_ns = self._ticked_ns, clock.monotonic_ns()
        if self._ticked_ns - last_ns > TICK_S * 1e9 + LATE_NS:
            self._judging_from_ns = self._ticked_ns + GRACE_NS
        if self._ticked_ns < self._judging_from_ns:
            return
        now_ns = self._receiver.now_ns()
        for exchange in list(self._live):
            if exchange in self._live and (failure := exchange.expired(now_ns)) is not None:
                exchange.give_up(failure)

    def close(self) -> None:
        """Close what is idle."""
        self._ticker.stop()
        self._ticker.close()
        for connection in self._idle:
            connection.close()
        self._idle.clear()


def pool(receiver: Receiver, url: str, http_version: str, proxy: str | None, *, reuse: bool) -> HttpxPool | None:
    """The pool for what our own wire does not speak; None where it speaks it."""
    if http_version == "1.1" and proxy is None:
        return None
    return HttpxPool(receiver, url, http2=http_version == "2", proxy=proxy, reuse=reuse)


def _proxy(address: str, scheme: str) -> httpcore.Proxy:
    tls = trusting() if address.startswith("https:") else None
    return httpcore.Proxy(address, auth=proxies.credentials(address, scheme), ssl_context=tls)
