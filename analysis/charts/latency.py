"""Charts of how long requests take: TTFT's distribution, latency by percentile, TTFT by prompt length."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.ticker import FixedLocator, NullLocator

from analysis import stats
from analysis.charts.frame import BLUE, GREY, ORANGE, PALE, axis, label_end, log_axis, ms
from analysis.checks.rule import percentile
from analysis.derived import is_ok, is_stream
from analysis.runs import numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from analysis.charts.frame import Canvas
    from analysis.runs import Run
    from analysis.summary import Summary

    Array = NDArray[np.float64]

POINTS: Final = 1500
"""The most points a line is drawn with: more than there are pixels."""


def _answers(run: Run, summary: Summary, column: str, stream: bool = True) -> Array:
    """A column of the window's full answers of one kind, null left out, order of arrival."""
    rows = summary.window.rows(run.requests)
    values = numbers(rows, column)[is_ok(rows) & (is_stream(rows) == stream)]
    return np.asarray(values[~np.isnan(values)])


def _none(run: Run, summary: Summary, what: str) -> str:
    """Why there is nothing to draw."""
    rows = summary.window.rows(run.requests)
    if rows.empty:
        return "No request was measured."
    if not is_stream(rows).any():
        return f"No streamed answer was asked for, so there is no {what}."
    if not is_ok(rows).any():
        return f"None of the {len(rows):,} requests was answered in full, so there is no {what}."
    return f"No streamed answer came in full, so there is no {what}."


def ttft_ecdf(canvas: Canvas, run: Run, summary: Summary) -> None:
    """Chart 1: the share of requests whose first token came within a time, with a 95 % band (DKW)."""
    title = "Time to first token"
    arrived = np.maximum(_answers(run, summary, "ttft_s"), 1e-6)
    values = np.sort(arrived)
    if not values.size:
        canvas.say(title, _none(run, summary, "time to first token"))
        return
    axes = canvas.axes(title)
    share = np.arange(1, values.size + 1) / values.size
    half = stats.dkw_halfwidth(values.size)
    keep = _thin(values.size)
    x, y = 1000 * values[keep], share[keep]
    axes.fill_between(x, np.clip(y - half, 0, 1), np.clip(y + half, 0, 1), step="post", color=BLUE, alpha=0.13, lw=0)
    axes.step(x, y, where="post", color=BLUE)
    log_axis(axes, "x", 1000 * values[0], 1000 * values[-1])
    axes.set(xlabel=axis("ttft_s", log=True), ylabel="share of requests", ylim=(0, 1.02))
    found = [q for q in stats.quantiles(arrived, (0.5, 0.95, 0.99)) if q.value is not None]
    for q in found:
        _mark_quantile(axes, q)
    axes.text(
        0.99, 0.03, "band: 95 % for the whole curve (DKW)", transform=axes.transAxes, ha="right", size=7.5, color=GREY
    )
    told = ", ".join(f"{percentile(q.p)} {ms(q.value or 0)}" for q in found)
    canvas.alt = f"Distribution of the time to first token of {values.size:,} streamed answers: {told}."


def _mark_quantile(axes: Axes, q: stats.Quantile) -> None:
    assert q.value is not None
    x = 1000 * q.value
    axes.plot([x], [q.p], "o", color=BLUE, ms=5, mec="white", mew=1)
    # The right side below the curve is free; at the top p95 and p99 lie close, so p99 keeps more to its own height.
    place = (9, -8) if q.p == 0.99 else (9, -15)
    axes.annotate(
        f"{percentile(q.p)}  {ms(q.value)}", (x, q.p), place, textcoords="offset points", color=BLUE, size=8.5,
        ha="left", va="center",
    )  # fmt: skip


def _thin(n: int) -> NDArray[np.int64]:
    """Indices of at most POINTS of n sorted values, both ends and all of the tail's detail kept."""
    if n <= POINTS:
        return np.arange(n)
    body = np.linspace(0, n - 1, POINTS // 2)
    tail = n - np.geomspace(1, n, POINTS // 2)
    return np.unique(np.concatenate([body, tail]).astype(np.int64))


# Latency by percentile.


def percentiles(canvas: Canvas, run: Run, summary: Summary) -> None:
    """Chart 2: latency against 1 / (1 - p), from the schedule and from the send."""
    stream = bool(_answers(run, summary, "latency_s").size)
    kind = "streamed answers" if stream else "whole answers"
    title = f"Latency by percentile, {kind}"
    sides = [np.sort(_answers(run, summary, name, stream)) for name in ("latency_s", "latency_from_send_s")]
    if not sides[0].size:
        canvas.say("Latency by percentile", _none(run, summary, "latency").replace("streamed answer", "answer"))
        return
    axes = canvas.axes(title, right=1.35)
    n = sides[0].size
    top = stats.highest_supported(n, 0.999)
    _draw_percentiles(axes, sides, top)
    ticks = {1: "p0", 2: "p50", 4: "p75", 10: "p90", 20: "p95", 100: "p99", 1000: "p99.9", 10_000: "p99.99"}
    shown = [at for at in ticks if at <= max(n, 2) * 1.01]
    axes.set_xscale("log")
    axes.set_xlim(1, max(n, 2) * 1.05)
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([ticks[at] for at in shown])
    axes.set_ylim(0, 1080 * max(float(side[-1]) for side in sides) or 1.0)
    axes.set(xlabel="percentile, spaced as 1 / (1 - p)", ylabel=axis("latency_s"))
    told = ", ".join(f"{percentile(p)} {ms(float(np.quantile(sides[0], p)))}" for p in (0.5, top))
    canvas.alt = (
        f"Latency of {n:,} {kind} by percentile: {told} from the schedule; nothing certain beyond {percentile(top)}."
    )


def _draw_percentiles(axes: Axes, sides: list[Array], top: float) -> None:
    ends = []
    for values, colour, style in zip(sides, (BLUE, ORANGE), ("-", (0, (4, 2))), strict=True):
        n = values.size
        keep = _thin(n)
        x, y = n / (n - keep), 1000 * values[keep]
        sure = x <= 1 / (1 - top)
        axes.plot(x, y, color=GREY, alpha=0.55, lw=1.2, ls=style)
        axes.plot(x[sure], y[sure], color=colour, ls=style, marker="o" if n < 3 else "", ms=5)
        ends.append((x[-1], y[-1]))
    edge, right = 1 / (1 - top), max(x for x, _ in ends) * 1.05
    if edge < right:
        axes.axvspan(edge, right, color=PALE, alpha=0.5, lw=0)
        axes.text(
            right, 0.02, f"beyond {percentile(top)}: too few requests ", size=7.5, color=GREY,
            transform=axes.get_xaxis_transform(), ha="right", va="bottom",
        )  # fmt: skip
    (x, scheduled), (_, sent) = ends
    if abs(scheduled - sent) < 0.05 * max(scheduled, 1e-9):
        label_end(axes, (x, scheduled), "from schedule", BLUE, dy=6)
        label_end(axes, (x, scheduled), "from send", ORANGE, dy=-6)
    else:
        label_end(axes, (x, scheduled), "from schedule", BLUE)
        label_end(axes, (x, sent), "from send", ORANGE)


# TTFT by prompt length.


def by_prompt(canvas: Canvas, run: Run, summary: Summary) -> None:
    """Chart 6: TTFT against prompt tokens, p50 and p95 by bucket."""
    title = "Time to first token by prompt length"
    rows = summary.window.rows(run.requests)
    tokens, ttft = numbers(rows, "input_tokens"), numbers(rows, "ttft_s")
    known = is_ok(rows) & is_stream(rows) & (tokens > 0) & (ttft > 0)
    if not known.any():
        told = is_ok(rows) & is_stream(rows) & (ttft > 0)
        words = "The answers don't tell how many tokens the prompts had." if told.any() else None
        canvas.say(title, words or _none(run, summary, "time to first token"))
        return
    x, y = tokens[known], 1000 * ttft[known]
    axes = canvas.axes(title, right=0.75)
    axes.plot(x, y, "o", color=GREY, alpha=0.35, ms=3.2, mew=0, rasterized=x.size > 600)
    log_axis(axes, "x", x.min(), x.max())
    log_axis(axes, "y", y.min(), y.max())
    axes.set(xlabel="prompt (tokens, log scale)", ylabel=axis("ttft_s", log=True))
    for p, colour in ((0.5, BLUE), (0.95, ORANGE)):
        points = _by_bucket(x, y, p)
        if points:
            axes.plot(*zip(*points, strict=True), "o-", color=colour, ms=4.5, mec="white", mew=0.8)
            label_end(axes, points[-1], f" {percentile(p)}", colour)
    canvas.alt = (
        f"TTFT of {x.size:,} streamed answers against their prompts of {x.min():,.0f} to {x.max():,.0f} tokens; "
        f"correlation of the logarithms {_correlation(x, y)}."
    )


def _by_bucket(x: Array, y: Array, p: float) -> list[tuple[float, float]]:
    """A quantile per bucket at the bucket's geometric mean, where the bucket has enough requests for it."""
    points = []
    for low, high in pairwise(_buckets(x)):
        inside = (x >= low) & (x < high)
        (found,) = stats.quantiles(y[inside], (p,))
        if found.value is not None and found.n >= stats.least_count(p):
            points.append((float(np.exp(np.mean(np.log(x[inside])))), found.value))
    return points


def _buckets(x: Array) -> Array:
    """Edges of up to 8 buckets of like many requests, 20 and more in each if there are that many."""
    count = int(np.clip(x.size // 20, 1, 8))
    edges = np.unique(np.quantile(x, np.linspace(0, 1, count + 1)))
    return np.append(edges[:-1], x.max() + 1) if edges.size > 1 else np.array([x.min(), x.max() + 1])


def _correlation(x: Array, y: Array) -> str:
    if x.size < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return "not to be told"
    return f"{np.corrcoef(np.log(x), np.log(y))[0, 1]:.2f}"
