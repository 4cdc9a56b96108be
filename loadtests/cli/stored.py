"""Runs in a store, on the command line: made here and kept there, and fetched from there where a RUN is asked for."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from loadtests.cli.output import worst

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.store import Storing

STAGING: Final = Path("results") / ".staging"
"""Where runs are made that go to a store; one that couldn't stays here, where people look for runs."""

_urls: Final[dict[Path, str]] = {}
"""By directory on disk, the URL that people know it by."""


def url_of(path: Path) -> str | None:
    """The URL by which people know a path of a run that lies in a store; None where it lies on disk."""
    from loadtests.store import join

    whole = path.resolve()
    for folder, url in _urls.items():
        if whole.is_relative_to(folder):
            return join(url, *whole.relative_to(folder).parts)
    return None


# A run on its way to a store.


@dataclass(slots=True)
class Outlet:
    """
    Where runs are made.

    Attributes:
        path: A directory on disk.
        code: The exit code of what was made there.
        suffix: Of the name of each run.
    """

    path: Path
    code: int = 0
    suffix: str = ""


@contextmanager
def outlet(out: str) -> Iterator[Outlet]:
    """
    The directory that runs are made in; where `--out` is a URL, one that is copied there all the while.

    Raises:
        StoreError: Nothing can be kept there; nothing was sent.
    """
    from loadtests.store import Storing, bare, check, is_url

    if not is_url(out):
        yield Outlet(Path(out))
        return
    url, staging = check(out), _staging(out)
    try:
        with Storing("mirror", url, str(staging)) as storing:
            storing.wait()
            _urls[staging.resolve()] = url
            click.echo(f"note: until it is in {bare(url)}, the run is in {staging}", err=True)
            made = Outlet(staging, suffix=f"-{os.urandom(3).hex()}")  # nobody can claim a name in a store
            yield made
            made.code = worst((made.code, _settled(storing, staging, url)))
    finally:
        _urls.pop(staging.resolve(), None)
        _tidy(staging)


def drawn_in(out: str) -> Path:
    """The directory for what is drawn and not sent, which goes to no store."""
    from loadtests.store import check, is_url

    return STAGING.parent if is_url(out) and check(out) else Path(out)


def _staging(out: str) -> Path:
    from loadtests.clock import utc_stamp

    try:
        STAGING.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f"{utc_stamp()}-", dir=STAGING))
    except OSError as error:
        why = f"{STAGING}: {error.strerror or error}"
        raise click.UsageError(f"--out {out}: the run is made on disk first; {why}; start it elsewhere") from None


def _settled(storing: Storing, staging: Path, url: str) -> int:
    """Wait until the store has all; 3 where it doesn't get it, 130 where somebody won't wait."""
    from loadtests.record import PARTS, REQUESTS
    from loadtests.store import StoreError, bare

    made = [path for path in sorted(staging.iterdir()) if path.is_dir() and not path.is_symlink()]
    code, why = 3, "it was not finished"
    click.echo(f"putting it into {bare(url)}; Ctrl-C leaves it in {staging}", err=True)
    try:
        storing.finish()
    except StoreError as error:
        why = str(error)
    except KeyboardInterrupt:
        code, why = 130, "stopped by Ctrl-C on its way to the store"
    else:
        parts = list(staging.rglob(PARTS))
        if not parts:
            shutil.rmtree(staging, ignore_errors=True)
            return 0
        if all((one.parent / REQUESTS).is_file() for one in parts):
            why = "a worker may have kept rows of it"
    for path in made:
        again = f"`firsttoken repair {path} --out {shlex.quote(url)}`"
        click.echo(f"firsttoken: {why}; the run is kept in {path}: {again} puts it there", err=True)
    return code if made else 0


def _tidy(staging: Path) -> None:
    """Leave no empty folder behind."""
    (staging / "latest").unlink(missing_ok=True)
    for folder in (staging, STAGING, STAGING.parent):
        with suppress(OSError):
            folder.rmdir()


# A run out of a store.


class RunArgument(click.ParamType[Path]):
    """
    A run directory, or the URL of one, which is fetched; what a verb changes in it goes back.

    Args:
        whole: Fetch what was drawn of it too, and the bodies that were kept.
    """

    name = "run"

    def __init__(self, *, whole: bool = False) -> None:
        self._whole = whole

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:  # noqa: ARG002
        """The directory on disk."""
        if "://" not in str(value):
            return Path(value)
        assert ctx is not None
        return ctx.with_resource(fetched(str(value), whole=self._whole))


RUN: Final = click.argument("run", type=RunArgument(), default=Path("results/latest"), metavar="[RUN]")
"""The one RUN of a verb, the newest unless it is named."""


def put(path: Path, out: str) -> str:
    """
    Put a run or a campaign of this disk into a store; its URL there.

    Raises:
        StoreError: No URL of a store, or it takes them not.
    """
    from loadtests.store import check, join

    url = join(check(out), path.name)
    give_back(url, path, [])
    return url


@contextmanager
def fetched(url: str, *, whole: bool = False) -> Iterator[Path]:
    """
    A run of a store on disk, until the verb is over; files that it has changed by then go back.

    Raises:
        StoreError: No run there.
    """
    import orjson

    from loadtests.store import Storing, check

    with tempfile.TemporaryDirectory(prefix="firsttoken-", ignore_cleanup_errors=True) as folder:
        with Storing("get", check(url), folder, *(["whole"] if whole else [])) as storing:
            place, found, on = orjson.loads(storing.wait())
        path = Path(found)
        _urls[path.resolve()] = place
        before, locks = _states(path), [_locked(Path(run)) for run in on]
        try:
            yield path
        finally:
            _urls.pop(path.resolve())
            for lock in locks:
                os.close(lock)
        if changed := [name for name, state in _states(path).items() if before.get(name) != state]:
            give_back(place, path, changed)


def give_back(url: str, path: Path, names: list[str]) -> None:
    """
    Put files of a run into the store that it is from, or all of them where none is named.

    Args:
        url: Of the run.
        path: Its directory on disk.
        names: Of the files, below it.

    Raises:
        StoreError: It takes them not.
    """
    from loadtests.store import Storing
    from loadtests.store.url import split

    with Storing("put", split(url)[0], str(path), *names) as storing:
        storing.wait()


def _states(path: Path) -> dict[str, tuple[int, int]]:
    """What tells whether a file was changed, by its name below the directory; the parts aside."""
    found = {file.relative_to(path): file.stat() for file in path.rglob("*") if file.is_file()}
    return {str(name): (s.st_mtime_ns, s.st_size) for name, s in found.items() if "parts" not in name.parts[:2]}


def _locked(run: Path) -> int:
    """The parts of a run that others still write, held as they hold them."""
    import fcntl

    from loadtests.record import PARTS
    from loadtests.sink import LOCK

    lock = os.open(run / PARTS / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock
