"""How long answers fell silent: the longest gap of each, how many stood still, and how fluid they were to a reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from analysis import objectives, stats
from analysis.charts import ecdf
from analysis.charts.frame import GREEN, GREY, INK, WIDTH, axis, log_axis, ms
from analysis.charts.streams import answered_streams, no_gaps
from analysis.checks.rule import percentile
from analysis.inside import chunks
from analysis.inside.chunks import STALL_MEDIANS, STALL_US
from analysis.rundir import numbers
from analysis.units import NONE, digits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from analysis.charts.frame import Canvas
    from analysis.rundir import Run
    from analysis.summary import Summary

    Array = NDArray[np.float64]
    Mask = NDArray[np.bool_]

TITLE: Final = "Longest gap of each answer"
HEIGHT: Final = 4.2
SIDE: Final = 1.75
"""Inches of the panel beside it."""


class Smoothness(NamedTuple):
    """
    Of the window's full streamed answers, in order of arrival, shape (n,).

    Attributes:
        longest_s: The longest gap; NaN for an answer in one chunk.
        stalled: It stood still at least once; empty where nobody can tell.
        fluidity: The share of its tokens that came in time; NaN where no deadlines were named.
    """

    longest_s: Array
    stalled: Mask
    fluidity: Array


def smoothness(run: Run, summary: Summary, some: Mask) -> Smoothness:
    """As judging put it into the rows; read anew from the file where the rows are as they were stored."""
    deadlines = _deadlines(summary)
    columns = {name: numbers(run.requests, name) for name in ("stalls", "fluidity") if name in run.requests}
    if "stalls" not in columns or (deadlines and "fluidity" not in columns):
        told = chunks.read(run, summary.window, np.empty(0), deadlines)
        assert told is not None
        columns = told.columns
    fluid = columns["fluidity"] if deadlines else np.full(len(run.requests), np.nan)
    number = columns["stalls"][some]
    stalled = number > 0 if np.isfinite(number).any() else np.zeros(0, dtype=np.bool_)
    return Smoothness(numbers(run.requests, "max_gap_s")[some], stalled, fluid[some])


def _deadlines(summary: Summary) -> tuple[float, float] | None:
    """Of the objective of fluidity, seconds for the first token and each further; None without one."""
    found = (objectives.parse(one.text).deadlines for one in summary.objectives)
    return next((one for one in found if one is not None), None)


def stalls(canvas: Canvas, run: Run, summary: Summary) -> None:
    """Chart 10: the share of answers whose longest gap is at most so long, those that stalled, and their fluidity."""
    some = answered_streams(run, summary, "there is no longest gap")
    if isinstance(some, str):
        canvas.say(TITLE, some)
        return
    found = smoothness(run, summary, some)
    known = found.longest_s[found.longest_s > 0]
    if not known.size:
        canvas.say(TITLE, no_gaps(run, some))
        return
    fluid = found.fluidity[~np.isnan(found.fluidity)]
    span = ecdf.span(1000 * np.sort(known), ecdf.limits(run, summary, "max_gap"))
    above = ecdf.room(span.near)
    height = HEIGHT + above
    axes = canvas.axes(TITLE, height, top=0.55 + above, right=SIDE + 1.1 if fluid.size else 0.35)
    _gaps(canvas, axes, known, span)
    words = _stalled(axes, found, span)
    if fluid.size:
        words += _fluidity(canvas, fluid, _deadlines(summary), height)
    canvas.alt = f"{canvas.alt}{words}."


def _gaps(canvas: Canvas, axes: Axes, known: Array, span: ecdf.Span) -> None:
    every = stats.quantiles(known, ecdf.TOLD)
    log_axis(axes, "x", span.low, max(span.high, 1.2 * STALL_US / 1e3))
    axes.set_xlabel(axis("max_gap_s", log=True))
    n_eff = every[ecdf.TOLD.index(0.5)].n_eff
    ecdf.draw(canvas, axes, 1000 * np.sort(known), n_eff, "answers")
    marked = [q for q in every if q.p in ecdf.MARKED and q.value is not None]
    ecdf.promise(axes, span.near)
    ecdf.mark(axes, marked)
    ecdf.tabulate(canvas, every, axis("max_gap_s"))
    told = ", ".join(f"{percentile(q.p)} {ms(q.value or 0)}" for q in marked)
    canvas.alt = f"Longest gap of {known.size:,} streamed answers: {told}, at most {ms(float(known.max()))}"


def _stalled(axes: Axes, found: Smoothness, span: ecdf.Span) -> str:
    """From where on a gap may be a stall, and how many answers had one."""
    limit, hits, n = STALL_US / 1e3, int(found.stalled.sum()), found.stalled.size
    if not n:
        ecdf.note(axes, span.far)
        return ""
    worth = stats.effective_count(found.stalled)
    lo, hi = stats.wilson(hits * worth / n, worth)
    axes.axvline(limit, ecdf.CLEAR, color=INK, lw=1, ls=(0, (4, 2)))
    share = f"{hits:,} of {n:,} answers stalled: {digits(100 * hits / n)} % [{digits(100 * lo)}, {digits(100 * hi)}] %"
    ecdf.note(axes, span.far, share, f"stall: above {limit:g} ms and {STALL_MEDIANS} x the answer's median gap")
    return f"; {share}"


def _fluidity(canvas: Canvas, fluid: Array, deadlines: tuple[float, float] | None, height: float) -> str:
    """The small panel beside it: how many answers had at most such a share of their tokens in time."""
    assert deadlines is not None
    axes = canvas.figure.add_axes(
        (1 - (SIDE + 0.3) / WIDTH, 0.95 / height, SIDE / WIDTH, 1 - (0.95 + height - HEIGHT + 0.55) / height)
    )
    values = np.sort(fluid)
    share = np.arange(1, values.size + 1) / values.size
    keep = ecdf.thin(values.size)
    axes.step(values[keep], share[keep], where="post", color=GREEN)
    axes.set(xlim=(min(float(values[0]), 0.9), 1.005), ylim=(0, 1.02))
    axes.set_xlabel("fluidity index (share in time)")
    axes.tick_params(labelleft=False)
    axes.locator_params(axis="x", nbins=4)
    axes.text(
        0.03, 0.97, f"tokens in time:\nfirst {ms(deadlines[0])},\nthen {ms(deadlines[1])} each",
        transform=axes.transAxes, va="top", size=7.5, color=GREY,
    )  # fmt: skip
    told = keep[:: max(1, keep.size // 100)]
    canvas.tell(
        axes, "fluidity", values[told], share[told],
        text=lambda i: f"{digits(100 * share[told][i])} % of answers have an index of {values[told][i]:.3f} or less",
    )  # fmt: skip
    _add_to_table(canvas, fluid)
    return f"; median fluidity index {float(np.median(fluid)):.3f}, lowest {float(values[0]):.3f}"


def _add_to_table(canvas: Canvas, fluid: Array) -> None:
    """A column with the fluidity that so many answers reach: the tail is its low end."""
    assert canvas.table is not None
    found = {percentile(q.p): q.value for q in stats.quantiles(-fluid, ecdf.TOLD)}
    rows = [(*row, NONE if (value := found[row[0]]) is None else f"{-value:.3f}") for row in canvas.table.rows]
    canvas.tabulate((*canvas.table.columns, "fluidity reached by as many"), rows)
