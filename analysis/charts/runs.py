"""How the runs of several sides followed each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import FixedLocator

from analysis.charts.frame import axis, log_axis, ms
from analysis.charts.sides import name_ends, note, rest, short, styled
from analysis.units import digits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from analysis.charts.frame import Canvas
    from analysis.charts.sides import Seen

    Array = NDArray[np.float64]


def draw(canvas: Canvas, seen: Sequence[Seen]) -> None:
    """Chart 14: TTFT p50 and p95 of each run, in order of time: what drifts shows."""
    title = "TTFT of each run, in order of time"
    styles = styled([one.name for one in seen])
    shown = [one for one in seen if one.name in styles and len(one.runs)]
    began = sorted({at for one in shown for at, *_ in one.runs})
    if len(began) < 2 or all(np.isnan([p95 for one in shown for _, _, p95 in one.runs])):
        canvas.say(title, "One run alone shows no trend." if len(began) < 2 else "No run has a TTFT p95.")
        return
    order = {at: i + 1 for i, at in enumerate(began)}
    axes = canvas.axes(title, 3.8, top=0.72, right=1.4)
    every = np.array([value for one in shown for _, *values in one.runs for value in values])
    log_axis(axes, "y", 1000 * float(np.nanmin(every)), 1000 * float(np.nanmax(every)))
    axes.set_xlim(0.5, len(began) + 0.5)
    axes.xaxis.set_major_locator(FixedLocator(list(range(1, len(began) + 1, max(1, len(began) // 12)))))
    axes.set(xlabel="run, in order of time", ylabel=axis("ttft_s", log=True))
    ends = [_course(canvas, axes, one, order, styles[one.name]) for one in shown]
    name_ends(axes, ends)
    note(canvas, ["mark: p95, tick below it: p50", rest([one.name for one in seen])])
    canvas.alt = (
        f"TTFT p50 and p95 of {len(began)} runs in order of time: "
        + "; ".join(f"{one.name} p95 {_span([p95 for _, _, p95 in one.runs])}" for one in shown)
        + "."
    )


def _course(
    canvas: Canvas, axes: Axes, one: Seen, order: dict[float, int], style: tuple[str, object, str]
) -> tuple[float, float, str, str]:
    colour, dash, mark = style
    runs = sorted(one.runs)
    x = np.array([order[at] for at, *_ in runs], dtype=np.float64)
    p50, p95 = (1000 * np.array([run[i] for run in runs]) for i in (1, 2))
    axes.vlines(x, p50, p95, color=colour, lw=0.9, alpha=0.5)
    axes.plot(x, p50, "_", color=colour, ms=8, mew=1.4)
    axes.plot(x, p95, color=colour, ls=dash, lw=1.0, marker=mark, ms=5, mec="white", mew=0.7)
    for word, values in (("p95", p95), ("p50", p50)):
        canvas.tell(axes, f"{one.name} {word}", x, values, text=_words(one.name, word, x, values))
    last = p95[~np.isnan(p95)]
    end = float(last[-1]) if last.size else float(axes.get_ylim()[0])
    return float(max(order.values())) + 0.5, end, short(one.name), colour


def _words(name: str, word: str, x: Array, values: Array) -> Callable[[int], str]:
    return lambda i: f"{name}, run {x[i]:.0f}: {word} {digits(float(values[i]))} ms"


def _span(values: Sequence[float]) -> str:
    known = [value for value in values if not np.isnan(value)]
    return f"{digits(1000 * min(known))} to {ms(max(known))}" if known else "unknown"
