"""JSON out of bytes a piece at a time: the elements of an array that is larger than memory, and lines of text."""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from loadtests.workload.datasets.model import RowError

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE: Final = 1 << 20
LONGEST: Final = 32 << 20
"""No row is longer, in bytes or characters: a quote that is never closed must not pull the whole file into memory."""

_TOO_LONG: Final = f"is longer than {LONGEST >> 20} MiB; is a quote or a bracket never closed?"
_TOO_DEEP: Final = "isn't JSON that can be read: it is nested too deeply"
_NEAR: Final = 16
"""A cut inside a token (the longest is an escape, `\\ud83d\\ude00`) shows as a mistake this close to the end."""

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_DECODER: Final = json.JSONDecoder()


def parsed(text: str) -> Any:
    """
    A whole JSON value; half surrogate pairs are let through.

    Raises:
        RowError: It is none.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise RowError(_TOO_DEEP) from None
    except ValueError as error:
        raise RowError(_not_json(error, 0)) from None


def lines(file: BinaryIO) -> Iterator[str]:
    """
    The lines of a UTF-8 file with their ends, a byte order mark left out.

    Raises:
        RowError: A line is broken or too long: the one behind those that came.
    """
    first = True
    while line := file.readline(LONGEST + 1):
        if len(line) > LONGEST:
            raise RowError(_TOO_LONG)
        try:
            yield line.decode("utf-8-sig" if first else "utf-8")
        except UnicodeDecodeError as error:
            raise RowError(_not_utf8(error)) from None
        first = False


def elements(file: BinaryIO, piece: int = PIECE) -> Iterator[Any]:
    """
    The elements of a JSON array, one at a time; no more than the longest and some pieces are in memory.

    Args:
        file: Read from where it stands; the array is all that is in it.
        piece: Bytes to read at once.

    Raises:
        RowError: The text is broken at the element behind those that came.
    """
    text = _Window(file, piece)
    if text.mark() != "[":
        raise RowError("isn't a JSON array")
    text.at += 1
    if text.mark() != "]":
        yield text.value()
        while text.mark() == ",":
            text.at += 1
            text.mark()
            yield text.value()
    if text.mark() != "]":
        raise RowError("has no comma before it" if text.mark() else "is missing: the file ends before its array does")
    text.at += 1
    if text.mark():
        raise RowError("comes after the array's end")


class _Window:
    """
    The part of a file's text that is being looked at.

    Attributes:
        at: Where in `text` the next thing begins; what is before it is dropped with the next piece.
    """

    def __init__(self, file: BinaryIO, piece: int) -> None:
        self._file, self._piece = file, piece
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._broken: str | None = None
        self._ended = False
        self.text, self.at = "", 0

    def mark(self) -> str:
        """The next character that is no white space, which stays; empty at the end of the file."""
        while True:
            match = _SPACE.match(self.text, self.at)
            assert match
            self.at = match.end()
            if self.at < len(self.text) or not self._more():
                return self.text[self.at : self.at + 1]

    def value(self) -> Any:
        """The JSON value here, which is passed."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self.text, self.at)
            except RecursionError:
                raise RowError(_TOO_DEEP) from None
            except ValueError as error:
                if not (self._cut(error) and self._more()):
                    raise RowError(self._why(error)) from None
            else:
                if self._whole(end) or not self._more():
                    self.at = end
                    return value

    def _cut(self, error: ValueError) -> bool:
        """Whether a mistake may be nothing but the end of a piece."""
        if not isinstance(error, json.JSONDecodeError):
            return False
        return error.msg.startswith("Unterminated string") or error.pos >= len(self.text) - _NEAR

    def _whole(self, end: int) -> bool:
        """Whether a value that ends here cannot go on: `1` may become `12`, `1.5` or `1e+5` with the next piece."""
        match = _SPACE.match(self.text, end)
        assert match
        return match.end() < len(self.text) and (self.text[match.end()] in ",]" or match.end() < len(self.text) - _NEAR)

    def _why(self, error: ValueError) -> str:
        if self._ended and self._cut(error):
            return "is cut off: the file ends inside it"
        return _not_json(error, self.at)

    def _more(self) -> bool:
        """
        Read on, as much again as is waiting: parsing a long value again and again stays linear in its length.

        Returns:
            Whether there was more.
        """
        if self._broken:
            raise RowError(self._broken)
        if self._ended:
            return False
        waiting = self.text[self.at :]
        if len(waiting) > LONGEST:
            raise RowError(_TOO_LONG)
        found = self._file.read(max(self._piece, len(waiting)))
        self._ended = not found
        self.text, self.at = waiting + self._decoded(found), 0
        return True

    def _decoded(self, found: bytes) -> str:
        """As text; broken bytes count once all that is before them has been looked at."""
        try:
            return self._decoder.decode(found, final=not found)
        except UnicodeDecodeError as error:
            self._broken = _not_utf8(error)
            return bytes(error.object[: error.start]).decode()


def _not_json(error: ValueError, start: int) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"isn't JSON: {error.msg} (character {error.pos - start + 1})"
    return f"isn't JSON that can be read: {error}".partition(";")[0]


def _not_utf8(error: UnicodeDecodeError) -> str:
    return f"isn't UTF-8 (byte 0x{error.object[error.start]:02x}: {error.reason})"
