"""
From the parts of a run to its tables: every row once, those that nobody recorded added, and what follows from them.

Reads, and writes nothing: `finish` does, when a run has ended, and for the state so far of one that has not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loadtests import headroom, manifest, missing, record
from loadtests.derive import derive
from loadtests.parts import read_part
from loadtests.plan import BEYOND, Plan
from loadtests.played import Played, ints
from loadtests.sink import ENDED

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Finished:
    """What finishing found: rows in all, those that were recorded, and those added from the schedule."""

    rows: int
    recorded: int
    unsent: int
    lost: int


@dataclass(frozen=True, slots=True)
class Tables:
    """
    What the parts of a run come to; nothing of it is written yet.

    Attributes:
        requests, client: As requests.parquet and client.parquet hold them.
        server: As server.parquet holds it; None where no endpoint was asked.
        about: The manifest with what follows from them: `rows`, `duplicates`, `slots`, `headroom`.
        counts: Of the rows.
        ended: By worker, whether it ended as it should.
        cut: Workers that stopped before their plan was over, and were not told to by their master.
        length_ns: Of what was planned, the slots of all arms one after another; None where answers decide.
    """

    requests: pa.Table
    client: pa.Table
    server: pa.Table | None
    about: dict[str, Any]
    counts: Finished
    ended: list[bool]
    cut: list[int]
    length_ns: int | None


def assemble(about: dict[str, Any], parts: Path, *, whole: bool) -> Tables:
    """
    The tables of a run from its parts.

    Args:
        about: The run's manifest.
        parts: Read as far as its batches are whole.
        whole: Add a row for every arrival that nobody recorded; False: it may still come.
    """
    plan = Plan.from_manifest(about)
    client, rows = _client(parts), _recorded(parts)
    workers = range(max(plan.workers, len(about.get("workers") or ())))
    ended, cut = [_ended(parts, worker) for worker in workers], _cut(parts, about, workers)
    played = Played(plan, parts, rows, client, ended, about)
    again = repeated(played)
    if len(again):
        once = np.ones(rows.num_rows, dtype=np.bool_)
        once[again] = False
        rows = rows.filter(pa.array(once))
        played = Played(plan, parts, rows, client, ended, about)
    played.cut = cut
    added = missing.rows(played) if whole else rows.slice(0, 0)
    table = derive(pa.concat_tables([rows, added]), _arm_wide(about))
    lost = int(pc.sum(pc.equal(added.column("outcome"), "lost")).as_py() or 0)
    counts = Finished(table.num_rows, rows.num_rows, added.num_rows - lost, lost)
    about = about | {
        "rows": table.num_rows, "duplicates": len(again), "slots": played.slots_to_json(),
        "headroom": headroom.fill(about, table, client),
    }  # fmt: skip
    lengths = [slot.length_ns for slot in played.slots]
    length_ns = None if None in lengths else sum(length or 0 for length in lengths)
    return Tables(table, client, _server(parts), about, counts, ended, cut, length_ns)


# Rows that are there twice.


def repeated(played: Played) -> NDArray[np.int64]:
    """
    Rows, by their place, of a request that somebody else, or the same worker before, has recorded: a flaw of ours.

    The one row of a request that is none of them is that of whose it was; of several, the first that was sent.
    """
    found = [_repeated_of(played, arm) for arm in range(len(played.names))]
    return np.sort(np.concatenate(found))


def _repeated_of(played: Played, arm: int) -> NDArray[np.int64]:
    """Those of one arm. Beyond the plan nobody knows whose a request is, and each worker counts for itself."""
    of_arm = np.asarray(pc.equal(played.rows.column("arm"), played.names[arm]), dtype=bool) & (played.seq < BEYOND)
    seq = np.sort(played.seq[of_arm])
    twice = seq[1:][seq[1:] == seq[:-1]]
    if not len(twice):
        return np.empty(0, dtype=np.int64)
    rows: NDArray[np.int64] = np.flatnonzero(of_arm & np.isin(played.seq, twice))
    is_others = ints(played.rows, "worker")[rows] != _owners(played, arm, rows)
    sent_ns = pc.fill_null(played.rows.column("sent_ns"), np.iinfo(np.int64).max).to_numpy()[rows]
    rows = rows[np.lexsort((sent_ns, is_others, played.seq[rows]))]
    again: NDArray[np.int64] = rows[1:][played.seq[rows][1:] == played.seq[rows][:-1]]
    return again


def _owners(played: Played, arm: int, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Whose the requests of these rows of an arm were, shape (len(rows),)."""
    owners = np.full(len(rows), -1, dtype=np.int64)
    for slot in (one for one in played.slots if arm in one.arms):
        mine = played.of_slot(slot, arm)[rows]
        seq = played.seq[rows][mine]
        if played.schedule is None:  # who takes a user over numbers its requests beyond the plan
            user = seq % played.plan.closed_schedule().users
            owners[mine] = (user * len(slot.arms) + slot.arms.index(arm)) % played.plan.workers
        elif mine.any():
            place = np.searchsorted(played.schedule.first_seq, seq, side="right") - 1
            owners[mine] = played.owners(slot)[np.minimum(place, len(played.schedule) - 1)]
    return owners


# What the parts have.


def _recorded(parts: Path) -> pa.Table:
    """All rows that the workers wrote."""
    tables = [table for path in sorted(parts.glob("requests-*.arrows")) if (table := read_part(path)).num_columns]
    return pa.concat_tables(tables) if tables else record.part_schema().empty_table()


def _client(parts: Path) -> pa.Table:
    """All samples of the clients, in order of time."""
    tables = [table for path in sorted(parts.glob("client-*.arrows")) if (table := read_part(path)).num_columns]
    schema = record.client_schema()
    # Parts of an earlier version have none of the columns that came later.
    table = pa.concat_tables([schema.empty_table(), *tables], promote_options="default").cast(schema)
    return table.sort_by([("t_ns", "ascending"), ("worker", "ascending")])


def _server(parts: Path) -> pa.Table | None:
    """What endpoints said, in order of time; None where none was asked."""
    tables = [table for path in sorted(parts.glob("server-*.arrows")) if (table := read_part(path)).num_columns]
    if not tables:
        return None
    order = [("t_ns", "ascending"), ("source", "ascending"), ("name", "ascending"), ("labels", "ascending")]
    return pa.concat_tables(tables).sort_by(order).cast(record.server_schema())


def _arm_wide(about: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {
        side["name"]: {"run_id": about["run_id"], "profile": side["profile"]["name"], "model": side["model"]}
        for side in manifest.arms(about)
    }


def _ended(parts: Path, worker: int) -> bool:
    return (parts / f"{ENDED}{worker}").exists()


def _cut(parts: Path, about: dict[str, Any], workers: range) -> list[int]:
    """Workers that were lost, as far as the master knew, or that say themselves that they had lost it."""
    lost = {one["number"] for one in about.get("workers") or () if one.get("lost_ns") is not None}
    marks = {n: parts / f"{ENDED}{n}" for n in workers}
    return [n for n, mark in marks.items() if n in lost or (mark.exists() and mark.stat().st_size)]
