"""Charts of what happens inside streams: the gaps between tokens over time, and every chunk of some answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import matplotlib as mpl
import numpy as np
import pyarrow as pa
from matplotlib.colors import LogNorm
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from analysis.charts.frame import BLUE, GREEN, ORANGE, PURPLE, WIDTH, log_axis
from analysis.charts.timeline import bin_width
from analysis.derived import is_stream
from analysis.runs import CHUNK_LISTS, seconds
from loadtests import record

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from analysis.charts.frame import Canvas
    from analysis.runs import Run
    from analysis.summary import Summary

    Array = NDArray[np.float64]

SHOWN: Final = 200
"""Answers in the raster: as many as can be told apart by eye."""
VECTOR: Final = 1500
"""Marks drawn one by one; more become one picture, or the file would grow past all use."""
KINDS: Final = (
    ("content", record.CONTENT, BLUE),
    ("reasoning", record.REASONING, ORANGE),
    ("tool", record.TOOL, GREEN),
    ("refusal", record.REFUSAL, PURPLE),
)


@dataclass(frozen=True, slots=True)
class Chunks:
    """
    Token-bearing events of some rows, one entry each, in order of row and time; shape (m,) all.

    Attributes:
        row: Place of the event's request among the rows.
        since_sent_s: Event - sent.
        gap_s: Since the event before; since sent for the first.
        is_first: The first of its request.
        kind: Bits of `record.CONTENT` and the like.
    """

    row: NDArray[np.int64]
    since_sent_s: Array
    gap_s: Array
    is_first: NDArray[np.bool_]
    kind: NDArray[np.int64]


def chunks_of(frame: pd.DataFrame) -> Chunks:
    """The chunk lists of these rows, laid flat."""
    gaps, kinds = (_lists(frame, name) for name in ("chunk_gap_us", "chunk_kind"))
    counts = np.asarray(gaps.value_lengths().fill_null(0).to_numpy(), dtype=np.int64)
    gap_s = np.asarray(gaps.flatten().to_numpy(), dtype=np.float64) / 1e6
    kind = np.asarray(kinds.flatten().to_numpy(), dtype=np.int64)
    row = np.repeat(np.arange(len(frame)), counts)
    total = np.cumsum(gap_s)
    starts = np.cumsum(counts) - counts
    present = counts > 0
    before = np.zeros(len(frame))
    before[present] = total[starts[present]] - gap_s[starts[present]]
    is_first = np.zeros(gap_s.size, dtype=bool)
    is_first[starts[present]] = True
    return Chunks(row, total - before[row], gap_s, is_first, kind)


def _lists(frame: pd.DataFrame, name: str) -> pa.ListArray:
    array = pa.array(frame[name])
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _streams(run: Run, summary: Summary) -> pd.DataFrame | str:
    """The window's rows with chunks, in order of arrival, or why there are none."""
    rows = summary.window.rows(run.requests)
    if not set(CHUNK_LISTS) <= set(rows.columns):
        return "The chunk times of this run were not read."
    if rows.empty:
        return "No request was measured."
    if not is_stream(rows).any():
        return "No streamed answer was asked for, so there are no chunks."
    some = rows[is_stream(rows) & ~np.isnan(seconds(rows, "first_token_ns"))]
    return some if len(some) else f"None of the {len(rows):,} requests got as far as a first token."


# Gaps.


def gaps(canvas: Canvas, run: Run, summary: Summary) -> None:
    """Chart 4: how long streams fell silent between tokens, over the run; darker is more often."""
    title = "Gaps between tokens"
    rows = _streams(run, summary)
    if isinstance(rows, str):
        canvas.say(title, rows)
        return
    found = chunks_of(rows)
    at = seconds(rows, "sent_ns")[found.row] + found.since_sent_s
    inner = ~found.is_first & ~np.isnan(at)
    if not inner.any():
        canvas.say(title, "No answer came in more than one chunk, so there are no gaps.")
        return
    gap_ms, at = np.maximum(1000 * found.gap_s[inner], 0.01), at[inner]
    axes = canvas.axes(title, right=1.25)
    low, high = float(gap_ms.min()), float(gap_ms.max())
    width = bin_width(float(at.max()))
    x_edges = np.arange(np.floor(at.min() / width), np.ceil(at.max() / width) + 1) * width
    x_edges = x_edges if x_edges.size > 1 else np.array([x_edges[0], x_edges[0] + width])
    y_edges = np.geomspace(low * 0.95, max(high, low * 2) * 1.05, 41)
    counts = np.histogram2d(at, gap_ms, (x_edges, y_edges))[0].T
    _heat(canvas, axes, x_edges, y_edges, counts)
    axes.set(xlabel="time since the run's start (s)", ylabel="gap (ms, log scale)")
    middle, tail = np.quantile(gap_ms, (0.5, 0.99))
    canvas.alt = (
        f"{gap_ms.size:,} gaps between token events over the run: median {middle:.3g} ms, p99 {tail:.3g} ms, "
        f"longest {high:.3g} ms."
    )


def _heat(canvas: Canvas, axes: Axes, x_edges: Array, y_edges: Array, counts: Array) -> None:
    most = max(float(counts.max()), 2.0)
    colours = mpl.colormaps["YlGnBu"].copy()
    seen = np.ma.masked_equal(counts, 0)
    mesh = axes.pcolormesh(x_edges, y_edges, seen, norm=LogNorm(0.6, most), cmap=colours, rasterized=True)
    log_axis(axes, "y", float(y_edges[0]), float(y_edges[-1]))
    axes.set_xlim(x_edges[0], x_edges[-1])
    axes.grid(visible=False)
    height = float(canvas.figure.get_figheight())
    key = canvas.figure.add_axes((1 - 1.02 / WIDTH, 0.95 / height, 0.13 / WIDTH, 1 - 1.5 / height))
    bar = canvas.figure.colorbar(mesh, cax=key)
    bar.set_label("gaps per cell")
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


# Every chunk.


def raster(canvas: Canvas, run: Run, summary: Summary) -> None:
    """Chart 5: a row per answer in order of arrival, a mark per chunk; the left edge is TTFT."""
    title = "Every chunk of every streamed answer"
    rows = _streams(run, summary)
    if isinstance(rows, str):
        canvas.say(title, rows)
        return
    total = len(rows)
    if total > SHOWN:
        title = f"Every chunk of {SHOWN} of {total:,} streamed answers"
        rows = rows.iloc[np.linspace(0, total - 1, SHOWN).astype(int)]
    found = chunks_of(rows)
    lag = seconds(rows, "sent_ns") - seconds(rows, "scheduled_ns")
    at = found.since_sent_s + lag[found.row]
    axes = canvas.axes(title, height=4.8)
    scale, unit = (1000.0, "ms") if at.max() < 2 else (1.0, "s")
    place = 0.0
    for name, bit, colour in KINDS:
        chosen = (found.kind & bit) > 0
        if chosen.any():
            _marks(axes, scale * at[chosen], found.row[chosen] + 1, colour, len(rows))
            axes.text(1 - place, 1.01, name, transform=axes.transAxes, color=colour, ha="right", va="bottom", size=8.5)
            place += 0.02 + 0.0135 * len(name)
    axes.set_xlim(0, scale * float(at.max()) * 1.02)
    axes.set_ylim(len(rows) + 0.5, 0.5)
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set(xlabel=f"chunk - scheduled ({unit})", ylabel="answer, in order of arrival")
    axes.grid(visible=False)
    first = at[found.is_first]
    canvas.alt = (
        f"{at.size:,} chunks of {len(rows):,} answers, each at its time since the schedule; first chunks at "
        f"{1000 * float(np.median(first)):.3g} ms in the median, the last of all at {float(at.max()):.3g} s."
    )


def _marks(axes: Axes, x: Array, y: NDArray[np.int64], colour: str, rows: int) -> None:
    size = float(np.clip(250 / max(rows, 1), 1.6, 14))
    axes.plot(x, y, linestyle="", marker="|", ms=size, mew=1.0, color=colour, alpha=0.85, rasterized=x.size > VECTOR)
