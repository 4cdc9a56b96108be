"""
Arrivals along stages of a rate: a process of rate 1, rescaled by the integral of the rate.

With L(t) the integral from 0 to t, unit arrival u comes at L^-1(u). Bursts come beside it, at their instants.

Source: time rescaling, Ogata 1988; Cinlar, Introduction to Stochastic Processes, 1975, ch. 4.7.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from loadtests.schedule.bounds import MAX_ARRIVALS, MAX_S, NS, ScheduleError, meant
from loadtests.schedule.laws import spaced
from loadtests.units import not_one_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loadtests.schedule.arrivals import Offsets
    from loadtests.schedule.laws import Law, Times
    from loadtests.schedule.stages import Stage


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the integral: from `at_s` on for `length_s`; the rate from `start` to `end`; `before` is L(at_s)."""

    at_s: Fraction
    length_s: Fraction
    start: Fraction
    end: Fraction
    before: Fraction

    @property
    def after(self) -> Fraction:
        """L at its end."""
        return self.before + self.length_s * (self.start + self.end) / 2


def along(stages: tuple[Stage, ...], law: Law, seed: int) -> Offsets:
    """
    The arrivals of stages of a rate, up to their end; a burst at that end is in.

    Evenly spaced ones number exactly the integral (rounded up) plus the bursts: arrival i at L^-1(i). Stages that begin
    with these ones begin with these arrivals.

    Args:
        stages: Of the kinds `rate` and `burst`.
        law: Groups of arrivals come as rarely as their size asks for; bursts of stages have a size of their own.
        seed: Of a random law.

    Returns:
        Shape (n,), ascending, nanoseconds since the start.

    Raises:
        ScheduleError: Stages of concurrency, or too long or too many arrivals.
    """
    group = law.group or 1
    found = pieces(stages, group)
    bursts = [
        np.full(stage.n, round(at_s * NS), dtype=np.int64)
        for stage, at_s in zip(stages, starts(stages), strict=True)
        if stage.kind == "burst"
    ]
    total = found[-1].after if found else Fraction(0)
    if total * group + sum(map(len, bursts)) > MAX_ARRIVALS:
        raise ScheduleError(f"--stages are {float(total * group):.3g} arrivals and bursts, at most {MAX_ARRIVALS}")
    if law.cv and total:
        parts = _rescaled(found, law.times(1.0, float(total), seed))
    else:
        parts = [np.repeat(_even(piece), group) for piece in found]
    ascending: Offsets = np.sort(np.concatenate([*parts, *bursts]), kind="stable")
    return ascending


def pieces(stages: tuple[Stage, ...], group: int = 1) -> list[Piece]:
    """The stages of a rate as exact pieces, for groups of so many arrivals."""
    found: list[Piece] = []
    before = Fraction(0)
    for stage, at_s in zip(stages, starts(stages), strict=True):
        if stage.kind == "concurrency":
            raise ScheduleError(f"a stage of {stage.kind} {not_one_of(stage.kind, ['rate', 'burst'])} in an open loop")
        if stage.kind == "rate":
            levels = meant(stage.start) / group, meant(stage.end) / group
            found.append(Piece(at_s, meant(stage.duration_s), *levels, before))
            before = found[-1].after
    return found


def starts(stages: tuple[Stage, ...]) -> list[Fraction]:
    """When each stage begins, seconds."""
    moments = [Fraction(0)]
    for stage in stages:
        moments.append(moments[-1] + meant(stage.duration_s))
    if moments[-1] > MAX_S:
        raise ScheduleError(f"--stages take {float(moments[-1]):g} s, at most {MAX_S:g} s")
    return moments[:-1]


def length_s(stages: tuple[Stage, ...]) -> float:
    """How long the stages take together."""
    return float(sum(meant(stage.duration_s) for stage in stages))


def _even(piece: Piece) -> Offsets:
    """Where the integral is a whole number within the piece: exact on a level, to a float's precision on a ramp."""
    first, n = math.ceil(piece.before), math.ceil(piece.after) - math.ceil(piece.before)
    if not n:
        return np.zeros(0, dtype=np.int64)
    if piece.start == piece.end:
        return spaced(piece.at_s + (first - piece.before) / piece.start, 1 / piece.start, n)
    over = float(first - piece.before) + np.arange(n)
    return _moments(piece, over)


def _rescaled(found: list[Piece], units: Times) -> list[Offsets]:
    """L^-1 of ascending unit times, all below the integral's end, piece by piece; a pause gets none."""
    edges = np.array([float(piece.before) for piece in found])
    parts = np.split(units, np.searchsorted(units, edges[1:], side="left"))
    return [_moments(piece, part - edge) for piece, part, edge in zip(found, parts, edges, strict=True)]


def _moments(piece: Piece, over: NDArray[np.floating]) -> Offsets:
    """
    When the integral has grown by `over` since the piece's start: x of start * x + slope * x^2 / 2 = over.

    x = 2 * over / (start + sqrt(start^2 + 2 * slope * over)), the form that loses no digits on a gentle ramp.
    """
    start, slope = float(piece.start), float((piece.end - piece.start) / piece.length_s)
    root = start + np.sqrt(np.maximum(start * start + 2 * slope * over, 0))
    x = np.divide(2 * over, root, out=np.zeros_like(over), where=root > 0)
    moments: Offsets = np.rint((float(piece.at_s) + np.clip(x, 0, float(piece.length_s))) * NS).astype(np.int64)
    return moments
