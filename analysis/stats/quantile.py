"""
Statistics of one sample: quantiles with what is known about them. Knows arrays, not language models.

Intervals are distribution-free and rest on the effective size of the sample: values that come in clusters, as requests
behind one stall do, count for fewer. Within one run they say how well this run is known, not how far the next one may
differ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import special

from analysis.stats.dependence import crowding, inflation, segments

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONFIDENCE: Final = 0.95
FIRM: Final = 0.99
LADDER: Final = (0.5, 0.9, 0.95, 0.99, 0.999)


@dataclass(frozen=True, slots=True)
class Quantile:
    """
    A quantile and what is known about it.

    Attributes:
        p: Which one, 0 < p < 1.
        n: Values in the sample.
        value: None where n_eff is too small for the sample to reach it.
        lo: Lower end of the 95 % interval; None: unbounded at this n_eff.
        hi: Upper end; None: unbounded at this n_eff.
        is_rough: It rests on the few largest values: n_eff is below `firm_count(p)`.
        n_eff: Independent values that the sample is worth for this quantile, at most n.
        certified: A value that the quantile is at most, at 99 % confidence; None: n_eff is too small for one.
    """

    p: float
    n: int
    value: float | None
    lo: float | None
    hi: float | None
    is_rough: bool
    n_eff: float
    certified: float | None

    @property
    def needed(self) -> int:
        """The least n at which it is printed without being rough for want of an interval."""
        return least_count(self.p)


@cache
def least_count(p: float) -> int:
    """
    The least n at which a sample says something about its p-quantile at 95 % confidence.

    Above the median: the largest value exceeds the quantile with that confidence, p**n <= 0.05; n = 29, 59, 299, 2,995
    for p90, p95, p99, p99.9. At the median: the whole sample is a two-sided interval, 2 * 0.5**n <= 0.05; n = 6.

    Source: Hahn & Meeker, Statistical Intervals, section 5.
    """
    p = max(p, 1 - p)
    if p == 0.5:
        return 6
    return math.ceil(math.log(1 - CONFIDENCE) / math.log(p))


@cache
def firm_count(p: float) -> int:
    """
    The least n at which one value may lie above and still p is certified at 99 %: I_p(n - 1, 2) <= 0.01.

    n = 64, 130, 662, 6,636 for p90, p95, p99, p99.9.

    Source: MLPerf LoadGen, early_stopping.cc.
    """
    p = max(p, 1 - p)
    if p == 0.5:
        return least_count(p)
    n = least_count(p)
    while special.betainc(n - 1, 2, p) > 1 - FIRM:
        n += 1
    return n


def highest_supported(n: int, up_to: float = 0.99) -> float:
    """The highest of p50, p90, p95, p99, p99.9 that n values say something about; p50 at the least."""
    return max((p for p in LADDER if p <= up_to and n >= least_count(p)), default=0.5)


def quantile_ranks(n: int, p: float) -> tuple[int, int]:
    """
    Ranks (from 1) of the order statistics that enclose the p-quantile with at least 95 % confidence.

    With B ~ Binomial(n, p): the largest l with P(B < l) <= 0.025 and the smallest u with P(B >= u) <= 0.025. A rank 0
    or n + 1 is outside the sample: unbounded.

    Source: Hahn & Meeker, Statistical Intervals, section 5.2.
    """
    tail = (1 - CONFIDENCE) / 2
    return _first_above(n, p, tail), _first_above(n, p, 1 - tail) + 1


def _first_above(n: int, p: float, level: float) -> int:
    """The smallest k with P(Binomial(n, p) <= k) > level, by bisection."""
    low, high = -1, n
    while high - low > 1:
        middle = (low + high) // 2
        if special.bdtr(middle, n, p) > level:
            high = middle
        else:
            low = middle
    return high


@cache
def allowed_above(n: int, p: float, confidence: float = FIRM) -> int | None:
    """
    How many of n values may lie above a bound and still the p-quantile is certain not to.

    The greatest t with P(Binomial(n, 1 - p) <= t) <= 1 - confidence; None where there is none: p99 at 99 % below 459.

    Source: MLPerf LoadGen, early_stopping.cc.
    """
    allowed = _first_above(n, 1 - p, 1 - confidence) - 1
    return allowed if allowed >= 0 else None


@cache
def enough(p: float) -> int:
    """The least n with one value beyond the quantile: 20 for p95, 100 for p99; 6 for the median."""
    return max(least_count(0.5), math.ceil(round(1 / (1 - max(p, 1 - p)), 9)))


def quantiles(values: NDArray[np.float64], ps: tuple[float, ...]) -> tuple[Quantile, ...]:
    """
    Quantiles of a sample with their intervals.

    The value is interpolated between neighbours (Hyndman & Fan's type 7, numpy's own); it is None where n is below
    `least_count(p)`, but for the median, given from one value on. Interval, certificate and whether it is rough
    rest on n_eff: one stall that makes the whole tail is seen, and not taken for many.

    Args:
        values: In order of arrival, so that clusters show; NaN is left out, inf is what never came.
        ps: Which quantiles.
    """
    known = values[~np.isnan(values)]
    series = segments(known)
    ordered = np.sort(known)
    return tuple(_quantile(ordered, series, p) for p in ps)


def _quantile(ordered: NDArray[np.float64], series: NDArray[np.float64], p: float) -> Quantile:
    n = ordered.size
    if n == 0:
        return Quantile(p, 0, None, None, None, is_rough=False, n_eff=0.0, certified=None)
    value = _interpolated(ordered, p)
    below = series <= value
    n_eff = n / max(inflation(below), crowding(below.ravel()))
    if p != 0.5 and n < least_count(p):
        return Quantile(p, n, None, None, None, is_rough=False, n_eff=n_eff, certified=None)
    low, high = _ranks(n, n_eff, p)
    return Quantile(
        p=p,
        n=n,
        value=value,
        lo=float(ordered[low - 1]) if low >= 1 else None,
        hi=float(ordered[high - 1]) if high <= n else None,
        is_rough=n_eff < firm_count(p),
        n_eff=n_eff,
        certified=_certified(ordered, n_eff, p),
    )


def _interpolated(ordered: NDArray[np.float64], p: float) -> float:
    """Type 7; what never came, inf, is not calculated with where it does not matter."""
    at = p * (ordered.size - 1)
    below = math.floor(at)
    low, high = float(ordered[below]), float(ordered[min(below + 1, ordered.size - 1)])
    return low if low == high or at == below else low + (high - low) * (at - below)


def _ranks(n: int, n_eff: float, p: float) -> tuple[int, int]:
    """Ranks of the interval of n values worth n_eff: those of n_eff values, as far in from the ends in proportion."""
    size = max(math.floor(n_eff), 1)
    low, high = quantile_ranks(size, p)
    return low * n // size, n + 1 - (size + 1 - high) * n // size


def _certified(ordered: NDArray[np.float64], n_eff: float, p: float) -> float | None:
    """The value with as many above it, itself among them, as n_eff values allow, in proportion; at most the largest."""
    size = math.floor(n_eff)
    allowed = allowed_above(size, p)
    if allowed is None:
        return None
    return float(ordered[ordered.size - max(allowed * ordered.size // size, 1)])


def dkw_halfwidth(n: int) -> float:
    """
    Half the width of a 95 % band around a whole empirical distribution: sqrt(ln(2 / 0.05) / (2 n)).

    Source: Dvoretzky, Kiefer & Wolfowitz 1956, with Massart's constant (1990).
    """
    return math.sqrt(math.log(2 / (1 - CONFIDENCE)) / (2 * n))
