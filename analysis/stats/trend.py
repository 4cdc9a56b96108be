"""Straight lines through a series, with errors that know that neighbours in time are alike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import special

from analysis.stats.quantile import CONFIDENCE

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST: Final = 3


@dataclass(frozen=True, slots=True)
class Trend:
    """A slope in units of y per unit of t, with its 95 % interval and its t value; inf without any scatter."""

    slope: float
    lo: float
    hi: float
    t: float


def trend(t: NDArray[np.float64], y: NDArray[np.float64]) -> Trend | None:
    """
    The least-squares slope with Newey and West's errors, up to lag 4 (n / 100)^(2 / 9).

    var(slope) = n / (n - 2) * (g_0 + 2 sum_l (1 - l / (L + 1)) g_l) / (sum x^2)^2, with x = t - mean(t), residuals e,
    and g_l = sum_i x_i e_i x_{i-l} e_{i-l}.

    Args:
        t: Moments, ascending and about evenly spread, shape (n,).
        y: Values; NaN is left out.

    Returns:
        None with fewer than 3 values or moments that are all one.

    Source: Newey & West 1987; the lag is that of their 1994 paper.
    """
    return _line(t, y, lags=True)


def trend_plain(t: NDArray[np.float64], y: NDArray[np.float64]) -> Trend | None:
    """The least-squares slope with the errors of independent residuals: var = sum e^2 / (n - 2) / sum x^2."""
    return _line(t, y, lags=False)


def _line(t: NDArray[np.float64], y: NDArray[np.float64], *, lags: bool) -> Trend | None:
    known = ~np.isnan(y)
    x, y = t[known] - t[known].mean() if known.any() else t[:0], y[known]
    squares = float(x @ x)
    if x.size < LEAST or squares == 0:
        return None
    slope = float(x @ (y - y.mean()) / squares)
    rest = y - y.mean() - slope * x
    variance = _newey_west(x * rest) / squares**2 if lags else float(rest @ rest) / squares
    error = math.sqrt(variance / (x.size - 2))
    if error <= 1e-12 * abs(slope):
        return Trend(slope, slope, slope, math.copysign(math.inf, slope) if slope else 0.0)
    half = float(special.stdtrit(x.size - 2, (1 + CONFIDENCE) / 2)) * error
    return Trend(slope, slope - half, slope + half, slope / error)


def _newey_west(scores: NDArray[np.float64]) -> float:
    """N times the long-run sum of squares of the scores x e, with Bartlett's weights: never below 0."""
    n = scores.size
    most = min(int(4 * (n / 100) ** (2 / 9)), n - 1)
    total = float(scores @ scores)
    for lag in range(1, most + 1):
        total += 2 * (1 - lag / (most + 1)) * float(scores[lag:] @ scores[:-lag])
    return n * max(total, 0.0)
