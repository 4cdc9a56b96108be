"""
A file as rows: dicts by column, one after the other, with the place of each.

A row is an object of a JSON array, an object on a line of its own, a row of CSV or one of parquet. Places are line
numbers, element numbers of an array and row numbers of parquet, all from 1.
"""

from __future__ import annotations

import codecs
import csv
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from loadtests.workload.datasets import text
from loadtests.workload.datasets.model import DatasetError, RowError, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FORMATS: Final = ("sharegpt", "openai-batch", "jsonl", "csv", "parquet")
BATCH: Final = 256
"""Rows of parquet in memory at once."""

_BY_ENDING: Final = {
    ".json": "json", ".jsonl": "json", ".ndjson": "json", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet"
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """
    A file and how it is cut into rows.

    Attributes:
        kind: `array`, `lines`, `csv` or `parquet`.
    """

    path: Path
    kind: str

    def at(self, number: int) -> str:
        """The place of a row, for a message."""
        return f"{self.path}: element {number}" if self.kind == "array" else f"{self.path}:{number}"

    def first(self) -> tuple[str, dict[str, Any]]:
        """
        Where the columns can be seen, and these: the header with empty values, or the first row.

        Raises:
            DatasetError: There is none.
        """
        header = self._header()
        if header is not None:
            return self.at(1) if self.kind == "csv" else str(self.path), dict.fromkeys(header)
        for number, row in _json(self):
            return self.at(number), row
        raise DatasetError(f"{self.path}: has no rows")

    def rows(self, wanted: Sequence[str] = ()) -> Iterator[tuple[int, dict[str, Any]]]:
        """
        Every row and its number.

        Args:
            wanted: The columns to read from parquet, all unless said; the others give all they have.

        Raises:
            DatasetError: A row is broken.
        """
        if self.kind == "parquet":
            return _parquet(self, wanted)
        return _csv(self) if self.kind == "csv" else _json(self)

    @property
    def has_header(self) -> bool:
        """Whether the columns are the same in every row and stand above them."""
        return self.kind in {"csv", "parquet"}

    def _header(self) -> list[str] | None:
        """The names above a table; None where every row has its own."""
        if self.kind == "csv":
            return next((row for _, row in _table(self)), [])
        if self.kind == "parquet":
            with _opened(self) as file:
                return list(file.schema_arrow.names)
        return None


def source_of(path: Path, form: str | None) -> Source:
    """
    How a file is cut into rows: by the format where that says it, or else by its ending and first character.

    Raises:
        DatasetError: The file cannot be read, is empty, or has an unknown ending.
    """
    kind = form if form in {"csv", "parquet"} else _BY_ENDING.get(path.suffix.lower(), "json" if form else None)
    if kind is None:
        endings, formats = ", ".join(_BY_ENDING), ", ".join(FORMATS)
        raise DatasetError(f"{path}: isn't named like a dataset ({endings}); say its format, one of [{formats}]")
    try:
        with path.open("rb") as file:
            start = file.read(4096).removeprefix(codecs.BOM_UTF8).lstrip()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from None
    if not start:
        raise DatasetError(f"{path}: is empty")
    if kind == "json":
        kind = "array" if start.startswith(b"[") else "lines"
    return Source(path, kind)


# JSON.


def _json(source: Source) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, value in _values(source):
        if not isinstance(value, dict):
            raise DatasetError(f"{source.at(number)}: {shown(value)} isn't a JSON object")
        yield number, value


def _values(source: Source) -> Iterator[tuple[int, Any]]:
    number = 0
    with source.path.open("rb") as file:
        try:
            if source.kind == "array":
                for number, value in enumerate(text.elements(file), 1):
                    yield number, value
            else:
                for line in text.lines(file):
                    if line.strip():
                        yield number + 1, text.parsed(line)
                    number += 1
        except RowError as error:
            raise DatasetError(f"{source.at(number + 1)}: {error}") from None


# CSV.


def _csv(source: Source) -> Iterator[tuple[int, dict[str, Any]]]:
    header: list[str] | None = None
    for number, row in _table(source):
        if header is None:
            header = row
        elif len(row) != len(header):
            raise DatasetError(f"{source.at(number)}: has {len(row)} fields, the header has {len(header)}")
        else:
            yield number, dict(zip(header, row, strict=True))


def _table(source: Source) -> Iterator[tuple[int, list[str]]]:
    """The header and the rows, each with the line it begins on; empty lines are none."""
    at = 0
    with source.path.open("rb") as file, _long_fields():
        table = csv.reader(text.lines(file), delimiter=_delimiter(source), strict=True)
        try:
            for row in table:
                if row:
                    yield at + 1, row
                at = table.line_num
        except RowError as error:
            raise DatasetError(f"{source.at(at + 1)}: {error}") from None
        except csv.Error as error:
            raise DatasetError(f"{source.at(at + 1)}: isn't CSV: {str(error).partition(' - ')[0]}") from None


def _delimiter(source: Source) -> str:
    """A tab in .tsv; else a comma, or a semicolon where the header has no comma."""
    if source.path.suffix.lower() == ".tsv":
        return "\t"
    with source.path.open("rb") as file:
        header = file.readline(text.LONGEST)
    return ";" if b";" in header and b"," not in header else ","


@contextmanager
def _long_fields() -> Iterator[None]:
    """The limit of a field belongs to the process; a long prompt is longer than the 128 KiB it begins with."""
    before = csv.field_size_limit(text.LONGEST)
    try:
        yield
    finally:
        csv.field_size_limit(before)


# Parquet.


def _parquet(source: Source, wanted: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    with _opened(source) as file:
        batches = file.iter_batches(BATCH, columns=list(wanted) or None)
        yield from enumerate((row for batch in batches for row in batch.to_pylist()), 1)


@contextmanager
def _opened(source: Source) -> Iterator[pq.ParquetFile]:
    """The file open; what the reader cannot make sense of is the file's mistake, wherever it shows."""
    try:
        # Else a whole row group, which may be the whole file, is in memory at once.
        with pq.ParquetFile(source.path, pre_buffer=False, buffer_size=text.PIECE) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        why = str(error).partition("\n")[0].rstrip(".")
        raise DatasetError(f"{source.path}: isn't parquet that can be read ({why})") from None
