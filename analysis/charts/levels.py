"""The values behind charts of loads: what a pointer finds at a load, and the table of all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from analysis.capacity import sweep
from analysis.capacity.curve import NAMES, standing
from analysis.units import NONE, digits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from analysis.capacity.curve import Curve, Level, Number
    from analysis.capacity.point import Point
    from analysis.charts.frame import Canvas


class Column(NamedTuple):
    """One number of each load: its name in a curve, what it is called, its unit as shown, and the factor to that."""

    name: str
    label: str
    unit: str
    factor: float = 1.0

    @property
    def head(self) -> str:
        """Its name above a column."""
        return f"{self.label} ({self.unit})"


def point_out(canvas: Canvas, axes: Axes, curve: Curve, column: Column, of: str = "") -> None:
    """Let a pointer find the means of a number, and each run that is on no line."""
    prefix = f"{of}: " if of else ""
    spots = [
        (
            level.load,
            column.factor * number.value,
            f"{prefix}{column.label} {shown(number, column.factor)} {column.unit}",
            level,
        )
        for level in curve.steady
        if (number := level.numbers.get(column.name)) is not None
    ]
    words = [f"{text} at {sweep.load(level.load, curve.mode)}{_runs(level)}" for _, _, text, level in spots]
    canvas.tell(axes, of, [spot[0] for spot in spots], [spot[1] for spot in spots], text=words.__getitem__)
    loose = [
        (point.load, column.factor * value, _alone(prefix, point, value, curve, column))
        for point in curve.points
        if standing(point) != "steady" and (value := NAMES[column.name](point)) is not None
    ]
    if loose:
        canvas.tell(axes, of, [at[0] for at in loose], [at[1] for at in loose], text=lambda i: loose[i][2])


def _alone(prefix: str, point: Point, value: float, curve: Curve, column: Column) -> str:
    """A run that is on no line, and why it is not."""
    where = sweep.load(point.load, curve.mode)
    told = f"{prefix}{column.label} {digits(column.factor * value)} {column.unit} at {where}"
    return f"{told}, {standing(point)}: {point.why or point.verdict}"


def _runs(level: Level) -> str:
    return f", {len(level.used)} runs" if len(level.used) > 1 else ", one run"


def shown(number: Number, factor: float = 1.0) -> str:
    """A mean over runs with its interval, where it has one."""
    value = digits(factor * number.value)
    if number.lo is None or number.hi is None:
        return value
    return f"{value} [{digits(factor * number.lo)}, {digits(factor * number.hi)}]"


def tabulate(canvas: Canvas, arms: Mapping[str, Curve], columns: Sequence[Column]) -> None:
    """A row a load: its numbers with their intervals over runs, its runs and its state; arms by name where several."""
    several = len(arms) > 1
    rows = [
        ((arm,) if several else ()) + _row(level, curve, columns)
        for arm, curve in arms.items()
        for level in curve.levels
    ]
    names = (("arm",) if several else ()) + ("load", *(one.head for one in columns), "runs", "state")
    canvas.tabulate(names, rows)


def _row(level: Level, curve: Curve, columns: Sequence[Column]) -> tuple[str, ...]:
    told = [level.numbers.get(one.name) for one in columns]
    cells = [NONE if number is None else shown(number, one.factor) for number, one in zip(told, columns, strict=True)]
    return sweep.load(level.load, curve.mode), *cells, str(len(level.points)), level.state
