"""
Times counted in bins that are narrow enough to read percentiles from, and few enough to be told twice a second.

In every power of ten the edges are 1.00, 1.02 .. 2.00, 2.05 .. 5.0, 5.1 .. 10: a bin is 2.5 % wide at most, and every
round number is an edge. Counts of several processes add up; those of a while are a difference.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

K = TypeVar("K")
Bins = dict[int, int]
"""Counts by the number of their bin: bin i holds what is above EDGES_US[i - 1] and at most EDGES_US[i]."""

_STEPS: Final = (*range(100, 200, 2), *range(200, 500, 5), *range(500, 1000, 10))
EDGES_US: Final = sorted({step * 10**power // 100 for power in range(1, 10) for step in _STEPS} | {10**10})
"""From 10 us to 10,000 s; the last bin holds what is longer."""


def bin_of(ns: int) -> int:
    """The bin of a time in nanoseconds; a moment above an edge is beyond it."""
    return bisect_left(EDGES_US, -(-ns // 1000))


def flat(bins: Bins) -> list[int]:
    """As it is told: bin, count, bin, count."""
    return [number for pair in bins.items() for number in pair]


def of_flat(told: Iterable[int]) -> Bins:
    """What was told; what is no bin, or no count, is left out."""
    numbers = iter(told)
    return {b: count for b, count in zip(numbers, numbers, strict=False) if 0 <= b <= len(EDGES_US) and count > 0}


def add(to: dict[K, int], counts: Mapping[K, int]) -> None:
    """Add counts to others, bins or whatever else is counted."""
    for key, count in counts.items():
        to[key] = to.get(key, 0) + count


def since(now: Mapping[int, int], then: Mapping[int, int]) -> Bins:
    """What has been counted between two moments."""
    return {b: count - then.get(b, 0) for b, count in now.items() if count > then.get(b, 0)}


def quantile_s(bins: Mapping[int, int], p: float) -> float | None:
    """The p-quantile in seconds (nearest rank, the middle of its bin); None where there are fewer than 1 / (1 - p)."""
    n = sum(bins.values())
    if n * (1 - p) < 1 - 1e-9:
        return None
    numbers = sorted(bins)
    at = bisect_right(list(accumulate(bins[b] for b in numbers)), round(p * (n - 1)))
    return _middle_us(numbers[at]) / 1e6


def _middle_us(b: int) -> float:
    low = EDGES_US[b - 1] if b else 0
    return (low + EDGES_US[min(b, len(EDGES_US) - 1)]) / 2


def at_most(bins: Mapping[int, int], bounds_us: Iterable[int]) -> list[int]:
    """How many are at most each bound, shape as the bounds, which are edges."""
    last = [bisect_left(EDGES_US, bound) for bound in bounds_us]
    return [sum(count for b, count in bins.items() if b <= limit) for limit in last]
