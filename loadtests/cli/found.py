"""A sweep or a search that is there, told again: what `summary` prints of its folder, and the page of `report`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from loadtests.cli.after import fail
from loadtests.cli.stored import url_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from analysis.capacity.meaning import Asked, Meaning
    from analysis.capacity.told import Told
    from analysis.objectives import Objectives


def told_of(path: Path, objectives: Objectives | None = None) -> Told | None:
    """The sweep or the search that lies there; None where none does, or none of its runs is over yet."""
    from analysis import campaign
    from analysis.capacity import told

    if not told.is_told(path):
        return None
    over = [run for run in campaign.read(path).runs if run.get("state") == "done" and run.get("step")]
    return told.read(path, objectives) if over else None


def meanings_of(told: Told) -> list[Meaning]:
    """What its answers mean, for what was asked when it was played."""
    from analysis.capacity.told import meanings

    return meanings(told, asked_in(_argv(told)))


def asked_in(argv: list[str]) -> Asked | None:
    """The questions of a search's command line; None where that holds none that can still be read."""
    from analysis.capacity.sizing import SizingError
    from loadtests.cli import sized
    from loadtests.cli.capacity import capacity
    from loadtests.schedule import ScheduleError

    if argv[1:2] != ["capacity"]:
        return None
    try:
        context = capacity.make_context("capacity", argv[2:], resilient_parsing=True)
        return sized.asked(context.params)
    except (SizingError, ScheduleError, OSError, click.UsageError):
        return None  # a trace that is not there any more


def _argv(told: Told) -> list[str]:
    return list(next(iter(told.facts.values())).argv)


def summed(paths: list[Path], promised: Objectives | None, by: tuple[str, ...], *, whole: bool, as_json: bool) -> int:
    """Print each run's own numbers; of a sweep or a search what it found, unless more of each run was asked for."""
    from analysis.capacity import show
    from loadtests.cli import judge

    values, codes = [], []
    for path in paths:
        told = None if by or whole else told_of(path, promised)
        if told is not None:
            codes.append(exit_code(told))
            if as_json:
                values.append(show.plain(told, meanings_of(told)))
            else:
                show.render(told, judge.console_of(), meanings_of(told))
            continue
        judged = judge.judged_of(path, objectives=promised, by=by)
        codes.append(judge.exit_code(judged))
        if as_json:
            values += [one.summary.to_json() for one in judged]
        else:
            judge.show(judged, whole=whole)
    if as_json:
        judge.dump(judge.plain(values))
    return 3 if 3 in codes else max(codes)


def draw(told: Told, meanings: Sequence[Meaning]) -> None:
    """Draw its page and say where it is, or in a line why it cannot be drawn now."""
    from analysis.capacity import report

    try:
        page = report.write(told, meanings)
    except OSError as error:
        fail(f"{told.path}: {error.strerror or error}; draw it later: `firsttoken report {told.path}`", 3)
    else:
        click.echo(f"report: {url_of(page) or os.path.relpath(page)}", err=True)


def exit_code(told: Told) -> int:
    """As the verb that played it ended: that a load was too much is worth knowing."""
    from loadtests.cli import searching, sweeping

    return searching.exit_code(told.answers) if told.answers else sweeping.exit_code(list(told.points))
