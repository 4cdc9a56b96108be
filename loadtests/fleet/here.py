"""
The worker processes of a run on this machine: started, spoken to over their pipes, ended.

One that dies is noticed and said; its parts stay on disk.
"""

from __future__ import annotations

import contextlib
import selectors
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from loadtests import child, clock
from loadtests.fleet.member import Member
from loadtests.link.lines import Lines

if TYPE_CHECKING:
    from pathlib import Path

KILL_S: Final = 10.0


@dataclass(slots=True)
class Process:
    """A worker process and the pipes to it."""

    popen: subprocess.Popen[bytes]
    lines: Lines
    log: Path

    @classmethod
    def start(cls, run_dir: Path, parts: Path, number: int) -> Process:
        """Start the worker of this number on what a run directory says; what it complains of goes to its log."""
        log = parts / f"worker-{number}.log"
        with log.open("wb") as stderr:
            popen = subprocess.Popen(  # noqa: S603 - our own module
                child.command("loadtests.worker", str(run_dir), str(number)), env=child.environment(),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, start_new_session=True,
            )  # fmt: skip
        assert popen.stdin is not None
        assert popen.stdout is not None
        return cls(popen, Lines(popen.stdout, popen.stdin), log)

    def end(self) -> None:
        """Say nothing more, and wait; then not so politely."""
        self.lines.hang_up()
        try:
            self.popen.wait(KILL_S)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        self.lines.close()

    def how_it_ended(self) -> str:
        """The end of what it wrote to its log, or by which signal it was killed."""
        words = ""
        with contextlib.suppress(OSError):
            written = self.log.read_text(errors="replace").strip().splitlines()
            words = written[-1] if written else ""
        code = self.popen.returncode or 0
        return words or (f"killed by signal {-code}" if code < 0 else "it said nothing")


class Here:
    """
    All workers of a run that are processes here.

    Args:
        run_dir: Holds the manifest that they read.
        workers: How many.

    Attributes:
        members: Of the fleet, by their number.
    """

    def __init__(self, run_dir: Path, parts: Path, workers: int) -> None:
        self._selector = selectors.DefaultSelector()
        self.members = [Member(number) for number in range(workers)]
        self._processes = [Process.start(run_dir, parts, number) for number in range(workers)]
        for member, process in zip(self.members, self._processes, strict=True):
            member.about = {"pid": process.popen.pid}
            self._selector.register(process.lines.fd, selectors.EVENT_READ, (member, process))

    def tell(self, member: Member, command: dict[str, Any]) -> None:
        """Say something to one of them; harmless where it has ended."""
        self._processes[member.number].lines.tell(command)

    def listen(self, timeout_s: float) -> None:
        """Take in what they say within this time, and who has ended."""
        for key, _ in self._selector.select(timeout_s):
            member, process = key.data
            for said in process.lines.take():
                member.heard(said)
            member.seen_ns = clock.monotonic_ns()
            if process.lines.closed:
                self._selector.unregister(key.fd)
        for member, process in zip(self.members, self._processes, strict=True):
            if member.alive and process.popen.poll() is not None and process.lines.closed:
                member.gone, member.seen_ns = process.how_it_ended(), clock.monotonic_ns()

    def came(self) -> int:
        """How many there are: all that were started."""
        return len(self.members)

    def late_ns(self) -> int:
        """How long a command may take to be heard, at most about; besides what it takes anyway."""
        return 0

    def settled(self) -> bool:
        """Whether all that can come of their rows is here: they write where the master reads."""
        return True

    def kill(self) -> None:
        """End them at once; what they had flushed stays."""
        for process in self._processes:
            process.popen.kill()

    def close(self) -> None:
        """End what still runs, politely first."""
        for process in self._processes:
            process.lines.hang_up()
        for process in self._processes:
            process.end()
        self._selector.close()
