"""
Which digests stand for a side: those of a run, a campaign, a folder of runs, or of files that a repository keeps.

Rows are read only where there is no quantiles.parquet that tells the same, one run at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from analysis import campaign, digest, quantiles
from analysis.campaign import is_campaign, members, runs_of
from analysis.compare.judge import compare
from analysis.rundir import RunError, is_unfinished
from analysis.summary import judge
from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from analysis.compare.comparison import Comparison
    from analysis.compare.rules import Rules
    from analysis.digest import Digest
    from analysis.objectives import Objectives

NO_DRAFTS: Final[Mapping[Path, Path]] = {}
MANY_LOADS: Final = ("sweep", "capacity")


def read(
    paths: Iterable[Path], objectives: Objectives | None = None, drafts: Mapping[Path, Path] = NO_DRAFTS
) -> list[Digest]:
    """
    The digests that paths stand for, in order of time; what several paths hold counts once.

    Args:
        paths: Each a run, a campaign, a folder of runs or campaigns, a folder of quantiles.parquet files, or one such.
        objectives: What goodput counts by; None: what each run was planned with.
        drafts: By the directory of an unfinished run, links resolved, where the files of its state so far are.

    Raises:
        RunError: Nothing of the kind is there, or it cannot be read.
    """
    paths = list(paths)
    refuse_loads(paths)
    every = (one for path in paths for one in _of(path, objectives, drafts))
    found = {(one.facts.run_id, one.started_unix_ns, one.facts.arm): one for one in every}
    return sorted(found.values(), key=lambda one: one.started_unix_ns)


def refuse_loads(paths: Iterable[Path]) -> None:
    """
    Refuse campaigns whose runs are no repeats of each other.

    Raises:
        RunError: One of them is a sweep or a search.
    """
    for path in paths:
        if is_campaign(path) and campaign.read(path).kind in MANY_LOADS:
            fix = "name one of its runs, or put searches side by side: `firsttoken capacity A B`"
            raise RunError(f"{path}: its runs are of different loads, and no repeats of each other; {fix}")


def _of(path: Path, objectives: Objectives | None, drafts: Mapping[Path, Path]) -> list[Digest]:
    if path.is_file():
        return quantiles.read(path)
    if not path.is_dir():
        raise RunError(f"{path}: no such run, campaign, folder of runs or quantiles.parquet")
    if is_campaign(path):
        return [one for run in members(path) for one in _run(run, objectives, drafts)]
    if _is_run(path):
        return _run(path, objectives, drafts)
    return _folder(path, objectives, drafts)


def run_folders(path: Path) -> list[Path]:
    """The run directories that a path stands for: itself, those of a campaign, or those of a folder of both."""
    if not path.is_dir():
        return []
    if is_campaign(path) or _is_run(path):
        return members(path)
    inside = [one for one in sorted(path.iterdir()) if one.is_dir() and not one.is_symlink()]
    return [run for one in inside if is_campaign(one) or _is_run(one) for run in members(one)]


def _is_run(folder: Path) -> bool:
    return (folder / record.MANIFEST).is_file() or (folder / record.PARTS).is_dir()


def _folder(folder: Path, objectives: Objectives | None, drafts: Mapping[Path, Path]) -> list[Digest]:
    """Everything in a folder, one level down; links such as `latest` are left out, they name what is there anyway."""
    inside = [one for one in sorted(folder.iterdir()) if not one.is_symlink()]
    files = [one for one in inside if one.suffix == ".parquet" and one.is_file()]
    kept = [one for one in inside if one.is_dir() and (_is_run(one) or is_campaign(one))]
    bare = [
        one / record.QUANTILES
        for one in inside
        if one.is_dir() and one not in kept and (one / record.QUANTILES).is_file()
    ]
    found = [one for path in (*files, *bare, *kept) for one in _of(path, objectives, drafts)]
    if not found:
        raise RunError(f"{folder}: no run, campaign or quantiles.parquet in it")
    return found


def _run(folder: Path, objectives: Objectives | None, drafts: Mapping[Path, Path]) -> list[Digest]:
    """The digests of one run directory: as kept, where that is of its rows and counts by the same objectives."""
    rows, kept = folder / record.REQUESTS, folder / record.QUANTILES
    if kept.is_file() and not is_unfinished(folder):
        if not rows.is_file():
            return quantiles.read(kept)
        if kept.stat().st_mtime_ns >= rows.stat().st_mtime_ns and (told := _kept(kept, objectives)):
            return told
    return [digest.of(judge(run, objectives, ps=digest.STORED)) for run in runs_of(folder, drafts=drafts)]


def _kept(path: Path, objectives: Objectives | None) -> list[Digest]:
    """What a file holds; nothing where it is of another schema or counts by other objectives."""
    try:
        told = quantiles.read(path)
    except RunError:
        return []
    return told if objectives is None or all(one.objectives == objectives.texts for one in told) else []


# Sides by arm.


def by_arm(digests: Iterable[Digest]) -> dict[str, list[Digest]]:
    """The runs of each arm, arms and runs in the order they were given."""
    sides: dict[str, list[Digest]] = {}
    for one in digests:
        sides.setdefault(one.facts.arm, []).append(one)
    return sides


def within(digests: Iterable[Digest], rules: Rules, named: Sequence[str] = ()) -> list[Comparison]:
    """
    The first arm against each other one; empty where there is one arm alone.

    Args:
        digests: Of all arms.
        rules: Level, margins, primary metrics, what may differ.
        named: The arms in the order that counts; those that are not among them follow in the order of their digests.
    """
    sides = by_arm(digests)
    order = [arm for arm in named if arm in sides]
    first, *others = (sides[arm] for arm in dict.fromkeys([*order, *sides]))
    return [compare(first, other, rules) for other in others]


def between(a: Sequence[Digest], b: Sequence[Digest], rules: Rules, names: tuple[str, str]) -> list[Comparison]:
    """
    Two arguments against each other: all runs of each, or arm by arm where there are several.

    Args:
        a: The baseline's digests.
        b: Those of the other side.
        rules: Level, margins, primary metrics, what may differ.
        names: What was typed for the sides, for the message.

    Raises:
        RunError: One has several arms, and the other does not have the same ones.
    """
    left, right = by_arm(a), by_arm(b)
    if len(left) == len(right) == 1:
        return [compare(a, b, rules)]
    if left.keys() != right.keys():
        told = " against ".join(", ".join(side) for side in (left, right))
        several = names[0] if len(left) > 1 else names[1]
        raise RunError(f"the arms differ: {told}; `firsttoken compare {several}` puts those of one run side by side")
    return [compare(left[arm], right[arm], rules) for arm in left]
