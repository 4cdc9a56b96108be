"""How much of a growing file is whole: Arrow messages of a stream part, lines of anything else."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import pyarrow as pa

if TYPE_CHECKING:
    from pathlib import Path

PIECE_BYTES: Final = 1 << 18
_HEAD: Final = struct.Struct("<Ii")
_CONTINUATION: Final = 0xFFFFFFFF


def whole(path: Path, data: bytes) -> int:
    """How many of these bytes, which begin where something begins, make whole messages (`.arrows`) or whole lines."""
    return whole_messages(data) if path.suffix == ".arrows" else data.rfind(b"\n") + 1


def whole_messages(data: bytes, most: int | None = None) -> int:
    """
    The length of the whole encapsulated Arrow messages that these bytes begin with, or of so many of them at most.

    Source: the Arrow columnar format, "Encapsulated message format".
    """
    source, end, count = pa.BufferReader(data), 0, 0
    while _HEAD.size <= len(data) - end and count != most:
        mark, length = _HEAD.unpack_from(data, end)
        if mark != _CONTINUATION or not 0 < length <= len(data) - end - _HEAD.size:
            break
        try:
            pa.ipc.read_message(source)
        except (pa.lib.ArrowException, EOFError, OSError):
            break
        end, count = source.tell(), count + 1
    return end


def whole_of(path: Path) -> int:
    """How many bytes of a file on disk are whole, a piece in memory at a time."""
    if path.suffix != ".arrows":
        return path.stat().st_size
    end, wants = 0, PIECE_BYTES
    with path.open("rb") as file:
        while True:
            file.seek(end)
            data = file.read(wants)
            length = whole_messages(data)
            if length:
                end, wants = end + length, PIECE_BYTES
            elif len(data) < wants:
                return end
            else:
                wants *= 2
