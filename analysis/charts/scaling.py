"""Throughput against requests in flight, with Gunther's law through it and what it leaves over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.ticker import MaxNLocator

from analysis.capacity import sweep, usl
from analysis.charts import swept
from analysis.charts.frame import BLUE, GREY, ORANGE, SKY
from analysis.units import digits

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from analysis.capacity.curve import Curve
    from analysis.capacity.usl import Scaling
    from analysis.charts.frame import Canvas

HEIGHT: Final = 5.0
MAIN: Final = 2.5
REST: Final = 0.8
TOP: Final = 0.72


def scaling(canvas: Canvas, curve: Curve, of: str = "") -> None:
    """The law with its band over the runs that it was fitted to, and the residual of each load."""
    title = f"Throughput against requests in flight{of}"
    found = usl.scaling(curve)
    if isinstance(found, str):
        canvas.say(title, f"No law can be fitted: {found}.")
        return
    canvas.frame(title, HEIGHT)
    swept.note(canvas, _note(curve, found))
    axes = canvas.figure.add_axes(canvas.box(HEIGHT, right=0.95, top=TOP, bottom=HEIGHT - TOP - MAIN))
    _main(axes, curve, found)
    below = canvas.figure.add_axes(
        canvas.box(HEIGHT, right=0.95, top=TOP + MAIN + 0.16, bottom=HEIGHT - TOP - MAIN - 0.16 - REST)
    )
    _rest(below, found)
    below.set_xlim(axes.get_xlim())
    axes.tick_params(labelbottom=False)
    below.set_xlabel(
        "requests in flight, mean" + (" (users)" if curve.mode == "concurrency" else " (open loop, by Little's law)")
    )
    _tell(canvas, axes, found)
    canvas.alt = _alt(found)


def _tell(canvas: Canvas, axes: Axes, found: Scaling) -> None:
    """The loads and what the law says of them."""
    at = [one.in_flight for one in found.residuals]
    achieved = [one.achieved_per_s for one in found.residuals]
    laws = [f"{100 * one.share:+.1f} %" for one in found.residuals]
    canvas.tell(
        axes,
        "",
        at,
        achieved,
        text=lambda i: f"{digits(achieved[i])}/s with {digits(at[i])} in flight: {laws[i]} off the law",
    )
    rows = [(digits(n), digits(x), law) for n, x, law in zip(at, achieved, laws, strict=True)]
    canvas.tabulate(("in flight, mean", "achieved (requests/s)", "off the law by"), rows)


def _note(curve: Curve, found: Scaling) -> list[str]:
    fit = f"X(N) = g N / (1 + a (N - 1) + b N (N - 1)): g {digits(found.g)}/s, a {digits(found.a)}, b {digits(found.b)}"
    left = ", ".join(sweep.figure(level.load) for level in curve.levels if not level.is_steady)
    return [fit, "band: 95 %", f"not steady, left out: {left}" if left else ""]


def _main(axes: Axes, curve: Curve, found: Scaling) -> None:
    n, x, low, high = np.array(found.band).T
    sure = found.shape != "steps"
    axes.fill_between(n, low, high, color=SKY, alpha=0.3, lw=0)
    axes.plot(n, x, color=BLUE if sure else GREY, ls="-" if sure else (0, (4, 3)))
    for level in curve.steady:
        for point in level.used:
            if point.achieved_per_s is not None and (at := usl.in_flight(point)) > 0:
                axes.plot(at, point.achieved_per_s, "o", color=BLUE, ms=3, mew=0, alpha=0.6)
    for one in found.residuals:
        axes.plot(one.in_flight, one.achieved_per_s, "o", color=BLUE, ms=5, mec="white", mew=0.7)
    axes.set_xlim(0, 1.05 * float(n[-1]))
    axes.set_ylim(0, 1.12 * max(float(high.max()), *(one.achieved_per_s for one in found.residuals)))
    if found.peak is not None and sure:
        axes.axvline(found.peak, color=GREY, lw=1.0, ls=":")
        axes.annotate(
            f"peak at {digits(found.peak)} in flight", (found.peak, 0.04), (-4, 0), size=7.5, color=GREY,
            xycoords=("data", "axes fraction"), textcoords="offset points", ha="right",
        )  # fmt: skip
    axes.text(
        0.02, 0.97, _verdict(found), transform=axes.transAxes, size=8, color=ORANGE if not sure else GREY, va="top"
    )
    swept.name_lines(axes, [("Gunther's law", float(x[-1]), BLUE if sure else GREY)], MAIN)
    axes.set_ylabel("achieved (requests/s)")


def _verdict(found: Scaling) -> str:
    return {
        "close": f"within {digits(100 * found.worst)} %",
        "random": f"within {digits(100 * found.worst)} %, no more than runs vary",
        "unknown": f"up to {digits(100 * found.worst)} % off: more runs a load would show if the law fits",
        "steps": "saturates in steps: read the points, not the curve",
    }[found.shape]


def _rest(axes: Axes, found: Scaling) -> None:
    at = [one.in_flight for one in found.residuals]
    shares = [100 * one.share for one in found.residuals]
    axes.axhline(0, color=GREY, lw=1.0)
    axes.vlines(at, 0, shares, color=BLUE, lw=1.2)
    axes.plot(at, shares, "o", color=BLUE, ms=4, mec="white", mew=0.6)
    most = max(1.0, 1.25 * max(abs(share) for share in shares))
    axes.set_ylim(-most, most)
    axes.yaxis.set_major_locator(MaxNLocator(4, symmetric=True))
    axes.set_ylabel("off by (%)", fontsize=8.5)


def _alt(found: Scaling) -> str:
    told = f"Throughput of {len(found.residuals)} steady loads up to {digits(found.most)} in flight with Gunther's law"
    if found.shape == "steps":
        return f"{told}: {_verdict(found)}."
    top = "no peak within reach" if found.peak is None else f"peak at {digits(found.peak)} in flight"
    return f"{told}: {_verdict(found)}; {top}."
