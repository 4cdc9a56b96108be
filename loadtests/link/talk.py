"""
One direction of a conversation that loses nothing, over a connection that breaks.

Messages are numbered from 0; whoever hears them takes each once and in order, and says now and then how many it has
taken. What was said and not yet taken is kept, and said again when nothing has been taken for a while (go-back-N).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

AGAIN_NS: Final = 1_500_000_000
"""Without a word about it for so long, what was said is said again."""


class Said:
    """What this side said and the other may not have taken yet."""

    def __init__(self) -> None:
        self._kept: deque[tuple[int, dict[str, Any]]] = deque()
        self._next = 0
        self._at_ns = 0

    def say(self, message: dict[str, Any], now_ns: int) -> dict[str, Any]:
        """Number a message; it is kept until it was taken."""
        message = {**message, "n": self._next}
        if not self._kept:
            self._at_ns = now_ns
        self._kept.append((self._next, message))
        self._next += 1
        return message

    def taken(self, count: int, now_ns: int) -> None:
        """The other side has taken so many."""
        while self._kept and self._kept[0][0] < count:
            self._kept.popleft()
            self._at_ns = now_ns

    def again(self, now_ns: int) -> Iterator[dict[str, Any]]:
        """What is to be said again now."""
        if self._kept and now_ns - self._at_ns > AGAIN_NS:
            self._at_ns = now_ns
            yield from [message for _, message in self._kept]

    @property
    def open(self) -> bool:
        """Something has not been taken yet."""
        return bool(self._kept)


class Heard:
    """
    What this side has taken.

    Attributes:
        count: How many messages.
    """

    def __init__(self) -> None:
        self.count = 0

    def takes(self, message: dict[str, Any]) -> bool:
        """Whether it is the next one; others are repeated, or will be said again."""
        if message["n"] != self.count:
            return False
        self.count += 1
        return True
