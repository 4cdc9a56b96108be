"""Large runs allocate and free the same large arrays again and again: what is freed stays for the next one."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Final

M_TRIM_THRESHOLD: Final = -1
M_MMAP_MAX: Final = -4
MOST: Final = 2**31 - 1


@cache
def keep() -> None:
    """
    Have glibc hand freed memory to the next array instead of back to the kernel, which would clear it first.

    Of 10 million rows that is two thirds of all system time, at the same peak. Without glibc nothing happens.

    Source: mallopt(3).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, MOST)
