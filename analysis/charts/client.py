"""The load generator's own lateness over the run, against the limits above which its numbers are not to be believed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from matplotlib.ticker import MaxNLocator

from analysis import series
from analysis.charts.frame import BLUE, GREEN, GREY, INK, ORANGE, WIDTH, YELLOW, label_end, log_axis, ms
from analysis.charts.timeline import bin_width, bins
from analysis.checks.client import HUB_MS, WAKE_MS, late_above_ms
from analysis.checks.rule import NO_CLIENT, send_lag, unscheduled
from analysis.rundir import numbers, seconds, where

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from analysis.charts.frame import Canvas
    from analysis.rundir import Run
    from analysis.summary import Summary

    Array = NDArray[np.float64]

TITLE: Final = "Lateness of the load generator"
LEAST_MS: Final = 0.001
LINES: Final = {"p50": BLUE, "p99": GREEN, "max": INK}
PANEL: Final = 1.75
"""Inches of height."""


class Lag(NamedTuple):
    """
    One kind of lateness in bins of time, milliseconds, of the worst worker in each.

    Attributes:
        name: With its unit, as the axis has it.
        lines: By `p50`, `p99` and `max`, shape (m,) each, NaN for a bin without.
        doubtful, invalid: The limits of the check; None: it never fails.
        judged: The line that the check looks at.
    """

    name: str
    lines: dict[str, Array]
    doubtful: float
    invalid: float | None
    judged: str

    def beyond(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which bins are above the first limit but not the second, and which are above both, shape (m,)."""
        values = np.nan_to_num(self.lines[self.judged])
        bad = values > (np.inf if self.invalid is None else self.invalid)
        return (values > self.doubtful) & ~bad, bad


def lags(run: Run, summary: Summary, edges: Array) -> list[Lag]:
    """Of sending, and of reading; where the kernel's stamps are not used, of the event loop in place of reading."""
    found = [_of_sends(run.requests, summary.window.rows(run.requests), edges)]
    if run.client is None:
        return found
    samples = run.client[numbers(run.client, "worker") >= 0]
    kernel = where(run.requests, "clock", "kernel").any() and not where(run.requests, "clock", "user").any()
    wake = {name: _worst(samples, f"wake_lag_{name}_us", edges) for name in LINES}
    if np.any(np.isfinite(wake["p99"])):
        return [*found, Lag("wake lag (ms, log scale)", wake, WAKE_MS[0], None if kernel else WAKE_MS[1], "p99")]
    hub = {"max": _worst(samples, "hub_lag_us", edges)}
    return [*found, Lag("event loop lag (ms, log scale)", hub, *HUB_MS, "max")]


def _of_sends(frame: pd.DataFrame, judged: pd.DataFrame, edges: Array) -> Lag:
    """As the check counts it: without bursts, waiting for a cap, and handshakes."""
    lag_ms = np.maximum(1e3 * send_lag(frame), 0.0)
    at, worker = seconds(frame, "scheduled_ns"), numbers(frame, "worker")
    each = [
        [series.quantile_per_bin(at[worker == one], lag_ms[worker == one], edges, p) for p in (0.5, 0.99, 1.0)]
        for one in np.unique(worker[~np.isnan(worker)])
    ] or [[np.full(edges.size - 1, np.nan)] * 3]
    lines = {name: np.fmax.reduce([one[place] for one in each]) for place, name in enumerate(LINES)}
    return Lag("send lag (ms, log scale)", lines, *late_above_ms(judged), "p99")


def _worst(samples: pd.DataFrame, column: str, edges: Array) -> Array:
    """The greatest that any worker's seconds have of a column in each bin, ms; a second lies where its middle does."""
    if column not in samples:
        return np.full(edges.size - 1, np.nan)
    return series.quantile_per_bin(seconds(samples, "t_ns") - 0.5, numbers(samples, column) / 1e3, edges, 1.0)


def client(canvas: Canvas, run: Run, summary: Summary) -> None:
    """Chart 7: how late requests were sent and answers read, second by second; coloured where that is too late."""
    if run.requests.empty:
        canvas.say(TITLE, "No request was recorded.")
        return
    if why := unscheduled(run):
        canvas.say(TITLE, f"Not known: {why}.")
        return
    scheduled = seconds(run.requests, "scheduled_ns")
    last = max(float(np.fmax(np.fmax.reduce(seconds(run.requests, "end_ns")), np.fmax.reduce(scheduled))), 1.0)
    edges = bins(last)
    found = [lag for lag in lags(run, summary, edges) if any(np.isfinite(line).any() for line in lag.lines.values())]
    if not found:
        canvas.say(TITLE, "There was nothing to send late, and the client was not sampled.")
        return
    height = 0.62 + 0.85 + PANEL * len(found) + 0.3 * (len(found) - 1)
    canvas.frame(f"{TITLE}, in bins of {bin_width(last):g} s", height)
    for place, lag in enumerate(found):
        low = 0.85 + (len(found) - 1 - place) * (PANEL + 0.3)
        axes = canvas.figure.add_axes((0.75 / WIDTH, low / height, 1 - 2.2 / WIDTH, PANEL / height))
        axes.set_xlim(0, last)
        axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
        axes.set_ylabel(lag.name)
        _draw(canvas, axes, edges, lag)
        if place < len(found) - 1:
            axes.tick_params(labelbottom=False)
        else:
            axes.set_xlabel("time since the run's start (s)")
    missing = "" if run.client is not None else f" How late answers were read is not known: {NO_CLIENT}."
    canvas.alt = " ".join(_words(lag) for lag in found) + missing


def _draw(canvas: Canvas, axes: Axes, edges: Array, lag: Lag) -> None:
    middles = (edges[:-1] + edges[1:]) / 2
    shown = {name: np.maximum(line, LEAST_MS) for name, line in lag.lines.items()}
    limits = [limit for limit in (lag.doubtful, lag.invalid) if limit is not None]
    known = np.concatenate([line[np.isfinite(line)] for line in shown.values()])
    log_axis(axes, "y", min(float(known.min()), *limits), max(float(known.max()), *limits) * 1.25)
    for where_to, colour in zip(lag.beyond(), (YELLOW, ORANGE), strict=True):
        for k in np.flatnonzero(where_to):
            axes.axvspan(edges[k], edges[k + 1], color=colour, alpha=0.22, lw=0)
    ends = {}
    for limit, word, colour in zip(limits, ("doubtful", "invalid"), (YELLOW, ORANGE), strict=False):
        axes.axhline(limit, color=colour, lw=1.1, ls=(0, (4, 2)))
        ends[f"{word} > {ms(limit / 1e3)}"] = (limit, GREY)
    for name, values in shown.items():
        there = np.isfinite(values)
        few = "o" if there.sum() < 3 else ""
        axes.plot(middles[there], values[there], color=LINES[name], lw=0.9 if name == "max" else 1.4, marker=few, ms=4)
        if there.any():
            ends[name] = (float(values[there][-1]), LINES[name])
        _tell(canvas, axes, lag, name, middles)
    _name(axes, ends)


def _name(axes: Axes, ends: dict[str, tuple[float, str]]) -> None:
    """Names of lines at the right edge, each at least a line's height above the one below."""
    below = -np.inf
    for name, (value, colour) in sorted(ends.items(), key=lambda one: one[1][0]):
        at = float(axes.transData.transform((0, value))[1]) * 72 / axes.figure.dpi
        place = max(at, below + 10.5)
        label_end(axes, (axes.get_xlim()[1], value), name, colour, dy=place - at)
        below = place


def _tell(canvas: Canvas, axes: Axes, lag: Lag, name: str, middles: Array) -> None:
    values, what = lag.lines[name], lag.name.partition(" (")[0]
    canvas.tell(
        axes, name, middles, np.maximum(values, LEAST_MS),
        text=lambda i: f"{what} {name}: {ms(values[i] / 1e3)} at {middles[i]:g} s",
    )  # fmt: skip


def _words(lag: Lag) -> str:
    what = lag.name.partition(" (")[0]
    most = {name: float(np.nanmax(line)) for name, line in lag.lines.items() if np.isfinite(line).any()}
    told = ", ".join(f"{name} at most {ms(value / 1e3)}" for name, value in most.items())
    doubtful, invalid = (int(one.sum()) for one in lag.beyond())
    spans = f"{doubtful + invalid} of {lag.lines[lag.judged].size} bins beyond the limit"
    return f"{what.capitalize()}: {told}; {spans}{f', {invalid} of them invalid' if invalid else ''}."
