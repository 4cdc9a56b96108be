"""A candidate's runs held against objectives: from their rows, one run at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from analysis import digest
from analysis.campaign import runs_of
from analysis.compare import sides
from analysis.rundir import RunError
from analysis.summary import judge
from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from analysis.digest import Digest
    from analysis.objectives import Objectives, Outcome


class Held(NamedTuple):
    """A run of one arm and what became of each objective in it."""

    digest: Digest
    outcomes: tuple[Outcome, ...]


def held(paths: Iterable[Path], objectives: Objectives) -> list[Held]:
    """
    Every run that the paths stand for, in order of time, each once.

    Raises:
        RunError: There is no run, or one whose rows are not there.
    """
    found: dict[tuple[str, str], Held] = {}
    for folder in (folder for path in paths for folder in _folders(path)):
        if not (folder / record.REQUESTS).is_file() and (folder / record.QUANTILES).is_file():
            raise RunError(_no_rows(folder))
        for run in runs_of(folder):
            judged = judge(run, objectives, ps=digest.STORED)
            one = Held(digest.of(judged), judged.summary.objectives)
            found[one.digest.facts.run_id, one.digest.facts.arm] = one
    return sorted(found.values(), key=lambda one: one.digest.started_unix_ns)


def _folders(path: Path) -> list[Path]:
    """The run directories that a path stands for; itself where it is nothing known: `runs_of` says what is wrong."""
    found = sides.run_folders(path)
    if not found and (path.is_file() or (path.is_dir() and any(path.glob("*.parquet")))):
        raise RunError(_no_rows(path))
    return found or [path]


def _no_rows(path: Path) -> str:
    return f"{path}: objectives need a run's rows, which are not here; name the run's directory"
