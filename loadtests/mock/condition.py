"""
What a server's own state does to all of its answers: it freezes, grows slower, serves so many at a time or a minute.

Moments are given; nothing here has a clock.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from loadtests.mock.connection import Connection

NS_PER_S = 1_000_000_000
NS_PER_MIN = 60 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Conditions:
    """
    The state of the server; the defaults are a server without limits that stays as it is.

    Attributes:
        freezes: (at, for) in seconds: when nothing at all is written, counted from the first chat completion.
        drift: By which share the times of the script grow in a minute.
        drift_from_s: Unix time, in seconds, from which they grow; None is the mock's start.
        slots: Requests that are served at a time, at most; None for any number.
        requests_per_minute, tokens_per_minute: The quota, see `quota`; None for no such limit.
        quota_burst: The share of a minute's quota that may come at once; None is a second's.

    Raises:
        ValueError: A value is not allowed; says which.
    """

    freezes: tuple[tuple[float, float], ...] = ()
    drift: float = 0.0
    drift_from_s: float | None = None
    slots: int | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    quota_burst: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for at_s, for_s in self.freezes:
            if not (0 <= at_s < math.inf and 0 < for_s < math.inf):
                raise ValueError(f"freezes: {at_s:g}:{for_s:g} isn't AT >= 0 and FOR > 0, in seconds")
        if not 0 <= self.drift < math.inf:
            raise ValueError(f"drift: {self.drift!r} isn't a share >= 0")
        if self.drift_from_s is not None and not 0 <= self.drift_from_s < math.inf:
            raise ValueError(f"drift_from_s: {self.drift_from_s!r} isn't a unix time in seconds")
        if self.drift_from_s is not None and not self.drift:
            raise ValueError("drift_from_s: does nothing without --drift SHARE, the growth in a minute")
        if self.slots is not None and self.slots < 1:
            raise ValueError(f"slots: {self.slots!r} isn't a whole number >= 1")
        for name in ("requests_per_minute", "tokens_per_minute"):
            per_min = getattr(self, name)
            if per_min is not None and not 0 < per_min < math.inf:
                raise ValueError(f"{name}: {per_min!r} isn't a number > 0")
        if self.quota_burst is not None and not 0 < self.quota_burst <= 1:
            raise ValueError(f"quota_burst: {self.quota_burst!r} isn't a share above 0 and up to 1")
        if self.quota_burst is not None and self.requests_per_minute is None and self.tokens_per_minute is None:
            raise ValueError("quota_burst: does nothing without --requests-per-minute N or --tokens-per-minute N")


class Freezes:
    """When nothing is written, in monotonic nanoseconds; nothing freezes before `begin`."""

    def __init__(self, spans: Iterable[tuple[float, float]]) -> None:
        self._spans = sorted((round(at * NS_PER_S), round((at + length) * NS_PER_S)) for at, length in spans)
        self._zero_ns: int | None = None

    def begin(self, now_ns: int) -> None:
        """Count from now; only the first call does."""
        if self._zero_ns is None:
            self._zero_ns = now_ns

    def until_ns(self, now_ns: int) -> int:
        """When the freeze that is on ends, 0 where none is; those that overlap or touch are one."""
        if self._zero_ns is None or not self._spans:
            return 0
        since_ns, end_ns = now_ns - self._zero_ns, 0
        for from_ns, until_ns in self._spans:
            if from_ns <= max(since_ns, end_ns) and until_ns > since_ns:
                end_ns = max(end_ns, until_ns)
        return self._zero_ns + end_ns if end_ns else 0


@dataclass(frozen=True, slots=True)
class Drift:
    """A server that grows slower: by `share` in a minute, from `zero_ns` (CLOCK_REALTIME) on."""

    share: float
    zero_ns: int

    def factor(self, at_ns: int) -> float:
        """How many times as long all takes that is asked for at this moment, CLOCK_REALTIME; 1 before the zero."""
        return 1.0 + self.share * max(0, at_ns - self.zero_ns) / NS_PER_MIN

    def stretched(self, offsets_ns: Sequence[int], at_ns: int) -> tuple[int, ...]:
        """The moments of an answer to what was read then."""
        factor = self.factor(at_ns)
        return tuple(round(offset * factor) for offset in offsets_ns)


class Slots:
    """Who is served and who waits, in order; `most` None is any number."""

    __slots__ = ("_most", "_taken", "_waiting", "most")

    def __init__(self, most: int | None) -> None:
        self.most = most
        self._most = math.inf if most is None else most
        self._taken = 0
        self._waiting: deque[Connection] = deque()

    @property
    def waiting(self) -> int:
        """How many connections wait for one."""
        return sum(bool(connection.waiting) for connection in self._waiting)

    def take(self, connection: Connection) -> bool:
        """Whether there is a slot for its next request, which is its own now; else it waits for one."""
        if self._taken < self._most:
            self._taken += 1
            return True
        if not connection.queues:
            connection.queues = True
            self._waiting.append(connection)
        return False

    def free(self) -> Connection | None:
        """Give a slot back; whoever has waited longest, and still waits, has it then."""
        self._taken -= 1
        while self._waiting:
            connection = self._waiting.popleft()
            connection.queues = False
            if connection.waiting:
                self._taken += 1
                return connection
        return None
