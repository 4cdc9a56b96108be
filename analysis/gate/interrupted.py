"""Campaigns of which runs were planned that never began: what they tell is less than was wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from analysis import campaign

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Interrupted(NamedTuple):
    """A side, how many runs its campaigns planned, and how many of them began."""

    side: str
    planned: int
    played: int

    @property
    def text(self) -> str:
        """As a sentence."""
        return f"{self.side}: {self.played} of {self.planned} planned runs were made"


def interrupted(side: str, paths: Iterable[Path], arm: str | None) -> list[Interrupted]:
    """
    The side, where a campaign that was named, or lies in a folder that was, lacks planned runs; else nothing.

    Args:
        side: What it is called.
        paths: As they were named; a run of a campaign that was named by itself stands for no campaign.
        arm: The arm that counts; None: all of them.

    Raises:
        RunError: The file of a campaign cannot be read.
    """
    found = {folder.resolve(): campaign.read(folder) for path in paths for folder in _campaigns(path)}
    planned = played = 0
    for one in found.values():
        mine = [[run for run in runs if _is_of(run.get("arm"), arm)] for runs in (one.runs, one.begun)]
        planned, played = planned + len(mine[0]), played + len(mine[1])
    return [Interrupted(side, planned, played)] if played < planned else []


def _is_of(told: object, arm: str | None) -> bool:
    """A run without an arm's name is one of all arms."""
    return arm is None or not told or told == arm


def _campaigns(path: Path) -> list[Path]:
    if campaign.is_campaign(path):
        return [path]
    inside = sorted(path.iterdir()) if path.is_dir() else []
    return [one for one in inside if not one.is_symlink() and campaign.is_campaign(one)]
