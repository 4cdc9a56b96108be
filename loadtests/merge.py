"""
Parts that stayed on other machines, brought back into the run they belong to.

The master's file of a worker is a byte prefix of the worker's own, or the other way round: the longer one has it all.
Merging the same parts again changes nothing.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from loadtests import manifest, record
from loadtests.parts import read_part, whole_file
from loadtests.shipping.inbox import NAME
from loadtests.shipping.whole import whole_of
from loadtests.sink import ENDED, DiskFullError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

BLOCK: Final = 1 << 20


class MergeError(ValueError):
    """Parts that do not belong to the run: one line."""


def merge(run_dir: Path, sources: Sequence[Path]) -> list[str]:
    """
    Take over what other machines have of a run's parts.

    Args:
        run_dir: The run, with its own parts.
        sources: Directories of workers (with run.json and parts/), directories of parts, or files of parts.

    Returns:
        The names of the files of which something was new here.

    Raises:
        MergeError: They are of another run or cannot be read, or the run has no parts that anything could be added to.
        ManifestError: The run is none.
        DiskFullError: No room; files that were not taken over yet are as they were.
    """
    about, parts = manifest.read(run_dir), run_dir / record.PARTS
    if not parts.is_dir():
        raise MergeError(f"{run_dir}: it is finished, and all its workers had delivered all: nothing can be added")
    try:
        found = [path for source in sources for path in _files(source, about["run_id"])]
        found.sort(key=lambda path: path.name.startswith(ENDED))  # who has ended says so once all its rows are here
        longest = {path.name: path for path in sorted(found, key=whole_of)}
        for path in found:
            _compare(path, parts / path.name)
            _compare(path, longest[path.name])
        return [path.name for path in found if _take(path, parts / path.name)]
    except DiskFullError:
        raise
    except OSError as error:
        raise MergeError(f"{error.filename}: {error.strerror}; it must be a file that can be read") from None


def check_held(run_dir: Path, sources: Sequence[Path]) -> None:
    """
    See that a finished run has every row that others have kept of it, as it has where they are merged once more.

    Raises:
        MergeError: It hasn't, or they are of another run.
    """
    if not sources:
        return
    run_id = manifest.read(run_dir)["run_id"]
    columns = ["arm", "seq", "outcome"]
    there = pq.read_table(run_dir / record.REQUESTS, columns=columns).cast(
        pa.schema([("arm", pa.string()), ("seq", pa.int64()), ("outcome", pa.string())])
    )
    for path in (path for source in sources for path in _files(source, run_id)):
        kept = read_part(path) if path.name.startswith("requests-") else pa.table({})
        absent = kept.select(columns).join(there, columns, join_type="left anti").num_rows if len(kept) else 0
        if absent:
            text = f"{absent} of its rows are not in {run_dir}, which is finished and has no parts left to add them to"
            raise MergeError(f"{path}: {text}")


def _files(source: Path, run_id: str) -> Iterator[Path]:
    """The files of parts below a source, and the marks of workers that had ended."""
    if source.is_file():
        folder, names = source.parent, [source.name]
    elif source.is_dir():
        folder = source / record.PARTS if (source / record.PARTS).is_dir() else source
        names = sorted(path.name for path in folder.iterdir())
    else:
        raise MergeError(f"{source}: there is no such file or directory")
    told = folder.parent / record.MANIFEST
    if folder.name == record.PARTS and told.is_file() and (other := manifest.read(folder.parent)["run_id"]) != run_id:
        raise MergeError(f"{source}: these are parts of {other}, and the run is {run_id}")
    mine = [name for name in names if NAME.fullmatch(name) or name.startswith(ENDED)]
    if not mine:
        raise MergeError(f"{source}: no parts of a run, such as requests-0.arrows, are in it")
    yield from (folder / name for name in mine)


def _compare(path: Path, here: Path) -> None:
    """
    See that two copies of a file begin alike, as far as both are whole.

    Raises:
        MergeError: They don't.
    """
    if not here.exists():
        return
    left = min(whole_of(path), whole_of(here))
    with path.open("rb") as one, here.open("rb") as other:
        while left > 0:
            length = min(BLOCK, left)
            if one.read(length) != other.read(length):
                raise MergeError(f"{path}: it is not the same file as {here}; is it of this run, and of this worker?")
            left -= length


def _take(path: Path, here: Path) -> bool:
    """Have the longer one here, whole or not at all; False where it was here already."""
    if here.exists() and whole_of(path) <= whole_of(here):
        return False
    with path.open("rb") as source, whole_file(here) as file:
        shutil.copyfileobj(source, file)
    return True
