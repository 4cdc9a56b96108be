"""The way out: bytes to the kernel at once, or kept while it has no room for them, or while the server is frozen."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

from loadtests.clock import monotonic_ns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadtests.mock.condition import Freezes
    from loadtests.mock.connection import Connection


class Outbox:
    """Writes for connections that the epoll watches; `freezes` None is a server that never freezes."""

    def __init__(self, epoll: select.epoll, freezes: Freezes | None) -> None:
        self.freezes = freezes
        self._epoll = epoll
        self._kept: list[Connection] = []

    def frozen_until_ns(self) -> int:
        """When the freeze that is on ends, 0 where none is."""
        return 0 if self.freezes is None else self.freezes.until_ns(monotonic_ns())

    def send(self, connection: Connection, data: bytes) -> bool:
        """Hand bytes to the kernel, or keep what it has no room for. False if the client is gone."""
        if not connection.out:
            try:
                sent = connection.sock.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                return False
            if sent == len(data):
                return True
            self._epoll.modify(connection.fd, select.EPOLLIN | select.EPOLLOUT)
            data = data[sent:]
        connection.out += data
        return True

    def keep(self, connection: Connection, data: bytes) -> bool:
        """Keep bytes if the server is frozen; whether it is."""
        if not self.frozen_until_ns():
            return False
        self._kept.append(connection)
        connection.out += data
        return True

    def flush(self, connection: Connection) -> bool:
        """The kernel has room again. False if the client is gone, or if that was all before its connection ends."""
        if self.frozen_until_ns():
            self._epoll.modify(connection.fd, select.EPOLLIN)
            self._kept.append(connection)
            return True
        try:
            del connection.out[: connection.sock.send(connection.out)]
        except BlockingIOError:
            return True
        except OSError:
            return False
        if not connection.out:
            self._epoll.modify(connection.fd, select.EPOLLIN)
        return bool(connection.out) or not connection.closes

    def thaw(self, connections: Mapping[int, Connection]) -> None:
        """After a freeze: what was kept of connections that are still there goes out as the kernel has room."""
        if not self._kept or self.frozen_until_ns():
            return
        for connection in self._kept:
            if connection.out and connections.get(connection.fd) is connection:
                self._epoll.modify(connection.fd, select.EPOLLIN | select.EPOLLOUT)
        self._kept.clear()
