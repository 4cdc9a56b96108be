"""The mock as a process of its own, for a run or a test: started, known by its port, and ended with us."""

from __future__ import annotations

import json
import select
import subprocess
from typing import TYPE_CHECKING, Final, Self

from loadtests import child

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

START_S: Final = 20.0
STOP_S: Final = 5.0
"""How long a start and a stop may take, in seconds, before they count as failed."""


class MockError(RuntimeError):
    """The mock did not start; its own words are on stderr."""


class MockProcess:
    """
    A running mock. It ends with `stop`, at the end of a `with`, and when this process dies: its stdin is our pipe.

    Attributes:
        popen: The process.
        port: Where it listens.
        scheme: What it speaks there, "http" or "https".
    """

    def __init__(self, popen: subprocess.Popen[bytes], port: int, scheme: str) -> None:
        self.popen = popen
        self.port = port
        self.scheme = scheme

    @property
    def base_url(self) -> str:
        """What a client puts before `/chat/completions`."""
        return f"{self.scheme}://127.0.0.1:{self.port}/v1"

    def stop(self) -> int:
        """End it, wait for it, and return its exit code; its log is complete then."""
        return _stop(self.popen)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start(script_args: Sequence[str] = (), log: Path | None = None) -> MockProcess:
    """
    Start a mock and wait until it listens.

    Args:
        script_args: Options of `python -m loadtests.mock`.
        log: File for the truth.

    Raises:
        MockError: It ended at once, or said nothing for `START_S`.
    """
    command = child.command("loadtests.mock", "--parent-pipe", *script_args)
    if log is not None:
        command += ["--log", str(log)]
    # A session of its own: Ctrl-C at the terminal ends the load first, and the provider only after it.
    popen = subprocess.Popen(  # noqa: S603  our own module
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=child.environment(),
        start_new_session=True,
    )
    return MockProcess(popen, *_address(popen))


def _address(popen: subprocess.Popen[bytes]) -> tuple[int, str]:
    """The port and the scheme that it says it listens with."""
    assert popen.stdout is not None
    readable, _, _ = select.select([popen.stdout], [], [], START_S)
    line = popen.stdout.readline() if readable else b""
    if not line:
        raise MockError(f"the mock did not start: exit code {_stop(popen)}, command {popen.args!r}")
    said = json.loads(line)
    return int(said["port"]), str(said["scheme"])


def _stop(popen: subprocess.Popen[bytes]) -> int:
    for pipe in (popen.stdin, popen.stdout):
        if pipe is not None:
            pipe.close()
    try:
        return popen.wait(STOP_S)
    except subprocess.TimeoutExpired:
        popen.kill()
        return popen.wait()
