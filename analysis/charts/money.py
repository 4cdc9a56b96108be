"""What good requests cost against how long people wait: each steady load of each deployment whose prices are known."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from analysis.capacity.money import HOUR_S
from analysis.capacity.sweep import load
from analysis.charts.frame import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, SKY, WIDTH, drawn, log_axis
from analysis.units import digits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from analysis.capacity.meaning import Meaning
    from analysis.capacity.point import Point
    from analysis.charts.frame import Canvas, Chart

HEIGHT: Final = 4.6
STYLES: Final = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), (PURPLE, "D"), (SKY, "v"), (INK, "P"))
BIG: Final = 240.0
"""Area in points of the load with the greatest goodput."""
BEYOND: Final = 1.3
"""Times the capacity, as far as loads are shown."""
APART: Final = 13.0
"""Points between two names."""


class Paid(NamedTuple):
    """
    One steady load.

    Attributes:
        per_1k_good: USD for 1,000 requests that kept every promise.
        p95_s: Of TTFT, or of latency where nothing was streamed.
    """

    load: str
    per_1k_good: float
    p95_s: float
    goodput_per_s: float
    is_best: bool


def chart(rows: Sequence[Meaning], footer: str) -> Chart:
    """
    Cost against latency.

    Args:
        rows: Deployments; those whose prices nobody knows are left out.
        footer: The small print.
    """
    return drawn("cost", lambda canvas: draw(canvas, rows), footer)


def is_known(one: Meaning) -> bool:
    """Whether a price was told, by the hour or by the token, and there is a load to put beside it."""
    return bool(paid(one))


def draw(canvas: Canvas, rows: Sequence[Meaning]) -> None:
    """A bubble a load, its area the goodput; that of the capacity is ringed."""
    title = "Cost of 1,000 good requests against latency"
    known = [(one, found) for one in rows if (found := paid(one))][: len(STYLES)]
    if not known:
        canvas.say(title, "No price is known, or no steady load has both goodput and a p95.")
        return
    axes = canvas.axes(title, HEIGHT, top=0.72, right=0.45)
    small = f"bubble: goodput · ringed: load nearest the capacity{_prices(rows)}"
    canvas.figure.text(0.15 / WIDTH, 1 - 0.47 / HEIGHT, small, size=7.5, color=GREY, va="center")
    every = [one for _, found in known for one in found]
    log_axis(axes, "x", 0.9 * min(one.per_1k_good for one in every), 1.1 * max(one.per_1k_good for one in every))
    log_axis(axes, "y", 900 * min(one.p95_s for one in every), 1150 * max(one.p95_s for one in every))
    most = max(one.goodput_per_s for one in every)
    names = []
    for (one, found), (colour, mark) in zip(known, STYLES, strict=False):
        _deployment(axes, found, colour, mark, most)
        best = next((paid for paid in found if paid.is_best), found[-1])
        names.append((best, f"{_short(one.arm)}{', ' if one.arm else ''}{best.load}", colour))
    _name(axes, names)
    streamed = any(one.answer.best and one.answer.best.ttft_s[1] is not None for one, _ in known)
    axes.set_xlabel("USD for 1,000 good requests (log scale)")
    axes.set_ylabel(f"{'TTFT' if streamed else 'latency'} p95 (ms, log scale)")
    for one, found in known:
        _tell(canvas, axes, one, found)
    told = [(one.arm or "server", *_row(paid)) for one, found in known for paid in found]
    canvas.tabulate(("deployment", "load", "USD for 1,000 good", "p95 (ms)", "goodput (requests/s)"), told)
    canvas.alt = "; ".join(_alt(one, found) for one, found in known) + "."


def _tell(canvas: Canvas, axes: Axes, one: Meaning, found: list[Paid]) -> None:
    name = f"{one.arm}, " if one.arm else ""
    rows = [_row(paid) for paid in found]
    canvas.tell(
        axes, one.arm, [paid.per_1k_good for paid in found], [1000 * paid.p95_s for paid in found],
        text=lambda i: f"{name}{rows[i][0]}: {rows[i][1]} USD for 1,000 good, p95 {rows[i][2]} ms, {rows[i][3]}/s good",
    )  # fmt: skip


def _row(paid: Paid) -> tuple[str, str, str, str]:
    return paid.load, f"{paid.per_1k_good:.3g}", digits(1000 * paid.p95_s), digits(paid.goodput_per_s)


def paid(one: Meaning) -> list[Paid]:
    """The steady loads of a deployment, ascending; of machines by the hour what they cost at each of them."""
    price = None if one.rent is None else one.rent.price_per_h
    most = math.inf if not one.answer.value else BEYOND * one.answer.value
    points = [p for probe in one.answer.probes for p in probe.points if p.mode == one.answer.mode]
    found = []
    for point in sorted(points, key=lambda point: point.load):
        good, p95 = point.goodput_per_s, _p95(point)
        cost = point.cost_per_1k_good
        if price is not None and good:
            cost = 1000 * price / HOUR_S / good
        if point.state == "steady" and good and p95 and cost and point.load <= most:
            found.append(Paid(load(point.load, point.mode), cost, p95, good, point is one.answer.best))
    return found


def _p95(point: Point) -> float | None:
    return point.ttft_s[1] if point.ttft_s[1] is not None else point.latency_s[1]


def _deployment(axes: Axes, found: list[Paid], colour: str, mark: str, most: float) -> None:
    axes.plot([p.per_1k_good for p in found], [1000 * p.p95_s for p in found], color=colour, lw=1.0, alpha=0.5)
    for one in found:
        x, y = [one.per_1k_good], [1000 * one.p95_s]
        area = max(14.0, BIG * one.goodput_per_s / most)
        axes.scatter(x, y, s=area, marker=mark, color=colour, alpha=0.55, lw=0)
        if one.is_best:
            axes.scatter(x, y, s=BIG * 1.5, marker="o", facecolors="none", edgecolors=INK, linewidths=1.2)


def _name(axes: Axes, names: Sequence[tuple[Paid, str, str]]) -> None:
    """Deployments beside their ringed load, from the bottom up, apart by a line of text."""
    last = -APART
    for best, text, colour in sorted(names, key=lambda name: name[0].p95_s):
        at = best.per_1k_good, 1000 * best.p95_s
        place = axes.transAxes.inverted().transform(axes.transData.transform(at))
        up = float(place[1]) * 72 * (HEIGHT - 0.72 - 0.95)
        last = max(up, last + APART)
        left = place[0] < 0.5
        axes.annotate(
            text, at, (15 if left else -15, last - up), textcoords="offset points", size=8, color=colour, va="center",
            ha="left" if left else "right", weight="bold", bbox={"fc": "white", "ec": "none", "alpha": 0.75, "pad": 1},
        )  # fmt: skip


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:23]}…"


def _prices(rows: Sequence[Meaning]) -> str:
    """Whose prices, and of when."""
    rents = dict.fromkeys(f"{one.rent.price_per_h:g} USD/h" for one in rows if one.rent is not None)
    read = dict.fromkeys(one.tokens.prices_read for one in rows if one.rent is None and one.tokens is not None)
    days = ", ".join(day for day in read if day)
    return "".join([
        f" · machines at {', '.join(rents)}" if rents else "", f" · token prices of {days}" if days else ""
    ])  # fmt: skip


def _alt(one: Meaning, found: list[Paid]) -> str:
    best = next((paid for paid in found if paid.is_best), found[-1])
    told = f"{best.per_1k_good:.3g} USD for 1,000 good requests with p95 {digits(1000 * best.p95_s)} ms"
    return f"{one.arm or 'server'}: {told} at {best.load}"
