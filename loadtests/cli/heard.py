"""Output whose reader may leave, as `| head` does: a verb goes on to its end, and its exit code tells what it found."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

STREAMS: Final = {"stdout": 1, "stderr": 2}


class Output(io.FileIO):
    """
    A descriptor that is written to for as long as somebody reads it.

    Attributes:
        is_unheard: The reader has gone; what is written from then on is dropped.
    """

    is_unheard = False

    def write(self, data: ReadableBuffer, /) -> int:
        """
        Write, or drop it.

        Raises:
            OSError: No room on the disk behind it.
        """
        if not self.is_unheard:
            try:
                return super().write(data)
            except BrokenPipeError:
                self.is_unheard = True
        return memoryview(data).nbytes


def listen() -> None:
    """Let this process print into closed pipes; for its standard output and error, where they are what they were."""
    for name, fd in STREAMS.items():
        stream: TextIO | None = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and stream.fileno() == fd:
            stream.flush()
            setattr(sys, name, _like(stream, fd))


def _like(stream: io.TextIOWrapper, fd: int) -> io.TextIOWrapper:
    raw = io.BufferedWriter(Output(fd, "w", closefd=False))
    return io.TextIOWrapper(raw, stream.encoding, stream.errors, line_buffering=stream.line_buffering)


def is_unheard() -> bool:
    """Whether nobody reads standard output any more, so that there is no need to make more of it."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return isinstance(raw, Output) and raw.is_unheard
