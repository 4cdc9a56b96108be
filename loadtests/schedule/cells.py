"""Cells of a trace as numbers: times, token counts, block ids; what is none of them is marked, with all its batch."""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loadtests.schedule.bounds import shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loadtests.schedule.rows import Cells

    Floats = NDArray[np.float64]
    Marks = NDArray[np.bool_]

MAX_TOKENS: Final = 1_000_000
MAX_NS: Final = 2**62
"""A moment since 1970 or any other start, 146 years: differences fit an int64."""

UTC: Final = pa.timestamp("ns", "UTC")


def numbers(cells: Cells) -> Floats:
    """Shape (n,); NaN where a cell is no number."""
    if isinstance(cells, list):
        if {*map(type, cells)} <= {int, float}:
            return np.array(cells, dtype=np.float64)
        return np.array([cell if type(cell) in (int, float) else math.nan for cell in cells], dtype=np.float64)
    if pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type):
        return _read(pc.ascii_trim_whitespace(cells))
    if any(is_so(cells.type) for is_so in (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)):
        return np.asarray(cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)
    return np.full(len(cells), math.nan)


def _read(texts: pa.Array) -> Floats:
    try:
        return np.asarray(texts.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    except pa.ArrowInvalid:
        return np.array([_one(text, pa.float64()) for text in texts], dtype=np.float64)


def _one(text: pa.Scalar, kind: pa.DataType) -> float:
    try:
        found = text.cast(kind)
    except pa.ArrowInvalid:
        return math.nan
    return found.as_py() if found.is_valid else math.nan


def tokens(cells: Cells) -> tuple[NDArray[np.int32], Marks]:
    """Token counts, and which cells are none: a whole number from 0 to MAX_TOKENS."""
    found = numbers(cells)
    bad = ~((found >= 0) & (found <= MAX_TOKENS) & (found == np.floor(found)))
    return np.where(bad, -1, found).astype(np.int32), bad


def moments(cells: Cells, unit_ns: int | None) -> tuple[NDArray[np.int64], Marks]:
    """
    Moments in nanoseconds, and which cells are none.

    Args:
        cells: Shape (n,).
        unit_ns: Of numbers; None: the cells are dates with a time of day, UTC unless they say otherwise.
    """
    if unit_ns is None or (isinstance(cells, pa.Array) and pa.types.is_timestamp(cells.type)):
        found = _dates(cells)
        bad = (found < 0) | (found > MAX_NS)
        return np.where(bad, 0, found), bad
    with np.errstate(over="ignore"):
        at_ns = numbers(cells) * unit_ns
    bad = ~((at_ns >= 0) & (at_ns <= MAX_NS))
    return np.rint(np.where(bad, 0, at_ns)).astype(np.int64), bad


def _dates(cells: Cells) -> NDArray[np.int64]:
    """Nanoseconds since 1970; -1 where a cell is no date."""
    if isinstance(cells, list):
        cells = pa.array([cell if isinstance(cell, str) else None for cell in cells], pa.string())
    if pa.types.is_timestamp(cells.type):
        return _nanoseconds(cells.cast(pa.timestamp("ns", cells.type.tz), safe=False))
    if not (pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type)):
        return np.full(len(cells), -1)
    zoned = _zoned(pc.ascii_trim_whitespace(cells))
    try:
        return _nanoseconds(zoned.cast(UTC))
    except pa.ArrowInvalid:
        return np.concatenate([_nanoseconds(pa.array([_date(text)], UTC)) for text in zoned])


def _zoned(texts: pa.Array) -> pa.Array:
    """Dates that all end in their zone, which Arrow asks for."""
    try:
        has_zone = pc.match_substring_regex(texts, r"(Z|[+-]\d\d:?\d\d)$")
        return pc.if_else(has_zone, texts, pc.binary_join_element_wise(texts, "Z", ""))
    except pa.ArrowInvalid:  # not UTF-8
        return texts


def _date(text: pa.Scalar) -> Any:
    try:
        return text.cast(UTC)
    except pa.ArrowInvalid:
        return None


def _nanoseconds(dates: pa.Array) -> NDArray[np.int64]:
    return np.asarray(dates.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)


def blocks(cells: Cells) -> tuple[NDArray[np.int64], NDArray[np.int64], Marks]:
    """Lists of block ids as flat ids and the lists' lengths, and which cells are none."""
    lists = cells if isinstance(cells, list) else cells.to_pylist()
    good = [type(ids) is list and all(type(block) is int and 0 <= block < 2**63 for block in ids) for ids in lists]
    kept = [ids if is_good else [] for ids, is_good in zip(lists, good, strict=True)]
    flat = np.fromiter(chain.from_iterable(kept), dtype=np.int64)
    return flat, np.fromiter(map(len, kept), dtype=np.int64), ~np.array(good, dtype=bool)


def told(cells: Cells, i: int) -> str:
    """A cell as a message shows it."""
    return shown(cells[i] if isinstance(cells, list) else _value(cells[i]))


def _value(cell: pa.Scalar) -> Any:
    if pa.types.is_string(cell.type) or pa.types.is_large_string(cell.type):
        raw = cell.as_buffer()
        return None if raw is None else raw.to_pybytes().decode(errors="replace")
    return cell.as_py()
