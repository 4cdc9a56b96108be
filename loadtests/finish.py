"""
From parts to a finished run: one row per scheduled arrival, whatever the workers lived to write.

Runs in the parent when a run ends, and in `firsttoken repair` when it did not: the same code on the same files, so
that a killed run is finished exactly like any other. Finishing twice changes nothing. An unfinished run, on or killed,
can be drafted: the same tables of its state so far, in another directory, and nothing of the run touched.
"""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TextIO

import pyarrow as pa
import pyarrow.compute as pc

from loadtests import bodies, manifest, record, seal
from loadtests.assembly import Finished, Tables, assemble
from loadtests.merge import MergeError, check_held, merge
from loadtests.parts import RunIsOnError, claim, write_parquet
from loadtests.sink import LOCK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["ASK_AGAIN_S", "DONE", "Finished", "draft", "finish"]

ASK_AGAIN_S: Final = 0.05
"""Whoever asks if a run is on holds its parts for an instant; so long a finisher waits before it asks again."""

INCOMPLETE: Final = "incomplete"
DONE: Final = ".parts"
"""What the parts are called while they are deleted."""


# The end of a run.


def finish(
    run_dir: Path, *, stop: dict[str, Any] | None = None, more: Sequence[Path] = (), wait_s: float = ASK_AGAIN_S
) -> Finished:
    """
    Make requests.parquet, client.parquet and server.parquet from the parts and mark the run as ended.

    The parts go, but where a worker on another machine has not delivered all: what it kept may still be added.

    Args:
        run_dir: A run directory with parts.
        stop: Why the run ended before its plan did; None where it didn't, or where nobody knows.
        more: Parts that other machines have kept.
        wait_s: How long whoever holds the parts may still take; more for who knows that no worker does.

    Raises:
        ManifestError: No run directory.
        MergeError: What others have kept is of another run, or nothing can be added to this one.
        FileNotFoundError: Neither parts nor requests.parquet: there is nothing to finish.
        RunIsOnError: Its workers are alive.
        DiskFullError: No room for the files; the parts are left as they are.
    """
    about = manifest.read(run_dir)
    _refuse_parts(run_dir, about)
    parts = run_dir / record.PARTS
    shutil.rmtree(run_dir / DONE, ignore_errors=True)  # where deleting them was cut short
    held = _claimed(parts, wait_s)
    if held is None:
        counts = _counted(run_dir)
        check_held(run_dir, more)
        return counts
    with held:
        merge(run_dir, more)
        return _finish(run_dir, parts, about, stop)


def _refuse_parts(run_dir: Path, about: dict[str, Any]) -> None:
    """What a worker on another machine has kept is no run of its own."""
    if "worker" in about:
        mine = f"these are parts of worker {about['worker']} of {about['run_id']}"
        raise MergeError(f"{run_dir}: {mine}; finish that one with them: `firsttoken repair RUN {run_dir}`")


def _claimed(parts: Path, wait_s: float) -> TextIO | None:
    """The parts, also where somebody asks in this very instant whether the run is on; None where they are no more."""
    try:
        for _ in range(round(wait_s / ASK_AGAIN_S)):
            with suppress(RunIsOnError):
                return claim(parts)
            time.sleep(ASK_AGAIN_S)
        return claim(parts)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _finish(run_dir: Path, parts: Path, about: dict[str, Any], stop: dict[str, Any] | None) -> Finished:
    found = assemble(about, parts, whole=True)
    ended, why = _ending(about, found, stop)
    whole = found.about | {"ended": ended, "stop": why}
    _write(run_dir, found, whole)
    bodies.gather(parts, run_dir / record.BODIES)
    manifest.write(run_dir, whole | {"files": seal.files(run_dir)})
    for log in parts.glob("worker-*.log"):
        if log.stat().st_size:
            shutil.copyfile(log, run_dir / log.name)  # what a worker complained of is worth keeping
    if _more_may_come(found):
        return found.counts
    parts.replace(run_dir / DONE)  # all of it at once: a run must never be made anew from some of its parts
    shutil.rmtree(run_dir / DONE, ignore_errors=True)
    return found.counts


def _more_may_come(found: Tables) -> bool:
    """Whether a worker on another machine may have kept rows that are not here."""
    return any(not found.ended[one["number"]] for one in _undelivered(found.about))


def _undelivered(about: dict[str, Any]) -> list[dict[str, Any]]:
    """The workers on other machines, as run.json has them, that have not sent home all that they had."""
    return [one for one in about.get("workers") or () if one.get("host") and not one.get("delivered")]


def _ending(about: dict[str, Any], found: Tables, stop: dict[str, Any] | None) -> tuple[bool, dict[str, Any] | None]:
    """Whether a run came to an end of its own, and why to this one; what was told once stays."""
    if stop is not None:
        return True, stop
    told = about.get("stop")
    if told is not None and told.get("reason") != INCOMPLETE:
        return bool(about.get("ended")), told
    counts, absent = found.counts, [n for n, ended in enumerate(found.ended) if not ended or n in found.cut]
    sent_all = about.get("planned") is not None and not counts.unsent + counts.lost
    if not absent or (all(found.ended) and sent_all):
        return True, None
    names = ", ".join(str(number) for number in absent)
    who = f"worker {names}" if len(absent) == 1 else f"workers {names}"
    what = f"{counts.unsent} unsent, {counts.lost} lost"
    text = f"the run was killed; finished by repair without the end of {who}: {what}"
    missed = {"workers": absent, "unsent": counts.unsent, "lost": counts.lost}
    return False, {"reason": INCOMPLETE, "text": text, "missing": missed}


# The state so far.


def draft(run_dir: Path, into: Path) -> None:
    """
    Write run.json and the tables of an unfinished run's state so far into another directory.

    Of a run that is on, or is about to begin: what was recorded, and nothing of what is still to come. Of a killed one:
    all that `finish` would make of it. The run's own files stay as they are and are not held.

    Raises:
        ManifestError: No run directory.
        FileNotFoundError: It is finished, perhaps in this moment: read its own files.
        DiskFullError: No room for the draft.
    """
    about, parts = manifest.read(run_dir), run_dir / record.PARTS
    _refuse_parts(run_dir, about)
    on = _is_on(about, parts)
    found = assemble(about, parts, whole=not on)
    if (run_dir / record.REQUESTS).exists() or not parts.is_dir():
        raise FileNotFoundError(f"{run_dir}: the run is finished")
    text = _so_far(found, run_dir) if on else _left_behind(found, run_dir)
    into.mkdir(parents=True, exist_ok=True)
    whole = found.about | {"ended": False, "stop": {"reason": "unfinished", "text": text, "on": on}}
    _write(into, found, whole)
    manifest.write(into, whole)


def _is_on(about: dict[str, Any], parts: Path) -> bool:
    """Whether a worker still writes, or none has begun."""
    if _is_to_begin(about):
        return True
    if not (parts / LOCK).exists():
        return False
    try:
        claim(parts).close()
    except RunIsOnError:
        return True
    return False


def _is_to_begin(about: dict[str, Any]) -> bool:
    """Its workers come up, or it was killed before they were there."""
    return "started_unix_ns" in about and about["started_unix_ns"] is None


def _so_far(found: Tables, run_dir: Path) -> str:
    """A run that is on, in words."""
    if _is_to_begin(found.about):
        return f"the run has not begun; where nobody is at it any more, `firsttoken repair {run_dir}` finishes it"
    planned = found.about.get("planned")
    of = f" of {planned * len(manifest.arms(found.about)):,}" if planned else ""
    at_s = (pc.max(found.client.column("t_ns")).as_py() or 0) / 1e9
    length = "" if found.length_ns is None else f" of {found.length_ns / 1e9:,.3g} s"
    return f"the run is on: {found.counts.rows:,}{of} rows so far, at {at_s:,.3g} s{length}"


def _left_behind(found: Tables, run_dir: Path) -> str:
    """A run that is not on, in words."""
    counts, fix = found.counts, f"`firsttoken repair {run_dir}` finishes it"
    if all(found.ended) and not found.cut:
        return f"its workers are done and its files are not made; where nobody is at it, {fix}"
    rows = f"{counts.recorded:,} rows recorded, {counts.unsent:,} unsent, {counts.lost:,} lost"
    more = undelivered(found.about, run_dir)
    return f"the run was killed: {rows}; {fix}{f'; {more}' if more else ''}"


def undelivered(about: dict[str, Any], run_dir: Path) -> str:
    """Which workers on other machines may have kept rows, and how to add them; "" where none has."""
    names = ", ".join(f"worker {one['number']} ({one['host']})" for one in _undelivered(about))
    if not names:
        return ""
    return f"{names} may have kept more: `firsttoken repair {run_dir} PARTS` adds their directories <out>/...-worker-N"


# Files.


def _write(folder: Path, found: Tables, about: dict[str, Any]) -> None:
    """The tables; that of the requests with the manifest that it was made under."""
    write_parquet(found.requests, folder / record.REQUESTS, about={record.SETTINGS: seal.settings(about)})
    write_parquet(found.client, folder / record.CLIENT)
    if found.server is not None:
        write_parquet(found.server, folder / record.SERVER)


def _counted(run_dir: Path) -> Finished:
    """The counts of a run that is finished already."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - only repair of a finished run needs it

    path = run_dir / record.REQUESTS
    if not path.exists():
        raise FileNotFoundError(f"{run_dir}: neither parts nor {record.REQUESTS}: there is nothing to finish")
    try:
        outcomes = pq.read_table(path, columns=["outcome"]).column("outcome").cast(pa.string())
    except pa.lib.ArrowException as error:
        raise FileNotFoundError(f"{path}: cannot be read ({error}), and there are no parts to make it from") from None
    unsent, lost = (int(pc.sum(pc.equal(outcomes, word)).as_py() or 0) for word in ("unsent", "lost"))
    return Finished(len(outcomes), len(outcomes) - unsent - lost, unsent, lost)
