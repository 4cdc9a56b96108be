"""What good requests of each side cost against how long people wait for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from analysis.charts.frame import drawn, log_axis
from analysis.charts.sides import note, rest, short, styled
from analysis.units import digits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from analysis.charts.frame import Canvas, Chart
    from analysis.compare.standing import Standing

BIG: Final = 420.0
"""Area in points of the side with the greatest goodput."""
SMALL: Final = 26.0
BUBBLE: Final = 11.0
"""Points from the middle of a bubble to its edge, about."""
NOBODY: Final = "No side has prices, objectives and a p95."
PLACES: Final = ((0.0, 18.0), (0.0, -18.0), (16.0, 0.0), (-16.0, 0.0), (12.0, 30.0), (12.0, -30.0))
"""Where a name may stand from its bubble, in points, the first that is free."""


class Worth(NamedTuple):
    """
    One side.

    Attributes:
        cost: USD for 1,000 good requests.
        wait: TTFT p95, or that of latency where nothing was streamed, seconds.
        good: Goodput, per second; None where nothing was promised.
    """

    name: str
    cost: Standing
    wait: Standing
    good: float | None


def chart(sides: Sequence[Worth], names: Sequence[str], waits: str, prices: str, footer: str) -> Chart:
    """
    Cost against latency.

    Args:
        sides: Those whose prices are known.
        names: All sides, in the order that gives each its colour.
        waits: What the wait is called: `TTFT p95`.
        prices: Of which day they are.
        footer: The small print.
    """
    return drawn("cost", lambda canvas: draw(canvas, sides, names, waits, prices), footer)


def draw(canvas: Canvas, sides: Sequence[Worth], names: Sequence[str], waits: str, prices: str) -> None:
    """Chart 17: a bubble a side, its area the goodput, a cross for the intervals over runs."""
    title = "Cost of 1,000 good requests against latency"
    styles = styled(names)
    free = [one.name for one in sides if one.cost.value <= 0]
    shown = [one for one in sides if one.name in styles and one.name not in free]
    if not shown:
        words = f"Requests to {', '.join(free)} cost nothing." if free else NOBODY
        canvas.say(title, words)
        return
    axes = canvas.axes(title, 4.4, top=0.72, right=0.6)
    log_axis(axes, "x", 0.85 * min(_low(one.cost) for one in shown), 1.2 * max(_high(one.cost) for one in shown))
    log_axis(axes, "y", 850 * min(_low(one.wait) for one in shown), 1200 * max(_high(one.wait) for one in shown))
    axes.set_xlabel("USD for 1,000 good requests (log scale)")
    axes.set_ylabel(f"{waits} (ms, log scale)")
    most = max((one.good for one in shown if one.good), default=None)
    for one in shown:
        _bubble(canvas, axes, one, styles[one.name][0], most)
    _name(axes, shown, styles)
    size = "bubble: goodput" if most else ""
    nothing = f"at no cost: {', '.join(free)}" if free else ""
    note(canvas, ["lower left is better", size, "cross: 95 % over runs", prices, nothing, rest(names)])
    told = (f"{one.name} {digits(one.cost.value)} USD at {waits} {digits(1000 * one.wait.value)} ms" for one in shown)
    canvas.alt = f"Cost of 1,000 good requests against {waits}: {'; '.join(told)}."


def _low(one: Standing) -> float:
    return one.value if one.lo is None or one.lo <= 0 else one.lo


def _high(one: Standing) -> float:
    return one.value if one.hi is None else one.hi


def _bubble(canvas: Canvas, axes: Axes, one: Worth, colour: str, most: float | None) -> None:
    x, y = one.cost.value, 1000 * one.wait.value
    area = max(SMALL, BIG * (one.good or 0.0) / most) if most else 4 * SMALL
    axes.scatter([x], [y], s=area, color=colour, alpha=0.35, lw=0)
    axes.plot([x], [y], "o", color=colour, ms=4)
    axes.plot([_low(one.cost), _high(one.cost)], [y, y], color=colour, lw=1.1)
    axes.plot([x, x], [1000 * _low(one.wait), 1000 * _high(one.wait)], color=colour, lw=1.1)
    good = f", goodput {digits(one.good)}/s" if one.good is not None else ""
    words = f"{one.name}: {digits(x)} USD, {digits(y)} ms{good}"
    canvas.tell(axes, one.name, [x], [y], text=lambda _: words)


def _name(axes: Axes, shown: Sequence[Worth], styles: Mapping[str, tuple[str, object, str]]) -> None:
    """Names beside their bubbles, where neither a bubble nor another name is."""
    scale = 72 / axes.figure.dpi
    at = [axes.transData.transform((one.cost.value, 1000 * one.wait.value)) * scale for one in shown]
    taken = [(float(x) - BUBBLE, float(y) - BUBBLE, float(x) + BUBBLE, float(y) + BUBBLE) for x, y in at]
    for one, (x, y) in zip(shown, at, strict=True):
        text = short(one.name, 24)
        boxes = [(place, _box(float(x) + place[0], float(y) + place[1], text, place)) for place in PLACES]
        place, box = next((found for found in boxes if not any(_meet(found[1], other) for other in taken)), boxes[0])
        taken.append(box)
        axes.annotate(
            text, (one.cost.value, 1000 * one.wait.value), place, textcoords="offset points", size=9, weight="bold",
            color=styles[one.name][0], va="center", ha=_align(place), annotation_clip=False,
        )  # fmt: skip


def _align(place: tuple[float, float]) -> str:
    return "center" if not place[0] else "left" if place[0] > 0 else "right"


def _box(x: float, y: float, text: str, place: tuple[float, float]) -> tuple[float, float, float, float]:
    """Left, bottom, right and top of a name in points, by the usual width of a bold letter."""
    wide = 6.2 * len(text)
    left = x - wide / 2 if not place[0] else x if place[0] > 0 else x - wide
    return left, y - 6, left + wide, y + 6


def _meet(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
