"""The gap before a token by its place in the answer: whether answers slow down as they grow."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from analysis import stats
from analysis.charts.frame import BLUE, GREY, axis, label_end, log_axis, ms
from analysis.charts.grid import Grid
from analysis.charts.streams import answered_streams, no_gaps
from analysis.inside import lists
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

BINS: Final = 40
TAIL: Final = 0.95


class Course(NamedTuple):
    """
    Gaps by place in the answer.

    Attributes:
        grid: A column for each `width` tokens; a gap counts once for every token that ends it.
        answers: That reach each column, shape (columns,).
        unit: `token`, or `chunk` where nobody counted tokens: then each chunk is one.
    """

    grid: Grid
    answers: NDArray[np.int64]
    width: int
    unit: str


def course(run: Run, some: Mask) -> Course:
    """Count the gaps of some of a run's streams by where in the answer they were, a piece of the file at a time."""
    made = np.nan_to_num(numbers(run.requests, "output_tokens"))
    counted = some & (made > 0)
    # Of an imported run nobody knows how many tokens a chunk brought.
    weighed = counted.any() and not run.manifest.get("imported")
    unit, some = ("token", counted) if weighed else ("chunk", some)
    length = made if unit == "token" else np.nan_to_num(numbers(run.requests, "chunks"))
    longest = float(length[some].max(initial=1.0))
    width = _width(longest)
    columns = int(longest // width) + 1
    grid, reached = Grid(columns), np.zeros(columns, dtype=np.int64)
    for piece in lists.pieces(run, some, (lists.GAPS, lists.CHARS)):
        tokens = np.ones(int(piece.counts.sum()))
        if unit == "token":
            chars = piece.lists[lists.CHARS]
            whole = np.maximum(np.add.reduceat(chars, piece.starts), 1)
            tokens = np.repeat(made[piece.place] / whole, piece.counts) * chars
        # A hair more, as sums of shares end a few ulp below the whole numbers that they stand for.
        before = _before(tokens, piece) + 1e-6
        column = np.minimum(before // width, columns - 1).astype(np.int64)
        inner = tokens > 0
        inner[piece.starts] = False
        grid.add(column[inner], piece.lists[lists.GAPS][inner] / tokens[inner], tokens[inner])
        reached += np.bincount(np.maximum.reduceat(column, piece.starts), minlength=columns)
    return Course(grid, np.cumsum(reached[::-1])[::-1], width, unit)


def _before(tokens: Array, piece: lists.Piece) -> Array:
    """Of each event the tokens of its answer that came before it."""
    before = np.cumsum(tokens) - tokens
    return np.asarray(before - np.repeat(before[piece.starts], piece.counts))


def _width(longest: float) -> int:
    """The smallest round number of tokens that gives at most BINS columns."""
    widths = (step * 10**k for k in range(9) for step in (1, 2, 5))
    return next((width for width in widths if longest / width <= BINS), 10**9)


def position(canvas: Canvas, run: Run, summary: Summary) -> None:
    """Chart 11: the gap per token against the token's place in its answer; median, and p95 above it."""
    title = "Gap before a token by position in the answer"
    some = answered_streams(run, summary, "no token has a position in one")
    if isinstance(some, str):
        canvas.say(title, some)
        return
    found = course(run, some)
    if not found.grid.n.any():
        canvas.say(title, no_gaps(run, some))
        return
    axes = canvas.axes(title, right=1.0)
    axes.set_xlabel(f"position in the answer ({found.unit}s before it)")
    axes.set_ylabel(axis("itl_s" if found.unit == "token" else "chunk_gap_s", log=True))
    _draw(canvas, axes, found)


def _draw(canvas: Canvas, axes: Axes, found: Course) -> None:
    at = (np.arange(found.grid.n.size) + 0.5) * found.width
    middle = found.grid.quantile_ms(0.5)
    enough = found.grid.n >= stats.least_count(TAIL)
    tail = np.where(enough, found.grid.quantile_ms(TAIL), np.nan)
    there = np.flatnonzero(np.isfinite(middle))
    seen = np.concatenate([one[np.isfinite(one)] for one in (middle, tail)])
    log_axis(axes, "y", max(float(seen.min()), 1e-3), 1.1 * max(float(seen.max()), 2e-3))
    axes.set_xlim(0, at[there[-1]] + found.width / 2)
    axes.fill_between(at, middle, tail, color=BLUE, alpha=0.15, lw=0)
    axes.plot(at[there], middle[there], color=GREY, lw=1.2, marker="o" if there.size < 3 else "", ms=4)
    firm = there[found.answers[there] >= stats.least_count(0.5)]
    axes.plot(at[firm], middle[firm], color=BLUE, marker="o" if 0 < firm.size < 3 else "", ms=4)
    label_end(axes, (axes.get_xlim()[1], middle[there[-1]]), "median", BLUE if firm.size else GREY)
    if enough.any():
        last = np.flatnonzero(enough)[-1]
        axes.annotate(
            "up to p95", (at[last], tail[last]), (0, 4), textcoords="offset points", size=8, color=BLUE, ha="right",
            va="bottom",
        )  # fmt: skip
    _tell(canvas, axes, found, (middle, tail))


def _tell(canvas: Canvas, axes: Axes, found: Course, lines: tuple[Array, Array]) -> None:
    middle, _ = lines
    there = np.flatnonzero(np.isfinite(middle))
    firm = there[found.answers[there] >= stats.least_count(0.5)]
    first, last = (firm if firm.size else there)[[0, -1]]
    ends = [(k * found.width, (k + 1) * found.width - 1) for k in range(middle.size)]
    places = [f"{low:,}" if low == high else f"{low:,} to {high:,}" for low, high in ends]
    rows = [
        (places[k], f"{found.answers[k]:,}", f"{found.grid.n[k]:,}", *(_shown(line[k]) for line in lines))
        for k in there
    ]
    canvas.tabulate((f"{found.unit}s before it", "answers", "gaps", "p50 (ms)", "p95 (ms)"), rows)
    at = (np.arange(middle.size) + 0.5) * found.width
    canvas.tell(
        axes, "", at, middle,
        text=lambda i: f"{found.unit} {places[i]}: median gap {ms(middle[i] / 1e3)}, answers: {found.answers[i]:,}",
    )  # fmt: skip
    canvas.alt = (
        f"Median gap per {found.unit} by position in {found.answers[0]:,} answers: {ms(middle[first] / 1e3)} at the "
        f"start, {ms(middle[last] / 1e3)} from {found.unit} {last * found.width:,} on."
    )


def _shown(value: float) -> str:
    return digits(value) if math.isfinite(value) else NONE
