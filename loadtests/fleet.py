"""
The worker processes of a run on this machine, as their parent sees them: started, spoken to, listened to, ended.

The parent speaks in lines of JSON over each worker's stdin and listens on its stdout. A worker that dies is noticed and
said; its parts stay on disk.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson

from loadtests import child, clock
from loadtests.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

READY_S: Final = 60.0
LEAD_NS: Final = 50_000_000
"""Between a command that begins something and that moment, so that every worker has heard it."""

START_NS: Final = 300_000_000
"""The same for the start of a run: the first requests, a burst perhaps, are made in the meantime."""

KILL_S: Final = 10.0


class FleetError(RuntimeError):
    """A worker did not come up, or ended unasked."""


@dataclass(slots=True)
class Member:
    """One worker process and what it last said of itself."""

    number: int
    process: subprocess.Popen[bytes]
    log: Path
    status: dict[str, Any] = field(default_factory=dict)
    ready: bool = False
    over: bool = False
    reached: int = -1
    stopping: Stop | None = None
    rest: bytes = b""

    @property
    def dead(self) -> bool:
        """It ended without saying that it is over."""
        return not self.over and self.process.poll() is not None

    def last_words(self) -> str:
        """The end of what it wrote to its log."""
        with contextlib.suppress(OSError):
            lines = self.log.read_text(errors="replace").strip().splitlines()
            return lines[-1] if lines else ""
        return ""


class Fleet:
    """
    All workers of a run.

    Args:
        run_dir: Holds the manifest that the workers read.
        workers: How many.

    Attributes:
        zero_ns: The run's start on the monotonic clock; set before `start`.
    """

    def __init__(self, run_dir: Path, parts: Path, workers: int) -> None:
        self.zero_ns = clock.monotonic_ns()
        self._selector = selectors.DefaultSelector()
        self.members = [self._spawn(run_dir, parts, number) for number in range(workers)]

    def _spawn(self, run_dir: Path, parts: Path, number: int) -> Member:
        log = parts / f"worker-{number}.log"
        with log.open("wb") as stderr:
            process = subprocess.Popen(  # noqa: S603 - our own module
                child.command("loadtests.worker", str(run_dir), str(number)), env=child.environment(),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, start_new_session=True,
            )  # fmt: skip
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        member = Member(number, process, log)
        self._selector.register(process.stdout, selectors.EVENT_READ, member)
        return member

    def wait_ready(self, stop: Callable[[], bool]) -> None:
        """
        Wait until every worker has read its plan and could start, or until `stop` says so.

        Raises:
            FleetError: One of them ended instead, or took too long.
        """
        until = clock.monotonic_ns() + int(READY_S * 1e9)
        while not stop() and not all(member.ready for member in self.members):
            self.listen(0.1)
            for member in self.members:
                if member.dead:
                    raise FleetError(member.last_words() or f"worker {member.number} ended at once")
            if clock.monotonic_ns() > until:
                raise FleetError(f"the workers did not come up within {READY_S:g} s")

    def start(self) -> None:
        """Begin at `zero_ns`."""
        self._tell({"do": "start", "zero_ns": self.zero_ns})

    def elapsed_s(self) -> float:
        """Seconds since the run's start, at least 0."""
        return max(0.0, (clock.monotonic_ns() - self.zero_ns) / 1e9)

    def stop(self, stop: Stop) -> None:
        """Offer no more; what is in flight goes on."""
        self._tell({"do": "stop", "stop": [*stop]})

    def cancel(self, flag: str) -> None:
        """End what is in flight; each request is recorded as cancelled."""
        self._tell({"do": "cancel", "flag": flag})

    def pause(self, arm: str, until_ns: int) -> None:
        """The provider of an arm asked one worker for a pause: all of them keep it."""
        self._tell({"do": "pause", "arm": arm, "until_ns": until_ns})

    def go(self, slot: int) -> None:
        """All are done with the slot before this one: it begins, or behind the last one the run is over."""
        start_ns = clock.monotonic_ns() - self.zero_ns + LEAD_NS
        self._tell({"do": "go", "slot": slot, "start_ns": start_ns})

    def kill(self) -> None:
        """End the workers at once; what they had flushed stays."""
        for member in self.members:
            member.process.kill()

    def _tell(self, command: dict[str, Any]) -> None:
        for member in self.members:
            stdin = member.process.stdin
            assert stdin is not None
            with contextlib.suppress(OSError):  # it has ended; `done` tells
                stdin.write(orjson.dumps(command) + b"\n")
                stdin.flush()

    def listen(self, timeout_s: float) -> None:
        """Take in what the workers say within this time."""
        for key, _ in self._selector.select(timeout_s):
            member: Member = key.data
            data = os.read(key.fd, 1 << 16)
            if not data:
                self._selector.unregister(key.fileobj)
                continue
            *lines, member.rest = (member.rest + data).split(b"\n")
            for line in lines:
                self._heard(member, orjson.loads(line))

    @staticmethod
    def _heard(member: Member, said: dict[str, Any]) -> None:
        if said["kind"] == "ready":
            member.ready = True
            return
        if said["kind"] == "reached":
            member.reached = said["slot"]
            return
        if said["kind"] == "over":
            member.over = True
        else:
            member.status = said
        if said["stopping"]:
            member.stopping = Stop(*said["stopping"])

    @property
    def done(self) -> bool:
        """Every worker is over, or dead."""
        return all(member.over or member.dead for member in self.members)

    def stopping(self) -> Stop | None:
        """Why a worker stopped before its plan did; None where none has."""
        return next((member.stopping for member in self.members if member.stopping), None)

    def paused_until_ns(self) -> dict[str, int]:
        """By the name of an arm, the latest moment of the run up to which some worker was asked to pause."""
        latest: dict[str, int] = {}
        for member in self.members:
            for arm, until_ns in member.status.get("paused_until_ns", {}).items():
                latest[arm] = max(latest.get(arm, -1), until_ns)
        return latest

    def reached(self) -> int:
        """The last slot that all workers are done with; -1 before the first."""
        return min(member.reached for member in self.members)

    def dead(self) -> list[Member]:
        """The workers that ended without a word."""
        return [member for member in self.members if member.dead]

    def lost(self) -> Stop | None:
        """Why a run ends whose worker died: what it offered and had reserved is nobody's now; None where all live."""
        dead = self.dead()
        if not dead:
            return None
        who = ", ".join(str(member.number) for member in dead)
        code = dead[0].process.returncode
        how = dead[0].last_words() or (f"killed by signal {-code}" if code < 0 else "it said nothing")
        return Stop("worker_lost", f"worker {who} ended unasked: {how}")

    def close(self) -> None:
        """End what still runs, politely first."""
        self.cancel("run_end")
        for member in self.members:
            if member.process.stdin is not None:
                with contextlib.suppress(OSError):
                    member.process.stdin.close()
        for member in self.members:
            try:
                member.process.wait(KILL_S)
            except subprocess.TimeoutExpired:
                member.process.kill()
                member.process.wait()
            if member.process.stdout is not None:
                member.process.stdout.close()
        self._selector.close()


def total(members: Iterable[Member], key: str) -> int:
    """The sum of one count over all workers' last statuses."""
    return sum(int(member.status.get(key, 0)) for member in members)
