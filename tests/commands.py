"""The installed command against providers on 127.0.0.1: run, and what it left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import orjson
import pyarrow.parquet as pq
from conftest import read_request

from loadtests import record
from loadtests.mock import process

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd
    from conftest import Server

    from loadtests.mock.process import MockProcess

HOME: Final = Path(__file__).resolve().parent.parent
ENV: Final = os.environ | {"PYTHONPATH": str(HOME), "MORPHEUS_API_KEY": "sk-example"}
EXACT: Final = ("--ttft-sigma", "0", "--gap-sigma", "0", "--prefill", "0")
"""A mock whose times are the same for every request."""


def firsttoken(*words: str, cwd: Path, module: str = "loadtests.cli") -> subprocess.CompletedProcess[str]:
    """Run the command, or another module, as a user would, in a folder of its own."""
    return subprocess.run(
        [sys.executable, "-m", module, *words], cwd=cwd, env=ENV, capture_output=True, text=True, check=False,
        timeout=300, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def start(*words: str, cwd: Path) -> subprocess.Popen[str]:
    """The same, without waiting for its end."""
    return subprocess.Popen(
        [sys.executable, "-m", "loadtests.cli", *words], cwd=cwd, env=ENV, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def exact(ttft_s: float, *more: str, tokens: int = 1, gap_s: float = 0.0) -> MockProcess:
    """A mock whose answers take exactly so long: the first token, and each gap after it."""
    times = ("--ttft", str(ttft_s), "--gap", str(gap_s), "--output-tokens", str(tokens))
    return process.start((*EXACT, *times, *more))


def ask(url: str, *words: str, cwd: Path, allowed: Sequence[int] = (0, 3)) -> subprocess.CompletedProcess[str]:
    """
    Run against a server there.

    Args:
        url: Its base.
        words: More options of `firsttoken run`.
        cwd: Where it leaves its results.
        allowed: Exit codes; 3 where this machine was too busy for a valid run, which is not what tests ask.
    """
    done = firsttoken("run", "--profile", "vllm", "--model", "mock", "--base-url", url, "--no-report", *words, cwd=cwd)
    assert done.returncode in allowed, done.stderr + done.stdout
    return done


def latest(cwd: Path) -> Path:
    """The newest run, or campaign."""
    return (cwd / "results" / "latest").resolve()


def rows(cwd: Path, run: Path | None = None) -> pd.DataFrame:
    """The rows of the newest run in order of seq; of another one where that is given."""
    table: pd.DataFrame = pq.read_table((run or latest(cwd)) / record.REQUESTS).to_pandas()
    table["flags"] = [[] if flags is None else list(flags) for flags in table["flags"]]
    return table.sort_values("seq", kind="stable").reset_index(drop=True)


def about(cwd: Path, run: Path | None = None) -> dict[str, Any]:
    """What its run.json says."""
    found: dict[str, Any] = orjson.loads(((run or latest(cwd)) / record.MANIFEST).read_bytes())
    return found


def code_of(*runs: Path) -> int:
    """What a verb that judges these runs ends with: 0, or 3 where this machine was too busy for one of them."""
    verdicts = [orjson.loads((run / record.VALIDITY).read_bytes())["verdict"] for run in runs]
    return 3 if "invalid" in verdicts else 0


def told(done: subprocess.CompletedProcess[str]) -> Any:
    """What a verb with --json said."""
    return orjson.loads(done.stdout)


IN_TURN: Final = """
import contextlib, io, json, sys, traceback
from loadtests.cli import main

done = []
for words in json.load(sys.stdin):
    sys.argv, out, err, code = ["firsttoken", *words], io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code
        except BaseException:
            code = 1
            traceback.print_exc()
    done.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(done))
"""


def in_turn(
    lines: Sequence[Sequence[str]], cwd: Path, env: Mapping[str, str] | None = None
) -> list[subprocess.CompletedProcess[str]]:
    """Run commands that send nothing one after the other in one process, each as `firsttoken` would."""
    done = subprocess.run(
        [sys.executable, "-c", IN_TURN], cwd=cwd, env={**ENV, **(env or {})}, capture_output=True, text=True,
        check=True, timeout=400, input=orjson.dumps(lines).decode(),
    )  # fmt: skip
    ends = orjson.loads(done.stdout)
    return [subprocess.CompletedProcess(words, *end) for words, end in zip(lines, ends, strict=True)]


class Listener:
    """
    A provider that keeps every request, and says something else to each: `answer 0`, `answer 1`, ...

    Attributes:
        asked: The bodies, in the order in which they came.
        answered: What was said to each.
    """

    def __init__(self, serve: Callable[..., Server]) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answered: list[str] = []
        self._lock = Lock()
        self.base_url = f"http://127.0.0.1:{serve(self._serve).port}/v1"

    def _serve(self, sock: socket.socket) -> None:
        while request := read_request(sock):
            with self._lock:
                said = f"answer {len(self.asked)}"
                self.asked.append(orjson.loads(request.partition(b"\r\n\r\n")[2]))
                self.answered.append(said)
            message = {"role": "assistant", "content": said}
            body = orjson.dumps({
                "id": "c", "object": "chat.completion", "model": "mock",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
            })  # fmt: skip
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            sock.sendall(head.encode() + body)
