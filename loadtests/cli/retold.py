"""`firsttoken summary --as`: runs in the words of another tool."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from loadtests.cli.output import dump, plain

if TYPE_CHECKING:
    from analysis.summary import Judged


def tell(judged: list[Judged], tool: str, *, as_json: bool) -> None:
    """Print what another tool would have reported; the runs were read with their chunk lists."""
    from analysis.others import TOOLS

    for each in judged:
        imported = each.run.manifest.get("imported")
        if isinstance(imported, dict) and str(imported.get("tool")).lower() != tool:
            why = f"{each.run.name} is imported, and its rows are what {imported.get('tool')} saw"
            raise click.UsageError(f"--as {tool}: {why}")
    found = [TOOLS[tool](one) for one in judged]
    if as_json:
        dump(plain([one.to_json() for one in found]))
        return
    from rich.console import Console

    from analysis.others.table import render

    console = Console(width=None if sys.stdout.isatty() else 100)
    for place, one in enumerate(found):
        if place:
            console.print()
        render(one, console)
