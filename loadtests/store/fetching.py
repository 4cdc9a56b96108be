"""A run, or a campaign, out of a store: as a directory on disk that every verb can judge, and `repair` can finish."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from loadtests.record import BODIES, CHARTS, MANIFEST, PARTS, REPORT
from loadtests.sink import ENDED
from loadtests.store import layout
from loadtests.store.batches import rest
from loadtests.store.objects import Objects
from loadtests.store.url import StoreError, bare, join, split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pyarrow.fs import FileInfo

UNREAD: Final = (REPORT, BODIES, CHARTS)
"""Of a finished run, what no verb but `verify` reads; nor does one the embedded provider's log."""

ON: Final = timedelta(seconds=60)
"""A run whose parts got an object so lately is taken for one that is on."""

MOST_NAMES: Final = 5


@dataclass(frozen=True, slots=True)
class Fetched:
    """
    What was fetched.

    Attributes:
        url: Where it lies, with `latest` followed.
        path: The directory on disk, named alike.
        on: The runs in it that still seem to be on.
    """

    url: str
    path: Path
    on: list[Path]


def fetch(url: str, into: Path, moved: Callable[[], object] = lambda: None, *, whole: bool = False) -> Fetched:
    """
    Copy a run or a campaign to disk.

    Args:
        url: Its own, or that of `latest` beside it.
        into: A folder that is there.
        moved: Called whenever a piece has come.
        whole: With what was drawn of it, and the bodies that were kept.

    Raises:
        StoreError: No run there.
    """
    above, name = split(_followed(url, moved))
    store = Objects(above, moved)
    found = store.below(name)
    if not any(path.rpartition("/")[2] in (MANIFEST, layout.CAMPAIGN) for path in found):
        raise StoreError(f"{bare(url)}: no run there{_others(store)}")
    # In a folder named like the campaign that it may belong to, with that one's own file beside it.
    target = into / (split(above)[1] or "store") / name
    target.mkdir(parents=True)
    if store.is_object(layout.CAMPAIGN):
        _copy(store, layout.CAMPAIGN, target.parent / layout.CAMPAIGN)
    on = []
    for place, objects in _by_run(found).items():
        run = target / place
        kept = {path: info for path, info in objects.items() if whole or path.split("/")[0] not in UNREAD}
        if _get_run(store, PurePosixPath(name, place), kept, run):
            on.append(run)
    return Fetched(join(above, name), target, on)


def _followed(url: str, moved: Callable[[], object]) -> str:
    """The URL of a run, where `latest` stands in it for one."""
    above, name = split(url)
    if not name:
        raise StoreError(f"{bare(url)}: names no run; write its name behind it, or {layout.LATEST}")
    if name != layout.LATEST:
        return join(_followed(above, moved), name) if split(above)[1] == layout.LATEST else url
    store = Objects(above, moved)
    if not store.is_object(layout.LATEST):
        raise StoreError(f"{bare(url)}: no run there{_others(store)}")
    newest = store.read(layout.LATEST).decode("utf-8", "replace").strip()
    if "/" in newest or newest in ("", ".", ".."):
        raise StoreError(f"{bare(url)}: holds {newest!r}, which is no name of a run")
    return join(above, newest)


def _others(store: Objects) -> str:
    """Which there are instead."""
    names = sorted(name for name in store.below(deep=False) if name != layout.LATEST)
    return f"; {bare(store.url)} has {', '.join(names[-MOST_NAMES:])}" if names else f"; {bare(store.url)} is empty"


def _by_run(found: dict[str, FileInfo]) -> dict[str, dict[str, FileInfo]]:
    """Objects by the run directory that they lie in, "" for the top one."""
    runs = {path.rpartition("/")[0] for path in found if path.rpartition("/")[2] == MANIFEST} | {""}
    kept: dict[str, dict[str, FileInfo]] = {run: {} for run in sorted(runs)}
    for path, info in sorted(found.items()):
        run = max((run for run in runs if not run or path.startswith(f"{run}/")), key=len)
        kept[run][path[len(run) :].lstrip("/")] = info
    return kept


def _get_run(store: Objects, name: PurePosixPath, objects: dict[str, FileInfo], run: Path) -> bool:
    """Copy what a run directory has; True where somebody still adds to its parts."""
    parts = {path.removeprefix(f"{PARTS}/"): info for path, info in objects.items() if path.startswith(f"{PARTS}/")}
    files = [path for path in objects if path.split("/")[0] != PARTS and not path.endswith(".truth")]
    run.mkdir(exist_ok=True)
    for path in files:
        _copy(store, str(name / path), run / path)
    if not parts or (MANIFEST in files and layout.is_finished((run / MANIFEST).read_bytes(), files)):
        return False
    (run / PARTS).mkdir()
    _get_parts(store, name / PARTS, parts, run / PARTS)
    return _is_on(run, parts)


def _is_on(run: Path, parts: dict[str, FileInfo]) -> bool:
    """Whether somebody may still add to the parts: not all workers have ended, and something came just now."""
    workers = layout.workers_of((run / MANIFEST).read_bytes())
    lately = datetime.now(UTC) - max(info.mtime for info in parts.values()) < ON
    return bool(lately and sum(name.startswith(ENDED) for name in parts) < workers)


def _get_parts(store: Objects, name: PurePosixPath, objects: Iterable[str], into: Path) -> None:
    """Copy the parts; those that came in batches become one file each, as far as none of them is missing."""
    batches = sorted(match.group("part", "suffix", "number") for path in objects if (match := layout.BATCH.match(path)))
    for (part, suffix), numbered in groupby(batches, key=lambda found: found[:2]):
        with (into / f"{part}{suffix}").open("wb") as file:
            for place, (_, _, number) in enumerate(numbered, 1):
                if int(number) != place:
                    break
                data = store.read(str(name / part / f"{number}{suffix}"))
                file.write(rest(suffix, data, first=place == 1))
    for path in objects:
        if "/" not in path:
            _copy(store, str(name / path), into / path)


def _copy(store: Objects, name: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        store.get(name, file)
