"""
Which values of a metric belong together: streams, whole answers or all, and tokens of one source.

Beside these, of a few metrics, each workload of a mix and each turn of conversations by itself. Stands between the
request rows and the summary's rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from analysis import sources
from analysis.metrics import is_ok, is_stream
from analysis.runs import numbers, where

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from analysis.metrics import Metric
    from analysis.runs import Run

    Mask = NDArray[np.bool_]


class Group(NamedTuple):
    """
    Values of a metric that belong together.

    Attributes:
        known: Without those that are not there.
        tokens: The source of the token counts they rest on; None for a metric that rests on none.
        partial: How many of them rest on a count of an answer that was cut short.
        by: What the rows were parted by, `workload` or `turn`; None for the parts that every run has.
    """

    metric: Metric
    label: str
    name: str
    known: NDArray[np.float64]
    tokens: str | None = None
    partial: int = 0
    by: str | None = None


def of(metric: Metric, run: Run, rows: pd.DataFrame) -> list[Group]:
    """A metric's groups that have requests; of a metric that rests on tokens one for each source of these."""
    if metric.column is None:
        return []
    values = numbers(rows, metric.column)
    known = ~np.isnan(values)
    parts = _parts(metric, rows)
    found = []
    for name, part in parts.items():
        label = f"{metric.label}, {name}" if len(parts) > 1 else metric.label
        split = _by_source(run, rows, part & known) if metric.of_tokens else [(None, part & known, 0)]
        found += [Group(metric, label, name, values[mine], tokens, cut) for tokens, mine, cut in split]
    return found + (_apart(metric, rows, known, values) if metric.name in APART else [])


APART: Final = frozenset({"ttft_s", "latency_s"})
"""Metrics that are told by workload and by turn too."""

TURNS: Final = 8
"""Turns told one by one; later ones are one group."""


def _apart(metric: Metric, rows: pd.DataFrame, known: Mask, values: NDArray[np.float64]) -> list[Group]:
    """A mix's workloads, where there are several, and turns, where there are any; streams and whole answers alike."""
    counted = known & is_ok(rows) & (is_stream(rows) | (metric.rows != "stream"))
    parts = [("workload", name, part) for name, part in _workloads(rows).items()]
    parts += [("turn", name, part) for name, part in _turns(rows).items()]
    return [Group(metric, f"{metric.label}, {name}", name, values[counted & part], by=by) for by, name, part in parts]


def _workloads(rows: pd.DataFrame) -> dict[str, Mask]:
    names = sorted(str(name) for name in rows["workload"].dropna().unique())
    return {name: where(rows, "workload", name) for name in names} if len(names) > 1 else {}


def _turns(rows: pd.DataFrame) -> dict[str, Mask]:
    """Counted from 1, as people do."""
    turn = numbers(rows, "turn")
    capped = np.minimum(turn, TURNS)
    found = np.unique(capped[~np.isnan(capped)]).astype(int)
    names = [f"turn {place + 1}" + ("+" if place == TURNS else "") for place in found]
    return {name: capped == place for name, place in zip(names, found, strict=True)}


def _parts(metric: Metric, rows: pd.DataFrame) -> dict[str, Mask]:
    """Streams and whole answers apart, where the metric wants it so and there are any."""
    counted = np.ones(len(rows), dtype=bool) if metric.of_sent else is_ok(rows)
    stream = is_stream(rows)
    if metric.rows == "all":
        return {"all": counted}
    if metric.rows == "stream":
        return {"stream": counted & stream} if stream.any() else {}
    kinds = {"stream": counted & stream, "whole": counted & ~stream}
    return {name: part for name, part in kinds.items() if part.any()} or {"all": counted}


def _by_source(run: Run, rows: pd.DataFrame, part: Mask) -> list[tuple[str | None, Mask, int]]:
    """Each source with its rows and the number of those cut short; one nameless group where there is none."""
    source, cut = sources.of(run, rows), sources.partial(rows)
    names = sorted(set(source[part]))
    found = [(name, part & (source == name)) for name in names]
    return [(name, mine, int((mine & cut).sum())) for name, mine in found] or [(None, part, 0)]
