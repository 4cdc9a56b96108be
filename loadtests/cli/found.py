"""A sweep or an existing search, told again: what `summary` prints of its folder, and the page of `report`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import click

from loadtests.cli import judged as judging
from loadtests.cli.output import console_of, dump, fail, plain, worst
from loadtests.cli.sized import asked_in
from loadtests.cli.stored import url_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from analysis.capacity.answer import Answer
    from analysis.capacity.meaning import Meaning
    from analysis.capacity.point import Point
    from analysis.capacity.told import Told
    from analysis.objectives import Objectives

LIMITED: Final = {"client": 3, "quota": 4}
"""The exit code of a search, by what ended it before a promise broke."""


def told_of(path: Path, objectives: Objectives | None = None) -> Told | None:
    """The sweep or the search that lies there; None where none does, or none of its runs has finished yet."""
    from analysis import campaign
    from analysis.capacity import told

    if not told.is_told(path):
        return None
    over = [run for run in campaign.read(path).runs if run.get("state") == "done" and run.get("step")]
    return told.read(path, objectives) if over else None


def so_far(told: Told) -> str:
    """That it is on in another process, or was stopped, in a sentence; empty where it is over."""
    from loadtests.cli.state import is_held

    name, url = f"The {told.name} {told.path.name}", url_of(told.path)
    if is_held(told.path):
        return f"{name} is still on; this is its state so far."
    if told.is_over:
        return ""
    if url is not None:
        return f"{name} is not over; this is its state so far."
    go_on = f"`firsttoken {told.kind} --resume {told.path}` continues it"
    return f"{name} was stopped before its end, and this is its state so far; {go_on}."


def say_so_far(told: Told) -> None:
    """The same on a line of its own, before what it says."""
    if words := so_far(told):
        click.echo(f"{words}\n")


def meanings_of(told: Told) -> list[Meaning]:
    """What its answers mean, for what was asked when it was played."""
    from analysis.capacity.told import meanings

    return meanings(told, asked_in(list(next(iter(told.facts.values())).argv)))


def summed(paths: list[Path], promised: Objectives | None, by: tuple[str, ...], *, whole: bool, as_json: bool) -> int:
    """Print each run's own numbers; of a sweep or a search what it found, unless more of each run was asked for."""
    from analysis.capacity import show

    values, codes = [], []
    for path in paths:
        told = None if by or whole else told_of(path, promised)
        if told is not None:
            codes.append(exit_code(told))
            if as_json:
                values.append(show.plain(told, meanings_of(told)))
            else:
                say_so_far(told)
                show.render(told, console_of(), meanings_of(told))
            continue
        judged = judging.judged_of(path, objectives=promised, by=by)
        codes.append(judging.exit_code(judged))
        if as_json:
            values += [one.summary.to_json() for one in judged]
        else:
            judging.show(judged, whole=whole)
    if as_json:
        dump(plain(values))
    return worst(codes)


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
    return searched_code(told.answers) if told.answers else swept_code(told.points)


def searched_code(answers: Iterable[Answer]) -> int:
    """The worst of them: 3 the client was the limit, 1 nothing keeps the promise, 4 a quota or nothing decided, 0."""
    codes = {_code(answer) for answer in answers}
    return next((code for code in (3, 1, 4) if code in codes), 0)


def _code(answer: Answer) -> int:
    if answer.limited_by in LIMITED:
        return LIMITED[answer.limited_by]
    if answer.value is None:
        return 4
    return 1 if answer.value == 0 else 0


def swept_code(points: Sequence[Point]) -> int:
    """3 where a run's client was its limit, or no run tells anything; that a load was too much is worth knowing."""
    told = [one for one in points if one.state == "unstable" or (one.state == "steady" and one.verdict != "invalid")]
    return 3 if not told or any(one.state == "client" for one in points) else 0
