"""A candidate's runs held against objectives: from their rows, one run at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from analysis import digest
from analysis.campaign import is_campaign, members, runs_of
from analysis.runs import RunError
from analysis.summary import judge
from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
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
            judged = judge(run, objectives)
            one = Held(digest.of(judged), judged.summary.objectives)
            found[one.digest.facts.run_id, one.digest.facts.arm] = one
    return sorted(found.values(), key=lambda one: one.digest.started_unix_ns)


def _folders(path: Path) -> Iterator[Path]:
    """The run directories that a path stands for: itself, those of a campaign, or those of a folder of either."""
    if is_campaign(path):
        yield from members(path)
        return
    if path.is_file() or (path.is_dir() and not _is_run(path) and any(path.glob("*.parquet"))):
        raise RunError(_no_rows(path))
    inside = (
        [] if _is_run(path) or not path.is_dir() else [one for one in sorted(path.iterdir()) if not one.is_symlink()]
    )
    runs = [one for one in inside if is_campaign(one) or _is_run(one)]
    if not runs:
        yield path  # itself, or nothing that is known: `runs_of` says what is wrong
    for one in runs:
        yield from _folders(one)


def _is_run(folder: Path) -> bool:
    return (folder / record.MANIFEST).is_file()


def _no_rows(path: Path) -> str:
    return f"{path}: objectives are held against a run's rows, which are not here; name the run's directory"
