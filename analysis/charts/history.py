"""Many runs over time: one panel a number, the means of its stretches, and where they change."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.ticker import MaxNLocator

from analysis.charts.frame import BLUE, GREEN, GREY, INK, ORANGE, drawn
from analysis.charts.values import ROWS
from analysis.replicates.spread import told, unit_of
from analysis.units import NONE, SHOWN_UNIT, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from analysis.charts.frame import Canvas, Chart
    from analysis.replicates.history import Course, History, Series, Step

    Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

PANEL: Final = 1.7
"""Inches of height."""

FACTOR: Final = {"s": 1000.0, "share": 100.0}
"""To the unit that people read."""

MOST: Final = 24
"""Panels; a taller chart nobody reads."""


def chart(history: History) -> Chart:
    """All numbers of all series, one panel each, the points of a series in order of time."""
    panels = [(series, course) for series in history.series for course in series.courses]
    runs = sum(len(point.runs) for series in history.series for point in series.points)
    shown = f", the first {MOST} of {len(panels)} panels" if len(panels) > MOST else ""
    footer = (
        f"{runs:,} runs; changes by E-divisive means and a t test, p < 0.001, {100 * history.least_effect:g} % or more"
    )
    return drawn("history", lambda canvas: _draw(canvas, panels[:MOST]), footer + shown)


def _draw(canvas: Canvas, panels: list[tuple[Series, Course]]) -> None:
    if not panels:
        canvas.say("History", "No run has a number to plot.")
        return
    height = 0.9 + PANEL * len(panels)
    canvas.frame("History: one point per run or label, in order of time", height)
    for place, (series, course) in enumerate(panels):
        top = 0.6 + PANEL * place
        box = canvas.box(height, top=top + 0.15, bottom=height - top - PANEL + 0.45)
        _panel(canvas, canvas.figure.add_axes(box), series, course)
    steps = [f"{course.place.words} at {step.label}" for _, course in panels for step in course.steps]
    canvas.tabulate(("series", "number", "point", "runs", "mean", "95 % interval", "change"), _rows(panels))
    canvas.alt = f"{len(panels)} numbers over time; changes: {', '.join(steps) or 'none'}."


def _panel(canvas: Canvas, axes: Axes, series: Series, course: Course) -> None:
    unit = unit_of(course.place)
    values = np.array([np.nan if value is None else value for value in course.values]) * FACTOR.get(unit, 1.0)
    at = np.arange(values.size)
    low, high = _ends(course) * FACTOR.get(unit, 1.0)
    axes.vlines(at, low, high, GREY, lw=1.2, alpha=0.7)
    axes.plot(at, values, ".", color=GREY, markersize=5)
    axes.set_ylabel(SHOWN_UNIT[unit])
    canvas.tell(
        axes, course.place.words, at, values, band=(low, high),
        text=lambda i: f"{series.points[i].label}: {course.place.words} {_told(course, i)} {SHOWN_UNIT[unit]}",
    )  # fmt: skip
    starts = [0, *(step.index for step in course.steps), values.size]
    for first, last in pairwise(starts):
        axes.plot([first, last - 1], [_level(values[first:last], course)] * 2, color=BLUE)
    axes.margins(y=0.28)  # the names of changes stand above the points
    for step in course.steps:
        _mark(axes, course, step.index, step.label)
    axes.set_title(f"{course.place.words} · {series.name}", fontsize=8.5, loc="left", color=INK)
    axes.set_ylim(bottom=0 if unit == "share" else None)
    axes.set_xlim(-0.5, values.size - 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(min(6, max(1, values.size)), integer=True))
    axes.xaxis.set_major_formatter(lambda at, _: _name(series, at))


def _ends(course: Course) -> Array:
    """Lower and upper ends of the points' intervals, base units, shape (2, n), NaN for none."""
    found = course.intervals or (None,) * len(course.values)
    return np.array([(np.nan, np.nan) if ends is None else ends for ends in found], dtype=np.float64).T


def _told(course: Course, i: int) -> str:
    """A point's mean, with its interval."""
    value, (low, high) = course.values[i], _ends(course)[:, i]
    unit = unit_of(course.place)
    if value is None:
        return NONE
    return shown(value, unit) + (f" [{shown(low, unit)}, {shown(high, unit)}]" if np.isfinite(low) else "")


def _rows(panels: list[tuple[Series, Course]]) -> list[tuple[str, ...]]:
    """A row for each point that has a number, the last ones of long series."""
    each = max(2, ROWS // len(panels))
    found: list[tuple[str, ...]] = []
    for series, course in panels:
        steps = {step.index: _size(course, step) for step in course.steps}
        there = [i for i, value in enumerate(course.values) if value is not None]
        for i in there[-each:]:
            mean, _, interval = _told(course, i).partition(" ")
            point, unit = series.points[i], SHOWN_UNIT[unit_of(course.place)]
            runs, change = f"{len(point.runs):,}", steps.get(i, "")
            found.append((
                series.name, course.place.words, point.label, runs, f"{mean} {unit}", interval or NONE, change or NONE
            ))  # fmt: skip
    return found


def _size(course: Course, step: Step) -> str:
    """How large a change was, where that can be said without a level of 0."""
    told_ = course.scale == "ratio" or unit_of(course.place) == "share"
    return told(step.size, course.scale, sign=True) if told_ else ""


def _level(values: np.ndarray[tuple[int], np.dtype[np.float64]], course: Course) -> float:
    known = values[~np.isnan(values)]
    if not known.size:
        return float("nan")
    return float(np.exp(np.log(known).mean()) if course.scale == "ratio" else known.mean())


def _mark(axes: Axes, course: Course, index: int, label: str) -> None:
    step = next(one for one in course.steps if one.index == index)
    colour = {True: ORANGE, False: GREEN, None: GREY}[step.worse]
    axes.axvline(index - 0.5, color=colour, linewidth=1, linestyle="--")
    axes.annotate(
        f"{label} {_size(course, step)}".strip(), (index - 0.5, 1), (3, -2), xycoords=("data", "axes fraction"),
        textcoords="offset points", va="top", size=7.5, color=colour,
    )  # fmt: skip


def _name(series: Series, at: float) -> str:
    place = round(at)
    if abs(at - place) > 1e-6 or not 0 <= place < len(series.points):
        return ""
    label = series.points[place].label
    return label if len(label) <= 18 else f"{label[:17]}…"
