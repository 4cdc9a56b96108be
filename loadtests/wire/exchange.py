"""
One answer on the wire: the reads as they came, and the HTTP/1.1 response framed from them afterwards.

The receiver appends (bytes, kernel stamp, user stamp) and nothing more. `parse` runs later, in slices: it puts the
stamps on the run's axis, feeds llhttp and hands body bytes on with the stamp of the read that brought them.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import httptools
from gevent.hub import Waiter

from loadtests.errors import Failure, of_callback, refusal
from loadtests.wire import patience
from loadtests.wire.chunks import CRLF, HEADS, LAST_CHUNK, LEAST_BYTES, MAX_READS, MOST_BYTES, is_chunked
from loadtests.wire.stamps import place

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.wire.body import Skim, Take
    from loadtests.wire.tls import Tls


class Exchange:
    """
    One request's answer, from its first read to its end.

    Args:
        on_headers: Called once with the exchange when the head of the final response is complete; returns what takes
            the body.
        first_byte_ns, silence_ns, total_ns: The patience, in ns: from sent to the first byte, between payloads, over
            all.

    Attributes:
        stamps are ns on the axis that `parse` was given. `headers_ns` is the first response byte's, `end_ns` the
        last one's. `complete` and `failure` say how it ended; exactly one is set in the end.
        reads: What has been read and not framed yet; the receiver appends.
        resume: Wakes who waits for the end in its turn; without it, the hub does.
        take: What takes the body; it may put another in its place.
        skim: Where the consumer of the body can tell whole chunks at a glance, what does it; the consumer sets it.
        eager: Every read is framed as it comes: the consumer may want to stop in mid-answer.
    """

    __slots__ = (
        "_at_once", "_between_chunks", "_chunked", "_head_done", "_kernel", "_message_done", "_on_headers",
        "_parser", "_remaining", "_session_over", "_stamp", "_user_ns", "_waiter",
        "complete", "eager", "end_ns", "extra", "failure", "first_byte_ns", "headers", "headers_ns", "http_version",
        "keep_alive", "kernel", "parsed_ns", "payload_ns", "queued", "reads", "received", "resume", "sent_ns",
        "silence_ns", "skim", "started_ns", "status", "take", "tls", "total_ns", "wake_lag_max_ns",
    )  # fmt: skip

    def __init__(
        self, on_headers: Callable[[Exchange], Take], *, first_byte_ns: int, silence_ns: int, total_ns: int,
        started_ns: int,
    ) -> None:  # fmt: skip
        self.first_byte_ns, self.silence_ns, self.total_ns = first_byte_ns, silence_ns, total_ns
        self.started_ns = started_ns
        self.sent_ns: int | None = None
        self.reads: list[bytes] = []
        self._kernel, self._user_ns = bytearray(), array("q")
        self._at_once = True
        self.skim: Skim | None = None
        self.resume: Callable[[Waiter[None]], None] | None = None
        self.queued = False
        self.parsed_ns = started_ns
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
        self.eager = self.keep_alive = self.extra = self.complete = False
        self.failure: Failure | None = None
        self._on_headers = on_headers
        self.take: Take | None = None
        self._parser: Any = None
        self._waiter: Any = None
        self._stamp = 0
        self._remaining: int | None = None
        self._chunked = self._between_chunks = False
        self._head_done = self._message_done = self._session_over = False

    def append(self, data: bytes, kernel: bytes, user: int) -> bool:
        """
        Keep a read: bytes (none: the peer closed), the kernel's timespec or `NO_STAMP`, its CLOCK_MONOTONIC ns.

        Returns:
            True where it may be the last one, or where enough has piled up to be framed.
        """
        self.reads.append(data)
        self._kernel += kernel
        self._user_ns.append(user)
        long_or_short = not LEAST_BYTES <= len(data) <= MOST_BYTES
        return self._at_once or long_or_short or data.endswith(LAST_CHUNK) or len(self.reads) >= MAX_READS

    @property
    def over(self) -> bool:
        """The answer is complete or has failed."""
        return self.complete or self.failure is not None

    def expired(self, now_ns: int) -> Failure | None:
        """Which patience has run out at this moment of the axis, if any has."""
        return patience.expired(self, now_ns)

    def parse(self, shift_ns: int, zero_ns: int) -> array[int]:
        """
        Frame what has been read so far.

        Args:
            shift_ns: What to take from a CLOCK_REALTIME stamp to be on the run's axis.
            zero_ns: What to take from a CLOCK_MONOTONIC one.

        Returns:
            The delay in ns between receive stamp and reader of each read that has a kernel stamp.
        """
        reads, self.reads = self.reads, []
        kernel, self._kernel = self._kernel, bytearray()
        users, self._user_ns = self._user_ns, array("q")
        stamps, lags = place(kernel, users, shift_ns, zero_ns, self._stamp)
        self.wake_lag_max_ns = max(self.wake_lag_max_ns, max(lags, default=0))
        if len(lags) < len(reads) - reads[-1:].count(b""):  # the end of the stream has no stamp
            self.kernel = False
        if self.tls is not None:
            self._frame_encrypted(self.tls, reads, stamps)
        else:
            self._frame(reads, stamps)
        self._at_once = self.eager or not self._between_chunks or self.tls is not None
        return lags

    def _frame_encrypted(self, tls: Tls, reads: list[bytes], stamps: array[int]) -> None:
        plain = tls.decrypt_all(reads, stamps)
        self._session_over = self._session_over or plain.over
        self._frame(plain.pieces, plain.stamps)
        if plain.failure is not None:
            self.fail(plain.failure, plain.failed_ns)

    def _frame(self, pieces: list[bytes], stamps: array[int]) -> None:
        at = 0
        while at < len(pieces):
            at += self._skim(pieces, stamps, at)
            if at < len(pieces):
                self._stamp = stamps[at]
                (self._chunk if self._between_chunks else self._take)(pieces[at])
                at += 1

    def _skim(self, pieces: list[bytes], stamps: array[int], at: int) -> int:
        """Let the consumer take chunks at a glance: llhttp would be afterwards where it was."""
        if self.skim is None or not self._between_chunks:
            return 0
        taken = self.skim(pieces, stamps, at)
        if taken:
            self._stamp = self.payload_ns = stamps[at + taken - 1]
            self.received += sum(map(len, pieces[at : at + taken]))
        return taken

    def _chunk(self, data: bytes) -> None:
        """A read that begins with a chunk: mostly it is that chunk, which need not be parsed to be recognised."""
        heads = HEADS.get(len(data))
        if heads is None or not data.startswith(heads) or not data.endswith(CRLF):
            self._take(data)
            return
        self.received += len(data)
        try:
            if self.take is not None and self.take(data[len(heads[0]) : -2], self._stamp):
                self.payload_ns = self._stamp
        except (Failure, ValueError) as error:
            self.fail(refusal(error), self._stamp)

    def _take(self, data: bytes) -> None:
        if self.over:
            self.extra = self.extra or bool(data)
        elif not data:
            self._closed()
        else:
            if self.headers_ns is None:
                self.headers_ns = self._stamp
            self.received += len(data)
            self._parse_http(data)

    def _parse_http(self, data: bytes) -> None:
        if self._parser is None:
            self._parser = httptools.HttpResponseParser(self)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            self.fail(of_callback(error), self._stamp)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self._message_done:
                self.extra = True
            else:
                self.fail(Failure("protocol", f"not HTTP/1.1: {error or type(error).__name__}"), self._stamp)
        # Behind a chunk's end nothing but a size line can come; an unfinished one does not end in CR LF.
        self._between_chunks = self._between_chunks and data.endswith(CRLF)
        if self._message_done and not self.over:
            self._finish()

    def _closed(self) -> None:
        """The peer closed: the end of a body that this delimits, else too early."""
        if self._head_done and self._remaining is None and not self._chunked:
            self.stop(self._stamp)
        else:
            began = self.headers_ns is not None
            kind, where = ("truncated", "in the middle of the") if began else ("reset", "before the first byte of an")
            self.fail(Failure(kind, f"the connection was closed {where} answer"), self._stamp)

    def _finish(self) -> None:
        self.complete, self.keep_alive = True, self.keep_alive and not self._session_over
        self._end(self._stamp)

    def stop(self, at_ns: int) -> None:
        """The consumer of the body wants no more of it: the answer is complete, the connection spent."""
        self.keep_alive = False
        if not self.over:
            self.complete = True
            self._end(at_ns)

    def fail(self, failure: Failure, at_ns: int) -> None:
        """End the exchange as failed at this moment of the axis, unless it is over."""
        if not self.over:
            self.failure = failure
            self._end(at_ns)

    def _end(self, at_ns: int) -> None:
        self.end_ns = at_ns
        self._between_chunks = False
        self.take = self.skim = None
        if self._waiter is not None and self.resume is not None:
            self.resume(self._waiter)
        elif self._waiter is not None:
            self._waiter.hub.loop.run_callback(self._waiter.switch, None)

    def wait(self) -> None:
        """Let this greenlet sleep until the exchange is over."""
        if not self.over:
            self._waiter = Waiter()
            self._waiter.get()

    def release(self) -> None:
        """Break the cycle of parser and exchange: with the collector off it would stay for ever."""
        self._parser = self._waiter = self.take = self.skim = None

    def on_message_begin(self) -> None:
        """A response begins; behind a complete one, none was asked for."""
        self.extra = self.extra or self._message_done

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; a repeated one is joined, as RFC 9110, 5.3 says."""
        if self._message_done:
            return
        key = name.lower()
        self.headers[key] = self.headers[key] + b", " + value if key in self.headers else value

    def on_headers_complete(self) -> None:
        """The head is complete; an interim response (1xx) is forgotten."""
        if self._message_done:
            self.extra = True
            return
        status = int(self._parser.get_status_code())
        if 100 <= status < 200:
            self.headers.clear()
            return
        self.status = status
        self.http_version = f"HTTP/{self._parser.get_http_version()}"
        self.keep_alive = bool(self._parser.should_keep_alive())
        self._chunked = is_chunked(self.headers)
        length = self.headers.get(b"content-length", b"")
        self._remaining = int(length) if length.isdigit() and not self._chunked else None
        self.take = self._on_headers(self)
        self._head_done = True
        self._between_chunks = self._chunked

    def on_chunk_header(self) -> None:
        """The size line of a chunk is complete; its bytes follow."""
        self._between_chunks = False

    def on_chunk_complete(self) -> None:
        """The chunk and its line end are complete."""
        self._between_chunks = self._head_done and not self._message_done

    def on_body(self, data: bytes) -> None:
        """Body bytes of the read at hand."""
        if self._remaining is not None:
            self._remaining -= len(data)
        if self.take is not None and not self._message_done and self.take(data, self._stamp):
            self.payload_ns = self._stamp

    def on_message_complete(self) -> None:
        """The whole response has come, unless it was an interim one."""
        if self._head_done:
            self._message_done = True
