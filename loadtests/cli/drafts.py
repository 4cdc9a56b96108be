"""What there is so far of runs that are on, or were killed: drafted into a folder of their own, to be judged there."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@contextmanager
def drafts(paths: Iterable[Path]) -> Iterator[dict[Path, Path]]:
    """By the directory of each unfinished run that RUN arguments stand for, the files of its state so far."""
    from analysis.compare.sides import run_folders
    from analysis.rundir import is_unfinished

    found = [run for path in paths for run in run_folders(path) if is_unfinished(run)]
    if not found:
        yield {}
        return
    with TemporaryDirectory(prefix="firsttoken-") as folder:
        places = {run: Path(folder, str(number)) for number, run in enumerate(found)}
        yield {run.resolve(): into for run, into in places.items() if is_drafted(run, into)}


def is_drafted(run: Path, into: Path) -> bool:
    """Draft an unfinished run; False where it was finished meanwhile."""
    from analysis.rundir import is_unfinished
    from loadtests.finish import draft
    from loadtests.sink import DiskFullError

    try:
        draft(run, into)
    except DiskFullError as error:
        fix = "make room, or name another place in $TMPDIR"
        raise click.ClickException(f"{error.strerror}: {run} is unfinished; judging it needs space: {fix}") from None
    except (OSError, ValueError):
        if is_unfinished(run):
            raise
        return False
    return True
