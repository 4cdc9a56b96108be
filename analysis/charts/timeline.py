"""The run over time: small panels with one time axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.ticker import MaxNLocator

from analysis import series, server
from analysis.charts import server as of_server
from analysis.charts.frame import BLUE, GREEN, GREY, ORANGE, PALE, WIDTH, axis, label_end
from analysis.charts.server import Panel
from analysis.derived import is_ok
from analysis.metrics import BY_NAME
from analysis.runs import numbers, seconds, where

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from analysis.charts.frame import Canvas
    from analysis.runs import Run
    from analysis.summary import Summary

    Array = NDArray[np.float64]

BINS: Final = 120
HEIGHT: Final = 6.0
"""Of the client's four panels, in inches; each further one adds `MORE`."""
MORE: Final = 1.2
TOP: Final = 0.5
BOTTOM: Final = 0.9
GAP: Final = 0.16
LONG_S: Final = 10.0
"""From here on a TTFT is shown in seconds: six digits of milliseconds have no room."""


def timeline(canvas: Canvas, run: Run, summary: Summary) -> None:
    """Chart 3: arrivals and ends, requests in flight, errors, TTFT, the server's figures; shaded outside the window."""
    frame = run.requests
    scheduled, end = seconds(frame, "scheduled_ns"), seconds(frame, "end_ns")
    if not len(frame):
        canvas.say("The run over time", "No request was recorded.")
        return
    last = float(np.fmax(np.fmax.reduce(end), scheduled.max()))
    width = bin_width(last)
    edges = np.arange(0, last + width, width)
    edges = edges if edges.size > 1 else np.array([0.0, width])
    panels, served = _panels(frame, scheduled, end, edges, width), server.read(run)
    panels += [] if served is None else of_server.panels(served, edges)
    height = HEIGHT + MORE * (len(panels) - 4)
    canvas.frame(f"The run over time, in bins of {width:g} s", height)
    for place, panel in enumerate(panels):
        axes = _axes(canvas, (place, len(panels), height), summary, last)
        axes.yaxis.set_major_locator(MaxNLocator(3, integer=panel.whole))
        _draw(axes, edges, panel)
        axes.set_ylabel(panel.unit)
        if place == len(panels) - 1:
            axes.set_xlabel("time since the run's start (s)")
        else:
            axes.tick_params(labelbottom=False)
    canvas.figure.text(
        1 - 0.75 / WIDTH, 1 - 0.3 / height, "shaded: not in the window", size=7.5, color=GREY, ha="right", va="center"
    )
    failed = int(where(frame, "outcome", "error", "lost").sum())
    present = panels[1].lines[0][1].max()
    canvas.alt = (
        f"{len(frame):,} arrivals over {last:.0f} s, at most {present:.0f} in flight on average of a bin, {failed:,} "
        f"failed.{'' if served is None else of_server.alt(served)}"
    )


def bin_width(length_s: float) -> float:
    """The smallest round width, 1 s or more, that gives at most BINS bins."""
    widths = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
    return float(next((width for width in widths if length_s / width <= BINS), length_s / BINS))


def _panels(frame: pd.DataFrame, scheduled: Array, end: Array, edges: Array, width: float) -> list[Panel]:
    """The client's panels from the top."""
    ok, failed = is_ok(frame), where(frame, "outcome", "error", "lost")
    ttft_s = numbers(frame, "ttft_s")
    long = bool(np.any(ttft_s >= LONG_S))
    ttft = ttft_s if long else 1000 * ttft_s
    over = np.where(np.isnan(end), scheduled, end)
    return [
        Panel(
            "requests/s",
            [
                ("arrived", series.count(scheduled, edges) / width, BLUE),
                ("done", series.count(end[ok], edges) / width, GREEN),
            ],
            whole=True,
        ),
        Panel("in flight", [("", series.in_flight(frame, edges), BLUE)], whole=True),
        Panel("errors/s", [("", series.count(over[failed], edges) / width, ORANGE)]),
        Panel(
            f"{BY_NAME['ttft_s'].label} (s)" if long else axis("ttft_s"),
            [
                ("p50", series.quantile_per_bin(scheduled, ttft, edges, 0.5), BLUE),
                ("p95", series.quantile_per_bin(scheduled, ttft, edges, 0.95), ORANGE),
            ],
        ),
    ]


def _axes(canvas: Canvas, where_of: tuple[int, int, float], summary: Summary, last: float) -> Axes:
    """One of the stacked axes, by its place from the top among so many in a figure so high."""
    place, count, whole = where_of
    height = (whole - TOP - BOTTOM - GAP * (count - 1)) / count
    low = BOTTOM + (count - 1 - place) * (height + GAP)
    axes = canvas.figure.add_axes((0.75 / WIDTH, low / whole, 1 - 1.5 / WIDTH, height / whole))
    axes.set_xlim(0, last)
    axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    window = summary.window
    for left, right in ((0.0, window.start_s), (window.end_s, last)):
        if right - left > 0.002 * last:
            axes.axvspan(left, right, color=PALE, alpha=0.6, lw=0)
    return axes


def _draw(axes: Axes, edges: Array, panel: Panel) -> None:
    lines = panel.lines
    middles = (edges[:-1] + edges[1:]) / 2
    highest = max((float(np.nanmax(values)) for _, values, _ in lines if np.any(~np.isnan(values))), default=0.0)
    top = 105.0 if panel.share else highest * 1.12 or 1.0
    axes.set_ylim(0, top)
    if panel.title:
        axes.text(0.01, 0.95, panel.title, transform=axes.transAxes, ha="left", va="top", size=8, color=GREY)
    if panel.share:
        axes.set_yticks([0, 50, 100])
    elif highest == 0:
        axes.set_yticks([0])
        axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", va="center", color=GREY)
    ends = []
    for _, values, colour in lines:
        known = ~np.isnan(values)
        few = np.count_nonzero(known) < 3
        drawn = known | panel.holes
        axes.plot(middles[drawn], values[drawn], color=colour, lw=1.4, marker="o" if few else "", ms=4)
        ends.append(float(values[known][-1]) if known.any() else 0.0)
    # Names at the right edge: apart by at least a line's height, in the order of the lines' last values.
    spots = np.array(ends) / top
    if len(lines) == 2 and abs(spots[0] - spots[1]) < 0.2:
        middle = np.clip(spots.mean(), 0.12, 0.88)
        upper = int(spots[1] >= spots[0])
        spots[upper], spots[1 - upper] = middle + 0.1, middle - 0.1
    for (name, _, colour), spot in zip(lines, spots, strict=True):
        if name and (highest > 0 or panel.share):
            label_end(axes, (axes.get_xlim()[1], spot * top), name, colour)
