"""Much for one user against much for all: each steady load of each arm, and the frontier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from analysis.capacity import pareto as choices
from analysis.capacity import sweep
from analysis.charts.frame import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, SKY
from analysis.charts.levels import shown
from analysis.charts.swept import note

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from analysis.capacity.curve import Curve
    from analysis.capacity.pareto import Trade
    from analysis.charts.frame import Canvas

STYLES: Final = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), (PURPLE, "D"), (SKY, "v"), (INK, "P"), (GREY, "X"))
SIDES: Final = ((1, 1), (-1, -1), (-1, 1), (1, -1))
HEIGHT: Final = 4.6


def pareto(canvas: Canvas, arms: Mapping[str, Curve]) -> None:
    """Chart 5: tokens per second of one user and of all, labelled with the load."""
    title = "Speed for one user against total output"
    every = choices.trades(arms)
    if not every:
        canvas.say(title, "No steady load has both a speed for one user and a total output in tokens.")
        return
    axes = canvas.axes(title, HEIGHT, top=0.72, right=0.4)
    faded = "faded: another load gives more of both" if any(not one.is_frontier for one in every) else ""
    note(canvas, ["crosses: 95 % over runs, for loads with several", faded])
    slowest = min(one.user.lo or one.user.value for one in every)
    fastest = max(one.user.hi or one.user.value for one in every)
    axes.set_xlim(0.8 * slowest if slowest > fastest / 2 else 0, 1.1 * fastest)
    axes.set_ylim(0, 1.12 * max(one.total.hi or one.total.value for one in every))
    best = choices.frontier(every)
    axes.plot([one.user.value for one in best], [one.total.value for one in best], color=GREY, lw=1.0, ls=(0, (4, 3)))
    styles = dict(zip(arms, STYLES, strict=False))
    shown = [one for one in every if one.arm in styles]
    for one in shown:
        _draw(axes, one, styles[one.arm])
    _label(axes, shown, arms, styles)
    if len(arms) > 1:
        _names(axes, arms)
    axes.set(xlabel="one user (output tokens/s, median)", ylabel="all together (output tokens/s)")
    _tell(canvas, axes, every, arms)
    told = ", ".join(sweep.trade(one, arms[one.arm].mode) for one in best)
    canvas.alt = f"{len(every)} loads by output tokens/s of one user and of all; on the frontier: {told}."


def _tell(canvas: Canvas, axes: Axes, every: Sequence[Trade], arms: Mapping[str, Curve]) -> None:
    """Each load under the pointer and in the table, also those whose label found no room."""
    loads = [sweep.load(one.load, arms[one.arm].mode) for one in every]
    named = [f"{one.arm}, {load}" if len(arms) > 1 else load for one, load in zip(every, loads, strict=True)]
    cells = [(shown(one.user), shown(one.total)) for one in every]
    canvas.tell(
        axes, "", [one.user.value for one in every], [one.total.value for one in every],
        text=lambda i: f"{named[i]}: {cells[i][0]} tokens/s for one user, {cells[i][1]} for all",
    )  # fmt: skip
    rows = [
        (one.arm, load, *cell, "frontier" if one.is_frontier else "dominated")
        for one, load, cell in zip(every, loads, cells, strict=True)
    ]
    canvas.tabulate(("arm", "load", "one user (output tokens/s)", "all together (output tokens/s)", ""), rows)


def _draw(axes: Axes, one: Trade, style: tuple[str, str]) -> None:
    """A load's mark with the cross of its intervals."""
    colour, mark = style
    strength = 1.0 if one.is_frontier else 0.35
    for across, up in _cross(one):
        axes.plot(across, up, color=colour, lw=1.0, alpha=0.6 * strength)
    axes.plot(one.user.value, one.total.value, mark, color=colour, ms=6, mec="white", mew=0.7, alpha=strength)


def _label(
    axes: Axes, every: Sequence[Trade], arms: Mapping[str, Curve], styles: Mapping[str, tuple[str, str]]
) -> None:
    """
    Each mark's load beside it, where no other mark or label is: the frontier first.

    A dominated load for which no side is free stays without.
    """
    points = [axes.transData.transform((one.user.value, one.total.value)) * 72 / axes.figure.dpi for one in every]
    taken = [(float(x) - 4, float(y) - 4, float(x) + 4, float(y) + 4) for x, y in points]
    for (x, y), one in sorted(zip(points, every, strict=True), key=lambda pair: not pair[1].is_frontier):
        text = sweep.load(one.load, arms[one.arm].mode)
        free = [side for side in SIDES if not any(_meet(_box(x, y, text, side), other) for other in taken)]
        if not free and not one.is_frontier:
            continue
        side = free[0] if free else SIDES[0]
        taken.append(_box(x, y, text, side))
        axes.annotate(
            text, (one.user.value, one.total.value), (5 * side[0], 5 * side[1]), textcoords="offset points", size=7.5,
            color=styles[one.arm][0], alpha=1.0 if one.is_frontier else 0.6,
            ha="left" if side[0] > 0 else "right", va="bottom" if side[1] > 0 else "top",
        )  # fmt: skip


def _box(x: float, y: float, text: str, side: tuple[int, int]) -> tuple[float, float, float, float]:
    """Left, bottom, right and top of a label in points, by the usual width of a digit."""
    wide, high = 4.4 * len(text), 9.0
    left = x + 5 if side[0] > 0 else x - 5 - wide
    low = y + 4 if side[1] > 0 else y - 4 - high
    return left, low, left + wide, low + high


def _meet(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _cross(one: Trade) -> list[tuple[list[float], list[float]]]:
    found = []
    if one.user.lo is not None and one.user.hi is not None:
        found.append(([one.user.lo, one.user.hi], [one.total.value] * 2))
    if one.total.lo is not None and one.total.hi is not None:
        found.append(([one.user.value] * 2, [one.total.lo, one.total.hi]))
    return found


def _names(axes: Axes, arms: Mapping[str, Curve]) -> None:
    """Which colour is which arm, in the upper right corner, where the frontier never is."""
    for place, (name, (colour, mark)) in enumerate(zip(arms, STYLES, strict=False)):
        up = 0.96 - 0.06 * place
        axes.plot(0.97, up, mark, color=colour, ms=6, transform=axes.transAxes)
        short = name if len(name) <= 24 else f"{name[:23]}…"
        axes.text(0.95, up, short, color=colour, transform=axes.transAxes, ha="right", va="center", size=8.5)
