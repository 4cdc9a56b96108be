"""The objects below one URL: put, read, listed, dropped; what a store says of a failure becomes one line of ours."""

from __future__ import annotations

import os
import re
import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import pyarrow as pa
from pyarrow import fs

from loadtests.guard import masked
from loadtests.store.url import StoreError, bare, check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PIECE_BYTES: Final = 8 << 20
MOST_CHARS: Final = 300
"""Of what a store says of a failure."""

REQUEST_ID: Final = re.compile(r" \(Request ID: [^)]*\)")

PROBE: Final = ".firsttoken-"


class Objects:
    """
    The objects below a URL; names are paths below it, parted by slashes.

    Args:
        url: As `pyarrow.fs.FileSystem.from_uri` takes it; who we are, the environment tells.
        moved: Called whenever a piece of something has come or gone.

    Raises:
        StoreError: No URL of a store, or nothing there.
    """

    def __init__(self, url: str, moved: Callable[[], object] = lambda: None) -> None:
        self.url, self._moved = check(url), moved
        with self._explained():
            self._fs, base = fs.FileSystem.from_uri(self.url)
        self._base = base.rstrip("/")
        self._local = self._fs.type_name == "local"
        if not self._base and not self._local:
            raise StoreError(f"{bare(url)}: names no bucket")

    def probe(self) -> None:
        """
        Write an object and delete it: whether a run can be kept here is known before its first request.

        Raises:
            StoreError: It cannot.
        """
        name = f"{PROBE}{secrets.token_hex(8)}"
        self.put(b"", name)
        with self._explained():
            self._fs.delete_file(self._path(name))

    def put(self, data: bytes, name: str) -> None:
        """Make an object of these bytes, whole or not at all; one of that name is replaced."""
        with self._explained(), self._opened(name) as out:
            out.write(data)
        self._moved()

    def put_file(self, path: Path, name: str) -> None:
        """The same with a file, which is never in memory as a whole."""
        with path.open("rb") as file, self._explained(), self._opened(name) as out:
            while data := file.read(PIECE_BYTES):
                out.write(data)
                out.flush()  # waits for what is under way in the background
                self._moved()

    def read(self, name: str) -> bytes:
        """A small object, or one of a part, as a whole."""
        with self._explained(), self._fs.open_input_stream(self._path(name)) as file:
            data: bytes = file.read()
        self._moved()
        return data

    def get(self, name: str, into: IO[bytes]) -> None:
        """Append what an object holds to a file."""
        with self._explained(), self._fs.open_input_stream(self._path(name)) as file:
            while data := file.read(PIECE_BYTES):
                into.write(data)
                self._moved()

    def is_object(self, name: str) -> bool:
        """Whether there is an object of exactly this name."""
        with self._explained():
            found = self._fs.get_file_info(self._path(name)).type
        return bool(found == fs.FileType.File)

    def below(self, name: str = "", *, deep: bool = True) -> dict[str, fs.FileInfo]:
        """
        What lies below a name, by its path below that: every object, or with `deep=False` also folders, one step down.

        Raises:
            StoreError: The store refuses, or the name of an object would lead out of a folder that it is copied to.
        """
        top = self._path(name)
        with self._explained():
            found = self._fs.get_file_info(fs.FileSelector(top, allow_not_found=True, recursive=deep))
        kept = {info.path[len(top) :].lstrip("/"): info for info in found if not deep or info.type == fs.FileType.File}
        for path in kept:
            if ".." in path.split("/"):
                raise StoreError(f"{bare(self.url)}: holds an object called {path!r}, which firsttoken never wrote")
        return kept

    def drop(self, name: str) -> None:
        """Delete a folder with all that is in it, if it is there."""
        with self._explained():
            if self._fs.get_file_info(self._path(name)).type == fs.FileType.Directory:
                self._fs.delete_dir(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._base}/{name}".rstrip("/")

    @contextmanager
    def _opened(self, name: str) -> Iterator[pa.NativeFile]:
        """An object to write, there once it is closed."""
        path = self._path(name)
        if not self._local:
            with self._fs.open_output_stream(path) as out:
                yield out
            return
        partial = Path(f"{path}.{os.getpid()}.tmp")
        partial.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._fs.open_output_stream(str(partial)) as out:
                yield out
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """What pyarrow says of a store, as one line of ours."""
        try:
            yield
        except (OSError, pa.lib.ArrowException) as error:
            text = REQUEST_ID.sub("", " ".join(masked(str(error)).split()))[:MOST_CHARS]
            raise StoreError(f"{bare(self.url)}: {text}") from None
