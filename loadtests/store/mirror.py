"""
A folder of runs copied to a store, again and again: what a run's workers have written since, then its finished files.

While a run is on, its manifest, its inputs and one object per part and beat go; once it is finished, its files, and
then the parts' objects are deleted, so that a run in a store looks exactly like one on disk.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from loadtests.record import MANIFEST, PARTS, REQUESTS
from loadtests.store import layout
from loadtests.store.batches import Growing

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

    from loadtests.store.objects import Objects


class Mirror:
    """
    What of a folder is in a store already.

    Args:
        root: Holds run directories, campaigns of them, and `latest`.
        store: Gets the same below its URL.

    Attributes:
        sent: Objects that have been put.
    """

    def __init__(self, root: Path, store: Objects) -> None:
        self._root, self._store = root, store
        self._states: dict[Path, tuple[int, int]] = {}
        self._growing: dict[Path, Growing] = {}
        self._over: set[Path] = set()
        self.sent = 0

    def beat(self) -> None:
        """
        Put what is new.

        Raises:
            StoreError: The store took no more of it; the next beat goes on there.
        """
        for folder in layout.folders_in(self._root):
            for run in layout.runs_of(folder):
                self._look(run)
            self._of_campaign(folder)
        latest = self._root / layout.LATEST
        if latest.is_symlink():
            self._latest(latest)

    def push(self, folder: Path, only: Container[str] | None = None) -> None:
        """
        Put the files of a run or a campaign, and delete the objects of parts that it has no more.

        Args:
            folder: Its directory.
            only: Their names below it; None for all.
        """
        for run in layout.runs_of(folder):
            for path in layout.files_of(run):
                if only is None or path.relative_to(folder).as_posix() in only:
                    self._file(path)
            self._drop_parts(run)
        if only is None:
            self._of_campaign(folder)

    def _look(self, run: Path) -> None:
        """A run that is on, one that is over, or one that is over but keeps its parts, to which more may come."""
        with suppress(FileNotFoundError):  # it was finished, or taken back before its start, in the meantime
            if not (run / PARTS).is_dir():
                self.push(run)
                return
            if layout.is_finished((run / MANIFEST).read_bytes(), [path.name for path in run.iterdir()]):
                for path in layout.files_of(run):
                    self._file(path)
            self._live(run)

    def _of_campaign(self, folder: Path) -> None:
        if (folder / layout.CAMPAIGN).is_file():
            self._file(folder / layout.CAMPAIGN)

    def _drop_parts(self, run: Path) -> None:
        if run not in self._over and (run / REQUESTS).is_file() and not (run / PARTS).exists():
            self._store.drop(f"{self._name(run)}/{PARTS}")
            self._over.add(run)
            self._growing = {path: grown for path, grown in self._growing.items() if run not in path.parents}

    def _live(self, run: Path) -> None:
        if not layout.has_begun(run):
            return
        self._file(run / MANIFEST)
        for path in sorted((run / PARTS).iterdir()):
            if layout.grows(path):
                self._part(run, path)
            elif path.is_file() and not path.name.startswith(layout.UNSENT) and path.suffix != ".tmp":
                self._file(path)

    def _part(self, run: Path, path: Path) -> None:
        """What a part has now, as one object; as several where it is much."""
        growing, end = self._growing.setdefault(path, Growing(path)), path.stat().st_size
        while data := growing.more(end):
            self._put(data, f"{self._name(run)}/{PARTS}/{layout.batch(path, growing.number)}")
            growing.took()

    def _file(self, path: Path) -> None:
        """A file as it is now, unless that has been put."""
        about = path.stat()
        state = about.st_mtime_ns, about.st_size
        if self._states.get(path) != state:
            self._store.put_file(path, self._name(path))
            self._states[path] = state
            self.sent += 1

    def _latest(self, link: Path) -> None:
        state = link.lstat().st_mtime_ns, 0
        if self._states.get(link) != state:
            self._put(f"{link.readlink()}\n".encode(), layout.LATEST)
            self._states[link] = state

    def _put(self, data: bytes, name: str) -> None:
        self._store.put(data, name)
        self.sent += 1

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()
