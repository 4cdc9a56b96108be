"""
A campaign: a folder of runs that belong together, and whatever else may stand where a run is asked for.

Stands right behind `runs` and `arms`: from here on there are only runs of one arm each.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from analysis import rundir
from analysis.arms import arms
from analysis.rundir import RunError
from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analysis.rundir import Run

FILE: Final = "campaign.json"
SCHEMA_VERSION: Final = 1
NO_DRAFTS: Final[Mapping[Path, Path]] = {}


@dataclass(frozen=True, slots=True)
class Campaign:
    """
    What campaign.json tells.

    Attributes:
        path: The campaign's folder, links resolved.
        runs: Of each run planned, in the order of time: `folder`, `arm`, `round`, `seed`, `state` (planned, done or
            stopped), and `step` where runs differ in their load. What was stopped and is played again counts once.
        arms: Their names as they were given; each round plays them in an order of its own.
        kind: What its runs are for: `repeats`, `sweep` or `capacity`.
        options: What the verb that made it was asked for.
    """

    path: Path
    runs: tuple[dict[str, Any], ...]
    arms: tuple[str, ...] = ()
    kind: str = "repeats"
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def begun(self) -> tuple[dict[str, Any], ...]:
        """The runs that have something on disk; one that is on, or was killed, is still told as planned."""
        return tuple(run for run in self.runs if run.get("state") != "planned" or self._is_there(run))

    def _is_there(self, about: dict[str, Any]) -> bool:
        return (self.path / str(about.get("folder")) / record.MANIFEST).is_file()


def is_campaign(path: str | Path) -> bool:
    """Whether a campaign lies there."""
    return (Path(path) / FILE).is_file()


def read(path: str | Path) -> Campaign:
    """
    Read a campaign's own file.

    Raises:
        RunError: Not JSON, no list of runs in it, or of a newer schema.
    """
    folder = Path(path).resolve()
    file = folder / FILE
    try:
        told = json.loads(file.read_bytes())
    except ValueError as error:
        raise RunError(f"{file}: not JSON ({error})") from None
    if not isinstance(told, dict) or not isinstance(told.get("runs"), list):
        raise RunError(f"{file}: not a campaign of firsttoken")
    version = told.get("schema_version", SCHEMA_VERSION)
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        known = SCHEMA_VERSION
        raise RunError(f"{file}: schema {version}, this firsttoken knows up to {known}; read it with a newer one")
    kind, options = str(told.get("kind") or "repeats"), told.get("options") or {}
    return Campaign(folder, _once(told["runs"]), tuple(told.get("arms") or ()), kind, options)


def _once(told: list[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Its runs without those that were stopped and stand there again."""
    kept = [_what(run) for run in told if run.get("state") != "stopped"]
    return tuple(run for run in told if run.get("state") != "stopped" or _what(run) not in kept)


def _what(run: dict[str, Any]) -> tuple[Any, ...]:
    """What is played in a run."""
    return run.get("arm"), run.get("round"), run.get("step")


def arms_of(path: str | Path) -> tuple[str, ...]:
    """The arms of the campaign that is there, or that a run directory lies in, as they were named; empty elsewhere."""
    folder = Path(path).resolve()
    found = next((place for place in (folder, folder.parent) if is_campaign(place)), None)
    return () if found is None else read(found).arms


def members(path: str | Path) -> list[Path]:
    """The run directories that a path stands for: itself, or those of a campaign that have begun."""
    if not is_campaign(path):
        return [Path(path)]
    campaign = read(path)
    return [campaign.path / str(about.get("folder")) for about in campaign.begun]


def runs_of(path: str | Path, chunks: bool = False, drafts: Mapping[Path, Path] = NO_DRAFTS) -> list[Run]:
    """
    Whatever stands for a run as runs of one arm each: a run directory, one of several arms, a campaign's folder.

    Args:
        path: A directory, or a link to one such as `results/latest`.
        chunks: Read every column and the per-chunk lists, not only what judging needs.
        drafts: By the directory of an unfinished run, links resolved, where the files of its state so far are.

    Returns:
        At least one; a run's arms in the order they were named, a campaign's runs in that of time.

    Raises:
        RunError: As `rundir.load`; or a campaign of which nothing was run yet.
    """
    if not is_campaign(path):
        return _one(Path(path), chunks, drafts)
    campaign = read(path)
    begun = [about for about in campaign.begun if _is_readable(campaign.path / str(about.get("folder")), about, drafts)]
    if not begun:
        raise RunError(f"{path}: a campaign of which no run has begun")
    return [run for about in begun for run in arms(_member(campaign, about, chunks, drafts))]


def _is_readable(folder: Path, about: dict[str, Any], drafts: Mapping[Path, Path]) -> bool:
    """Not one that has begun since the drafts were made."""
    return about.get("state") != "planned" or folder in drafts or (folder / record.REQUESTS).is_file()


def _one(path: Path, chunks: bool, drafts: Mapping[Path, Path]) -> list[Run]:
    """The arms of a run directory; one that lies in a campaign is told as part of it."""
    folder = path.resolve()
    if is_campaign(folder.parent):
        campaign = read(folder.parent)
        for about in campaign.runs:
            if about.get("folder") == folder.name:
                return arms(_member(campaign, about, chunks, drafts))
    return arms(_load(path, chunks, drafts.get(folder)))


def _load(path: Path, chunks: bool, draft: Path | None) -> Run:
    return rundir.load(path, chunks, draft, None if chunks else rundir.JUDGED)


def _member(campaign: Campaign, about: dict[str, Any], chunks: bool, drafts: Mapping[Path, Path]) -> Run:
    """One of its runs, named after the campaign and, where the campaign has several arms, the arm."""
    folder = campaign.path / str(about.get("folder"))
    run = _load(folder, chunks, drafts.get(folder))
    manifest = run.manifest | {"round": about.get("round", run.manifest.get("round"))}
    label, told = f"{campaign.path.name}/{run.path.name}", manifest.get("arms") or [{}]
    if len(told) == 1 and about.get("arm"):
        manifest["arms"] = [told[0] | {"name": about["arm"]}]
        several = len({entry.get("arm") for entry in campaign.runs}) > 1
        label += f" · {about['arm']}" if several else ""
    return replace(run, manifest=manifest, label=label)
