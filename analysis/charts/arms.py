"""Several sides in one chart: how long they take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.ticker import FixedLocator, NullLocator

from analysis import stats
from analysis.charts import runs, taxonomy
from analysis.charts.frame import GREY, INK, axis, drawn, log_axis, ms
from analysis.charts.sides import name_ends, note, pooled, rest, short, spread, styled
from analysis.places import percentile
from analysis.units import NONE, digits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from analysis.charts.frame import Canvas, Chart
    from analysis.charts.sides import Curve, Seen

    Array = NDArray[np.float64]

GRID: Final = 160
SEEN: Final = 0.02
"""Share of a latency by which another one differs visibly."""
MARKED: Final = (0.5, 0.95, 0.99)
TOLD: Final = (0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
"""Percentiles of the table behind."""


def charts(seen: Sequence[Seen], limits: Sequence[tuple[float, float]], footer: str) -> list[Chart]:
    """
    The charts of sides that need no test.

    Args:
        seen: Each side, in the order that gives it its colour.
        limits: What TTFT was promised: share of the requests (0 where none is named) and limit, seconds.
        footer: The small print.
    """
    return [
        drawn("ttft", lambda canvas: ecdf(canvas, seen, limits), footer),
        drawn("percentiles", lambda canvas: percentiles(canvas, seen), footer),
        drawn("failures", lambda canvas: taxonomy.draw(canvas, seen), footer),
        drawn("runs", lambda canvas: runs.draw(canvas, seen), footer),
    ]


# Distributions.


def ecdf(canvas: Canvas, seen: Sequence[Seen], limits: Sequence[tuple[float, float]]) -> None:
    """Chart 1: the share of streamed answers whose first token came within a time, a line a side, a thin one a run."""
    title = "Time to first token"
    some = [one for one in seen if any(run.n for run in one.ttft)]
    if not some:
        canvas.say(title, "No streamed answer completed, so there is no time to first token.")
        return
    axes = canvas.axes(title, 4.4, top=0.72, right=1.75)
    styles = styled([one.name for one in seen])
    shown = [one for one in some if one.name in styles]
    whole = {one.name: pooled(one.ttft) for one in shown}
    low, high = (f([curve.values[end] for curve in whole.values()]) for f, end in ((min, 0), (max, -1)))
    bound = [limit for _, limit in limits if limit < 20 * high]
    log_axis(axes, "x", 1000 * max(low, 1e-6), 1000 * max([high, *bound]))
    axes.set(xlabel=axis("ttft_s", log=True), ylabel="share of requests", ylim=(0, 1.02))
    for one in shown:
        _distribution(canvas, axes, one, whole[one.name], styles[one.name][:2])
    for p, limit in limits:
        if limit in bound:
            _limit(axes, limit, p)
    _names(axes, [(one.name, whole[one.name], styles[one.name][0]) for one in shown])
    many = max(len(one.ttft) for one in shown)
    band = "band: 95 % over runs (t)" if many > 2 else "band: 95 % of this run (DKW)" if many == 1 else ""
    note(
        canvas,
        [f"thick: all runs pooled{', thin: each run' if many > 1 else ''}", band, rest([one.name for one in some])],
    )
    _tabulate(canvas, {one.name: pooled(one.ttft) for one in some})
    canvas.alt = "Time to first token: " + "; ".join(f"{one.name} {_told(whole[one.name])}" for one in shown) + "."


def _distribution(canvas: Canvas, axes: Axes, one: Seen, whole: Curve, style: tuple[str, object]) -> None:
    colour, dash = style
    if len(one.ttft) > 1:
        for run in one.ttft:
            axes.plot(1000 * run.values, run.shares, color=colour, lw=0.6, alpha=0.3)
    ps = np.linspace(0.02, 0.98, GRID)
    factors = spread(one.ttft, ps)
    if factors is not None:
        x = 1000 * whole.at(ps)
        axes.fill_betweenx(ps, x * factors[0], x * factors[1], color=colour, alpha=0.15, lw=0)
    elif len(one.ttft) == 1:
        half = stats.dkw_halfwidth(whole.n)
        low, high = (np.clip(whole.shares + sign * half, 0, 1) for sign in (-1, 1))
        axes.fill_between(1000 * whole.values, low, high, step="post", color=colour, alpha=0.13, lw=0)
    axes.step(1000 * whole.values, whole.shares, where="post", color=colour, ls=dash)
    canvas.tell(axes, one.name, 1000 * whole.values, whole.shares)
    for p in _supported(whole.n):
        axes.plot(1000 * float(whole.at(np.array(p))), p, "o", color=colour, ms=4.5, mec="white", mew=0.9)


def _supported(n: int) -> list[float]:
    return [p for p in MARKED if n >= stats.least_count(p)]


def _limit(axes: Axes, limit: float, p: float) -> None:
    axes.axvline(1000 * limit, color=INK, lw=1.0, ls=(0, (2, 2)))
    if p:
        axes.plot(1000 * limit, p, marker=4, color=INK, ms=7)
    words = f"objective: {percentile(p)} < {ms(limit)} " if p else f"objective: {ms(limit)} "
    axes.annotate(words, (1000 * limit, 0.03), size=7.5, color=INK, ha="right", va="bottom", rotation=0)


def _names(axes: Axes, sides: Sequence[tuple[str, Curve, str]]) -> None:
    """Right of the axes each side with its percentiles, the fastest on top."""
    axes.text(1.02, 0.99, "p50 / p95 / p99, ms", size=7.5, color=GREY, transform=axes.transAxes, va="top")
    for place, (name, curve, colour) in enumerate(sorted(sides, key=lambda side: float(side[1].at(np.array(0.5))))):
        values = [digits(1000 * float(curve.at(np.array(p)))) if p in _supported(curve.n) else NONE for p in MARKED]
        up = 0.91 - 0.125 * place
        axes.text(1.02, up, short(name), size=8.5, color=colour, weight="bold", transform=axes.transAxes, va="top")
        axes.text(1.02, up - 0.055, " / ".join(values), size=8, color=colour, transform=axes.transAxes, va="top")


def _tabulate(canvas: Canvas, curves: Mapping[str, Curve]) -> None:
    """A row a side, those that are not drawn among them: the percentiles that its requests say something about."""
    rows = []
    for name, curve in curves.items():
        known = [float(1000 * curve.at(np.array(p))) if curve.n >= stats.least_count(p) else None for p in TOLD]
        rows.append((name, f"{curve.n:,}", *(NONE if value is None else digits(value) for value in known)))
    canvas.tabulate(("side", "requests", *(f"{percentile(p)} (ms)" for p in TOLD)), rows)


def _told(curve: Curve) -> str:
    told = [f"{percentile(p)} {ms(float(curve.at(np.array(p))))}" for p in _supported(curve.n)]
    return f"{', '.join(told)} (n {curve.n:,})"


def percentiles(canvas: Canvas, seen: Sequence[Seen]) -> None:
    """Chart 2: latency against 1 / (1 - p), grey beyond what the requests say something about."""
    title = "Latency by percentile"
    styles = styled([one.name for one in seen])
    shown = [(one, pooled(one.latency)) for one in seen if one.name in styles and any(run.n for run in one.latency)]
    if not shown:
        canvas.say(title, "No request was answered in full, so there is no latency.")
        return
    axes = canvas.axes(title, 4.3, top=0.72, right=1.4)
    most = max(curve.n for _, curve in shown)
    _percentile_axis(axes, most)
    values = [curve.at(np.array([0.5, 1.0])) for _, curve in shown]
    log_axis(axes, "y", 900 * max(min(v[0] for v in values), 1e-6), 1000 * max(v[1] for v in values))
    axes.set_ylabel(axis("latency_s", log=True))
    ends = [_tail(canvas, axes, one.name, curve, styles[one.name]) for one, curve in shown]
    waited = [_from_send(axes, curve, pooled(one.served), styles[one.name][0]) for one, curve in shown]
    name_ends(axes, ends)
    words = ["from schedule, all runs pooled", "grey: too few requests"]
    beside = "thin: from send" if any(waited) else "from send: the same"
    note(canvas, [*words, beside, rest([one.name for one in seen])])
    _tabulate(canvas, {one.name: pooled(one.latency) for one in seen})
    canvas.alt = "Latency: " + "; ".join(f"{one.name} {_told(curve)}" for one, curve in shown) + "."


def _percentile_axis(axes: Axes, most: int) -> None:
    ticks = {2: "p50", 4: "p75", 10: "p90", 20: "p95", 100: "p99", 1000: "p99.9", 10_000: "p99.99"}
    shown = [at for at in ticks if at <= max(most, 2) * 1.01]
    axes.set_xscale("log")
    axes.set_xlim(2, max(most, 3) * 1.05)
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([ticks[at] for at in shown])
    axes.set_xlabel("percentile, spaced as 1 / (1 - p)")


def _tail(
    canvas: Canvas, axes: Axes, name: str, curve: Curve, style: tuple[str, object, str]
) -> tuple[float, float, str, str]:
    """A side's line, and where its name belongs."""
    colour, dash, _ = style
    top = stats.highest_supported(curve.n, 0.999)
    ps = 1 - 1 / np.geomspace(2, max(curve.n, 3), GRID)
    x, y = 1 / (1 - ps), 1000 * curve.at(ps)
    sure = ps <= top + 1e-9
    axes.plot(x, y, color=GREY, lw=1.1, alpha=0.6, ls=dash)
    axes.plot(x[sure], y[sure], color=colour, ls=dash)
    told = percentile
    canvas.tell(
        axes, name, x[sure], y[sure], text=lambda i: f"{name}: {told(round(float(ps[i]), 4))} {digits(float(y[i]))} ms"
    )
    return axes.get_xlim()[1], float(y[-1]), short(name), colour


def _from_send(axes: Axes, scheduled: Curve, sent: Curve, colour: str) -> bool:
    """The service time beside it, where waiting to be sent made a difference that can be seen."""
    if not sent.n:
        return False
    ps = 1 - 1 / np.geomspace(2, 1 / (1 - stats.highest_supported(sent.n, 0.999)), GRID)
    served = sent.at(ps)
    if np.all(np.abs(scheduled.at(ps) - served) <= SEEN * served):
        return False
    axes.plot(1 / (1 - ps), 1000 * served, color=colour, lw=0.9, alpha=0.75)
    return True
