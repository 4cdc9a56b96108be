"""For those who compare without the rows: every percentile of every group of a run, kilobytes in all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

from analysis import groups
from analysis.metrics import METRICS
from analysis.summary import SCHEMA_VERSION, row_of

if TYPE_CHECKING:
    from analysis.runs import Run
    from analysis.summary import Summary

STORED: Final = (*(p / 100 for p in range(5, 100, 5)), 0.99, 0.999)


def quantile_table(run: Run, summary: Summary) -> pa.Table:
    """
    What quantiles.parquet holds: one row per arm, metric, group, source of tokens and quantile of `STORED`.

    Null is a value that so few requests say nothing about, or an interval that they do not bound.
    """
    rows = summary.window.rows(run.requests)
    table = [row_of(group, STORED) for metric in METRICS for group in groups.of(metric, run, rows)]
    flat = [
        {"run_id": summary.facts.run_id, "metric": row.metric, "group": row.group, "unit": row.unit, "n": row.n}
        | {"tokens": row.tokens, "by": row.by, "arm": run.arm}
        | {"quantile": cell.p, "value": cell.value, "lo": cell.lo, "hi": cell.hi}
        for row in table
        for cell in row.cells
    ]
    return pa.Table.from_pylist(flat, schema=QUANTILE_SCHEMA)


QUANTILE_SCHEMA: Final = pa.schema(
    [
        ("run_id", pa.string()), ("metric", pa.string()), ("group", pa.string()), ("unit", pa.string()),
        ("quantile", pa.float64()), ("value", pa.float64()), ("lo", pa.float64()), ("hi", pa.float64()),
        ("n", pa.int64()), ("tokens", pa.string()), ("by", pa.string()), ("arm", pa.string()),
    ],
    metadata={"schema_version": str(SCHEMA_VERSION)},
)  # fmt: skip
