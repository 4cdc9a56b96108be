"""
From parts to a finished run: one row per scheduled arrival, whatever the workers lived to write.

Runs in the parent when a run ends, and in `firsttoken repair` when it did not: the same code on the same files, so that
a killed run is finished exactly like any other. Finishing twice changes nothing.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from loadtests import bodies, headroom, manifest, missing, record
from loadtests.derive import derive
from loadtests.parts import claim, read_part, write_parquet
from loadtests.plan import Plan
from loadtests.played import Played
from loadtests.sink import ENDED

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Finished:
    """What finishing found: rows in all, those that were recorded, and those added from the schedule."""

    rows: int
    recorded: int
    unsent: int
    lost: int


def finish(run_dir: Path, *, stop: dict[str, Any] | None = None) -> Finished:
    """
    Make requests.parquet and client.parquet from the parts and mark the run as ended.

    Args:
        run_dir: A run directory with parts.
        stop: Why the run ended before its plan did; None where it didn't, or where nobody knows.

    Raises:
        ManifestError: No run directory.
        FileNotFoundError: Neither parts nor requests.parquet: there is nothing to finish.
        RunIsOnError: Its workers are alive.
        DiskFullError: No room for the files; the parts are left as they are.
    """
    about = manifest.read(run_dir)
    parts = run_dir / record.PARTS
    if not parts.is_dir():
        return _counted(run_dir)
    with claim(parts):
        return _finish(run_dir, parts, about, stop)


def _finish(run_dir: Path, parts: Path, about: dict[str, Any], stop: dict[str, Any] | None) -> Finished:
    plan = Plan.from_manifest(about)
    client = _client(parts)
    rows = _recorded(parts)
    ended = [_ended(parts, worker) for worker in range(plan.workers)]
    played = Played(plan, parts, rows, client, ended)
    added = missing.rows(played)
    whole = pa.concat_tables([rows, added]) if added.num_rows else rows
    table = derive(whole, _arm_wide(about))
    write_parquet(table, run_dir / record.REQUESTS)
    write_parquet(client, run_dir / record.CLIENT)
    complete = stop is None and about.get("stop") is None and all(ended)
    about |= {"ended": complete or stop is not None, "stop": stop or about.get("stop"), "rows": table.num_rows}
    about["slots"] = played.slots_to_json()
    about["headroom"] = headroom.fill(about, table, client)
    if not about["ended"]:
        about["stop"] = {"reason": "incomplete", "text": "the run was killed; finished by repair"}
    manifest.write(run_dir, about)
    bodies.gather(parts, run_dir / record.BODIES)
    for log in parts.glob("worker-*.log"):
        if log.stat().st_size:
            log.replace(run_dir / log.name)  # what a worker complained of is worth keeping
    shutil.rmtree(parts)
    lost = int(pc.sum(pc.equal(added.column("outcome"), "lost")).as_py() or 0)
    return Finished(table.num_rows, rows.num_rows, added.num_rows - lost, lost)


def _arm_wide(about: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {
        side["name"]: {"run_id": about["run_id"], "profile": side["profile"]["name"], "model": side["model"]}
        for side in manifest.arms(about)
    }


def _ended(parts: Path, worker: int) -> bool:
    return (parts / f"{ENDED}{worker}").exists()


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


def _recorded(parts: Path) -> pa.Table:
    """All rows that the workers wrote."""
    tables = [table for path in sorted(parts.glob("requests-*.arrows")) if (table := read_part(path)).num_columns]
    return pa.concat_tables(tables) if tables else record.part_schema().empty_table()


def _client(parts: Path) -> pa.Table:
    """All samples of the clients, in order of time."""
    tables = [table for path in sorted(parts.glob("client-*.arrows")) if (table := read_part(path)).num_columns]
    schema = record.client_schema()
    table = pa.concat_tables(tables).cast(schema) if tables else schema.empty_table()
    return table.sort_by([("t_ns", "ascending"), ("worker", "ascending")])
