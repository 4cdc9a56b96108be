"""What a campaign that was interrupted has left in the folder of a run: nothing, a whole run, or part of one."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Final, Literal

from loadtests import manifest
from loadtests.finish import INCOMPLETE, finish
from loadtests.parts import RunIsOnError
from loadtests.record import MANIFEST

if TYPE_CHECKING:
    from pathlib import Path

State = Literal["planned", "done", "stopped"]

ORPHANS_S: Final = 40.0
"""So long the workers of a parent that was killed may still wait for answers; what they offered is in its run."""

LOOK_S: Final = 0.2
CUT: Final = ("interrupt", "refused", "budget", INCOMPLETE)
"""Reasons of an early end that say nothing of the load."""


def left_over(folder: Path, wait_s: float = ORPHANS_S) -> State:
    """
    What became of a run whose end nobody has noted; what its workers wrote is made into its files.

    Args:
        folder: Of the run. One whose run had not begun is removed: nothing was sent.
        wait_s: How long to wait for workers that are still at it.

    Raises:
        RunIsOnError: They still are.
        DiskFullError: No room for its files.
    """
    if not _has_begun(folder):
        shutil.rmtree(folder, ignore_errors=True)
        return "planned"
    _finished(folder, wait_s)
    stop = manifest.read(folder).get("stop")
    return "stopped" if stop is not None and stop.get("reason") in CUT else "done"


def _has_begun(folder: Path) -> bool:
    return (folder / MANIFEST).is_file() and manifest.read(folder).get("started_unix_ns") is not None


def _finished(folder: Path, wait_s: float) -> None:
    while True:
        try:
            finish(folder)
        except RunIsOnError:
            if wait_s <= 0:
                raise
        else:
            return
        wait_s -= LOOK_S
        time.sleep(LOOK_S)
