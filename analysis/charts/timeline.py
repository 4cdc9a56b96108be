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
from analysis.rundir import numbers, seconds, where
from analysis.units import digits

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from analysis.charts.frame import Canvas
    from analysis.rundir import Run
    from analysis.summary import Summary

    Array = NDArray[np.float64]

BINS: Final = 120
PANEL: Final = 1.05
"""Inches of height."""
TOP: Final = 0.58
BOTTOM: Final = 0.9
GAP: Final = 0.16
SLIVER: Final = 0.01
"""Of the run's length: a stretch outside of the window that is shorter is neither seen nor named."""
LONG_S: Final = 10.0
"""From here on a TTFT is shown in seconds: six digits of milliseconds have no room."""


def timeline(canvas: Canvas, run: Run, summary: Summary) -> None:
    """Chart 6: load, requests in flight, tokens, TTFT, errors, the server's figures; shaded outside of the window."""
    frame = run.requests
    scheduled, end = seconds(frame, "scheduled_ns"), seconds(frame, "end_ns")
    if not len(frame):
        canvas.say("The run over time", "No request was recorded.")
        return
    if np.isnan(scheduled).all():
        canvas.say("The run over time", "The imported file does not say when its requests were sent.")
        return
    last = float(np.fmax(np.fmax.reduce(end), np.fmax.reduce(scheduled)))
    edges = bins(last)
    panels, served = _panels(frame, scheduled, end, edges), server.read(run)
    panels += [] if served is None else of_server.panels(served, edges)
    height = TOP + BOTTOM + PANEL * len(panels) + GAP * (len(panels) - 1)
    canvas.frame(f"The run over time, in bins of {bin_width(last):g} s", height)
    for place, panel in enumerate(panels):
        axes = _axes(canvas, (place, len(panels), height), summary, last)
        axes.yaxis.set_major_locator(MaxNLocator(3, integer=panel.whole))
        axes.set_ylabel(panel.unit)
        _draw(canvas, axes, edges, panel)
        if place == 0:
            _name_the_rest(axes, frame, summary, last)
        if place == len(panels) - 1:
            axes.set_xlabel("time since the run's start (s)")
        else:
            axes.tick_params(labelbottom=False)
    failed = int(where(frame, "outcome", "error", "lost").sum())
    present = panels[1].lines[0][1].max()
    canvas.alt = (
        f"{len(frame):,} arrivals over {last:.0f} s, at most {present:.0f} in flight (bin average), {failed:,} "
        f"failed.{'' if served is None else of_server.alt(served)}"
    )


def bin_width(length_s: float, most: int = BINS) -> float:
    """The smallest round width, 1 s or more, that gives at most so many bins."""
    widths = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
    return float(next((width for width in widths if length_s / width <= most), length_s / most))


def bins(length_s: float, most: int = BINS) -> Array:
    """Edges of bins of a round width from 0 on; the last one ends with the length, and is half as wide or wider."""
    length_s = max(length_s, 1e-3)
    width = bin_width(length_s, most)
    inner = np.arange(1, int(length_s / width + 0.5)) * width
    # A hair behind the end, so that what happens at the last moment is inside.
    return np.concatenate([[0.0], inner, [length_s * (1 + 1e-9)]])


def _panels(frame: pd.DataFrame, scheduled: Array, end: Array, edges: Array) -> list[Panel]:
    """The client's panels from the top."""
    width = np.diff(edges)
    ok, failed = is_ok(frame), where(frame, "outcome", "error", "lost")
    ttft_s = numbers(frame, "ttft_s")
    long = bool(np.any(ttft_s >= LONG_S))
    ttft = ttft_s if long else 1000 * ttft_s
    over = np.where(np.isnan(end), scheduled, end)
    counted = bool(np.any(numbers(frame, "output_tokens") > 0))
    tokens = [Panel("output tokens/s", [("", series.output_tokens(frame, edges) / width, GREEN)])] if counted else []
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
        *tokens,
        Panel(
            f"{BY_NAME['ttft_s'].label} (s)" if long else axis("ttft_s"),
            [
                ("p50", series.quantile_per_bin(scheduled, ttft, edges, 0.5), BLUE),
                ("p95", series.quantile_per_bin(scheduled, ttft, edges, 0.95), ORANGE),
            ],
        ),
        Panel("errors/s", [("", series.count(over[failed], edges) / width, ORANGE)]),
    ]


def _axes(canvas: Canvas, where_of: tuple[int, int, float], summary: Summary, last: float) -> Axes:
    """One of the stacked axes, by its place from the top among so many in a figure so high."""
    place, count, whole = where_of
    low = BOTTOM + (count - 1 - place) * (PANEL + GAP)
    axes = canvas.figure.add_axes((0.75 / WIDTH, low / whole, 1 - 1.5 / WIDTH, PANEL / whole))
    axes.set_xlim(0, last)
    axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    window = summary.window
    for left, right in ((0.0, window.start_s), (window.end_s, last)):
        if right - left > SLIVER * last:
            axes.axvspan(left, right, color=PALE, alpha=0.6, lw=0)
    return axes


def _name_the_rest(axes: Axes, frame: pd.DataFrame, summary: Summary, last: float) -> None:
    """What the shaded stretches before and after the window are, above them."""
    window = summary.window
    before = "warm-up" if where(frame, "phase", "warmup").any() else "start-up"
    after = "drain" if where(frame, "phase", "drain").any() else "ending"
    for word, left, right, edge in ((before, 0.0, window.start_s, "left"), (after, window.end_s, last, "right")):
        if right - left > SLIVER * last:
            axes.annotate(
                f"{word}, not judged", (0 if edge == "left" else 1, 1), (0, 2), xycoords="axes fraction",
                textcoords="offset points", size=7.5, color=GREY, ha=edge, va="bottom",
            )  # fmt: skip


def _draw(canvas: Canvas, axes: Axes, edges: Array, panel: Panel) -> None:
    lines = panel.lines
    middles = (edges[:-1] + edges[1:]) / 2
    for name, values, _ in lines:
        _tell(canvas, axes, panel, name, (middles, values))
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


def _tell(canvas: Canvas, axes: Axes, panel: Panel, name: str, line: tuple[Array, Array]) -> None:
    at, values = line
    words = " ".join(part for part in (name, panel.title or panel.unit) if part)
    canvas.tell(axes, name, at, values, text=lambda i: f"{words}: {digits(float(values[i]))} at {at[i]:g} s")
