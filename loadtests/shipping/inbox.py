"""
The master's side: pieces of the workers' files, appended to its own parts in order and each once.

Its file is at every moment a byte prefix of the worker's, so that either can finish what the other lost.
"""

from __future__ import annotations

import fcntl
import os
import re
from typing import TYPE_CHECKING, Final

from loadtests.shipping.whole import whole
from loadtests.sink import DISK_FULL, LOCK, DiskFullError

if TYPE_CHECKING:
    from pathlib import Path

NAME: Final = re.compile(r"(?:requests|client)-([0-9]+)\.arrows|bodies-([0-9]+)\.jsonl|worker-([0-9]+)\.log")


class Inbox:
    """
    What has come of the workers' files.

    Args:
        parts: The run's parts directory.
    """

    def __init__(self, parts: Path) -> None:
        self._parts = parts
        self._open: dict[str, tuple[int, int]] = {}
        self._lock = os.open(parts / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(self._lock, fcntl.LOCK_SH)  # as every worker that writes here does

    def take(self, worker: int, name: str, offset: int, data: bytes) -> int:
        """
        Append a piece, if it is the next one; whatever else it is, it will come again or has come already.

        Args:
            worker: Who sends it; it has only files of its own.
            name: Of the file.
            offset: Where in it the piece belongs.
            data: Whole messages or lines.

        Returns:
            The size of the file here: what the worker need not send again.

        Raises:
            DiskFullError: No room; the file is as it was.
            ValueError: It is no piece of a file that a worker of this number has.
        """
        found = NAME.fullmatch(name)
        if found is None or str(worker) not in found.groups():
            raise ValueError(f"worker {worker} sent a piece of {name!r:.80}")
        fd, size = self._opened(name)
        if offset != size:
            return size
        if whole(self._parts / name, data) != len(data):
            raise ValueError(f"worker {worker} sent a piece of {name} that is not whole")
        _append(fd, size, data)
        self._open[name] = (fd, size + len(data))
        return size + len(data)

    def _opened(self, name: str) -> tuple[int, int]:
        if name not in self._open:
            mode = 0o600 if name.startswith("bodies") else 0o644
            fd = os.open(self._parts / name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, mode)
            self._open[name] = (fd, os.lseek(fd, 0, os.SEEK_END))
        return self._open[name]

    def close(self) -> None:
        """Close all files."""
        for fd, _ in self._open.values():
            os.close(fd)
        self._open.clear()
        os.close(self._lock)


def _append(fd: int, size: int, data: bytes) -> None:
    """Write all of it or nothing."""
    view, done = memoryview(data), 0
    try:
        while done < len(view):
            done += os.pwrite(fd, view[done:], size + done)
    except OSError as error:
        os.ftruncate(fd, size)
        if error.errno in DISK_FULL:
            raise DiskFullError(error.errno, os.strerror(error.errno)) from None
        raise
