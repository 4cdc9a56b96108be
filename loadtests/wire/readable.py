"""What the receiver reads: the seam between it and the connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.wire.exchange import Exchange


class Readable(Protocol):
    """What the receiver drains: a connection."""

    exchange: Exchange | None
    recvmsg: Callable[[int, int], tuple[bytes, list[tuple[int, int, bytes]], int, Any]]

    def at_eof(self) -> None:
        """The peer has closed; the exchange has been told."""

    def idle_read(self) -> None:
        """Something was to be read and there is no exchange."""

    def lost(self, error: OSError) -> None:
        """Reading failed."""

    def broken(self) -> None:
        """Reading raised something unforeseen: close."""
