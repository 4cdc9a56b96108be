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
    from loadtests.dialect import Answer
    from loadtests.wire.body import Take
    from loadtests.wire.exchange import Exchange

MAX_BODY_BYTES: Final = 64 << 20


class Reader:
    """
    Where the body of one answer goes: events where it is a stream, else bytes; decided by what it says it is.

    Args:
        answer: What is told of the events, as they come.
    """

    __slots__ = ("_decoder", "_exchange", "_pieces", "_size", "answer", "streamed", "wanted")

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self._decoder: Decoder | None = None
        self._exchange: Exchange | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self.streamed = False
        self.wanted = False

    def choose(self, exchange: Exchange) -> Take:
        """By status and Content-Type; a missing or a plain text type is judged by the first bytes."""
        kind = exchange.headers.get(b"content-type", b"").lower()
        self._exchange = exchange
        self.wanted = 200 <= (exchange.status or 0) < 300
        if self.wanted and b"event-stream" in kind:
            return self._stream()
        if self.wanted and (not kind or kind.startswith(b"text/plain")):
            return self._sniff
        return self._piece

    def _stream(self) -> Take:
        self._decoder = Decoder()
        self.streamed = True
        return self._events

    def _events(self, data: bytes, stamp: int) -> bool:
        """Tell the answer the events that these bytes complete; between two events whole ones may be skimmed."""
        decoder, answer = self._decoder, self.answer
        assert decoder is not None
        assert self._exchange is not None
        found = decoder.feed(data, stamp)
        if found:
            for event in decoder.events:
                answer.event(event)
            decoder.events.clear()
        self._exchange.skim = answer.skim if decoder.between else None
        return found

    def _piece(self, data: bytes, _stamp: int) -> bool:
        self._size += len(data)
        if self._size > MAX_BODY_BYTES:
            raise Failure("bad_body", f"a body of more than {MAX_BODY_BYTES} bytes")
        self._pieces.append(data)
        return not data.isspace()

    def _sniff(self, data: bytes, stamp: int) -> bool:
        if self._decoder is not None:
            return self._events(data, stamp)
        start = (b"".join(self._pieces) + data[:16] if self._size < 16 else b"").lstrip()
        if start.startswith((b"data:", b":", b"event:", b"id:", b"retry:", b"\xef\xbb\xbfdata:")):
            self._stream()
            data = b"".join(self._pieces) + data
            self._pieces.clear()
            return self._events(data, stamp)
        return self._piece(data, stamp)

    def whole(self) -> bytes:
        """The body that was no stream."""
        return b"".join(self._pieces)

    def end(self, flags: list[str]) -> None:
        """The body is over: tell the answer what is left of it."""
        self._exchange = None
        if self._decoder is None:
            if self.wanted:
                self.answer.whole(self.whole())
            return
        last = self._decoder.close()
        if last is not None and (last[1] == b"[DONE]" or is_json(last[1])):
            flags.append("unterminated")
            self.answer.event(last)


def is_json(data: bytes) -> bool:
    """Whether these bytes are one JSON value."""
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True
