"""The whole command against the embedded provider: what the report says must be what the script played."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import commands
import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest
from conftest import chunked, read_request

from loadtests import clock, record
from loadtests.mock import log, process
from loadtests.parts import read_part
from loadtests.plan import Plan

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

HOME = Path(__file__).resolve().parent.parent
ENV = os.environ | {"PYTHONPATH": str(HOME)}


def firsttoken(*words: str, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would, in a folder of its own."""
    return subprocess.run(
        [sys.executable, "-m", "loadtests.cli", *words], cwd=cwd, env=ENV | (env or {}), capture_output=True, text=True,
        check=False, timeout=120, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def in_turn(*lines: tuple[str, ...], cwd: Path) -> list[subprocess.CompletedProcess[str]]:
    """Run commands that send nothing, each as `firsttoken` would, without a key."""
    return commands.in_turn(lines, cwd, {"OPENAI_API_KEY": ""})


def start(*words: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "loadtests.cli", *words], cwd=cwd, env=ENV, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def latest(cwd: Path) -> Path:
    return (cwd / "results" / "latest").resolve()


def rows(cwd: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(latest(cwd) / record.REQUESTS).to_pylist()
    return found


def about(cwd: Path) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads((latest(cwd) / record.MANIFEST).read_bytes())
    return found


def expected_code(cwd: Path) -> int:
    """0, or 3 where this machine was too busy for a valid run: these tests are about the rows, not about it."""
    return commands.code_of(latest(cwd))


def until(true: Any, seconds: float = 60.0) -> None:
    """Wait for something to become true."""
    for _ in range(int(seconds / 0.05)):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def until_rows(cwd: Path, count: int) -> None:
    """Wait until the first worker of a run has so many rows on disk."""
    part = cwd / "results" / "latest" / "parts" / "requests-0.arrows"
    until(lambda: part.exists() and read_part(part).num_rows >= count)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A shorter default run with constant arrivals: 16/s for 1.5 s are 24 requests."""
    folder = tmp_path_factory.mktemp("demo")
    return folder, firsttoken("run", "--rate", "16", "--arrivals", "constant", "--duration", "1.5s", cwd=folder)


@pytest.fixture(scope="module")
def judged(demo: Any) -> list[subprocess.CompletedProcess[str]]:
    """What the verbs that judge say of it: a summary, a comparison with itself."""
    folder, _ = demo
    run = str(latest(folder).relative_to(folder))
    return in_turn(("summary", "--json"), ("compare", run, run), cwd=folder)


def test_the_demo_is_fine_and_says_where_its_report_is(demo: Any) -> None:
    folder, done = demo

    assert done.returncode == expected_code(folder), done.stderr
    assert "TTFT" in done.stdout
    assert f"report: results/{latest(folder).name}/report.html" in done.stdout
    made = {path.name for path in latest(folder).iterdir()}
    assert made == {"run.json", "requests.parquet", "client.parquet", "validity.json", "quantiles.parquet",
                    "report.html", "charts", "mock.truth"}  # fmt: skip
    assert len(list((latest(folder) / "charts").glob("*.svg"))) == 10


def test_every_arrival_is_a_row_at_exactly_its_moment(demo: Any) -> None:
    folder, _ = demo
    found = rows(folder)

    assert [row["scheduled_ns"] for row in found] == [i * 62_500_000 for i in range(24)]
    assert [row["seq"] for row in found] == list(range(24))
    assert {row["outcome"] for row in found} == {"ok"}
    assert sum(row["stream"] for row in found) in range(17, 22)  # 80 % of 24 are 19.2; exact in each block of 100


def test_the_file_has_exactly_the_columns_of_the_schema(demo: Any) -> None:
    folder, _ = demo

    schema = pq.read_schema(latest(folder) / record.REQUESTS)
    assert schema.equals(record.requests_schema())
    assert all(schema.field(c.name).metadata[b"unit"].decode() == c.unit for c in record.REQUEST_COLUMNS)
    assert schema.metadata[b"schema_version"] == b"1"
    assert pq.read_schema(latest(folder) / record.CLIENT).equals(record.client_schema())


def test_the_manifest_says_what_was_done_and_repeats_it(demo: Any) -> None:
    folder, _ = demo
    manifest = about(folder)

    assert manifest["ended"] is True
    assert manifest["stop"] is None
    assert manifest["argv"][0] == "firsttoken"
    assert manifest["planned"] == manifest["rows"] == 24
    assert manifest["hashes"]["schedule"] == Plan.from_manifest(manifest).open_schedule().digest()
    assert manifest["started_unix_ns"] > 1.7e18
    assert manifest["versions"]["locust"]


def truth(folder: Path) -> list[tuple[dict[str, Any], np.ndarray]]:
    """Each streamed row with the moments at which the provider wrote its chunks, on the run's axis."""
    moments = log.read(latest(folder) / "mock.truth")
    zero = about(folder)["started_unix_ns"]
    return [
        (row, np.array(moments[int(row["response_id"].split("-")[1])].chunk_ns) - zero)
        for row in rows(folder)
        if row["stream"]
    ]


def test_the_stamps_are_those_of_the_providers_own_log(demo: Any) -> None:
    """No stamp is early, and the median is within 0.1 ms; the tail is for a benchmark on a quiet machine."""
    folder, _ = demo
    errors = [row["first_token_ns"] - chunks[0] for row, chunks in truth(folder)]

    assert min(errors) > -100_000
    assert np.median(errors) < 100_000


def test_tokens_and_gaps_are_those_of_the_providers_own_log(demo: Any) -> None:
    folder, _ = demo
    for row, chunks in truth(folder):
        assert row["chunks"] == len(chunks) == row["output_tokens"]
        assert row["tokens_from"] == "usage"
        assert len(row["chunk_gap_us"]) == len(row["chunk_kind"]) == len(row["chunk_chars"]) == row["chunks"]
        gaps = np.diff(chunks) / 1000
        assert np.median(np.abs(np.array(row["chunk_gap_us"][1:]) - gaps)) < 500


def test_the_summary_says_what_the_script_played(demo: Any, judged: Any) -> None:
    """TTFT p50 and TPOT of the table against the same quantiles of the provider's log, 5 % apart at most."""
    folder, _ = demo
    said = orjson.loads(judged[0].stdout)
    played = truth(folder)
    ttft = np.median([(chunks[0] - row["scheduled_ns"]) / 1e9 for row, chunks in played])
    tpot = np.median([(chunks[-1] - chunks[0]) / 1e9 / (len(chunks) - 1) for row, chunks in played])

    values = {row["metric"]: row["cells"][0]["value"] for row in reversed(said["metrics"])}
    assert values["ttft_s"] == pytest.approx(ttft, rel=0.05)
    assert values["tpot_s"] == pytest.approx(tpot, rel=0.05)
    assert said["counts"]["ok"] == 24


@pytest.mark.slow
def test_the_same_seed_asks_the_same_of_the_provider(demo: Any, tmp_path: Path) -> None:
    folder, _ = demo
    firsttoken("run", "--rate", "40", "--arrivals", "constant", "--requests", "5", "--workers", "2", "--no-report",
               cwd=tmp_path)  # fmt: skip

    ours, theirs = rows(tmp_path), rows(folder)[:5]
    assert [row["prompt_hash"] for row in ours] == [row["prompt_hash"] for row in theirs]
    assert [row["worker"] for row in ours] == [0, 1, 0, 1, 0]
    assert about(tmp_path)["hashes"]["prompts"] == about(folder)["hashes"]["prompts"]


def test_summary_and_compare_read_what_is_on_disk(demo: Any, judged: Any) -> None:
    folder, _ = demo
    summary, table = judged

    assert orjson.loads(summary.stdout)
    assert summary.returncode == table.returncode == expected_code(folder), table.stderr
    assert "TTFT" in table.stdout


def busy_users(folder: Path) -> subprocess.CompletedProcess[str]:
    return firsttoken(
        "run", "--concurrency", "3", "--requests", "9", "--stream", "--output-tokens", "16", "--no-report", "--json",
        cwd=folder,
    )  # fmt: skip


def test_a_closed_loop_keeps_its_users_busy(ended: Any) -> None:
    folder, done = ended[busy_users]

    assert done.returncode == expected_code(folder), done.stderr
    assert orjson.loads(done.stdout)["counts"]["ok"] == 9
    found = rows(folder)
    assert sorted(row["seq"] for row in found) == list(range(9))
    assert {row["user"] for row in found} == {0, 1, 2}
    assert all(row["seq"] % 3 == row["user"] for row in found)


# What goes wrong.


@pytest.mark.slow
def test_a_reader_that_goes_away_costs_nothing_on_disk(tmp_path: Path) -> None:
    """`firsttoken run | head -1`: what is on disk is written before anything is printed."""
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{sys.executable} -m loadtests.cli run --duration 2s | head -1"],
        cwd=tmp_path, env=ENV, capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip

    assert "Traceback" not in done.stderr
    assert (latest(tmp_path) / "report.html").exists()
    assert (latest(tmp_path) / record.VALIDITY).exists()


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("profiles | head -1; exit ${PIPESTATUS[0]}", 0),
        ("profiles no-such-verb 2>&1 | true; exit ${PIPESTATUS[0]}", 2),
        ("profiles > /dev/full", 3),
        ("profiles >&-", 0),
    ],
)
def test_output_that_nobody_takes_is_no_traceback(tmp_path: Path, command: str, code: int) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m loadtests.cli {command}"], cwd=tmp_path, env=ENV, capture_output=True,
        text=True, check=False, timeout=60,
    )  # fmt: skip

    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_run_in_which_nothing_was_measured_is_not_valid(tmp_path: Path) -> None:
    with process.start(["--ttft", "0.01", "--output-tokens", "4"]) as mock:
        done = run_against(mock.port, "--concurrency", "1", "--requests", "3", "--warmup", "20s", cwd=tmp_path)

    assert done.returncode == 3
    assert "No request was measured" in done.stdout


@pytest.mark.skipif(shutil.which("script") is None, reason="nothing here makes a terminal")
def test_a_narrow_terminal_shows_every_column(demo: Any) -> None:
    folder, _ = demo
    done = subprocess.run(
        ["script", "-qec", f"stty cols 80; {sys.executable} -m loadtests.cli summary", "/dev/null"], cwd=folder,
        env=ENV | {"TERM": "xterm"}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    line = next(line for line in done.stdout.splitlines() if "ms unless said" in line)
    assert [word for word in ("n", "p50", "p90", "p95", "p99") if word in line] == ["n", "p50", "p90", "p95", "p99"]


@pytest.mark.slow
def test_a_disk_without_room_for_a_run_is_exit_code_3(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=False, capture_output=True
    ).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        done = firsttoken("run", "--duration", "2s", "--out", str(small), cwd=tmp_path)
        assert done.returncode == 3
        assert "the disk is full; nothing was sent" in one_line(done)
        assert not list(small.iterdir())
    finally:
        subprocess.run(["umount", small], check=True)


def run_against(port: int, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return firsttoken(
        "run", "--profile", "vllm", "--model", "m", "--base-url", f"http://127.0.0.1:{port}/v1", "--no-report", *words,
        cwd=cwd,
    )  # fmt: skip


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The single line that a user's mistake ends in."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("firsttoken: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


def test_a_wrong_port_is_one_line_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = run_against(9, cwd=tmp_path)

    assert done.returncode == 2
    assert "nothing reached at http://127.0.0.1:9/v1" in one_line(done)
    assert not (tmp_path / "results").exists()


MISTAKES = [
    (("rnu",), 'did you mean "run"'),
    (("run", "--rate", "fast"), "fast"),
    (("run", "--rte", "8"), "--rate"),
    (("run", "--profile", "vlm"), 'did you mean "vllm"'),
    (("run", "--model", ""), "--model '' is empty"),
    (("run", "--rate", "1", "--concurrency", "1"), "exclude each other"),
    (("run", "--arrivals", "poison"), 'did you mean "poisson"'),
    (("run", "--duration", "-3"), "-3"),
    (("run", "--param", "temperature=9", "--profile", "meingpt", "--base-url", "http://127.0.0.1:9/v1"), "[0, 2]"),
    (("run", "--profile", "openai", "--requests", "50"), "--yes"),
    (("run", "--label", "x"), "KEY=VALUE"),
    (("run", "--label", "note=sk-abcdefghijklmnopqrstuvwx"), "looks like a key"),
    (("run", "--dry-run", "--out", "/proc/nope"), "--out /proc/nope: No such file or directory; name a directory"),
    (("run", "--dry-run", "--out", "mine.toml"), "--out mine.toml: File exists; name a directory that can be written"),
    (("run", "--output-tokens", "0"), "or workload"),
    (("summary", "nowhere"), "nowhere"),
    (("compare", "a", "b"), "a"),
    (("repair", "."), "not a run directory"),
    (("profiles", "check", "none.toml"), "none.toml"),
    (("mock", "--port", "70000"), "70000"),
    (("run", "--profile", "openai"), "OPENAI_API_KEY"),
    (("run", "--profile", "mine.toml", "--model", "m"), "mine.toml: auth.enviroment isn't one of"),
    (("run", "--profile", "mine.toml", "--model", "n"), 'did you mean "env"'),
]


@pytest.fixture(scope="module")
def mistaken(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, ...], subprocess.CompletedProcess[str]]:
    """What each of them ends in; none leaves anything behind."""
    folder = tmp_path_factory.mktemp("mistakes")
    (folder / "mine.toml").write_text(
        'name = "mine"\ntitle = "Mine"\nbase_url = "http://127.0.0.1:9/v1"\n[auth]\nenviroment = "X"\n'
    )
    lines = [words for words, _ in MISTAKES]
    done = dict(zip(lines, in_turn(*lines, cwd=folder), strict=True))
    assert [path.name for path in folder.iterdir()] == ["mine.toml"]
    return done


@pytest.mark.parametrize(("words", "says"), MISTAKES)
def test_a_users_mistake_is_one_line_and_exit_code_2(mistaken: Any, words: tuple[str, ...], says: str) -> None:
    done = mistaken[words]

    assert done.returncode == 2, done.stderr
    assert says in one_line(done)


def left_alone(folder: Path) -> tuple[int, str]:
    """Its provider is killed when the first answers are on disk, in the run's second second; it lasts five."""
    mock = process.start(["--ttft", "0.05", "--output-tokens", "16"])
    running = start(
        "run", "--profile", "vllm", "--model", "m", "--base-url", mock.base_url, "--no-report", "--rate", "20",
        "--duration", "5s", "--arrivals", "constant", "--accept-errors", cwd=folder,
    )  # fmt: skip
    until_rows(folder, 5)
    mock.popen.kill()
    mock.stop()
    _, stderr = running.communicate(timeout=120)
    return running.returncode, stderr


@pytest.mark.slow
def test_a_provider_that_dies_is_rows_and_exit_code_3(ended: Any) -> None:
    folder, (code, stderr) = ended[left_alone]

    assert code == 3, stderr
    assert "provider gone" in stderr
    found = rows(folder)
    assert len(found) == 100
    assert {row["outcome"] for row in found} == {"ok", "error"}
    assert {row["error_kind"] for row in found} <= {None, "connect", "reset", "truncated"}
    assert found[0]["outcome"] == "ok"
    assert found[-1]["error_kind"] == "connect"


def interrupted(folder: Path, times: int = 1) -> tuple[int, str, str]:
    """By Ctrl-C, so many times, while eight requests are in flight."""
    with process.start(["--ttft", "0.8", "--ttft-sigma", "0", "--prefill", "0", "--output-tokens", "16"]) as mock:
        running = start(
            "run", "--profile", "vllm", "--model", "m", "--base-url", mock.base_url, "--no-report", "--rate", "10",
            "--duration", "20s", "--arrivals", "constant", cwd=folder,
        )  # fmt: skip
        until_rows(folder, 5)
        heard = ""
        for again in range(times):
            if again:  # two signals that nobody has looked at yet are one
                assert running.stderr is not None
                while "stopping" not in heard:
                    heard += (line := running.stderr.readline())
                    assert line, heard
            running.send_signal(signal.SIGINT)
        stdout, stderr = running.communicate(timeout=120)
    return running.returncode, stdout, heard + stderr


def interrupted_twice(folder: Path) -> tuple[int, str, str]:
    return interrupted(folder, 2)


@pytest.mark.slow
def test_ctrl_c_finishes_what_is_in_flight(ended: Any) -> None:
    keeps_every_row(*ended[interrupted], twice=False)


def test_ctrl_c_twice_cancels_what_is_in_flight(ended: Any) -> None:
    keeps_every_row(*ended[interrupted_twice], twice=True)


def keeps_every_row(folder: Path, end: tuple[int, str, str], *, twice: bool) -> None:
    """Once: what is in flight is finished. Twice: it is recorded as cancelled. The rest of the schedule is unsent."""
    code, stdout, stderr = end

    assert code == 130, stderr
    assert "Ctrl-C" in stderr
    assert "TTFT" in stdout
    found = rows(folder)
    assert len(found) == 200
    outcomes = [row["outcome"] for row in found]
    assert outcomes.count("unsent") > 120
    assert outcomes[0] == "ok"
    cancelled = [row for row in found if row["outcome"] == "cancelled"]
    assert bool(cancelled) is twice
    assert all("user_cancel" in row["flags"] for row in cancelled)
    assert about(folder)["stop"]["reason"] == "interrupt"


@pytest.mark.slow
def test_ctrl_c_at_any_moment_of_the_start_ends_the_run(tmp_path: Path) -> None:
    """Four runs that start together; each is stopped at another moment."""
    began = clock.monotonic_ns()
    runs = []
    for number in range(4):
        (tmp_path / str(number)).mkdir()
        runs.append(start("run", "--duration", "30s", "--no-report", cwd=tmp_path / str(number)))
    for running, after_s in zip(runs, (0.4, 1.2, 2.0, 2.8), strict=True):
        time.sleep(max(0.0, after_s - (clock.monotonic_ns() - began) / 1e9))
        running.send_signal(signal.SIGINT)

    for running in runs:
        stdout, stderr = running.communicate(timeout=120)
        # -2: Python itself was still starting
        assert running.returncode in {130, 1, -signal.SIGINT}, (stdout, stderr)
    assert not list(tmp_path.rglob("parts"))


@pytest.mark.slow
def test_a_429_pauses_closed_loop_users_too(serve: Any, tmp_path: Path) -> None:
    """Retry-After 1 on every answer: one user in 2.5 s sends at 0, 1 and 2 s, and not thousands of times."""

    def handler(sock: socket.socket) -> None:
        while read_request(sock):
            sock.sendall(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\n{}")

    run_against(serve(handler).port, "--concurrency", "1", "--duration", "2500ms", cwd=tmp_path)
    found = rows(tmp_path)
    assert len(found) <= 3
    assert len(found) >= 2 or found[0]["end_ns"] > 1e9  # so late an answer leaves no time for another, after its pause
    assert all(later["sent_ns"] > row["end_ns"] + 0.99e9 for row, later in pairwise(found))


@pytest.mark.slow
def test_a_dead_provider_is_not_hammered_by_a_closed_loop(tmp_path: Path) -> None:
    mock = process.start(["--ttft", "0.05", "--output-tokens", "16"])
    running = start(
        "run", "--profile", "vllm", "--model", "m", "--base-url", mock.base_url, "--no-report", "--concurrency", "2",
        "--duration", "20s", cwd=tmp_path,
    )  # fmt: skip
    until_rows(tmp_path, 2)
    mock.popen.kill()
    mock.stop()
    _, stderr = running.communicate(timeout=120)

    assert running.returncode == 3
    assert "provider gone" in stderr
    assert about(tmp_path)["stop"]["reason"] == "failing"
    assert 5 < sum(row["error_kind"] == "connect" for row in rows(tmp_path)) <= 20


def killed(folder: Path) -> list[subprocess.CompletedProcess[str]]:
    """All its processes at once; then it is looked at, repaired twice, and looked at again."""
    with process.start(["--ttft", "0.05", "--output-tokens", "16"]) as mock:
        running = start(
            "run", "--profile", "vllm", "--model", "m", "--base-url", mock.base_url, "--rate", "20",
            "--duration", "20s", "--arrivals", "constant", cwd=folder,
        )  # fmt: skip
        until_rows(folder, 20)
        children = subprocess.run(["pgrep", "-P", str(running.pid)], capture_output=True, text=True, check=True).stdout
        running.kill()
        for child in children.split():
            os.kill(int(child), signal.SIGKILL)
        running.communicate()

    return in_turn(("summary",), ("repair",), ("repair",), ("summary",), cwd=folder)


def test_a_run_whose_processes_were_all_killed_is_repaired(ended: Any) -> None:
    folder, (draft, done, again, summary) = ended[killed]

    assert draft.returncode == summary.returncode
    assert "unfinished: the run was killed: " in draft.stdout
    assert done.returncode == 0, done.stderr
    outcomes = [row["outcome"] for row in rows(folder)]
    assert len(outcomes) == 400
    assert outcomes.count("ok") >= 20  # what a worker has written is kept
    assert again.stdout == done.stdout
    assert "TTFT" in summary.stdout


@pytest.mark.slow
def test_a_stalled_server_shows_in_latency_from_the_schedule_and_not_in_later_service_times(
    serve: Any, tmp_path: Path
) -> None:
    """
    A closed loop hides a stall; an open loop's latency counts from the scheduled moment.

    The server takes no connection's request for its first second, then answers at once. 10/s for 2 s: arrival i of the
    first second waits 1 - i/10 s, so those ten wait 1.0, 0.9 ... 0.1 s.
    """
    for _ in range(3):  # a burst of other work is no flaw: it has to hold for one of them
        begun, latency = stalled(serve, tmp_path)
        assert min(late - due for late, due in zip(latency, begun, strict=False)) > -0.005
        if latency[:10] == pytest.approx(begun, abs=0.09) and max(latency[11:]) < 0.3:
            return
    raise AssertionError(latency)


def stalled(serve: Any, folder: Path) -> tuple[list[float], list[float]]:
    """Such a run: what the first ten waited at least, and the latencies of all."""
    answer = chunked(b'data: {"model":"m","choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}\n\n')
    began: list[float] = []

    def handler(sock: socket.socket) -> None:
        while read_request(sock):
            now = clock.monotonic_ns() / 1e9
            began.append(now)
            time.sleep(max(0.0, min(began) + 1.0 - now))
            sock.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" + answer
            )

    done = run_against(serve(handler).port, "--rate", "10", "--arrivals", "constant", "--duration", "2s", cwd=folder)

    assert done.returncode == expected_code(folder), done.stderr
    return [1 - i / 10 for i in range(10)], [row["latency_s"] for row in rows(folder)]


def two_arms(folder: Path) -> subprocess.CompletedProcess[str]:
    return firsttoken(
        "run", "--arm", "name=a", "--arm", "name=b,param.temperature=0", "--rate", "20", "--arrivals", "constant",
        "--duration", "0.4s", "--blocks", "2", "--output-tokens", "4", "--workers", "2", "--no-report", cwd=folder,
    )  # fmt: skip


@pytest.mark.slow
def test_two_arms_take_turns_on_providers_of_their_own(ended: Any) -> None:
    """20/s for 0.4 s in two blocks: 8 arrivals an arm, 4 a block, and no block begins before the last one is over."""
    folder, done = ended[two_arms]

    assert done.returncode == expected_code(folder), done.stderr
    told, found = about(folder), sorted(rows(folder), key=lambda row: (row["arm"], row["seq"]))
    assert [(row["arm"], row["seq"], row["block"]) for row in found] == [
        (arm, i, i // 4) for arm in "ab" for i in range(8)
    ]
    assert {row["outcome"] for row in found} == {"ok"}
    assert [row["prompt_hash"] for row in found[:8]] == [row["prompt_hash"] for row in found[8:]]
    assert [(side["name"], side["params"]) for side in told["arms"]] == [("a", {}), ("b", {"temperature": 0})]
    assert told["planned"] == 8
    assert len({side["profile"]["base_url"] for side in told["arms"]}) == 2
    assert all((latest(folder) / f"{arm}.mock.truth").stat().st_size for arm in "ab")
    assert [slot["block"] for slot in told["slots"]] == [0, 0, 1, 1]
    over_ns = 0
    for slot in told["slots"]:
        mine = [row for row in found if [row["arm"]] == slot["arms"] and row["block"] == slot["block"]]
        assert slot["start_ns"] == min(row["scheduled_ns"] for row in mine) >= over_ns
        assert [row["scheduled_ns"] - slot["start_ns"] for row in mine] == [i * 50_000_000 for i in range(4)]
        over_ns = max(row["end_ns"] for row in mine)
    assert "· a" in done.stdout
    assert "· b" in done.stdout


@pytest.mark.slow
def test_a_campaign_is_runs_of_each_arm_side_by_side(tmp_path: Path) -> None:
    done = firsttoken(
        "run", "--arm", "name=a", "--arm", "name=b", "--concurrency", "2", "--requests", "3", "--output-tokens", "2",
        "--repeats", "2", "--rest", "0s", "--no-report", cwd=tmp_path,
    )  # fmt: skip

    assert done.returncode in (0, 3), done.stderr
    told = orjson.loads((latest(tmp_path) / "campaign.json").read_bytes())
    assert sorted((run["arm"], run["round"], run["state"]) for run in told["runs"]) == [
        (arm, number, "done") for arm in "ab" for number in range(2)
    ]
    prompts: dict[int, set[tuple[int, ...]]] = {}
    for run in told["runs"]:
        path = latest(tmp_path) / run["folder"]
        said = orjson.loads((path / record.MANIFEST).read_bytes())
        assert (said["campaign_id"], said["round"], said["seed"]) == (
            told["campaign_id"],
            run["round"],
            1 + run["round"],
        )
        assert [side["name"] for side in said["arms"]] == [run["arm"]]
        found = sorted(pq.read_table(path / record.REQUESTS).to_pylist(), key=lambda row: row["seq"])
        assert [(row["seq"], row["arm"], row["outcome"]) for row in found] == [(i, run["arm"], "ok") for i in range(3)]
        prompts.setdefault(run["round"], set()).add(tuple(row["prompt_hash"] for row in found))
    assert [len(asked) for asked in prompts.values()] == [1, 1]  # the same for all arms of a round
    assert prompts[0] != prompts[1]
    assert "Paired over 2 rounds" in done.stdout


@pytest.mark.slow
def test_stages_of_concurrency_have_their_users_and_their_end(tmp_path: Path) -> None:
    """Four users for a second, then one for a second: at no moment more, and nobody asks after two seconds."""
    (tmp_path / "s.toml").write_text(
        "[[stage]]\nduration = '1s'\nconcurrency = 4\n[[stage]]\nduration = '1s'\nconcurrency = 1\n"
    )
    with process.start(["--ttft", "0.05", "--output-tokens", "2"]) as mock:
        for _ in range(3):  # a worker that gets no core for most of the first second asks nothing in it
            done = run_against(mock.port, "--stages", "s.toml", "--workers", "2", "--no-report", cwd=tmp_path)
            assert done.returncode in (0, 3), done.stderr
            found = rows(tmp_path)
            first = {row["user"] for row in found if row["scheduled_ns"] < 0.8e9}
            if len(first) == 4:
                break

    assert first == {0, 1, 2, 3}
    assert len({row["user"] for row in found if row["scheduled_ns"] > 1.3e9}) == 1
    assert max(row["scheduled_ns"] for row in found) < 2.1e9
    assert not list(latest(tmp_path).glob("worker-*.log"))


# Runs that wait more than they work are made beside each other.

BESIDE: dict[str, tuple[Callable[[Path], Any], ...]] = {
    "test_a_closed_loop_keeps_its_users_busy": (busy_users,),
    "test_a_provider_that_dies_is_rows_and_exit_code_3": (left_alone,),
    "test_ctrl_c_finishes_what_is_in_flight": (interrupted,),
    "test_ctrl_c_twice_cancels_what_is_in_flight": (interrupted_twice,),
    "test_a_run_whose_processes_were_all_killed_is_repaired": (killed,),
    "test_two_arms_take_turns_on_providers_of_their_own": (two_arms,),
}


@pytest.fixture(scope="module")
def ended(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[Any, tuple[Path, Any]]:
    """Folder and outcome of each run that the chosen tests need; none is under way when the first test looks."""
    chosen = {getattr(item, "originalname", "") for item in request.session.items}
    calls = [call for name, some in BESIDE.items() if name in chosen for call in some]
    folders = [tmp_path_factory.mktemp(call.__name__) for call in calls]
    with ThreadPoolExecutor(4) as pool:
        ends = pool.map(lambda call, folder: call(folder), calls, folders)
        return {call: (folder, end) for call, folder, end in zip(calls, folders, ends, strict=True)}
