"""
From parts to a finished run: one row per scheduled arrival, whatever the workers lived to write.

Runs in the parent when a run ends, and in `firsttoken repair` when it did not: the same code on the same files, so that
a killed run is finished exactly like any other. Finishing twice changes nothing.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loadtests import manifest, record
from loadtests.derive import derive
from loadtests.plan import Plan
from loadtests.sink import read_part, write_parquet

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_ARM: Final = "default"


@dataclass(frozen=True, slots=True)
class Finished:
    """What finishing found: rows in all, those that were recorded, and those added from the schedule."""

    rows: int
    recorded: int
    unsent: int
    lost: int


def finish(run_dir: Path, *, stop: dict[str, Any] | None = None, facts: dict[str, Any] | None = None) -> Finished:
    """
    Make requests.parquet and client.parquet from the parts and mark the run as ended.

    Args:
        run_dir: A run directory with parts.
        stop: Why the run ended before its plan did; None where it didn't, or where nobody knows.
        facts: More for the manifest.

    Raises:
        ManifestError: No run directory.
        FileNotFoundError: Neither parts nor requests.parquet: there is nothing to finish.
        DiskFullError: No room for the files; the parts are left as they are.
    """
    about = manifest.read(run_dir)
    parts = run_dir / record.PARTS
    if not parts.is_dir():
        return _counted(run_dir)
    plan = Plan.from_json(about["plan"])
    client = _client(parts)
    rows = _recorded(parts)
    added = _missing(plan, rows, client, record_arm=plan.arm)
    whole = pa.concat_tables([rows, added]) if added.num_rows else rows
    table = derive(whole, _run_wide(about))
    write_parquet(table, run_dir / record.REQUESTS)
    write_parquet(client, run_dir / record.CLIENT)
    complete = stop is None and about.get("stop") is None and _all_ended(parts, plan)
    about |= {"ended": complete or stop is not None, "stop": stop or about.get("stop"), "rows": table.num_rows}
    if not about["ended"]:
        about["stop"] = {"reason": "incomplete", "text": "the run was killed; finished by repair"}
    manifest.write(run_dir, about | (facts or {}))
    shutil.rmtree(parts)
    lost = int(pc.sum(pc.equal(added.column("outcome"), "lost")).as_py() or 0)
    return Finished(table.num_rows, rows.num_rows, added.num_rows - lost, lost)


def _run_wide(about: dict[str, Any]) -> dict[str, str]:
    return {"run_id": about["run_id"], "profile": about["profile"]["name"], "model": about["model"]}


def _all_ended(parts: Path, plan: Plan) -> bool:
    """Every worker took its reserve away, which only a clean end does."""
    return not any((parts / f"reserve-{worker}").exists() for worker in range(plan.workers))


def _counted(run_dir: Path) -> Finished:
    """The counts of a run that is finished already."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - only repair of a finished run needs it

    path = run_dir / record.REQUESTS
    if not path.exists():
        raise FileNotFoundError(f"{run_dir}: neither parts nor {record.REQUESTS}: there is nothing to finish")
    outcomes = pq.read_table(path, columns=["outcome"]).column("outcome").to_pylist()
    unsent, lost = outcomes.count("unsent"), outcomes.count("lost")
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


# Arrivals that nobody recorded.


def _missing(plan: Plan, rows: pa.Table, client: pa.Table, *, record_arm: str) -> pa.Table:
    """
    A row for every arrival of the schedule that has none: `lost` where its worker had picked it up, else `unsent`.

    In closed loop there is no schedule to miss anything from: the load is what the users did.
    """
    schema = record.part_schema()
    if plan.mode != "open":
        return schema.empty_table()
    schedule = plan.open_schedule()
    seen = np.asarray(rows.column("seq").to_numpy(), dtype=np.int64)
    missing = np.setdiff1d(np.arange(len(schedule), dtype=np.int64), seen, assume_unique=False)
    if not len(missing):
        return schema.empty_table()
    issued = _issued(plan, client)
    source = plan.source()
    added = []
    for seq in missing.tolist():
        request = source.request(seq)
        worker, place = seq % plan.workers, seq // plan.workers
        scheduled = int(schedule.offsets_ns[seq])
        added.append(
            {
                "arm": record_arm, "workload": request.workload, "worker": worker, "seq": seq,
                "phase": plan.phase(scheduled), "stream": request.stream, "scheduled_ns": scheduled,
                "prompt_hash": request.prompt_hash, "input_chars": request.input_chars,
                "outcome": "lost" if place < issued[worker] else "unsent",
            }
        )  # fmt: skip
    return pa.Table.from_pylist(added, schema=schema)


def _issued(plan: Plan, client: pa.Table) -> list[int]:
    """Arrivals that each worker is known to have picked up: its last sample says so, and they went out in order."""
    issued = [0] * plan.workers
    for worker, count in zip(client.column("worker").to_pylist(), client.column("issued").to_pylist(), strict=True):
        if worker is not None and 0 <= worker < plan.workers:
            issued[worker] = max(issued[worker], count or 0)
    return issued
