"""What comes back against what is asked for: answers, good answers, and the share that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from matplotlib.ticker import MaxNLocator

from analysis.capacity import sweep
from analysis.charts import levels, swept
from analysis.charts.frame import BLUE, GREEN, GREY, ORANGE
from analysis.charts.levels import Column
from analysis.units import digits

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from analysis.capacity.curve import Curve
    from analysis.charts.frame import Canvas

HEIGHT: Final = 5.0
MAIN: Final = 2.55
FAILED: Final = 0.75
TOP: Final = 0.72
SHOWN: Final = (
    Column("achieved_per_s", "achieved", "requests/s"),
    Column("goodput_per_s", "goodput", "requests/s"),
    Column("error_rate", "failed", "%", 100.0),
)


def offered(canvas: Canvas, curve: Curve, of: str = "") -> None:
    """Chart 4: achieved and good requests per second over the load, and errors below."""
    title = f"Achieved against {'offered load' if curve.mode == 'rate' else 'users'}{of}"
    if not swept.values([curve], "achieved_per_s"):
        canvas.say(title, "No run has a throughput.")
        return
    canvas.frame(title, HEIGHT)
    swept.note(canvas, swept.marks([curve]))
    box = canvas.box(HEIGHT, right=0.95, top=TOP, bottom=HEIGHT - TOP - MAIN)
    axes = canvas.figure.add_axes(box)
    most = max(level.load for level in curve.levels) * 1.05
    _main(axes, curve, most)
    below = canvas.figure.add_axes(
        canvas.box(HEIGHT, right=0.95, top=TOP + MAIN + 0.16, bottom=HEIGHT - TOP - MAIN - 0.16 - FAILED)
    )
    _failed(below, curve, most)
    below.set_xlabel(f"{swept.LOADS[curve.mode]})")
    axes.tick_params(labelbottom=False)
    some = SHOWN if curve.is_promised else (SHOWN[0], SHOWN[2])
    for place, column in zip((axes, axes, below) if curve.is_promised else (axes, below), some, strict=True):
        levels.point_out(canvas, place, curve, column)
    levels.tabulate(canvas, {curve.arm: curve}, some)
    canvas.alt = _alt(curve)


def _main(axes: Axes, curve: Curve, most: float) -> None:
    lines = [("achieved", "achieved_per_s", BLUE)]
    if curve.is_promised:
        lines.append(("goodput", "goodput_per_s", GREEN))
    axes.set_xlim(0, most)
    highest = max(swept.values([curve], *(name for _, name, _ in lines)))
    if curve.mode == "rate":
        highest = max(highest, most / 1.05)
        axes.plot([0, most], [0, most], color=GREY, lw=1.0, ls=(0, (4, 3)))
    axes.set_ylim(0, 1.08 * highest)
    ends = [("y = x", min(most, 1.08 * highest), GREY)] if curve.mode == "rate" else []
    for label, name, colour in lines:
        swept.draw(axes, curve, name, colour, style="-" if name == "achieved_per_s" else (0, (4, 1.5)))
        some = [level for level in curve.levels if name in level.numbers]
        if some:
            ends.append((label, some[-1].numbers[name].value, colour))
    _mark_peak(axes, curve)
    swept.name_lines(axes, ends, MAIN)
    axes.set_ylabel("requests/s")


def _mark_peak(axes: Axes, curve: Curve) -> None:
    top = curve.peak
    if top is None or not curve.is_promised:
        return
    value = top.numbers["goodput_per_s"].value
    axes.plot(top.load, value, "*", color=GREEN, ms=11, mec="white", mew=0.7)
    told = f"★ highest goodput {digits(value)}/s at {sweep.load(top.load, curve.mode)}"
    axes.text(0.02, 0.97, told, transform=axes.transAxes, size=8, color=GREEN, va="top")


def _failed(axes: Axes, curve: Curve, most: float) -> None:
    """Zero is a finding, so it is said."""
    axes.set_xlim(0, most)
    shares = swept.values([curve], "error_rate")
    highest = 100 * max(shares, default=0.0)
    axes.set_ylim(0, 1.15 * highest or 1.0)
    axes.yaxis.set_major_locator(MaxNLocator(2))
    axes.set_ylabel("failed (%)", fontsize=8.5)
    if highest == 0:
        axes.set_yticks([0])
        axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", va="center", color=GREY)
    else:
        swept.draw(axes, curve, "error_rate", ORANGE, 100.0)


def _alt(curve: Curve) -> str:
    some, numbers = curve.series("achieved_per_s")
    parts = []
    if some:
        where = f"{sweep.load(some[-1].load, curve.mode)}, the highest steady load"
        parts.append(f"{digits(numbers[-1].value)} requests/s achieved at {where}")
    if curve.peak is not None and curve.is_promised:
        value = curve.peak.numbers["goodput_per_s"].value
        parts.append(f"goodput highest at {sweep.load(curve.peak.load, curve.mode)} with {digits(value)}/s")
    parts.append(f"at most {digits(100 * max(swept.values([curve], 'error_rate'), default=0.0))} % failed")
    return "; ".join(parts) + "."
