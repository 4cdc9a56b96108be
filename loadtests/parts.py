"""Parts on disk: claimed once their workers are gone, read as far as they are whole, and made into whole files."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, TextIO

import pyarrow as pa

from loadtests.sink import DISK_FULL, LOCK, DiskFullError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class RunIsOnError(ValueError):
    """The run's workers are alive: its parts are theirs."""


def claim(parts: Path) -> TextIO:
    """
    Take the parts of a run whose workers are gone; close the file to give them back.

    Raises:
        RunIsOnError: A worker still writes.
    """
    lock = (parts / LOCK).open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise RunIsOnError(f"{parts.parent}: the run is on; wait for its end, or stop it with Ctrl-C") from None
    return lock


def share(parts: Path) -> TextIO:
    """Hold the parts of a run as its workers do, so that nobody claims them; close the file to let go."""
    lock = (parts / LOCK).open("a")
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock


def read_part(path: Path) -> pa.Table:
    """
    Every whole batch of a part; a cut tail is dropped. An empty or unreadable file gives no rows.

    Returns:
        A table with the part's own schema; with no columns where not even that survived.
    """
    batches: list[pa.RecordBatch] = []
    try:
        reader = pa.ipc.open_stream(pa.py_buffer(path.read_bytes()))
    except (pa.lib.ArrowException, OSError):
        return pa.table({})
    while True:
        try:
            batches.append(reader.read_next_batch())
        except (StopIteration, pa.lib.ArrowException, OSError):
            return pa.Table.from_batches(batches, schema=reader.schema)


def write_parquet(
    table: pa.Table, path: Path, row_group: int = 100_000, about: Mapping[str, bytes] | None = None
) -> None:
    """
    Write a table whole or not at all: to a temporary name, synced, then renamed.

    Args:
        table: What to write.
        path: Where to.
        row_group: Rows of a group.
        about: By name, what its footer is to tell besides the schema.

    Raises:
        DiskFullError: There is no room; nothing is left behind.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415 - workers never need it

    delta = [column for column in ("chunk_gap_us.list.element", "chunk_chars.list.element") if _has(table, column)]
    encodings = dict.fromkeys(delta, "DELTA_BINARY_PACKED")
    words = [f.name for f in table.schema if pa.types.is_dictionary(f.type)]
    with whole_file(path) as file, pq.ParquetWriter(
        file, table.schema, compression="zstd", compression_level=3, use_dictionary=words,
        column_encoding=encodings or None,
    ) as writer:  # fmt: skip
        writer.write_table(table, row_group)
        if about:
            writer.add_key_value_metadata(dict(about))


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """
    A file to write, that is there whole or not at all: under a temporary name, synced, then renamed.

    Raises:
        DiskFullError: There is no room; nothing is left behind.
    """
    partial = path.with_name(path.name + ".tmp")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise DiskFullError(error.errno, f"no room for {path}") from None
        raise


def _has(table: pa.Table, column: str) -> bool:
    return column.split(".", 1)[0] in table.column_names
