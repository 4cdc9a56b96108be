"""
Server-sent events: stamped bytes in, stamped events out, exact to the standard at any split of the bytes.

Sits between wire (which hands over body bytes with the stamp of their read) and dialect (which knows what an event
means). Lines end at LF, CRLF or CR and nowhere else: `str.splitlines` would also cut at U+2028 and U+0085, which are
legal inside JSON.

Source: WHATWG HTML, 9.2.6 "Interpreting an event stream".
"""

from __future__ import annotations

import re
from typing import Final

MAX_EVENT_BYTES: Final = 8 << 20
"""A line or an event longer than this is refused: no chat completion chunk is, and memory must stay bounded."""

Event = tuple[int, bytes, bytes]
"""(stamp of the read that completed it, data, name); the name is b"" where none was given."""

_BOM: Final = b"\xef\xbb\xbf"
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_LONG_LINE: Final = f"a line of more than {MAX_EVENT_BYTES} bytes"

FRAME: Final = (b"data: ", b"\n\n")
"""What stands before and after the data of an event, as nearly all servers send it."""


class EventTooLongError(ValueError):
    """A line or an event passed `MAX_EVENT_BYTES`."""


class Decoder:
    """
    The state of one event stream.

    Attributes:
        events: Complete events so far, in order; the owner may take and clear them.
        between: Nothing of a line or an event is kept: whole events that come now need not be fed.
    """

    __slots__ = (
        "_after_cr", "_data", "_data_bytes", "_first", "_name", "_pending", "_pending_bytes", "_stamp", "between",
        "events",
    )  # fmt: skip

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._pending: list[bytes] = []  # pieces of a line whose end has not come yet
        self._pending_bytes = 0
        self._data: list[bytes] = []
        self._data_bytes = 0  # of the lines that these came in, their ends included: an empty one takes room, too
        self._name = b""
        self._after_cr = False
        self._first = True
        self.between = False
        self._stamp = 0

    def feed(self, data: bytes, stamp: int) -> bool:
        """
        Take the bytes of one read; events that they complete are appended to `events` with this stamp.

        Returns:
            Whether there was one.

        Raises:
            EventTooLongError: A line or an event passed `MAX_EVENT_BYTES`.
        """
        if (
            self.between
            and data.startswith(FRAME[0])
            and data.find(b"\n") == len(data) - 2
            and data.endswith(b"\n")
            and b"\r" not in data
        ):
            self.events.append((stamp, data[6:-2], b""))  # all of one event and nothing else, as it mostly is
            return True
        before = len(self.events)
        self._take(data, stamp)
        self.between = not (self._pending or self._data or self._name or self._after_cr or self._first)
        return len(self.events) > before

    def _take(self, data: bytes, stamp: int) -> None:
        self._stamp = stamp
        if self._after_cr and data:
            # A CR already ended its line, without waiting; an LF right behind it belongs to that line end.
            self._after_cr = False
            data = data.removeprefix(b"\n")
        has_cr = b"\r" in data
        if not has_cr and b"\n" not in data:
            self._keep(data)
            return
        if self._pending:
            self._pending.append(data)
            data = b"".join(self._pending)
            self._pending.clear()
            self._pending_bytes = 0
        if has_cr:
            self._after_cr = data.endswith(b"\r")
            lines = _LINE_END.split(data)
        else:
            lines = data.split(b"\n")
        rest = lines.pop()
        if len(data) > MAX_EVENT_BYTES and max(map(len, lines), default=0) > MAX_EVENT_BYTES:
            raise EventTooLongError(_LONG_LINE)
        for line in lines:
            self._line(line, stamp)
        self._keep(rest)

    def close(self) -> Event | None:
        """The stream is over: the event that no blank line ended, if there is one; the standard would drop it."""
        if self._pending:
            rest = b"".join(self._pending)
            self._pending.clear()
            self._line(rest, self._stamp)
        if not self._data:
            return None
        self._dispatch(self._stamp)
        return self.events.pop()

    def _keep(self, piece: bytes) -> None:
        if piece:
            self._pending.append(piece)
            self._pending_bytes += len(piece)
            if self._pending_bytes > MAX_EVENT_BYTES:
                self._pending.clear()
                raise EventTooLongError(_LONG_LINE)

    def _line(self, line: bytes, stamp: int) -> None:
        if self._first:
            self._first = False
            line = line.removeprefix(_BOM)
        if line:
            self._field(line)
        elif self._data:
            self._dispatch(stamp)
        else:
            self._name = b""

    def _dispatch(self, stamp: int) -> None:
        data = self._data
        self.events.append((stamp, data[0] if len(data) == 1 else b"\n".join(data), self._name))
        self._data = []
        self._data_bytes = 0
        self._name = b""

    def _field(self, line: bytes) -> None:
        name, colon, value = line.partition(b":")
        if not name and colon:
            return  # a comment: keep-alives
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._data_bytes += len(line) + 1
            if self._data_bytes > MAX_EVENT_BYTES:
                raise EventTooLongError(f"an event of more than {MAX_EVENT_BYTES} bytes")
        elif name == b"event":
            self._name = value
        elif name == b"error" and value.lstrip()[:1] == b"{":
            # No field of the standard; older llama.cpp servers report a failure inside the stream this way.
            self.events.append((self._stamp, value, b"error"))
