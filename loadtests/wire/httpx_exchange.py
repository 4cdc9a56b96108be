"""
An answer that comes through httpcore: an `Exchange` that is told what came instead of framing it, and how it fails.

Stamps are those of the user clock; patience, headers and outcome are the same as on our own wire.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import gevent
import httpcore

from loadtests import proxies
from loadtests.errors import Failure, of_exception
from loadtests.wire.exchange import Exchange

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.wire.body import Take


class OutOfPatienceError(BaseException):
    """
    Thrown into a greenlet whose answer has taken too long.

    Not an `Exception`: libraries in between keep those and hand them on to others.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__()
        self.failure = failure


class HttpxExchange(Exchange):
    """
    One request's answer, as httpcore hands it on.

    Attributes:
        connect_ns: The patience with connecting; from the start.
        opened: The request has a connection.
        conn_reused, connect_s, tls_s, tls_version: Of that connection; connect_s with what a proxy was told first.
        bytes_sent: Of the request; None until it is sent.
    """

    __slots__ = ("_greenlet", "bytes_sent", "conn_reused", "connect_ns", "connect_s", "opened", "tls_s", "tls_version")

    def __init__(self, on_headers: Callable[[Exchange], Take], *, connect_ns: int, **patience: int) -> None:
        super().__init__(on_headers, **patience)
        self._greenlet = gevent.getcurrent()
        self.kernel = False
        self.connect_ns = connect_ns
        self.opened = False
        self.conn_reused: bool | None = None
        self.connect_s: float | None = None
        self.tls_s: float | None = None
        self.tls_version: str | None = None
        self.bytes_sent: int | None = None

    def expired(self, now_ns: int) -> Failure | None:
        """Which patience has run out at this moment of the axis, if any has."""
        if not self.opened and now_ns - self.started_ns > self.connect_ns:
            return Failure("timeout_connect", f"no connection within {self.connect_ns / 1e9:g} s")
        return super().expired(now_ns)

    def give_up(self, failure: Failure) -> None:
        """Have the greenlet that waits for this answer wait no more."""
        self._greenlet.throw(OutOfPatienceError(failure))

    def head(self, response: httpcore.Response, at_ns: int) -> None:
        """The head of the answer; `take` takes the body from here on."""
        self.status = response.status
        self.headers_ns = at_ns
        self.http_version = response.extensions["http_version"].decode("ascii", "replace")
        for name, value in response.headers:
            self.on_header(name, value)
        self.take = self._on_headers(self)

    def finish(self, at_ns: int) -> None:
        """The answer has come whole; whether the connection is still good, httpcore knows."""
        self.complete = self.keep_alive = True
        self.end_ns = at_ns


def failure_of(error: Exception, *, answered: bool) -> Failure:
    """The failure that an exception of httpcore, or of what it uses, stands for."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, httpcore.ProxyError):
        hint = f" (user and password come from {proxies.VARIABLES})" if str(error).startswith("407") else ""
        return Failure("connect", f"{error}{hint}")
    if isinstance(error, httpcore.RemoteProtocolError):
        return _broken(error, answered=answered)
    if isinstance(error, httpcore.NetworkError):
        return Failure("reset", str(error))
    if isinstance(error, OSError):
        return of_exception(error, connecting=False)
    return Failure("protocol", str(error) or type(error).__name__)


def _broken(error: httpcore.RemoteProtocolError, *, answered: bool) -> Failure:
    """A peer that closed, gave the stream up, or does not keep to the protocol."""
    text, said = str(error), error.args[0] if error.args else None
    if (code := getattr(said, "error_code", None)) is not None:
        return Failure("reset", f"RST_STREAM with error {int(code)} (RFC 9113, 7)")
    if "disconnected" not in text and not text.startswith("peer closed"):
        return Failure("protocol", text)
    if answered:
        return Failure("truncated", "the connection was closed in the middle of the answer")
    return Failure("reset", "the connection was closed before the first byte of an answer")
