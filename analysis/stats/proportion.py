"""Shares: their intervals, and whether one is certain to reach what was asked."""

from __future__ import annotations

import math
from typing import Final, Literal

from scipy import special

from analysis.stats.quantile import CONFIDENCE

MOST: Final = 10**9
"""Cases beyond which no number that would decide is named."""
Attainment = Literal["met", "missed", "undecided"]


def wilson(hits: float, n: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """
    Wilson's interval of hits / n; (0, 1) where n is 0.

    With z the normal quantile and s = hits / n: (s + z^2 / 2n +- z sqrt(s (1 - s) / n + z^2 / 4n^2)) / (1 + z^2 / n).

    Args:
        hits: Cases that count; with an effective n, scaled like it.
        n: Cases in all; an effective size need not be whole.
        confidence: Of the two-sided interval.

    Source: Wilson 1927; Brown, Cai & DasGupta 2001.
    """
    if n <= 0:
        return 0.0, 1.0
    z, share = float(special.ndtri((1 + confidence) / 2)), hits / n
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    middle, scale = share + z * z / (2 * n), 1 + z * z / n
    # At the ends one bound is the end itself; rounding must not put it beside it.
    lo = 0.0 if hits <= 0 else max(0.0, (middle - half) / scale)
    hi = 1.0 if hits >= n else min(1.0, (middle + half) / scale)
    return lo, hi


def attains(hits: float, n: float, p: float, confidence: float = CONFIDENCE) -> Attainment:
    """
    Whether a share of at least p is certain, or one below p, each by its own one-sided exact test.

    `met`: with a share of p so few misses would be seen at most 5 times in 100, P(Binomial(n, 1 - p) <= misses) =
    I_p(hits, misses + 1) <= 0.05. `missed`: so many would, I_{1-p}(misses, hits + 1) <= 0.05.

    Source: MLPerf LoadGen, early_stopping.cc, for the first; Clopper & Pearson 1934.
    """
    misses, doubt = n - hits, 1 - confidence
    if hits > 0 and special.betainc(hits, misses + 1, p) <= doubt:
        return "met"
    if misses > 0 and special.betainc(misses, hits + 1, 1 - p) <= doubt:
        return "missed"
    return "undecided"


def attains_needs(share: float, p: float, confidence: float = CONFIDENCE) -> int | None:
    """The least n at which `attains` would decide if the share stayed as it is; None: at p itself, or beyond 10^9."""
    if _is_undecided(share, MOST, p, confidence):
        return None
    low, high = 0, MOST
    while high - low > 1:
        middle = (low + high) // 2
        if _is_undecided(share, middle, p, confidence):
            low = middle
        else:
            high = middle
    return high


def _is_undecided(share: float, n: int, p: float, confidence: float) -> bool:
    return attains(share * n, n, p, confidence) == "undecided"
