"""What a summary and a comparison say, as DataFrames: base units (seconds, shares from 0 to 1), null for no value."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import pyarrow as pa

from analysis.metrics import BY_NAME, METRICS
from analysis.places import percentile, word_of
from analysis.rundir import RunError
from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analysis.compare.comparison import Comparison, Line
    from analysis.rows import Rate, Row

WORD: Final = "tokens"
"""The one column of words that may have none at all."""

OF_LINE: Final = (
    "a", "b", "effect", "lo", "hi", "scale", "p", "p_adjusted", "margin", "runs_a", "runs_b", "n_a", "n_b", "reason",
)  # fmt: skip


def meanings() -> pd.DataFrame:
    """The columns of requests.parquet: name, type, unit, meaning."""
    rows = [(one.name, _type(one.type), one.unit, one.meaning) for one in record.REQUEST_COLUMNS]
    return pd.DataFrame(rows, columns=["name", "type", "unit", "meaning"]).set_index("name")


def _type(told: pa.DataType) -> str:
    return "word" if pa.types.is_dictionary(told) else str(told)


def names(metrics: Iterable[str]) -> list[str]:
    """
    Metrics by their names, `ttft_s`, or as options have them, `ttft`.

    Raises:
        RunError: One is none.
    """
    by_word = {word_of(metric.name): metric.name for metric in METRICS} | {name: name for name in BY_NAME}
    if unknown := [name for name in metrics if name not in by_word]:
        words = ", ".join(word_of(metric.name) for metric in METRICS)
        raise RunError(f"{unknown[0]!r}: no such metric; there are {words}")
    return [by_word[name] for name in metrics]


def percentiles(rows: Iterable[Row], metrics: Sequence[str] = ()) -> pd.DataFrame:
    """
    A row a metric and group of requests.

    Args:
        rows: Of a summary.
        metrics: Only these, by name; none: those of the first table.
    """
    kept = [row for row in rows if (row.metric in metrics if metrics else not row.aside)]
    return _frame([_percentiles(row) for row in kept], ["metric", "group"])


def _frame(rows: list[dict[str, Any]], index: list[str]) -> pd.DataFrame:
    """Rows of the same keys; a column of numbers, of which some or all may be missing, is of floats."""
    frame = pd.DataFrame(rows)
    if not rows:
        return frame
    named = [name for name in frame if name != WORD]
    numeric = [name for name in named if all(value is None or type(value) is float for value in frame[name])]
    return frame.astype(dict.fromkeys(numeric, "float64")).set_index(index)


def _percentiles(row: Row) -> dict[str, Any]:
    told: dict[str, Any] = {
        "metric": word_of(row.metric), "group": row.group, "unit": row.unit, "n": row.n, "mean": row.mean,
    }  # fmt: skip
    for cell in row.cells:
        name = percentile(cell.p)
        told |= {name: cell.value, f"{name}_lo": cell.lo, f"{name}_hi": cell.hi}
    reasons = [f"{percentile(cell.p)}: {cell.reason}" for cell in row.cells if cell.reason]
    return told | {"worst": row.worst, "tokens": row.tokens, "reason": "; ".join(reasons)}


def rates(every: Iterable[Rate]) -> pd.DataFrame:
    """A row a figure of the whole run."""
    kept = ("label", "unit", "value", "lo", "hi", "n", "tokens", "reason")
    rows = [{"metric": word_of(one.metric)} | {name: getattr(one, name) for name in kept} for one in every]
    return _frame(rows, ["metric"])


def lines(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """A row a number of each pair of sides, the primary ones first."""
    rows = [
        {"b_side": one.b.name} | _line(line) if len(comparisons) > 1 else _line(line)
        for one in comparisons
        for line in one.lines
    ]
    return _frame(rows, ["number"])


def _line(line: Line) -> dict[str, Any]:
    told = asdict(line)
    named = {"number": line.place.words, "group": line.place.group, "unit": line.unit, "primary": line.primary}
    return named | {"verdict": line.verdict} | {name: told[name] for name in OF_LINE}
