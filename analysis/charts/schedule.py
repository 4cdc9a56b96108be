"""Charts of a load that has not been offered yet: arrivals per second over time, or a closed loop's users."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.ticker import MaxNLocator

from analysis.charts.frame import BLUE, GREY, PALE, drawn
from analysis.units import digits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from analysis.charts.frame import Canvas, Chart

    Array = NDArray[np.float64]

BINS: Final = 120
FEW: Final = 20
"""With fewer arrivals than four in a bin, at most so many bins: more would show their chance, not the load."""
HEIGHT: Final = 3.4


def arrivals(times_s: Array, planned: int, length_s: float, footer: str = "") -> Chart:
    """
    Arrivals per second in bins, as a step.

    Args:
        times_s: Shape (n,), ascending, seconds since the start.
        planned: The first so many are planned; those behind are a tail, which is shaded.
        length_s: End of the planned part.
        footer: Small print.
    """
    return drawn("schedule", lambda canvas: _arrivals(canvas, times_s, planned, length_s), footer)


def users(moments_s: Array, counts: Array, length_s: float, footer: str = "") -> Chart:
    """
    A closed loop's users over time.

    Args:
        moments_s: Shape (m,), ascending: from each on there are so many; none before the first.
        counts: Shape (m,), users.
        length_s: End of the axis.
        footer: Small print.
    """
    return drawn("schedule", lambda canvas: _users(canvas, moments_s, counts, length_s), footer)


def _arrivals(canvas: Canvas, times_s: Array, planned: int, length_s: float) -> None:
    if not times_s.size:
        canvas.say("Arrivals over time", "The schedule has no arrivals.")
        return
    end_s = max(length_s, float(times_s[-1]))
    if not end_s:
        canvas.say("Arrivals over time", f"All {times_s.size:,} arrivals come at once, at 0 s.")
        return
    edges = _edges(end_s, min(BINS, max(FEW, times_s.size // 4)))
    if planned < times_s.size:
        # A tail's own end isn't known, only its last arrival: its last bin is a whole one.
        edges[-1] = end_s = edges[-2] + math.ceil((end_s - edges[-2]) / edges[1]) * edges[1]
    # Half a nanosecond later, so that an arrival on a round moment falls behind an edge that is a float's width off.
    values = np.histogram(np.minimum(times_s + 5e-10, end_s), edges)[0] / np.diff(edges)
    axes = canvas.axes(f"Arrivals over time, in bins of {edges[1] - edges[0]:g} s", HEIGHT)
    _step(canvas, axes, values, edges, "arrivals/s")
    if planned < times_s.size:
        axes.axvspan(length_s, end_s, color=PALE, alpha=0.6, lw=0)
        axes.text(
            1, 1.02, "shaded: tail after the planned end", transform=axes.transAxes, size=7.5, color=GREY, ha="right"
        )  # fmt: skip
    mean = f", {digits(planned / length_s)}/s on average" if length_s else ""
    tail = f", and {times_s.size - planned:,} in a tail after it" if planned < times_s.size else ""
    canvas.alt = (
        f"{planned:,} arrivals in {length_s:g} s{mean}, at most {digits(float(values.max()))}/s in a bin{tail}."
    )


def _users(canvas: Canvas, moments_s: Array, counts: Array, length_s: float) -> None:
    if not counts.size or counts.max() <= 0:
        canvas.say("Users over time", "The closed loop never has a user.")
        return
    axes = canvas.axes("Users over time", HEIGHT)
    shown = moments_s < length_s
    edges = np.concatenate([[0.0], moments_s[shown], [length_s]])
    _step(canvas, axes, np.concatenate([[0.0], counts[shown]]), edges, "users")
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    canvas.alt = f"Up to {int(counts[shown].max()):,} users over {length_s:g} s, in {int(shown.sum()):,} steps."


def _step(canvas: Canvas, axes: Axes, values: Array, edges: Array, what: str) -> None:
    axes.stairs(values, edges, color=BLUE, alpha=0.13, fill=True, lw=0)
    axes.stairs(values, edges, color=BLUE, lw=1.6, baseline=None)
    axes.set_xlim(0, float(edges[-1]))
    axes.set_ylim(0, float(values.max()) * 1.12)
    axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    axes.set(xlabel="time since the run's start (s)", ylabel=what)
    canvas.tell(
        axes, "", (edges[:-1] + edges[1:]) / 2, values,
        text=lambda i: f"{digits(float(values[i]))} {what} from {digits(edges[i])} to {digits(edges[i + 1])} s",
    )  # fmt: skip


def _edges(end_s: float, most: int) -> Array:
    """Edges of at most so many bins of a round width; the last one ends with the axis, half as wide or more."""
    least = end_s / most
    decade = math.floor(math.log10(least))
    widths = (float(f"{step}e{decade + k}") for k in (0, 1) for step in (1, 2, 5))
    width = next(width for width in widths if width >= least * (1 - 1e-9))
    inner = np.arange(1, math.floor(end_s / width + 0.5 + 1e-9)) * width
    return np.concatenate([[0.0], inner, [end_s]])
