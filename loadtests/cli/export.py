"""`firsttoken export`: the rows of a run as text that every other program reads."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import click

from loadtests.cli.drafts import drafts
from loadtests.cli.heard import is_unheard
from loadtests.cli.output import dump
from loadtests.cli.stored import RUN, url_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    import pyarrow as pa
    from rich.progress import Progress

STDOUT: Final = "-"
ROWS: Final = 1 << 14
"""Rows that are text at a time: a few megabytes, with the lists tens."""
LONG: Final = 200_000
"""Rows from which on a terminal is shown how far it is."""

EXAMPLES: Final = """\b
Examples:
  firsttoken export results/latest --to csv
  firsttoken export results/latest --to jsonl --chunks | gzip > rows.jsonl.gz
  firsttoken export results/20260101-120000-campaign --to csv --columns run_id,arm,scheduled_ns,ttft_s,outcome --out -

\b
Names carry units: _ns nanoseconds since the run's start, _s seconds, _us microseconds, _usd US dollars.
The parquet file itself says what each column means:
  python -c 'import pyarrow.parquet as p; print(*((f.name, f.metadata) for f in
             p.read_schema("results/latest/requests.parquet")), sep="\\n")'"""


@click.command(epilog=EXAMPLES)
@RUN
@click.option("--to", "kind", type=click.Choice(("csv", "jsonl")), required=True, help="The format: CSV or JSON lines.")
@click.option(
    "--out",
    metavar="FILE",
    help="Where to write; - is standard output.  [default: - in a pipe, else RUN/requests.csv|jsonl]",
)
@click.option("--columns", metavar="A,B,...", help="Only these columns, in this order.")
@click.option("--chunks", is_flag=True, help="Also the lists of each answer's token events.")
@click.option("--json", "as_json", is_flag=True, help="Print path and rows as JSON; the default is then a file.")
def export(run: Path, *, kind: str, out: str | None, columns: str | None, chunks: bool, as_json: bool) -> int:
    """Write the rows of a run, one per scheduled arrival, as CSV or JSON lines (default: results/latest).

    A campaign gives the rows of all its runs, one after another: run_id tells them apart. What is absent stays absent:
    an empty field, null. Flags, and the lists of --chunks, are separated by spaces in CSV and a list in JSON lines. Of
    a run that is on or was killed, what is there so far is written.
    """
    from loadtests.sink import DiskFullError

    if as_json and out == STDOUT:
        raise click.UsageError(
            "--json prints the path, and --out - writes the rows there; name a file, or drop one of them"
        )
    names = _names(columns, chunks=chunks)
    target = _target(run, kind, out, piped=not as_json and not sys.stdout.isatty())
    try:
        with drafts([run]) as kept:
            rows = _written(_files(run, kept), names, kind, target)
    except DiskFullError as error:
        click.echo(f"firsttoken: {error.strerror}; nothing was kept", err=True)
        return 3
    if target is None:
        return 0
    where = url_of(target) or (str(target.resolve()) if as_json else os.path.relpath(target))
    if as_json:
        dump({"path": where, "rows": rows})
    else:
        click.echo(f"{where}: {rows:,} rows")
    return 0


def _names(columns: str | None, *, chunks: bool) -> list[str]:
    """The columns that are written; the lists of token events only where they were asked for."""
    from analysis.rundir import CHUNK_LISTS
    from loadtests.record import REQUEST_COLUMNS
    from loadtests.units import not_one_of

    known = [column.name for column in REQUEST_COLUMNS]
    if columns is None:
        return [name for name in known if chunks or name not in CHUNK_LISTS]
    names = list(dict.fromkeys(name.strip() for name in columns.split(",") if name.strip()))
    if not names:
        raise click.UsageError("--columns: names no column; write for example --columns run_id,ttft_s,outcome")
    for name in names:
        if name not in known:
            raise click.UsageError(f'--columns "{name}" {not_one_of(name, known)}')
    return names + [name for name in CHUNK_LISTS if chunks and name not in names]


def _target(run: Path, kind: str, out: str | None, *, piped: bool) -> Path | None:
    """The file that is written; None: standard output."""
    if out == STDOUT or (out is None and piped):
        return None
    return run.resolve() / f"requests.{kind}" if out is None else Path(out)


def _files(run: Path, kept: Mapping[Path, Path]) -> list[Path]:
    """
    The parquet files of the run, or of a campaign's runs in order of time.

    Raises:
        RunError: One of them is no run, is cut short, or of a newer schema.
    """
    from analysis import rundir
    from analysis.campaign import is_campaign, members

    folders = members(run)
    readable = [one for one in folders if one.resolve() in kept or not rundir.is_unfinished(one)]
    if is_campaign(run) and not readable:
        raise rundir.RunError(f"{run}: a campaign of which no run has begun")
    return [rundir.load(one, draft=kept.get(one.resolve()), columns=()).file for one in readable]


def _written(files: Sequence[Path], names: Sequence[str], kind: str, target: Path | None) -> int:
    """Write the rows of these files; how many they were."""
    import pyarrow.parquet as pq

    from loadtests.cli import rowtext

    total: int = sum(pq.read_metadata(file).num_rows for file in files)
    with _sink(target) as sink, _progress(total) as progress:
        task = None if progress is None else progress.add_task("rows", total=total)
        write = (rowtext.csv if kind == "csv" else rowtext.jsonl)(sink, names)
        for batch in _batches(files, names):
            write(batch)
            if target is None and is_unheard():
                break
            if progress is not None and task is not None:
                progress.advance(task, batch.num_rows)
    return total


@contextmanager
def _sink(target: Path | None) -> Iterator[BinaryIO]:
    """
    Where the text goes; a file is there whole or not at all.

    Raises:
        DiskFullError: There is no room for it.
    """
    from loadtests.parts import whole_file

    if target is None:
        yield sys.stdout.buffer
        return
    with ExitStack() as stack:
        try:
            if target.is_dir():
                raise IsADirectoryError("a directory")
            is_device = target.exists() and not target.is_file()
            file = stack.enter_context(target.open("wb") if is_device else whole_file(target))
        except OSError as error:
            why = f"{error.strerror or error}; name a file that can be written"
            raise click.UsageError(f"--out {target}: {why}") from None
        yield file


def _progress(total: int) -> AbstractContextManager[Progress | None]:
    """How far it is, for people at a terminal where it takes long."""
    if total < LONG or not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console
    from rich.progress import Progress

    return Progress(console=Console(stderr=True), transient=True)


def _batches(files: Sequence[Path], names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """
    Rows as the files have them, a bounded number at a time; a column that an old file lacks is null.

    Raises:
        RunError: A file is broken in its middle.
    """
    import pyarrow as pa

    from analysis.rundir import RunError
    from loadtests.record import requests_schema

    schema = requests_schema()
    wanted = pa.schema([schema.field(name) for name in names])
    for path in files:
        try:
            yield from _batches_of(path, wanted)
        except (pa.ArrowException, OSError) as error:
            raise RunError(f"{path}: cut short or not parquet ({str(error).splitlines()[0]})") from None


def _batches_of(path: Path, wanted: pa.Schema) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        there = [name for name in wanted.names if name in file.schema_arrow.names]
        for batch in file.iter_batches(ROWS, columns=there or file.schema_arrow.names[:1]):
            arrays = [
                batch.column(one.name) if one.name in there else pa.nulls(batch.num_rows, one.type) for one in wanted
            ]
            yield pa.record_batch(arrays, schema=wanted)
