"""Processes of a benchmark: started on a core, waited for, and ended whatever happens."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

STOP_S: Final = 20.0
"""How long a process may take to end once it was asked to."""

CORES: Final = sorted(os.sched_getaffinity(0))
SERVER_CORE: Final = CORES[0]
CLIENT_CORE: Final = CORES[-1]

BURN: Final = """
import os, time
parent = os.getppid()
while os.getppid() == parent:
    until = time.monotonic() + 0.001
    while time.monotonic() < until:
        pass
    time.sleep(0.001)
"""


class BenchmarkError(RuntimeError):
    """A process of the benchmark did not do its part."""


@contextmanager
def on(core: int | None) -> Iterator[None]:
    """What is started in here starts on this core; None: on any."""
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, before if core is None else {core})
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def running(command: Sequence[str], core: int | None, **how: Any) -> Iterator[subprocess.Popen[bytes]]:
    """
    A process for as long as the block takes.

    It has a session of its own, so that Ctrl-C at a terminal reaches us alone and we end all of them in order.
    """
    with on(core):
        process = subprocess.Popen(command, start_new_session=True, **how)
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):  # a second Ctrl-C: whoever waits has waited enough
        process.kill()
        process.wait()


def output(command: Sequence[str], core: int | None, fine: Sequence[int] = (0,), **how: Any) -> bytes:
    """
    What a process writes to stdout, once it has ended by itself.

    Raises:
        BenchmarkError: Its exit code is not one of `fine`; says its last words.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with running(command, core, stdin=subprocess.DEVNULL, stdout=out, stderr=err, **how) as process:
            code = process.wait()
        for file in (out, err):
            file.seek(0)
        if code not in fine:
            last = (err.read() or out.read()).decode(errors="replace").strip()[-500:]
            raise BenchmarkError(f"{' '.join(command)} ended with {code}: {last}")
        return out.read()


def burning() -> AbstractContextManager[subprocess.Popen[bytes]]:
    """For a block: a process that takes half of the client's core, a millisecond on and a millisecond off."""
    return running([sys.executable, "-c", BURN], CLIENT_CORE)


LIMIT_S: Final = 4
"""Seconds of the limit client, before and after ours."""


def limit_us(command: Sequence[str], port: int, streams: int) -> float:
    """
    CPU per event of the limit client, in microseconds.

    Raises:
        BenchmarkError: It failed, or did not say so.
    """
    said = output([*command, str(port), str(streams), str(LIMIT_S)], CLIENT_CORE).decode()
    found = re.search(r"cpu/event=([0-9.]+)", said)
    if found is None:
        raise BenchmarkError(f"the limit client said no cpu/event: {said.strip()[:200]!r}")
    return float(found[1])


def worker_peak_bytes(parent: psutil.Process) -> int:
    """The largest resident memory so far of a worker that this process started; 0 where none is there."""
    peaks = [0]
    for process in parent.children():
        try:
            if "loadtests.worker" in process.cmdline():
                status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
                peaks += [1024 * int(kb) for kb in re.findall(r"VmHWM:\s+(\d+)", status)]
        except (OSError, psutil.Error):  # it has just ended
            continue
    return max(peaks)


def raise_descriptors() -> None:
    """As many open files as we may: thousands of streams need one each, in the server and in the client."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
