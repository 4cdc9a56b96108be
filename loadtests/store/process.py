"""The process that speaks to a store, as whoever started it sees it: heard, told to finish, ended."""

from __future__ import annotations

import contextlib
import select
import subprocess
import tempfile
from typing import TYPE_CHECKING, Final, Self

from loadtests import child
from loadtests.store.url import StoreError, bare

if TYPE_CHECKING:
    from types import TracebackType

SILENCE_S: Final = 60.0
"""After so long without a word of progress nobody waits any longer; pyarrow itself tries a silent store for 99 s."""

END_S: Final = 5.0

READY: Final = "ready"
DONE: Final = "done"
FAILED: Final = "failed"
MOVED: Final = "moved"
FINISH: Final = b"finish\n"


class Storing:
    """
    A process of ours at work with a store. It is ended with the `with` block, and not by a Ctrl-C that is meant for us.

    Args:
        verb: What it does: `mirror`, `get` or `put`.
        url: Of the store, for the messages.
        words: What that needs.
    """

    def __init__(self, verb: str, url: str, *words: str) -> None:
        self._url = url
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - for as long as the process lives
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            child.command("loadtests.store", verb, url, *words), env=child.environment(), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self._errors, start_new_session=True, bufsize=0,
        )  # fmt: skip

    def wait(self, silence_s: float = SILENCE_S) -> str:
        """
        What it says when it is ready, or done.

        Raises:
            StoreError: It failed, or nothing was heard of it for so long.
        """
        assert self._process.stdout is not None
        while True:
            if not select.select([self._process.stdout], [], [], silence_s)[0]:
                raise StoreError(f"{bare(self._url)}: no answer for {silence_s:g} s")
            word, _, text = self._process.stdout.readline().decode().rstrip("\n").partition(" ")
            if word in (READY, DONE):
                return text
            if word == FAILED:
                raise StoreError(text)
            if word != MOVED:
                raise StoreError(f"{bare(self._url)}: what speaks to it ended unasked: {self._last_words()}")

    def finish(self) -> str:
        """
        Have it put what is still missing.

        Raises:
            StoreError: It couldn't.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended; `wait` tells
            self._process.stdin.write(FINISH)
        return self.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        """End it, at once where something went wrong."""
        if kind is not None:
            self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"
