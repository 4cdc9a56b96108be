"""The idle connections of one origin: the last one used is the first one taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests.wire.connection import Connection

if TYPE_CHECKING:
    from loadtests.wire.connection import Origin
    from loadtests.wire.receiver import Receiver


class Pool:
    """
    The idle connections of one origin; the last one used is the first one taken.

    Args:
        reuse: False: every request opens its own connection.
    """

    def __init__(self, receiver: Receiver, origin: Origin, *, reuse: bool = True) -> None:
        self.receiver = receiver
        self.origin = origin
        self._reuse = reuse
        self._idle: list[Connection] = []

    def take(self, patience_s: float) -> Connection:
        """
        An idle connection, else a new one.

        Raises:
            Failure: It could not be opened.
        """
        while self._idle:
            idle = self._idle.pop()
            if idle.is_fresh:
                return idle
            idle.close()
        connection = Connection(self.receiver, give=self.give, forget=self.forget)
        connection.open(self.origin, patience_s)
        return connection

    def give(self, connection: Connection) -> None:
        """Take back a connection whose exchange ended well."""
        if self._reuse:
            self._idle.append(connection)
        else:
            connection.close()

    def forget(self, connection: Connection) -> None:
        """A connection was closed: nobody shall be given it."""
        if connection in self._idle:
            self._idle.remove(connection)

    def close(self) -> None:
        """Close what is idle."""
        for connection in list(self._idle):
            connection.close()
