"""
Where a latency curve bends, said in two ways: by its shape, and by the load at which latency has doubled.

The first moves with the highest load that was looked at; the second does not, so both are given.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from analysis.capacity.curve import Curve, Level, Number

    Array = NDArray[np.float64]

LEAST: Final = 5
"""Steady loads."""

FACTOR: Final = 2.0
"""Times the latency at the lowest load."""

RISE: Final = 1.5
"""How many times its low-load value a latency has to reach for its shape to be more than noise."""

SENSITIVITY: Final = 1.0
"""Kneedle's S: how many mean steps the difference has to fall after its maximum."""


@dataclass(frozen=True, slots=True)
class Found:
    """
    A load, or why there is none.

    Attributes:
        load: As the curve's; None: `reason` says why.
        lo, hi: Between which loads it is; None: not known, or open on that side.
        reason: Why there is no load, or no range.
    """

    load: float | None
    lo: float | None = None
    hi: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Knee:
    """
    Both answers for one arm.

    Attributes:
        metric: What bends: `ttft_p95_s`, or `latency_p95_s` where nothing was streamed.
        low: Its value at the lowest steady load that has one; None without any.
        low_load: That load.
        bend: By its shape; its range is from the load below to the load above.
        double: Where it is twice `low`; its range is from the intervals over runs.
    """

    metric: str
    low: float | None
    low_load: float | None
    bend: Found
    double: Found

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def knee(curve: Curve) -> Knee:
    """The knee of p95 TTFT over the steady loads of a curve."""
    name = next((name for name in ("ttft_p95_s", "latency_p95_s") if len(curve.series(name)[0]) >= LEAST), "ttft_p95_s")
    levels, numbers = curve.series(name)
    low, low_load = (numbers[0].value, levels[0].load) if numbers else (None, None)
    if len(levels) < LEAST:
        few = Found(None, reason=f"{len(levels)} steady loads with a p95; {LEAST} are needed")
        return Knee(name, low, low_load, few, few)
    return Knee(name, low, low_load, _bend(levels, numbers), _double(levels, numbers, curve))


def kneedle(x: Array, y: Array) -> int | None:
    """
    Where a rising, convex curve turns up most; None where it is too straight to say.

    x and y are scaled to [0, 1]; the knee is where x - y is greatest, if the difference is above 0 there and then falls
    by more than `SENSITIVITY` mean steps of x. No spline is laid through the points first: there are few, and each is a
    mean.

    Args:
        x: Ascending, shape (n,).
        y: Shape (n,), not all the same.

    Source: Satopaa, Albrecht, Irwin & Raghavan 2011, "Finding a Kneedle in a Haystack", for curves that turn up.
    """
    across, up = (x - x.min()) / np.ptp(x), (y - y.min()) / np.ptp(y)
    difference = across - up
    place = int(difference.argmax())
    fall = difference[place] - difference[place:].min()
    is_clear = difference[place] > 0 and fall > SENSITIVITY * float(np.diff(across).mean())
    return place if is_clear else None


def _bend(levels: Sequence[Level], numbers: Sequence[Number]) -> Found:
    x, y = np.array([level.load for level in levels]), np.array([number.value for number in numbers])
    if y.max() < RISE * y[0]:
        return Found(None, reason=f"it never reaches {RISE:g} times its value at the lowest load")
    place = kneedle(x, y)
    if place is None:
        return Found(None, reason="it rises too evenly for a knee")
    return Found(float(x[place]), float(x[max(0, place - 1)]), float(x[min(place + 1, x.size - 1)]))


def _double(levels: Sequence[Level], numbers: Sequence[Number], curve: Curve) -> Found:
    """
    Where latency over its low-load value crosses `FACTOR`, on a straight line in logs between neighbouring loads.

    The ratio's interval joins those of its two values: as logarithms their half-widths add like standard errors.
    """
    x = np.log([level.load for level in levels])
    ratio = np.log([number.value / numbers[0].value for number in numbers])
    at = _crossing(x, ratio)
    if at is None:
        beyond = curve.unstable_from
        unstable = f"; {beyond:g} is unstable" if beyond is not None and beyond > levels[-1].load else ""
        return Found(None, reason=f"not reached at steady loads up to {levels[-1].load:g}{unstable}")
    halves = [number.halfwidth for number in numbers]
    known = [half for half in halves if half is not None]
    if len(known) < len(halves):
        return Found(math.exp(at), reason="a load with one run has no interval")
    wide = np.array([0.0, *np.hypot(known[1:], known[0])])
    lo, hi = _crossing(x, ratio + wide), _crossing(x, ratio - wide)
    return Found(math.exp(at), None if lo is None else math.exp(lo), None if hi is None else math.exp(hi))


def _crossing(x: Array, ratio: Array) -> float | None:
    """Where a line through the points first reaches log `FACTOR`; it starts below."""
    goal = math.log(FACTOR)
    for (left, low), (right, high) in pairwise(zip(x.tolist(), ratio.tolist(), strict=True)):
        if low < goal <= high:
            return float(left + (goal - low) / (high - low) * (right - left))
    return None
