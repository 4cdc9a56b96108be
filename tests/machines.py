"""
Runs over several machines: a provider, a master and workers as the installed command starts them, killed by their pid.

Each machine may be a network namespace of its own, wired to the others through a bridge that is in one, too; where
those cannot be made, all are processes on 127.0.0.1. Whatever a test does, nothing of it is left behind: every process
carries a mark in its environment, and who carries it at the end is killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from uuid import uuid4

import orjson
import psutil
from commands import ENV, EXACT

from loadtests import clock, record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MARK: Final = "FIRSTTOKEN_TEST_SITE"
PORT: Final = 5558
INSTALLED: Final = Path(sys.executable).with_name("firsttoken")
COMMAND: Final = (str(INSTALLED),) if INSTALLED.exists() else (sys.executable, "-m", "loadtests.cli")


@dataclass(slots=True)
class Process:
    """One command, and the file that holds all it said."""

    popen: subprocess.Popen[bytes]
    told: Path

    @property
    def words(self) -> str:
        """What it has said so far."""
        return self.told.read_text()

    def code(self, within_s: float = 120.0) -> int:
        """Wait for its end; the exit code, negative where a signal killed it."""
        return self.popen.wait(within_s)

    def kill(self) -> None:
        """As the kernel does where memory is short."""
        self.popen.send_signal(signal.SIGKILL)


@dataclass(slots=True)
class Machine:
    """A machine: its address, and what a command line begins with there."""

    address: str
    entry: tuple[str, ...] = ()


@dataclass(slots=True)
class Site:
    """
    Machines, and what runs on them.

    Args:
        folder: Of all that they write: `results` of the master, `w0`, `w1`, ... of the workers.
        apart: Each machine is a network namespace; needs root.

    Attributes:
        workers: In the order in which they were started, which need not be that of their numbers.
    """

    folder: Path
    apart: bool = False
    workers: list[Process] = field(default_factory=list)
    _mark: str = field(default_factory=lambda: uuid4().hex)
    _started: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _bridge: tuple[str, ...] = ()
    _machines: int = 0

    def __enter__(self) -> Self:
        if self.apart:
            self._bridge = self._namespace()
            self._do(*self._bridge, "ip", "link", "add", "bridge", "type", "bridge")
            self._do(*self._bridge, "ip", "link", "set", "bridge", "up")
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    # Machines.

    def machine(self) -> Machine:
        """One more; the one and only where they are not apart."""
        if not self.apart:
            return Machine("127.0.0.1")
        self._machines += 1
        name, address = f"m{self._machines}", f"10.213.7.{self._machines}"
        entry = self._namespace()
        pid = entry[2]
        self._do(*self._bridge, *f"ip link add {name} type veth peer name eth0 netns {pid}".split())
        self._do(*self._bridge, *f"ip link set {name} master bridge up".split())
        self._do(*entry, *f"ip addr add {address}/24 dev eth0".split())
        for link in ("eth0", "lo"):
            self._do(*entry, "ip", "link", "set", link, "up")
        return Machine(address, entry)

    def _namespace(self) -> tuple[str, ...]:
        """A new namespace, which lives as long as a process in it; how a command line in it begins."""
        here = (Path("/proc") / "self" / "ns" / "net").readlink()
        popen = self._popen(("unshare", "-n", "cat"), subprocess.DEVNULL)
        there = Path("/proc") / str(popen.pid) / "ns" / "net"
        until(lambda: popen.poll() is not None or there.readlink() != here)
        return ("nsenter", "-t", str(popen.pid), "-n")

    def _do(self, *words: str) -> None:
        subprocess.run(words, check=True, capture_output=True)

    # Commands.

    def start(self, name: str, *words: str, on: Machine | None = None) -> Process:
        """Start `firsttoken` with these words, in a process group of its own; it writes to a file of this name."""
        told = self.folder / f"{name}.txt"
        with told.open("wb") as file:
            return Process(self._popen((*(on.entry if on else ()), *COMMAND, *words), file), told)

    def _popen(self, words: tuple[str, ...], out: Any) -> subprocess.Popen[bytes]:
        popen = subprocess.Popen(
            words, cwd=self.folder, env=ENV | {MARK: self._mark}, stdin=subprocess.PIPE, stdout=out,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self._started.append(popen)
        return popen

    def provider(self, *words: str) -> str:
        """Start a mock on a machine of its own; its base URL."""
        machine = self.machine()
        process = self.start("mock", "mock", "--host", machine.address, *EXACT, *words, on=machine)
        told = until(lambda: process.words.partition("\n")[0] or process.popen.poll() is not None)
        assert isinstance(told, str), process.words
        return f"http://{machine.address}:{orjson.loads(told)['port']}/v1"

    def run(self, url: str, workers: int, *words: str) -> tuple[Process, list[Process]]:
        """Start a master and its workers, each on a machine of its own."""
        machine = self.machine()
        port = PORT if self.apart else free_port()
        where = f"{machine.address}:{port}"
        master = self.start(
            "master", "run", "--expect-workers", str(workers), "--bind", where, "--join-within", "60s", "--profile",
            "vllm", "--model", "mock", "--base-url", url, "--yes", "--no-report", *words, on=machine,
        )  # fmt: skip
        for _ in range(workers):
            self.join(where)
        return master, self.workers

    def join(self, where: str) -> Process:
        """Start one more worker, on a machine of its own."""
        name = f"w{len(self.workers)}"
        process = self.start(
            name, "worker", "--master", where, "--wait", "60s", "--out", name, on=self.machine()
        )  # fmt: skip
        self.workers.append(process)
        return process

    # What they left.

    def begun(self) -> tuple[Path, int]:
        """Wait for the start of the load; the run's directory and the start in unix ns, which is about to come."""

        def look() -> tuple[Path, int] | None:
            for path in (self.folder / "results").glob(f"*/{record.MANIFEST}"):
                if started_ns := orjson.loads(path.read_bytes())["started_unix_ns"]:
                    return path.parent, started_ns
            return None

        found: tuple[Path, int] = until(look, 60.0)
        return found

    def kept(self) -> list[Path]:
        """The directories of workers that are still there."""
        return sorted(path for path in self.folder.glob("w*/*-worker-*") if path.is_dir())

    def load_of(self, worker: Process) -> list[psutil.Process]:
        """The load-making process of a worker, if it lives."""
        found: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            found = psutil.Process(worker.popen.pid).children()
        return found

    def alive(self) -> Iterator[psutil.Process]:
        """Every process that was started here, or by one of those, and the namespaces' own aside has not ended."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.environ().get(MARK) == self._mark and process.name() != "cat":
                    yield process

    def clear(self) -> None:
        """Kill all that is left, by pid."""
        for popen in self._started:
            if popen.poll() is None:
                popen.kill()
        for process in self.alive():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        for popen in self._started:
            popen.wait()
            assert popen.stdin is not None
            popen.stdin.close()


def until(happens: Callable[[], Any], within_s: float = 60.0) -> Any:
    """Wait for something that is true, and return it."""
    last_ns = clock.monotonic_ns() + int(within_s * 1e9)
    while not (found := happens()):
        assert clock.monotonic_ns() < last_ns, f"it did not happen within {within_s:g} s"
        time.sleep(0.01)
    return found


def sleep_until(unix_ns: int) -> None:
    """Sleep until a moment of the wall clock."""
    time.sleep(max(0, unix_ns - clock.realtime_ns()) / 1e9)


def free_port() -> int:
    """A port of 127.0.0.1 at which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def can_be_apart() -> bool:
    """Whether this user can make network namespaces, and wire them."""
    if os.geteuid() != 0:
        return False
    wires = "ip link add bridge type bridge && ip link add name wire type veth peer name end"
    try:
        return subprocess.run(["unshare", "-n", "sh", "-c", wires], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
