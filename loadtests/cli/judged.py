"""What RUN arguments stand for, judged: runs, arms, the runs of a campaign; shown, and written into their places."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests.cli.drafts import drafts
from loadtests.cli.output import console_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from analysis.digest import Digest
    from analysis.objectives import Objectives
    from analysis.summary import Judged


def each_of(paths: Iterable[Path]) -> list[Path]:
    """Runs and campaigns; of a folder of these, each that is in it and has rows."""
    from analysis.campaign import is_campaign
    from analysis.compare.sides import run_folders
    from analysis.rundir import is_unfinished
    from loadtests.record import REQUESTS

    found: list[Path] = []
    for path in paths:
        inside = run_folders(path)
        is_folder = inside and not is_campaign(path) and path not in inside
        rowed = [run for run in inside if (run / REQUESTS).is_file() or is_unfinished(run)]
        found += (rowed or inside) if is_folder else [path]
    return found


def judged_of(
    path: Path, *, chunks: bool = False, objectives: Objectives | None = None, by: Collection[str] = ()
) -> list[Judged]:
    """Everything that a RUN argument stands for, judged: a run, each of its arms, each run of a campaign."""
    from analysis.campaign import runs_of
    from analysis.groups import USUAL
    from analysis.summary import judge

    with drafts([path]) as kept:
        return [judge(run, objectives, (*USUAL, *by)) for run in runs_of(path, chunks, kept)]


def digests_of(paths: Iterable[Path], objectives: Objectives | None = None) -> list[Digest]:
    """The digests of everything that RUN arguments stand for."""
    from analysis.compare import sides

    paths = list(paths)
    with drafts(paths) as kept:
        return sides.read(paths, objectives, kept)


def show(judged: list[Judged], *, whole: bool = False) -> None:
    """Print tables on stdout, one after another, and how arms compare; colours only on a terminal."""
    from analysis import digest
    from analysis.campaign import arms_of
    from analysis.compare import sides
    from analysis.compare import table as compared
    from analysis.compare.rules import Rules
    from analysis.table import render

    console = console_of()
    for place, one in enumerate(judged):
        if place:
            console.print()
        render(one.summary, console, whole=whole)
    if len({one.run.arm for one in judged}) < 2:
        return
    named = arms_of(judged[0].run.path)
    for comparison in sides.within([digest.of(one) for one in judged], Rules(), named):
        console.print()
        compared.render(comparison, console, whole=whole)


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


def is_invalid(judged: list[Judged]) -> bool:
    """Whether a run among them is not valid."""
    return any(one.summary.validity.verdict == "invalid" for one in judged)


def exit_code(judged: list[Judged]) -> int:
    """3 where a run is not valid, 1 where an objective was missed."""
    missed = any(one.verdict == "missed" for judgement in judged for one in judgement.summary.objectives)
    return 3 if is_invalid(judged) else 1 if missed else 0
