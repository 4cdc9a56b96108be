"""The server of a benchmark: the embedded provider, or a compiled one that takes the same few numbers."""

from __future__ import annotations

import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import psutil

from benchmarks import truth
from benchmarks.processes import SERVER_CORE, BenchmarkError, on, running
from loadtests.mock import process as mock_process

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.truth import Sent
    from loadtests.calibrate.play import Play

TRIES: Final = 200
WAIT_S: Final = 0.05
"""How often and how long to wait for a compiled server to listen."""


@dataclass(slots=True)
class Server:
    """A server that listens; `sent` is what it wrote and when, known once it has ended."""

    base_url: str
    port: int
    pid: int
    sent: dict[int, Sent] = field(default_factory=dict)

    def cpu_s(self) -> float:
        """CPU time it has used so far, in seconds."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)


@contextmanager
def serve(play: Play, folder: Path, command: Sequence[str] | None) -> Iterator[Server]:
    """A server on the first core for the time of the block: the compiled one if there is a command."""
    if command is None:
        with embedded(play, folder) as server:
            yield server
    else:
        with _compiled(play, folder, command) as server:
            yield server


@contextmanager
def embedded(play: Play, folder: Path, tls: tuple[Path, Path] | None = None) -> Iterator[Server]:
    """The embedded provider, at its fastest; over TLS where a certificate and its key are given."""
    log = folder / "truth"
    script = [*play.script(), "--usage", "always"]
    if tls is not None:
        script += ["--tls-cert", str(tls[0]), "--tls-key", str(tls[1])]
    with on(SERVER_CORE):
        mock = mock_process.start(script, log)
    with mock:
        server = Server(mock.base_url, mock.port, mock.popen.pid)
        yield server
    server.sent = truth.read_embedded(log)


@contextmanager
def _compiled(play: Play, folder: Path, command: Sequence[str]) -> Iterator[Server]:
    log, port = folder / "truth", _free_port()
    numbers = (port, round(1e6 * play.ttft_s), round(1e6 * play.gap_s), play.tokens)
    with running([*command, *map(str, numbers), str(log)], SERVER_CORE) as process:
        _await(port)
        server = Server(f"http://127.0.0.1:{port}/v1", port, process.pid)
        yield server
    server.sent = truth.read_compiled(log.read_bytes())


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _await(port: int) -> None:
    for _ in range(TRIES):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(WAIT_S)
        else:
            return
    raise BenchmarkError(f"the truth server does not listen on port {port}")
