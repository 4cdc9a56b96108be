"""Charts of how long requests take: TTFT's distribution, latency by percentile, TTFT by prompt length."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from matplotlib.ticker import FixedLocator, NullLocator

from analysis import stats
from analysis.charts import ecdf
from analysis.charts.frame import BLUE, GREY, ORANGE, PALE, axis, label_end, log_axis, ms
from analysis.checks.rule import percentile, unscheduled
from analysis.derived import is_ok, is_stream
from analysis.rundir import numbers
from analysis.units import NONE, digits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from analysis.charts.frame import Canvas
    from analysis.rundir import Run
    from analysis.summary import Summary

    Array = NDArray[np.float64]

SCHEDULED: Final = "from schedule"
SENT: Final = "from send"
SIDES: Final = {SCHEDULED: "latency_s", SENT: "latency_from_send_s"}
BAND: Final = 24
"""Percentiles that a band is drawn through."""
VECTOR: Final = 400
"""Points drawn one by one; more become one picture."""
DOTS: Final = 2000
"""Points, at most; quantiles are of all."""
SHOWN: Final = (0.5, 0.95)
"""Of a bucket of prompts."""


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
        return f"No streamed answer was requested, so there is no {what}."
    if not is_ok(rows).any():
        return f"None of the {len(rows):,} requests was answered in full, so there is no {what}."
    return f"No streamed answer completed, so there is no {what}."


def ttft_ecdf(canvas: Canvas, run: Run, summary: Summary) -> None:
    """Chart 1: the share of requests whose first token came within a time, with a 95 % band, and what was promised."""
    title = "Time to first token"
    arrived = np.maximum(_answers(run, summary, "ttft_s"), 1e-6)
    if not arrived.size:
        canvas.say(title, _none(run, summary, "time to first token"))
        return
    values_ms = 1000 * np.sort(arrived)
    every = stats.quantiles(arrived, ecdf.TOLD)
    span = ecdf.span(values_ms, ecdf.limits(run, summary, "ttft"))
    promised = span.near
    axes = canvas.axes(title, 4.2 + ecdf.room(promised), top=0.55 + ecdf.room(promised))
    log_axis(axes, "x", span.low, span.high)
    axes.set_xlabel(axis("ttft_s", log=True))
    ecdf.draw(canvas, axes, values_ms, every[ecdf.TOLD.index(0.5)].n_eff, "answers")
    ecdf.promise(axes, promised)
    ecdf.note(axes, span.far)
    found = [q for q in every if q.p in ecdf.MARKED and q.value is not None]
    ecdf.mark(axes, found)
    ecdf.tabulate(canvas, every, axis("ttft_s"))
    told = ", ".join(f"{percentile(q.p)} {ms(q.value or 0)}" for q in found)
    promises = "".join(f"; {one.text} {one.verdict}" for one in (*promised, *span.far) if one.verdict)
    canvas.alt = f"Distribution of the time to first token of {values_ms.size:,} streamed answers: {told}{promises}."


# Latency by percentile.


def percentiles(canvas: Canvas, run: Run, summary: Summary) -> None:
    """Chart 2: latency against 1 / (1 - p), from the schedule and from the send, with 95 % bands."""
    stream = bool(_answers(run, summary, "latency_s").size)
    kind = "streamed answers" if stream else "whole answers"
    every = {side: _answers(run, summary, column, stream) for side, column in SIDES.items()}
    # Of an imported run whose file keeps no schedule both are counted from the send.
    sides = {side: values for side, values in every.items() if side != SCHEDULED or not unscheduled(run)}
    arrived = next(iter(sides.values()))
    if not arrived.size:
        canvas.say("Latency by percentile", _none(run, summary, "latency").replace("streamed answer", "answer"))
        return
    axes = canvas.axes(f"Latency by percentile, {kind}", right=1.35)
    n = arrived.size
    top = stats.highest_supported(n, 0.999)
    axes.set(xlabel="percentile, spaced as 1 / (1 - p)", ylabel=axis("latency_s"))
    axes.set_ylim(0, 1080 * max(float(side.max()) for side in sides.values()) or 1.0)
    _percentile_axis(axes, n)
    _draw_percentiles(canvas, axes, sides, top)
    known = [stats.quantiles(side, ecdf.TOLD) for side in sides.values()]
    rows = [
        (percentile(p), *(_with_interval(one) for one in beside))
        for p, *beside in zip(ecdf.TOLD, *known, strict=True)
        if beside[0].value is not None
    ]
    canvas.tabulate(("percentile", *(f"{side} (ms)" for side in sides)), rows)
    told = ", ".join(f"{percentile(p)} {ms(float(np.quantile(arrived, p)))}" for p in dict.fromkeys((0.5, top)))
    canvas.alt = (
        f"Latency of {n:,} {kind} by percentile: {told} {next(iter(sides))}; nothing certain beyond {percentile(top)}."
    )


def _percentile_axis(axes: Axes, n: int) -> None:
    ticks = {1: "p0", 2: "p50", 4: "p75", 10: "p90", 20: "p95", 100: "p99", 1000: "p99.9", 10_000: "p99.99"}
    shown = [at for at in ticks if at <= max(n, 2) * 1.01]
    if len(shown) > 7:
        shown = [at for at in shown if ticks[at] not in {"p75", "p95"}]
    axes.set_xscale("log")
    axes.set_xlim(1, max(n, 2) * 1.05)
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([ticks[at] for at in shown])


def _with_interval(q: stats.Quantile) -> str:
    return NONE if q.value is None else f"{digits(1000 * q.value)} {ecdf.interval(q)}".removesuffix(f" {NONE}")


def _draw_percentiles(canvas: Canvas, axes: Axes, sides: dict[str, Array], top: float) -> None:
    ends = {}
    for name, arrived in sides.items():
        colour, style = (BLUE, "-") if name == SCHEDULED else (ORANGE, (0, (4, 2)))
        values, n = np.sort(arrived), arrived.size
        keep = ecdf.thin(n)
        x, y = n / (n - keep), 1000 * values[keep]
        sure = x <= 1 / (1 - top)
        axes.plot(x, y, color=GREY, alpha=0.55, lw=1.2, ls=style)
        axes.plot(x[sure], y[sure], color=colour, ls=style, marker="o" if n < 3 else "", ms=5, clip_on=n > 2)
        _band(canvas, axes, arrived, top, name, colour)
        ends[name] = (x[-1], y[-1])
    edge, right = 1 / (1 - top), max(x for x, _ in ends.values()) * 1.05
    if edge < right:
        axes.axvspan(edge, right, color=PALE, alpha=0.5, lw=0)
        axes.text(
            right, 0.02, f"beyond {percentile(top)}: too few requests ", size=7.5, color=GREY,
            transform=axes.get_xaxis_transform(), ha="right", va="bottom",
        )  # fmt: skip
    (x, sent), scheduled = ends[SENT], ends.get(SCHEDULED, (0.0, np.inf))[1]
    close = abs(scheduled - sent) < 0.05 * max(scheduled, 1e-9)
    label_end(axes, (x, sent), SENT, ORANGE, dy=-6 if close else 0)
    if SCHEDULED in ends:
        label_end(axes, (x, scheduled), SCHEDULED, BLUE, dy=6 if close else 0)


def _band(canvas: Canvas, axes: Axes, arrived: Array, top: float, name: str, colour: str) -> None:
    """The 95 % interval of each percentile by order statistics, up to the highest that the requests support."""
    at = np.geomspace(1.02, 1 / (1 - top), BAND)
    found = stats.quantiles(arrived, tuple(float(1 - 1 / one) for one in at))
    value, low, high = (_ms([getattr(q, end) for q in found]) for end in ("value", "lo", "hi"))
    axes.fill_between(at, low, high, where=np.isfinite(low + high), color=colour, alpha=0.13, lw=0)
    canvas.tell(
        axes, name, at, value, band=(low, high),
        text=lambda i: f"{percentile(round(found[i].p, 4))} {name}: {_with_interval(found[i])} ms",
    )  # fmt: skip


def _ms(values: Sequence[float | None]) -> Array:
    return np.array([np.nan if value is None else 1000 * value for value in values])


# TTFT by prompt length.


def by_prompt(canvas: Canvas, run: Run, summary: Summary) -> None:
    """Chart 15: TTFT against prompt tokens, p50 and p95 by bucket with their intervals."""
    title = "Time to first token by prompt length"
    rows = summary.window.rows(run.requests)
    tokens, ttft = numbers(rows, "input_tokens"), numbers(rows, "ttft_s")
    known = is_ok(rows) & is_stream(rows) & (tokens > 0) & (ttft > 0)
    if not known.any():
        told = is_ok(rows) & is_stream(rows) & (ttft > 0)
        words = "The answers do not report the prompts' token counts." if told.any() else None
        canvas.say(title, words or _none(run, summary, "time to first token"))
        return
    x, y = tokens[known], 1000 * ttft[known]
    axes = canvas.axes(title, right=0.75)
    log_axis(axes, "x", x.min(), x.max())
    log_axis(axes, "y", y.min(), y.max())
    every = -(-x.size // DOTS)
    size = 3.2 if x.size > 30 else 5
    axes.plot(x[::every], y[::every], "o", color=GREY, alpha=0.35, ms=size, mew=0, rasterized=x.size > VECTOR)
    if every > 1:
        words = f"drawn: 1 answer in {every:,}"
        axes.text(0.01, 1.01, words, transform=axes.transAxes, size=7.5, color=GREY, va="bottom")
    axes.set(xlabel="prompt (tokens, log scale)", ylabel=axis("ttft_s", log=True))
    _draw_buckets(canvas, axes, _by_bucket(x, ttft[known]))
    canvas.tell(axes, "", x, y, text=lambda i: f"prompt of {x[i]:,.0f} tokens: TTFT {ms(y[i] / 1000)}")
    canvas.alt = (
        f"TTFT of {x.size:,} streamed answers against their prompts of {x.min():,.0f} to {x.max():,.0f} tokens; "
        f"correlation of the logarithms {_correlation(x, y)}."
    )


class Bucket(NamedTuple):
    """Prompts of like lengths: from and to how many tokens, their geometric mean, and the TTFT of their answers."""

    low: float
    high: float
    at: float
    n: int
    quantiles: tuple[stats.Quantile, ...]


def _by_bucket(x: Array, ttft_s: Array) -> list[Bucket]:
    """Requests by the length of their prompts; a quantile only where a bucket has enough of them for it."""
    found = []
    for low, high in pairwise(_buckets(x)):
        inside = (x >= low) & (x < high)
        mine = x[inside]
        at = float(np.exp(np.mean(np.log(mine))))
        found.append(Bucket(mine.min(), mine.max(), at, mine.size, stats.quantiles(ttft_s[inside], SHOWN)))
    return found


def _draw_buckets(canvas: Canvas, axes: Axes, buckets: list[Bucket]) -> None:
    for place, colour in enumerate((BLUE, ORANGE)):
        points = [(one.at, one.quantiles[place]) for one in buckets]
        points = [(at, q) for at, q in points if q.value is not None and q.n >= stats.least_count(q.p)]
        if not points:
            continue
        at = np.array([at for at, _ in points])
        value, low, high = (_ms([getattr(q, end) for _, q in points]) for end in ("value", "lo", "hi"))
        axes.plot(at, value, "o-", color=colour, ms=4.5, mec="white", mew=0.8)
        axes.vlines(at, np.where(np.isnan(low), value, low), np.where(np.isnan(high), value, high), colour, lw=1.1)
        label_end(axes, (at[-1], value[-1]), f" {percentile(SHOWN[place])}", colour)
        canvas.tell(axes, percentile(SHOWN[place]), at, value, band=(low, high))
    rows = [
        (f"{one.low:,.0f} to {one.high:,.0f}", f"{one.n:,}", *map(_with_interval, one.quantiles)) for one in buckets
    ]
    names = [f"{percentile(p)} of {axis('ttft_s')}" for p in SHOWN]
    canvas.tabulate(("prompt (tokens)", "answers", *names), rows)


def _buckets(x: Array) -> Array:
    """Edges of up to 8 buckets of like many requests, 20 and more in each if there are that many."""
    count = int(np.clip(x.size // 20, 1, 8))
    edges = np.unique(np.quantile(x, np.linspace(0, 1, count + 1)))
    return np.append(edges[:-1], x.max() + 1) if edges.size > 1 else np.array([x.min(), x.max() + 1])


def _correlation(x: Array, y: Array) -> str:
    if x.size < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return "undefined"
    return f"{np.corrcoef(np.log(x), np.log(y))[0, 1]:.2f}"
