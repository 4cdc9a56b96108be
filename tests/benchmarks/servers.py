"""The server of a benchmark: the embedded provider, or a compiled one that takes the same few numbers."""

from __future__ import annotations

import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

import psutil

from benchmarks import truth
from benchmarks.processes import SERVER_CORE, BenchmarkError, on, running
from loadtests.mock import process as mock_process

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.truth import Sent

TRIES: Final = 200
WAIT_S: Final = 0.05
"""How often and how long to wait for a compiled server to listen."""


@dataclass(frozen=True, slots=True)
class Play:
    """What every request is answered with: the first token after `ttft_s`, the others every `gap_s`."""

    ttft_s: float
    gap_s: float
    tokens: int

    @property
    def turn_s(self) -> float:
        """From a request to its last token."""
        return self.ttft_s + (self.tokens - 1) * self.gap_s


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
    given = {"ttft": play.ttft_s, "ttft-sigma": 0, "gap": play.gap_s, "gap-sigma": 0, "prefill": 0}
    script = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    script += ["--output-tokens", str(play.tokens), "--ignore-cap", "--usage", "always", "--prepared"]
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


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 signed by itself, good for a day, and its key: the paths of both."""
    from cryptography import x509  # noqa: PLC0415  of the extra `test`
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    now, day = datetime.now(UTC), timedelta(days=1)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - day).not_valid_after(now + day).add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return folder / "cert.pem", folder / "key.pem"
