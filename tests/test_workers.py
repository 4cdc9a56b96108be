"""Workers on other machines that come late, die, come back or are stopped; limits that hold over all of them."""

from __future__ import annotations

import platform
import signal
import socket
import subprocess
import sys
import time
from threading import Lock
from typing import TYPE_CHECKING, Final

import orjson
import pytest
from commands import ENV, about, exact, in_turn, rows, start
from conftest import attempts, read_request
from crew import Crew, interrupt
from machines import free_port, until

from loadtests import clock
from loadtests.schedule import open_loop

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd
    from conftest import Server

OPEN = ("--rate", "40", "--arrivals", "constant", "--no-stream", "--output-tokens", "1")
CLOSED = ("--concurrency", "6", "--no-stream", "--output-tokens", "1")
LATE_NS = 2e9
"""By so much others' work may hold this machine up, and with it whatever happens at a moment."""


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
    A third of three joins and gets its part 9 s later; then one is killed, and somebody new comes.

    What was lost or not sent is at most what the killed one had for the second or so until the others had heard; for
    the two or three where this machine is held up at that moment.
    """
    length_s = 38
    with exact(0.02, "--prepared") as mock, Crew(tmp_path, mock) as crew:
        began_ns = crew.go(2, *OPEN, "--duration", f"{length_s}s")
        late = crew.join()
        until(lambda: len(about(tmp_path)["shards"]) == 1)
        time.sleep(10)
        killed = crew.number(crew.workers[0])
        crew.load(crew.workers[0]).kill()
        killed_ns = clock.realtime_ns() - began_ns
        until(lambda: len(about(tmp_path)["shards"]) == 2)
        back = crew.join()
        until(lambda: len(about(tmp_path)["shards"]) == 3)
        came_s = (clock.realtime_ns() - began_ns) / 1e9
        codes, master = crew.codes(), crew.end()
        assert (crew.number(late), crew.number(back)) == (2, 3)
    found, told = rows(tmp_path), about(tmp_path)
    by, at_ns = found.groupby("worker")["scheduled_ns"], found["scheduled_ns"].tolist()
    deals = told["shards"]

    assert codes == [3, 0, 0, 0, 0]
    assert f"worker {killed}" in master.words
    assert "the others took over at" in master.words
    is_whole(found, length_s)
    assert counts(found)["ok"] >= length_s * 40 - 80
    missing_ns = found[found["outcome"] != "ok"]["scheduled_ns"]
    assert missing_ns.between(killed_ns - 3e9, killed_ns + 3e9).all()
    assert [deal["to"] for deal in deals] == [[0, 1, 2], [1 - killed, 2], [1 - killed, 2, 3]]
    assert deals[2]["place"] <= (came_s + 10) * 40 + 2
    for deal, number in ((deals[0], 2), (deals[2], 3)):
        if deal["place"] == len(at_ns):
            continue  # it came up so late that its part would begin behind the end
        assert 0 <= by.min()[number] - at_ns[deal["place"]] < 0.1e9
    assert by.max()[killed] < killed_ns + 3e9
    assert [one["lost_ns"] is None for one in told["workers"]].index(False) == killed
    assert crew.kept() == []


@pytest.mark.slow
def test_a_worker_that_is_stopped_leaves_its_part_to_the_others(tmp_path: Path) -> None:
    """
    It finishes what it has begun, delivers its rows, and goes with exit code 0; the master says who has gone.

    One is stopped by Ctrl-C, another by a signal; the third goes on.
    """
    with exact(0.5) as mock, Crew(tmp_path, mock) as crew:
        began_ns = crew.go(3, *OPEN, "--duration", "6s")
        time.sleep(2)
        left = [crew.number(worker) for worker in crew.workers[:2]]
        for worker, number in zip(crew.workers, (signal.SIGINT, signal.SIGTERM), strict=False):
            worker.popen.send_signal(number)
        stopped_ns = clock.realtime_ns() - began_ns
        codes, master = crew.codes(), crew.end()
    found, deals = rows(tmp_path), about(tmp_path)["shards"]
    unsent, at_ns = found[found["outcome"] == "unsent"], found["scheduled_ns"].tolist()

    assert codes == [3, 0, 0, 0]
    is_whole(found, 6)
    assert all(f"worker {number}" in master.words for number in left)
    assert "stopped by Ctrl-C or a signal" in master.words
    assert set(counts(found)) <= {"ok", "unsent"}
    assert set(unsent["worker"]) <= set(left)
    assert (unsent["seq"] < deals[-1]["place"]).all()
    for last_ns in (at_ns[deals[-1]["place"] - 1], found[found["worker"].isin(left)]["scheduled_ns"].max()):
        assert last_ns < stopped_ns + 1.5e9 + LATE_NS
    assert crew.kept() == []


@pytest.mark.slow
def test_users_of_a_lost_worker_move_to_who_has_come_late(tmp_path: Path) -> None:
    """Six users between two workers; a third waits, and has the killed one's three users afterwards."""
    with exact(0.1) as mock, Crew(tmp_path, mock) as crew:
        crew.go(2, *CLOSED, "--duration", "14s")
        crew.join()
        until(lambda: len(about(tmp_path)["workers"]) == 3)
        time.sleep(1)
        killed = crew.number(crew.workers[1])
        crew.load(crew.workers[1]).kill()
        codes = crew.codes()
    found = rows(tmp_path)
    late = found[found["worker"] == 2]

    assert codes == [3, 0, 0, 0]
    assert found["seq"].is_unique
    assert set(late["user"]) == {user for user in range(6) if user % 2 == killed}
    sent = found[found["sent_ns"].notna()]
    assert late["scheduled_ns"].min() > sent[sent["worker"] == killed]["scheduled_ns"].max()
    assert counts(found)["ok"] > 6 * 14 * 5
    assert counts(found).get("lost", 0) <= 3


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_at_the_master_stops_all_workers(tmp_path: Path, times: int) -> None:
    """Once, what is in flight finishes; twice, it is cancelled. The data is kept, 130; the workers leave nothing."""
    with exact(1.0) as mock, Crew(tmp_path, mock) as crew:
        began_ns = crew.go(3, *OPEN, "--duration", "20s")
        time.sleep(2)
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
    assert found["sent_ns"].max() < (stopped_s + 0.5) * 1e9 + LATE_NS


@pytest.mark.slow
def test_who_comes_when_the_run_is_about_to_end_is_sent_home(tmp_path: Path) -> None:
    """It joins while the last answers are waited for: nobody waits for it, and it has nothing to leave."""
    with exact(6.0) as mock, Crew(tmp_path, mock) as crew:
        crew.go(1, *OPEN, "--duration", "3s")
        time.sleep(2)
        interrupt(crew.master)
        late = crew.join()
        codes = crew.codes()

    assert codes[:2] == [130, 0]
    assert codes[2] == 2
    assert late.words.splitlines()[-1].startswith("firsttoken: ")
    assert set(rows(tmp_path)["outcome"]) <= {"ok", "cancelled", "unsent"}
    assert crew.kept() == []


# Limits over all workers.


@pytest.mark.slow
def test_a_budget_of_requests_is_spent_to_the_last(tmp_path: Path) -> None:
    """100 requests over three workers, that would like to send 240."""
    with exact(0.05) as mock, Crew(tmp_path, mock) as crew:
        crew.go(3, *OPEN, "--duration", "6s", "--budget-requests", "100")
        codes, master = crew.codes(), crew.end()
    found, told = rows(tmp_path), about(tmp_path)

    assert codes == [3, 0, 0, 0]
    assert "--budget-requests 100 is spent" in master.words
    assert told["stop"]["reason"] == "budget"
    assert int(found["sent_ns"].notna().sum()) == 100
    assert found["seq"].is_unique


@pytest.mark.slow
def test_a_budget_of_tokens_is_never_exceeded(tmp_path: Path) -> None:
    """Some 150 tokens of input and 8 of output each: 5,000 are enough for some thirty requests of users without end."""
    words = ("--concurrency", "6", "--duration", "20s")
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
    """
    A 429 with Retry-After 3 reaches one of three: within a second nobody sends, and 3 s after it all do again.

    From the moment on at which it is read, which is later where this machine was held up just then.
    """
    for folder in attempts(tmp_path):
        provider = Provider(serve, response("429 Too Many Requests", "Retry-After: 3", error={"message": "slow down"}))
        with Crew(folder) as crew:
            started_ns = crew.go(3, *OPEN, *provider.words, "--duration", "6s")
            codes = crew.codes()
        found = rows(folder)
        since_s = found["scheduled_ns"] / 1e9 + started_ns / 1e9 - provider.at_s
        sent = found["sent_ns"].notna()
        if sent[(since_s < 0) | (since_s > 3.05)].all() and since_s[sent & (since_s < 2.95)].max() < 0.6:
            break

    assert codes[1:] == [0, 0, 0]
    is_whole(found, 6)
    assert sent[since_s < 0].all()
    assert since_s[sent & (since_s < 2.95)].max() < 0.6
    assert sent[since_s > 3.05].all()
    assert set(found[since_s > 3.05]["worker"]) == {0, 1, 2}
    assert all("paused" in flags for flags in found[~sent]["flags"])


@pytest.mark.slow
def test_a_refusal_of_one_stops_all(tmp_path: Path, serve: Callable[..., Server]) -> None:
    """A 401 reaches one of three: within a second nobody sends any more, and the rest of the schedule is unsent."""
    for folder in attempts(tmp_path):
        provider = Provider(serve, response("401 Unauthorized", error={"message": "no such key"}))
        with Crew(folder) as crew:
            started_ns = crew.go(3, *OPEN, *provider.words, "--duration", "8s")
            codes, master = crew.codes(), crew.end()
        found = rows(folder)
        last_s = found["sent_ns"].max() / 1e9 + started_ns / 1e9 - provider.at_s
        if abs(last_s) < 0.6:
            break  # nothing held this machine up just then

    assert codes == [3, 0, 0, 0]
    assert "no such key" in master.words
    is_whole(found, 8)
    assert abs(last_s) < 0.6  # others were told within milliseconds, or had nothing to send in between
    assert crew.kept() == []


# Whatever a plan has.

TALK: Final = 'name = "t"\noutput = 4\n[conversation]\nturns = "uniform:2:4"\nthink = "fixed:0.4s"\n'
SHAREGPT: Final = orjson.dumps(
    [
        {"id": f"c{n}", "conversations": [{"from": "human", "value": "why " * n}, {"from": "gpt", "value": "so"}]}
        for n in range(1, 13)
    ]
)
FILES: Final = {
    "talk.toml": TALK.encode(),
    "mine.toml": b'name = "mine"\noutput = 4\n[dataset]\nfile = "data.json"\n',
    "data.json": SHAREGPT,
    "trace.csv": b"TIMESTAMP,ContextTokens,GeneratedTokens\n"
    + b"".join(b"2023-11-16 18:17:%02d.%d00000,%d,4\n" % (at // 10, at % 10, 100 + at) for at in range(50)),
}
SIDES: Final = ("--arm", "name=a,profile=vllm,model=a", "--arm", "name=b,profile=vllm,model=b")
STEADY: Final = ("--arrivals", "constant", "--output-tokens", "2")
PLANS: Final = {
    "arms by turns": (*SIDES, "--rate", "20", *STEADY, "--duration", "4s", "--blocks", "4"),
    "arms together": (*SIDES, "--together", "--rate", "20", *STEADY, "--duration", "4s", "--max-in-flight", "5"),
    "users by turns": (*SIDES, "--concurrency", "4", "--requests", "40", "--output-tokens", "2", "--blocks", "2"),
    "users together": (*SIDES, "--together", "--concurrency", "4", "--requests", "40", "--output-tokens", "2"),
    "conversations": ("--workload", "talk.toml", "--rate", "4", "--duration", "5s"),
    "a dataset, held": ("--workload", "mine.toml", "--rate", "20", *STEADY, "--duration", "4s", "--hold"),
    "a trace": ("--arrivals", "trace:trace.csv"),
    "stages": ("--stages", "stages.toml", "--output-tokens", "2"),
}
FILES["stages.toml"] = b'[[stage]]\nrate = 10\nduration = "2s"\n[[stage]]\nrate = 30\nduration = "2s"\n'
SAME: Final = ("arm", "block", "seq", "conversation", "turn", "workload", "stream", "output_cap")


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANS)
def test_three_machines_ask_what_one_would(tmp_path: Path, name: str) -> None:
    """
    The same requests of the same arms and blocks; files are the master's alone, and gone before anybody joins.

    Both are at work at once, on one provider: what is asked is nobody's but the plan's.
    """
    (tmp_path / "one").mkdir()
    (tmp_path / "three").mkdir()
    with exact(0.05, tokens=2) as mock, Crew(tmp_path / "three") as crew:
        to = ("--base-url", mock.base_url, *(() if "--arm" in PLANS[name] else ("--profile", "vllm", "--model", "a")))
        for folder in ("one", "three"):
            for file, data in FILES.items():
                (tmp_path / folder / file).write_bytes(data)
        alone = start("run", *to, *PLANS[name], "--no-report", cwd=tmp_path / "one")
        crew.lead(3, *to, *PLANS[name])
        until(lambda: "waiting for" in crew.master.words)
        for file in FILES:
            (tmp_path / "three" / file).unlink()
        for _ in range(3):
            crew.join()
        codes = crew.codes()
        _, stderr = alone.communicate(timeout=120)
    one, three = (kinds(rows(tmp_path / folder)) for folder in ("one", "three"))

    assert alone.returncode in {0, 3}, stderr
    assert codes[0] in {0, 3}, crew.end().words
    assert codes[1:] == [0, 0, 0]
    assert three == one
    assert len(three) >= 20
    assert set(rows(tmp_path / "three")["worker"]) == {0, 1, 2}
    assert set(rows(tmp_path / "three")["outcome"]) == {"ok"}
    assert crew.kept() == []


def kinds(found: pd.DataFrame) -> list[tuple[str, ...]]:
    """What each row that is measured asked, in some order that both have."""
    measured = found[found["phase"] == "measure"]
    return sorted(tuple(map(str, row)) for row in measured[list(SAME)].itertuples(index=False))


@pytest.mark.slow
def test_workers_stay_for_a_whole_campaign(tmp_path: Path) -> None:
    """Two rounds of two arms: four runs over the same two workers, who then go with exit code 0."""
    with exact(0.05, tokens=2) as mock, Crew(tmp_path) as crew:
        load = ("--rate", "20", *STEADY, "--duration", "1s", "--repeats", "2", "--rest", "0s")
        crew.lead(2, "--base-url", mock.base_url, *SIDES, *load)
        crew.join()
        crew.join()
        codes = crew.codes()
        kept, words = crew.kept(), [one.words for one in crew.workers]
    runs = sorted(path for path in (tmp_path / "results" / "latest").iterdir() if path.is_dir())

    assert codes[0] in {0, 3}, crew.end().words
    assert codes[1:] == [0, 0], words
    assert [path.name for path in runs] == ["01", "02", "03", "04"]
    for run in runs:
        found = rows(tmp_path, run)
        assert found["seq"].tolist() == list(range(20))
        assert set(found["worker"]) == {0, 1}
        assert set(found["outcome"]) == {"ok"}
    assert kept == []


@pytest.mark.slow
def test_a_budget_of_time_cancels_everywhere(tmp_path: Path) -> None:
    """Answers take 5 s, the budget 3: what is under way is cancelled, on all workers at that moment."""
    for folder in attempts(tmp_path):
        with exact(5.0) as mock, Crew(folder, mock) as crew:
            crew.go(3, *OPEN, "--duration", "10s", "--budget-time", "3s")
            codes, master = crew.codes(), crew.end()
        found = rows(folder)
        cancelled = found[found["outcome"] == "cancelled"]
        if cancelled["end_ns"].between(3e9, 3.5e9).all():
            break  # nothing held this machine up just then

    assert codes == [3, 0, 0, 0]
    assert "--budget-time 3s is over" in master.words
    is_whole(found, 10)
    assert 60 < len(cancelled) <= 121
    assert cancelled["end_ns"].between(3e9, 3.5e9).all()
    assert set(cancelled["worker"]) == {0, 1, 2}


# Mistakes, in one line each.

OTHER: Final = """
import sys
from loadtests import record
record.SCHEMA_VERSION = 99
from loadtests.cli import main
main()
"""


@pytest.mark.slow
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    """No master, one that gave up, a port that is taken or of another machine, options that don't go together."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = f"127.0.0.1:{taken.getsockname()[1]}"
        nobody = f"127.0.0.1:{free_port()}"
        mistakes = {
            f"no master at {nobody}": ("worker", "--master", nobody, "--wait", "0.2s"),
            f"--bind {busy}: Address already in use": ("run", "--expect-workers", "1", "--bind", busy),
            "no address of this machine": ("run", "--expect-workers", "1", "--bind", "nowhere.invalid:5558"),
            "0 of 2 workers have joined": ("run", "--expect-workers", "2", "--bind", nobody, "--join-within", "0.2s"),
            "give one of the two": ("run", "--expect-workers", "1", "--workers", "2"),
            "is no HOST or HOST:PORT": ("worker", "--master", "a:b"),
        }
        ends = in_turn(list(mistakes.values()), cwd=tmp_path)

    for says, end in zip(mistakes, ends, strict=True):
        *before, last = end.stderr.splitlines()
        assert end.returncode == 2
        assert last.startswith("firsttoken: ")
        assert says in last
        assert len(before) <= 2  # what is about to be done, and that workers are waited for
    assert list((tmp_path / "results").iterdir()) == []


@pytest.mark.slow
def test_a_worker_of_another_version_is_refused(tmp_path: Path) -> None:
    """It goes with exit code 2; the master waits for one that fits."""
    with exact(0.02, "--prepared") as mock, Crew(tmp_path, mock) as crew:
        crew.lead(1, *OPEN, "--duration", "1s")
        until(lambda: "waiting for" in crew.master.words)
        words = ["worker", "--master", f"127.0.0.1:{crew.port}"]
        other = subprocess.run(
            [sys.executable, "-c", OTHER, *words], cwd=tmp_path, env=ENV, capture_output=True, text=True, check=False,
            timeout=120,
        )  # fmt: skip
        crew.join()
        codes = crew.codes()

    assert other.returncode == 2
    assert "install the same on both" in other.stderr
    assert other.stderr.count("\n") == 1
    assert codes[0] in {0, 3}
    assert codes[1:] == [0]


@pytest.mark.slow
def test_a_worker_without_the_key_is_named(tmp_path: Path) -> None:
    """It says which key it lacks, and so does the master, with its name; no key is anywhere, and nothing was sent."""
    key = "sk-abcdefghijklmnopqrstuvwxyz0123456789"
    with exact(0.02, "--prepared") as mock, Crew(tmp_path) as crew:
        crew.lead(2, "--profile", "openai", "--base-url", mock.base_url, *OPEN, "--duration", "2s")
        lacking, having = crew.join(), crew.join(key=key)
        codes, words = crew.codes(), crew.end().words
        number = crew.number(lacking)

    assert codes == [2, 2, 2]
    assert f"the run cannot begin: worker {number} ({platform.node()}): profile openai: the environment" in words
    assert "OPENAI_API_KEY is not set" in lacking.words.splitlines()[-1]
    assert "the run did not begin" in having.words.splitlines()[-1]
    assert key not in words + lacking.words + having.words
    assert crew.kept() == []
    assert list((tmp_path / "results").iterdir()) == []


@pytest.mark.slow
def test_keys_are_the_workers_own(tmp_path: Path) -> None:
    """The master has none and needs none; a worker with a key reaches a provider that asks for it."""
    key = "sk-abcdefghijklmnopqrstuvwxyz0123456789"
    with exact(0.02, "--prepared", "--key", key) as mock, Crew(tmp_path) as crew:
        crew.lead(1, "--profile", "openai", "--base-url", mock.base_url, *OPEN, "--duration", "2s")
        crew.join(key=key)
        codes = crew.codes()
        files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]

    assert codes[0] in {0, 3}
    assert codes[1:] == [0]
    assert set(rows(tmp_path)["outcome"]) == {"ok"}
    assert not any(key.encode() in data for data in files)


@pytest.mark.slow
def test_a_worker_that_does_not_reach_the_provider_says_so(tmp_path: Path) -> None:
    """Nothing listens there: exit code 2 on both sides, with the worker's name."""
    with Crew(tmp_path) as crew:
        where = f"http://127.0.0.1:{free_port()}/v1"
        crew.lead(1, "--profile", "vllm", "--model", "mock", "--base-url", where, *OPEN, "--duration", "2s")
        crew.join()
        codes = crew.codes()
        words = [crew.end().words, crew.workers[0].words]

    assert codes == [2, 2]
    assert "worker 0 (" in words[0].splitlines()[-1]
    assert all(f"nothing reached at {where}" in word.splitlines()[-1] for word in words)


@pytest.mark.slow
def test_a_worker_without_a_place_for_its_rows_says_so(tmp_path: Path) -> None:
    """The master hears it at once, and says whose it is."""
    (tmp_path / "w0").touch()
    with exact(0.02, "--prepared") as mock, Crew(tmp_path, mock) as crew:
        crew.lead(1, *OPEN, "--duration", "2s")
        crew.join()
        codes = crew.codes()
        words = [crew.end().words, crew.workers[0].words]

    assert codes == [2, 2]
    assert "the run cannot begin: worker 0 (" in words[0].splitlines()[-1]
    assert all("--out w0: " in word.splitlines()[-1] for word in words)
