"""A run in another tool's words as text: its metrics in its order, then where its definitions differ from ours."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from analysis.table import COLOURS
from analysis.units import NONE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from analysis.others.retold import Retold, RetoldLine


def render(told: Retold, console: Console) -> None:
    """Print it; two decimals, as the tools do."""
    console.print(
        Text.assemble((told.verdict.upper(), COLOURS[told.verdict]), f"  {told.run} as {told.tool} would report it")
    )
    for is_single, group in groupby(told.lines, key=lambda line: line.is_single):
        lines = list(group)
        console.print()
        console.print(_singles(lines) if is_single else _statistics(lines, told.shown))
    console.print()
    console.print(Text(f"Definitions of {told.source}", style="dim"))
    for note in told.notes:
        console.print(Text(f"- {note}", style="dim"))
    console.print(
        Text("- times are those of a client that adds no delay; under load that tool adds its own", style="dim")
    )


def _singles(lines: Iterable[RetoldLine]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column()
    table.add_column(justify="right", no_wrap=True)
    for line in lines:
        table.add_row(_name(line), *(_number(value) for value in line.values.values()))
    return table


def _statistics(lines: Iterable[RetoldLine], shown: tuple[str, ...]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column()
    for name in shown:
        table.add_column(name, justify="right", no_wrap=True)
    for line in lines:
        table.add_row(_name(line), *(_number(line.values[name]) for name in shown))
    return table


def _name(line: RetoldLine) -> str:
    return f"{line.name} ({line.unit})" if line.unit else line.name


def _number(value: float | None) -> str:
    """Whole numbers of what is counted, else two decimals."""
    if value is None:
        return NONE
    if value == float("inf"):
        return "∞"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"
