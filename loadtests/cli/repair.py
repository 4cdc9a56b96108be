"""`firsttoken repair`: finish a run that was killed."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loadtests.cli.judged import judged_of, write_all
from loadtests.cli.stored import RUN, put, url_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.finish import Finished

EXAMPLES = """\b
Examples:
  firsttoken repair
      finish the newest run
  firsttoken repair results/20261123-022926-vllm /mnt/host-b/results/20261123-022926-vllm-worker-1
      a run, with what a worker on another machine has kept"""


@click.command(epilog=EXAMPLES)
@RUN
@click.argument("parts", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option("--out", metavar="URL", help="Then upload it to an object store, like s3://bucket/prefix.")
def repair(run: Path, parts: tuple[Path, ...], out: str | None) -> int:
    """Finish a run that was killed, from what its workers had written (default: results/latest).

    Makes requests.parquet from the parts, adds a row for every arrival that nobody recorded (`unsent`, or `lost` if a
    worker had picked it up), and says what it found. PARTS are what workers on other machines have kept: their
    directories, or files of parts. Repairing a finished run changes nothing, and what is still on is left alone.
    """
    with _held(run):
        code = _repaired(run, parts)
    if not code and out is not None:
        click.echo(f"put into the store: {put(run.resolve(), out)}")
    return code


@contextmanager
def _held(run: Path) -> Iterator[None]:
    """The campaign that is there, or that a run lies in, held; one that is on plays its runs and is left alone."""
    from analysis.campaign import is_campaign
    from loadtests.campaign.file import hold, let_go

    folder = run.resolve()
    found = next((place for place in (folder, folder.parent) if is_campaign(place)), None)
    lock = None if found is None else hold(found)
    try:
        yield
    finally:
        if lock is not None:
            let_go(lock)


def _repaired(run: Path, parts: tuple[Path, ...]) -> int:
    """Finish a run, or all of a campaign that have begun, and say what was found; the exit code."""
    from analysis.campaign import members
    from loadtests import manifest
    from loadtests.finish import finish, undelivered
    from loadtests.sink import DiskFullError

    try:
        every = [(one, finish(one, more=parts)) for one in members(run)]
    except FileNotFoundError as error:
        raise click.UsageError(str(error)) from None
    except DiskFullError as error:
        click.echo(f"firsttoken: {error.strerror}; the parts are as they were", err=True)
        return 3
    for one, found in every:
        write_all(judged_of(one), report=_has_report(one))
        click.echo(_line(url_of(one) or str(one), found))
        if more := undelivered(manifest.read(one), one):
            click.echo(f"note: {more}", err=True)
    return 0


def _has_report(run: Path) -> bool:
    """It was drawn before, and shows what was known then."""
    return (run / "report.html").exists()


def _line(name: str, found: Finished) -> str:
    return f"{name}: {found.rows} rows: {found.recorded} recorded, {found.unsent} unsent, {found.lost} lost"
