"""A run directory: made, named, described, and pointed to as the latest one."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from loadtests import clock, headroom, manifest, record, workload
from loadtests.plan import TRACE
from loadtests.sink import DISK_FULL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from loadtests.plan import Plan
    from loadtests.profiles import Profile

HASHED_PROMPTS: Final = 100
"""Prompts that the manifest's hash of the prompt set covers, however long the run: runs of a seed have the same."""


class NoRoomError(Exception):
    """The disk is full before the first request: nothing was sent."""


class RunError(ValueError):
    """A run that cannot begin: one line with what, where and the fix."""


class Place(NamedTuple):
    """A run's place in its campaign: whose it is, the folder that it gets, and the round it is played in."""

    campaign_id: str
    folder: str
    round: int


class Remote(NamedTuple):
    """
    Workers on other machines.

    Attributes:
        bind: Host and port at which the master listens for them.
        wait_s: How long it waits for them.
        again_s: For so long at most they are to come back for a run that follows; 0: none does.
    """

    bind: tuple[str, int]
    wait_s: float
    again_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Setup:
    """
    Everything that a run is made from.

    Attributes:
        profiles: Of the plan's arms, in their order.
        campaign: Where it belongs, if it does to a campaign.
        remote: Where its workers come from, if they are no processes of this machine.
    """

    plan: Plan
    profiles: Sequence[Profile]
    out: Path
    name: str
    argv: list[str]
    labels: dict[str, str] = field(default_factory=dict)
    campaign: Place | None = None
    remote: Remote | None = None

    @property
    def profile(self) -> Profile:
        """Of the first arm."""
        return self.profiles[0]


def create(setup: Setup) -> Path:
    """
    Make `<out>/<UTC stamp>-<name>[-<n>]/`, or the folder that the run has in its campaign, with its parts directory.

    Raises:
        RunError: The directory cannot be made.
    """
    path = folder_of(setup) if setup.campaign is None else _made(setup, [setup.campaign.folder])
    with _explained(setup):
        (path / record.PARTS).mkdir()
    return path


def folder_of(setup: Setup) -> Path:
    """
    Make `<out>/<UTC stamp>-<name>[-<n>]/`.

    Raises:
        RunError: The directory cannot be made.
    """
    stem = f"{clock.utc_stamp()}-{setup.name}"
    return _made(setup, [stem, *(f"{stem}-{n}" for n in range(2, 1000))])


def _made(setup: Setup, names: list[str]) -> Path:
    """The first of these directories that is not there yet."""
    with _explained(setup):
        setup.out.mkdir(parents=True, exist_ok=True)
        for name in names:
            path = setup.out / name
            try:
                path.mkdir(mode=0o700)  # error texts and bodies are for whoever made the run
            except FileExistsError:
                continue
            return path
    raise RunError(f"--out {setup.out}: a run called {names[-1]} already exists")


@contextmanager
def _explained(setup: Setup) -> Iterator[None]:
    """What a system says of a directory that cannot be made, as a line of ours."""
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise NoRoomError(f"--out {setup.out}: {error.strerror}; nothing was sent") from None
        raise RunError(f"--out {setup.out}: {error.strerror or error}; name a directory that can be written") from None


def point_latest(out: Path, name: str) -> None:
    """Point `latest` to the newest run; a real file or directory of that name is left alone."""
    link = out / "latest"
    if link.is_symlink() or not link.exists():
        partial = out / f".latest-{os.getpid()}"
        partial.unlink(missing_ok=True)
        partial.symlink_to(name)
        partial.replace(link)


def describe(setup: Setup, path: Path, profiles: Sequence[Profile]) -> dict[str, Any]:
    """
    The manifest of a run that is about to begin; what its workload and schedule were read from is kept beside it.

    Args:
        setup: What it is made from.
        path: Its directory.
        profiles: Of the arms, as they are really asked.
    """
    plan, parts = setup.plan, path / record.PARTS
    _keep_inputs(plan, parts)
    source = plan.source(parts)
    planned = None
    hashes: dict[str, str] = {}
    if plan.mode == "open":
        schedule = plan.open_schedule(parts, source)
        hashes["schedule"], planned = schedule.digest(), schedule.requests
    else:
        loop = plan.closed_schedule()
        hashes["schedule"] = hashlib.sha256(orjson.dumps([loop.users, loop.steps])).hexdigest()
    asked = orjson.dumps([plan.workload, *plan.definitions], option=orjson.OPT_SORT_KEYS)
    hashes |= {"workload": hashlib.sha256(asked).hexdigest(), "prompts": source.digest(HASHED_PROMPTS)}
    direct = all(profile.proxy is None and profile.http_version == "1.1" for profile in profiles)
    place = setup.campaign
    return {
        "schema_version": record.SCHEMA_VERSION,
        "run_id": path.name if place is None else f"{place.campaign_id}/{path.name}",
        "campaign_id": place and place.campaign_id,
        "round": place and place.round,
        "name": setup.name,
        "argv": setup.argv,
        "labels": setup.labels,
        "seed": plan.seed,
        "started_unix_ns": None,
        "model": plan.model,
        "profile": profiles[0].model_dump(mode="json"),
        "arms": [
            {**asdict(arm), "profile": profile.model_dump(mode="json")}
            for arm, profile in zip(plan.arms, profiles, strict=True)
        ],
        "plan": plan.to_json(),
        "planned": planned,
        "hashes": hashes,
        "host": manifest.host(),
        "versions": manifest.versions(),
        "limits": manifest.limits(),
        # The limit was found on our own wire; httpx's transport costs more per event.
        "headroom": headroom.stamp() if direct else None,
        "ended": False,
        "stop": None,
    }


def _keep_inputs(plan: Plan, parts: Path) -> None:
    """A trace and what was drawn from datasets, so that workers, and whoever finishes the run, need no other file."""
    if plan.trace is not None:
        plan.open_schedule().save(parts / TRACE)
    workload.save_samples(plan.definitions, plan.seed, parts)


def inputs_of(path: Path) -> dict[str, bytes]:
    """By name, what workers on other machines need beside the manifest of a run that is about to begin."""
    found = (one for one in sorted((path / record.PARTS).iterdir()) if one.name == TRACE or one.suffix == ".jsonl")
    return {one.name: one.read_bytes() for one in found}


def note(path: Path, facts: dict[str, Any]) -> None:
    """Put facts into the manifest of a run that is on; where the disk has no room for it, what was there stays."""
    try:
        manifest.write(path, manifest.read(path) | facts)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
