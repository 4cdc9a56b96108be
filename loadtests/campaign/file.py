"""campaign.json: what a campaign is made from, enough to go on with it; and who holds its folder. Never a secret."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import orjson

from loadtests.plan import Plan
from loadtests.profiles import Profile
from loadtests.rundir import Remote, RunError, Setup

if TYPE_CHECKING:
    from pathlib import Path

FILE: Final = "campaign.json"
SCHEMA_VERSION: Final = 1
NEEDED: Final = {"plan", "sides", "kind", "rest_s", "runs", "name"}


VERBS: Final = {"repeats": "run", "sweep": "sweep", "capacity": "capacity"}


def read(path: Path, kind: str) -> dict[str, Any]:
    """
    What the file of a campaign of this kind says.

    Raises:
        RunError: There is none, it is broken, of another kind, or of a version that cannot be gone on with.
    """
    file = path / FILE
    try:
        told = orjson.loads(file.read_bytes())
    except OSError as error:
        raise RunError(f"{path}: no campaign to go on with ({FILE}: {error.strerror})") from None
    except orjson.JSONDecodeError as error:
        raise RunError(f"{file}: not JSON ({error})") from None
    version = told.get("schema_version") if isinstance(told, dict) else None
    if not isinstance(version, int):
        raise RunError(f"{file}: not a campaign of firsttoken")
    if version > SCHEMA_VERSION:
        raise RunError(f"{file}: schema {version}, this firsttoken goes on with up to {SCHEMA_VERSION}; update it")
    if not told.keys() >= NEEDED:
        raise RunError(f"{file}: an earlier firsttoken made it and kept no plan in it; start a new campaign")
    if told["kind"] != kind:
        verb = VERBS.get(told["kind"])
        fix = f"`firsttoken {verb} --resume {path}` goes on with it" if verb else "a later firsttoken made it"
        raise RunError(f"{path}: a campaign of `{verb or told['kind']}`; {fix}")
    return dict(told)


def write(path: Path, told: dict[str, Any]) -> None:
    """
    Write it whole or not at all.

    Raises:
        RunError: It cannot be written.
    """
    partial = path / f"{FILE}.tmp"
    try:
        partial.write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        partial.replace(path / FILE)
    except OSError as error:
        raise RunError(f"{path}: {error.strerror or error}; the campaign cannot go on") from None


def facts_of(setup: Setup) -> dict[str, Any]:
    """What the runs of a campaign are made from."""
    plan, remote = setup.plan, setup.remote
    return {
        "name": setup.name,
        "argv": setup.argv,
        "labels": setup.labels,
        "arms": [arm.name for arm in plan.arms],
        "seed": plan.seed,
        "plan": plan.to_json(),
        "sides": [
            {**asdict(arm), "profile": profile.model_dump(mode="json")}
            for arm, profile in zip(plan.arms, setup.profiles, strict=True)
        ],
        "remote": remote and {"bind": list(remote.bind), "wait_s": remote.wait_s},
    }


def setup_of(path: Path, told: dict[str, Any]) -> Setup:
    """The setup of a campaign whose folder is there, from what its file says."""
    about = {"plan": told["plan"], "arms": told["sides"]}
    profiles = [Profile.model_validate(side["profile"]) for side in told["sides"]]
    listening = told.get("remote")
    remote = None if listening is None else Remote(tuple(listening["bind"]), listening["wait_s"])
    return Setup(
        Plan.from_manifest(about), profiles, path.parent, told["name"], list(told.get("argv") or ()),
        dict(told.get("labels") or {}), remote=remote,
    )  # fmt: skip


def hold(path: Path) -> int:
    """
    Hold the folder of a campaign against others; closing the descriptor lets go, and so does the end of the process.

    Raises:
        RunError: Somebody else holds it.
    """
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno == errno.EWOULDBLOCK:
            os.close(folder)
            raise RunError(f"{path}: the campaign is on in another process; wait for its end, or stop it") from None
        # else a file system without locks on folders, where nobody can tell
    return folder


def let_go(folder: int) -> None:
    """What `hold` gave, at once: where gevent has patched os.close, that is only done later."""
    with suppress(OSError):  # of a file system without locks on folders
        fcntl.flock(folder, fcntl.LOCK_UN)
    os.close(folder)
