"""Change points: where a series of results, one per commit or day, goes over to another level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST: Final = 3
"""Values on each side of a change: one or two alone are outliers."""
WEAK: Final = 10.0
"""The first pass takes changes up to ten times alpha, so that a strong one is not hidden by a neighbour."""
SOUGHT: Final = 10.0
"""What a p is multiplied by since its place was sought out: of 1,000 noise series of 60 values, some 3 then change."""


@dataclass(frozen=True, slots=True)
class Change:
    """
    One change of level.

    Attributes:
        index: The first value of the new level.
        before: Mean from the change before, or the start, to this one.
        after: Mean from this one to the next, or the end.
        p: Two-sided, ten times that of Student's t test between the two stretches, for the place was sought out.
    """

    index: int
    before: float
    after: float
    p: float


def change_points(
    values: NDArray[np.float64], alpha: float = 0.001, least_effect: float = 0.0, window: int = 50
) -> tuple[Change, ...]:
    """
    Where a series changes its level, in order; the same series gives the same changes.

    The first pass splits each window where the energy distance of its parts is greatest, as long as a t test calls the
    parts different at 10 alpha. The second takes out the weakest change until all that are left hold at alpha.

    Args:
        values: One per result, in order, without NaN, shape (n,); logs where effects multiply.
        alpha: Level at which a change holds.
        least_effect: A change of the mean by less is none; in units of the values.
        window: Values looked at together; windows go on from the last change, or by half their length.

    Source: Matteson & James 2014 (E-divisive, arXiv 1306.4933); Fleming and others 2023 (Hunter, arXiv 2301.03034) for
    the t test in place of permutations, the windows and the two passes.
    """
    weak = min(WEAK * alpha, 0.5)
    found: list[int] = []
    start = 0
    while start < values.size:
        split = [start + one for one in _splits(values[start : start + window], weak)]
        found += [one for one in split if one not in found]
        start = max(split[-1] if split else 0, start + max(window // 2, 1))
    return tuple(_strong(values, sorted(found), alpha, least_effect))


def _splits(values: NDArray[np.float64], alpha: float) -> list[int]:
    """Where one window changes: the best split, and those of the parts on its two sides."""
    if values.size < 2 * LEAST:
        return []
    best, end = _best(values)
    if _p(values[:best], values[best:end]) > alpha:
        return []
    return [*_splits(values[:best], alpha), best, *(best + one for one in _splits(values[best:], alpha))]


def _best(values: NDArray[np.float64]) -> tuple[int, int]:
    """
    The split t, and the end k of its right part, with the greatest energy distance; from 6 values on.

    Q(t, k) = m n / (m + n) * (2 mean|x - y| - mean|x - x'| - mean|y - y'|), x the m values before t, y
    the n from t to k.
    """
    size = values.size
    # sums[i, j]: of the distances between the first i values and the first j.
    sums = np.zeros((size + 1, size + 1))
    sums[1:, 1:] = np.abs(np.subtract.outer(values, values)).cumsum(axis=0).cumsum(axis=1)
    ends = np.arange(size + 1)
    within, upto = sums[ends, ends][:, np.newaxis], sums[ends, ends][np.newaxis]
    between, after = sums - within, upto - 2 * sums + within
    m, n = ends[:, np.newaxis], ends[np.newaxis] - ends[:, np.newaxis]
    allowed = (m >= LEAST) & (n >= LEAST)
    m, n = np.where(allowed, m, 1), np.where(allowed, n, 1)
    energy = (2 * between / (m * n) - within / (m * m) - after / (n * n)) * m * n / (m + n)
    split, end = divmod(int(np.argmax(np.where(allowed, energy, -np.inf))), size + 1)
    return split, end


def _strong(values: NDArray[np.float64], found: list[int], alpha: float, least_effect: float) -> list[Change]:
    """What is left of the changes found when those that do not hold are taken out, the weakest first."""
    while found:
        changes = _changes(values, found)
        weakest = max(changes, key=lambda one: one.p)
        if weakest.p <= alpha:
            weakest = min(changes, key=lambda one: abs(one.after - one.before))
            if abs(weakest.after - weakest.before) >= least_effect:
                return changes
        found = [one for one in found if one != weakest.index]
    return []


def _changes(values: NDArray[np.float64], found: list[int]) -> list[Change]:
    parts = np.split(values, found)
    return [
        Change(index, float(left.mean()), float(right.mean()), min(1.0, SOUGHT * _p(left, right)))
        for index, left, right in zip(found, parts, parts[1:], strict=False)
    ]


def _p(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """Of Student's t test with one spread for both, so that a part may have a single value."""
    df, gap = left.size + right.size - 2, abs(float(right.mean() - left.mean()))
    if df < 1 or gap <= 1e-12 * max(float(np.abs(left).max()), float(np.abs(right).max())):
        return 1.0
    variance = (float(left.var()) * left.size + float(right.var()) * right.size) / df
    error = np.sqrt(variance * (1 / left.size + 1 / right.size))
    return 2 * float(special.stdtr(df, -gap / error)) if error > 1e-12 * gap else 0.0
