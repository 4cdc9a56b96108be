"""
How much data finds what: power, detectable effects, and the runs and requests to plan.

Effects and standard deviations are on the log scale, ln 1.05 for 5 %, unless the caller compares plain differences.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from scipy import special

from analysis.stats.quantile import CONFIDENCE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


FARTHEST: Final = 1e6
"""Standard errors beyond which no effect is looked for."""


def power(n_a: int, n_b: int, sd: float, effect: float, alpha: float, rho: float | None = None) -> float:
    """
    Probability that the two-sided t test at level alpha finds an effect, by the noncentral t distribution.

    Args:
        n_a: Runs of A.
        n_b: Runs of B; of pairs, their number is the smaller one.
        sd: Between runs of a side.
        effect: B - A.
        alpha: Level of the test, adjusted for the size of its family where it has one.
        rho: Correlation of the two runs of a pair; None: two independent samples.

    Returns:
        0 where there are too few runs for a test.
    """
    df, scale = _design(n_a, n_b, rho)
    if df < 1:
        return 0.0
    if sd * scale == 0:
        return 1.0 if effect else 0.0
    return _found(abs(effect) / (sd * scale), df, alpha)


def detectable(n_a: int, n_b: int, sd: float, alpha: float, power: float = 0.8, rho: float | None = None) -> float:
    """The least effect that is found with this power; inf where there are too few runs for a test."""
    df, scale = _design(n_a, n_b, rho)
    return _shift(df, alpha, power) * sd * scale if df >= 1 else math.inf


def runs_needed(
    effect: float, sd: float, alpha: float, power: float = 0.9, rho: float | None = None, most: int = 2000
) -> int | None:
    """The least number of runs a side, or of pairs, that finds an effect with this power; None: not even `most` do."""
    low, high = 1, most
    if not effect or detectable(most, most, sd, alpha, power, rho) > abs(effect):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        enough = detectable(middle, middle, sd, alpha, power, rho) <= abs(effect)
        low, high = (low, middle) if enough else (middle, high)
    return high


def sd_of_quantile(p: float, sd_run: float, spread: float, n_eff: float) -> float:
    """
    Standard deviation of a run's log p-quantile: sqrt(sd_run^2 + (k_p spread)^2 / n_eff).

    Args:
        p: Which quantile.
        sd_run: What runs differ by beyond the chance of their requests.
        spread: Standard deviation of the logs of single requests, taken as normal.
        n_eff: Effective number of requests in a run.
    """
    return math.hypot(sd_run, quantile_factor(p) * spread / math.sqrt(n_eff))


def quantile_factor(p: float) -> float:
    """How much less certain than a mean a quantile is: sqrt(p (1 - p)) / phi(z_p); 1.25, 2.11, 3.73 at .5, .95, .99."""
    z = float(special.ndtri(p))
    return math.sqrt(p * (1 - p)) * math.sqrt(2 * math.pi) * math.exp(z * z / 2)


def requests_needed(p: float, spread: float, half: float, confidence: float = CONFIDENCE) -> int:
    """
    Effective requests in one run whose log p-quantile is known within +- half: (z k_p spread / half)^2.

    Of requests that depend on each other it takes more, by n / n_eff.
    """
    z = float(special.ndtri((1 + confidence) / 2))
    return math.ceil((z * quantile_factor(p) * spread / half) ** 2)


def sd_interval(values: NDArray[np.float64], confidence: float = 0.8, groups: int = 1) -> tuple[float, float] | None:
    """
    The interval of a standard deviation, from (n - 1) s^2 / sigma^2 ~ chi^2(n - 1); None with fewer than 2 values.

    Of several groups the values are distances from each one's own mean, with n - groups degrees of freedom.

    80 % by default: a planner wants the pessimistic end, and of few runs a wider one says nothing any more.
    """
    df = values.size - groups
    if df < 1:
        return None
    squares, tail = float(values.var()) * values.size, (1 - confidence) / 2
    low, high = (float(special.chdtri(df, level)) for level in (tail, 1 - tail))
    return math.sqrt(squares / low), math.sqrt(squares / high)


def _design(n_a: int, n_b: int, rho: float | None) -> tuple[int, float]:
    """Degrees of freedom, and the standard error of the effect in units of sd."""
    if rho is not None:
        pairs = min(n_a, n_b)
        return pairs - 1, math.sqrt(2 * (1 - rho) / max(pairs, 1))
    return (n_a + n_b - 2, math.sqrt(1 / n_a + 1 / n_b)) if min(n_a, n_b) > 0 else (0, 0.0)


@lru_cache(maxsize=4096)
def _shift(df: int, alpha: float, power: float) -> float:
    """The least effect in standard errors that is found with this power; inf where no effect is."""
    low, high = 0.0, 1.0
    while not _found(high, df, alpha) >= power:
        low, high = high, 2 * high
        if high > FARTHEST:
            return math.inf
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if _found(middle, df, alpha) >= power else (middle, high)
    return high


def _found(shift: float, df: int, alpha: float) -> float:
    """P(|T| > t) of the noncentral t distribution, t the two-sided critical value at alpha."""
    critical = float(special.stdtrit(df, 1 - alpha / 2))
    # What underflows to NaN is as good as 0: a tail on the other side, or all that lies below a far shift.
    own, other = (float(special.nctdtr(df, shift, end)) for end in (critical, -critical))
    return 1 - (0.0 if math.isnan(own) else own) + (0.0 if math.isnan(other) else other)
