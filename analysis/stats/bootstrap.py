"""Intervals of a ratio of sums over units in time order, by drawing whole blocks of neighbours anew."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import special

from analysis.stats.dependence import effective_count
from analysis.stats.quantile import CONFIDENCE

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST: Final = 10
MOST: Final = 2000
LEAST_BLOCKS: Final = 5
"""Blocks that the longest block leaves; of fewer, no spread can be seen."""


def ratio_interval(
    num: NDArray[np.float64],
    den: NDArray[np.float64],
    block: int | None = None,
    draws: int = 2000,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> tuple[float, float] | None:
    """
    The interval of sum(num) / sum(den), by a circular block bootstrap.

    More than 2,000 units are summed to 2,000 first. The ends are the draws' percentiles, taken further out as a t
    interval of so few blocks would be. In a series of fewer than some 20 independent units it is too narrow still.

    Args:
        num: One value per unit (a second, a request) in time order, shape (n,).
        den: Likewise, not below 0.
        block: Units drawn together; None: (tau^2 n)^(1/3) with tau what dependence multiplies the variance by, so at
            least n^(1/3).
        draws: How many.
        seed: Of the draws: the same data give the same interval.
        confidence: Of the two-sided interval.

    Returns:
        None with fewer than 10 units, or where so much of den is 0 that a draw may have none.

    Source: Politis & Romano 1992 (circular blocks); Kuensch 1989 (blocks grow as n^(1/3)); Hesterberg 2015, section 5.3
    (percentiles for few values).
    """
    if num.size < LEAST or den.sum() <= 0:
        return None
    num, den = _summed(num), _summed(den)
    n = num.size
    length = min(block or _block(num - num.sum() / den.sum() * den), n // LEAST_BLOCKS)
    top, bottom = _redrawn(num, den, length, draws, seed)
    if not np.all(bottom > 0):
        return None
    tail = _tail(n / length, confidence)
    lo, hi = np.quantile(top / bottom, (tail, 1 - tail))
    return float(lo), float(hi)


def _summed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """At most `MOST` units, each the sum of equally many neighbours, but for one more or less."""
    if values.size <= MOST:
        return np.asarray(values, dtype=np.float64)
    starts = np.arange(MOST) * values.size // MOST
    return np.asarray(np.add.reduceat(values.astype(np.float64), starts))


def _block(rest: NDArray[np.float64]) -> int:
    """Units to a block, from what each unit adds to the ratio's error."""
    tau = rest.size / effective_count(rest)
    return math.ceil(math.cbrt(tau**2 * rest.size) - 1e-9)


def _redrawn(
    num: NDArray[np.float64], den: NDArray[np.float64], length: int, draws: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums of both over n units, drawn as blocks that may run over the end into the start; shapes (draws,)."""
    n = num.size
    # As one complex number both sums take one look-up.
    sums = np.cumsum(np.concatenate([[0], num + 1j * den, (num + 1j * den)[:length]]))
    full, rest = divmod(n, length)
    starts = np.random.default_rng(seed).integers(n, size=(draws, full + 1), dtype=np.uint16)
    drawn = (sums[length : n + length] - sums[:n]).take(starts[:, :-1]).sum(axis=1)
    drawn += (sums[rest : n + rest] - sums[:n]).take(starts[:, -1])
    return drawn.real, drawn.imag


def _tail(blocks: float, confidence: float) -> float:
    """The level of the lower percentile: Phi(-sqrt(k / (k - 1)) t_{k-1}) for k blocks."""
    t = float(special.stdtrit(blocks - 1, (1 + confidence) / 2))
    return float(special.ndtr(-math.sqrt(blocks / (blocks - 1)) * t))
