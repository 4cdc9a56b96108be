"""What `firsttoken runs prune` takes away: chosen by rules that all must hold, deleted whole, never while it is on."""

from __future__ import annotations

import shutil
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from loadtests import clock
from loadtests.cli.kept import in_folder
from loadtests.cli.state import PRUNED
from loadtests.record import PARTS, QUANTILES, REQUESTS, VALIDITY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from loadtests.cli.kept import Kept

KEEP: Final = "keep"
"""A run or a campaign with this label stays, whatever its value."""

GOING: Final = ".pruned-"
"""How a directory's name begins while it is deleted: what was interrupted is deleted the next time."""

MANY_LOADS: Final = ("sweep", "capacity")


@dataclass(frozen=True, slots=True)
class Rules:
    """
    What goes: whatever all rules that were given name.

    Attributes:
        keep: All but so many of the newest.
        older_s: What began longer ago.
        invalid: What is not valid by its own checks; a campaign all of whose runs are not.
        larger: What takes more bytes.
        now_ns: CLOCK_REALTIME.
    """

    now_ns: int
    keep: int | None = None
    older_s: float | None = None
    invalid: bool = False
    larger: int | None = None

    def names(self, kept: Kept, place: int) -> bool:
        """Whether it goes, being the place-th, from 0, of the newest."""
        return not (
            (self.keep is not None and place < self.keep)
            or (self.older_s is not None and self.now_ns - kept.started_unix_ns <= self.older_s * 1e9)
            or (self.invalid and not kept.is_invalid)
            or (self.larger is not None and kept.size <= self.larger)
        )


@dataclass(frozen=True, slots=True)
class Chosen:
    """
    What is to go.

    Attributes:
        freed: Bytes.
        stays: Why it does not go after all; empty where it does.
    """

    kept: Kept
    freed: int
    stays: str = ""


def choose(found: Sequence[Kept], rules: Rules, *, rows_only: bool) -> list[Chosen]:
    """
    What rules name, with what stays all the same.

    Args:
        found: All that lies in a folder, the newest first.
        rules: Of which at least one is given.
        rows_only: Only rows go.
    """
    named = [kept for place, kept in enumerate(found) if rules.names(kept, place)]
    if rows_only:
        return [Chosen(kept, rows_of(kept), _stays(kept) or rows_stay(kept)) for kept in named if kept.rows]
    return [Chosen(kept, kept.size, _stays(kept)) for kept in named]


def _stays(kept: Kept) -> str:
    if any(KEEP in one.labels for one in (kept, *kept.runs)):
        value = next(one.labels[KEEP] for one in (kept, *kept.runs) if KEEP in one.labels)
        return f"labelled {KEEP}={value}"
    if any(one.state == "on" for one in (kept, *kept.runs)):
        return "it is still running"
    if broken := next((one for one in (kept, *kept.runs) if one.state == "broken"), None):
        return f"it cannot be identified ({broken.why}); delete it by hand"
    return ""


def rows_of(kept: Kept) -> int:
    """Bytes of its rows."""
    return sum((run.path / REQUESTS).stat().st_size for run in kept.runs or (kept,) if run.rows)


def rows_stay(kept: Kept) -> str:
    """Why what is left without its rows would be of no use; empty where a history can go on with it."""
    if kept.kind in MANY_LOADS:
        return f"the answer of a {kept.kind} is made from its rows"
    if kept.state != "finished":
        return f"it is {kept.state}"
    if linked := next((run.path for run in kept.runs if run.path.is_symlink()), None):
        return f"{linked.name} in it is a link, and links are not followed"
    if any((run.path / PARTS).exists() for run in kept.runs or (kept,)):
        return "workers on other machines may have kept rows of it"
    if lacks := next((run.path for run in kept.runs or (kept,) if not _has_judgement(run.path)), None):
        return f"{QUANTILES} cannot be read, or is older than its rows; `firsttoken report {lacks}` makes it"
    return ""


def _has_judgement(path: Path) -> bool:
    """Whether what is kept of its numbers is of its rows, and can be read by whoever needs them then."""
    from analysis import quantiles

    kept, rows = path / QUANTILES, path / REQUESTS
    if not (kept.is_file() and (path / VALIDITY).is_file()):
        return False
    if rows.is_file() and kept.stat().st_mtime_ns < rows.stat().st_mtime_ns:
        return False
    try:
        return bool(quantiles.read(kept))
    except (ValueError, KeyError, TypeError):  # cut short, or of another version
        return False


# Deleting.


def delete(kept: Kept, *, rows_only: bool) -> str:
    """
    Delete a run or a campaign, or its rows alone.

    Returns:
        Why it has not gone: somebody has begun to write it since it was looked at, or deletes it too; empty where it
        has.
    """
    from loadtests.parts import RunIsOnError
    from loadtests.rundir import RunError

    try:
        with ExitStack() as held:
            _hold(kept, held)
            (_remove_rows if rows_only else _remove)(kept)
    except (RunError, RunIsOnError):
        return "another process is using it"
    except FileNotFoundError:
        return "it was deleted or moved meanwhile"
    except OSError as error:
        return f"{error.strerror} ({error.filename}); what is left of it has to be deleted by hand"
    return ""


def _hold(kept: Kept, held: ExitStack) -> None:
    """Against whoever else would write it, or prunes."""
    from loadtests.campaign.file import hold, let_go
    from loadtests.parts import claim

    held.callback(let_go, hold(kept.path))
    for run in kept.runs or (kept,):
        if (run.path / PARTS).is_dir():
            held.enter_context(claim(run.path / PARTS))


def _remove(kept: Kept) -> None:
    going = kept.path.with_name(f"{GOING}{kept.name}")
    kept.path.rename(going)  # all of it at once: nobody meets half of a run
    shutil.rmtree(going)


def _remove_rows(kept: Kept) -> None:
    """And say so in run.json."""
    from loadtests import manifest

    for run in kept.runs or (kept,):
        rows = run.path / REQUESTS
        if rows.is_file():
            told = {"rows": run.requests, "bytes": rows.stat().st_size, "unix_ns": clock.realtime_ns()}
            manifest.write(run.path, manifest.read(run.path) | {PRUNED: told})
            rows.unlink()


def sweep_up(folder: Path) -> None:
    """Delete what an earlier prune was interrupted in, as far as it goes; what another one is at stays its own."""
    from loadtests.campaign.file import hold, let_go
    from loadtests.rundir import RunError

    for path in folder.glob(f"{GOING}*"):
        if path.is_dir() and not path.is_symlink():
            with suppress(RunError, OSError), ExitStack() as held:
                held.callback(let_go, hold(path))
                shutil.rmtree(path, ignore_errors=True)


def mend_latest(folder: Path) -> None:
    """Point `latest` to the newest that is left, where what it pointed to has gone."""
    from loadtests.rundir import point_latest

    link = folder / "latest"
    if not link.is_symlink() or link.exists():
        return
    left = in_folder(folder)
    if left:
        point_latest(folder, left[0].name)
    else:
        link.unlink()
