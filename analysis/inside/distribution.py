"""
Very many short times as one distribution: how often each whole microsecond was seen, in memory that doesn't grow.

Made for what lies inside streams, where a run has a hundred times more values than requests; knows no requests itself.
Values of one answer hang together, so beside the whole the weight in each of 50 sections of time is kept, coarsely: how
far sections differ says how well a quantile is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from analysis import stats

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Whole = NDArray[np.int64]

BOUND_US: Final = 1 << 21
"""Times below this, 2.1 s, are counted by a table with one place for each microsecond; longer ones by a list."""
LISTED: Final = 1 << 20
"""So many long times are gathered before equal ones are put together."""
SECTIONS: Final = 50
FINE: Final = 200
"""Classes of a section per factor of e: each is 0.5 % wide."""
CLASSES: Final = int(np.log1p(BOUND_US) * FINE) + 1


@dataclass(frozen=True, slots=True)
class Distribution:
    """
    How much weight lies at which whole microsecond.

    Attributes:
        us: Where there is any, shape (k,), ascending.
        weight: How much, shape (k,), above 0; the values' number where each weighs 1.
        sum_s: Of weight x value, before values were rounded to whole microseconds, seconds.
        sections: Weight by section of time and class of value, shape (50, classes); None where nobody told sections.
    """

    us: Whole
    weight: Array
    sum_s: float
    sections: Array | None = None

    @property
    def n(self) -> float:
        """All weight: the number of values, or of the tokens that they are of."""
        return float(self.weight.sum())

    @property
    def mean(self) -> float | None:
        """Seconds; None without values."""
        return self.sum_s / self.n if self.us.size else None

    @property
    def most(self) -> float | None:
        """The greatest, seconds; None without values."""
        return float(self.us[-1]) / 1e6 if self.us.size else None

    def quantile(self, p: float) -> float | None:
        """The least value that p of all weight does not lie above, seconds, exact to 1 us; None without values."""
        if not self.us.size:
            return None
        below = np.cumsum(self.weight)
        # A hair less than p: sums of fractional weights end a few ulp off.
        place = int(np.searchsorted(below, p * below[-1] * (1 - 1e-12)))
        return float(self.us[min(place, self.us.size - 1)]) / 1e6

    def interval(self, p: float) -> tuple[float | None, float | None]:
        """
        The 95 % interval of a quantile, seconds; None: unbounded, or too few sections to tell.

        How well the share below the quantile is known, by block bootstrap over the sections, turned into quantiles.

        Source: Woodruff 1952, on shares whose variance is that of blocks.
        """
        value = self.quantile(p)
        if value is None or self.sections is None or 1e6 * value >= BOUND_US:
            return None, None
        filled = self.sections[self.sections.sum(axis=1) > 0]
        below, whole = filled[:, : class_of(round(1e6 * value)) + 1].sum(axis=1), filled.sum(axis=1)
        found = stats.ratio_interval(below, whole)
        if found is None:
            return None, None
        share = float(below.sum() / whole.sum())
        lo, hi = p - (found[1] - share), p + (share - found[0])
        return self.quantile(lo) if lo > 0 else None, self.quantile(hi) if hi < 1 else None


def class_of(us: int) -> int:
    """The class that a whole microsecond falls in."""
    return int(np.log1p(us) * FINE)


_CLASS_OF: Final = (np.log1p(np.arange(BOUND_US)) * FINE).astype(np.int16)


class Tally:
    """A distribution while it is being made."""

    def __init__(self) -> None:
        self._table = np.zeros(1)
        self._sum_us = 0.0
        self._long: list[tuple[Whole, Array]] = []
        self._listed = 0
        self._sections: Array | None = None

    def add(
        self, us: Whole, weight: Array | None = None, sum_us: float | None = None, section: Whole | None = None
    ) -> None:
        """
        Count values.

        Args:
            us: Whole microseconds, none below 0, shape (m,).
            weight: Of each, shape (m,); 1 unless given.
            sum_us: Of weight x value where the values were rounded to get here.
            section: Of each, 0 to 49; nowhere, or every time.
        """
        if not us.size:
            return
        if section is not None:
            self._add_sections(us, weight, section)
        self._sum_us += sum_us if sum_us is not None else float(us.sum() if weight is None else np.sum(us * weight))
        most = int(us.max())
        if most >= BOUND_US:
            us, weight = self._without_long(us, weight)
            most = BOUND_US - 1
        if most >= self._table.size:
            self._table = np.pad(self._table, (0, 2 ** most.bit_length() - self._table.size))
        np.add.at(self._table, us, 1.0 if weight is None else weight)

    def _add_sections(self, us: Whole, weight: Array | None, section: Whole) -> None:
        if self._sections is None:
            self._sections = np.zeros(SECTIONS * CLASSES)
        place = section * CLASSES + _CLASS_OF[np.minimum(us, BOUND_US - 1)]
        first, last = int(place.min()), int(place.max())
        self._sections[first : last + 1] += np.bincount(place - first, weight)

    def _without_long(self, us: Whole, weight: Array | None) -> tuple[Whole, Array | None]:
        is_long = us >= BOUND_US
        long = us[is_long]
        self._long.append((long, np.ones(long.size) if weight is None else weight[is_long]))
        self._listed += long.size
        if self._listed > LISTED:
            self._long = [_together(self._long)]
            # Twice what is left, so that many different long times aren't sorted anew with every batch.
            self._listed = self._long[0][0].size // 2
        return us[~is_long], None if weight is None else weight[~is_long]

    def done(self) -> Distribution:
        """What was counted."""
        us = np.flatnonzero(self._table)
        long_us, long_weight = _together(self._long)
        weight = np.concatenate([self._table[us], long_weight])
        sections = None if self._sections is None else self._sections.reshape(SECTIONS, CLASSES)
        return Distribution(np.concatenate([us, long_us]), weight, self._sum_us / 1e6, sections)


def _together(parts: list[tuple[Whole, Array]]) -> tuple[Whole, Array]:
    """Equal values as one, ascending; without weight, not at all."""
    us = np.concatenate([np.empty(0, dtype=np.int64), *(part for part, _ in parts)])
    values, place = np.unique(us, return_inverse=True)
    weight = np.zeros(values.size)
    np.add.at(weight, place, np.concatenate([np.empty(0), *(part for _, part in parts)]))
    return values, weight
