"""Charts of what happens inside streams: the gaps between tokens over time, and every chunk of some answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from analysis.charts.frame import BLUE, GREEN, ORANGE, PURPLE, WIDTH, axis, log_axis
from analysis.charts.timeline import bin_width
from analysis.derived import is_stream
from analysis.inside import lists
from analysis.inside.distribution import Distribution, Tally
from analysis.runs import seconds
from loadtests import record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from analysis.charts.frame import Canvas
    from analysis.runs import Run
    from analysis.summary import Summary

    Array = NDArray[np.float64]
    Mask = NDArray[np.bool_]

SHOWN: Final = 200
"""Answers in the raster: as many as can be told apart by eye."""
VECTOR: Final = 1500
"""Marks drawn one by one; more become one picture, or the file would grow past all use."""
LEAST_US: Final = 10
PER_DECADE: Final = 48
"""Steps of the scale that gaps are counted on, from 10 us up; the chart shows some of them together, 40 rows in all."""
STEPS: Final = 9 * PER_DECADE
ROWS: Final = 40
KINDS: Final = (
    ("content", record.CONTENT, BLUE),
    ("reasoning", record.REASONING, ORANGE),
    ("tool", record.TOOL, GREEN),
    ("refusal", record.REFUSAL, PURPLE),
)


def _streams(run: Run, summary: Summary) -> Mask | str:
    """Which of the run's rows are the window's streams with chunks, or why there are none."""
    if not lists.are_there(run):
        return "The file of this run has no chunk times."
    held = summary.window.holds(run.requests)
    if not held.any():
        return "No request was measured."
    asked = held & is_stream(run.requests)
    if not asked.any():
        return "No streamed answer was asked for, so there are no chunks."
    some = asked & ~np.isnan(seconds(run.requests, "first_token_ns"))
    return some if some.any() else f"None of the {held.sum():,} requests got as far as a first token."


# Gaps.


class Heat(NamedTuple):
    """
    How often which gap came when.

    Attributes:
        counts: Shape (columns, STEPS), steps ascending.
        width_s: Of a column; the first begins at the run's start.
    """

    counts: NDArray[np.int64]
    width_s: float
    gaps: Distribution


def heat(run: Run, some: Mask) -> Heat:
    """Count the gaps of some of a run's streams, a piece of the file at a time."""
    sent = seconds(run.requests, "sent_ns")
    end = max(float(np.nanmax(seconds(run.requests, "last_token_ns")[some], initial=0)), 1e-9)
    width = bin_width(end)
    columns = int(end // width) + 1
    counts, tally = np.zeros(columns * STEPS, dtype=np.int64), Tally()
    for piece in lists.pieces(run, some & ~np.isnan(sent), (lists.GAPS,)):
        inner = np.ones(int(piece.counts.sum()), dtype=bool)
        inner[piece.starts] = False
        gap_us = piece.lists[lists.GAPS][inner]
        at = (np.repeat(sent[piece.place], piece.counts) + piece.since_sent_us() / 1e6)[inner]
        column = np.clip(at // width, 0, columns - 1).astype(np.int64)
        step = (PER_DECADE * np.log10(np.maximum(gap_us, LEAST_US) / LEAST_US)).astype(np.int64)
        counts += np.bincount(column * STEPS + np.minimum(step, STEPS - 1), minlength=counts.size)
        tally.add(gap_us)
    return Heat(counts.reshape(columns, STEPS), width, tally.done())


def gaps(canvas: Canvas, run: Run, summary: Summary) -> None:
    """Chart 4: how long streams fell silent between tokens, over the run; darker is more often."""
    title = "Gaps between tokens"
    some = _streams(run, summary)
    if isinstance(some, str):
        canvas.say(title, some)
        return
    found = heat(run, some)
    if not found.gaps.n:
        canvas.say(title, "No answer came in more than one chunk, so there are no gaps.")
        return
    axes = canvas.axes(title, right=1.25)
    _heat(canvas, axes, *_cells(found))
    axes.set(xlabel="time since the run's start (s)", ylabel=axis("chunk_gap_s", log=True))
    middle, tail, longest = (
        1e3 * (value or 0.0) for value in (*map(found.gaps.quantile, (0.5, 0.99)), found.gaps.most)
    )
    canvas.alt = (
        f"{found.gaps.n:,.0f} gaps between token events over the run: median {middle:.3g} ms, p99 {tail:.3g} ms, "
        f"longest {longest:.3g} ms."
    )


def _cells(found: Heat) -> tuple[Array, Array, Array]:
    """Edges in time and in milliseconds of what there is, about ROWS steps of the latter, and the counts in between."""
    columns, steps = (np.flatnonzero(found.counts.any(axis=axis)) for axis in (1, 0))
    left, right = int(columns[0]), int(columns[-1]) + 1
    together = max(1, round((steps[-1] + 1 - steps[0]) / ROWS))
    firsts = np.arange(steps[0], max(steps[-1] + 1, steps[0] + PER_DECADE // 4), together)
    counts = np.add.reduceat(found.counts[left:right, : firsts[-1] + together], firsts, axis=1).T
    edges = LEAST_US / 1e3 * np.power(10.0, np.append(firsts, firsts[-1] + together) / PER_DECADE)
    times = found.width_s * np.arange(left, right + 1, dtype=np.float64)
    return times, edges, counts.astype(np.float64)


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


class Marks(NamedTuple):
    """
    Token events of some answers, in order of answer and time; shape (m,) each.

    Attributes:
        answer: Counted from 0.
        at_s: Event - scheduled.
        kind: Bits of `record.CONTENT` and the like.
    """

    answer: NDArray[np.int64]
    at_s: Array
    kind: NDArray[np.int64]
    is_first: Mask


def marks(run: Run, chosen: NDArray[np.int64]) -> Marks:
    """The events of a few answers, by their places among the run's rows, ascending."""
    some = np.zeros(len(run.requests), dtype=bool)
    some[chosen] = True
    lag = seconds(run.requests, "sent_ns") - seconds(run.requests, "scheduled_ns")
    parts = []
    for piece in lists.pieces(run, some, (lists.GAPS, lists.KINDS)):
        is_first = np.zeros(int(piece.counts.sum()), dtype=bool)
        is_first[piece.starts] = True
        at = np.repeat(lag[piece.place], piece.counts) + piece.since_sent_us() / 1e6
        answer = np.repeat(np.searchsorted(chosen, piece.place), piece.counts)
        parts.append(Marks(answer, at, piece.lists[lists.KINDS], is_first))
    answers, moments, kinds, firsts = (np.concatenate(each) for each in zip(*parts, strict=True))
    # The file of several arms has another order than the rows of one of them.
    order = np.argsort(answers, kind="stable")
    return Marks(answers[order], moments[order], kinds[order], firsts[order])


def raster(canvas: Canvas, run: Run, summary: Summary) -> None:
    """Chart 5: a row per answer in order of arrival, a mark per chunk; the left edge is TTFT."""
    title = "Every chunk of every streamed answer"
    some = _streams(run, summary)
    if isinstance(some, str):
        canvas.say(title, some)
        return
    chosen = np.flatnonzero(some)
    if chosen.size > SHOWN:
        title = f"Every chunk of {SHOWN} of {chosen.size:,} streamed answers"
        chosen = chosen[np.linspace(0, chosen.size - 1, SHOWN).astype(int)]
    found = marks(run, chosen)
    axes = canvas.axes(title, height=4.8)
    last = float(found.at_s.max())
    scale, unit = (1000.0, "ms") if last < 2 else (1.0, "s")
    place = 0.0
    for name, bit, colour in KINDS:
        shown = (found.kind & bit) > 0
        if shown.any():
            _marks(axes, scale * found.at_s[shown], found.answer[shown] + 1, colour, chosen.size)
            axes.text(1 - place, 1.01, name, transform=axes.transAxes, color=colour, ha="right", va="bottom", size=8.5)
            place += 0.02 + 0.0135 * len(name)
    axes.set_xlim(0, scale * last * 1.02)
    axes.set_ylim(chosen.size + 0.5, 0.5)
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set(xlabel=f"chunk - scheduled ({unit})", ylabel="answer, in order of arrival")
    axes.grid(visible=False)
    canvas.alt = (
        f"{found.at_s.size:,} chunks of {chosen.size:,} answers, each at its time since the schedule; first chunks at "
        f"{1000 * float(np.median(found.at_s[found.is_first])):.3g} ms in the median, the last of all at {last:.3g} s."
    )


def _marks(axes: Axes, x: Array, y: NDArray[np.int64], colour: str, rows: int) -> None:
    size = float(np.clip(250 / max(rows, 1), 1.6, 14))
    axes.plot(x, y, linestyle="", marker="|", ms=size, mew=1.0, color=colour, alpha=0.85, rasterized=x.size > VECTOR)
