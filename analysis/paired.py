"""
Ratios of pairs: what two sides differ by where each replicate (a block, a round) was played by both.

What a replicate does to both sides alike, the hour of the day for one, cancels in its ratio. Knows arrays alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST: Final = 3
"""Replicates below which an interval says nothing: with two its t factor is 12.7."""


@dataclass(frozen=True, slots=True)
class Paired:
    """B over A as the mean over n replicates, with its 95 % interval."""

    ratio: float
    lo: float
    hi: float
    n: int


def paired(a: NDArray[np.float64], b: NDArray[np.float64], confidence: float = 0.95) -> Paired | None:
    """
    The mean ratio of pairs, taken in logs: d_i = ln(b_i / a_i), exp(mean d +- t(n - 1) sd(d) / sqrt(n)).

    Args:
        a: One value per replicate, shape (n,).
        b: Those of the other side, in the same order.
        confidence: Of the two-sided interval.

    Returns:
        None with fewer than `LEAST` replicates, or where a value is not above 0: it has no logarithm.

    Source: Student's paired t; on logs of run-level quantiles since effects multiply (Kalibera & Jones,
    arXiv 2007.10899).
    """
    n = a.size
    if n < LEAST or not (np.all(a > 0) and np.all(b > 0)):
        return None
    d = np.log(b) - np.log(a)
    mean = float(np.mean(d))
    half = float(special.stdtrit(n - 1, (1 + confidence) / 2) * np.std(d, ddof=1) / np.sqrt(n))
    ratio, lo, hi = (float(np.exp(x)) for x in (mean, mean - half, mean + half))
    return Paired(ratio, lo, hi, n)
