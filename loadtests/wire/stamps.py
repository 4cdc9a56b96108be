"""
From what the kernel and the reader's clock said to moments on the run's axis.

A stamp of the kernel is CLOCK_REALTIME; a read without one takes the moment at which it was read. Two rules keep the
order true: nothing is received after it was read (what says so is a clock that was just set forward), and bytes are
never readable before those ahead of them (after loss, a later read can carry an earlier stamp).
"""

from __future__ import annotations

import struct
from array import array
from typing import Final

import numpy as np

NO_STAMP: Final = bytes(16)
"""Stands for the stamp of a read that has none: a timespec of zero."""

MANY: Final = 12
"""From so many reads on, numpy is faster than a loop."""

_SECOND: Final = 1_000_000_000
_timespecs: Final = struct.Struct("qq").iter_unpack


def place(
    kernel: bytearray, users: array[int], shift_ns: int, zero_ns: int, last_ns: int
) -> tuple[array[int], array[int]]:
    """
    The moments of reads on the run's axis.

    Args:
        kernel: Of each read, in order, the kernel's stamp (CLOCK_REALTIME) as it gave it, or `NO_STAMP`.
        users: Of each read the moment at which it was read: CLOCK_MONOTONIC ns.
        shift_ns: What to take from a CLOCK_REALTIME stamp to be on the axis.
        zero_ns: What to take from a CLOCK_MONOTONIC one.
        last_ns: The moment of the read before them.

    Returns:
        The moments, ascending; and of each read with a kernel stamp the delay from there to its reader. In ns.
    """
    if len(users) >= MANY:
        return _place_many(kernel, users, shift_ns, zero_ns, last_ns)
    moments, lags = array("q"), array("q")
    for (seconds, nanoseconds), user in zip(_timespecs(kernel), users, strict=True):
        at_ns = user - zero_ns
        if seconds:
            moment = min(seconds * _SECOND + nanoseconds - shift_ns, at_ns)
            lags.append(at_ns - moment)
            at_ns = moment
        last_ns = max(last_ns, at_ns)
        moments.append(last_ns)
    return moments, lags


def _place_many(
    kernel: bytearray, users: array[int], shift_ns: int, zero_ns: int, last_ns: int
) -> tuple[array[int], array[int]]:
    """The same, in a few steps for all of them."""
    stamps = np.frombuffer(kernel, dtype=np.int64)
    seconds, nanoseconds = stamps[0::2], stamps[1::2]
    read = np.frombuffer(users, dtype=np.int64) - zero_ns
    moments = np.minimum(seconds * _SECOND + nanoseconds - shift_ns, read)
    lags = read - moments
    if not seconds.all():
        moments = np.where(seconds, moments, read)
        lags = lags[seconds != 0]
    moments[0] = max(int(moments[0]), last_ns)
    np.maximum.accumulate(moments, out=moments)
    return array("q", moments.tobytes()), array("q", lags.tobytes())
