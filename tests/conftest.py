"""A real server on 127.0.0.1 whose every byte a test writes, and what tests of several modules share."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import shutil
import socket
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from certificates import self_signed
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from loadtests.wire.receiver import Receiver

# A calibration in the user's cache must not judge a test's run; set before a test module copies the environment.
os.environ.setdefault(
    "MPLCONFIGDIR", str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "matplotlib")
)
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="firsttoken-tests-")
atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)

# Every process that a test starts would compile the package anew: a second or two each, where bytecode is not kept.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A busy machine is no flaw: what is drawn may take its time. Each run draws others; FIRSTTOKEN_EXAMPLES says how many.
examples = int(os.environ.get("FIRSTTOKEN_EXAMPLES", "40"))
settings.register_profile("patient", deadline=None, max_examples=examples, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

collections = 0
"""How many full collections there were when it was last said what is here to stay."""


def pytest_collection_finish() -> None:
    """All modules and tests are there: the next test to run says that they are here to stay."""
    gc.collect()


def pytest_runtest_setup() -> None:
    """What outlived a full collection is not looked at by the next: every engine collects when it begins."""
    global collections  # noqa: PLW0603  the collector is one for the process, too
    if (now := gc.get_stats()[2]["collections"]) != collections:
        gc.freeze()
        collections = now


def pytest_sessionfinish() -> None:
    """Whatever was leaked is found at the end."""
    gc.unfreeze()


Handler = "Callable[[socket.socket], None]"


def read_request(sock: socket.socket) -> bytes:
    """One HTTP request with Content-Length, whole; b"" where the client has closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        piece = sock.recv(65536)
        if not piece:
            return b""
        body += piece
    return head + b"\r\n\r\n" + body


def chunked(*pieces: bytes) -> bytes:
    """Pieces as the chunks of a chunked body, with its end."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


class Server:
    """Runs a handler in a thread per connection; `errors` holds what handlers raised."""

    def __init__(self, handler: Callable[[socket.socket], None], tls: ssl.SSLContext | None, family: int) -> None:
        host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
        self.listener = socket.create_server((host, 0), family=family)
        self.port: int = self.listener.getsockname()[1]
        self.connections = 0
        self.errors: list[BaseException] = []
        self._handler, self._tls = handler, tls
        self._threads: list[threading.Thread] = []
        self._socks: list[socket.socket] = []
        self._acceptor = threading.Thread(target=self._accept)
        self._acceptor.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._run, args=(sock,))
            self._threads.append(thread)
            thread.start()

    def _run(self, sock: socket.socket) -> None:
        try:
            sock.settimeout(60)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
            self._socks.append(sock)
            self._handler(sock)
        except OSError as error:
            self.errors.append(error)  # a client that goes away is what some tests are about
        finally:
            sock.close()

    def wait(self) -> None:
        """Until every handler so far has ended, and has closed its connection."""
        for thread in list(self._threads):
            thread.join(60)
            assert not thread.is_alive()

    def close(self) -> None:
        """Accept no more, end what is still talked about and wait for the handlers."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self._acceptor.join(5)
        for sock in self._socks:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)


def until(holds: Callable[[], bool]) -> None:
    """Let the other greenlets work until this holds."""
    import gevent  # noqa: PLC0415  most tests need no event loop

    with gevent.Timeout(60):
        while not holds():
            gevent.sleep(0.005)


def attempts(tmp_path: Path) -> Iterator[Path]:
    """
    Folders for up to three attempts.

    For what needs a moment at which this machine does not stand still; a flaw of ours shows in each of them.
    """
    for number in range(3):
        folder = tmp_path / f"attempt-{number}"
        folder.mkdir()
        yield folder


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """A function that starts a server with a handler."""
    servers: list[Server] = []

    def start(
        handler: Callable[[socket.socket], None], tls: ssl.SSLContext | None = None, family: int = socket.AF_INET
    ) -> Server:
        servers.append(Server(handler, tls, family))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver whose axis begins now."""
    from loadtests import clock  # noqa: PLC0415  most tests need no event loop
    from loadtests.wire.receiver import Receiver  # noqa: PLC0415

    made = Receiver()
    made.set_zero(clock.monotonic_ns())
    yield made
    made.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost signed by itself, as (path of certificate, path of key)."""
    return self_signed(tmp_path_factory.mktemp("tls"))
