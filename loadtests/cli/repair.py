"""`firsttoken repair`: finish a run that was killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loadtests.cli.judge import RUN
from loadtests.cli.stored import put, url_of

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.finish import Finished


@click.command()
@RUN
@click.option("--out", metavar="URL", help="Put it into a store then, like s3://bucket/prefix.")
def repair(run: Path, out: str | None) -> int:
    """Finish a run that was killed, from what its workers had written (default: results/latest).

    Makes requests.parquet from the parts, adds a row for every arrival that nobody recorded (`unsent`, or `lost` where
    a worker had picked it up), and says what it found. Finishing a finished run changes nothing.
    """
    from analysis.campaign import members
    from loadtests.finish import finish
    from loadtests.sink import DiskFullError

    try:
        every = [(one, finish(one)) for one in members(run)]
    except FileNotFoundError as error:
        raise click.UsageError(str(error)) from None
    except DiskFullError as error:
        click.echo(f"firsttoken: {error.strerror}; the parts are as they were", err=True)
        return 3
    for one, found in every:
        click.echo(_line(url_of(one) or str(one), found))
    if out is not None:
        click.echo(f"put into the store: {put(run.resolve(), out)}")
    return 0


def _line(name: str, found: Finished) -> str:
    return f"{name}: {found.rows} rows: {found.recorded} recorded, {found.unsent} unsent, {found.lost} lost"
