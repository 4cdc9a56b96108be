"""
When to look at the sockets: at each event while these are few, and at a steady beat once they are many.

Waking up costs more than reading. With hundreds of streams a token arrives every few dozen microseconds, and the loop
would go to sleep and wake between any two of them; looking a few thousand times a second instead finds several at each
look. The kernel has stamped them, so that no figure changes; only two tokens of one stream within a beat share a read.
(Network drivers do the same: Linux' NAPI turns to polling under load.)
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from gevent.hub import get_hub

from loadtests.clock import Timer, monotonic_ns

if TYPE_CHECKING:
    from collections.abc import Callable

BEAT_NS: Final = 250_000
SPAN: Final = 64
"""Looks over which it is judged whether they are many."""

MANY_NS: Final = SPAN * 125_000
"""So many looks at events within this time are too many: 8,000 a second."""

FEW_READS: Final = SPAN
"""So few reads in that many beats are better seen as they come: 4,000 a second."""


class Beat:
    """
    Calls for a look at the right moments.

    Args:
        loop: gevent's.
        fd: Readable when there is something to be seen.
        look: Reads all there is; returns the number of reads.
    """

    def __init__(self, loop: Any, fd: int, look: Callable[[], int]) -> None:
        self._look = look
        self._timer = Timer()
        self._events = loop.io(fd, 1)
        self._beats = loop.io(self._timer.fd, 1)
        self._count = self._reads = 0
        self._since_ns = monotonic_ns()
        self._events.start(self._on_event)

    @property
    def steady(self) -> bool:
        """Whether there are so many events that a beat is kept."""
        return bool(self._beats.active)

    def close(self) -> None:
        """Call no more."""
        for watcher in (self._events, self._beats):
            watcher.stop()
            watcher.close()
        self._timer.close()

    def _looked(self) -> int:
        """An exception that left a watcher's callback would stop the watcher for good."""
        try:
            return self._look()
        except Exception:  # noqa: BLE001 - a flaw of ours: it is shown, and the looking goes on
            get_hub().handle_error(self, *sys.exc_info())
            return 0

    def _on_event(self) -> None:
        self._looked()
        self._count += 1
        if self._count >= SPAN and self._span() < MANY_NS:
            self._events.stop()
            self._timer.every(BEAT_NS)
            self._beats.start(self._on_beat)

    def _on_beat(self) -> None:
        self._timer.clear()
        self._reads += self._looked()
        self._count += 1
        if self._count >= SPAN:
            reads = self._reads
            self._span()
            if reads <= FEW_READS:
                self._beats.stop()
                self._timer.every(0)
                self._events.start(self._on_event)

    def _span(self) -> int:
        """How long the last looks took altogether; the next ones are counted anew."""
        now = monotonic_ns()
        passed, self._since_ns = now - self._since_ns, now
        self._count = self._reads = 0
        return passed
