"""Whether a number goes one way over the order of the runs: a server that warms up or fills, not chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import special

from analysis import stats
from analysis.replicates import spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.digest import Digest
    from analysis.places import Place
    from analysis.replicates.spread import Array

ALPHA: Final = 0.01


@dataclass(frozen=True, slots=True)
class Drift:
    """
    Whether a number went one way over the order of the runs.

    Attributes:
        change: From the first run to the last, by a straight line: 0.05 is 5 %, or 5 points of a share.
        p: Of the slope, two-sided, by Holm over the numbers.
        certain: p below 1 %.
    """

    change: float
    p: float
    certain: bool


def drifts(ordered: Sequence[Digest], places: Sequence[Place]) -> list[Drift | None]:
    """The trend of each number over the order of the runs, Holm over the numbers."""
    found = [_trend(spread.scaled(spread.values(ordered, place), spread.scale_of(place))) for place in places]
    adjusted = stats.holm(np.array([math.nan if one is None else one[1] for one in found], dtype=np.float64))
    told: list[Drift | None] = []
    for place, one, p in zip(places, found, adjusted, strict=True):
        if one is None:
            told.append(None)
            continue
        change = math.expm1(one[0]) if spread.scale_of(place) == "ratio" else one[0]
        told.append(Drift(change, float(p), certain=bool(p < ALPHA)))
    return told


def _trend(values: Array) -> tuple[float, float] | None:
    """Change over the whole order by least squares, and the p of its slope; None where nobody can tell."""
    order = np.flatnonzero(~np.isnan(values)).astype(np.float64)
    known = values[~np.isnan(values)]
    trend = stats.trend_plain(order, known)
    if trend is None or np.ptp(known) == 0:
        return None
    p = 2 * float(special.stdtr(known.size - 2, -abs(trend.t)))
    return trend.slope * (values.size - 1), p
