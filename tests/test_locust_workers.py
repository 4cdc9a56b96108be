"""Plain Locust with workers: a test that its master starts is one run of ours, over all of them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Final, Self

import httpx
import psutil
import pytest
from commands import HOME, about, rows
from machines import Process, free_port, until

from loadtests import clock
from loadtests.schedule import open_loop

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

ENV: Final = os.environ | {"PYTHONPATH": str(HOME)}
OURS: Final = str(HOME / "loadtests" / "locustfile.py")
OPEN: Final = ("-u", "1", "--rate", "20", "--arrivals", "constant")
FINE: Final = (0, 3)
"""3 where this machine was too busy for a valid run, which is not what these tests ask."""


class Locusts:
    """
    A Locust master and its workers; none is left behind.

    Args:
        folder: The runs are in `folder/results`, the workers' parts in `folder/w<n>`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.workers: list[Process] = []
        self._all: list[Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._all:
            with contextlib.suppress(psutil.NoSuchProcess):
                mine = psutil.Process(process.popen.pid)
                for one in [*mine.children(recursive=True), mine]:
                    one.kill()
            process.popen.wait()

    def start(self, name: str, *words: str) -> Process:
        """Start Locust; all that it says goes to a file of this name."""
        told = self.folder / f"{name}.txt"
        with told.open("wb") as file:
            popen = subprocess.Popen(
                [sys.executable, "-m", "locust", "-f", OURS, *words], cwd=self.folder, env=ENV, stdout=file,
                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        self._all.append(Process(popen, told))
        return self._all[-1]

    def go(self, workers: int, *words: str) -> Process:
        """Start the master and its workers."""
        expect = ("--expect-workers", str(workers), "--master-bind-port", str(self.port))
        master = self.start("master", "--master", *expect, "--only-summary", *words)
        for number in range(workers):
            own = ("--worker", "--master-port", str(self.port), "--out", f"w{number}")
            self.workers.append(self.start(f"w{number}", *own))
        return master

    def begun(self) -> Path:
        """Wait for the start of a run's load; its directory."""

        def look() -> bool:
            with contextlib.suppress(OSError, ValueError, KeyError):
                return bool(about(self.folder)["started_unix_ns"])
            return False

        until(look, 60.0)
        return (self.folder / "results" / "latest").resolve()

    def kept(self) -> list[Path]:
        """What the workers have left on their disks."""
        return sorted(self.folder.glob("w*/*-worker-*"))


def is_whole(found: pd.DataFrame, duration_s: float) -> None:
    """Each arrival of the schedule is a row, once, at its moment."""
    planned = open_loop("constant", 20, duration_s, 1).offsets_ns

    assert found["seq"].tolist() == list(range(len(planned)))
    assert found["scheduled_ns"].tolist() == planned.tolist()


@pytest.mark.slow
def test_an_open_loop_is_one_run_over_all_workers(tmp_path: Path) -> None:
    """Whatever the users: one, who is on one of the workers."""
    with Locusts(tmp_path) as locusts:
        master = locusts.go(2, "--headless", *OPEN, "--duration", "4s")
        codes = [process.code() for process in (master, *locusts.workers)]
    found = rows(tmp_path)

    assert codes[0] in FINE, master.words
    assert codes[1:] == [0, 0]
    is_whole(found, 4)
    assert set(found["outcome"]) == {"ok"}
    assert found["worker"].tolist() == [0, 1] * 40
    assert "80 planned · 80 recorded" in master.words
    assert (tmp_path / "results" / "latest" / "report.html").exists()
    assert locusts.kept() == []


@pytest.mark.slow
def test_users_of_a_closed_loop_are_spread_over_the_workers(tmp_path: Path) -> None:
    with Locusts(tmp_path) as locusts:
        master = locusts.go(2, "--headless", "-u", "4", "-r", "4", "-t", "5s")
        codes = [process.code() for process in (master, *locusts.workers)]
    found = rows(tmp_path)

    assert codes[0] in FINE, master.words
    assert codes[1:] == [0, 0]
    assert set(found["worker"]) == {0, 1}
    assert set(found["user"]) == {0, 1, 2, 3}
    assert found["seq"].is_unique
    assert set(found["outcome"]) <= {"ok", "cancelled"}
    assert locusts.kept() == []


@pytest.mark.slow
def test_processes_of_one_command_are_workers(tmp_path: Path) -> None:
    with Locusts(tmp_path) as locusts:
        port = str(locusts.port)
        ports = ("--master-bind-port", port, "--master-port", port)
        master = locusts.start("master", "--processes", "2", *ports, "--headless", *OPEN, "--duration", "3s")
        code = master.code()
    found = rows(tmp_path)

    assert code in FINE, master.words
    is_whole(found, 3)
    assert set(found["worker"]) == {0, 1}
    assert set(found["outcome"]) == {"ok"}
    assert [path.name for path in (tmp_path / "results").iterdir() if "-worker-" in path.name] == []


@pytest.mark.slow
def test_the_others_go_on_where_a_worker_is_killed(tmp_path: Path) -> None:
    """Its arrivals are theirs from then on; the run is not valid, and says who has gone."""
    with Locusts(tmp_path) as locusts:
        master = locusts.go(3, "--headless", *OPEN, "--duration", "8s")
        locusts.begun()
        time.sleep(3)
        locusts.workers[0].kill()
        killed_ns = clock.realtime_ns()
        codes = [process.code() for process in (master, *locusts.workers[1:])]
    found, told = rows(tmp_path), about(tmp_path)
    killed_s = (killed_ns - told["started_unix_ns"]) / 1e9

    ((lost, lost_s),) = ((one["number"], one["lost_ns"] / 1e9) for one in told["workers"] if one["lost_ns"] is not None)
    assert lost_s - killed_s < 4  # a connection that ends is heard of at once
    later = found[found["scheduled_ns"] > (lost_s + 1) * 1e9]
    assert codes == [3, 0, 0], master.words
    assert f"worker {lost} " in master.words
    is_whole(found, 8)
    assert set(found[found["scheduled_ns"] < (killed_s - 2.5) * 1e9]["outcome"]) <= {"ok"}
    assert set(later["worker"]) == {0, 1, 2} - {lost}
    assert set(later["outcome"]) == {"ok"}


@pytest.mark.slow
def test_ctrl_c_at_the_master_ends_all_and_keeps_the_rows(tmp_path: Path) -> None:
    with Locusts(tmp_path) as locusts:
        master = locusts.go(2, "--headless", *OPEN, "--duration", "60s")
        locusts.begun()
        time.sleep(3)
        master.popen.send_signal(signal.SIGINT)
        codes = [process.code() for process in (master, *locusts.workers)]
    found = rows(tmp_path)

    assert codes[0] in FINE, master.words
    assert codes[1:] == [0, 0]
    assert set(found["outcome"]) <= {"ok", "cancelled"}
    assert 20 < len(found) < 140
    assert found["seq"].tolist() == list(range(len(found)))
    assert locusts.kept() == []


@pytest.mark.slow
def test_the_web_ui_starts_runs_one_after_another_on_the_same_workers(tmp_path: Path) -> None:
    """Started, stopped, started again: two runs, each over both workers."""
    web = free_port()
    with Locusts(tmp_path) as locusts:
        master = locusts.go(2, "--web-port", str(web), *OPEN, "--duration", "60s")
        with httpx.Client(base_url=f"http://127.0.0.1:{web}", trust_env=False, timeout=30) as client:

            def two_are_there() -> bool:
                with contextlib.suppress(httpx.HTTPError, ValueError, KeyError):
                    return len(client.get("/stats/requests").json()["workers"]) == 2
                return False

            until(two_are_there, 60)

            def figures() -> dict[str, Any] | None:
                """Of the test at hand, once its workers have told of some answers."""
                told: dict[str, Any] = client.get("/firsttoken/figures").json()
                return told if told["rows"] and told["rows"][0]["answers"] > 20 else None

            runs, seen = [], []
            for _ in range(2):
                assert client.post("/swarm", data={"user_count": 1, "spawn_rate": 1}).json()["success"]
                runs.append(until(lambda: (here := locusts.begun()) not in runs and here, 60))
                seen.append(until(figures, 60))
                assert client.post("/stop").json()["success"]
                assert client.get("/worker-count").json() == {"worker_count": 2}
                until((runs[-1] / "requests.parquet").exists, 60)
        master.popen.send_signal(signal.SIGINT)
        codes = [process.code() for process in (master, *locusts.workers)]

    assert codes[0] in FINE, master.words
    assert codes[1:] == [0, 0]
    for run, told in zip(runs, seen, strict=True):
        assert told["run"] == run.name
        assert 100 < told["seconds"]["ttft_p50_ms"][-1] < 5000  # milliseconds; of a second held up they are more
        assert told["seconds"]["in_flight"][-1] > 0
        found = rows(tmp_path, run)
        assert set(found["worker"]) == {0, 1}
        assert set(found["outcome"]) == {"ok"}
        assert found["seq"].tolist() == list(range(len(found)))
        assert told["rows"][0]["answers"] <= len(found)  # of this test alone
    assert locusts.kept() == []
