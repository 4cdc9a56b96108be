"""Two samples, of one value per run: the difference B - A with its interval and p, by the design they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import special

from analysis.stats.permutation import permutation_p, sign_flip_p
from analysis.stats.quantile import CONFIDENCE

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST: Final = 2
"""Values a side below which Welch's test says nothing."""
LEAST_PAIRS: Final = 3
"""Pairs below which an interval says nothing: with two its t factor is 12.7."""
LEAST_PAST: Final = 5
"""Values of A below which their spread cannot stand for that of B."""


@dataclass(frozen=True, slots=True)
class Effect:
    """
    The difference B - A; of logs, the log of the ratio.

    Attributes:
        lo, hi: The two-sided interval.
        p: Two-sided, of no difference.
        se: Standard error of the estimate.
        df: Degrees of freedom of the t distribution behind interval and p.
    """

    estimate: float
    lo: float
    hi: float
    p: float
    se: float
    df: float


def welch(a: NDArray[np.float64], b: NDArray[np.float64], confidence: float = CONFIDENCE) -> Effect | None:
    """
    Difference of two means whose spreads may differ.

    se^2 = v_a + v_b with v = s^2 / n; df = se^4 / (v_a^2 / (n_a - 1) + v_b^2 / (n_b - 1)). Without any spread the
    interval has no width and p is that of the exact permutation.

    Returns:
        None with fewer than 2 values a side.

    Source: Welch 1947; on logs of run-level quantiles since effects multiply (Kalibera & Jones, arXiv 2007.10899).
    """
    if min(a.size, b.size) < LEAST:
        return None
    estimate = float(b.mean() - a.mean())
    v_a, v_b = _variance(a) / a.size, _variance(b) / b.size
    if v_a + v_b == 0:
        return _certain(estimate, permutation_p(a, b), a.size + b.size - 2)
    # By shares of the sum: the squares of very small variances would be 0.
    share = v_a / (v_a + v_b)
    df = 1 / (share**2 / (a.size - 1) + (1 - share) ** 2 / (b.size - 1))
    return _effect(estimate, float(np.sqrt(v_a + v_b)), df, confidence)


def paired(d: NDArray[np.float64], confidence: float = CONFIDENCE) -> Effect | None:
    """
    The mean of differences within pairs: what a pair does to both sides alike, the hour of the day for one, cancels.

    mean +- t(n - 1) sd / sqrt(n). Without any spread the interval has no width and p is that of the exact sign flips.

    Args:
        d: B - A of each pair, shape (n,).
        confidence: Of the two-sided interval.

    Returns:
        None with fewer than 3 pairs.

    Source: Student 1908.
    """
    if d.size < LEAST_PAIRS:
        return None
    estimate, variance = float(d.mean()), _variance(d)
    if variance == 0:
        return _certain(estimate, sign_flip_p(d), d.size - 1)
    return _effect(estimate, float(np.sqrt(variance / d.size)), d.size - 1, confidence)


def pooled(a: NDArray[np.float64], b: NDArray[np.float64], confidence: float = CONFIDENCE) -> Effect | None:
    """
    Difference of two means with one spread for both, so that B may be a single value beside the past of A.

    se^2 = s^2 (1 / n_a + 1 / n_b), s^2 from both sides; from A alone, with n_a - 1 degrees, where B has one value.

    Returns:
        None with fewer than 5 values in A or none in B.

    Source: Student 1908.
    """
    if a.size < LEAST_PAST or b.size == 0:
        return None
    estimate, df = float(b.mean() - a.mean()), a.size + b.size - 2
    squares = _variance(a) * (a.size - 1) + (_variance(b) * (b.size - 1) if b.size > 1 else 0.0)
    if squares == 0:
        return _certain(estimate, permutation_p(a, b), df)
    return _effect(estimate, float(np.sqrt(squares / df * (1 / a.size + 1 / b.size))), df, confidence)


def hodges_lehmann(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """
    The median of all differences b_j - a_i: a shift that no single outlier moves. NaN where a side is empty.

    Source: Hodges & Lehmann 1963.
    """
    return float(np.median(np.subtract.outer(b, a))) if a.size and b.size else float("nan")


def hodges_lehmann_paired(d: NDArray[np.float64]) -> float:
    """The median of the Walsh averages (d_i + d_j) / 2, i <= j, of differences within pairs; NaN without any."""
    i, j = np.triu_indices(d.size)
    return float(np.median((d[i] + d[j]) / 2)) if d.size else float("nan")


def superiority(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Probability that a value of B is above one of A, ties counting half: U / (n_a n_b); NaN where a side is empty."""
    if not a.size or not b.size:
        return float("nan")
    ordered = np.sort(a)
    below, upto = (np.searchsorted(ordered, b, side).sum() for side in ("left", "right"))
    return float((below + upto) / (2 * a.size * b.size))


def _variance(values: NDArray[np.float64]) -> float:
    """Of a sample; 0 where only rounding makes its values differ."""
    if np.ptp(values) <= 1e-12 * np.abs(values).max():
        return 0.0
    return float(values.var(ddof=1))


def _effect(estimate: float, se: float, df: float, confidence: float) -> Effect:
    half = float(special.stdtrit(df, (1 + confidence) / 2)) * se
    p = 2 * float(special.stdtr(df, -abs(estimate) / se))
    return Effect(estimate, estimate - half, estimate + half, p, se, float(df))


def _certain(estimate: float, exact: float, df: float) -> Effect:
    """The effect where neither side has any spread."""
    return Effect(estimate, estimate, estimate, exact if estimate else 1.0, 0.0, float(df))
