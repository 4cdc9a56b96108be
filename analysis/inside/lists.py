"""
The chunk lists of a run, a piece at a time, straight from the file: a run's lists together may not fit into memory.

Stands between `runs` and those who look inside streams; pieces say where their answers are in the run's rows.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from analysis import rundir

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from analysis.rundir import Run

    Whole = NDArray[np.int64]
    Mask = NDArray[np.bool_]

GAPS: Final = "chunk_gap_us"
CHARS: Final = "chunk_chars"
KINDS: Final = "chunk_kind"
ROWS: Final = 1 << 16
"""Rows of the file that are read at once."""
EVENTS: Final = 1 << 17
"""Token events of a piece: its arrays stay in a core's cache, which is twice as fast."""


@dataclass(frozen=True, slots=True)
class Piece:
    """
    Some answers with one token event or more each; their events are laid flat, in order of answer and time.

    Attributes:
        place: Of each answer among the run's rows, shape (k,).
        counts: Its events, shape (k,).
        lists: By column, each event's value, shape (m,), m = sum of counts.
    """

    place: Whole
    counts: Whole
    lists: dict[str, Whole]

    @property
    def starts(self) -> Whole:
        """Where each answer's events begin, shape (k,)."""
        return np.cumsum(self.counts) - self.counts

    def since_sent_us(self) -> Whole:
        """Event - sent, shape (m,)."""
        gaps, starts = self.lists[GAPS], self.starts
        total = np.cumsum(gaps)
        return np.asarray(total - np.repeat(total[starts] - gaps[starts], self.counts))


def are_there(run: Run) -> bool:
    """Whether the file has chunk lists at all."""
    with _opened(run) as file:
        return set(rundir.CHUNK_LISTS) <= set(file.schema_arrow.names)


def pieces(run: Run, wanted: Mask, columns: tuple[str, ...], events: int = EVENTS) -> Iterator[Piece]:
    """
    The lists of some of a run's rows, in the file's order.

    Args:
        run: Of one arm; `run.file` must still be there.
        wanted: Which of `run.requests`, shape (n,). Those without token events are left out.
        columns: Of `rundir.CHUNK_LISTS`.
        events: That a piece has at most, unless one answer has more.

    Raises:
        RunError: The file is not what it was when the run was loaded.
    """
    with _opened(run) as file:
        places = _places(run, wanted, file.metadata.num_rows)
        batches = _batches(file, places, columns)
        # One is read ahead while the last one is looked at: reading is done by other threads.
        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(next, batches, None)
            while (found := coming.result()) is not None:
                coming = ahead.submit(next, batches, None)
                first, batch = found
                yield from _pieces(batch, places[first : first + batch.num_rows], columns, events)


def _batches(file: pq.ParquetFile, places: Whole, columns: tuple[str, ...]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Batches of the row groups that have a wanted row, each with its first row's place."""
    first = 0
    for group in range(file.metadata.num_row_groups):
        end = first + file.metadata.row_group(group).num_rows
        if (places[first:end] >= 0).any():
            begin = first
            for batch in file.iter_batches(ROWS, [group], list(columns)):
                yield begin, batch
                begin += batch.num_rows
        first = end


def _opened(run: Run) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(run.file)
    except (pa.ArrowInvalid, OSError) as error:
        raise rundir.RunError(f"{run.file}: cannot be read any more ({str(error).splitlines()[0]})") from None


def _places(run: Run, wanted: Mask, rows: int) -> Whole:
    """By row of the file the place among the run's rows, -1 for those not wanted."""
    row = run.requests["row"].to_numpy(dtype="int64")
    if row.size and int(row.max()) >= rows:
        raise rundir.RunError(f"{run.file}: has {rows:,} rows, fewer than when it was read; is somebody writing it?")
    places = np.full(rows, -1, dtype=np.int64)
    places[row[wanted]] = np.flatnonzero(wanted)
    return places


def _pieces(batch: pa.RecordBatch, places: Whole, columns: tuple[str, ...], events: int) -> Iterator[Piece]:
    """The answers of a batch that are wanted and have events, in pieces of a bounded size."""
    counts = np.asarray(batch.column(0).value_lengths().fill_null(0).to_numpy(), dtype=np.int64)
    kept = (places >= 0) & (counts > 0)
    if not kept.any():
        return
    if not kept.all():
        batch, places, counts = batch.filter(pa.array(kept)), places[kept], counts[kept]
    ends = np.cumsum(counts)
    flat = {name: _flat(batch.column(place), int(ends[-1])) for place, name in enumerate(columns)}
    begin = 0
    while begin < counts.size:
        before = int(ends[begin] - counts[begin])
        end = max(begin + 1, int(np.searchsorted(ends, before + events, side="right")))
        part = slice(before, int(ends[end - 1]))
        lists = {name: values[part].astype(np.int64) for name, values in flat.items()}
        yield Piece(places[begin:end], counts[begin:end], lists)
        begin = end


def _flat(lists: pa.ListArray, events: int) -> NDArray[Any]:
    found = lists.flatten()
    # Of an imported run nobody knows what a chunk brought: each counts as one character of content.
    found = found.fill_null(1) if found.null_count else found
    values = np.asarray(found.to_numpy(zero_copy_only=False))
    assert values.size == events, "the chunk lists of a row are of one length"
    return values
