"""A search for the capacity: every probe by its load and the share that kept the promise, and the fit through them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from analysis import stats
from analysis.capacity import tried
from analysis.capacity.figures import Figure, told
from analysis.capacity.sweep import load
from analysis.charts.frame import BLUE, GREY, INK, ORANGE, SKY, WIDTH, drawn, log_axis
from analysis.charts.swept import LOADS
from analysis.units import digits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from analysis.capacity.answer import Answer
    from analysis.capacity.probe import Probe, Term
    from analysis.charts.frame import Canvas, Chart

HEIGHT: Final = 4.8
TICKS: Final = (1, 2, 5, 10, 20, 50, 80, 90, 95, 98, 99, 99.5, 99.8, 99.9, 99.95, 99.99)
"""Per cent."""
LEAST_APART: Final = 0.055
"""Of the axis' height: how far its ticks have to be apart."""
MARKS: Final = {"pass": ("o", BLUE), "fail": ("v", ORANGE), "undecided": ("D", GREY)}
BIG: Final = 170.0
"""Area in points of the probe with the most requests."""
BESIDE: Final = 1.45
"""Times the capacity, on both sides: as far as the fit is a straight line, and drawn."""


class Shown(NamedTuple):
    """A probe with the promise that the chart is about."""

    probe: Probe
    term: Term
    share: float


def chart(answer: Answer, footer: str, name: str = "search", of: str = "") -> Chart:
    """
    The search of one answer.

    Args:
        answer: With its probes.
        footer: The small print.
        name: The file's.
        of: Added to the title, where there are several.
    """
    return drawn(name, lambda canvas: draw(canvas, answer, of), footer)


def draw(canvas: Canvas, answer: Answer, of: str = "") -> None:
    """Probes over the log of the load, shares on the logit scale, on which the fit is straight."""
    title = f"The search{of}: share within the objective at each load"
    shown = _shown(answer)
    if not shown:
        canvas.say(title, "No per-request objective applied to these probes, so there is no share to show.")
        return
    axes = canvas.axes(title, HEIGHT, left=0.9, right=0.4, top=0.95)
    small = _note(shown)
    canvas.figure.text(0.15 / WIDTH, 1 - 0.47 / HEIGHT, small, size=7.5, color=GREY, va="center")
    loads = [one.probe.load for one in shown]
    known = [end for end in (answer.lo, answer.hi, answer.value) if end]
    log_axis(axes, "x", min(loads + known), max(loads + known))
    low, high = _y_axis(axes, shown)
    _promised(axes, answer, shown[0].term)
    _capacity(axes, answer)
    _fitted(axes, answer, low, high)
    _probes(axes, shown)
    axes.set_xlabel(f"{LOADS[answer.mode]}, log scale)")
    axes.set_ylabel(f"requests that met {shown[0].term.text} (%, logit scale)", fontsize=8.5)
    _tell(canvas, axes, shown)
    canvas.alt = _alt(answer, shown)


def _tell(canvas: Canvas, axes: Axes, shown: list[Shown]) -> None:
    """Every probe with its share, its requests and what was decided."""
    most = max(one.term.n for one in shown)
    heights = [_logit(one.share, one.term.n) if one.share < 1 else _logit(1.0, most) for one in shown]
    rows = [_row(one) for one in shown]
    canvas.tell(
        axes, "", [one.probe.load for one in shown], heights,
        text=lambda i: f"probe {rows[i][0]}, {rows[i][1]}: {rows[i][2]} % of {rows[i][3]} met it, {rows[i][5]}",
    )  # fmt: skip
    canvas.tabulate(("probe", "load", f"met {shown[0].term.text} (%)", "n", "n_eff", "decision", "state"), rows)


def _row(one: Shown) -> tuple[str, ...]:
    where = load(one.probe.load, one.probe.step.mode)
    n_eff = "" if one.term.n_eff is None else digits(one.term.n_eff)
    kept = f"{100 * one.share:.4g}"
    return f"{one.probe.step.number}", where, kept, f"{one.term.n:,}", n_eff, one.probe.decision, one.probe.state


def _shown(answer: Answer) -> list[Shown]:
    text = tried.limiting(answer)
    return [
        Shown(one.probe, one.term, one.term.share)
        for one in tried.tried(answer)
        if one.term is not None and one.term.share is not None and one.probe.step.mode == answer.mode
        and one.probe.step.kind != "base" and text
    ]  # fmt: skip


def _note(shown: list[Shown]) -> str:
    words = {"pass": "● pass", "fail": "▼ fail", "undecided": "◆ undecided"}
    there = [word for decision, word in words.items() if any(one.probe.decision == decision for one in shown)]
    hollow = ["hollow: no steady run"] if any(one.probe.state != "steady" for one in shown) else []
    fit = ["line: the fit through all probes"]
    return " · ".join([*there, *hollow, "bigger: more requests", "bars: 95 %", *fit])


def _y_axis(axes: Axes, shown: list[Shown]) -> tuple[float, float]:
    """The logit scale between the least share and the greatest; its ends, in logits."""
    most = max(one.term.n for one in shown)
    needed = shown[0].term.needed or 0.95
    low = min(_logit(one.share, one.term.n) for one in shown)
    high = max(_logit(1.0, most) if one.share == 1 else _logit(one.share, most) for one in shown)
    low, high = min(low, float(_logit(needed, 10**9)) - 1.2), max(high, float(_logit(needed, 10**9)) + 1.2)
    room = 0.07 * (high - low)
    axes.set_ylim(low - room, high + room)
    spots: list[tuple[float, str]] = []
    if any(one.share == 1 for one in shown):
        spots.append((_logit(1.0, most), "100"))
    promised = _logit(needed, 10**9)
    spots.append((promised, f"{100 * needed:g}"))
    apart = LEAST_APART * (high - low + 2 * room)
    for tick in TICKS:
        at = _logit(tick / 100, 10**9)
        if low - room <= at <= high + room and all(abs(at - other) >= apart for other, _ in spots):
            spots.append((at, f"{tick:g}"))
    names = dict(spots)
    axes.yaxis.set_major_locator(FixedLocator(sorted(names)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: names.get(value, "")))
    axes.yaxis.set_minor_locator(NullLocator())
    return low - room, high + room


def _logit(share: float, n: int) -> float:
    """Of a share; all of n, and none, stand half a request from the end."""
    clipped = min(max(share, 0.5 / max(n, 1)), 1 - 0.5 / max(n, 1))
    return math.log(clipped / (1 - clipped))


def _promised(axes: Axes, answer: Answer, term: Term) -> None:
    if term.needed is None:
        return
    at = _logit(term.needed, 10**9)
    axes.axhline(at, color=INK, lw=1.1, ls=(0, (5, 3)), zorder=1)
    right = answer.value is not None and answer.value > math.sqrt(math.prod(axes.get_xlim()))
    axes.annotate(
        f"objective: {100 * term.needed:g} %", (0 if right else 1, at), (4 if right else -4, 3), size=8, color=INK,
        xycoords=("axes fraction", "data"), textcoords="offset points", ha="left" if right else "right", va="bottom",
    )  # fmt: skip


def _capacity(axes: Axes, answer: Answer) -> None:
    """The band of the interval, and the number above it."""
    left, right = axes.get_xlim()
    if answer.lo and answer.hi:
        axes.axvspan(max(left, answer.lo), min(right, answer.hi), color=SKY, alpha=0.25, lw=0, zorder=0)
    if not answer.value:
        return
    axes.axvline(answer.value, color=INK, lw=1.2, zorder=1)
    place = math.log(answer.value / left) / math.log(right / left)
    hi = None if answer.limited_by in {"most", "client", "quota"} else answer.hi
    lo = answer.lo if hi is not None else None
    unit = "/s" if answer.mode == "rate" else " users"
    number = told(Figure(answer.value, lo, hi), unit, whole=answer.mode == "concurrency")
    bound = "at least " if answer.limited_by in {"most", "client"} else ""
    side = "left" if place < 0.3 else "right" if place > 0.7 else "center"
    axes.text(
        place, 1.035, f"capacity {bound}{number}", transform=axes.transAxes, ha=side, va="bottom", size=9,
        weight="bold", color=INK,
    )  # fmt: skip


def _fitted(axes: Axes, answer: Answer, low: float, high: float) -> None:
    if answer.crossing is None or answer.crossing.load <= 0:
        return
    left, right = axes.get_xlim()
    ends = max(left, answer.crossing.load / BESIDE), min(right, answer.crossing.load * BESIDE)
    loads: NDArray[np.float64] = np.geomspace(*ends, 60)
    shares = np.clip(answer.crossing.share(loads), 1e-12, 1 - 1e-12)
    logits = np.log(shares / (1 - shares))
    inside = (logits >= low) & (logits <= high)
    axes.plot(loads[inside], logits[inside], color=SKY, lw=2.2, zorder=2)


def _probes(axes: Axes, shown: list[Shown]) -> None:
    most = max(one.term.n for one in shown)
    for one in shown:
        mark, colour = MARKS[one.probe.decision]
        steady = one.probe.state == "steady"
        at = _logit(one.share, one.term.n) if one.share < 1 else _logit(1.0, most)
        lo, hi = stats.wilson(one.share * one.term.n_eff, one.term.n_eff) if one.term.n_eff else (one.share, one.share)
        ends = [min(at, _logit(lo, 10**9)), max(at, _logit(hi, most))]
        axes.plot([one.probe.load] * 2, ends, color=colour, lw=1.0, alpha=0.55, zorder=3, clip_on=True)
        axes.scatter(
            [one.probe.load], [at], s=max(18.0, BIG * one.term.n / most), marker=mark, zorder=4,
            facecolors=colour if steady else "white", edgecolors="white" if steady else colour, linewidths=0.9,
            alpha=0.9,
        )  # fmt: skip


def _alt(answer: Answer, shown: list[Shown]) -> str:
    unit = "/s" if answer.mode == "rate" else " users"
    each = ", ".join(f"{one.probe.load:.4g}{unit} {100 * one.share:.4g} % ({one.probe.decision})" for one in shown)
    where = "none" if answer.value is None else f"{answer.value:.4g}{unit}"
    return f"Share of requests that met {shown[0].term.text} at {len(shown)} probes: {each}. Capacity: {where}."
