"""
How far runs of the same thing lie apart, and how much of it more requests would take away: learned, or assumed.

A run-level number varies by sd² = between² + within² x (requests learned at / requests planned): what runs differ by
however long they are, and the chance of the requests of one run.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from analysis import stats
from analysis.places import RUN, Place
from analysis.replicates import sameness, spread
from analysis.rundir import RunError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.digest import Digest, Number
    from analysis.replicates.spread import Scale

SD_CONFIDENCE: Final = 0.8
"""Of the interval of an sd that was learned: its upper end is passed by 1 in 10."""

LEAST: Final = 30
"""Requests of a run below which a rate or a share says nothing."""

PERCENTILE: Final = re.compile(r"_p(0*[1-9][0-9]?(?:\.[0-9]+)?)$")

Z: Final = 1.959964
"""Of a 95 % interval: its half width in standard errors."""


@dataclass(frozen=True, slots=True)
class Noise:
    """
    How one number varies from run to run, logs on the ratio scale.

    Attributes:
        name: As options have it: `ttft_p50`.
        between: Standard deviation between runs, however long they are.
        within: That of one run of `requests` requests around its own truth; None: not known, so that nothing can be
            said about other lengths.
        upper: The upper end of the sd at `requests`; None where it was given and not learned.
        runs: Learned from so many; 0: given.
    """

    name: str
    scale: Scale
    between: float
    within: float | None
    requests: float
    upper: float | None = None
    runs: int = 0

    @property
    def least(self) -> int:
        """Requests of a run below which nobody would look at the number: a percentile is not printed there."""
        p = p_of(self.name)
        return LEAST if p is None else stats.least_count(p)

    def sd(self, requests: float | None = None) -> float:
        """The sd from run to run at this length; without one, at that learned from."""
        less = 1.0 if requests is None else self.requests / requests
        return math.sqrt(self.between**2 + (self.within or 0.0) ** 2 * less)

    def sd_upper(self, requests: float | None = None) -> float | None:
        """The same at the upper end of what was learned: all of the doubt counts as a difference between runs."""
        if self.upper is None:
            return None
        more = self.upper**2 - self.sd() ** 2
        return math.sqrt(max(0.0, self.sd(requests) ** 2 + more))


def assumed(
    names: Sequence[str], sd: float, spread_log: float, requests: float, dependence: float = 1.0
) -> list[Noise]:
    """
    The noise of percentiles, from what somebody knows or guesses.

    Args:
        names: Percentiles, such as `ttft_p50`: their part within a run is k_p spread / sqrt(n_eff).
        sd: Of run-level logs between runs.
        spread_log: Log-sd of the requests of one run.
        requests: Of a run.
        dependence: Requests a run for each one that counts as independent, n / n_eff.

    Raises:
        RunError: A name that is no percentile.
    """
    return [
        Noise(
            name, "ratio", sd, stats.sd_of_quantile(_certain_p(name), 0.0, spread_log, requests / dependence), requests
        )
        for name in names
    ]


def p_of(name: str) -> float | None:
    """The quantile of a percentile's name, `ttft_p95 (whole)`; None where it is none."""
    match = PERCENTILE.search(name.partition(" (")[0])
    return float(match[1]) / 100 if match else None


def _certain_p(name: str) -> float:
    p = p_of(name)
    if p is None:
        fix = "name runs to learn from, or a percentile such as ttft_p95"
        raise RunError(f"{name}: only of percentiles is the noise known without runs; {fix}")
    return p


def learned(digests: Sequence[Digest], names: Sequence[str], *, asked: bool = False) -> list[Noise]:
    """
    The noise of numbers, from runs of one and the same thing, or of arms that each are: then within each arm.

    A number that does not vary (an error rate of 0 in all runs) says nothing about its noise and is left out, unless
    somebody asked for it.

    Raises:
        RunError: Fewer runs than 2 more than arms, a number no run has, or one that was asked for and is not known well
            enough.
    """
    arms = max(1, len(sameness.arms(digests)))
    if len(digests) < arms + 2:
        fix = "`firsttoken run --repeats 10 ...` makes some, or give --sd, --spread and --requests"
        of_arms = f" of {arms} arms" if arms > 1 else ""
        told = f"{len(digests)} run{'s' * (len(digests) != 1)}{of_arms} to learn from, {arms + 2} are the least"
        raise RunError(f"{told}: {fix}")
    found = []
    for place in spread.pick(digests, names, asked=asked):
        noise = _learned(digests, place)
        if noise is None and asked:
            raise RunError(
                f"{place.words}: fewer than {arms + 2} of the {len(digests)} runs have it, or all have the same value"
            )
        found += [] if noise is None else [noise]
    if not found:
        raise RunError("none of the numbers varies in these runs; name others with --metric")
    return found


def _learned(digests: Sequence[Digest], place: Place) -> Noise | None:
    own = spread.spread(digests, place, SD_CONFIDENCE)
    if own is None or own.runs < own.arms + 2:
        return None
    numbers = [one.numbers[place] for one in digests if place in one.numbers]
    errors = np.array([_error(number, own.scale) for number in numbers])
    requests = max(1.0, float(np.mean([number.n for number in numbers])))
    if own.sd <= 0:
        # No run has an error: what a run's own requests leave open is all that is known.
        known = math.sqrt(float(np.mean(errors**2)))
        return Noise(place.words, own.scale, 0.0, known, requests, known, own.runs) if known > 0 else None
    within = None if np.isnan(errors).any() else min(own.sd, math.sqrt(float(np.mean(errors**2))))
    between = math.sqrt(own.sd**2 - (within or 0.0) ** 2)
    return Noise(place.words, own.scale, between, within, requests, own.hi, own.runs)


def _error(number: Number, scale: Scale) -> float:
    """The standard error of a number within its run, from its interval; NaN where that is open."""
    if number.lo is None or number.hi is None or (scale == "ratio" and number.lo <= 0):
        return math.nan
    ends = np.array([number.lo, number.hi], dtype=np.float64)
    lo, hi = spread.scaled(ends, scale)
    return float(hi - lo) / (2 * Z)


def run_length(digests: Sequence[Digest]) -> tuple[float, float] | None:
    """Arrivals and seconds of a run's window, the mean over the runs; None where they do not tell."""
    place = Place("arrivals_per_s", None, RUN, None, "")
    rates = [one.numbers[place] for one in digests if place in one.numbers]
    rates = [rate for rate in rates if rate.value > 0 and rate.n > 0]
    if not rates:
        return None
    return float(np.mean([rate.n for rate in rates])), float(np.mean([rate.n / rate.value for rate in rates]))
