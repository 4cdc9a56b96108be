"""A sweep as text: a line for each load, and below what they say together. Within 100 columns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.table import Table
from rich.text import Text

from analysis.capacity import sweep
from analysis.units import NONE, digits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rich.console import Console

    from analysis.capacity.curve import Curve, Level, Number

COLOURS: Final = {
    "steady": "green", "unstable": "bold red", "failed": "bold red", "quota": "bold yellow", "client": "bold yellow",
    "invalid": "bold red",
}  # fmt: skip
WIDE: Final = 100


class Column(NamedTuple):
    """A number of each load: its heading, its name, and how a value is written."""

    heading: str
    name: str
    write: Callable[[Number], str]


def plain(number: Number) -> str:
    """Rates and counts."""
    return digits(number.value)


def share(number: Number) -> str:
    """Shares as per cent, one digit behind the point at the most; 100 only where it is all."""
    value = 100 * number.value
    return f"{min(value, 99.9):.1f}" if 0 < value < 100 and value >= 0.95 else digits(value)


def ms(number: Number) -> str:
    """Latencies in milliseconds; in seconds from 10 s on."""
    return digits(1000 * number.value) if number.value < 10 else f"{digits(number.value)} s"


def ms_with(number: Number) -> str:
    """The same with half its interval: ±12%; where it is wide, x÷2.3, as it is the same on both sides only in logs."""
    half = number.halfwidth
    if half is None:
        return ms(number)
    factor = math.exp(half)
    around = f"±{100 * (factor - 1):.{0 if factor > 1.01 else 1}f}%" if factor < 2 else f"x÷{factor:.3g}"
    return f"{ms(number)} {around}"


COLUMNS: Final = (
    Column("offered\n1/s", "offered_per_s", plain),
    Column("achieved\n1/s", "achieved_per_s", plain),
    Column("goodput\n1/s", "goodput_per_s", plain),
    Column("attain-\nment %", "attainment", share),
    Column("TTFT\np50", "ttft_p50_s", ms),
    Column("TTFT\np95", "ttft_p95_s", ms_with),
    Column("TPOT\np50", "tpot_p50_s", ms),
    Column("tok/s\nall", "output_tokens_per_s", plain),
    Column("tok/s\none", "user_tokens_per_s", plain),
    Column("in\nflight", "in_flight", plain),
    Column("failed\n%", "error_rate", share),
)
PROMISED: Final = {"goodput_per_s", "attainment"}
ASIDE: Final = {"offered_per_s", "user_tokens_per_s", "in_flight", "ttft_p50_s"}
"""Left out of a narrow terminal."""
WHOLE: Final = Column("latency\np95", "latency_p95_s", ms_with)
"""Instead of the columns of streams where there was none."""


def render_sweep(curves: Mapping[str, Curve], console: Console) -> None:
    """
    Print a sweep: each arm's table with the sentences that follow from it.

    Args:
        curves: By arm, as they are to be named.
        console: Where to.
    """
    for place, (name, curve) in enumerate(curves.items()):
        if place:
            console.print()
        if len(curves) > 1:
            console.print(Text(name, style="bold"))
        console.print(_table(curve, wide=console.width >= WIDE))
        console.print()
        for told in sweep.sentences(curve):
            console.print(Text(told))
    best = sweep.frontier(curves) if len(curves) > 1 else ""
    if best:
        console.print()
        console.print(Text(best))


def _table(curve: Curve, *, wide: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("rate\n1/s" if curve.mode == "rate" else "\nusers", justify="right", no_wrap=True)
    table.add_column("\nruns", justify="right", no_wrap=True)
    columns = _columns(curve, wide=wide)
    for column in columns:
        table.add_column(column.heading, justify="right", no_wrap=True)
    table.add_column("\nstate", no_wrap=True)
    for level in curve.levels:
        style = "" if level.is_steady else "dim"
        cells = [Text(_cell(level, column), style=style) for column in columns]
        table.add_row(sweep.figure(level.load), _runs(level), *cells, _state(level))
    return table


def _columns(curve: Curve, *, wide: bool) -> list[Column]:
    """Those of which any load has a number; in a closed loop nothing is offered but users."""
    known = {name for level in curve.levels for name in level.numbers} - (set() if wide else ASIDE)
    left = set() if curve.is_promised else PROMISED
    if curve.mode == "concurrency":
        left = left | {"offered_per_s"}
    found = [column for column in COLUMNS if column.name in known - left]
    streams = any(column.name.startswith("ttft") for column in found)
    return found if streams or WHOLE.name not in known else [*found, WHOLE]


def _cell(level: Level, column: Column) -> str:
    """A number of a load; of a latency that is none of the server's no interval either."""
    number = level.numbers.get(column.name)
    if number is None:
        return NONE
    return ms(number) if column.write is ms_with and not level.is_steady else column.write(number)


def _runs(level: Level) -> str:
    """How many its numbers rest on, of how many."""
    used, every = len(level.used), len(level.points)
    return str(used) if used == every else f"{used}/{every}"


def _state(level: Level) -> Text:
    return Text(level.state, style=COLOURS[level.state])
