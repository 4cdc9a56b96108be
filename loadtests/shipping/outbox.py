"""
The worker's side: what of its files the master has, what is on its way, and what may go next.

Bounded: about a megabyte is on its way at a time, whatever has piled up on disk. What was not acknowledged in time
goes again from there on, after twice the time if it was not that either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from loadtests.shipping.whole import PIECE_BYTES, whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


WINDOW_BYTES: Final = 1 << 20
"""Of all files together: what is on its way is what a command of the master, or its answer, may have to wait for."""
AGAIN_NS: Final = 3_000_000_000
PATIENCE_NS: Final = 4 * AGAIN_NS
"""On a slow link word of a piece takes its time: what goes again and again would only pile up before it."""

PATTERNS: Final = ("requests-*.arrows", "client-*.arrows", "bodies-*.jsonl", "worker-*.log")
"""Files of a parts directory that come home."""


class Piece(NamedTuple):
    """Bytes of a file from an offset on."""

    name: str
    offset: int
    data: bytes


@dataclass(slots=True)
class _File:
    path: Path
    acked: int = 0
    sent: int = 0
    at_ns: int = 0
    again_ns: int = AGAIN_NS
    wants: int = PIECE_BYTES

    def read(self) -> bytes:
        """What is whole from `sent` on, at most about a piece; more where a single message is longer."""
        with self.path.open("rb") as file:
            while True:
                file.seek(self.sent)
                data = file.read(self.wants)
                length = whole(self.path, data)
                if length or len(data) < self.wants:
                    self.wants = PIECE_BYTES
                    return data[:length]
                self.wants *= 2


class Outbox:
    """
    All that a worker has to send home.

    Args:
        parts: Its local parts directory.
    """

    def __init__(self, parts: Path) -> None:
        self._parts = parts
        self._files: dict[str, _File] = {}

    def pieces(self, now_ns: int) -> Iterator[Piece]:
        """What may go out now; counts as sent with being taken."""
        for pattern in PATTERNS:
            for path in sorted(self._parts.glob(pattern)):
                self._files.setdefault(path.name, _File(path))
        for file in self._files.values():
            if file.sent > file.acked and now_ns - file.at_ns > file.again_ns:
                file.sent, file.again_ns = file.acked, min(2 * file.again_ns, PATIENCE_NS)
            while self.on_the_way < WINDOW_BYTES and self._size(file) > file.sent and (data := file.read()):
                if file.sent == file.acked:
                    file.at_ns = now_ns
                offset, file.sent = file.sent, file.sent + len(data)
                yield Piece(file.path.name, offset, data)

    def not_sent(self, piece: Piece) -> None:
        """There was no room for it on the connection: it goes again."""
        file = self._files[piece.name]
        file.sent = min(file.sent, piece.offset)

    def acknowledged(self, name: str, size: int, now_ns: int) -> None:
        """The master has so many bytes of a file, on its disk."""
        file = self._files.get(name)
        if file is not None and size > file.acked:
            file.acked, file.at_ns = size, now_ns
            file.sent = max(file.sent, size)
            if file.sent == size:
                file.again_ns = AGAIN_NS

    @property
    def on_the_way(self) -> int:
        """Bytes sent and not acknowledged."""
        return sum(file.sent - file.acked for file in self._files.values())

    def left(self) -> int:
        """Bytes on this disk that the master does not have; a torn end, which nobody wants, is among them."""
        return sum(max(0, self._size(file) - file.acked) for file in self._files.values())

    def all_home(self) -> bool:
        """Whether the master has all that is whole."""
        return all(file.sent == file.acked and not file.read() for file in self._files.values())

    @staticmethod
    def _size(file: _File) -> int:
        try:
            return file.path.stat().st_size
        except FileNotFoundError:
            return 0
