"""
The mock as a service: settings, signals and the life of the process around a `Server`.

The garbage collector is off while it serves, so that no pause makes a write late.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import socket
import sys
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loadtests.mock.condition import Conditions
from loadtests.mock.front import Cast, Front
from loadtests.mock.journal import Journal
from loadtests.mock.log import Log
from loadtests.mock.quota import quota_of
from loadtests.mock.script import Script
from loadtests.mock.server import Server
from loadtests.mock.tls import context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """
    How the mock is served.

    Attributes:
        script: What is played.
        host: Address to listen on.
        port: Port to listen on; 0 is any free one.
        key: Where given, only requests with `Authorization: Bearer <key>` are answered.
        tls_cert: File of the certificate to serve https with; None for plain http.
        tls_key: File of its key; there exactly when the certificate is.
        log: File for the truth, see `log`; None for none.
        request_log: File for what was asked, see `journal`; None for none.
        cast: Which provider and which scenarios are played.
        conditions: The state of the server: freezes, drift, slots, quotas.
        until_eof: End when stdin does, so as not to outlive the process at its other end.
    """

    script: Script = field(default_factory=Script)
    host: str = "127.0.0.1"
    port: int = 0
    key: str | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    log: Path | None = None
    request_log: Path | None = None
    cast: Cast = field(default_factory=Cast)
    conditions: Conditions = field(default_factory=Conditions)
    until_eof: bool = False


def serve(settings: Settings, on_ready: Callable[[int, str], None]) -> None:
    """
    Serve until SIGTERM, SIGINT or, with `until_eof`, the end of stdin. For the main thread of a process.

    Args:
        settings: How.
        on_ready: Called with the port and the scheme of its addresses once it listens.

    Raises:
        OSError: A log can't be written, or stdin not waited for.
        ValueError: The address can't be listened on, or the files for TLS are no certificate with its key.
    """
    _allow_all_descriptors()
    cert, key = settings.tls_cert, settings.tls_key
    tls = None if cert is None or key is None else context(cert, key)
    log = nullcontext() if settings.log is None else closing(Log(settings.log))
    asked = nullcontext() if settings.request_log is None else closing(Journal(settings.request_log))
    with log as truth, asked as journal, _listener(settings) as listener, _signals() as signalled:
        front = Front(settings.script, settings.key, settings.cast, journal, quota_of(settings.conditions))
        server = Server(listener, front, (truth, journal), tls, settings.conditions)
        server.watch(signalled, server.stop)
        if settings.until_eof:
            _watch_stdin(server)
        settings.script.play(1, 1, None, stream=True)  # draws its tables before they are needed
        on_ready(listener.getsockname()[1], "http" if tls is None else "https")
        with _no_collector(), closing(server):
            server.run()


def _listener(settings: Settings) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise ValueError(f"--host: {settings.host!r} has no address ({error.strerror})") from None
    try:
        listener = socket.create_server(address[:2], family=family, backlog=4096)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        fix = "give another --port, or 0 for any free one"
        raise ValueError(f"{settings.host}:{settings.port}: {why}; {fix}") from None
    listener.setblocking(False)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # Linux: its connections inherit it
    return listener


def _watch_stdin(server: Server) -> None:
    def read() -> None:
        if not os.read(stdin, 4096):
            server.stop()

    stdin = sys.stdin.fileno()
    try:
        server.watch(stdin, read)
    except PermissionError:
        raise OSError("--parent-pipe: stdin isn't a pipe, a socket or a terminal, so it can't be waited for") from None


def _allow_all_descriptors() -> None:
    """A socket per stream: as many as the machine lets us have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextmanager
def _signals() -> Iterator[int]:
    """A descriptor that is readable once SIGTERM or SIGINT has come."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(-1)
        for number, action in before.items():
            signal.signal(number, action)
        os.close(reading)
        os.close(writing)


@contextmanager
def _no_collector() -> Iterator[None]:
    """No pauses: what exists is out of the collector's sight, and it does not run."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
