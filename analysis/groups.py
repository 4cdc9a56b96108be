"""
Which values of a metric belong together: streams, whole answers or all, and tokens of one source.

Beside these, of a few metrics, each workload of a mix and each turn of conversations by itself, and if asked for each
length of prompt and each slice of time. Stands between the request rows and the summary's rows.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis import sources
from analysis.derived import is_ok, is_stream
from analysis.rundir import numbers, seconds, where

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    import pandas as pd

    from analysis.measured import Measured
    from analysis.metrics import Metric
    from analysis.rundir import Run

Mask = NDArray[np.bool_]

BY: Final = ("workload", "turn", "prompt", "time")
"""What rows can be parted by."""

USUAL: Final = ("workload", "turn")
"""What they are parted by unless somebody asks."""


class Group(NamedTuple):
    """
    Values of a metric that belong together.

    Attributes:
        known: Without those that are not there.
        tokens: The source of the token counts they rest on; None for a metric that rests on none.
        partial: How many of them rest on a count of an answer that was cut short.
        by: What the rows were parted by, one of `BY`; None for the parts that every run has.
    """

    metric: Metric
    label: str
    name: str
    known: NDArray[np.float64]
    tokens: str | None = None
    partial: int = 0
    by: str | None = None


def of(metric: Metric, measured: Measured, by: Collection[str] = USUAL) -> list[Group]:
    """A metric's groups that have requests; of a metric that rests on tokens one for each source of these."""
    if metric.of_request is None:
        return []
    rows = measured.rows
    values = metric.values(rows)
    known = ~np.isnan(values)
    parts = _parts(metric, rows)
    found = []
    for name, part in parts.items():
        label = f"{metric.label}, {name}" if len(parts) > 1 else metric.label
        split = _by_source(measured.run, rows, part & known) if metric.of_tokens else [(None, part & known, 0)]
        found += [Group(metric, label, name, values[mine], tokens, cut) for tokens, mine, cut in split]
    return found + (_apart(metric, measured, known, values, by) if metric.name in APART else [])


APART: Final = frozenset({"ttft_s", "latency_s"})
"""Metrics that are told by workload and by turn too."""

TURNS: Final = 8
"""Turns told one by one; later ones are one group."""

SLICES: Final = 10


def _apart(
    metric: Metric, measured: Measured, known: Mask, values: NDArray[np.float64], by: Collection[str]
) -> list[Group]:
    """Each part of what is asked for, where there are several; streams and whole answers alike."""
    rows = measured.rows
    counted = known & is_ok(rows) & (is_stream(rows) | (metric.rows != "stream"))
    found = {kind: _CUTS[kind](measured) for kind in _CUTS if kind in by}
    return [
        Group(metric, f"{metric.label}, {name}", name, values[counted & part], by=kind)
        for kind, parts in found.items()
        for name, part in parts.items()
    ]


def _workloads(measured: Measured) -> dict[str, Mask]:
    rows = measured.rows
    names = sorted(str(name) for name in rows["workload"].dropna().unique())
    return {name: where(rows, "workload", name) for name in names} if len(names) > 1 else {}


def _turns(measured: Measured) -> dict[str, Mask]:
    """Counted from 1, as people do."""
    turn = numbers(measured.rows, "turn")
    capped = np.minimum(turn, TURNS)
    found = np.unique(capped[~np.isnan(capped)]).astype(int)
    names = [f"turn {place + 1}" + ("+" if place == TURNS else "") for place in found]
    return {name: capped == place for name, place in zip(names, found, strict=True)}


def _prompts(measured: Measured) -> dict[str, Mask]:
    """By the prompt's tokens as the provider counts them, each bucket four times as wide as the one before."""
    tokens = numbers(measured.rows, "input_tokens")
    with np.errstate(divide="ignore"):
        step = np.ceil(np.log2(np.maximum(tokens, 1)) / 2)
    steps = np.unique(step[~np.isnan(step)]).astype(int)
    return {f"prompt {4 ** (k - 1) + 1 if k else 1:,}-{4**k:,} tokens": step == k for k in steps}


def _slices(measured: Measured) -> dict[str, Mask]:
    """Equal parts of the window, seconds since the run's start."""
    edges = np.linspace(measured.window.start_s, measured.window.end_s, SLICES + 1)
    place = np.clip(np.searchsorted(edges, seconds(measured.rows, "scheduled_ns"), side="right") - 1, 0, SLICES - 1)
    names = [f"{low:.3g}-{high:.3g} s" for low, high in pairwise(edges)]
    return {name: place == k for k, name in enumerate(names) if np.any(place == k)}


_CUTS: Final[dict[str, Callable[[Measured], dict[str, Mask]]]] = {
    "workload": _workloads, "turn": _turns, "prompt": _prompts, "time": _slices,
}  # fmt: skip


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
    cut = sources.partial(rows)
    found = [(name, part & mine) for name, mine in sources.parts(run, rows).items()]
    return [(name, mine, int((mine & cut).sum())) for name, mine in found if mine.any()] or [(None, part, 0)]
