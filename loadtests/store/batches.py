"""
A file that grows, as one object per batch, and those objects as the file again.

Each object of an Arrow part is a readable stream by itself: the part's schema and the whole record batches since the
object before it. Put back together they are the first bytes of the part, unchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from loadtests.shipping.whole import whole_messages

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MOST_BYTES: Final = 16 << 20
"""Of an object, unless one batch alone is larger."""


class Kind(NamedTuple):
    """
    How a file that grows is cut.

    Attributes:
        head: The length of what each object begins with, from the file's first bytes; None where it isn't whole yet.
        whole: How many leading bytes of what is behind the head may go.
    """

    head: Callable[[bytes], int | None]
    whole: Callable[[bytes], int]


ARROW: Final = Kind(lambda data: whole_messages(data, 1) or None, whole_messages)
LINES: Final = Kind(lambda _: 0, lambda data: data.rfind(b"\n") + 1)
KINDS: Final = {".arrows": ARROW, ".jsonl": LINES}


class Growing:
    """
    A file that somebody else appends to.

    Attributes:
        number: Of the next object, from 1.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._kind = path, KINDS[path.suffix]
        self._head: bytes | None = None
        self._done = self._next = 0
        self.number = 1

    def more(self, end: int) -> bytes:
        """The next object: what is whole before this byte of the file and has not been taken; b"" for nothing."""
        with self._path.open("rb") as file:
            if self._head is None:
                length = self._kind.head(start := file.read(min(end, MOST_BYTES)))
                if length is None:
                    return b""
                self._head, self._done = start[:length], length
            most, data, whole = MOST_BYTES, b"", 0
            while not whole and len(data) < end - self._done:
                file.seek(self._done)
                data = file.read(min(most, end - self._done))
                whole, most = self._kind.whole(data), 2 * most
        self._next = self._done + whole
        return self._head + data[:whole] if whole else b""

    def took(self) -> None:
        """That object has arrived."""
        self._done, self.number = self._next, self.number + 1


def rest(suffix: str, data: bytes, *, first: bool) -> bytes:
    """What an object adds to the file that is put back together: all of it, or for those behind the first no head."""
    return data if first else data[KINDS[suffix].head(data) or 0 :]
