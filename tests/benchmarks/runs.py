"""Runs of `firsttoken run` with full records, and what their files say; Locust beside them."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson
import psutil
import pyarrow.parquet as pq

from benchmarks.processes import CLIENT_CORE, output, running, worker_peak_bytes
from benchmarks.truth import Row
from loadtests import child, clock
from loadtests.record import CLIENT, MANIFEST, REQUESTS, VALIDITY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from benchmarks.servers import Server

    Array = NDArray[np.float64]

FINE: Final = (0, 3)
"""Exit codes of a finished run; 3: finished and not valid, which is for the figures to say."""

CLIENT_CHECKS: Final = frozenset({1, 2, 5, 6, 7, 9})
"""Numbers of the checks that find the client at fault."""

LOCUSTFILE: Final = """
from locust import FastHttpUser, task

BODY = b'{"model":"bench","messages":[{"role":"user","content":"%s"}],"max_tokens":1}' % (b"x" * 300)


class User(FastHttpUser):
    @task
    def ask(self):
        self.client.post("/v1/chat/completions", data=BODY, headers={"Content-Type": "application/json"})
"""


class Run:
    """The files of a finished run, read when they are asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.zero_ns = int(orjson.loads((path / MANIFEST).read_bytes())["started_unix_ns"])

    @cached_property
    def _table(self) -> dict[str, list[Any]]:
        names = (
            "outcome", "request_id", "response_id", "sent_ns", "first_token_ns", "end_ns", "send_lag_s", "conn_reused",
        )  # fmt: skip
        return dict(pq.read_table(self._path / REQUESTS, columns=list(names)).to_pydict())

    @cached_property
    def rows(self) -> list[Row]:
        """The good answers with tokens."""
        gaps = pq.read_table(self._path / REQUESTS, columns=["chunk_gap_us"]).column(0).to_numpy()
        table, found = self._table, []
        for i, outcome in enumerate(table["outcome"]):
            if outcome == "ok" and table["first_token_ns"][i] is not None:
                number = int((table["request_id"][i] or table["response_id"][i]).rpartition("-")[2])
                stamps = table["first_token_ns"][i], table["end_ns"][i]
                found.append(Row(number, *stamps, gaps[i][1:].astype(np.int64), bool(table["conn_reused"][i])))
        return found

    @property
    def failed(self) -> int:
        """Rows that are not ok."""
        return sum(outcome != "ok" for outcome in self._table["outcome"])

    def column(self, name: str) -> Array:
        """One column of the rows, without those that have no value."""
        return np.array([value for value in self._table[name] if value is not None], dtype=np.float64)

    def shared(self) -> float:
        """Share of token events that shared a read with a later one."""
        table = pq.read_table(self._path / REQUESTS, columns=["shared_reads", "chunks"]).to_pandas()
        return float(table["shared_reads"].sum() / max(table["chunks"].sum(), 1))

    @cached_property
    def client(self) -> dict[str, Array]:
        """The samples of the client, second by second."""
        table = pq.read_table(self._path / CLIENT, columns=["t_ns", "cpu", "rss_bytes"])
        return {name: np.asarray(table.column(name).to_numpy(), dtype=np.float64) for name in table.column_names}

    def blames_client(self) -> int:
        """How many of the run's own checks say that the client was in the way."""
        checks = orjson.loads((self._path / VALIDITY).read_bytes())["checks"]
        return sum(one["number"] in CLIENT_CHECKS and one["status"] in {"doubtful", "invalid"} for one in checks)


@dataclass(frozen=True, slots=True)
class Load:
    """Options of `firsttoken run`, and what to add to its environment."""

    options: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()


def streams(users: int, tokens: int, seconds: int, *more: str) -> Load:
    """Users in closed loop who each ask for streams of so many tokens."""
    return Load(("--concurrency", str(users), "--output-tokens", str(tokens), "--duration", f"{seconds}s", *more))


def _command(server: Server, load: Load, out: Path) -> list[str]:
    where = ("--profile", "vllm", "--base-url", server.base_url, "--model", "bench", "--no-report", "--out", str(out))
    return child.command("loadtests.cli", "run", *where, *load.options)


def _environment(load: Load) -> dict[str, str]:
    return child.environment() | {"NO_PROXY": "127.0.0.1"} | dict(load.environment)


def offer(server: Server, load: Load, folder: Path) -> Run:
    """Do a run on the client's core, and wait for it."""
    output(_command(server, load, folder), CLIENT_CORE, FINE, env=_environment(load), cwd=folder)
    return Run(folder / "latest")


def peak_bytes(server: Server, load: Load, folder: Path) -> int:
    """Do a run, and say how much memory its worker had at the most."""
    peak = 0
    with (folder / "said").open("wb") as said:
        how: dict[str, Any] = {"env": _environment(load), "cwd": folder, "stdout": said, "stderr": said}
        with running(_command(server, load, folder), CLIENT_CORE, **how) as process:
            parent = psutil.Process(process.pid)
            while process.poll() is None:
                peak = max(peak, worker_peak_bytes(parent))
                time.sleep(0.2)
    return peak


def first_request_s() -> float:
    """From the start of the command `firsttoken run`, embedded provider and all, to its first request's last byte."""
    options = ("--requests", "1", "--rate", "1000", "--duration", "1s", "--no-report")
    with scratch() as folder:
        began_ns = clock.realtime_ns()
        output(child.command("loadtests.cli", "run", *options, "--out", str(folder)), None, FINE, cwd=folder)
        run = Run(folder / "latest")
        return (run.zero_ns + float(run.column("sent_ns").min()) - began_ns) / 1e9


def locust_per_s(server: Server, users: int, seconds: int, folder: Path) -> dict[int, int]:
    """Requests of Locust's fast user without any records, by the second."""
    (folder / "locustfile.py").write_text(LOCUSTFILE, encoding="utf-8")
    command = [
        sys.executable, "-m", "locust", "-f", "locustfile.py", "--headless", "--json", "--skip-log",
        "-u", str(users), "-r", str(users), "-t", f"{seconds}s", "-H", server.base_url.removesuffix("/v1"),
    ]  # fmt: skip
    said = orjson.loads(output(command, CLIENT_CORE, cwd=folder))
    per_s: Mapping[str, int] = said[0]["num_reqs_per_sec"]
    return {int(second): count for second, count in per_s.items()}


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for one measurement, gone after it."""
    with TemporaryDirectory(prefix="firsttoken-bench-") as folder:
        yield Path(folder)
