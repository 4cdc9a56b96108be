"""
Where the body of one answer goes: to the event decoder where it is a stream, else into one piece.

Sits between wire (body bytes with the stamp of their read) and sse and dialect. What an answer is decides by what it
says it is, and by its first bytes where it says nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from loadtests.errors import Failure
from loadtests.sse import Decoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loadtests.dialect import Answer
    from loadtests.wire.exchange import Exchange

EVENTS_PER_SLICE: Final = 64
"""Events read at a stretch before the sockets are looked at again: well below a millisecond."""

MAX_BODY_BYTES: Final = 64 << 20


class Reader:
    """Where the body of one answer goes: events where it is a stream, else bytes; decided by what it says it is."""

    __slots__ = ("_decoder", "_pieces", "_size", "streamed", "wanted")

    def __init__(self) -> None:
        self._decoder: Decoder | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self.streamed = False
        self.wanted = False

    def choose(self, exchange: Exchange) -> Callable[[bytes, int], bool]:
        """By status and Content-Type; a missing or a plain text type is judged by the first bytes."""
        kind = exchange.headers.get(b"content-type", b"").lower()
        self.wanted = 200 <= (exchange.status or 0) < 300
        if self.wanted and b"event-stream" in kind:
            return self._stream()
        if self.wanted and (not kind or kind.startswith(b"text/plain")):
            return self._sniff
        return self._piece

    def _stream(self) -> Callable[[bytes, int], bool]:
        self._decoder = Decoder()
        self.streamed = True
        return self._event

    def _event(self, data: bytes, stamp: int) -> bool:
        decoder = self._decoder
        assert decoder is not None
        before = len(decoder.events)
        decoder.feed(data, stamp)
        return len(decoder.events) > before

    def _piece(self, data: bytes, _stamp: int) -> bool:
        self._size += len(data)
        if self._size > MAX_BODY_BYTES:
            raise Failure("bad_body", f"a body of more than {MAX_BODY_BYTES} bytes")
        self._pieces.append(data)
        return not data.isspace()

    def _sniff(self, data: bytes, stamp: int) -> bool:
        if self._decoder is not None:
            return self._event(data, stamp)
        start = (b"".join(self._pieces) + data[:16] if self._size < 16 else b"").lstrip()
        if start.startswith((b"data:", b":", b"event:", b"id:", b"retry:", b"\xef\xbb\xbfdata:")):
            self._stream()
            data = b"".join(self._pieces) + data
            self._pieces.clear()
            return self._event(data, stamp)
        return self._piece(data, stamp)

    def whole(self) -> bytes:
        """The body that was no stream."""
        return b"".join(self._pieces)

    def tell(self, answer: Answer, flags: list[str]) -> Iterator[None]:
        """Tell an answer what came, in slices."""
        decoder = self._decoder
        if decoder is None:
            if self.wanted:
                answer.whole(self.whole())
            return
        last = decoder.close()
        if last is not None and (last[1] == b"[DONE]" or is_json(last[1])):
            flags.append("unterminated")
            decoder.events.append(last)
        for number, event in enumerate(decoder.events, 1):
            answer.event(event)
            if number % EVENTS_PER_SLICE == 0:
                yield
        decoder.events.clear()


def is_json(data: bytes) -> bool:
    """Whether these bytes are one JSON value."""
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True
