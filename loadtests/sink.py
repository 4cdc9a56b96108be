"""
Records on their way to disk: Arrow stream parts while the run is on, whole files when it is over.

A part is an Arrow IPC stream, one batch a second or per 1,000 rows, written with plain writes: a file cut anywhere
keeps every whole batch. Batches are built column by column with a look at the sockets in between, and are not
compressed: the process that writes them is the one that reads the wire. A full disk frees a reserve kept for it, takes
the last batches and says so.
"""

from __future__ import annotations

import errno
import fcntl
import os
from array import array
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from loadtests import record as seam

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

ROWS_PER_BATCH: Final = 1000
ENDED: Final = "ended-"
"""A file of this name and the worker's number says that all its rows are in its part; empty, or with `CUT` in it."""

CUT: Final = "orphaned"
"""In that file: it stopped before its plan was over, as nobody was there any more to go on for."""

LOCK: Final = "lock"
"""Held, shared, by every worker that still writes: the parts of a run that is on are nobody else's."""

RESERVE_BYTES: Final = 2 << 20
DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class DiskFullError(OSError):
    """No room is left for the run's rows; what was written before stays readable."""


class Part:
    """
    One Arrow stream on disk, appended to batch by batch.

    Args:
        path: A new file.
        schema: Of its rows.
        reserve: A file whose removal makes room for the last batches; None where there is none.

    Raises:
        DiskFullError: Neither the disk nor the reserve has room; the file ends with its last whole batch.
    """

    def __init__(self, path: Path, schema: pa.Schema, reserve: Path | None = None) -> None:
        self._reserve = reserve
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self._size = 0
        self.schema = schema
        self.full = False
        self._write(schema.serialize())

    def append(self, batch: pa.RecordBatch, *, packed: bool = False) -> None:
        """Write one batch, compressed where asked; after a full disk `full` is True, even where the reserve took it."""
        self._write(_packed(batch) if packed else batch.serialize())

    def close(self) -> None:
        """End the stream."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _write(self, data: pa.Buffer) -> None:
        try:
            self._write_all(memoryview(data))
        except DiskFullError:
            self.full = True
            if self._reserve is None or not self._reserve.exists():
                raise
            self._reserve.unlink()
            self._write_all(memoryview(data))

    def _write_all(self, view: memoryview) -> None:
        """Write all of it or none: a half-written batch would hide the whole ones behind it."""
        done = 0
        try:
            while done < len(view):
                done += os.write(self._fd, view[done:])
        except OSError as error:
            os.ftruncate(self._fd, self._size)
            os.lseek(self._fd, self._size, os.SEEK_SET)
            if error.errno in DISK_FULL:
                raise DiskFullError(error.errno, os.strerror(error.errno)) from None
            raise
        self._size += done


def _packed(batch: pa.RecordBatch) -> pa.Buffer:
    """The message of a batch, compressed: what a whole stream has between its schema and its end mark of 8 bytes."""
    stream = pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, batch.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_batch(batch)
    return stream.getvalue()[batch.schema.serialize().size : -8]


class Sink:
    """
    The rows of one worker: kept in memory for at most a second, then in `parts/requests-<worker>.arrows`.

    Args:
        parts: The run's parts directory.
        worker: Number of this process.
        breathe: Called between two slices of work, so that the event loop can look at its sockets.

    Attributes:
        rows: Records kept and not yet written.
    """

    def __init__(self, parts: Path, worker: int, breathe: Callable[[], object]) -> None:
        self.rows: list[seam.Record] = []
        reserve = parts / f"reserve-{worker}"
        _reserve(reserve)
        self._lock = os.open(parts / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(self._lock, fcntl.LOCK_SH)
        self._reserve = reserve
        self._worker = worker
        self._part = Part(parts / f"requests-{worker}.arrows", seam.part_schema(), reserve)
        self._client = Part(parts / f"client-{worker}.arrows", seam.client_schema(), reserve)
        self._breathe = breathe
        self._flushing = False
        self._batch(list(_examples()))  # pyarrow loads what a conversion needs at the first one: now, not in the run

    @property
    def full(self) -> bool:
        """The disk is full: what is still to come may find no room."""
        return self._part.full or self._client.full

    def keep(self, record: seam.Record) -> None:
        """Keep one record; it is written by the next flush."""
        self.rows.append(record)

    def flush(self) -> None:
        """
        Write what has been kept, 1,000 rows a batch.

        Raises:
            DiskFullError: The rows that found no room are back in `rows`.
        """
        if self._flushing:
            return
        self._flushing = True
        try:
            while self.rows:
                batch, self.rows = self.rows[:ROWS_PER_BATCH], self.rows[ROWS_PER_BATCH:]
                try:
                    self._part.append(self._batch_of(batch))
                except BaseException:
                    self.rows[:0] = batch
                    raise
        finally:
            self._flushing = False

    def sample(self, row: dict[str, Any]) -> None:
        """Write one sample of the client's own health."""
        schema = self._client.schema
        self._client.append(pa.record_batch([pa.array([row.get(f.name)], f.type) for f in schema], schema=schema))

    def close(self, *, cut: bool = False) -> None:
        """Flush and end the parts, before the plan was over where that was `cut`; the reserve is given back."""
        try:
            try:
                self.flush()
            finally:
                self._part.close()
                self._client.close()
                self._reserve.unlink(missing_ok=True)
            (self._reserve.parent / f"{ENDED}{self._worker}").write_text(CUT if cut else "")
        finally:
            os.close(self._lock)  # also where rows found no room: whoever repairs the run must get at its parts
            self._lock = -1

    def _batch_of(self, rows: Sequence[seam.Record]) -> pa.RecordBatch:
        """A batch; where a value of one row is refused, that value is left out and the row says so."""
        try:
            return self._batch(rows)
        except (pa.lib.ArrowException, OverflowError, TypeError, ValueError):
            for row in rows:
                self._mend(row)
            return self._batch(rows)

    def _mend(self, row: seam.Record) -> None:
        """Take out of a row what its column cannot hold: one bad value must not cost a row, let alone a thousand."""
        for field in self._part.schema:
            value = getattr(row, field.name)
            try:
                _lists([value], field.type) if pa.types.is_list(field.type) else pa.array([value], field.type)
            except (pa.lib.ArrowException, OverflowError, TypeError, ValueError):
                setattr(row, field.name, None)
                row.error = f"{field.name} could not be kept: {value!r:.100}; {row.error or ''}".strip("; ")

    def _batch(self, rows: Sequence[seam.Record]) -> pa.RecordBatch:
        arrays = []
        for field in self._part.schema:
            values = list(map(attrgetter(field.name), rows))
            arrays.append(_lists(values, field.type) if pa.types.is_list(field.type) else pa.array(values, field.type))
            self._breathe()
        return pa.record_batch(arrays, schema=self._part.schema)


def _lists(values: Sequence[Any], kind: pa.ListType) -> pa.Array:
    """A list column; numbers go from buffer to buffer, never through Python objects."""
    if kind.value_type == pa.string():
        return pa.array(values, kind)
    offsets = array("i", [0])
    missing = []
    flat = bytearray()
    total = 0
    for value in values:
        missing.append(value is None)
        if value is not None:
            flat += memoryview(value).cast("B")
            total += len(value)
        offsets.append(total)
    leaf = pa.Array.from_buffers(kind.value_type, total, [None, pa.py_buffer(bytes(flat))])
    starts = pa.Array.from_buffers(pa.int32(), len(offsets), [None, pa.py_buffer(offsets)])
    return pa.ListArray.from_arrays(starts, leaf, type=kind, mask=pa.array(missing) if any(missing) else None)


def _examples() -> Iterator[seam.Record]:
    """A row with lists and one without: every kind of conversion."""
    yield seam.Record("", "", 0, 0, "", stream=False, scheduled_ns=0)
    yield seam.Record(
        "", "", 0, 1, "", stream=True, scheduled_ns=0, flags=[""], chunk_ns=array("q", [0]), chunk_kind=array("B", [0]),
        chunk_chars=array("i", [0]),
    )  # fmt: skip


def _reserve(path: Path) -> None:
    """Claim room for the last batches of a disk that runs full; a disk that has none now is full already."""
    try:
        with path.open("xb") as file:
            file.write(b"\0" * RESERVE_BYTES)
    except OSError as error:
        path.unlink(missing_ok=True)
        if error.errno in DISK_FULL:
            raise DiskFullError(error.errno, f"no room for a run in {path.parent}") from None
        raise
