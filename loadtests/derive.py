"""
From the raw columns that workers write to the whole row: everything that follows from stamps and counts.

Runs when a run is finished, off the timed path, over whole columns. The formulas are those of the column table in
`record`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Mapping


def derive(raw: pa.Table, arm_wide: Mapping[str, Mapping[str, str]]) -> pa.Table:
    """
    The rows of requests.parquet from the rows of the parts.

    Args:
        raw: Rows with `part_schema`, any order.
        arm_wide: By the name of an arm, its values of the columns in `record.ARM_WIDE`.

    Returns:
        The same rows with `requests_schema`, in order of scheduled_ns, then arm, then seq.
    """
    raw = raw.sort_by([("scheduled_ns", "ascending"), ("arm", "ascending"), ("seq", "ascending")]).combine_chunks()
    derived = _derived(raw)
    arm = _list(raw.column("arm")).dictionary_encode()
    arrays = []
    for column in record.REQUEST_COLUMNS:
        if column.name in record.ARM_WIDE:
            values = [arm_wide[name][column.name] for name in arm.dictionary.to_pylist()]
            array: Any = pa.array(values, pa.string()).take(arm.indices)
        elif column.name in record.DERIVED:
            array = derived[column.name]
        else:
            array = raw.column(column.name)
        arrays.append(array.cast(column.type) if array.type != column.type else array)
    return pa.table(arrays, schema=record.requests_schema())


def _float(table: pa.Table, name: str) -> np.ndarray:
    """A numeric column as float64 with NaN for null (stamps below 2**53 ns, 104 days, stay exact)."""
    return np.asarray(table.column(name).cast(pa.float64()).to_numpy(), dtype=np.float64)


def _nullable(values: np.ndarray) -> pa.Array:
    return pa.array(values, pa.float64(), mask=~np.isfinite(values))


def _derived(raw: pa.Table) -> dict[str, Any]:
    """Every column in `record.DERIVED`, by the formulas in the column table."""
    scheduled, sent, first, last, end, headers = (
        _float(raw, f"{name}_ns") for name in ("scheduled", "sent", "first_token", "last_token", "end", "headers")
    )
    not_streamed, streamed_unasked = _flagged(raw, "not_streamed"), _flagged(raw, "streamed_unasked")
    asked = np.asarray(raw.column("stream").to_numpy(), dtype=bool)
    streamed = (asked & ~not_streamed) | streamed_unasked
    over = np.where(streamed, last, np.where(np.isnan(headers), np.nan, end))
    tokens, chunks = _float(raw, "output_tokens"), _float(raw, "chunks")
    gaps, longest, first_share = _chunk_columns(raw, sent)
    first_chunk = np.where(first_share > 0, np.maximum(1.0, np.rint(first_share * tokens)), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        rest = tokens - first_chunk
        tpot = np.where((chunks >= 2) & (rest > 0), (last - first) / rest / 1e9, np.nan)
        speed = np.where(over > sent, tokens / ((over - sent) / 1e9), np.nan)
    return {
        "ttft_s": _nullable(np.where(streamed, first - scheduled, np.nan) / 1e9),
        "ttft_from_send_s": _nullable(np.where(streamed, first - sent, np.nan) / 1e9),
        "latency_s": _nullable((over - scheduled) / 1e9),
        "latency_from_send_s": _nullable((over - sent) / 1e9),
        "send_lag_s": _nullable((sent - scheduled) / 1e9),
        "tpot_s": _nullable(tpot),
        "output_tokens_per_s": _nullable(speed),
        "max_gap_s": _nullable(longest),
        "first_chunk_tokens": _nullable(first_chunk).cast(pa.int32()),
        "chunk_gap_us": gaps,
    }


def _flagged(raw: pa.Table, flag: str) -> np.ndarray:
    """Which rows carry a flag, shape (n,)."""
    lists = _list(raw.column("flags"))
    rows = np.zeros(len(lists), dtype=bool)
    rows[np.asarray(pc.list_parent_indices(lists))[np.asarray(pc.equal(pc.list_flatten(lists), flag))]] = True
    return rows


def _chunk_columns(raw: pa.Table, sent: np.ndarray) -> tuple[pa.Array, np.ndarray, np.ndarray]:
    """
    What follows from the chunk lists of each row.

    Returns:
        chunk_gap_us as a list array; the longest gap after the first chunk in seconds, shape (n,), NaN below two
        chunks; the first chunk's share of all characters, shape (n,), NaN without chunks.
    """
    stamps = _list(raw.column("chunk_ns"))
    starts, counts = _starts(stamps)
    present = ~np.asarray(stamps.is_null()) & (counts > 0)
    flat = np.asarray(stamps.values.to_numpy(), dtype=np.int64)
    before = np.empty_like(flat)
    before[1:] = flat[:-1]
    before[starts[present]] = np.nan_to_num(sent[present]).astype(np.int64)
    gaps_us = np.rint((flat - before) / 1000.0)
    gaps = _rebuild(stamps, np.clip(gaps_us, -(2**31), 2**31 - 1).astype(np.int32))
    longest = np.full(len(stamps), np.nan)
    share = np.full(len(stamps), np.nan)
    if len(flat):
        # The first gap of a row counts from sent; it is no silence between tokens.
        later = flat - before
        later[starts[present]] = 0
        longest[present] = np.maximum.reduceat(later, starts[present]) / 1e9
        longest[counts < 2] = np.nan
    chars_list = _list(raw.column("chunk_chars"))
    chars_starts, chars_counts = _starts(chars_list)
    bearing = ~np.asarray(chars_list.is_null()) & (chars_counts > 0)
    chars = np.asarray(chars_list.values.to_numpy(), dtype=np.float64)
    if len(chars):
        total = np.add.reduceat(chars, chars_starts[bearing])
        share[bearing] = np.divide(
            chars[chars_starts[bearing]], total, out=np.full(len(total), np.nan), where=total > 0
        )
    return gaps, longest, share


def _list(column: pa.ChunkedArray) -> pa.ListArray:
    return column.chunk(0) if column.num_chunks else pa.array([], column.type)


def _starts(lists: pa.ListArray) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.asarray(lists.offsets.to_numpy(), dtype=np.int64)
    return offsets[:-1], np.diff(offsets)


def _rebuild(like: pa.ListArray, values: np.ndarray) -> pa.ListArray:
    """A list array with the rows and nulls of another and new values."""
    mask = like.is_null() if like.null_count else None
    return pa.ListArray.from_arrays(like.offsets, pa.array(values), mask=mask)
