"""
How far another machine's monotonic clock is from this one's, by asking it for the time again and again.

An answer that took r ns to come is right to ± r/2, however asymmetric the way, and to what the two drift apart
meanwhile. The quickest of the recent ones is the best (NTP's minimum filter, RFC 5905 section 10); old ones leave,
because two quartz crystals drift apart by some 10 to 100 µs a second at worst.
"""

from __future__ import annotations

from collections import deque
from math import ceil
from typing import Final, NamedTuple

KEEP: Final = 32
DRIFT: Final = 100e-6
"""Seconds that two clocks may drift apart in a second: what an answer's age adds to its error."""


class Reading(NamedTuple):
    """Their clock - ours in nanoseconds, right to ± error_ns when it was taken, which was at_ns of ours."""

    offset_ns: int
    error_ns: int
    at_ns: int

    def worst_ns(self, now_ns: int) -> int:
        """Its error now."""
        return self.error_ns + ceil(DRIFT * (now_ns - self.at_ns))


class Offsets:
    """The recent answers, and the best of them."""

    def __init__(self) -> None:
        self._readings: deque[Reading] = deque(maxlen=KEEP)
        self.count = 0

    def answered(self, asked_ns: int, theirs_ns: int, now_ns: int) -> None:
        """Asked at one moment of our clock, answered with a moment of theirs, which came at another of ours."""
        trip_ns = now_ns - asked_ns
        self.count += 1
        error_ns = (trip_ns + 1) // 2 + ceil(DRIFT * trip_ns)
        self._readings.append(Reading(theirs_ns - (asked_ns + now_ns) // 2, error_ns, now_ns))

    def best(self, now_ns: int) -> Reading:
        """The one with the least error now; there is one."""
        return min(self._readings, key=lambda reading: reading.worst_ns(now_ns))
