"""`firsttoken summary`, `report` and `compare`: judge what is on disk."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click
import orjson

from loadtests.cli.stored import RunArgument, url_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analysis.summary import Judged

RUN = click.argument("run", type=RunArgument(), default=Path("results/latest"), metavar="[RUN]")


def judged_of(path: Path, *, chunks: bool = False) -> list[Judged]:
    """Everything that a RUN argument stands for, judged: a run, each of its arms, each run of a campaign."""
    from analysis.campaign import runs_of
    from analysis.summary import judge

    with _drafts(path) as drafts:
        return [judge(run) for run in runs_of(path, chunks, drafts)]


@contextmanager
def _drafts(path: Path) -> Iterator[dict[Path, Path]]:
    """By the directory of each unfinished run that a RUN argument stands for, the files of its state so far."""
    from analysis.campaign import members
    from analysis.runs import is_unfinished

    found = [run for run in members(path) if is_unfinished(run)]
    if not found:
        yield {}
        return
    with TemporaryDirectory(prefix="firsttoken-") as folder:
        places = {run: Path(folder, str(number)) for number, run in enumerate(found)}
        yield {run.resolve(): into for run, into in places.items() if _is_drafted(run, into)}


def _is_drafted(run: Path, into: Path) -> bool:
    """Draft an unfinished run; False where it was finished meanwhile."""
    from analysis.runs import is_unfinished
    from loadtests.finish import draft
    from loadtests.sink import DiskFullError

    try:
        draft(run, into)
    except DiskFullError as error:
        fix = "make room, or name another place in $TMPDIR"
        raise click.ClickException(f"{error.strerror}: {run} is unfinished and needs it to be judged: {fix}") from None
    except (OSError, ValueError):
        if is_unfinished(run):
            raise
        return False
    return True


def show(judged: list[Judged]) -> None:
    """Print tables on stdout, one after another, and how arms compare; colours only on a terminal."""
    from rich.console import Console

    from analysis.sides import within
    from analysis.table import render, render_comparison

    console = Console(width=None if sys.stdout.isatty() else 100)
    for place, one in enumerate(judged):
        if place:
            console.print()
        render(one.summary, console)
    for comparison in within(judged):
        console.print()
        render_comparison(comparison, console)


def write_all(judged: list[Judged], *, report: bool) -> list[Path]:
    """Write what analysis keeps in each run directory; returns the reports' paths, or the directories' without."""
    from itertools import groupby

    return [_write(list(arms), report=report) for _, arms in groupby(judged, key=lambda one: one.run.path)]


def _write(arms: list[Judged], *, report: bool) -> Path:
    if report:
        from analysis.report import write

        return write(arms)
    from analysis.files import write_judgement

    write_judgement(arms)
    return arms[0].run.path


def plain(values: list[Any]) -> Any:
    """As JSON has it: one object for one run, a list for several."""
    return values[0] if len(values) == 1 else values


def is_invalid(judged: list[Judged]) -> bool:
    """Whether a run among them is not valid."""
    return any(one.summary.validity.verdict == "invalid" for one in judged)


def dump(value: Any) -> None:
    """Print JSON for machines."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


@click.command()
@click.argument("runs", nargs=-1, type=RunArgument(), metavar="[RUN]...")
@click.option(
    "--json", "as_json", is_flag=True,
    help="As JSON: one object for one run, a list for several runs or arms.",
)  # fmt: skip
def summary(runs: tuple[Path, ...], *, as_json: bool) -> int:
    """Print the numbers of one or more runs (default: results/latest).

    A run of several arms and a campaign give one table after another, and then how the arms compare. Of a run that is
    on or was killed, what is there so far is judged. Exit code 3 where a run is not valid; its numbers are printed all
    the same.
    """
    every = [judged_of(path) for path in runs or (Path("results/latest"),)]
    if as_json:
        dump(plain([one.summary.to_json() for judged in every for one in judged]))
    else:
        for judged in every:
            show(judged)
    return 3 if any(is_invalid(judged) for judged in every) else 0


@click.command()
@RUN
@click.option("--json", "as_json", is_flag=True, help="Print the report's path as JSON; of a campaign a list of them.")
def report(run: Path, *, as_json: bool) -> int:
    """Draw the charts of a run into one HTML file that opens from disk (default: results/latest).

    Of a campaign, each of its runs gets its own; of a run that is on or was killed, what is there so far is drawn.
    """
    from analysis.campaign import members

    paths = [path for one in members(run) for path in write_all(judged_of(one, chunks=True), report=True)]
    if as_json:
        dump(plain([{"report": url_of(path) or str(path.resolve())} for path in paths]))
    else:
        for path in paths:
            click.echo(url_of(path) or os.path.relpath(path))
    return 0


@click.command()
@click.argument("a", type=RunArgument(), metavar="RUN")
@click.argument("b", type=RunArgument(), required=False, metavar="[RUN]")
@click.option("--json", "as_json", is_flag=True, help="As JSON: one object, or a list where arms make several pairs.")
def compare(a: Path, b: Path | None, *, as_json: bool) -> int:
    """Put run B beside run A: each percentile, the ratio B/A, and in which settings they differ.

    With one run or campaign of several arms: its first arm is A, and each other one is B in turn. Where blocks or
    rounds were played by both, the ratio is paired over them and has its interval.
    """
    from analysis.runs import RunError
    from analysis.sides import between, within

    left = judged_of(a)
    comparisons = within(left) if b is None else between(left, judged_of(b), (a, b))
    if not comparisons:
        raise RunError(f"{a}: one arm alone; name a second run to put beside it")
    if as_json:
        dump(plain([one.to_json() for one in comparisons]))
        return 0
    from rich.console import Console

    from analysis.table import render_comparison

    console = Console(width=None if sys.stdout.isatty() else 100)
    for place, comparison in enumerate(comparisons):
        if place:
            console.print()
        render_comparison(comparison, console)
    return 0
