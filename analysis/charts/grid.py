"""How often which gap was seen in each column of a chart: counts on a fine log scale, and quantiles read off them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Whole = NDArray[np.int64]

LEAST_US: Final = 10
PER_DECADE: Final = 480
"""Steps of the scale, each 0.5 % wide, from 10 us up."""
STEPS: Final = 9 * PER_DECADE


class Grid:
    """
    Weight by column and step, in memory that does not grow with what is counted.

    Attributes:
        counts: Shape (columns, STEPS), steps ascending.
        n: Values of each column, shape (columns,).
        most_us: The greatest of each column, exact, shape (columns,); 0 without any.
    """

    def __init__(self, columns: int) -> None:
        self.counts = np.zeros((columns, STEPS))
        self._sum_us = np.zeros((columns, STEPS))
        self.n = np.zeros(columns, dtype=np.int64)
        self.most_us = np.zeros(columns)

    def add(self, column: Whole, us: Array | Whole, weight: Array | None = None) -> None:
        """Count values, shape (m,), each in its column and, unless given, with a weight of 1."""
        step = (PER_DECADE * np.log10(np.maximum(us, LEAST_US) / LEAST_US) + 1e-9).astype(np.int64)
        place = column * STEPS + np.minimum(step, STEPS - 1)
        shape, cells = self.counts.shape, self.counts.size
        self.counts += np.bincount(place, weight, cells).reshape(shape)
        self._sum_us += np.bincount(place, us if weight is None else us * weight, cells).reshape(shape)
        self.n += np.bincount(column, minlength=self.n.size)
        np.maximum.at(self.most_us, column, us)

    def together(self, several: int) -> Grid:
        """So many columns as one each, from the first on."""
        firsts = np.arange(0, self.n.size, several)
        merged = Grid(firsts.size)
        merged.counts, merged.n = np.add.reduceat(self.counts, firsts), np.add.reduceat(self.n, firsts)
        merged._sum_us = np.add.reduceat(self._sum_us, firsts)
        merged.most_us = np.maximum.reduceat(self.most_us, firsts)
        return merged

    def quantile_ms(self, p: float) -> Array:
        """The mean of the step that holds each column's p-quantile, shape (columns,); NaN for one without weight."""
        below = np.cumsum(self.counts, axis=1)
        whole = below[:, -1]
        step = np.argmax(below >= (p * whole * (1 - 1e-12))[:, np.newaxis], axis=1)
        at = np.arange(self.n.size), step
        return np.where(whole > 0, self._sum_us[at] / np.where(whole > 0, self.counts[at], 1.0) / 1e3, np.nan)


def edges_ms(steps: Whole) -> Array:
    """Where steps begin."""
    return np.asarray(LEAST_US / 1e3 * np.power(10.0, steps / PER_DECADE), dtype=np.float64)
