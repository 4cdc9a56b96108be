"""
Where the body of one answer goes: to the event decoder where it is a stream, else into one piece.

Sits between wire (body bytes with the stamp of their read) and sse and dialect. What an answer is decides by what it
says it is, and by its first bytes where it says nothing, or something that they refute.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from loadtests.coding import Inflater, codings, is_known
from loadtests.dialect import loose
from loadtests.errors import Failure
from loadtests.sse import Decoder

if TYPE_CHECKING:
    from loadtests.dialect import Answer
    from loadtests.wire.body import Skim, Take
    from loadtests.wire.exchange import Exchange

MAX_BODY_BYTES: Final = 64 << 20

DRAIN_NS: Final = 1_000_000_000
"""How long the end of a body is waited for once the answer has said that it is over: then the connection is spent."""

FIELDS: Final = (b"data", b"event", b"id", b"retry", b"error", b":")
"""What a line of an event stream begins with."""

LEAD: Final = loose.BOM + b" \t\r\n"
"""Bytes that say nothing in front of a body: some servers send them to keep the connection open."""

LONGEST_FIELD: Final = 6
"""Bytes that are enough to tell: the longest of them and its colon."""


class Reader:
    """
    Where the body of one answer goes: events where it is a stream, else bytes; decided by what it says it is.

    Args:
        answer: What is told of the events, as they come.
        keep_body: Keep the body of a stream, too.

    Attributes:
        streamed: It came as events or as lines.
        wanted: Its status is 2xx.
    """

    __slots__ = (
        "_compressed", "_decoder", "_exchange", "_inflater", "_is_stream", "_keep", "_lead", "_pieces", "_size",
        "_sizes", "_skim", "_stamps", "_take", "answer", "streamed", "wanted",
    )  # fmt: skip

    def __init__(self, answer: Answer, *, keep_body: bool = False) -> None:
        self.answer = answer
        self._keep = keep_body
        self._decoder: Decoder | None = None
        self._exchange: Exchange | None = None
        self._inflater: Inflater | None = None
        self._skim: Skim | None = None
        self._take: Take | None = None
        self._pieces: list[bytes] = []
        self._sizes: list[int] = []
        self._stamps: list[int] = []
        self._size = self._lead = 0
        self._compressed = self._is_stream = False
        self.streamed = False
        self.wanted = False

    def choose(self, exchange: Exchange) -> Take:
        """
        What takes the body.

        Raises:
            Failure: bad_body: an answer in a coding that is not read; none was asked for.
        """
        self._exchange = exchange
        self.wanted = 200 <= (exchange.status or 0) < 300
        self._is_stream = b"event-stream" in exchange.headers.get(b"content-type", b"").lower()
        take = self._sniff if self.wanted else self._piece
        applied = codings(exchange.headers)
        self._compressed = bool(applied)
        if not is_known(applied):
            return self._unknown(", ".join(applied))
        if not applied:
            return take
        self._inflater = Inflater(applied[0], MAX_BODY_BYTES)
        self._take = take
        return self._inflated

    def _become(self, take: Take) -> Take:
        """Have this take the rest of the body."""
        assert self._exchange is not None
        if self._inflater is None:
            self._exchange.take = take
        else:
            self._take = take
        return take

    # Compressed.

    def _unknown(self, names: str) -> Take:
        text = f"a body in {names}, which is not read; identity was asked for"
        if self.wanted:
            raise Failure("bad_body", text)
        self._pieces.append(text.encode())
        return lambda _data, _stamp: True

    def _inflated(self, data: bytes, stamp: int) -> bool:
        assert self._inflater is not None
        assert self._take is not None
        payload = False
        for plain in self._inflater.feed(data):
            payload = self._take(plain, stamp) or payload
        return payload

    # What it is.

    def _sniff(self, data: bytes, stamp: int) -> bool:
        """Wait for the first bytes that are not blank, and let them decide together with the Content-Type."""
        if not self._pieces and data.startswith((b"data: {", b"{")):  # as it mostly is
            return self._begin(data, stamp) if data[:1] == b"d" else self._become(self._piece)(data, stamp)
        if not self._pieces and not (data := self._without_lead(data)):
            return False
        start = (b"".join(self._pieces) + data)[:LONGEST_FIELD]
        if start[:1] in (b"{", b"["):
            return self._become(self._piece)(data, stamp)
        if self._is_stream or _begins_stream(start):
            data = b"".join(self._pieces) + data
            self._pieces.clear()
            return self._begin(data, stamp)
        if len(start) == LONGEST_FIELD or not any(field.startswith(start) for field in FIELDS):
            return self._become(self._piece)(data, stamp)
        return self._piece(data, stamp)

    def _without_lead(self, data: bytes) -> bytes:
        """What has come without the blanks in front, of which only the number is kept."""
        rest = data.lstrip(LEAD)
        self._lead += len(data) - len(rest)
        self._bound()
        return rest

    # A stream.

    def _begin(self, data: bytes, stamp: int) -> bool:
        self._decoder = Decoder()
        self._skim = None if self._keep or self._compressed else self.answer.skim
        self.streamed = True
        return self._become(self._kept_events if self._keep else self._events)(data, stamp)

    def _events(self, data: bytes, stamp: int) -> bool:
        """Tell the answer the events that these bytes complete; between two events whole ones may be skimmed."""
        decoder, answer, exchange = self._decoder, self.answer, self._exchange
        assert decoder is not None
        assert exchange is not None
        found = decoder.feed(data, stamp)
        if found:
            found = False
            for event in decoder.events:
                found = answer.event(event) or found
            decoder.events.clear()
            if answer.ended:
                exchange.silence_ns = min(exchange.silence_ns, DRAIN_NS)
                if answer.cut:
                    exchange.stop(stamp)
        exchange.skim = self._skim if decoder.between and not answer.over else None
        return found

    def _kept_events(self, data: bytes, stamp: int) -> bool:
        """The same, and keep the bytes."""
        self._store(data)
        return self._events(data, stamp)

    # One piece.

    def _piece(self, data: bytes, stamp: int) -> bool:
        self._store(data)
        self._sizes.append(self._size)
        self._stamps.append(stamp)
        return not data.isspace()

    def _store(self, data: bytes) -> None:
        self._size += len(data)
        self._bound()
        self._pieces.append(data)

    def _bound(self) -> None:
        if self._size + self._lead > MAX_BODY_BYTES:
            raise Failure("bad_body", f"a body of more than {MAX_BODY_BYTES} bytes")

    def whole(self) -> bytes:
        """
        The body as it came, but for a content coding and the blanks in front of a good one.

        That of a stream only where it was to be kept.
        """
        return b"".join(self._pieces)

    # The end.

    def end(self, flags: list[str]) -> None:
        """The body is over: tell the answer what is left of it."""
        self._exchange = self._take = None  # the one holds this reader, the other is a part of it
        if self._decoder is not None:
            self._last(self._decoder, flags)
        elif self.wanted:
            body = self.whole()
            if not self.answer.whole(body) and not self._read_lines(body, flags):
                self.answer.unreadable(body)
        if self._compressed:
            flags.append("compressed")
        if self.answer.flags:
            flags += sorted(self.answer.flags)

    def _last(self, decoder: Decoder, flags: list[str]) -> None:
        """The event that no blank line ended, if it is whole."""
        last = decoder.close()
        if last is not None and not self.answer.over and (last[1].strip() == b"[DONE]" or is_json(last[1])):
            flags.append("unterminated")
            self.answer.event(last)

    def _read_lines(self, body: bytes, flags: list[str]) -> bool:
        """A stream as lines of JSON or as an array of it, as some servers' own dialects are; whether it was one."""
        found = loose.values(body)
        if len(found) < 2 and not any(b'"delta"' in value for _, value in found):
            return False
        flags.append("not_sse")
        self.streamed = True
        for end, value in found:
            self.answer.event((self._stamps[bisect_left(self._sizes, end)], value, b""))
        return True


def _begins_stream(start: bytes) -> bool:
    """Whether a line that begins with these bytes belongs to an event."""
    name, colon, _ = start.partition(b":")
    return bool(colon) and (not name or name in FIELDS)


def is_json(data: bytes) -> bool:
    """Whether these bytes are one JSON value."""
    return loose.body(data)[0] is not None
