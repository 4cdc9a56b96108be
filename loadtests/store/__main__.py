"""
`python -m loadtests.store mirror URL ROOT`, `get URL INTO [whole]`, `put URL RUN [FILE...]`: started by `Storing`.

Says `ready` and `done` on stdout, `failed` with a line for people, and `moved` whenever something has.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson

from loadtests.guard import guard
from loadtests.store.fetching import fetch
from loadtests.store.layout import LATEST
from loadtests.store.mirror import Mirror
from loadtests.store.objects import Objects
from loadtests.store.process import DONE, FAILED, FINISH, MOVED, READY
from loadtests.store.url import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

BEAT_S: Final = 5.0
"""Between two looks at what is new; a store that refuses is left alone twice as long each time, up to four times."""

PAUSES_S: Final = (1.0, 2.0, 4.0, 8.0)
"""Between the tries at the end."""

QUIET_S: Final = 2.0
MOST_QUIETS: Final = 10
"""Without a parent the workers end soon: what they still write goes too."""

SECRETS: Final = (
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID", "AZURE_CLIENT_SECRET", "AZURE_STORAGE_KEY",
)  # fmt: skip


WHOLE: Final = "whole"


def say(word: str, text: str = "") -> None:
    """One line for whoever started this process; nobody may be left to hear it."""
    with contextlib.suppress(OSError):
        sys.stdout.write(f"{word} {text}\n")
        sys.stdout.flush()


def moved() -> None:
    """Something has come or gone."""
    say(MOVED)


def mirror(url: str, root: str) -> str:
    """Copy what a folder of runs gets, until told to finish, or until whoever started this is gone."""
    silent = [True]  # nobody reads while the run is on, and a pipe is soon full
    store = Objects(url, lambda: None if silent[0] else moved())
    store.probe()
    say(READY)
    kept, wait_s = Mirror(Path(root), store), BEAT_S
    while (told := _told(wait_s)) is None:
        try:
            kept.beat()
            wait_s = BEAT_S
        except StoreError:
            wait_s = min(2 * wait_s, 4 * BEAT_S)
    silent[0] = False
    if told == FINISH:
        _finish(kept)
    else:
        _orphaned(kept)
    return ""


def _told(wait_s: float) -> bytes | None:
    """What the parent says within this time: to finish, or nothing ever again (b""); None for not a word."""
    return os.read(0, len(FINISH)) if select.select([0], [], [], wait_s)[0] else None


def _finish(kept: Mirror) -> None:
    for pause_s in PAUSES_S:
        try:
            return kept.beat()
        except StoreError:
            moved()
            time.sleep(pause_s)
    return kept.beat()


def _orphaned(kept: Mirror) -> None:
    for _ in range(MOST_QUIETS):
        before = kept.sent
        kept.beat()
        if kept.sent == before:
            return
        time.sleep(QUIET_S)


def get(url: str, into: str, *how: str) -> str:
    """Copy a run or a campaign to disk; all of it where that is said."""
    found = fetch(url, Path(into), moved, whole=WHOLE in how)
    return orjson.dumps([found.url, str(found.path), [str(path) for path in found.on]]).decode()


def put(url: str, run: str, *only: str) -> str:
    """
    Copy a run or a campaign into the folder that a URL names.

    Args:
        url: Gets it below its own name.
        run: The directory.
        only: The names of the files meant, below it; all where none is named.
    """
    path, store = Path(run), Objects(url, moved)
    kept = Mirror(path.parent, store)
    kept.push(path, only or None)
    newest = store.read(LATEST).decode() if store.is_object(LATEST) else ""
    if not only and path.name > newest.strip():  # names begin with their moment
        store.put(f"{path.name}\n".encode(), LATEST)
    return ""


VERBS: Final[dict[str, Callable[..., str]]] = {"mirror": mirror, "get": get, "put": put}


def main() -> int:
    """Do what is asked; the exit code."""
    os.umask(0o077)  # error texts and bodies are for whoever made the run
    guard(os.environ.get(name) for name in SECRETS)
    verb, *words = sys.argv[1:]
    try:
        text = VERBS[verb](*words)
    except StoreError as error:
        say(FAILED, str(error))
        return 1
    say(DONE, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
