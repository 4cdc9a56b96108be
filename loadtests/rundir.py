"""A run directory: made, named, described, and pointed to as the latest one."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from loadtests import clock, headroom, manifest, record
from loadtests.sink import DISK_FULL

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.plan import Plan
    from loadtests.profiles import Profile

HASHED_PROMPTS: Final = 1000
"""Prompts that the manifest's hash of the prompt set covers, however long the run: runs of a seed have the same."""


class NoRoomError(Exception):
    """The disk is full before the first request: nothing was sent."""


class RunError(ValueError):
    """A run that cannot begin: one line with what, where and the fix."""


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything that a run is made from."""

    plan: Plan
    profile: Profile
    out: Path
    name: str
    argv: list[str]
    labels: dict[str, str] = field(default_factory=dict)


def create(setup: Setup) -> Path:
    """
    Make `<out>/<UTC stamp>-<name>[-<n>]/`.

    Raises:
        RunError: The directory cannot be made.
    """
    stem = f"{clock.utc_stamp()}-{setup.name}"
    try:
        setup.out.mkdir(parents=True, exist_ok=True)
        for n in range(1, 1000):
            path = setup.out / (stem if n == 1 else f"{stem}-{n}")
            try:
                path.mkdir(mode=0o700)  # error texts and bodies are for whoever made the run
            except FileExistsError:
                continue
            (path / record.PARTS).mkdir()
            return path
    except OSError as error:
        if error.errno in DISK_FULL:
            raise NoRoomError(f"--out {setup.out}: {error.strerror}; nothing was sent") from None
        raise RunError(f"--out {setup.out}: {error.strerror or error}; name a directory that can be written") from None
    raise RunError(f"--out {setup.out}: a thousand runs called {stem}")


def point_latest(out: Path, name: str) -> None:
    """Point `latest` to the newest run; a real file or directory of that name is left alone."""
    link = out / "latest"
    if link.is_symlink() or not link.exists():
        partial = out / f".latest-{os.getpid()}"
        partial.unlink(missing_ok=True)
        partial.symlink_to(name)
        partial.replace(link)


def describe(setup: Setup, path: Path, profile: Profile) -> dict[str, Any]:
    """The manifest of a run that is about to begin."""
    plan = setup.plan
    source = plan.source()
    planned = None
    hashes: dict[str, str] = {}
    if plan.mode == "open":
        schedule = plan.open_schedule()
        hashes["schedule"], planned = schedule.digest(), len(schedule)
    hashes |= {"workload": source.digest(0), "prompts": source.digest(HASHED_PROMPTS)}
    return {
        "schema_version": record.SCHEMA_VERSION,
        "run_id": path.name,
        "campaign_id": None,
        "name": setup.name,
        "argv": setup.argv,
        "labels": setup.labels,
        "seed": plan.seed,
        "started_unix_ns": None,
        "model": plan.model,
        "profile": profile.model_dump(mode="json"),
        "plan": plan.to_json(),
        "planned": planned,
        "hashes": hashes,
        "host": manifest.host(),
        "versions": manifest.versions(),
        "limits": manifest.limits(),
        # The limit was found on our own wire; httpx's transport costs more per event.
        "headroom": headroom.stamp() if profile.proxy is None and profile.http_version == "1.1" else None,
        "ended": False,
        "stop": None,
    }
