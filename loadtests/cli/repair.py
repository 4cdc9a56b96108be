"""`firsttoken repair`: finish a run that was killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loadtests.cli.judge import RUN

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@RUN
def repair(run: Path) -> int:
    """Finish a run that was killed, from what its workers had written (default: results/latest).

    Makes requests.parquet from the parts, adds a row for every arrival that nobody recorded (`unsent`, or `lost` where
    a worker had picked it up), and says what it found. Finishing a finished run changes nothing.
    """
    from loadtests.finish import finish
    from loadtests.sink import DiskFullError

    try:
        found = finish(run)
    except FileNotFoundError as error:
        raise click.UsageError(str(error)) from None
    except DiskFullError as error:
        click.echo(f"firsttoken: {error.strerror}; the parts are as they were", err=True)
        return 3
    click.echo(f"{run}: {found.rows} rows: {found.recorded} recorded, {found.unsent} unsent, {found.lost} lost")
    return 0
