"""Plain Locust: a test that it starts, headless or from its web UI, is a run of ours."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pyarrow.parquet as pq
import pytest

from loadtests import record
from loadtests.locust_tab import KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

HOME = Path(__file__).resolve().parent.parent
ENV = os.environ | {"PYTHONPATH": str(HOME)}
OURS = str(HOME / "loadtests" / "locustfile.py")
MINE = """
from locust import constant, task
from loadtests.plugin import ChatUser

class Asker(ChatUser):
    wait_time = constant(0.05)

    @task
    def ask(self):
        self.complete("Name three rivers.", output_tokens=8, name="rivers")
"""


def locust(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "locust", *words, "--only-summary"], cwd=cwd, env=ENV, capture_output=True, text=True,
        check=False, timeout=240, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def rows(cwd: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(cwd / "results" / "latest" / record.REQUESTS).to_pylist()
    return found


@pytest.mark.slow
def test_an_open_loop_sends_by_the_schedule_whatever_the_users(tmp_path: Path) -> None:
    done = locust("-f", OURS, "--headless", "--rate", "20", "--arrivals", "constant", "--duration", "1s", cwd=tmp_path)

    assert done.returncode in {0, 3}, done.stderr  # 3: this machine was too busy for a valid run
    found = rows(tmp_path)
    assert [row["scheduled_ns"] for row in found] == [i * 50_000_000 for i in range(20)]
    assert {row["outcome"] for row in found} == {"ok"}
    assert (tmp_path / "results" / "latest" / "report.html").exists()


@pytest.mark.slow
def test_an_open_loop_that_is_stopped_early_misses_nothing(tmp_path: Path) -> None:
    done = locust("-f", OURS, "--headless", "--rate", "10", "--arrivals", "constant", "--duration", "1h", "-t", "3s",
                  cwd=tmp_path)  # fmt: skip

    assert done.returncode in {0, 3}, done.stderr  # 3: this machine was too busy for a valid run
    found = rows(tmp_path)
    # 20 to 30 on a quiet machine; of those that were due until Locust's time was over, however late, each is there.
    assert 1 <= len(found) <= 100
    assert [row["scheduled_ns"] for row in found] == [i * 100_000_000 for i in range(len(found))]
    assert {row["outcome"] for row in found} == {"ok"}


@pytest.mark.slow
def test_a_stop_before_the_first_arrival_ends_with_an_empty_run(tmp_path: Path) -> None:
    """Which is due after 47 s, however late Locust's time is over."""
    done = locust(
        "-f", OURS, "--headless", "--rate", "3/m", "--duration", "60s", "-t", "2s", "--seed", "14", cwd=tmp_path
    )

    assert done.returncode in {0, 3}, done.stderr
    assert {row["outcome"] for row in rows(tmp_path)} <= {"unsent"}


@pytest.mark.slow
def test_a_bound_on_requests_holds_however_the_users_come(tmp_path: Path) -> None:
    done = locust("-f", OURS, "--headless", "-u", "4", "-r", "1", "--requests", "9", "-t", "20s", cwd=tmp_path)

    assert done.returncode in {0, 3}, done.stderr
    assert len(rows(tmp_path)) == 9


@pytest.mark.slow
def test_tasks_of_ones_own_are_a_closed_loop(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    done = locust("-f", "mine.py", "--headless", "-u", "3", "-r", "3", "-t", "3s", cwd=tmp_path)

    assert done.returncode in {0, 3}, done.stderr  # 3: this machine was too busy for a valid run
    found = rows(tmp_path)
    assert {row["workload"] for row in found} == {"rivers"}
    assert {row["user"] for row in found} == {0, 1, 2}
    assert {row["output_cap"] for row in found} == {8}
    assert len({row["seq"] for row in found}) == len(found)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("-f", "mine.py", "--rate", "8"), "--rate 8 is an open loop"),
        (("-f", OURS, "--provider", "mok"), 'did you mean "mock"'),
        pytest.param(("-f", OURS, "--rate", "fast"), "fast", marks=pytest.mark.slow),
        pytest.param(("-f", OURS, "--provider", "openai", "--requests", "99"), "--yes", marks=pytest.mark.slow),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    done = locust(*words, "--headless", "-t", "2s", cwd=tmp_path)

    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if line.startswith("firsttoken: ")]
    assert len(lines) == 1
    assert says in lines[0]
    assert not (tmp_path / "results").exists()


def plans(*lines: str, cwd: Path) -> list[dict[str, Any]]:
    """What these options of Locust's come to, or what is wrong with them; one process, as Locust patches its own."""
    code = """
import sys
from types import SimpleNamespace
import orjson
from locust.argument_parser import get_parser
from loadtests import plugin
parser = get_parser()
found = []
for line in sys.argv[1:]:
    options = parser.parse_args(line.split())
    environment = SimpleNamespace(parsed_options=options, user_classes=[plugin.MixedUser], shape_class=None)
    try:
        found.append(plugin.planned(environment, 1)[1].to_json())
    except plugin._MISTAKES as error:
        found.append({"wrong": str(error)})
sys.stdout.buffer.write(orjson.dumps(found))
"""
    done = subprocess.run([sys.executable, "-c", code, *lines], cwd=cwd, env=ENV, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = orjson.loads(done.stdout)
    return found


def test_options_mean_what_they_mean_in_firsttoken_run(tmp_path: Path) -> None:
    (tmp_path / "whole.toml").write_text("name = 'whole'\nstream_share = 0.0\n")
    (tmp_path / "rate.toml").write_text('[[stage]]\nrate = 4\nduration = "20s"\n')
    (tmp_path / "users.toml").write_text('[[stage]]\nconcurrency = 4\nduration = "20s"\n')
    own, all_, short, refused, free, capped, odd = plans(
        "--workload whole.toml", "--workload whole.toml --stream-share 1", "--stages rate.toml --duration 4s",
        "--stages users.toml --duration 4s", "--provider openai --output-tokens workload --yes",
        "--provider openai", "--output-tokens many", cwd=tmp_path,
    )  # fmt: skip

    assert (own["stream_share"], own["definitions"][0]["stream_share"], all_["stream_share"]) == (None, 0.0, 1.0)
    assert short["duration_s"] == 4.0
    assert refused["wrong"].startswith("--duration 4s is the length of an open loop's schedule")
    assert (free["output_tokens"], capped["output_tokens"]) == (None, 64)
    assert odd["wrong"].startswith("--output-tokens 'many' isn't a whole number of tokens")


@pytest.mark.slow
def test_conversations_that_a_run_time_cuts_are_a_stop(tmp_path: Path) -> None:
    (tmp_path / "talk.toml").write_text("name = 'talk'\n[conversation]\nturns = 9\nthink = 2\n")
    done = locust("-f", OURS, "--headless", "--rate", "4", "--workload", "talk.toml", "-t", "4s", cwd=tmp_path)
    run = tmp_path / "results" / "latest"
    validity = orjson.loads((run / "validity.json").read_bytes())

    assert orjson.loads((run / record.MANIFEST).read_bytes())["stop"]["reason"] == "run_time", done.stderr
    assert "unsent" in {row["outcome"] for row in rows(tmp_path)}
    assert next(check["status"] for check in validity["checks"] if check["number"] == 3) == "ok"


@contextlib.contextmanager
def web_ui(cwd: Path) -> Iterator[tuple[httpx.Client, Path]]:
    """Locust with its web UI, once that answers; and what it says on stderr."""
    log = cwd / "stderr"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with log.open("wb") as stderr:
        running = subprocess.Popen(
            [sys.executable, "-m", "locust", "-f", OURS, "--provider", "mock", "--web-port", str(port)], cwd=cwd,
            env=ENV, stdout=subprocess.DEVNULL, stderr=stderr, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=120) as client:
            for _ in range(900):
                with contextlib.suppress(httpx.TransportError):
                    client.get("/")
                    break
                time.sleep(0.1)
            yield client, log
    finally:
        running.terminate()
        running.wait(60)


@pytest.mark.slow
def test_the_web_ui_starts_and_stops_runs_and_shows_first_tokens(tmp_path: Path) -> None:
    """A second test is a second run, with figures and a report of its own."""

    def looked() -> tuple[Any, Any]:
        """What is shown once a few answers are in, or after a minute."""
        for _ in range(600):
            stats = client.get("/stats/requests").json()
            told = client.get("/firsttoken/figures").json()
            shown = [row for tab in stats.get("extended_stats", ()) for row in tab["data"] if row.get("ttft_p50")]
            if told["state"] == "running" and shown and told["seconds"]["t_s"] and told["seconds"]["tokens_per_s"][-1]:
                break
            time.sleep(0.1)
        return stats, told

    tests = 2
    seen = []
    with web_ui(tmp_path) as (client, log):
        for _ in range(tests):
            assert client.post("/swarm", data={"user_count": 2, "spawn_rate": 2}).json()["success"]
            assert client.get("/stats/requests").json()["state"] != "ready"  # the page would ask for the next test
            stats, told = looked()
            assert client.post("/stop").json()["success"]
            seen.append((told, client.get("/firsttoken/figures").json()))
        page = client.get("/").text
        script = client.get("/firsttoken/tab.js")
        reports = [client.get(f"/firsttoken/reports/{after['run']}/report.html") for _, after in seen]
        stranger = client.get("/firsttoken/reports/..%2fresults/report.html")

    stderr = log.read_bytes()
    (tab,) = stats["extended_stats"]
    assert tab["key"] == KEY
    assert float(tab["data"][0]["ttft_p50"]) > 50
    assert {"stats", "errors", "state", "user_count", "total_rps"} < set(stats)
    assert "First token" in page
    assert './firsttoken/tab.js"></script></head>' in page
    assert script.headers["content-type"].startswith("application/javascript")
    assert [report.status_code for report in reports] == [200, 200]
    assert stranger.status_code == 404
    for number, (during, after) in enumerate(seen):
        assert (during["state"], after["state"]) == ("running", "finished")
        assert (len(during["reports"]), len(after["reports"])) == (number, number + 1)
        assert after["reports"][0] == after["run"] == during["run"]
        assert 1 <= len(during["seconds"]["t_s"]) < 10  # and not those of the test before
        assert during["seconds"]["tokens_per_s"][-1] > 0
        assert 0 <= during["seconds"]["in_flight"][-1] <= 2
    runs = sorted(path for path in (tmp_path / "results").iterdir() if not path.is_symlink())
    assert len(runs) == tests, stderr
    assert b"Traceback" not in stderr
    for run in runs:
        about = orjson.loads((run / record.MANIFEST).read_bytes())
        assert about["ended"] is True
        assert about["plan"]["mode"] == "closed"
        assert (run / "report.html").exists()
        assert set(pq.read_table(run / record.REQUESTS).column("outcome").to_pylist()) == {"ok"}


@pytest.mark.slow
def test_a_start_that_waits_for_the_last_runs_files_can_be_stopped(tmp_path: Path) -> None:
    """Tried again where the files were made before it was stopped, as this process got no core: then it had begun."""

    def shown() -> tuple[str, str]:
        told = client.get("/firsttoken/figures").json()
        return told["state"], told["run"]

    def runs() -> int:
        return len([path for path in (tmp_path / "results").glob("*") if not path.is_symlink()])

    users = {"user_count": 1, "spawn_rate": 1}
    with web_ui(tmp_path) as (client, log), ThreadPoolExecutor() as pool:
        for _ in range(3):
            before = runs()
            client.post("/swarm", data=users)
            time.sleep(2)
            first = shown()
            stopping = pool.submit(client.post, "/stop")
            time.sleep(0.1)
            client.post("/swarm", data=users)
            while shown() == first:
                time.sleep(0.1)
            time.sleep(0.3)
            client.post("/stop")
            stopping.result()
            time.sleep(2)
            assert shown()[0] == "finished"
            if runs() == before + 1:
                break

    assert b"Traceback" not in log.read_bytes()
    assert runs() == before + 1
