"""
From parts to a finished run: one row per scheduled arrival, whatever the workers lived to write.

Runs in the parent when a run ends, and in `firsttoken repair` when it did not: the same code on the same files, so that
a killed run is finished exactly like any other. Finishing twice changes nothing.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loadtests import bodies, headroom, manifest, record
from loadtests.derive import derive
from loadtests.parts import claim, read_part, write_parquet
from loadtests.plan import BEYOND, Plan
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
    plan = Plan.from_json(about["plan"])
    client = _client(parts)
    rows = _recorded(parts)
    added = _missing(plan, parts, rows, client)
    whole = pa.concat_tables([rows, added]) if added.num_rows else rows
    table = derive(whole, _run_wide(about))
    write_parquet(table, run_dir / record.REQUESTS)
    write_parquet(client, run_dir / record.CLIENT)
    complete = stop is None and about.get("stop") is None and _all_ended(parts, plan)
    about |= {"ended": complete or stop is not None, "stop": stop or about.get("stop"), "rows": table.num_rows}
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


def _run_wide(about: dict[str, Any]) -> dict[str, str]:
    return {"run_id": about["run_id"], "profile": about["profile"]["name"], "model": about["model"]}


def _all_ended(parts: Path, plan: Plan) -> bool:
    """Every worker ended cleanly and has said so."""
    return all(_ended(parts, worker) for worker in range(plan.workers))


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


# Arrivals that nobody recorded.


def _missing(plan: Plan, parts: Path, rows: pa.Table, client: pa.Table) -> pa.Table:
    """
    A row for every arrival that has none: `lost` where its worker had picked it up, else `unsent`.

    In closed loop there is no schedule to miss anything from; but a worker that was killed had each of its users' next
    request in its hands.
    """
    seen = np.asarray(rows.column("seq").to_numpy(), dtype=np.int64)
    if plan.mode != "open":
        return _lost_turns(plan, parts, seen, rows)
    schedule = plan.open_schedule()
    missing = np.setdiff1d(np.arange(len(schedule), dtype=np.int64), seen)
    issued = np.array(_issued(plan, client), dtype=np.int64)
    lost = missing // plan.workers < issued[missing % plan.workers]
    return _rows(plan, missing, schedule.offsets_ns[missing], np.where(lost, "lost", "unsent"))


def _lost_turns(plan: Plan, parts: Path, seen: np.ndarray, rows: pa.Table) -> pa.Table:
    """The turn after each user's last recorded one, where the user's worker did not end."""
    closed = plan.closed_schedule()
    last_end = int(pc.max(rows.column("end_ns")).as_py() or 0)
    turns = []
    for worker in range(plan.workers):
        users = [] if _ended(parts, worker) or not len(seen) else closed.users_of(worker, plan.workers)
        for user in users:
            of_user = seen[(seen % closed.users == user) & (seen < BEYOND)]
            turn = int(of_user.max()) // closed.users + 1 if len(of_user) else 0
            if closed.allows(closed.seq(user, turn)):
                turns.append(closed.seq(user, turn))
    seqs = np.array(turns, dtype=np.int64)
    return _rows(plan, seqs, np.full(len(seqs), last_end), np.full(len(seqs), "lost"))


def _rows(plan: Plan, seqs: np.ndarray, scheduled_ns: np.ndarray, outcomes: np.ndarray) -> pa.Table:
    """Rows of requests that nobody made: what the plan says of them, and nothing else."""
    source = plan.source()
    known: dict[str, Any] = {
        "arm": [plan.arm] * len(seqs),
        "workload": [source.name] * len(seqs),
        "worker": seqs % plan.workers,
        "seq": seqs,
        "phase": [plan.phase(at_ns) for at_ns in scheduled_ns.tolist()],
        "user": None if plan.mode == "open" or plan.concurrency is None else seqs % plan.concurrency,
        "stream": [source.streams(seq) for seq in seqs.tolist()],
        "scheduled_ns": scheduled_ns,
        "outcome": outcomes.tolist(),
    }
    schema = record.part_schema()
    return pa.table(
        [
            pa.nulls(len(seqs), field.type) if known.get(field.name) is None else _array(known[field.name], field.type)
            for field in schema
        ],
        schema=schema,
    )


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    return pa.array(values).cast(kind)


def _issued(plan: Plan, client: pa.Table) -> list[int]:
    """Arrivals that each worker is known to have picked up: its last sample says so, and they went out in order."""
    issued = [0] * plan.workers
    for worker, count in zip(client.column("worker").to_pylist(), client.column("issued").to_pylist(), strict=True):
        if worker is not None and 0 <= worker < plan.workers:
            issued[worker] = max(issued[worker], count or 0)
    return issued
