"""Charts of what happens inside streams: the gaps between tokens over time, and every chunk of some answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from analysis.charts.frame import BLUE, GREEN, INK, ORANGE, PURPLE, WIDTH, axis, log_axis, ms
from analysis.charts.grid import STEPS, Grid, edges_ms
from analysis.charts.timeline import bin_width
from analysis.derived import is_ok, is_stream
from analysis.inside import lists
from analysis.inside.chunks import STALL_US
from analysis.inside.distribution import Distribution, Tally
from analysis.rundir import numbers, seconds
from analysis.units import NONE, digits
from loadtests import record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from analysis.charts.frame import Canvas
    from analysis.rundir import Run
    from analysis.summary import Summary

    Array = NDArray[np.float64]
    Mask = NDArray[np.bool_]

SHOWN: Final = 200
"""Answers in the raster: as many as can be told apart by eye."""
VECTOR: Final = 800
"""Marks drawn one by one; more become one picture, or the file would grow past all use."""
ROWS: Final = 40
"""Of the heat map: so many steps of the scale are shown together."""
NO_TIMES: Final = "The file of this run has no chunk times."
TOLD: Final = 60
"""Rows of a table, at most."""
KINDS: Final = (
    ("content", record.CONTENT, BLUE),
    ("reasoning", record.REASONING, ORANGE),
    ("tool", record.TOOL, GREEN),
    ("refusal", record.REFUSAL, PURPLE),
)


def streams_of(run: Run, summary: Summary) -> Mask | str:
    """Which of the run's rows are the window's streams with chunks, or why there are none."""
    if not lists.are_there(run):
        return NO_TIMES
    held = summary.window.holds(run.requests)
    if not held.any():
        return "No request was measured."
    asked = held & is_stream(run.requests)
    if not asked.any():
        return "No streamed answer was requested, so there are no chunks."
    some = asked & ~(np.isnan(seconds(run.requests, "first_token_ns")) & np.isnan(numbers(run.requests, "ttft_s")))
    return some if some.any() else f"None of the {held.sum():,} requests got as far as a first token."


def no_gaps(run: Run, some: Mask) -> str:
    """Why some of a run's streams have no gaps."""
    several = numbers(run.requests, "chunks")[some] > 1
    return NO_TIMES if several.any() else "No answer came in more than one chunk, so there are no gaps."


def answered_streams(run: Run, summary: Summary, lacking: str) -> Mask | str:
    """Those of them that were answered in full, or why there are none; then what is `lacking` is told too."""
    some = streams_of(run, summary)
    if isinstance(some, str):
        return some
    full = some & is_ok(run.requests)
    return full if full.any() else f"No streamed answer completed, so {lacking}."


# Gaps.


class Heat(NamedTuple):
    """How often which gap came when; the first column of `width_s` seconds begins at the run's start."""

    grid: Grid
    width_s: float
    gaps: Distribution


def heat(run: Run, some: Mask) -> Heat:
    """Count the gaps of some of a run's streams, a piece of the file at a time."""
    sent = seconds(run.requests, "sent_ns")
    end = max(float(np.fmax.reduce(seconds(run.requests, "last_token_ns")[some], initial=0)), 1e-9)
    width = bin_width(end)
    columns = int(end // width) + 1
    grid, tally = Grid(columns), Tally()
    for piece in lists.pieces(run, some & ~np.isnan(sent), (lists.GAPS,)):
        inner = np.ones(int(piece.counts.sum()), dtype=bool)
        inner[piece.starts] = False
        gap_us = piece.lists[lists.GAPS][inner]
        at = (np.repeat(sent[piece.place], piece.counts) + piece.since_sent_us() / 1e6)[inner]
        grid.add(np.clip(at // width, 0, columns - 1).astype(np.int64), gap_us)
        tally.add(gap_us)
    return Heat(grid, width, tally.done())


def gaps(canvas: Canvas, run: Run, summary: Summary) -> None:
    """Chart 9: how long streams fell silent between tokens, over the run; darker is more often."""
    title = "Gaps between tokens"
    some = streams_of(run, summary)
    if isinstance(some, str):
        canvas.say(title, some)
        return
    found = heat(run, some)
    if not found.gaps.n:
        canvas.say(title, no_gaps(run, some))
        return
    axes = canvas.axes(title, right=1.25)
    _heat(canvas, axes, *_cells(found))
    axes.set(xlabel="time since the run's start (s)", ylabel=axis("chunk_gap_s", log=True))
    _tell_heat(canvas, axes, found)
    middle, tail, longest = (ms(value or 0.0) for value in (*map(found.gaps.quantile, (0.5, 0.99)), found.gaps.most))
    canvas.alt = (
        f"{found.gaps.n:,.0f} gaps between token events over the run: median {middle}, p99 {tail}, longest {longest}."
    )


def _cells(found: Heat) -> tuple[Array, Array, Array]:
    """Edges in time and in milliseconds of what there is, about ROWS steps of the latter, and the counts in between."""
    every = found.grid.counts
    columns, steps = (np.flatnonzero(every.any(axis=axis)) for axis in (1, 0))
    left, right = int(columns[0]), int(columns[-1]) + 1
    # A scale of a quarter of a decade at least, so that gaps that are all alike are a line and not a field.
    end = max(int(steps[-1]) + 1, int(steps[0]) + STEPS // 36)
    together = max(1, round((end - steps[0]) / ROWS))
    firsts = np.arange(steps[0], end, together)
    counts = np.add.reduceat(every[left:right, : firsts[-1] + together], firsts, axis=1).T
    edges = edges_ms(np.append(firsts, firsts[-1] + together))
    times = found.width_s * np.arange(left, right + 1, dtype=np.float64)
    return times, edges, counts


def _tell_heat(canvas: Canvas, axes: Axes, found: Heat) -> None:
    """By stretches of time: how many gaps, and their percentiles."""
    grid = found.grid.together(-(-found.grid.n.size // TOLD))
    width = found.width_s * -(-found.grid.n.size // TOLD)
    p50, p99 = grid.quantile_ms(0.5), grid.quantile_ms(0.99)
    rows = [
        (f"{k * width:g} to {(k + 1) * width:g}", f"{grid.n[k]:,}", *_of_gaps(p50[k], p99[k], grid.most_us[k] / 1e3))
        for k in range(grid.n.size)
    ]
    canvas.tabulate(("time since the run's start (s)", "gaps", "p50 (ms)", "p99 (ms)", "longest (ms)"), rows)
    middle = (np.arange(grid.n.size) + 0.5) * width
    for name, values in (("p50", p50), ("p99", p99), ("longest", np.where(grid.n > 0, grid.most_us / 1e3, np.nan))):
        words = [
            f"{row[0]} s: {name} {ms(value / 1e3)} of {row[1]} gaps" for row, value in zip(rows, values, strict=True)
        ]
        canvas.tell(axes, name, middle, values, text=words.__getitem__)


def _of_gaps(*values_ms: float) -> list[str]:
    return [digits(value) if np.isfinite(value) and value > 0 else NONE for value in values_ms]


def _heat(canvas: Canvas, axes: Axes, x_edges: Array, y_edges: Array, counts: Array) -> None:
    most = max(float(counts.max()), 2.0)
    colours = mpl.colormaps["YlGnBu"].copy()
    seen = np.ma.masked_equal(counts, 0)
    mesh = axes.pcolormesh(x_edges, y_edges, seen, norm=LogNorm(0.6, most), cmap=colours, rasterized=True)
    log_axis(axes, "y", float(y_edges[0]), float(y_edges[-1]))
    axes.set_xlim(x_edges[0], x_edges[-1])
    axes.grid(visible=False)
    _stall_line(axes, float(y_edges[-1]))
    height = float(canvas.figure.get_figheight())
    key = canvas.figure.add_axes((1 - 1.02 / WIDTH, 0.95 / height, 0.13 / WIDTH, 1 - 1.5 / height))
    bar = canvas.figure.colorbar(mesh, cax=key)
    bar.set_label("gaps per cell")
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def _stall_line(axes: Axes, highest_ms: float) -> None:
    """From where on a gap may be a stall, where there are gaps that long."""
    limit = STALL_US / 1e3
    if highest_ms > limit:
        axes.axhline(limit, color=INK, lw=1, ls=(0, (4, 2)))
        axes.annotate(
            f"stall: above {limit:g} ms and 5 x the answer's median gap ", (1, limit), (0, 3), size=7.5, color=INK,
            xycoords=("axes fraction", "data"), textcoords="offset points", ha="right", va="bottom",
        )  # fmt: skip


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
    if not parts:
        return Marks(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.bool_))
    answers, moments, kinds, firsts = (np.concatenate(each) for each in zip(*parts, strict=True))
    # The file of several arms has another order than the rows of one of them.
    order = np.argsort(answers, kind="stable")
    return Marks(answers[order], moments[order], kinds[order], firsts[order])


def raster(canvas: Canvas, run: Run, summary: Summary) -> None:
    """Chart 8: a row per answer in order of arrival, a mark per chunk; the left edge is TTFT."""
    title = "Every chunk of every streamed answer"
    some = streams_of(run, summary)
    if isinstance(some, str):
        canvas.say(title, some)
        return
    chosen = np.flatnonzero(some)
    if chosen.size > SHOWN:
        title = f"Every chunk of {SHOWN} of {chosen.size:,} streamed answers"
        chosen = chosen[np.linspace(0, chosen.size - 1, SHOWN).astype(int)]
    found = marks(run, chosen)
    if not np.isfinite(found.at_s).any():
        canvas.say(title, NO_TIMES)
        return
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
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    axes.set(xlabel=f"chunk - scheduled ({unit})", ylabel="answer, in order of arrival")
    axes.grid(visible=False)
    _tell_answers(canvas, axes, found, chosen.size, scale)
    canvas.alt = (
        f"{found.at_s.size:,} chunks of {chosen.size:,} answers, by their time since the schedule; median first chunk "
        f"at {ms(float(np.median(found.at_s[found.is_first])))}, last chunk at {ms(last)}."
    )


def _tell_answers(canvas: Canvas, axes: Axes, found: Marks, n: int, scale: float) -> None:
    """Of each answer its first chunk, the number of its chunks, and the last."""
    first = np.full(n, np.nan)
    first[found.answer[found.is_first]] = found.at_s[found.is_first]
    last, longest = np.zeros(n), np.zeros(n)
    np.maximum.at(last, found.answer, found.at_s)
    gap = np.diff(found.at_s, prepend=0.0)
    np.maximum.at(longest, found.answer[~found.is_first], gap[~found.is_first])
    count = np.bincount(found.answer, minlength=n)
    rows = [
        (f"{k + 1}", digits(1e3 * first[k]), f"{count[k]:,}", *_of_gaps(1e3 * longest[k]), digits(1e3 * last[k]))
        for k in range(n)
    ]
    shown = np.unique(np.linspace(0, n - 1, min(n, TOLD)).round().astype(np.int64))
    names = ("answer", "first chunk (ms)", "chunks", "longest gap (ms)", "last chunk (ms)")
    canvas.tabulate(names, [rows[k] for k in shown])
    canvas.tell(
        axes, "", scale * first, np.arange(n) + 1.0,
        text=lambda i: f"answer {rows[i][0]}: first chunk {ms(first[i])}, last of {rows[i][2]} {ms(last[i])}",
    )  # fmt: skip


def _marks(axes: Axes, x: Array, y: NDArray[np.int64], colour: str, rows: int) -> None:
    size = float(np.clip(250 / max(rows, 1), 1.6, 14))
    axes.plot(x, y, linestyle="", marker="|", ms=size, mew=1.0, color=colour, alpha=0.85, rasterized=x.size > VECTOR)
