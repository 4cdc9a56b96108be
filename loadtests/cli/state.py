"""Whether a run, or a campaign, is over, on, or was killed; whoever asks holds nothing and writes nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, Literal

from loadtests import clock
from loadtests.record import MANIFEST, PARTS, QUANTILES, REQUESTS

if TYPE_CHECKING:
    from pathlib import Path

State = Literal["finished", "on", "unfinished", "broken"]
WORST_LAST: Final[tuple[State, ...]] = ("finished", "unfinished", "broken", "on")
"""A campaign that nobody holds is in the last of the states that its runs are in."""

BEGINS_NS: Final = 3_600 * 10**9
"""So long a run may wait for its workers; until then one that has not begun counts as on."""

PRUNED: Final = "rows_pruned"
"""Key of run.json for rows that were deleted on purpose: `rows`, `bytes`, `unix_ns`."""


def of(path: Path, about: dict[str, Any]) -> State:
    """The state of a run directory, whose manifest says so much of itself."""
    if (path / REQUESTS).is_file():
        return "finished"
    if not (path / PARTS).is_dir():
        return "finished" if (path / QUANTILES).is_file() else "broken"
    if is_on(path):
        return "on"
    return "unfinished" if about.get("started_unix_ns") is not None else before(path)


def is_on(path: Path) -> bool:
    """Whether a worker of a run holds its parts."""
    from loadtests.parts import RunIsOnError, claim
    from loadtests.sink import LOCK

    if not (path / PARTS / LOCK).is_file():
        return False
    try:
        claim(path / PARTS).close()
    except RunIsOnError:
        return True
    return False


def before(path: Path) -> State:
    """Of a run that has not begun: its workers may still come up."""
    changed_ns = max(one.stat().st_mtime_ns for one in (path, path / MANIFEST) if one.exists())
    return "on" if clock.realtime_ns() - changed_ns < BEGINS_NS else "unfinished"


def is_held(path: Path) -> bool:
    """Whether a campaign is on in another process."""
    import fcntl

    from loadtests.campaign.file import let_go

    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # a file system without locks on folders, where nobody can tell
    finally:
        let_go(folder)
    return False
