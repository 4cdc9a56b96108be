"""What charts of several sides are drawn from: a thinned curve of each run, and one look for each side."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from scipy import special

from analysis.charts.frame import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, SKY, WIDTH, YELLOW

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from analysis.charts.frame import Canvas

    Array = NDArray[np.float64]

POINTS: Final = 240
"""Points that are kept of a run's distribution: half of them evenly by rank, half towards the tail."""
MOST: Final = 7
"""Sides in one panel."""
LINE: Final = 12.5
"""Points from one name to the next."""
STYLES: Final[tuple[tuple[str, Any, str], ...]] = (
    (BLUE, "-", "o"), (ORANGE, (0, (5, 1.5)), "s"), (GREEN, (0, (1.2, 1.2)), "^"),
    (PURPLE, (0, (6, 1.5, 1.2, 1.5)), "D"), (YELLOW, (0, (3, 1.2)), "v"),
    (SKY, (0, (8, 2)), "P"), (INK, (0, (2, 2)), "X"),
)  # fmt: skip
"""Colour, dash and mark of each side, in the order of the sides."""


class Curve(NamedTuple):
    """
    A distribution in few points.

    Attributes:
        values: Ascending, seconds, shape (k,).
        shares: The share of the n values that are not greater, shape (k,), ending in 1.
        n: How many there were.
    """

    values: Array
    shares: Array
    n: int

    def at(self, ps: Array) -> Array:
        """Its quantiles."""
        return np.interp(ps, self.shares, self.values)


def curve(values: Array) -> Curve:
    """The curve of a sample; NaN is left out."""
    known = np.sort(values[~np.isnan(values)])
    n = known.size
    if n > POINTS:
        body, tail = np.linspace(0, n - 1, POINTS // 2), n - np.geomspace(1, n, POINTS // 2)
        keep = np.unique(np.concatenate([body, tail]).astype(np.int64))
    else:
        keep = np.arange(n)
    return Curve(known[keep], (keep + 1) / max(n, 1), n)


def pooled(curves: Sequence[Curve]) -> Curve:
    """Several as one, each by the number of its values."""
    some = [one for one in curves if one.n]
    n = sum(one.n for one in some)
    if not some:
        return Curve(np.array([]), np.array([]), 0)
    values = np.concatenate([one.values for one in some])
    weights = np.concatenate([np.diff(one.shares, prepend=0.0) * one.n for one in some])
    order = np.argsort(values, kind="stable")
    return Curve(values[order], np.minimum(np.cumsum(weights[order]) / n, 1.0), n)


def spread(curves: Sequence[Curve], ps: Array) -> tuple[Array, Array] | None:
    """
    Factors between which a quantile lies by the runs it was measured in, 95 %: exp(-+ t(k - 1) s / sqrt(k)).

    s is the standard deviation of the logs of the k runs' own quantiles. None with fewer than 3 runs.
    """
    some = [one for one in curves if one.n]
    if len(some) < 3:
        return None
    logs = np.log(np.maximum(np.array([one.at(ps) for one in some]), 1e-9))
    half = special.stdtrit(len(some) - 1, 0.975) * logs.std(axis=0, ddof=1) / np.sqrt(len(some))
    return np.exp(-half), np.exp(half)


@dataclass(frozen=True, slots=True)
class Seen:
    """
    What a side's runs showed, thin enough to keep many.

    Attributes:
        ttft, latency: A curve a run, of streamed answers (latency: of all where none were), from the schedule.
        served: The same latencies from the send.
        failures: Failed requests of the windows by kind, out of `went`.
        runs: Of each run when it began, unix seconds, with its TTFT p50 and p95, seconds; NaN for none.
    """

    name: str
    ttft: tuple[Curve, ...] = ()
    latency: tuple[Curve, ...] = ()
    served: tuple[Curve, ...] = ()
    failures: Counter[str] = field(default_factory=Counter)
    went: int = 0
    runs: tuple[tuple[float, float, float], ...] = ()


def styled(names: Sequence[str]) -> Mapping[str, tuple[str, Any, str]]:
    """The look of each side that is drawn: the first seven."""
    return dict(zip(names, STYLES, strict=False))


def rest(names: Sequence[str]) -> str:
    """What is to be said of sides that are not drawn; empty where all are."""
    return f"{MOST} of {len(names)} sides drawn, all in the table" if len(names) > MOST else ""


def apart(heights: Sequence[float], gap: float) -> list[float]:
    """Heights moved as little as needed so that no two are nearer than the gap; same order."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    found = list(heights)
    groups: list[list[int]] = []
    for i in order:
        groups.append([i])
        while len(groups) > 1 and _top(groups[-2], heights, gap) + gap > _low(groups[-1], heights, gap):
            groups[-2:] = [groups[-2] + groups[-1]]
    for group in groups:
        for place, i in enumerate(group):
            found[i] = _low(group, heights, gap) + place * gap
    return found


def _low(group: Sequence[int], heights: Sequence[float], gap: float) -> float:
    return float(np.mean([heights[i] for i in group])) - gap * (len(group) - 1) / 2


def _top(group: Sequence[int], heights: Sequence[float], gap: float) -> float:
    return _low(group, heights, gap) + gap * (len(group) - 1)


def name_ends(axes: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Names at the right ends of lines, each (x, y, text, colour), moved apart where they would meet."""
    at = [axes.transData.transform((x, y))[1] * 72 / axes.figure.dpi for x, y, _, _ in ends]
    for (x, y, text, colour), old, new in zip(ends, at, apart(at, LINE), strict=True):
        axes.annotate(
            text, (x, y), (6, new - old), textcoords="offset points", color=colour, size=8.5, va="center",
            annotation_clip=False,
        )  # fmt: skip


def note(canvas: Canvas, parts: Sequence[str]) -> None:
    """A line of small print below the title."""
    height = float(canvas.figure.get_figheight())
    text = " · ".join(part for part in parts if part)
    canvas.figure.text(0.15 / WIDTH, 1 - 0.47 / height, text, size=7.5, color=GREY, va="center")


def short(name: str, most: int = 18) -> str:
    """A name as labels show it: of a long one both ends, as long names often begin alike."""
    tail = most // 2
    return name if len(name) <= most else f"{name[: most - 1 - tail]}…{name[-tail:]}"
