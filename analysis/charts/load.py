"""Latency against load: percentiles of TTFT with small panels of TPOT and latency, promises, knee and capacity."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from analysis.capacity import knee, sweep
from analysis.charts import levels, offered, pareto, scaling, swept
from analysis.charts.frame import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, SKY, axis, drawn
from analysis.charts.levels import Column
from analysis.metrics import BY_NAME
from analysis.units import digits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from analysis.capacity.answer import Answer
    from analysis.capacity.curve import Curve
    from analysis.charts.frame import Canvas, Chart
    from analysis.objectives import Objective

COLOURS: Final = {"p50": BLUE, "p95": ORANGE, "p99": PURPLE}
PANELS: Final = {"ttft": 2.6, "tpot": 1.15, "latency": 1.3}
"""Inches of height of each metric's panel."""

ARMS: Final = (BLUE, ORANGE, GREEN, PURPLE, SKY, INK, GREY)
GAP: Final = 0.3
ROW: Final = 0.16
"""Inches between panels, and of a row of marks' names."""


def curves(
    arms: Mapping[str, Curve],
    objectives: Sequence[Objective] = (),
    answers: Mapping[str, Answer] | None = None,
    clock: str = "",
) -> list[Chart]:
    """
    The charts of a sweep: for each arm latency, throughput and scaling, then what the arms have together.

    Args:
        arms: Their curves, by the names they are to have.
        objectives: Terms whose limits are drawn.
        answers: Capacities to be marked, by the same names; one of the other mode than its curve is not.
        clock: That stamped the runs: `kernel` or `user`.
    """
    found: list[Chart] = []
    for place, (name, curve) in enumerate(arms.items()):
        of, ending = (f", {name}", f"-{place + 1}") if len(arms) > 1 else ("", "")
        marked = Marked(tuple(objectives), (answers or {}).get(name), _alike(arms, curve))
        small = swept.footer([curve], clock)
        found += [
            drawn(f"load{ending}", partial(latency, curve=curve, marked=marked, of=of), small),
            drawn(f"offered{ending}", partial(offered.offered, curve=curve, of=of), small),
            drawn(f"scaling{ending}", partial(scaling.scaling, curve=curve, of=of), small),
        ]
    small = swept.footer(arms.values(), clock)
    found.append(drawn("pareto", partial(pareto.pareto, arms=arms), small))
    if len(arms) > 1:
        found.append(drawn("arms", partial(together, arms=arms), small))
    return found


class Marked(NamedTuple):
    """What is drawn beside a curve: promises, a capacity, and the curves that share its axes."""

    objectives: tuple[Objective, ...]
    answer: Answer | None
    alike: list[Curve]


def _alike(arms: Mapping[str, Curve], curve: Curve) -> list[Curve]:
    return [other for other in arms.values() if other.mode == curve.mode]


def latency(canvas: Canvas, curve: Curve, marked: Marked, of: str = "") -> None:
    """Chart 3: what a request takes at each load."""
    title = f"Latency against load{of}"
    metrics = [
        metric for metric in PANELS if any(x > 0 for x in swept.values([curve], f"{metric}_p50_s", f"{metric}_p95_s"))
    ]
    if not metrics:
        canvas.say(title, "No run has a latency.")
        return
    rules = _rules(curve, marked)
    top, bottom = 0.84 + ROW * len(rules), 0.95
    height = top + bottom + sum(PANELS[metric] + GAP for metric in metrics) - GAP
    canvas.frame(title, height)
    swept.note(canvas, swept.marks([curve]))
    for place, metric in enumerate(metrics):
        axes = canvas.figure.add_axes(
            canvas.box(height, right=0.55, top=top, bottom=height - top - PANELS[metric])
        )  # fmt: skip
        _panel(axes, curve, marked, metric)
        for name in COLOURS:
            levels.point_out(canvas, axes, curve, column(metric, name))
        _draw_rules(axes, rules, PANELS[metric], named=place == 0)
        axes.tick_params(labelbottom=metric == metrics[-1])
        top += PANELS[metric] + GAP
    axes.set_xlabel(swept.x_axis(axes, marked.alike))
    levels.tabulate(canvas, {curve.arm: curve}, [column(metric, name) for metric in metrics for name in COLOURS])
    canvas.alt = _alt(curve, marked)


def column(metric: str, p: str) -> Column:
    """A percentile of a metric, in ms."""
    return Column(f"{metric}_{p}_s", f"{BY_NAME[f'{metric}_s'].label} {p}", "ms", 1000.0)


def _panel(axes: Axes, curve: Curve, marked: Marked, metric: str) -> None:
    """One metric's percentiles, on axes that all arms share."""
    names = [f"{metric}_{p}_s" for p in COLOURS]
    limits = [one for one in marked.objectives if one.metric == f"{metric}_s"]
    every = [value for value in swept.values(marked.alike, *names) if value > 0] + [one.limit for one in limits]
    swept.x_axis(axes, marked.alike)
    swept.y_axis(axes, every)
    ends = []
    for name, (p, colour) in zip(names, COLOURS.items(), strict=True):
        some, numbers = curve.series(name)
        if numbers:
            ends.append((p, 1000 * numbers[-1].value, colour))
        if some or p != "p99":
            swept.draw(axes, curve, name, colour, 1000.0)
    for one in limits:
        colour = COLOURS.get("" if one.p is None else f"p{100 * one.p:g}", INK)
        axes.axhline(1000 * one.limit, color=colour, lw=1.0, ls=(0, (5, 3)))
        below = one.limit > 0.9 * max(every)
        axes.annotate(
            one.text, (0, 1000 * one.limit), (3, -2 if below else 2), xycoords=("axes fraction", "data"),
            textcoords="offset points", size=7.5, color=colour, va="top" if below else "bottom",
        )  # fmt: skip
    swept.name_lines(axes, ends, PANELS[metric])
    axes.set_title(axis(f"{metric}_s", log=True), fontsize=8.5, loc="left", pad=4)


class Rule(NamedTuple):
    """A load that is marked over all panels, with its interval."""

    at: float
    text: str
    colour: str
    style: str
    lo: float | None = None
    hi: float | None = None


def _rules(curve: Curve, marked: Marked) -> list[Rule]:
    """Capacity, and both answers to where the knee is."""
    found, answer = [], marked.answer
    if answer is not None and answer.mode == curve.mode and answer.value:
        told = f"capacity {sweep.estimate(answer.value, answer.lo, answer.hi, curve.mode)}"
        found.append(Rule(answer.value, told, INK, "-", answer.lo, answer.hi))
    bend = knee.knee(curve)
    if bend.double.load is not None:
        where = sweep.estimate(bend.double.load, bend.double.lo, bend.double.hi, curve.mode)
        told = f"{sweep.LABELS[bend.metric]} doubled at {where}"
        found.append(Rule(bend.double.load, told, GREY, ":"))
    if bend.bend.load is not None:
        found.append(Rule(bend.bend.load, f"bends most at {sweep.load(bend.bend.load, curve.mode)}", GREY, "--"))
    loads = [level.load for other in marked.alike for level in other.levels]
    return [rule for rule in found if min(loads) <= rule.at <= max(loads)]


def _draw_rules(axes: Axes, rules: list[Rule], inches: float, *, named: bool) -> None:
    to_fraction = axes.transData + axes.transAxes.inverted()
    low, high = axes.get_xlim()
    for place, rule in enumerate(rules):
        axes.axvline(rule.at, color=rule.colour, lw=1.1, ls=rule.style, zorder=1)
        if rule.lo is not None:
            axes.axvspan(max(low, rule.lo), min(high, rule.hi or high), color=SKY, alpha=0.25, lw=0, zorder=0)
        if named:
            across = float(to_fraction.transform((rule.at, axes.get_ylim()[0]))[0])
            row = 1 + (0.09 + ROW * (len(rules) - place)) / inches
            side = "left" if across < 0.3 else "right" if across > 0.7 else "center"
            axes.text(
                across, row, rule.text, transform=axes.transAxes, ha=side, va="center", size=7.5, color=rule.colour
            )


def _alt(curve: Curve, marked: Marked) -> str:
    """The first and the last steady load in numbers, what is not steady, and the capacity."""
    name = "ttft_p95_s" if curve.series("ttft_p95_s")[0] else "latency_p95_s"
    some, numbers = curve.series(name)
    label = sweep.LABELS[name]
    parts = [f"{label} of {len(curve.levels)} loads, {len(curve.steady)} of them steady"]
    for level, number in list(zip(some, numbers, strict=True))[:: max(1, len(some) - 1)]:
        parts.append(f"{sweep.latency(number.value)} at {sweep.load(level.load, curve.mode)}")
    if curve.unstable_from is not None:
        parts.append(f"unstable from {sweep.load(curve.unstable_from, curve.mode)}")
    return "; ".join([*parts, *(rule.text for rule in _rules(curve, marked))]) + "."


def together(canvas: Canvas, arms: Mapping[str, Curve]) -> None:
    """The p95 TTFT of all arms over the load, for the mode that most of them have."""
    name = "ttft_p95_s" if any(curve.series("ttft_p95_s")[0] for curve in arms.values()) else "latency_p95_s"
    modes = [curve.mode for curve in arms.values()]
    mode = max(modes, key=modes.count)
    mine = {arm: curve for arm, curve in arms.items() if curve.mode == mode and curve.series(name)[0]}
    title = f"{sweep.LABELS[name]} against load, {len(mine)} arms"
    shown = dict(list(mine.items())[: len(ARMS)])
    if not shown:
        canvas.say("Latency of the arms against load", "No arm has a p95 at a steady load.")
        return
    axes = canvas.axes(title, top=0.68, right=1.25)
    swept.note(canvas, [*swept.marks(shown.values()), "" if shown == mine else f"the first {len(shown)} arms"])
    every = [value for value in swept.values(shown.values(), name) if value > 0]
    axes.set_xlabel(swept.x_axis(axes, list(shown.values())))
    swept.y_axis(axes, every)
    ends, shown_as = [], column(*name.removesuffix("_s").split("_"))
    levels.tabulate(canvas, mine, [shown_as])
    for (arm, curve), colour in zip(shown.items(), ARMS, strict=False):
        swept.draw(axes, curve, name, colour, 1000.0)
        levels.point_out(canvas, axes, curve, shown_as, arm)
        ends.append((arm if len(arm) <= 16 else f"{arm[:15]}…", 1000 * curve.series(name)[1][-1].value, colour))
    swept.name_lines(axes, ends, 4.2 - 0.68 - 0.95)
    axes.set_ylabel(f"{sweep.LABELS[name]} (ms, log scale)")
    canvas.alt = f"{title}: {', '.join(f'{arm} ends at {digits(end)} ms' for arm, end, _ in ends)}."
