"""One number of two sides: the effect, its interval, its p, and what these runs could have found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from analysis import stats
from analysis.compare.rules import LEAST_PAST, LEAST_RUNS, LEAST_SESSIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from analysis.digest import Number

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Found:
    """
    What can be said about B - A on the scale of the test: logs of ratios, or points.

    Attributes:
        effect: Its estimate; `lo`, `hi` its 95 % interval, None with too few runs.
        sd: Of a run on that scale; of pairs, that of a pair's difference over the root of 2. None: nobody knows.
    """

    effect: float
    lo: float | None = None
    hi: float | None = None
    p: float | None = None
    p_exact: float | None = None
    shift: float | None = None
    superiority: float | None = None
    sd: float | None = None


def of_pairs(a: Array, b: Array, *, exact: bool = True) -> Found:
    """From pairs, shapes (n,), on the scale of the test."""
    d = b - a
    shift, superiority = stats.hodges_lehmann_paired(d), float(np.mean(d > 0) + np.mean(d == 0) / 2)
    test = stats.paired(d)
    if test is None:
        return Found(float(d.mean()), shift=shift, superiority=superiority)
    sd = test.se * float(np.sqrt(d.size / 2))
    beside = stats.sign_flip_p(d) if exact else None
    return Found(test.estimate, test.lo, test.hi, test.p, beside, shift, superiority, sd)


def of_runs(a: Array, b: Array, *, exact: bool = True) -> Found:
    """From runs that nothing pairs, shapes (n,), on the scale of the test."""
    shift, superiority = stats.hodges_lehmann(a, b), stats.superiority(a, b)
    test = stats.welch(a, b)
    if test is None and a.size >= LEAST_PAST:
        test = stats.pooled(a, b)
    if test is None:
        return Found(float(b.mean() - a.mean()), shift=shift, superiority=superiority)
    sd = test.se / float(np.sqrt(1 / a.size + 1 / b.size))
    beside = stats.permutation_p(a, b) if exact else None
    return Found(test.estimate, test.lo, test.hi, test.p, beside, shift, superiority, sd)


def with_counts(found: Found, a: Array, b: Array, n: tuple[int, int]) -> Found:
    """
    Of shares in which no run differs from another, what the requests leave open: 0 of 50 may well be 2 %.

    lo = d - sqrt((p_b - l_b)^2 + (u_a - p_a)^2), hi = d + sqrt((u_b - p_b)^2 + (p_a - l_a)^2) with Wilson's bounds.

    Args:
        found: From runs or pairs; as it is where they have spread, or no interval.
        a: The shares of A's runs, shape (n,).
        b: Those of B's.
        n: Requests behind each side.

    Source: Newcombe 1998, method 10.
    """
    if found.lo is None or found.hi is None or found.lo != found.hi:
        return found
    p_a, p_b = float(a.mean()), float(b.mean())
    (l_a, u_a), (l_b, u_b) = (stats.wilson(p * of, of) for p, of in zip((p_a, p_b), n, strict=True))
    lo, hi = found.effect - float(np.hypot(p_b - l_b, u_a - p_a)), found.effect + float(np.hypot(u_b - p_b, p_a - l_a))
    error = (hi - lo) / 2 / float(special.ndtri(0.975))
    sd = error / float(np.sqrt(1 / a.size + 1 / b.size))
    # Of so few ways to swap pairs none is rare, and still 0 of 500 against 500 of 500 is no chance.
    p = 2 * float(special.ndtr(-abs(found.effect) / error))
    return replace(found, lo=lo, hi=hi, sd=sd, p=p)


def of_one(a: Number, b: Number, *, logs: bool) -> Found:
    """From one run a side: the interval is that of these two runs, and says nothing about the next ones."""
    values, errors = zip(*(_known(number, logs=logs) for number in (a, b)), strict=True)
    effect = values[1] - values[0]
    if None in errors:
        return Found(effect)
    half = float(special.ndtri(0.975)) * float(np.hypot(*errors))
    return Found(effect, effect - half, effect + half)


def _known(number: Number, *, logs: bool) -> tuple[float, float | None]:
    """A number on the scale of the test with its standard error, from its interval; None where it has none."""
    value, lo, hi = number.value, number.lo, number.hi
    if lo is None or hi is None or (logs and lo <= 0):
        return (float(np.log(value)) if logs else value), None
    if logs:
        value, lo, hi = (float(np.log(x)) for x in (value, lo, hi))
    return value, (hi - lo) / 2 / float(special.ndtri(0.975))


def band(sessions: Sequence[Array]) -> tuple[float, float] | None:
    """
    Between which effects one more session of A would lie, 95 times in 100; None with fewer than 5 sessions.

    mean_k +- t(k - 1) s sqrt(1 + 1 / k) over the means of k sessions, as a difference to their mean.

    Source: prediction interval of one more value; Hahn & Meeker, Statistical Intervals, section 4.7.
    """
    means = np.array([values.mean() for values in sessions if values.size])
    k = means.size
    if k < LEAST_SESSIONS:
        return None
    half = float(special.stdtrit(k - 1, 0.975) * means.std(ddof=1) * np.sqrt(1 + 1 / k))
    return -half, half


def detectable(found: Found, runs_a: int, runs_b: int, alpha: float, *, is_paired: bool) -> float | None:
    """The least effect that these runs would find with power 0.8, on the scale of the test; None: nobody knows."""
    if found.sd is None:
        return None
    least = stats.detectable(runs_a, runs_b, found.sd, alpha, rho=0.0 if is_paired else None)
    return least if np.isfinite(least) else None


def runs_needed(found: Found, effect: float, alpha: float, *, is_paired: bool) -> int | None:
    """Runs a side, or pairs, that would find an effect with power 0.9; no fewer than may fail; None: nobody knows."""
    if found.sd is None:
        return None
    needed = stats.runs_needed(effect, found.sd, alpha, rho=0.0 if is_paired else None)
    return None if needed is None else max(needed, LEAST_RUNS)
