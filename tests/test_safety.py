"""Money and limits through the command: caps over all processes, pauses for everybody, early ends, the question."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow.parquet as pq
import pytest
from conftest import read_request

from loadtests import clock

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

HOME = Path(__file__).resolve().parent.parent
ENV = os.environ | {"PYTHONPATH": str(HOME), "OPENAI_API_KEY": "not-a-key-at-all"}
ANSWER = (
    b'{"model":"m","choices":[{"index":0,"message":{"content":"x"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":50,"completion_tokens":10}}'
)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER)
THROTTLED = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: %b\r\nContent-Length: 2\r\n\r\n{}"


def run(port: int, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "loadtests.cli", "run", "--profile", "vllm", "--model", "m", "--base-url",
         f"http://127.0.0.1:{port}/v1", "--no-report", "--no-stream", *words],
        cwd=cwd, env=ENV, capture_output=True, text=True, check=False, timeout=300, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def rows(cwd: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(cwd / "results" / "latest" / "requests.parquet").to_pylist()
    return found


def stop(cwd: Path) -> Any:
    return orjson.loads((cwd / "results" / "latest" / "run.json").read_bytes())["stop"]


def answering(reply: Callable[[int], bytes], seen: list[float]) -> Any:
    """A provider that answers its n-th request, from 1, with these bytes."""
    lock = threading.Lock()

    def handler(sock: socket.socket) -> None:
        while read_request(sock):
            with lock:
                seen.append(clock.monotonic_ns() / 1e9)
                number = len(seen)
            sock.sendall(reply(number))

    return handler


@pytest.mark.slow
def test_two_workers_never_send_more_requests_than_the_budget(serve: Any, tmp_path: Path) -> None:
    seen: list[float] = []
    port = serve(answering(lambda _: OK, seen)).port
    done = run(port, "--rate", "40", "--arrivals", "constant", "--duration", "1s", "--workers", "2",
               "--budget-requests", "10", cwd=tmp_path)  # fmt: skip

    assert len(seen) == 10
    assert done.returncode == 3
    assert "--budget-requests 10 is spent" in done.stderr
    found = rows(tmp_path)
    assert len(found) == 40
    assert [row["outcome"] for row in found].count("ok") == 10
    assert any(row["flags"] == ["budget"] for row in found if row["outcome"] == "unsent")
    assert stop(tmp_path)["reason"] == "budget"


@pytest.mark.slow
def test_a_budget_in_tokens_counts_what_the_provider_counted(serve: Any, tmp_path: Path) -> None:
    """
    Each answer takes 60 tokens, and its worst case is more than that, so that a lone user spends up to 600 nearly.

    The worst case of one is its prompt (at most 2,000 tokens of 4 characters, so 2,700 of 3) and a cap of 16.
    """
    seen: list[float] = []
    port = serve(answering(lambda _: OK, seen)).port
    run(port, "--concurrency", "1", "--requests", "500", "--output-tokens", "16", "--budget-tokens", "6000",
        cwd=tmp_path)  # fmt: skip

    spent = sum((row["input_tokens"] or 0) + (row["output_tokens"] or 0) for row in rows(tmp_path))
    assert spent == 60 * len(seen)
    assert 3000 < spent <= 6000


@pytest.mark.slow
def test_a_budget_in_money_holds_for_a_profile_with_prices(serve: Any, tmp_path: Path) -> None:
    """50 and 10 tokens at 1,000 and 2,000 USD a million are 0.07 USD each; the date may be quoted."""
    seen: list[float] = []
    port = serve(answering(lambda _: OK, seen)).port
    (tmp_path / "priced.toml").write_text(
        f'name = "priced"\ntitle = "Priced"\nbase_url = "http://127.0.0.1:{port}/v1"\ndefault_model = "m"\n'
        '[prices]\ninput_per_million = 1000.0\noutput_per_million = 2000.0\ndate = "2026-11-01"\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "loadtests.cli", "run", "--profile", "priced.toml", "--no-report", "--no-stream",
         "--concurrency", "1", "--requests", "90", "--output-tokens", "16", "--budget-cost", "2"],
        cwd=tmp_path, env=ENV, capture_output=True, text=True, check=False, timeout=300, stdin=subprocess.DEVNULL,
    )  # fmt: skip

    assert done.returncode == 3, done.stderr
    spent = sum(row["cost_usd"] or 0 for row in rows(tmp_path))
    assert spent == pytest.approx(0.07 * len(seen))
    assert 0.5 < spent <= 2
    assert "USD (" in done.stdout


@pytest.mark.slow
def test_every_worker_keeps_a_pause_that_one_was_asked_for(serve: Any, tmp_path: Path) -> None:
    """
    One 429 with Retry-After 1 at the start: from 0.5 s on, nobody sends before 1 s.

    Whoever's moment was in the pause is not sent later either: there is no burst after it.
    """
    for attempt in range(3):  # a pause begins where its answer is read: where that was in time, all of it is as told
        seen: list[float] = []
        port = serve(answering(lambda number: THROTTLED % b"1" if number == 1 else OK, seen)).port
        (tmp_path / str(attempt)).mkdir()
        words = ("--rate", "30", "--arrivals", "constant", "--duration", "1600ms", "--workers", "2")
        run(port, *words, cwd=tmp_path / str(attempt))
        found = rows(tmp_path / str(attempt))
        sent = [row for row in found if row["outcome"] != "unsent"]
        unsent = [row for row in found if row["outcome"] == "unsent"]
        is_in_time = not [row for row in sent if 0.5e9 < row["scheduled_ns"] < 0.98e9]
        if is_in_time and {row["worker"] for row in sent if row["scheduled_ns"] > 1.2e9} == {0, 1}:
            break

    assert len(found) == 48
    assert [row["retry_after_s"] for row in found if row["error_kind"] == "throttled"] == [1.0]
    assert all(row["flags"] == ["paused"] for row in unsent)
    assert 15 <= len(unsent) <= 33
    assert len(seen) == len(sent)
    assert not [row for row in sent if 0.5e9 < row["scheduled_ns"] < 0.98e9]
    assert {row["worker"] for row in found if row["flags"] == ["paused"]} == {0, 1}
    assert {row["worker"] for row in sent if row["scheduled_ns"] > 1.2e9} == {0, 1}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reply", "reason"),
    [(THROTTLED % b"0", "throttled"), (b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\n{}", "failing")],
)
def test_a_provider_that_throttles_or_fails_on_ends_the_run(
    serve: Any, tmp_path: Path, reply: bytes, reason: str
) -> None:
    seen: list[float] = []
    port = serve(answering(lambda _: reply, seen)).port
    done = run(port, "--concurrency", "1", "--requests", "400", cwd=tmp_path)

    assert done.returncode == 3, done.stderr
    assert stop(tmp_path)["reason"] == reason
    assert len(seen) == (3 if reason == "throttled" else 20)
    assert f"--accept-{'throttling' if reason == 'throttled' else 'errors'}" in done.stderr


@pytest.mark.slow
def test_a_budget_in_time_cancels_what_is_under_way(serve: Any, tmp_path: Path) -> None:
    def slow(sock: socket.socket) -> None:
        while read_request(sock):
            threading.Event().wait(5.0)
            sock.sendall(OK)

    done = run(serve(slow).port, "--concurrency", "2", "--duration", "60s", "--budget-time", "1s", cwd=tmp_path)

    assert done.returncode == 3
    assert [(row["outcome"], row["flags"]) for row in rows(tmp_path)] == [("cancelled", ["run_end"])] * 2
    assert "--budget-time 1s is over" in done.stderr


@pytest.mark.slow
def test_more_than_the_careful_defaults_is_asked_about_on_a_terminal(tmp_path: Path) -> None:
    """The plan is shown, the answer is no, nothing is sent: the name does not even resolve."""
    (tmp_path / "far.toml").write_text(
        'name = "far"\ntitle = "Far"\nbase_url = "https://far.invalid/v1"\ndefault_model = "m"\n'
        "[prices]\ninput_per_million = 1.0\noutput_per_million = 2.0\ndate = 2026-01-31\n"
    )
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "loadtests.cli", "run", "--profile", "far.toml", "--requests", "99"]
    asking = subprocess.Popen(
        words, cwd=tmp_path, env=ENV, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    os.write(ours, b"n\n")
    _, said = asking.communicate(timeout=120)
    os.close(ours)
    os.close(theirs)

    assert asking.returncode == 130
    assert "https://far.invalid/v1/chat/completions" in said
    assert "at most 99 requests" in said
    assert " USD" in said
    assert "99 requests (default 10)" in said
    assert "Send it?" in said
    assert not (tmp_path / "results").exists()

    silent = subprocess.run(words, cwd=tmp_path, env=ENV, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                            check=False)  # fmt: skip
    assert silent.returncode == 2
    assert "--yes" in silent.stderr
    assert not (tmp_path / "results").exists()
