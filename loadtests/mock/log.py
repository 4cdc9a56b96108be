"""
The truth: when each request had been read and each chunk was written, for a run or a test to be held against.

A binary file, in the byte order of the machine: a magic line, then per request a head (`HEAD`) and int64 stamps,
written at the request's end. All stamps are CLOCK_REALTIME nanoseconds, as the kernel's receive stamps are. A killed
mock leaves a cut tail; `read` keeps every whole record before it.

Format history:
    ftmock1  first version.
"""

from __future__ import annotations

import struct
from array import array
from typing import TYPE_CHECKING, Final, NamedTuple

from loadtests.mock.script import FAULTS

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.mock.script import Script

MAGIC: Final = b"ftmock1\n"
HEAD: Final = struct.Struct("=IIIiqBB")
"""number, stamps, prompt tokens, cap (-1: none), read_ns, finish (place in `FINISHES`), stream."""

FINISHES: Final = ("stop", "length", "refused", "disconnected", "shutdown", *FAULTS, "scenario")
"""
How an answer ended: by itself, refused by the mock's rules, left by the client, cut by our end, by a fault, or as its
scenario has it (the request log says which).
"""

FLUSH_NS: Final = 1_000_000_000
_LARGEST_CAP: Final = 2**31 - 1


class Truth(NamedTuple):
    """
    What really happened to one request.

    `read_ns` is when it was fully read. `chunk_ns` is when each write with tokens was handed to the kernel, taken right
    before: one per chunk of a stream that got that far, one for an answer in one piece. Where a client reads so
    slowly that the kernel's buffer is full, it is when the write was due instead.
    """

    number: int
    read_ns: int
    chunk_ns: array[int]
    finish: str
    prompt_tokens: int
    cap: int | None
    stream: bool


class Written:
    """
    A file being written: buffered, flushed at each second that something is written or `tick` is called.

    Raises:
        OSError: The file can't be made or written.
    """

    def __init__(self, path: Path, head: bytes = b"") -> None:
        self._file = path.open("wb", buffering=1 << 20)
        self._file.write(head)
        self._file.flush()
        self._flush_due_ns = 0
        self._is_dirty = False

    def write(self, data: bytes) -> None:
        """Write more of it."""
        self._file.write(data)
        self._is_dirty = True

    def tick(self, now_ns: int) -> None:
        """Flush, where a second has passed since it was last done."""
        if self._is_dirty and now_ns >= self._flush_due_ns:
            self._file.flush()
            self._flush_due_ns = now_ns + FLUSH_NS
            self._is_dirty = False

    def close(self) -> None:
        """Flush and close."""
        self._file.close()


class Log(Written):
    """The log being written."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, MAGIC)

    def add(self, truth: Truth) -> None:
        """Write one request."""
        number, read_ns, chunk_ns, finish, prompt_tokens, cap, stream = truth
        asked = -1 if cap is None else min(cap, _LARGEST_CAP)
        head = HEAD.pack(number, len(chunk_ns), prompt_tokens, asked, read_ns, FINISHES.index(finish), stream)
        self.write(head + chunk_ns.tobytes())


def lateness_ns(truth: Truth, script: Script) -> array[int]:
    """
    How long after its moment in the script each stamp of a request is, in nanoseconds: the mock's own error.

    None for a scenario, which has moments of its own. Of a mock whose conditions are the usual ones: what a freeze, a
    drift or a wait for a slot adds is lateness here.
    """
    if truth.finish == "scenario":
        return array("q")
    offsets_ns = script.play(truth.number, truth.prompt_tokens, truth.cap, truth.stream).offsets_ns
    if not truth.stream or truth.finish == "json_for_stream":
        offsets_ns = offsets_ns[-1:]
    return array("q", (at - truth.read_ns - offset for at, offset in zip(truth.chunk_ns, offsets_ns, strict=False)))


def read(path: Path) -> dict[int, Truth]:
    """
    The requests of a log by their number.

    Raises:
        ValueError: The file is no log of the mock.
    """
    data = path.read_bytes()
    if not data.startswith(MAGIC):
        raise ValueError(f"{path}: no log of the mock; its first line isn't {MAGIC.decode().strip()}")
    truths, position = {}, len(MAGIC)
    while position + HEAD.size <= len(data):
        number, count, prompt_tokens, cap, read_ns, finish, stream = HEAD.unpack_from(data, position)
        start = position + HEAD.size
        position = start + 8 * count
        if position > len(data):
            break
        stamps = array("q", data[start:position])
        asked = None if cap < 0 else cap
        truths[number] = Truth(number, read_ns, stamps, FINISHES[finish], prompt_tokens, asked, bool(stream))
    return truths
