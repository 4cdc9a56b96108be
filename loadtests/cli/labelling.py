"""Labels given to a run that is over, everywhere they are kept: run.json, campaign.json and quantiles.parquet."""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import click

from loadtests.record import MANIFEST, PARTS, QUANTILES, REQUESTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


def relabel(path: Path, given: Mapping[str, str], gone: Sequence[str]) -> dict[str, str]:
    """
    Give labels to a run or to a campaign with all its runs, and take others away.

    Args:
        path: The directory, or a link to it.
        given: New ones, and new values.
        gone: Keys of those to take away.

    Returns:
        The labels that it has now; with none given and none taken those that it has.

    Raises:
        RunIsOnError: A run of it is on.
        RunError: The campaign is.
        ManifestError: No run directory.
        click.UsageError: A label to take away is not there, or none can be written.
    """
    folder = path.resolve()
    with ExitStack() as held:
        holders = _runs(folder, held)
        before = labels_of(folder)
        if missing := [key for key in gone if key not in before]:
            has = ", ".join(before) or "none"
            raise click.UsageError(f"--remove {missing[0]}: {path} has no such label; it has {has}")
        if given or gone:
            _label(folder, holders, given, gone)
    return labels_of(folder)


def _label(folder: Path, holders: Sequence[Path], given: Mapping[str, str], gone: Sequence[str]) -> None:
    """All of them; the campaign last, so that one which is interrupted still tells what it told."""
    try:
        for run in holders:
            _label_run(run, given, gone)
        if is_campaign(folder):
            _label_campaign(folder, given, gone)
    except OSError as error:
        why = f"{error.filename}: {error.strerror}"
        raise click.UsageError(f"{why}; its labels cannot be written here, label a copy of it") from None


def labels_of(folder: Path) -> dict[str, str]:
    """
    The labels of a run or a campaign.

    Raises:
        ManifestError: It is neither, or nobody can tell which it has.
    """
    from loadtests import manifest
    from loadtests.cli.kept import campaign_labels

    try:
        if is_campaign(folder):
            return campaign_labels(folder)
        return {str(key): str(value) for key, value in (manifest.read(folder).get("labels") or {}).items()}
    except manifest.ManifestError:
        raise
    except OSError as error:
        raise manifest.ManifestError(f"{error.filename}: {error.strerror}; name the directory of a run") from None
    except (ValueError, AttributeError):
        raise manifest.ManifestError(f"{folder}: its files are not in firsttoken's format") from None


def is_campaign(folder: Path) -> bool:
    """Whether a campaign lies there."""
    from loadtests.cli.kept import CAMPAIGN

    return (folder / CAMPAIGN).is_file()


def _runs(folder: Path, held: ExitStack) -> list[Path]:
    """The run directories there, held against whoever else would write them."""
    from loadtests.campaign.file import hold, let_go
    from loadtests.parts import claim

    runs = [folder]
    if is_campaign(folder):
        held.callback(let_go, hold(folder))
        runs = sorted(one.parent for one in folder.glob(f"*/{MANIFEST}"))
    elif is_campaign(folder.parent):
        held.callback(let_go, hold(folder.parent))
    elif folder.is_dir():
        held.enter_context(_alone(folder))
    for run in runs:
        if (run / PARTS).is_dir():
            held.enter_context(claim(run / PARTS))
    return runs


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Held against another `runs label`, which is waited for; not on a disk that knows no locks."""
    lock = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _changed(labels: Mapping[str, str], given: Mapping[str, str], gone: Sequence[str]) -> dict[str, str]:
    return {key: value for key, value in {**labels, **given}.items() if key not in gone}


def _label_run(run: Path, given: Mapping[str, str], gone: Sequence[str]) -> None:
    from loadtests import manifest

    about = manifest.read(run)
    labels = _changed(about.get("labels") or {}, given, gone)
    manifest.write(run, about | {"labels": labels})
    if (run / QUANTILES).is_file():
        _label_numbers(run / QUANTILES, run / REQUESTS, labels)


def _label_numbers(kept: Path, rows: Path, labels: Mapping[str, str]) -> None:
    """The same in what is kept of its numbers; where that is older than the rows, so that nobody reads it, it stays."""
    from analysis import files

    before_ns = kept.stat().st_mtime_ns
    is_stale = rows.is_file() and before_ns < rows.stat().st_mtime_ns
    files.relabel(kept, labels)
    if is_stale:
        os.utime(kept, ns=(before_ns - 1, before_ns - 1))  # another moment, since a store is given what has changed


def _label_campaign(folder: Path, given: Mapping[str, str], gone: Sequence[str]) -> None:
    import orjson

    from loadtests.campaign import file

    told: dict[str, Any] = orjson.loads((folder / file.FILE).read_bytes())
    file.write(folder, told | {"labels": _changed(told.get("labels") or {}, given, gone)})
