"""Rows of requests.parquet, a group of them at a time, as arrays."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


class Batch:
    """
    Some rows that follow one another.

    Args:
        table: They, with the columns of requests.parquet.
        first: The place of the first one in the file.
    """

    def __init__(self, table: pa.Table, first: int) -> None:
        self._table, self.first = table.combine_chunks(), first
        self.n = table.num_rows
        self._numbers: dict[str, Array] = {}
        self._lists: dict[str, Lists] = {}

    def column(self, name: str) -> Any:
        """As Arrow has it, one array."""
        column = self._table.column(name)
        return column.chunk(0) if column.num_chunks else pa.array([], column.type)

    def numbers(self, name: str) -> Array:
        """Shape (n,), NaN for null, not to be written to; stamps below 2**53 ns, 104 days, stay exact."""
        if name not in self._numbers:
            column = self.column(name).cast(pa.float64())
            self._numbers[name] = np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
        return self._numbers[name]

    def words(self, name: str) -> NDArray[np.object_]:
        """Shape (n,), None for null."""
        return np.asarray(self.column(name).cast(pa.string()).to_numpy(zero_copy_only=False), dtype=object)

    def is_null(self, name: str) -> NDArray[np.bool_]:
        """Shape (n,)."""
        return np.asarray(self.column(name).is_null())

    def flagged(self, flag: str) -> NDArray[np.bool_]:
        """Which rows carry a flag, shape (n,)."""
        lists = self.column("flags")
        found = np.zeros(self.n, dtype=np.bool_)
        found[np.asarray(pc.list_parent_indices(lists))[np.asarray(pc.equal(pc.list_flatten(lists), flag))]] = True
        return found

    def lists(self, name: str) -> Lists:
        """A column of lists."""
        if name not in self._lists:
            self._lists[name] = Lists(self.column(name))
        return self._lists[name]

    @cached_property
    def is_streamed(self) -> NDArray[np.bool_]:
        """Whether the answer came as a stream, whatever was asked for; shape (n,)."""
        asked = np.asarray(self.column("stream").to_numpy(zero_copy_only=False), dtype=np.bool_)
        return (asked & ~self.flagged("not_streamed")) | self.flagged("streamed_unasked")


class Lists:
    """
    A list of numbers for each row.

    Attributes:
        count: How many it has, NaN for null, shape (n,).
    """

    def __init__(self, column: pa.ListArray) -> None:
        is_null = np.asarray(column.is_null())
        self._n = len(column)
        lengths = np.asarray(pc.fill_null(pc.list_value_length(column), 0).to_numpy(), dtype=np.int64)
        self._some = np.flatnonzero(lengths)
        self._starts = (np.cumsum(lengths) - lengths)[self._some]
        self._values = np.asarray(pc.list_flatten(column).cast(pa.float64()).to_numpy(), dtype=np.float64)
        self.count = np.where(is_null, np.nan, lengths)

    @property
    def first(self) -> Array:
        """The first of each, shape (n,), NaN where there is none."""
        return self._spread(self._values[self._starts])

    def sums(self) -> Array:
        """Of each, shape (n,), NaN where there is none."""
        return self._reduced(np.add, self._values)

    def largest_later(self) -> Array:
        """The largest behind the first of each, shape (n,), NaN where there is none."""
        later = self._values.copy()
        later[self._starts] = -np.inf
        found = self._reduced(np.maximum, later)
        return np.where(np.isfinite(found), found, np.nan)

    def zeros_later(self) -> Array:
        """How many behind the first of each are 0, shape (n,), NaN for no list."""
        is_zero = (self._values == 0).astype(np.float64)
        is_zero[self._starts] = 0
        return self._reduced(np.add, is_zero)

    def _reduced(self, how: np.ufunc, values: Array) -> Array:
        if not len(self._starts):
            return np.full(self._n, np.nan)
        return self._spread(how.reduceat(values, self._starts))

    def _spread(self, values: Array) -> Array:
        found = np.full(self._n, np.nan)
        found[self._some] = values
        return found
