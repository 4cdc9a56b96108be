"""What a verb prints: JSON for machines, a console for tables, a line of why not; and which exit code says most."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

import click
import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

WORST_FIRST: Final = (130, 2, 3, 1, 4, 0)


def dump(value: Any) -> None:
    """Print JSON for machines; a name of a file that is no UTF-8 is escaped as Python writes and reads it."""
    try:
        text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    except TypeError:
        text = json.dumps(value, indent=2)
    sys.stdout.write(text + "\n")


def plain(values: list[Any]) -> Any:
    """As JSON has it: one object for one run, a list for several."""
    return values[0] if len(values) == 1 else values


def console_of() -> Console:
    """Where tables are printed: as wide as the terminal, 100 columns elsewhere."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 100)


def fail(text: str, code: int) -> int:
    """Say in one line why a run is no good; the exit code."""
    click.echo(f"firsttoken: {text}", err=True)
    return code


def worst(codes: Iterable[int]) -> int:
    """The exit code of several things done, that of the worst: stopped, refused, not valid, missed, undecided, well."""
    return min(codes, key=WORST_FIRST.index)
