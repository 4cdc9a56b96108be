"""Every two sides by every metric that is ranked: the ratio with its interval, the margin, and what follows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from analysis.charts.frame import BLUE, GREY, INK, ORANGE, PALE, drawn, log_ticks
from analysis.charts.sides import note, short
from analysis.compare.lines import harm_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from analysis.charts.frame import Canvas, Chart
    from analysis.compare.standing import Order, Pair

ROW: Final = 0.235
"""Inches of a line."""
HEAD: Final = 0.27
MOST: Final = 36
"""Pairs in the chart; of more those of the first side of each metric are shown."""
WIDEST: Final = 12.0
"""Ratio beyond which an interval is cut off at the edge, with an arrow."""
LEFT: Final = 2.1
RIGHT: Final = 2.0


class Line(NamedTuple):
    """A line of the chart: a metric's name, or a pair of one."""

    height: float
    order: Order
    pair: Pair | None


def chart(orders: Sequence[Order], footer: str) -> Chart:
    """
    The forest plot.

    Args:
        orders: Each metric with its pairs.
        footer: The small print.
    """
    return drawn("pairs", lambda canvas: draw(canvas, orders), footer)


def draw(canvas: Canvas, orders: Sequence[Order]) -> None:
    """Chart 12: B / A of every pair, 1 in the middle; shares, which may be 0, by their difference in a panel below."""
    title = "Differences between sides"
    known = [(order, _pairs(order, orders)) for order in orders]
    ratios = [(order, pairs) for order, pairs in known if pairs and pairs[0].line.scale == "ratio"]
    shares = [(order, pairs) for order, pairs in known if pairs and pairs[0].line.scale == "difference"]
    if not ratios and not shares:
        canvas.say(title, "No two sides have a comparable number.")
        return
    panels = [(some, _inches(some)) for some in (ratios, shares) if some]
    height = 0.8 + sum(inches + 0.62 for _, inches in panels) + 0.25
    canvas.frame(title, height)
    top = 0.8
    for some, inches in panels:
        axes = canvas.figure.add_axes(canvas.box(height, LEFT, RIGHT, top, height - top - inches))
        _panel(canvas, axes, some)
        top += inches + 0.62
    hidden = sum(len(order.pairs) for order in orders) - sum(len(pairs) for _, pairs in known)
    more = f"{hidden:,} more pairs not drawn" if hidden else ""
    note(canvas, ["point: B / A, line: 95 %", "shaded: within the margin", "p: Holm over the pairs of a metric", more])
    canvas.tabulate(
        ("metric", "A", "B", "B / A", "95 %", "p", "verdict"), [row for o, ps in known for row in _rows(o, ps)]
    )
    found = [f"{_short(order)}: {_verdict(pair)}" for order, pairs in known for pair in pairs if _sure(pair)]
    canvas.alt = (
        f"Ratios of {sum(len(pairs) for _, pairs in known)} pairs. "
        + ("; ".join(found[:12]) or "None is certain")
        + "."
    )


def _pairs(order: Order, orders: Sequence[Order]) -> list[Pair]:
    """The pairs of a metric that have an interval; where all would be too many, those of the first side."""
    mine = [pair for pair in order.pairs if pair.line.lo is not None and pair.line.hi is not None]
    if not mine or sum(len(one.pairs) for one in orders) <= MOST:
        return mine
    first = order.standings[0].name
    return [pair for pair in mine if first in {pair.a, pair.b}][: max(2, MOST // len(orders))]


def _inches(some: Sequence[tuple[Order, list[Pair]]]) -> float:
    return sum(HEAD + ROW * len(pairs) for _, pairs in some)


def _panel(canvas: Canvas, axes: Axes, some: Sequence[tuple[Order, list[Pair]]]) -> None:
    inches = _inches(some)
    axes.set_ylim(0, inches)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False, axis="y")
    is_ratio = some[0][1][0].line.scale == "ratio"
    _scale(axes, [pair for _, pairs in some for pair in pairs], is_ratio=is_ratio)
    y = inches
    for order, pairs in some:
        y -= HEAD
        axes.annotate(
            _short(order), (0, y + HEAD / 2 - 0.03), (-8, 0), xycoords=("axes fraction", "data"), size=8.5,
            textcoords="offset points", ha="right", va="center", weight="bold", annotation_clip=False,
        )  # fmt: skip
        _margin(axes, pairs[0], y, ROW * len(pairs), is_ratio=is_ratio)
        for pair in pairs:
            y -= ROW
            _line(canvas, axes, pair, y + ROW / 2)


def _scale(axes: Axes, pairs: Sequence[Pair], *, is_ratio: bool) -> None:
    """Symmetric about no difference, wide enough for every interval and margin."""
    ends = [end for pair in pairs for end in (pair.line.lo, pair.line.hi) if end is not None]
    axes.set_xlabel("B / A (ratio, log scale)" if is_ratio else "B - A (points)")
    if not is_ratio:
        reach = 1.1 * max(abs(100 * end) for end in [*ends, *(pair.line.margin for pair in pairs)])
        axes.set_xlim(-reach, reach)
        axes.axvline(0, color=INK, lw=1.0)
        return
    reach = min(WIDEST, 1.04 * max([math.exp(abs(math.log(end))) for end in ends if end > 0] + [1.15]))
    axes.set_xscale("log")
    axes.set_xlim(1 / reach, reach)
    above = [at for at in log_ticks(1.0, reach) if at > 1.001]
    chosen = above[:: max(1, math.ceil(len(above) / 3))]
    axes.xaxis.set_major_locator(FixedLocator([*(1 / at for at in chosen[::-1]), 1.0, *chosen]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axes.axvline(1, color=INK, lw=1.0)


def _margin(axes: Axes, pair: Pair, y: float, height: float, *, is_ratio: bool) -> None:
    margin = pair.line.margin
    low, high = (1 / (1 + margin), 1 + margin) if is_ratio else (-100 * margin, 100 * margin)
    axes.fill_betweenx([y - height, y], low, high, color=PALE, lw=0, zorder=0)


def _line(canvas: Canvas, axes: Axes, pair: Pair, y: float) -> None:
    """A pair's name, point, interval, and what follows."""
    line, factor = pair.line, 1.0 if pair.line.scale == "ratio" else 100.0
    assert line.effect is not None
    assert line.lo is not None
    assert line.hi is not None
    colour = _colour(pair)
    low, high = axes.get_xlim()
    ends = [min(max(factor * end, low), high) for end in (line.lo, line.hi)]
    axes.plot(ends, [y, y], color=colour, lw=1.5, solid_capstyle="butt")
    for end, shown, sign in ((line.lo, ends[0], "<"), (line.hi, ends[1], ">")):
        axes.plot(shown, y, "|" if factor * end == shown else sign, color=colour, ms=5)
    inside = low <= factor * line.effect <= high
    if inside:
        axes.plot(factor * line.effect, y, "o", color=colour, ms=5.2, mfc=colour if _sure(pair) else "white", mew=1.2)
    sides = (
        f"{short(pair.b, 14)} / {short(pair.a, 14)}" if factor == 1 else f"{short(pair.b, 14)} - {short(pair.a, 14)}"
    )
    for text, at, offset, align, ink in ((sides, 0, -8, "right", INK), (_verdict(pair), 1, 8, "left", colour)):
        axes.annotate(
            text, (at, y), (offset, 0), xycoords=("axes fraction", "data"), textcoords="offset points", ha=align,
            va="center", size=8, color=ink if ink != GREY else INK, annotation_clip=False,
        )  # fmt: skip
    canvas.tell(axes, sides, [min(max(factor * line.effect, low), high)], [y], text=lambda _: _words(pair))


def _sure(pair: Pair) -> bool:
    return pair.relation in {"better", "worse"}


def _colour(pair: Pair) -> str:
    """Blue where B is surely better, orange where it is surely worse, grey where nobody knows."""
    return {"worse": BLUE, "better": ORANGE}.get(pair.relation, GREY)


def _verdict(pair: Pair) -> str:
    """What follows, with a sign that needs no colour."""
    p = "" if pair.p is None else f", p {'< 0.0001' if pair.p < 0.0001 else f'{pair.p:.2g}'}"
    harm = harm_of(pair.line, pair.line.effect) or 0.0
    better = short(pair.a if harm > 0 else pair.b, 12)
    words = {
        "better": f"▼ {short(pair.a, 12)} better", "worse": f"▲ {short(pair.b, 12)} better", "alike": "= within margin",
        "slight": f"~ {better}, slightly", "open": "? not distinguishable", "none": "not ranked",
    }  # fmt: skip
    return words[pair.relation] + (p if pair.relation in {"better", "worse", "slight", "open"} else "")


def _words(pair: Pair) -> str:
    effect, around = _numbers(pair)
    what = f"{pair.b} / {pair.a}" if pair.line.scale == "ratio" else f"{pair.b} - {pair.a}"
    return f"{pair.line.label} {pair.line.place.what}, {what}: {effect} {around}, {_verdict(pair)[2:]}"


def _numbers(pair: Pair) -> tuple[str, str]:
    line = pair.line
    if line.scale == "difference":
        told = [f"{100 * (value or 0):+.2f} points" for value in (line.effect, line.lo, line.hi)]
    else:
        told = [f"{value or 0:.3f}" for value in (line.effect, line.lo, line.hi)]
    return told[0], f"[{told[1]}, {told[2]}]"


def _rows(order: Order, pairs: Sequence[Pair]) -> list[tuple[str, ...]]:
    return [
        (order.label, pair.a, pair.b, *_numbers(pair), "" if pair.p is None else f"{pair.p:.2g}", _verdict(pair)[2:])
        for pair in pairs
    ]


def _short(order: Order) -> str:
    return "cost of 1,000 good" if order.metric.name == "cost_per_1k_good" else order.label
