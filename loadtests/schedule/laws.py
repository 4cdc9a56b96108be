"""
Arrival processes: constant, Poisson, gamma, groups at one instant; each as spelled by `--arrivals`.

Every process has the prefix property: a longer schedule of the same seed and rate begins with the shorter one. Draws
are numpy's PCG64, taken one after the other.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from loadtests.schedule.bounds import MAX_ARRIVALS, NS, ScheduleError, check, check_bounds, meant
from loadtests.units import not_one_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loadtests.schedule.arrivals import Offsets

    Times: TypeAlias = NDArray[np.float64]

ARRIVALS: Final = ("constant", "poisson", "gamma:CV", "burst:N", "trace:FILE")
"""Values of --arrivals as messages and help show them."""

MIN_CV: Final = 0.01
MAX_CV: Final = 100.0


@dataclass(frozen=True, slots=True)
class Law:
    """
    An arrival process without its rate.

    Attributes:
        cv: Coefficient of variation of the independent gamma gaps: 1 is Poisson, more is burstier; 0: evenly spaced,
            nothing drawn.
        group: Arrivals that come at one instant, of which the groups are evenly spaced; None: each comes alone.
    """

    cv: float = 0.0
    group: int | None = None

    def offsets(self, rate_per_s: float | None, duration_s: float | None, seed: int, requests: int | None) -> Offsets:
        """
        Arrivals at a fixed rate; a group without a rate comes once, at 0.

        Args:
            rate_per_s: Mean arrivals per second, > 0.
            duration_s: No arrival at or after this moment; None: as long as the requests last.
            seed: Of numpy's PCG64.
            requests: At most so many; None: as many as fall into the duration.

        Returns:
            Shape (n,), ascending, nanoseconds since the start.

        Raises:
            ScheduleError: Rate, duration or requests out of range, or none of the last two.
        """
        if self.group and rate_per_s is None:
            check_bounds(duration_s, requests)
            return np.zeros(min(self.group, requests or self.group), dtype=np.int64)
        rate_per_s = check(rate_per_s, duration_s, requests)
        if not self.cv:
            return constant(rate_per_s, duration_s, requests, self.group or 1)
        return np.rint(self.times(rate_per_s, duration_s, seed, requests) * NS).astype(np.int64)

    def times(self, rate_per_s: float, duration_s: float | None, seed: int, requests: int | None = None) -> Times:
        """
        Arrivals of a random process: independent gaps with mean 1 / rate and standard deviation cv / rate.

        Nothing is rescaled. The first gap begins at 0 and is drawn like the others.

        Returns:
            Shape (n,), ascending, seconds.

        Source: Poisson: MLPerf inference_rules.adoc, Server scenario; Knuth, TAOCP vol. 2, 3.4.1. Gamma: BurstGPT,
        arXiv 2401.17644.
        """
        rng = np.random.Generator(np.random.PCG64(seed))
        most = requests or MAX_ARRIVALS
        mean = min(rate_per_s * duration_s if duration_s else most, most)
        block = int(min(mean + 6 * math.sqrt(mean), most)) + 16
        blocks: list[Times] = []
        at_s, drawn = 0.0, 0
        while drawn < most and (duration_s is None or at_s < duration_s):
            gaps = self._gaps(rng, block, rate_per_s)
            gaps[0] += at_s
            blocks.append(np.cumsum(gaps))
            at_s, drawn = float(blocks[-1][-1]), drawn + block
        times = np.concatenate(blocks)
        kept = times if duration_s is None else times[: np.searchsorted(times, duration_s, side="left")]
        return kept[:requests]

    def _gaps(self, rng: np.random.Generator, n: int, rate_per_s: float) -> Times:
        if self.cv == 1:
            return rng.standard_exponential(n) / rate_per_s
        shape = self.cv**-2
        return rng.standard_gamma(shape, n) / (shape * rate_per_s)


def law_of(spelling: str) -> Law:
    """
    The process that `--arrivals` spells; gamma:1 is Poisson to the byte.

    Raises:
        ScheduleError: An unknown name, or a CV or N out of range.
    """
    name, _, value = spelling.partition(":")
    if spelling in ("constant", "poisson"):
        return Law(float(spelling == "poisson"))
    if name == "gamma" and value:
        cv = float(value) if re.fullmatch(r"\d+\.?\d*|\.\d+", value, re.ASCII) else math.nan
        if not MIN_CV <= cv <= MAX_CV:
            raise ScheduleError(f'--arrivals "{spelling}" isn\'t gamma:CV with a CV in [{MIN_CV:g}, {MAX_CV:g}]')
        return Law(cv)
    if name == "burst" and value:
        group = int(value) if re.fullmatch(r"\d{1,9}", value, re.ASCII) else 0
        if not 1 <= group <= MAX_ARRIVALS:
            raise ScheduleError(f'--arrivals "{spelling}" isn\'t burst:N with a whole N in [1, {MAX_ARRIVALS}]')
        return Law(group=group)
    raise ScheduleError(f'--arrivals "{spelling}" {not_one_of(spelling, ARRIVALS)}')


def constant(rate_per_s: float, duration_s: float | None, requests: int | None = None, group: int = 1) -> Offsets:
    """
    Evenly spaced arrivals: arrival i at i / rate, the first at 0.

    Args:
        rate_per_s: Arrivals per second, > 0; with duration and requests already checked.
        duration_s: No arrival at or after this moment; None: as long as the requests last.
        requests: At most so many; None: as many as the duration holds.
        group: So many come together; the groups are rarer by as much.

    Returns:
        Shape (n,), ascending, nanoseconds since the start, each rounded once (halves up) from the exact quotient.
    """
    rate = meant(rate_per_s) / group
    most = -(-(requests or MAX_ARRIVALS) // group)
    groups = min(math.ceil(rate * meant(duration_s)) if duration_s else most, most)
    return np.repeat(spaced(Fraction(0), 1 / rate, groups), group)[:requests]


def spaced(first_s: Fraction, gap_s: Fraction, n: int) -> Offsets:
    """
    Moments that are evenly spaced, exact: the i-th of n at first_s + i * gap_s.

    Returns:
        Shape (n,), ascending, nanoseconds, each rounded once (halves up) from the exact value.
    """
    if n == 0:
        return np.zeros(0, dtype=np.int64)
    first, gap = first_s * NS, gap_s * NS
    p = math.lcm(first.denominator, gap.denominator)
    start, step = int(first * p), int(gap * p)
    # Moment i is (start + i * step) / p. With i = a * p + b the part a * step is whole; what is left has b < p, exact
    # in int64 where it fits, else in Python's integers.
    least = min(p, n)
    exact = np.int64 if 2 * (start + least * step) + p < 2**63 and start + n * step < 2**63 * p else object
    whole, rest = np.divmod(np.arange(n, dtype=np.int64), min(p, 2**62))
    moments = whole.astype(exact) * step + (rest.astype(exact) * (2 * step) + (2 * start + p)) // (2 * p)
    ascending: Offsets = moments.astype(np.int64)
    return ascending
