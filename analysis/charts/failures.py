"""What became of the requests that were not answered in full: which failures, whose doing, and when."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from matplotlib.textpath import TextPath
from matplotlib.ticker import MaxNLocator

from analysis import stats
from analysis.charts.frame import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, SKY, WIDTH, YELLOW
from analysis.charts.timeline import bins
from analysis.derived import is_ok
from analysis.failures import FAMILIES, FAMILY_OF
from analysis.rundir import numbers, seconds, where
from analysis.units import NONE, digits

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from analysis.charts.frame import Canvas
    from analysis.rundir import Run
    from analysis.summary import Summary

    Array = NDArray[np.float64]

TITLE: Final = "Request outcomes"
NOT_SENT: Final = "not sent or lost"
COLOURS: Final = dict(zip((*FAMILIES, NOT_SENT), (ORANGE, YELLOW, PURPLE, GREEN, INK, SKY, BLUE, GREY), strict=True))
"""By family of failures, the same in every run."""
KINDS: Final = 9
"""Bars, at most; rarer kinds are one."""
OTHERS: Final = "other kinds"
SLICES: Final = 40
BAR: Final = 0.3
SLICED: Final = 1.6
"""Inches, as is the height of a bar."""


class Kind(NamedTuple):
    """What happened to some of the window's arrivals: the name of it, its family, how many, and the HTTP status."""

    name: str
    family: str
    n: int
    status: str = ""


def kinds(rows: pd.DataFrame) -> list[Kind]:
    """All that was not answered in full, by kind, the most frequent first."""
    found = Counter(zip(*_named(rows), strict=True))
    status = {name: _status(rows, name) for name, _ in found}
    every = [Kind(name, family, n, status[name]) for (name, family), n in found.most_common()]
    if len(every) <= KINDS:
        return every
    rest = every[KINDS - 1 :]
    return [*every[: KINDS - 1], Kind(f"{OTHERS} ({len(rest)})", NOT_SENT, sum(kind.n for kind in rest))]


def _named(rows: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Of each row that is not ok its kind of failure, or what else became of it, and the family."""
    bad = rows.loc[~is_ok(rows), ["outcome", "error_kind"]]
    names = [
        str(kind) if outcome == "error" and isinstance(kind, str) else str(outcome)
        for outcome, kind in zip(bad["outcome"], bad["error_kind"], strict=True)
    ]
    return names, [FAMILY_OF.get(name, NOT_SENT) for name in names]


def _status(rows: pd.DataFrame, kind: str) -> str:
    """The HTTP statuses that a kind came with: `429`, `502, 503`; empty where the answer began well or never."""
    found = numbers(rows.loc[where(rows, "error_kind", kind), ["status"]], "status")
    several = sorted({int(one) for one in found[~np.isnan(found)] if one >= 300})
    return ", ".join(map(str, several[:3])) + (", …" if len(several) > 3 else "")


def failures(canvas: Canvas, run: Run, summary: Summary) -> None:
    """Chart 16: a bar for each kind of failure with its share of all arrivals, and their shares over time."""
    rows = summary.window.rows(run.requests)
    if rows.empty:
        canvas.say(TITLE, "No request was measured.")
        return
    found, n = kinds(rows), len(rows)
    if not found:
        every = f"All {n:,} requests were" if n > 1 else "The only request was"
        most = digits(100 * stats.wilson(0, n)[1])
        canvas.say(TITLE, f"{every} answered in full: at most {most} % of such requests fail, with 95 % confidence.")
        return
    bars = BAR * len(found)
    timed = bool(np.isfinite(seconds(rows, "scheduled_ns")).all())
    height = 0.75 + bars + (1.0 + SLICED if timed else 0) + 0.9
    canvas.frame(TITLE, height)
    fine = n - sum(kind.n for kind in found)
    words = f"{fine:,} of {n:,} were answered in full, {digits(100 * fine / n)} %; the rest:"
    canvas.figure.text(0.15 / WIDTH, 1 - 0.52 / height, words, size=8.5, color=GREY, va="center")
    top = canvas.figure.add_axes((1.75 / WIDTH, 1 - (0.75 + bars) / height, 1 - 4.1 / WIDTH, bars / height))
    _bars(canvas, top, found, n)
    if timed:
        low = canvas.figure.add_axes((0.75 / WIDTH, 0.9 / height, 1 - 1.1 / WIDTH, SLICED / height))
        _over_time(canvas, low, rows, summary)
    told = ", ".join(f"{kind.name} {digits(100 * kind.n / n)} %" for kind in found)
    canvas.alt = f"Of {n:,} requests {digits(100 * fine / n)} % were answered in full; the rest: {told}."


def _bars(canvas: Canvas, axes: Axes, found: list[Kind], n: int) -> None:
    place = np.arange(len(found), dtype=np.float64)
    share = np.array([100 * kind.n / n for kind in found])
    ends = 100 * np.array([stats.wilson(kind.n, n) for kind in found])
    axes.barh(place, share, 0.62, color=[COLOURS[kind.family] for kind in found])
    axes.hlines(place, ends[:, 0], ends[:, 1], INK, lw=1)
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.set_xlim(0, float(ends.max()) * 1.02)
    axes.set_yticks(place, [kind.name for kind in found])
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("share of the window's requests (%)", labelpad=1)
    words = [
        f"{kind.n:,} · {digits(s)} % [{digits(lo)}, {digits(hi)}]"
        for kind, s, (lo, hi) in zip(found, share, ends, strict=True)
    ]
    for y, end, kind, word in zip(place, ends[:, 1], found, words, strict=True):
        status = f" · HTTP {kind.status}" if kind.status else ""
        axes.annotate(
            word + status, (end, y), (6, 0), textcoords="offset points", va="center", size=8, annotation_clip=False
        )
    canvas.tell(axes, "", share, place, text=lambda i: f"{found[i].name} ({found[i].family}): {words[i]}")
    fine = n - sum(kind.n for kind in found)
    lo, hi = (digits(100 * end) for end in stats.wilson(fine, n))
    first = ("answered in full", NONE, NONE, f"{fine:,}", digits(100 * fine / n), f"[{lo}, {hi}]")
    rows = [
        (kind.name, kind.family, kind.status or NONE, f"{kind.n:,}", digits(s), f"[{digits(lo)}, {digits(hi)}]")
        for kind, s, (lo, hi) in zip(found, share, ends, strict=True)
    ]
    last = ("all", NONE, NONE, f"{n:,}", "100", NONE)
    canvas.tabulate(("outcome", "family", "HTTP", "requests", "share (%)", "95 % interval"), [first, *rows, last])


def _over_time(canvas: Canvas, axes: Axes, rows: pd.DataFrame, summary: Summary) -> None:
    """Stacked shares of the arrivals of each slice of time, by family."""
    scheduled = seconds(rows, "scheduled_ns")
    if np.isnan(scheduled).all():
        axes.set_axis_off()
        axes.text(0.5, 0.5, "The imported file does not say when.", ha="center", color=GREY, transform=axes.transAxes)
        return
    begin, end = summary.window.start_s, max(summary.window.end_s, float(scheduled.max()))
    edges = begin + bins(end - begin, SLICES)
    every = np.histogram(scheduled, edges)[0]
    families = np.array(_named(rows)[1])
    bad = scheduled[~is_ok(rows)]
    below = np.zeros(every.size)
    middles = (edges[:-1] + edges[1:]) / 2
    order = [family for family, _ in Counter(families.tolist()).most_common()]
    for family in order:
        share = 100 * np.histogram(bad[families == family], edges)[0] / np.maximum(every, 1)
        axes.stairs(below + share, edges, baseline=below, fill=True, color=COLOURS[family], lw=0)
        _tell_slice(canvas, axes, family, (middles, share, below, every))
        below += share
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, min(100.0, float(below.max()) * 1.25))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.set(xlabel="scheduled at, since the run's start (s)", ylabel="not in full (%)")
    for family, (x, row) in zip(order, _places(order), strict=True):
        y = 1 + (0.1 + 0.19 * row) / SLICED
        axes.plot([x], [y], "s", transform=axes.transAxes, color=COLOURS[family], ms=6, clip_on=False)
        axes.text(x + 0.012, y, family, transform=axes.transAxes, size=8, va="center_baseline")


def _places(names: list[str]) -> list[tuple[float, int]]:
    """Where the names of the colours begin, as shares of the axes' width, and in which row above them."""
    found, x, row = [], 0.0, 0
    for name in names:
        width = 0.05 + TextPath((0, 0), name, size=8).get_extents().width / (72 * (WIDTH - 1.1))
        x, row = (0.0, row + 1) if x + width > 1 else (x, row)
        found.append((x + 0.008, row))
        x += width
    return found


def _tell_slice(canvas: Canvas, axes: Axes, family: str, bars: tuple[Array, Array, Array, NDArray[np.int64]]) -> None:
    middles, share, below, every = bars
    canvas.tell(
        axes, family, middles, np.where(share > 0, below + share / 2, np.nan),
        text=lambda i: f"{family}: {digits(share[i])} % of {every[i]:,} requests at {middles[i]:.4g} s",
    )  # fmt: skip
