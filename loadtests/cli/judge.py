"""`firsttoken summary`, `report` and `compare`: judge what is on disk."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

if TYPE_CHECKING:
    from analysis.runs import Run
    from analysis.summary import Summary

RUN = click.argument("run", type=click.Path(path_type=Path), default=Path("results/latest"), metavar="[RUN]")


def show(summary: Summary) -> None:
    """Print a summary's table on stdout; colours only on a terminal."""
    from rich.console import Console

    from analysis.table import render

    render(summary, Console(width=None if sys.stdout.isatty() else 100))


def write_all(run: Run, summary: Summary, *, report: bool) -> Path:
    """Write what analysis keeps in a run directory; returns the report's path, or the directory's without one."""
    if report:
        from analysis.report import write

        return write(run, summary)
    from analysis.files import write_judgement

    write_judgement(run, summary)
    return run.path


def dump(value: Any) -> None:
    """Print JSON for machines."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


@click.command()
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path), metavar="[RUN]...")
@click.option("--json", "as_json", is_flag=True, help="As JSON: one object for one run, a list for several.")
def summary(runs: tuple[Path, ...], *, as_json: bool) -> int:
    """Print the numbers of one or more runs (default: results/latest).

    Exit code 3 where a run is not valid; its numbers are printed all the same.
    """
    from analysis.runs import load
    from analysis.summary import summarise

    found = [summarise(load(path)) for path in runs or (Path("results/latest"),)]
    if as_json:
        values = [one.to_json() for one in found]
        dump(values[0] if len(values) == 1 else values)
    else:
        for one in found:
            show(one)
    return 3 if any(one.validity.verdict == "invalid" for one in found) else 0


@click.command()
@RUN
@click.option("--json", "as_json", is_flag=True, help="Print the report's path as JSON.")
def report(run: Path, *, as_json: bool) -> int:
    """Draw the charts of a run into one HTML file that opens from disk (default: results/latest)."""
    from analysis.runs import load
    from analysis.summary import summarise

    loaded = load(run, chunks=True)
    path = write_all(loaded, summarise(loaded), report=True)
    if as_json:
        dump({"report": str(path.resolve())})
    else:
        click.echo(os.path.relpath(path))
    return 0


@click.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def compare(a: Path, b: Path, *, as_json: bool) -> int:
    """Put run B beside run A: each percentile, the ratio B/A, and in which settings they differ."""
    from analysis import compare as comparing
    from analysis.runs import load
    from analysis.summary import summarise

    comparison = comparing.compare(summarise(load(a)), summarise(load(b)))
    if as_json:
        dump(comparison.to_json())
        return 0
    from rich.console import Console

    from analysis.table import render_comparison

    render_comparison(comparison, Console(width=None if sys.stdout.isatty() else 100))
    return 0
