"""
The one home of time: the monotonic axis every stamp is on, the map from the kernel's clock to it, and a punctual timer.

Receive stamps of the kernel are CLOCK_REALTIME; everything else is CLOCK_MONOTONIC, which all processes of one Linux
host share. `Offset` relates the two. `Timer` is a timerfd: an event loop that rounds its own timers to milliseconds
can still be woken on the microsecond.
"""

from __future__ import annotations

import ctypes
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

monotonic_ns = time.monotonic_ns
realtime_ns = time.time_ns
process_ns = time.process_time_ns


TRIES: Final = 5
"""Measurements of the offset per sample; the narrowest is kept (reference: NTP's minimum filter)."""


@dataclass(frozen=True, slots=True)
class Offset:
    """CLOCK_REALTIME - CLOCK_MONOTONIC in nanoseconds, right to ± error_ns at the moment it was taken."""

    offset_ns: int
    error_ns: int


def measure_offset(tries: int = TRIES) -> Offset:
    """The offset of the two clocks now: the narrowest of a few readings of one between two of the other."""
    best = Offset(0, 1 << 62)
    for _ in range(tries):
        before, real, after = monotonic_ns(), realtime_ns(), monotonic_ns()
        if after - before < 2 * best.error_ns:
            best = Offset(real - (before + after) // 2, (after - before + 1) // 2)
    return best


def utc_stamp() -> str:
    """The wall time as `yyyymmdd-hhmmss` in UTC, for names of run directories."""
    return datetime.now(UTC).strftime("%Y%m%d-%H%M%S")


def slept_ns() -> int:
    """How long this machine has been suspended since it was started: that long the monotonic clock stood still."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - monotonic_ns()


# The timer.

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLOCK_MONOTONIC: Final = 1
_ABSOLUTE: Final = 1
_NONBLOCK_CLOEXEC: Final = os.O_NONBLOCK | os.O_CLOEXEC


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class Timer:
    """
    A timerfd on CLOCK_MONOTONIC: readable once the moment it was set to has come.

    Raises:
        OSError: The kernel refuses a timerfd (no Linux, or no descriptor left).

    Source: timerfd_create(2). Python has it from 3.13 on (os.timerfd_create); this is the same for 3.11.
    """

    def __init__(self) -> None:
        self.fd: int = _LIBC.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self.fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def set(self, at_ns: int) -> None:
        """Become readable at this moment of the monotonic clock; at once if it is past."""
        self._settime(_ABSOLUTE, max(at_ns, 1), 0)

    def every(self, period_ns: int) -> None:
        """Become readable after each such period; 0: no more."""
        self._settime(0, period_ns, period_ns)

    def _settime(self, flags: int, first_ns: int, period_ns: int) -> None:
        moments = (_Timespec(*divmod(ns, 1_000_000_000)) for ns in (period_ns, first_ns))
        if _LIBC.timerfd_settime(self.fd, flags, ctypes.byref(_Itimerspec(*moments)), None) < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def clear(self) -> None:
        """Take note that it was readable; harmless where it was not."""
        try:
            os.read(self.fd, 8)
        except BlockingIOError:
            return

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.fd)
