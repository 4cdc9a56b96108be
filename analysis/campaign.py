"""
A campaign: a folder of runs that belong together, and whatever else may stand where a run is asked for.

Stands right behind `runs` and `arms`: from here on there are only runs of one arm each.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from analysis import runs
from analysis.arms import arms
from analysis.runs import RunError

if TYPE_CHECKING:
    from analysis.runs import Run

FILE: Final = "campaign.json"
SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Campaign:
    """
    What campaign.json tells.

    Attributes:
        path: The campaign's folder, links resolved.
        runs: Of each run planned, in the order of time: `folder`, `arm`, `round`, `seed`, `state` (planned, done or
            stopped).
    """

    path: Path
    runs: tuple[dict[str, Any], ...]

    @property
    def begun(self) -> tuple[dict[str, Any], ...]:
        """The runs that have something on disk."""
        return tuple(run for run in self.runs if run.get("state") != "planned")


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
    return Campaign(folder, tuple(told["runs"]))


def members(path: str | Path) -> list[Path]:
    """The run directories that a path stands for: itself, or those of a campaign that have begun."""
    if not is_campaign(path):
        return [Path(path)]
    campaign = read(path)
    return [campaign.path / str(about.get("folder")) for about in campaign.begun]


def runs_of(path: str | Path, chunks: bool = False) -> list[Run]:
    """
    Whatever stands for a run as runs of one arm each: a run directory, one of several arms, a campaign's folder.

    Args:
        path: A directory, or a link to one such as `results/latest`.
        chunks: Read the per-chunk lists too.

    Returns:
        At least one; a run's arms in the order they were named, a campaign's runs in that of time.

    Raises:
        RunError: As `runs.load`; or a campaign of which nothing was run yet.
    """
    if not is_campaign(path):
        return _one(Path(path), chunks)
    campaign = read(path)
    if not campaign.begun:
        raise RunError(f"{path}: a campaign of which no run has begun")
    return [run for about in campaign.begun for run in arms(_member(campaign, about, chunks))]


def _one(path: Path, chunks: bool) -> list[Run]:
    """The arms of a run directory; one that lies in a campaign is told as part of it."""
    folder = path.resolve()
    if is_campaign(folder.parent):
        campaign = read(folder.parent)
        for about in campaign.runs:
            if about.get("folder") == folder.name:
                return arms(_member(campaign, about, chunks))
    return arms(runs.load(path, chunks))


def _member(campaign: Campaign, about: dict[str, Any], chunks: bool) -> Run:
    """One of its runs, named after the campaign and, where the campaign has several arms, the arm."""
    run = runs.load(campaign.path / str(about.get("folder")), chunks)
    manifest = run.manifest | {"round": about.get("round", run.manifest.get("round"))}
    label, told = f"{campaign.path.name}/{run.path.name}", manifest.get("arms") or [{}]
    if len(told) == 1 and about.get("arm"):
        manifest["arms"] = [told[0] | {"name": about["arm"]}]
        several = len({entry.get("arm") for entry in campaign.runs}) > 1
        label += f" · {about['arm']}" if several else ""
    return replace(run, manifest=manifest, label=label)
