"""An empirical distribution as charts draw it: the curve, its band, the percentiles it supports, promised limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from analysis import objectives, stats
from analysis.charts.frame import BLUE, GREEN, GREY, ORANGE, ms
from analysis.checks.rule import percentile
from analysis.units import NONE, digits

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from analysis.charts.frame import Canvas
    from analysis.objectives import Objective
    from analysis.rundir import Run
    from analysis.summary import Summary

    Array = NDArray[np.float64]

POINTS: Final = 500
"""The most points a line is drawn with: more than can be told apart."""
MARKED: Final = (0.5, 0.95, 0.99)
TOLD: Final = (0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
VERDICTS: Final = {"met": GREEN, "missed": ORANGE, "undecided": GREY, "": GREY}
CLEAR: Final = 0.2
"""Of the axes' height: upright lines begin above the small print."""
NAMED: Final = 60.0
"""Points that the name of a percentile is long, but for what may stand outside of the axes."""
FAR: Final = 4.0
"""A limit so many times beyond the data is not worth the room on the axis; it is named without a line."""


class Limit(NamedTuple):
    """A promise about a time: the share that must have less than so many milliseconds; no verdict without a share."""

    ms: float
    p: float | None
    text: str
    verdict: str

    @property
    def words(self) -> str:
        """`ttft_p95<300ms: met`."""
        return f"{self.text}: {self.verdict}" if self.verdict else self.text


def limits(run: Run, summary: Summary, word: str) -> tuple[Limit, ...]:
    """The promises about one word of objectives, in order of their limits: those judged, and those of each request."""
    verdicts = {one.text: one.verdict for one in summary.objectives}
    terms = [objectives.parse(text) for text in verdicts] + _of_each_request(run, set(verdicts))
    found = [Limit(1000 * one.limit, one.p, one.text, verdicts.get(one.text, "")) for one in terms if one.word == word]
    return tuple(sorted(found, key=lambda one: one.ms))


def _of_each_request(run: Run, judged: set[str]) -> list[Objective]:
    """Terms of the plan that have no share of their own, unless the run was judged by others than the plan's."""
    try:
        planned = objectives.read(run.plan.get("objectives") or ()).terms
    except objectives.ObjectiveError:
        return []
    mine = [term for term in planned if term.p is None and not term.of_run]
    return mine if judged <= {term.text for term in planned} else []


class Span(NamedTuple):
    """An axis from low to high, milliseconds, with the limits that are on it and those that are not."""

    low: float
    high: float
    near: list[Limit]
    far: list[Limit]


def span(values_ms: Array, promised: Iterable[Limit]) -> Span:
    """Of values, ascending, with the limits that lie among or near them."""
    low, high = float(values_ms[0]), float(values_ms[-1])
    near: list[Limit] = []
    far: list[Limit] = []
    for one in promised:
        (near if low / FAR <= one.ms <= high * FAR else far).append(one)
    places = [low, high, *(one.ms for one in near)]
    return Span(min(places), max(places), near, far)


def draw(canvas: Canvas, axes: Axes, values_ms: Array, n_eff: float, words: str) -> None:
    """
    The share of values at most x, with a 95 % band for the whole curve (DKW).

    Args:
        canvas: Is told of the curve.
        axes: Milliseconds against shares.
        values_ms: Ascending, shape (n,), n above 0.
        n_eff: Independent values that they are worth.
        words: Of the things counted: `answers`.
    """
    n = values_ms.size
    keep = thin(n)
    x, y = values_ms[keep], (keep + 1) / n
    half = stats.dkw_halfwidth(max(int(n_eff), 1))
    axes.fill_between(x, np.clip(y - half, 0, 1), np.clip(y + half, 0, 1), step="post", color=BLUE, alpha=0.13, lw=0)
    axes.step(x, y, where="post", color=BLUE)
    canvas.tell(axes, "", x, y, text=lambda i: f"{digits(100 * y[i])} % of {words} within {ms(x[i] / 1000)}")
    axes.set(ylabel=f"share of {words}", ylim=(0, 1.02))


def note(axes: Axes, far: Iterable[Limit], *lines: str) -> None:
    """Small print at the lower right, where the curve never is."""
    told = [f"{one.words}, off the axis" for one in far]
    words = "\n".join((*told, *lines, "band: 95 % for the whole curve (DKW)"))
    axes.text(0.99, 0.03, words, transform=axes.transAxes, ha="right", va="bottom", size=7.5, color=GREY)


def mark(axes: Axes, found: Iterable[stats.Quantile]) -> None:
    """The percentiles on the curve, named at its right side, which is free below it, or above it near the edge."""
    for q in found:
        assert q.value is not None
        x = 1000 * q.value
        axes.plot([x], [q.p], "o", color=BLUE, ms=5, mec="white", mew=1)
        # At the top p95 and p99 lie close, so p99 keeps more to its own height.
        rest = 72 * (axes.bbox.x1 - axes.transData.transform((x, 0))[0]) / axes.figure.dpi
        near_edge = rest < NAMED
        dy = -8 if q.p == 0.99 else -15
        axes.annotate(
            f"{percentile(q.p)}  {ms(q.value)}", (x, q.p), (-8, 4) if near_edge else (9, dy), color=BLUE, size=8.5,
            textcoords="offset points", ha="right" if near_edge else "left", va="center",
            bbox={"fc": "white", "ec": "none", "pad": 0.8, "alpha": 0.75},
        )  # fmt: skip


def room(promised: Sequence[Limit]) -> float:
    """Inches above the axes that the names of limits take."""
    return 0.17 * len(promised)


def promise(axes: Axes, promised: Sequence[Limit]) -> None:
    """A line at each limit, its name above the axes, and a mark at the share that it asks for."""
    for row, one in enumerate(promised):
        colour = VERDICTS[one.verdict]
        axes.axvline(one.ms, CLEAR, color=colour, lw=1.1, ls=(0, (4, 2)))
        if one.p is not None:
            axes.plot([one.ms], [one.p], marker=">", color=colour, ms=5, mew=0)
        at = axes.transAxes.inverted().transform(axes.transData.transform((one.ms, 0)))[0]
        axes.annotate(
            one.words, (at, 1), (0, 3 + 11 * row), xycoords="axes fraction",
            textcoords="offset points", color=colour, size=8, va="bottom",
            ha="left" if at < 0.3 else "right" if at > 0.7 else "center",
        )  # fmt: skip


def tabulate(canvas: Canvas, found: Iterable[stats.Quantile], label: str) -> None:
    """The percentiles with their intervals as the table behind."""
    rows = [(percentile(q.p), digits(1000 * q.value), interval(q)) for q in found if q.value is not None]
    canvas.tabulate(("percentile", label, "95 % interval"), rows)


def interval(q: stats.Quantile) -> str:
    """The ends of a quantile's interval in milliseconds; an end that nobody knows is a dash."""
    if q.lo is None and q.hi is None:
        return NONE
    low, high = (NONE if end is None else digits(1000 * end) for end in (q.lo, q.hi))
    return f"[{low}, {high}]"


def thin(n: int) -> NDArray[np.int64]:
    """Indices of at most POINTS of n sorted values, both ends and all of the tail's detail kept."""
    if n <= POINTS:
        return np.arange(n)
    body = np.linspace(0, n - 1, POINTS // 2)
    tail = n - np.geomspace(1, n, POINTS // 2)
    return np.unique(np.concatenate([body, tail]).astype(np.int64))
