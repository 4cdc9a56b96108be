"""Workers on other machines that come late, die, come back or are stopped; limits that hold over all of them."""

from __future__ import annotations

import signal
import time
from threading import Lock
from typing import TYPE_CHECKING, Final

import orjson
import pytest
from commands import about, exact, rows
from conftest import read_request
from crew import Crew, interrupt

from loadtests import clock
from loadtests.schedule import open_loop

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd
    from conftest import Server

OPEN = ("--rate", "40", "--arrivals", "constant", "--no-stream", "--output-tokens", "1")
CLOSED = ("--concurrency", "6", "--no-stream", "--output-tokens", "1")


def is_whole(found: pd.DataFrame, duration_s: float) -> None:
    """Each arrival of the schedule is a row, once, at its moment."""
    planned = open_loop("constant", 40, duration_s, 1).offsets_ns

    assert found["seq"].tolist() == list(range(len(planned)))
    assert found["scheduled_ns"].tolist() == planned.tolist()


def counts(found: pd.DataFrame) -> dict[str, int]:
    """Rows by outcome."""
    return {str(key): int(value) for key, value in found["outcome"].value_counts().items() if value}


@pytest.mark.slow
def test_a_worker_comes_late_another_dies_and_comes_back(tmp_path: Path) -> None:
    """
    A third of three joins at 1 s and gets its part 9 s later; one is killed at 13 s, and somebody new comes at 14 s.

    What was lost or not sent is at most what the killed one had for the second or so until the others had heard.
    """
    with exact(0.02, "--prepared") as mock, Crew(tmp_path, mock) as crew:
        crew.go(2, *OPEN, "--duration", "28s")
        time.sleep(1)
        late = crew.join()
        time.sleep(12)
        killed = crew.number(crew.workers[0])
        crew.load(crew.workers[0]).kill()
        time.sleep(1)
        back = crew.join()
        codes, master = crew.codes(), crew.end()
        assert (crew.number(late), crew.number(back)) == (2, 3)
    found, told = rows(tmp_path), about(tmp_path)
    by = found.groupby("worker")["scheduled_ns"]

    assert codes == [3, 0, 0, 0, 0]
    assert f"worker {killed}" in master.words
    assert "the others took over at 13" in master.words
    is_whole(found, 28)
    assert counts(found)["ok"] >= 28 * 40 - 20
    assert 9.5e9 < by.min()[2] < 12e9
    assert 22.5e9 < by.min()[3] < 27.5e9
    assert by.max()[killed] < 14.5e9
    assert [one["lost_ns"] is None for one in told["workers"]].index(False) == killed
    assert len(told["shards"]) == 3
    assert crew.kept() == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_that_is_stopped_leaves_its_part_to_the_others(tmp_path: Path, number: signal.Signals) -> None:
    """It finishes what it has begun, delivers its rows, and goes with exit code 0; the master says who has gone."""
    with exact(0.5) as mock, Crew(tmp_path, mock) as crew:
        crew.go(3, *OPEN, "--duration", "6s")
        time.sleep(2)
        left = crew.number(crew.workers[0])
        crew.workers[0].popen.send_signal(number)
        codes, master = crew.codes(), crew.end()
    found = rows(tmp_path)

    assert codes == [3, 0, 0, 0]
    is_whole(found, 6)
    assert f"worker {left}" in master.words
    assert "stopped by Ctrl-C or a signal" in master.words
    assert counts(found)["ok"] >= 240 - 15
    assert set(counts(found)) <= {"ok", "unsent"}
    assert found[found["worker"] == left]["scheduled_ns"].max() < 3.5e9
    assert crew.kept() == []


@pytest.mark.slow
def test_users_of_a_lost_worker_move_to_who_has_come_late(tmp_path: Path) -> None:
    """Six users between two workers; a third waits, and has the killed one's three users afterwards."""
    with exact(0.1) as mock, Crew(tmp_path, mock) as crew:
        crew.go(2, *CLOSED, "--duration", "8s")
        time.sleep(1)
        crew.join()
        time.sleep(3)
        killed = crew.number(crew.workers[1])
        crew.load(crew.workers[1]).kill()
        codes = crew.codes()
    found = rows(tmp_path)
    late = found[found["worker"] == 2]

    assert codes == [3, 0, 0, 0]
    assert found["seq"].is_unique
    assert set(late["user"]) == {user for user in range(6) if user % 2 == killed}
    assert late["scheduled_ns"].min() > 4e9
    assert counts(found)["ok"] > 3 * 60 + 3 * 55
    assert counts(found).get("lost", 0) <= 3


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_at_the_master_stops_all_workers(tmp_path: Path, times: int) -> None:
    """Once, what is in flight finishes; twice, it is cancelled. The data is kept, 130; the workers leave nothing."""
    with exact(2.0) as mock, Crew(tmp_path, mock) as crew:
        began_ns = crew.go(3, *OPEN, "--duration", "20s")
        time.sleep(3)
        for _ in range(times):
            interrupt(crew.master)
            time.sleep(0.3)
        stopped_s = (clock.realtime_ns() - began_ns) / 1e9
        codes, master = crew.codes(), crew.end()
        took_s = (clock.realtime_ns() - began_ns) / 1e9 - stopped_s
    found, told = rows(tmp_path), about(tmp_path)

    assert codes == [130, 0, 0, 0]
    assert "Ctrl-C" in master.words
    assert told["stop"]["reason"] == "interrupt"
    assert crew.kept() == []
    assert took_s < 15
    is_whole(found, 20)
    assert set(counts(found)) == ({"ok", "unsent"} if times == 1 else {"ok", "cancelled", "unsent"})
    assert found["sent_ns"].max() < (stopped_s + 0.5) * 1e9


# Limits over all workers.


@pytest.mark.slow
@pytest.mark.parametrize("load", ["open", "closed"])
def test_a_budget_of_requests_is_spent_to_the_last(tmp_path: Path, load: str) -> None:
    """100 requests over three workers, that would like to send 240, or without end."""
    words = (*OPEN, "--duration", "6s") if load == "open" else (*CLOSED, "--duration", "20s")
    with exact(0.05) as mock, Crew(tmp_path, mock) as crew:
        crew.go(3, *words, "--budget-requests", "100")
        codes, master = crew.codes(), crew.end()
    found, told = rows(tmp_path), about(tmp_path)

    assert codes == [3, 0, 0, 0]
    assert "--budget-requests 100 is spent" in master.words
    assert told["stop"]["reason"] == "budget"
    assert int(found["sent_ns"].notna().sum()) == 100
    assert found["seq"].is_unique


@pytest.mark.slow
@pytest.mark.parametrize("load", ["open", "closed"])
def test_a_budget_of_tokens_is_never_exceeded(tmp_path: Path, load: str) -> None:
    """Some 150 tokens of input and 8 of output each: 5,000 are enough for some thirty requests."""
    words = ("--rate", "30", "--duration", "6s") if load == "open" else ("--concurrency", "6", "--duration", "20s")
    with exact(0.05, tokens=8) as mock, Crew(tmp_path, mock) as crew:
        crew.go(3, *words, "--output-tokens", "8", "--budget-tokens", "5000")
        codes = crew.codes()
    found = rows(tmp_path)
    taken = int(found["input_tokens"].sum() + found["output_tokens"].sum())

    assert codes == [3, 0, 0, 0]
    assert 3000 < taken <= 5000


class Provider:
    """
    A provider that answers all but one request at once.

    Attributes:
        at_s: When that one came, on the unix clock.
    """

    def __init__(self, serve: Callable[..., Server], answer: bytes, after: int = 60) -> None:
        self.at_s, self._answer, self._left = 0.0, answer, after
        self._lock = Lock()
        self.words = ("--profile", "vllm", "--model", "mock", "--base-url", f"http://127.0.0.1:{serve(self).port}/v1")

    def __call__(self, sock: socket.socket) -> None:
        """Serve a connection."""
        while read_request(sock):
            with self._lock:
                self._left -= 1
                is_it = self._left == 0
                self.at_s = clock.realtime_ns() / 1e9 if is_it else self.at_s
            sock.sendall(self._answer if is_it else FINE)


def response(status: str, *headers: str, **body: object) -> bytes:
    """One whole response."""
    data = orjson.dumps(body)
    lines = (f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(data)}", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


FINE: Final = response(
    "200 OK", id="c", object="chat.completion", model="mock", usage={"prompt_tokens": 1, "completion_tokens": 1},
    choices=[{"index": 0, "message": {"role": "assistant", "content": "so"}, "finish_reason": "stop"}],
)  # fmt: skip


@pytest.mark.slow
def test_all_workers_keep_a_pause_that_one_was_asked_for(tmp_path: Path, serve: Callable[..., Server]) -> None:
    """A 429 with Retry-After 3 reaches one of three: within a second nobody sends, and 3 s after it all do again."""
    provider = Provider(serve, response("429 Too Many Requests", "Retry-After: 3", error={"message": "slow down"}))
    with Crew(tmp_path) as crew:
        started_ns = crew.go(3, *OPEN, *provider.words, "--duration", "8s")
        codes = crew.codes()
    found = rows(tmp_path)
    since_s = found["scheduled_ns"] / 1e9 + started_ns / 1e9 - provider.at_s
    sent = found["sent_ns"].notna()

    assert codes[1:] == [0, 0, 0]
    is_whole(found, 8)
    assert sent[since_s < 0].all()
    assert since_s[sent & (since_s < 2.95)].max() < 0.6
    assert sent[since_s > 3.05].all()
    assert set(found[since_s > 3.05]["worker"]) == {0, 1, 2}
    assert all("paused" in flags for flags in found[~sent]["flags"])


@pytest.mark.slow
def test_a_refusal_of_one_stops_all(tmp_path: Path, serve: Callable[..., Server]) -> None:
    """A 401 reaches one of three: within a second nobody sends any more, and the rest of the schedule is unsent."""
    provider = Provider(serve, response("401 Unauthorized", error={"message": "no such key"}))
    with Crew(tmp_path) as crew:
        started_ns = crew.go(3, *OPEN, *provider.words, "--duration", "8s")
        codes, master = crew.codes(), crew.end()
    found = rows(tmp_path)

    assert codes == [3, 0, 0, 0]
    assert "no such key" in master.words
    is_whole(found, 8)
    last_s = found["sent_ns"].max() / 1e9 + started_ns / 1e9 - provider.at_s
    assert abs(last_s) < 0.6  # others were told within milliseconds, or had nothing to send in between
    assert crew.kept() == []
