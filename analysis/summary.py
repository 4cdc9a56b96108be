"""
What one run says: facts, counts, the window, every metric with its intervals, and whether it may be believed.

Plain values with stable keys: the table, the report, the comparison and `--json` all read this and nothing else.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from analysis import facts, stats, validity, window
from analysis.metrics import METRICS, is_ok, is_stream
from analysis.runs import numbers, where
from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from numpy.typing import NDArray

    from analysis.metrics import Metric, Unit
    from analysis.runs import Run
    from analysis.validity import Validity
    from analysis.window import Window

SCHEMA_VERSION: Final = 1
SHOWN: Final = (0.5, 0.9, 0.95, 0.99)
STORED: Final = (*(p / 100 for p in range(5, 100, 5)), 0.99, 0.999)


@dataclass(frozen=True, slots=True)
class Cell:
    """
    One percentile of one row, in the metric's base unit.

    Attributes:
        value: None where it is not printed; `reason` says why.
        lo: Lower end of the 95 % interval; None: unbounded at this n, or no value.
        hi: Upper end.
        mark: `~` where the value rests on the few largest, else empty.
    """

    p: float
    value: float | None
    lo: float | None
    hi: float | None
    mark: str = ""
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A metric over one group of requests: `stream`, `whole` (not streamed) or `all`."""

    metric: str
    label: str
    unit: Unit
    group: str
    n: int
    cells: tuple[Cell, ...]

    def cell(self, p: float) -> Cell:
        """The cell of a percentile."""
        return next(cell for cell in self.cells if cell.p == p)


@dataclass(frozen=True, slots=True)
class Rate:
    """A metric of the whole run; None where it cannot be told."""

    metric: str
    label: str
    unit: Unit
    value: float | None


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the arrivals, all phases; planned is None where the plan was a duration."""

    planned: int | None
    recorded: int
    in_window: int
    ok: int
    error: int
    cancelled: int
    unsent: int
    lost: int
    errors: dict[str, int]


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything there is to say about one run."""

    facts: facts.Facts
    counts: Counts
    window: Window
    rates: tuple[Rate, ...]
    rows: tuple[Row, ...]
    validity: Validity

    def row(self, metric: str, group: str | None = None) -> Row | None:
        """A metric's row; without a group, its first."""
        return next((r for r in self.rows if r.metric == metric and group in {None, r.group}), None)

    def rate(self, metric: str) -> float | None:
        """A run-level metric's value."""
        return next((rate.value for rate in self.rates if rate.metric == metric), None)

    def footer(self) -> str:
        """One line that goes under every chart: n, run, window, load, clock, validity."""
        w, f = self.window, self.facts
        span = f"window {w.start_s:.3g}-{w.end_s:.3g} s"
        return (
            f"n = {self.counts.in_window:,} · {f.name} · {span} · {f.load} · {f.clock} clock · {self.validity.verdict}"
        )

    def to_json(self) -> dict[str, Any]:
        """The summary as plain values; keys are stable within a schema version."""
        return {
            "schema_version": SCHEMA_VERSION,
            "verdict": self.validity.verdict,
            "run": asdict(self.facts),
            "counts": asdict(self.counts),
            "window": {**asdict(self.window), "length_s": self.window.length_s},
            "rates": {rate.metric: {"value": rate.value, "unit": rate.unit} for rate in self.rates},
            "metrics": [asdict(row) for row in self.rows],
            "validity": self.validity.to_json(),
        }


def summarise(run: Run) -> Summary:
    """Judge a run."""
    found = window.find(run)
    rows = found.rows(run.requests)
    return Summary(
        facts=facts.of(run),
        counts=_counts(run, rows),
        window=found,
        rates=_rates(run.requests, found),
        rows=_ordered(_row(*group, SHOWN) for metric in METRICS for group in _groups(metric, rows)),
        validity=validity.examine(run, found),
    )


def _counts(run: Run, rows: pd.DataFrame) -> Counts:
    frame = run.requests
    counts = {outcome: int(where(frame, "outcome", outcome).sum()) for outcome in record.OUTCOMES}
    kinds = frame["error_kind"].value_counts()
    errors = {str(kind): int(count) for kind, count in kinds.items() if count}
    planned = run.manifest.get("planned")
    return Counts(planned, len(frame), len(rows), errors=errors, **counts)


def _rates(frame: pd.DataFrame, found: Window) -> tuple[Rate, ...]:
    return tuple(Rate(m.name, m.label, m.unit, m.of_run(frame, found)) for m in METRICS if m.of_run)


# The rows of the table.


def _ordered(rows: Iterable[Row]) -> tuple[Row, ...]:
    """In order of METRICS, each from-send row right after its own group's from-schedule row."""
    place = {metric.name: i for i, metric in enumerate(METRICS)}
    return tuple(sorted(rows, key=lambda row: (place[row.metric.replace("_from_send", "")], row.group)))


def _groups(metric: Metric, rows: pd.DataFrame) -> list[tuple[Metric, str, str, NDArray[np.float64]]]:
    """A metric's groups that have requests: (metric, label, group, values)."""
    if metric.column is None:
        return []
    counted = np.ones(len(rows), dtype=bool) if metric.of_sent else is_ok(rows)
    values, stream = numbers(rows, metric.column), is_stream(rows)
    if metric.rows == "all":
        return [(metric, metric.label, "all", values[counted])]
    if metric.rows == "stream":
        return [(metric, metric.label, "stream", values[counted & stream])] if stream.any() else []
    parts = {"stream": values[counted & stream], "whole": values[counted & ~stream]}
    present = {group: part for group, part in parts.items() if part.size} or {"all": values[counted]}
    named = len(present) > 1
    return [(metric, f"{metric.label}, {group}" if named else metric.label, group, v) for group, v in present.items()]


def _row(metric: Metric, label: str, group: str, values: NDArray[np.float64], ps: tuple[float, ...]) -> Row:
    if metric.better == "higher":
        # Of a metric where more is better the slow end is the low one: p95 is what 95 % of the requests reach.
        found = tuple(_mirrored(q) for q in stats.quantiles(-values, ps))
    else:
        found = stats.quantiles(values, ps)
    return Row(metric.name, label, metric.unit, group, int(np.count_nonzero(~np.isnan(values))), _cells(found))


def _mirrored(q: stats.Quantile) -> stats.Quantile:
    value, lo, hi = (None if x is None else -x for x in (q.value, q.hi, q.lo))
    return stats.Quantile(q.p, q.n, value, lo, hi, q.is_rough)


def _cells(found: tuple[stats.Quantile, ...]) -> tuple[Cell, ...]:
    return tuple(Cell(q.p, q.value, q.lo, q.hi, "~" if q.is_rough else "", _reason(q)) for q in found)


def _reason(q: stats.Quantile) -> str | None:
    if q.value is not None:
        return None
    return "no request has it" if q.n == 0 else f"{q.n:,} requests, need ≥ {q.needed:,}"


# For those who compare without the rows.


def quantile_table(run: Run, summary: Summary) -> pa.Table:
    """
    What quantiles.parquet holds: one row per metric, group and quantile of `STORED`.

    Null is a value that so few requests say nothing about, or an interval that they do not bound.
    """
    rows = summary.window.rows(run.requests)
    table = [_row(*group, STORED) for metric in METRICS for group in _groups(metric, rows)]
    flat = [
        {"run_id": summary.facts.run_id, "metric": row.metric, "group": row.group, "unit": row.unit, "n": row.n}
        | {"quantile": cell.p, "value": cell.value, "lo": cell.lo, "hi": cell.hi}
        for row in table
        for cell in row.cells
    ]
    return pa.Table.from_pylist(flat, schema=QUANTILE_SCHEMA)


QUANTILE_SCHEMA: Final = pa.schema(
    [
        ("run_id", pa.string()), ("metric", pa.string()), ("group", pa.string()), ("unit", pa.string()),
        ("quantile", pa.float64()), ("value", pa.float64()), ("lo", pa.float64()), ("hi", pa.float64()),
        ("n", pa.int64()),
    ],
    metadata={"schema_version": str(SCHEMA_VERSION)},
)  # fmt: skip
