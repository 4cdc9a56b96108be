"""A worker process' end of the pipes to whoever started it: lines of JSON, read and written by greenlets."""

from __future__ import annotations

import os
from typing import Any

import gevent
import gevent.socket
import orjson


class Pipe:
    """
    Lines of JSON over two descriptors; a status is dropped rather than waited for, an event is not.

    Args:
        read_fd, write_fd: Made non-blocking.
    """

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._read_fd, self._write_fd = read_fd, write_fd
        os.set_blocking(read_fd, False)
        os.set_blocking(write_fd, False)
        self._rest = b""
        self._unsent = b""

    def tell(self, kind: str, **facts: Any) -> None:
        """Say something; where the pipe is full, the rest of it goes out later."""
        if kind == "status" and self._unsent:
            return
        self._unsent += orjson.dumps({"kind": kind, **facts}) + b"\n"
        self.push()

    def push(self) -> None:
        """Write what the pipe takes."""
        try:
            while self._unsent:
                self._unsent = self._unsent[os.write(self._write_fd, self._unsent) :]
        except BlockingIOError:
            return
        except OSError:
            self._unsent = b""  # nobody is there; `hear` notices

    def drain(self) -> None:
        """Write all, however long the other side takes."""
        while self._unsent:
            self.push()
            gevent.sleep(0.01)

    def hear(self) -> dict[str, Any] | None:
        """The next command; None where nobody is there any more."""
        while b"\n" not in self._rest:
            gevent.socket.wait_read(self._read_fd)
            try:
                data = os.read(self._read_fd, 65536)
            except BlockingIOError:
                continue
            except OSError:
                return None
            if not data:
                return None
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        command: dict[str, Any] = orjson.loads(line)
        return command
