"""
The columns of requests.parquet from the records of another tool.

The derivation is that of our own rows, and what their files cannot say is left null.

Of a chunk neither kind nor characters are known, so these lists hold nulls, one for each gap. Without the characters
nobody knows how many tokens the first chunk had: TPOT is (last - first token) / (output tokens - 1), the tool's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loadtests import record
from loadtests.derive import derive

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loadtests.imports.told import Told

STAMPS = tuple(column.name for column in record.REQUEST_COLUMNS if column.name.endswith("_ns"))


def table(told: Told, run_id: str) -> pa.Table:
    """The rows of a run, with `requests_schema`."""
    raw = _raw(told)
    about = {"run_id": run_id, "profile": str(told.profile["name"]), "model": told.model}
    # That a whole answer came at all shows in its first byte, which nobody stamped: its end stands in for it.
    answered = pc.if_else(pc.equal(raw.column("outcome"), "ok"), raw.column("end_ns"), None)
    first_byte = pc.coalesce(raw.column("headers_ns"), answered)
    found = derive(_with(raw, "headers_ns", first_byte), {one.arm: about for one in told.records})
    in_order = raw.sort_by([("scheduled_ns", "ascending"), ("arm", "ascending"), ("seq", "ascending")])
    found = _with(found, "headers_ns", in_order.column("headers_ns"))
    found = _with(found, "tpot_s", pa.array(_tpot_s(found), from_pandas=True))
    if told.since == "send":
        found = _with(found, "send_lag_s", pa.nulls(found.num_rows, pa.float64()))
    for name in ("chunk_kind", "chunk_chars"):
        found = _with(found, name, _unknown(found.column("chunk_gap_us"), found.schema.field(name).type))
    return found if told.moments else _without_moments(found)


def _raw(told: Told) -> pa.Table:
    """The records as a part has them."""
    schema = record.part_schema()
    columns = {field.name: pa.array([getattr(one, field.name) for one in told.records], field.type) for field in schema}
    return pa.table(columns, schema=schema)


def _with(table: pa.Table, name: str, values: Any) -> pa.Table:
    """The table with another column in the place of one."""
    field = table.schema.field(name)
    return table.set_column(table.schema.get_field_index(name), field, values.cast(field.type))


def _tpot_s(table: pa.Table) -> NDArray[np.float64]:
    """(last - first token) / (output tokens - 1), NaN for whole answers and with fewer than 2 tokens; shape (n,)."""
    first, last, tokens = (
        np.asarray(table.column(name).cast(pa.float64()).to_numpy(), dtype=np.float64)
        for name in ("first_token_ns", "last_token_ns", "output_tokens")
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((last > first) & (tokens >= 2), (last - first) / (tokens - 1) / 1e9, np.nan)


def _unknown(lists: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    """Lists as long as these, of nulls."""
    whole = lists.combine_chunks()
    whole = whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
    mask = whole.is_null() if whole.null_count else None
    return pa.ListArray.from_arrays(whole.offsets, pa.nulls(len(whole.values), kind.value_type), type=kind, mask=mask)


def _without_moments(table: pa.Table) -> pa.Table:
    """Durations stay; stamps that begin anew with each request are no moments of the run."""
    for name in STAMPS:
        table = _with(table, name, pa.nulls(table.num_rows, pa.int64()))
    return table
