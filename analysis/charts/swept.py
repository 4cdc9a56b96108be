"""What the charts of a sweep have in common: how means, runs and states are drawn, and the small print."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from matplotlib.ticker import FixedLocator, FuncFormatter

from analysis.capacity.curve import NAMES, standing
from analysis.capacity.sweep import figure
from analysis.charts.frame import GREY, WIDTH, label_end, log_axis
from analysis.units import digits

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes

    from analysis.capacity.curve import Curve, Level, Standing
    from analysis.capacity.point import Mode
    from analysis.charts.frame import Canvas

MARKS: Final[dict[Standing, str]] = {"unstable": "o", "failed": "D", "quota": "s", "client": "^", "invalid": "v"}
GLYPHS: Final[dict[Standing, str]] = {"unstable": "○", "failed": "◇", "quota": "□", "client": "△", "invalid": "▽"}
LOADS: Final[dict[Mode, str]] = {"rate": "offered load (requests/s", "concurrency": "users (maximum requests in flight"}
MODELS: Final[dict[Mode, str]] = {"rate": "open loop", "concurrency": "closed loop"}
APART: Final = 0.055
"""Of the axis' width: how far ticks have to be apart."""

NARROW: Final = 3.0
"""Times: a range below it makes much of small differences, and has no round ticks."""

LINE: Final = 0.17
"""Inches that the names of lines have to be apart."""


def footer(curves: Iterable[Curve], clock: str = "") -> str:
    """The small print: requests, runs, windows, how the load was made, clock."""
    every = list(curves)
    points = [point for curve in every for point in curve.points]
    lengths = sorted(point.length_s for point in points) or [0.0]
    loads = sum(len(curve.levels) for curve in every)
    windows = digits(lengths[0]) + (f" to {digits(lengths[-1])}" if lengths[-1] > 1.005 * lengths[0] else "")
    models = ", ".join(dict.fromkeys(MODELS[curve.mode] for curve in every))
    parts = [
        f"n = {sum(point.requests for point in points):,}", f"{len(points)} runs at {loads} loads",
        f"windows of {windows} s", models,
    ]  # fmt: skip
    verdicts = [point.verdict for point in points]
    parts += [f"{clock} clock"] if clock else []
    told = [f"{verdicts.count(one)} {one}" for one in ("valid", "doubtful", "invalid") if one in verdicts]
    return " · ".join([*parts, ", ".join(told)])


def note(canvas: Canvas, parts: Iterable[str]) -> None:
    """What the marks mean, in a line under the title."""
    height = canvas.figure.get_figheight()
    text = " · ".join(part for part in parts if part)
    canvas.figure.text(0.15 / WIDTH, 1 - 0.47 / height, text, size=7.5, color=GREY, va="center")


def marks(curves: Iterable[Curve]) -> list[str]:
    """What is drawn of each load, in words."""
    every = list(curves)
    states = {standing(point) for curve in every for point in curve.points}
    hollow = ", ".join(f"{GLYPHS[state]} {state}" for state in MARKS if state in states)
    several = any(len(level.used) > 1 for curve in every for level in curve.levels)
    parts = ["bars: 95 % over runs", "small: each run"] if several else ["one run a load"]
    return [*parts, f"hollow: {hollow}"] if hollow else parts


def x_axis(axes: Axes, curves: Sequence[Curve]) -> str:
    """The load, on a log scale over all of these curves, ticked where there were runs; what the axis is called."""
    loads = sorted({level.load for curve in curves for level in curve.levels})
    log_axis(axes, "x", loads[0], loads[-1])
    low, high = axes.get_xlim()
    ticks: list[float] = []
    for load in loads:
        if not ticks or math.log(load / ticks[-1]) > APART * math.log(high / low):
            ticks.append(load)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: figure(value)))
    return f"{LOADS[curves[0].mode]}, log scale)"


def y_axis(axes: Axes, found: Sequence[float]) -> None:
    """Milliseconds on a log scale over these seconds, with room for marks at the ends, and never a narrow range."""
    low, high = min(found) / 1.08, max(found) * 1.15
    wider = max(1.0, math.sqrt(NARROW * low / high))
    log_axis(axes, "y", 1000 * low / wider, 1000 * high * wider)


def draw(axes: Axes, curve: Curve, name: str, colour: str, factor: float = 1.0, style: Any = "-") -> None:
    """
    One number over the load: a line through the means of steady loads, their intervals, each run.

    Runs that are not steady are hollow and on no line.
    """
    levels = [level for level in curve.steady if name in level.numbers]
    means = [factor * level.numbers[name].value for level in levels]
    axes.plot([level.load for level in levels], means, color=colour, ls=style, marker="o", ms=4.5, mec="white", mew=0.7)
    for level in levels:
        number = level.numbers[name]
        if number.lo is not None and number.hi is not None:
            ends = [factor * number.lo, factor * number.hi]
            axes.plot([level.load] * 2, ends, color=colour, lw=1.0, alpha=0.9, marker="_", ms=5)
    for level in curve.levels:
        _runs(axes, level, name, colour, factor)


def _runs(axes: Axes, level: Level, name: str, colour: str, factor: float) -> None:
    """The runs of a load: those of a steady one small where there are several, all others hollow."""
    if level.is_steady and name not in level.numbers:
        return
    for point in level.points:
        value = NAMES[name](point)
        if value is None:
            continue
        state = standing(point)
        if state != "steady":
            axes.plot(level.load, factor * value, MARKS[state], mfc="none", mec=colour, ms=5, mew=1.0)
        elif len(level.points) > 1 or not level.is_steady:
            axes.plot(level.load, factor * value, "o", color=colour, ms=2.4, mew=0, alpha=0.55)


def values(curves: Iterable[Curve], *names: str) -> list[float]:
    """All that is drawn of some numbers: runs, means and the ends of intervals."""
    found: list[float | None] = []
    for curve in curves:
        for name in names:
            found += [NAMES[name](point) for point in curve.points]
            for level in curve.steady:
                number = level.numbers.get(name)
                found += [] if number is None else [number.value, number.lo, number.hi]
    return [value for value in found if value is not None]


def name_lines(axes: Axes, ends: Sequence[tuple[str, float, str]], inches: float) -> None:
    """Names of lines at the right edge, by the height of their ends, apart by a line of text."""
    to_fraction = axes.transData + axes.transAxes.inverted()
    right = axes.get_xlim()[1]
    spots = sorted((float(to_fraction.transform((right, end))[1]), name, colour) for name, end, colour in ends)
    least, low = LINE / inches, -1.0
    placed = []
    for spot, name, colour in spots:
        low = max(spot, low + least)
        placed.append((low, name, colour))
    over = max(0.0, placed[-1][0] - 1.0) if placed else 0.0
    back = axes.transAxes + axes.transData.inverted()
    for spot, name, colour in placed:
        label_end(axes, (right, float(back.transform((1.0, spot - over))[1])), name, colour)
