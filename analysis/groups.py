"""
Which values of a metric belong together: streams, whole answers or all, and tokens of one source.

Stands between the request rows and the summary's rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from analysis import sources
from analysis.metrics import is_ok, is_stream
from analysis.runs import numbers

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
    """

    metric: Metric
    label: str
    name: str
    known: NDArray[np.float64]
    tokens: str | None = None
    partial: int = 0


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
    return found


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
