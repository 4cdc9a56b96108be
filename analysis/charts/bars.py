"""Capacities of several deployments as bars, each with its interval and the part that is kept free."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from analysis.charts.frame import BLUE, GREY, INK, WIDTH, drawn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from analysis.capacity.meaning import Meaning
    from analysis.charts.frame import Canvas, Chart

ROW: Final = 0.56
"""Inches of a deployment."""
LONGEST: Final = 22
MOST: Final = 24
"""Bars; of more the first are shown."""


def chart(rows: Sequence[Meaning], footer: str) -> Chart:
    """
    Deployments side by side.

    Args:
        rows: As they are to stand, the first on top.
        footer: The small print.
    """
    return drawn("capacities", lambda canvas: draw(canvas, rows), footer)


def draw(canvas: Canvas, rows: Sequence[Meaning]) -> None:
    """Requests per second of one machine; hatched what is kept free at the peak."""
    title = "Capacity side by side"
    known = [one for one in rows if one.carried is not None][:MOST]
    if not known:
        canvas.say(title, "No deployment has a capacity.")
        return
    height = 1.75 + ROW * len(known)
    axes = canvas.axes(title, height, left=1.85, right=0.5, top=0.75)
    small = "per machine · light: kept free at the peak · lines: 95 % · arrow: ended before its limit"
    canvas.figure.text(0.15 / WIDTH, 1 - 0.47 / height, small, size=7.5, color=GREY, va="center")
    for place, one in enumerate(known):
        _bar(axes, one, len(known) - 1 - place)
    ends = [one.carried.per_s.hi or one.carried.per_s.value for one in known if one.carried]
    axes.set_xlim(0, 1.36 * max(ends))
    axes.set_ylim(-0.6, len(known) - 0.4)
    axes.set_yticks(range(len(known)), [_name(one) for one in known[::-1]])
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("requests/s that meet the objectives")
    _tell(canvas, axes, known)
    canvas.alt = "; ".join(f"{_name(one)} {_shown(one)}" for one in known) + "."


def _tell(canvas: Canvas, axes: Axes, known: Sequence[Meaning]) -> None:
    ends = [one.carried.per_s.value for one in known if one.carried is not None]
    kept = [100 * one.asked.headroom for one in known]
    canvas.tell(
        axes, "", ends, [len(known) - 1 - place for place in range(len(known))],
        text=lambda i: f"{_name(known[i])}: {_shown(known[i])}, {kept[i]:g} % of it kept free",
    )  # fmt: skip
    rows = [(_name(one), _shown(one), f"{free:g} %") for one, free in zip(known, kept, strict=True)]
    canvas.tabulate(("deployment", "requests/s that meet the objectives", "kept free"), rows)


def _bar(axes: Axes, one: Meaning, y: int) -> None:
    assert one.carried is not None
    figure, free = one.carried.per_s, one.asked.headroom
    axes.barh(y, figure.value * (1 - free), height=0.5, color=BLUE, lw=0)
    axes.barh(y, figure.value * free, left=figure.value * (1 - free), height=0.5, color=BLUE, alpha=0.35, lw=0)
    lo = figure.value if figure.lo is None else figure.lo
    hi = figure.value if figure.hi is None else figure.hi
    if one.carried.bound:
        axes.plot(figure.value, y, ">", color=INK, ms=6)
    elif hi > lo:
        axes.plot([lo, hi], [y, y], color=INK, lw=1.3, marker="|", ms=8, mew=1.3)
    axes.annotate(
        _shown(one), (max(hi, figure.value), y), (8, 0), textcoords="offset points", va="center", size=8.5, color=INK
    )


def _shown(one: Meaning) -> str:
    assert one.carried is not None
    return f"{one.carried.shown(one.carried.per_s)}/s"


def _name(one: Meaning) -> str:
    name = f"{one.arm or 'server'}{', users' if one.answer.mode == 'concurrency' else ''}"
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
