"""A master and its workers as `machines` starts them, on 127.0.0.1, with a proxy between them or keys of their own."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING, NamedTuple, Self

import orjson
from commands import about, latest
from machines import Machine, Process, Site, free_port, sleep_until, until

if TYPE_CHECKING:
    from pathlib import Path

    import psutil

    from loadtests.mock.process import MockProcess


class End(NamedTuple):
    """How a command ended, and all that it said."""

    code: int
    words: str


class Crew:
    """
    Starts them, and leaves none behind.

    Args:
        folder: Each worker's parts are in `folder/w<n>`, the run in `folder/results`.
        mock: The provider; None: words of the master say which.
        port: Where the master is to listen; 0: any.

    Attributes:
        port: Where the master listens.
        workers: In the order in which they were started.
    """

    def __init__(self, folder: Path, mock: MockProcess | None = None, port: int = 0) -> None:
        self.folder, self.port, self._mock = folder, port or free_port(), mock
        self.workers: list[Process] = []
        self._site = Site(folder)

    def __enter__(self) -> Self:
        self._site.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._site.__exit__(*error)

    def lead(self, expect: int, *words: str) -> Process:
        """Start the master."""
        to = () if self._mock is None else ("--profile", "vllm", "--model", "mock", "--base-url", self._mock.base_url)
        bind = ("--expect-workers", str(expect), "--bind", f"127.0.0.1:{self.port}", "--no-report")
        here = Machine("127.0.0.1", ("env", "-u", "OPENAI_API_KEY"))
        self.master = self._site.start("master", "run", *to, *bind, *words, on=here)
        return self.master

    def join(self, *words: str, port: int | None = None, key: str | None = None) -> Process:
        """Start a worker, at the master's port or at that of a proxy before it, with an OpenAI key or without one."""
        name = f"w{len(self.workers)}"
        own = ("--master", f"127.0.0.1:{port or self.port}", "--out", name)
        keys = ("-u", "OPENAI_API_KEY") if key is None else (f"OPENAI_API_KEY={key}",)
        here = Machine("127.0.0.1", ("env", *keys))
        self.workers.append(self._site.start(name, "worker", *own, *words, on=here))
        return self.workers[-1]

    def go(self, expect: int, *words: str) -> int:
        """Start a master and all that it expects; the start of the load."""
        self.lead(expect, *words)
        for _ in range(expect):
            self.join()
        return self.begun()

    def begun(self) -> int:
        """Wait for the start of the load; its moment in unix ns."""
        started_ns: int = until(self._started_ns, 60.0)
        sleep_until(started_ns)
        return started_ns

    def _started_ns(self) -> int:
        with contextlib.suppress(OSError, orjson.JSONDecodeError, KeyError):
            return about(self.folder)["started_unix_ns"] or 0
        return 0

    def end(self) -> End:
        """The master's end."""
        return End(self.master.code(), self.master.words)

    def ends(self) -> list[End]:
        """Those of the workers."""
        return [End(one.code(), one.words) for one in self.workers]

    def codes(self) -> list[int]:
        """The master's exit code, then those of the workers."""
        return [self.master.code(), *(one.code() for one in self.workers)]

    def number(self, worker: Process) -> int:
        """Its number in the run."""
        word: str = until(lambda: worker.words)
        return int(word.split()[1])

    def load(self, worker: Process) -> psutil.Process:
        """Its load-making process."""
        (found,) = self._site.load_of(worker)
        return found

    def kept(self) -> list[Path]:
        """What the workers have left on their disks."""
        return self._site.kept()

    def run(self) -> Path:
        """The run's directory."""
        return latest(self.folder)


def interrupt(process: Process) -> None:
    """Ctrl-C."""
    process.popen.send_signal(signal.SIGINT)
