"""The other end of such pipes, for processes without greenlets: what has come is taken, nothing is waited for."""

from __future__ import annotations

import contextlib
import os
from typing import IO, Any

import orjson


class Lines:
    """
    JSON lines in and out.

    Args:
        source: Read from; made non-blocking.
        target: Written to.
    """

    def __init__(self, source: IO[bytes], target: IO[bytes]) -> None:
        self.fd = source.fileno()
        os.set_blocking(self.fd, False)
        self._source, self._target = source, target
        self._rest = b""
        self.closed = False

    def take(self) -> list[dict[str, Any]]:
        """What has come since the last time; `closed` once nothing more can."""
        data = b""
        with contextlib.suppress(BlockingIOError):
            data = os.read(self.fd, 1 << 16)
            self.closed = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [orjson.loads(line) for line in lines]

    def tell(self, message: dict[str, Any]) -> None:
        """Say something; harmless where nobody is there any more."""
        with contextlib.suppress(OSError, ValueError):
            self._target.write(orjson.dumps(message) + b"\n")
            self._target.flush()

    def hang_up(self) -> None:
        """Say nothing more: the other side hears that."""
        with contextlib.suppress(OSError):
            self._target.close()

    def close(self) -> None:
        """Hear nothing more, either."""
        self.hang_up()
        self._source.close()
