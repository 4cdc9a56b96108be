"""What a chart drew, as values: the table behind it and the words that a pointer is shown over its points."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from analysis.units import NONE, digits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

ROWS: Final = 60
"""Of a table behind a chart, at most; evenly thinned, both ends kept."""
SPOTS: Final = 600
"""Points of a chart that answer to a pointer, all lines together."""


class Table(NamedTuple):
    """What was drawn, as text: one name a column, one text a cell."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


NO_TABLE: Final = Table((), ())


class Spot(NamedTuple):
    """A place in a chart that tells its value: shares of the figure's width and height from its top left."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Trace:
    """
    A line or a heap of points.

    Attributes:
        x, y: Shape (n,), in the units of the axes, NaN where there is none.
        lo, hi: Ends of the intervals of y, shape (n,); None without.
        text: Words for the i-th point; None: made from the names of the axes.
    """

    axes: Axes
    name: str
    x: Array
    y: Array
    lo: Array | None = None
    hi: Array | None = None
    text: Callable[[int], str] | None = None


def spots(traces: Sequence[Trace], size: tuple[float, float]) -> tuple[Spot, ...]:
    """
    Where a pointer finds what.

    Args:
        traces: All that was drawn, with the limits and scales of their axes settled.
        size: Of the figure, in the pixels that matplotlib counts by.
    """
    each = max(1, SPOTS // max(1, len(traces)))
    return tuple(spot for trace in traces for spot in _spots(trace, size, each))


def _spots(trace: Trace, size: tuple[float, float], most: int) -> list[Spot]:
    known = np.flatnonzero(np.isfinite(trace.x) & np.isfinite(trace.y))
    known = known[_even(known.size, most)]
    at = trace.axes.transData.transform(np.column_stack([trace.x[known], trace.y[known]]))
    found = [
        Spot(round(float(x) / size[0], 4), round(1 - float(y) / size[1], 4), _words(trace, int(i)))
        for i, (x, y) in zip(known, at, strict=True)
    ]
    return [spot for spot in found if 0 <= spot.x <= 1 and 0 <= spot.y <= 1]


def _words(trace: Trace, i: int) -> str:
    if trace.text is not None:
        return trace.text(i)
    name = f"{trace.name}: " if trace.name else ""
    (x_name, x_unit), (y_name, y_unit) = _named(trace.axes.get_xlabel()), _named(trace.axes.get_ylabel())
    value = f"{y_name} {_value(trace, i)}{y_unit}".strip()
    return f"{name}{value} at {x_name} {_x(trace, i)}{x_unit}"


def _named(label: str) -> tuple[str, str]:
    """An axis' name and its unit as it follows a number: `TTFT (ms, log scale)` is TTFT and ` ms`."""
    found = re.fullmatch(r"(.*?)\s*\(([^()]*)\)", label.replace(", log scale", ""))
    if found is None or found[2] == "log scale":
        return label.removesuffix(" (log scale)"), ""
    return found[1], f" {found[2]}"


def _value(trace: Trace, i: int) -> str:
    if not np.isfinite(trace.y[i]):
        return NONE
    if trace.lo is None or trace.hi is None or not np.isfinite([trace.lo[i], trace.hi[i]]).any():
        return digits(float(trace.y[i]))
    return f"{digits(float(trace.y[i]))} [{digits(float(trace.lo[i]))}, {digits(float(trace.hi[i]))}]"


def _even(n: int, most: int) -> NDArray[np.int64]:
    """Places of at most so many of n, evenly spread, both ends among them."""
    return np.arange(n) if n <= most else np.unique(np.linspace(0, n - 1, most).round().astype(np.int64))


# The table.


def table(traces: Sequence[Trace]) -> Table:
    """Side by side where all traces have the same x; else one below the other, with a column that names them."""
    if not traces:
        return NO_TABLE
    first = traces[0]
    alike = all(np.array_equal(first.x, one.x, equal_nan=True) for one in traces[1:])
    if alike and len(traces) > 1:
        names = [one.name or _plain(one.axes.get_ylabel()) for one in traces]
        if len({one.axes for one in traces}) > 1:
            names = [f"{one.name} {_plain(one.axes.get_ylabel())}".strip() for one in traces]
        rows = [(_x(first, i), *(_value(one, i) for one in traces)) for i in map(int, _even(first.x.size, ROWS))]
        return Table((_plain(_x_label(traces)), *names), tuple(rows))
    return _below(traces)


def _below(traces: Sequence[Trace]) -> Table:
    each = max(2, ROWS // len(traces))
    told = [(one, int(i)) for one in traces for i in _even(one.x.size, each)]
    several = len(traces) > 1
    rows = [((one.name,) if several else ()) + (_x(one, i), _value(one, i)) for one, i in told]
    y_names = dict.fromkeys(_plain(one.axes.get_ylabel()) for one in traces)
    names = (("",) if several else ()) + (_plain(_x_label(traces)), ", ".join(y_names))
    return Table(names, tuple(rows))


def _x_label(traces: Sequence[Trace]) -> str:
    """Of stacked panels only the lowest has one."""
    return next((one.axes.get_xlabel() for one in reversed(traces) if one.axes.get_xlabel()), "")


def _x(trace: Trace, i: int) -> str:
    """Four digits where they are needed: loads and moments are often whole."""
    at = float(trace.x[i])
    if not np.isfinite(at):
        return NONE
    return f"{at:.4g}" if abs(at) < 1000 else f"{at:,.0f}"


def _plain(label: str) -> str:
    return label.replace(", log scale)", ")").removesuffix(" (log scale)")
