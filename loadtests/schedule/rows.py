"""
The rows of a trace file, batch by batch: CSV, JSON lines or parquet, told apart by their first bytes.

Only the wanted columns are kept, and a batch is at most some ten thousand rows, so that a file may be of any length.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import orjson
import pyarrow as pa
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from loadtests.schedule.bounds import ScheduleError, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Cells: TypeAlias = pa.Array | list[Any]

BATCH: Final = 65_536
"""Rows in a batch of JSON or parquet."""

BLOCK: Final = 1 << 22
"""Bytes in a batch of CSV; a row is shorter."""

LONGEST: Final = 1 << 24
"""Bytes of a line beyond which it is none."""


class Batch(NamedTuple):
    """
    Some rows.

    Attributes:
        columns: The cells by column: an Arrow array, or from JSON a list.
        line_of: The line of the file, from 1, of the batch's i-th row; of parquet, the row.
    """

    columns: dict[str, Cells]
    line_of: Callable[[int], int]


@dataclass(frozen=True, slots=True)
class Source:
    """
    A file whose columns are known.

    Attributes:
        label: What it is called in messages.
        kind: "csv", "json" (a JSON object per line) or "parquet".
        columns: Their names, in order.
        skip: Lines of CSV up to and with the header.
    """

    label: str
    kind: str
    columns: tuple[str, ...]
    skip: int = 0

    def batches(self, wanted: Sequence[str]) -> Iterator[Batch]:
        """
        The rows with these columns only, in the order of the file.

        Raises:
            ScheduleError: A line that cannot be read.
        """
        read = {"csv": _of_csv, "json": _of_json, "parquet": _of_parquet}[self.kind]
        try:
            yield from read(self, list(wanted))
        except (pa.ArrowException, OSError) as error:
            raise ScheduleError(f"{self.label}: cannot be read as {self.kind} ({_first_line(error)})") from None

    def error(self, line: int | None, text: str) -> ScheduleError:
        """The one line about a place in this file."""
        return ScheduleError(f"{self.label}:{line}: {text}" if line else f"{self.label}: {text}")


def opened(label: str) -> Source:
    """
    What kind of file it is, and its columns.

    Raises:
        ScheduleError: It cannot be read.
    """
    try:
        with open(label, "rb") as file:  # noqa: PTH123 - the label is what messages show
            start = file.read(4)
            first = next((line for line in file if line.strip()), b"") if start.isspace() else start
        if start == b"PAR1":
            return Source(label, "parquet", tuple(parquet.read_schema(label).names))
        return _json(label) if first.lstrip()[:1] == b"{" else _csv(label)
    except OSError as error:
        raise ScheduleError(f"{label}: cannot be read ({error.strerror or _first_line(error)})") from None
    except pa.ArrowException as error:
        raise ScheduleError(f"{label}: cannot be read as parquet ({_first_line(error)})") from None


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


# CSV.


def _csv(label: str) -> Source:
    with open(label, encoding="utf-8-sig", errors="replace", newline="") as file:  # noqa: PTH123
        reader = csv.reader(iter(lambda: file.readline(LONGEST), ""))
        try:
            header = next((row for row in reader if row), [])
        except csv.Error:
            header = []
        return Source(label, "csv", tuple(name.strip() for name in header), reader.line_num)


def _of_csv(source: Source, wanted: list[str]) -> Iterator[Batch]:
    first = 0
    try:
        reader = arrow_csv.open_csv(
            source.label,
            arrow_csv.ReadOptions(column_names=source.columns, skip_rows=source.skip, block_size=BLOCK),
            arrow_csv.ParseOptions(newlines_in_values=True),
            # Text, so that what is no number can be told with its row; UTF-8 is looked at there too.
            arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(wanted, pa.string()), include_columns=wanted, check_utf8=False
            ),
        )
        for batch in reader:
            columns = dict(zip(wanted, batch.columns, strict=True))
            yield Batch(columns, partial(_csv_line, source, first))
            first += batch.num_rows
    except pa.ArrowInvalid as error:
        if any(said in str(error) for said in ("Empty CSV file", "Could not skip initial")):
            return  # nothing behind the header
        ragged = _ragged(source)
        if ragged is None:
            raise
        raise ragged from None


def _csv_rows(source: Source) -> Iterator[tuple[int, list[str]]]:
    """The line on which each row begins, and its cells: slow, for messages only."""
    with open(source.label, encoding="utf-8", errors="replace", newline="") as file:  # noqa: PTH123
        for _ in range(source.skip):
            file.readline()
        reader, begun = csv.reader(file), 1
        try:
            for row in reader:
                if row:
                    yield source.skip + begun, row
                begun = reader.line_num + 1
        except csv.Error:
            return


def _csv_line(source: Source, first: int, i: int) -> int:
    """The line of a batch's i-th row, whose first row has this number; 0: cannot be told."""
    return next((line for n, (line, _) in enumerate(_csv_rows(source)) if n == first + i), 0)


def _ragged(source: Source) -> ScheduleError | None:
    """The first row with fewer or more cells than the header; None: there is none."""
    n = len(source.columns)
    for line, row in _csv_rows(source):
        if len(row) < n:
            at, what = source.columns[len(row)], "is missing"
        elif len(row) > n:
            at, what = str(n + 1), "is too many"
        else:
            continue
        return source.error(line, f"column {at}: {what}; the row has {len(row)} of the header's {n} cells")
    return None


# JSON lines.


def _json(label: str) -> Source:
    with open(label, "rb") as file:  # noqa: PTH123
        for number, line in enumerate(file, 1):
            if line.strip():
                return Source(label, "json", tuple(_object(Source(label, "json", ()), number, line)))
    raise AssertionError("a file without a line was taken for JSON")


def _of_json(source: Source, wanted: list[str]) -> Iterator[Batch]:
    lines: list[int] = []
    columns: dict[str, Cells] = {name: [] for name in wanted}
    with open(source.label, "rb") as file:  # noqa: PTH123
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            row = _object(source, number, line)
            lines.append(number)
            for name, cells in columns.items():
                cells.append(row.get(name))
            if len(lines) == BATCH:
                yield Batch(columns, lines.__getitem__)
                lines, columns = [], {name: [] for name in wanted}
    if lines:
        yield Batch(columns, lines.__getitem__)


def _object(source: Source, number: int, line: bytes) -> dict[str, Any]:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise source.error(number, f"column {error.colno}: isn't JSON ({error.msg})") from None
    if not isinstance(row, dict):
        raise source.error(number, f"column 1: {shown(row)} isn't a JSON object")
    return row


# Parquet.


def _of_parquet(source: Source, wanted: list[str]) -> Iterator[Batch]:
    first = 1
    with parquet.ParquetFile(source.label) as file:
        for batch in file.iter_batches(BATCH, columns=wanted):
            columns = {name: _plain(batch.column(name)) for name in wanted}
            yield Batch(columns, first.__add__)
            first += batch.num_rows


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
