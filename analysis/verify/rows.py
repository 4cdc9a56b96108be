"""requests.parquet against itself, a group of rows at a time: ten million rows take a few hundred megabytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.rundir import ADDED, CHUNK_LISTS
from analysis.verify import sound
from analysis.verify.batch import Batch
from analysis.verify.derived import Tally, prices_of, rules
from analysis.verify.found import Difference, Looked
from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AT_ONCE: Final = 50_000
LISTS: Final = frozenset(CHUNK_LISTS)
COLUMNS: Final = frozenset(column.name for column in record.REQUEST_COLUMNS) - LISTS - ADDED
ALONE: Final = frozenset({
    "worker", "block", "user", "conversation", "turn", "started_ns", "dns_s", "connect_s", "tls_s", "conn_reused",
    "http_version", "tls_version", "prompt_hash", "output_cap", "reasoning_tokens", "counted_tokens", "input_chars",
    "error", "status", "finish_reason", "wake_lag_max_us", "bytes_sent", "bytes_received", "model_answered",
    "response_id", "request_id", "server_time_s", "retry_after_s",
})  # fmt: skip
"""Columns that nothing in their row follows from: only the digest of the file tells whether they were changed."""


def check(folder: Path, about: dict[str, Any]) -> Iterator[Looked]:
    """
    Every value that follows from others, and what holds in any row.

    Args:
        folder: A run directory.
        about: Its run.json.
    """
    path = folder / record.REQUESTS
    try:
        names = set(pq.read_schema(path).names)
        if absent := COLUMNS - names:
            yield _unread(f"no column {min(absent)}")
            return
        # Imported rows are as another tool's file had them: they follow from it, and their digest is what tells.
        is_ours = not about.get("imported")
        yield from _check(path, about, lists=is_ours and names >= LISTS, imported=not is_ours)
    except (pa.ArrowException, OSError) as error:
        yield _unread(str(error).splitlines()[0])


def _unread(why: str) -> Looked:
    told = Difference(record.REQUESTS, "no rows that can be read", record.MANIFEST, "rows of a run", why)
    return Looked(record.REQUESTS, (told,), missing=True)


def _check(path: Path, about: dict[str, Any], *, lists: bool, imported: bool) -> Iterator[Looked]:
    tallies = [Tally(rule) for rule in rules(prices_of(about)) if not imported and (lists or not rule.lists)]
    laws, in_order, n = sound.laws(about, lists=lists), sound.InOrder(), 0
    broken: dict[sound.Law, Difference] = {}
    for batch in _batches(path):
        n += batch.n
        in_order.add(batch)
        for tally in tallies:
            tally.add(batch)
        for law in laws:
            for wrong in sound.broken(law, batch):
                broken.setdefault(law, wrong)
    values = sum(tally.values for tally in tallies)
    derived = tuple(one for tally in tallies if (one := tally.difference()) is not None)
    note = "" if lists else "it has no lists of chunks: what follows from them was not computed"
    note = "imported: only its digest tells whether a row was changed" if imported else note
    yield Looked(f"{path.name}: {values:,} derived values of {n:,} rows", derived, note)
    others = [*broken.values(), in_order.difference(), _counted(about, n)]
    told = tuple(one for one in others if one is not None)
    yield Looked(f"{path.name}: {len(laws) + 2} rules that every row keeps", told)


def _batches(path: Path) -> Iterator[Batch]:
    first = 0
    with pq.ParquetFile(path) as file:
        names = [name for name in file.schema_arrow.names if name in COLUMNS | LISTS and name not in ALONE]
        for batch in file.iter_batches(AT_ONCE, columns=names):
            yield Batch(pa.Table.from_batches([batch]), first)
            first += batch.num_rows


def _counted(about: dict[str, Any], n: int) -> Difference | None:
    told = about.get("rows")
    if told is None or told == n:
        return None
    return Difference(record.REQUESTS, f"{n:,} rows", record.MANIFEST, f"{told:,}")
