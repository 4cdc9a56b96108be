"""
One answer on the wire: the reads as they came, and the HTTP/1.1 response framed from them afterwards.

The receiver appends (bytes, kernel stamp, user stamp) and nothing more. `parse` runs later, in slices: it puts the
stamps on the run's axis, feeds llhttp and hands body bytes on with the stamp of the read that brought them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httptools
from gevent.hub import Waiter

from loadtests.errors import Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.wire.tls import Tls

SMALL_READ: Final = 5
"""A read shorter than this may be the tail of a chunked body's last five bytes."""

PARSE_AT_BYTES: Final = 16 << 10

Read = tuple[bytes, int, int]
"""(bytes, kernel receive stamp as CLOCK_REALTIME ns or 0, moment of the read as CLOCK_MONOTONIC ns)."""


class Exchange:
    """
    One request's answer, from its first read to its end.

    Args:
        on_headers: Called once with the exchange when the head of the final response is complete; returns what takes
            the body: a function of (bytes, stamp) that says whether they carried payload (keep-alives do not).
        first_byte_ns, silence_ns, total_ns: The patience, in ns: from sent to the first byte, between payloads, over
            all.

    Attributes:
        stamps are ns on the axis that `parse` was given. `headers_ns` is the first response byte's, `end_ns` the
        last one's. `complete` and `failure` say how it ended; exactly one is set in the end.
    """

    __slots__ = (
        "_body", "_chunked", "_head_done", "_message_done", "_on_headers", "_parser", "_remaining",
        "_session_over", "_stamp", "_waiter",
        "complete", "end_ns", "extra", "failure", "first_byte_ns", "headers", "headers_ns", "http_version",
        "keep_alive", "kernel", "payload_ns", "pending", "queued", "reads", "received", "sent_ns", "silence_ns",
        "started_ns", "status", "tls", "total_ns", "wake_lag_max_ns",
    )  # fmt: skip

    def __init__(
        self,
        on_headers: Callable[[Exchange], Callable[[bytes, int], bool]],
        *,
        first_byte_ns: int,
        silence_ns: int,
        total_ns: int,
        started_ns: int,
    ) -> None:
        self.first_byte_ns, self.silence_ns, self.total_ns = first_byte_ns, silence_ns, total_ns
        self.started_ns = started_ns
        self.sent_ns: int | None = None
        self.reads: list[Read] = []
        self.pending = 0
        self.queued = False
        self.tls: Tls | None = None
        self.headers: dict[bytes, bytes] = {}
        self.status: int | None = None
        self.http_version: str | None = None
        self.headers_ns: int | None = None
        self.payload_ns: int | None = None
        self.end_ns: int | None = None
        self.received = 0
        self.kernel = True
        self.wake_lag_max_ns = 0
        self.keep_alive = False
        self.extra = False
        self.complete = False
        self.failure: Failure | None = None
        self._on_headers = on_headers
        self._body: Callable[[bytes, int], bool] | None = None
        self._parser: Any = httptools.HttpResponseParser(self)
        self._waiter: Any = None
        self._stamp = 0
        self._remaining: int | None = None
        self._chunked = False
        self._head_done = False
        self._message_done = False
        self._session_over = False

    # While reading.

    def append(self, data: bytes, kernel: int, user: int) -> bool:
        """Keep one read (empty: the peer closed); True where it may be the last, or where much has piled up."""
        self.reads.append((data, kernel, user))
        self.pending += len(data)
        if not self._head_done or self.tls is not None or len(data) < SMALL_READ:
            return True
        if self._remaining is not None:
            return self.pending >= self._remaining or self.pending >= PARSE_AT_BYTES
        return data[-4:] == b"\r\n\r\n" or self.pending >= PARSE_AT_BYTES

    @property
    def over(self) -> bool:
        """The answer is complete or has failed."""
        return self.complete or self.failure is not None

    def expired(self, now_ns: int) -> Failure | None:
        """Which patience has run out at this moment of the axis, if any has."""
        if now_ns - self.started_ns > self.total_ns:
            return Failure("timeout_total", f"not over after {self.total_ns / 1e9:g} s")
        if self.sent_ns is None:
            return None
        if self.headers_ns is None:
            if now_ns - self.sent_ns > self.first_byte_ns:
                return Failure("timeout_first_byte", f"no response byte within {self.first_byte_ns / 1e9:g} s")
        elif now_ns - (self.payload_ns or self.headers_ns) > self.silence_ns:
            return Failure("timeout_silence", f"nothing but silence for {self.silence_ns / 1e9:g} s")
        return None

    # Afterwards.

    def parse(self, shift_ns: int, zero_ns: int) -> list[int]:
        """
        Frame what has been read so far.

        Args:
            shift_ns: What to take from a CLOCK_REALTIME stamp to be on the run's axis.
            zero_ns: What to take from a CLOCK_MONOTONIC one.

        Returns:
            The delay in ns between receive stamp and reader of each read that has a kernel stamp.
        """
        reads, self.reads, self.pending = self.reads, [], 0
        lags = []
        for data, kernel, user in reads:
            at_ns = user - zero_ns
            if kernel:
                # Nothing is received after it was read: what says so is a clock that was just set forward.
                stamp = min(kernel - shift_ns, at_ns)
                lags.append(at_ns - stamp)
            else:
                stamp = at_ns
                self.kernel = self.kernel and not data
            # After loss a later read can carry an earlier stamp: bytes are never readable before those ahead of them.
            self._stamp = max(self._stamp, stamp)
            if not self.over:
                self._take(data)
        if lags:
            self.wake_lag_max_ns = max(self.wake_lag_max_ns, *lags)
        return lags

    def _take(self, data: bytes) -> None:
        at_end = not data
        if data and self.tls is not None:
            try:
                data, at_end = self.tls.decrypt(data)
                self._session_over = self._session_over or at_end
            except OSError as error:
                self.fail(Failure("tls", str(error)), self._stamp)
                return
        if data:
            self._feed(data)
        if at_end and not self.over:
            self._closed()

    def _feed(self, data: bytes) -> None:
        if self.headers_ns is None:
            self.headers_ns = self._stamp
        self.received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            self.fail(_flaw_or_failure(error), self._stamp)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self._message_done:
                self.extra = True
            else:
                self.fail(Failure("protocol", f"not HTTP/1.1: {error or type(error).__name__}"), self._stamp)
        if self._message_done and not self.over:
            self._finish()

    def _closed(self) -> None:
        """The peer closed: the end of a body that is delimited by it, else too early."""
        if self._head_done and self._remaining is None and not self._chunked:
            self.keep_alive = False
            self._finish()
        elif self.headers_ns is None:
            self.fail(Failure("reset", "the connection was closed before the first byte of an answer"), self._stamp)
        else:
            self.fail(Failure("truncated", "the connection was closed in the middle of the answer"), self._stamp)

    def _finish(self) -> None:
        self.complete = True
        self.keep_alive = self.keep_alive and not self._session_over
        self._end(self._stamp)

    def fail(self, failure: Failure, at_ns: int) -> None:
        """End the exchange as failed at this moment of the axis, unless it is over."""
        if not self.over:
            self.failure = failure
            self._end(at_ns)

    def _end(self, at_ns: int) -> None:
        self.end_ns = at_ns
        if self._waiter is not None:
            self._waiter.hub.loop.run_callback(self._waiter.switch, None)

    def wait(self) -> None:
        """Let this greenlet sleep until the exchange is over."""
        if not self.over:
            self._waiter = Waiter()
            self._waiter.get()

    def release(self) -> None:
        """Break the cycle of parser and exchange: with the collector off it would stay for ever."""
        self._parser = None
        self._body = None
        self._waiter = None

    # What llhttp calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; a repeated one is joined, as RFC 9110, 5.3 says."""
        key = name.lower()
        self.headers[key] = self.headers[key] + b", " + value if key in self.headers else value

    def on_headers_complete(self) -> None:
        """The head is complete; an interim response (1xx) is forgotten."""
        if self._message_done:
            self.extra = True
            return
        self.status = int(self._parser.get_status_code())
        if 100 <= self.status < 200:
            self.headers.clear()
            return
        self.http_version = f"HTTP/{self._parser.get_http_version()}"
        self.keep_alive = bool(self._parser.should_keep_alive())
        length = self.headers.get(b"content-length", b"")
        self._chunked = b"chunked" in self.headers.get(b"transfer-encoding", b"").lower()
        self._remaining = int(length) if length.isdigit() and not self._chunked else None
        self._body = self._on_headers(self)
        self._head_done = True

    def on_body(self, data: bytes) -> None:
        """Body bytes of the read at hand."""
        if self._remaining is not None:
            self._remaining -= len(data)
        if self._body is not None and not self._message_done and self._body(data, self._stamp):
            self.payload_ns = self._stamp

    def on_message_complete(self) -> None:
        """The whole response has come, unless it was an interim one."""
        if self._head_done:
            self._message_done = True


def _flaw_or_failure(error: BaseException) -> Failure:
    """What a body consumer raised inside llhttp's callback: its own refusal, else a flaw of ours that must show."""
    cause = error.__context__ or error.__cause__
    if isinstance(cause, Failure):
        return cause
    if isinstance(cause, ValueError):
        return Failure("bad_body", str(cause))
    raise cause or error
