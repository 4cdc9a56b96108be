"""
Where a share that falls with the load crosses what was promised, from all probes at once, and how well that is known.

logit(share) = logit(needed) - b (x - x0) with x the log of the load; x0, the log of the capacity, is found by maximum
likelihood with the steepness b as a nuisance. Probes far from the crossing count for less: the curve is a straight line
only near by.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

NEAR: Final = math.log(1.35)
"""Width of the weights about the crossing, on the log of the load."""
ALIKE: Final = 0.3
"""The same, for how much requests of a load hang together: neighbours in load are told by each other."""
LEFT_OUT: Final = 0.05
"""Weight from which on a probe is left out once, to see what hangs on it."""
STEEP: Final[Array] = np.exp(np.linspace(math.log(2), math.log(150), 64))
USUAL: Final = (math.log(15), 1.0)
"""Mean and deviation of the log of b, before anything is seen: where probes are all or nothing, any steepness fits."""
GRID: Final = 401
BEYOND: Final = 0.3
"""How far the crossing is looked for beyond the loads that it must lie between, on the log of the load."""
ROUNDS: Final = 3


class Crossing(NamedTuple):
    """
    Where the fit crosses.

    Attributes:
        load, lo, hi: The crossing and its interval.
        steepness: b.
        dispersion: By how much probes lie farther from the curve than their own chance allows; at least 1.
    """

    load: float
    lo: float
    hi: float
    steepness: float
    dispersion: float
    needed: float

    def share(self, loads: Array) -> Array:
        """What the curve expects at these loads, shape (n,)."""
        logit = special.logit(self.needed) - self.steepness * np.log(np.asarray(loads) / self.load)
        return np.asarray(special.expit(logit), dtype=np.float64)


def crossing(
    loads: Array, shares: Array, counts: Array, sizes: Array, needed: float, confidence: float = 0.95
) -> Crossing | None:
    """
    Fit the probes of one promise.

    The interval is the wider one of two: the profile likelihood's, widened by the dispersion, and the jackknife's over
    probes; the first knows how many requests there were, the second how far probes really are apart.

    Args:
        loads: Tried, shape (m,), above 0.
        shares: Of the requests that kept it.
        counts: Requests.
        sizes: Independent ones that these are worth.
        needed: The share that was promised, within (0, 1).
        confidence: Of the interval.

    Returns:
        None where no probe lies on one of the sides: a fit would be a guess.
    """
    if not (shares >= needed).any() or not (shares < needed).any():
        return None
    x, size = np.log(loads), smoothed(loads, counts, sizes)
    likely = _Likelihood(x, shares * size, size, needed)
    place, steep, weights = likely.peak(np.ones_like(x))
    best = Crossing(math.exp(likely.grid[place]), 0.0, 0.0, float(STEEP[steep]), 1.0, needed)
    free = max(1.0, float(weights.sum()) - 2)
    best = best._replace(dispersion=_dispersion(best.share(loads), shares * size, size, weights, free))
    t = float(special.stdtrit(free, (1 + confidence) / 2))
    profile = likely.of(weights).max(axis=1)
    inside = np.flatnonzero(2 * (profile.max() - profile) <= best.dispersion * t * t)
    ends = likely.grid[[max(inside[0] - 1, 0), min(inside[-1] + 1, GRID - 1)]]  # a point stands for its neighbourhood
    lo, hi = likely.jackknife(weights, confidence)
    return best._replace(lo=math.exp(min(ends[0], lo)), hi=math.exp(max(ends[1], hi)))


def smoothed(loads: Array, counts: Array, sizes: Array) -> Array:
    """
    What the counts are worth, with one dependence for neighbouring loads, shape (m,).

    By itself a probe that happened to see few misses seems to be worth more than one that saw a busy spell: weighed so,
    they would pull the crossing up, by 4 % with 2,000 requests a probe of M/M/8.
    """
    x = np.log(loads)
    near = np.exp(-0.5 * ((x[:, None] - x) / ALIKE) ** 2)
    alike = near @ np.log(counts / np.maximum(sizes, 1e-9)) / near.sum(axis=1)
    return np.asarray(counts / np.exp(alike), dtype=np.float64)


class _Likelihood:
    """What each probe says of each crossing and steepness; probes can be weighed and left out without asking again."""

    def __init__(self, x: Array, hits: Array, size: Array, needed: float) -> None:
        kept, broke = x[hits >= needed * size].max(), x[hits < needed * size].min()
        self.grid = np.linspace(min(kept, broke) - BEYOND, max(kept, broke) + BEYOND, GRID)
        logit = special.logit(needed) - STEEP[:, None] * (x - self.grid[:, None, None])
        self._each = hits * special.log_expit(logit) + (size - hits) * special.log_expit(-logit)
        self._prior = -0.5 * ((np.log(STEEP) - USUAL[0]) / USUAL[1]) ** 2
        self._x = x

    def of(self, weights: Array) -> Array:
        """The log-likelihood of each crossing and each steepness, shape (GRID, len(STEEP))."""
        return np.asarray(self._each @ weights + self._prior, dtype=np.float64)

    def peak(self, used: Array) -> tuple[int, int, Array]:
        """Places of the likeliest crossing and steepness, and the weights about it, of the probes that are used."""
        weights = used
        for _ in range(ROUNDS):
            likely = self.of(weights)
            place, steep = divmod(int(likely.argmax()), likely.shape[1])
            weights = used * np.exp(-0.5 * ((self._x - self.grid[place]) / NEAR) ** 2)
        return place, steep, weights

    def jackknife(self, weights: Array, confidence: float) -> tuple[float, float]:
        """
        The interval of the log of the crossing, by what it would be without each probe near by.

        Source: Tukey 1958; Efron & Tibshirani, An Introduction to the Bootstrap, chapter 11.
        """
        every = np.ones_like(weights)
        near = np.flatnonzero(weights > LEFT_OUT * weights.max())
        without = self.grid[[self.peak(every - (np.arange(every.size) == one))[0] for one in near]]
        error = math.sqrt((near.size - 1) * float(without.var()))
        half = float(special.stdtrit(max(1, near.size - 2), (1 + confidence) / 2)) * error
        middle = float(self.grid[self.peak(every)[0]])
        return middle - half, middle + half


def _dispersion(expected: Array, hits: Array, size: Array, weights: Array, free: float) -> float:
    """Pearson's chi-square over its degrees of freedom, at least 1."""
    spread = np.maximum(size * expected * (1 - expected), 0.25)
    return max(1.0, float((weights * (hits - size * expected) ** 2 / spread).sum()) / free)
