"""Conversations and closed loops through the whole command, and through plain Locust."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import orjson
import pytest
from commands import Listener, about, ask, exact, firsttoken, rows, told
from conftest import attempts

from loadtests.mock import process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Server

TALK = """\
name = "talk"
input = 60

[conversation]
turns = 3
think = "200ms"
input = 20
"""
WHOLE = ("--no-stream", "--output-tokens", "1")


@pytest.fixture
def talk(tmp_path: Path) -> tuple[str, ...]:
    """Conversations of three turns, 200 ms of thinking between them."""
    (tmp_path / "talk.toml").write_text(TALK)
    return ("--workload", "talk.toml")


@pytest.mark.slow
def test_a_conversation_repeats_what_was_really_said(
    tmp_path: Path, talk: tuple[str, ...], serve: Callable[..., Server]
) -> None:
    """Eight conversations from 0 to 1.75 s; a turn is asked 200 ms after the last answer, with it in its messages."""
    heard = Listener(serve)
    ask(heard.base_url, *talk, "--no-stream", "--rate", "4", "--arrivals", "constant", "--duration", "2s", cwd=tmp_path)
    found = rows(tmp_path)
    before = {orjson.dumps(body["messages"]): said for body, said in zip(heard.asked, heard.answered, strict=True)}
    later = [body["messages"] for body in heard.asked if len(body["messages"]) > 2]

    assert found["seq"].tolist() == list(range(24))
    assert found["conversation"].tolist() == [a for a in range(8) for _ in range(3)]
    assert found["turn"].tolist() == [0, 1, 2] * 8
    assert found["scheduled_ns"][::3].tolist() == [a * 250_000_000 for a in range(8)]
    pause = found["scheduled_ns"].to_numpy()[1:] - found["end_ns"].to_numpy()[:-1]
    assert pause[found["turn"].to_numpy()[1:] > 0] / 1e6 == pytest.approx(200, abs=5)

    assert sorted(len(messages) for messages in later) == [4] * 8 + [6] * 8  # a system message stands before them
    for messages in later:
        *history, answer, question = messages
        assert answer == {"role": "assistant", "content": before[orjson.dumps(history)]}
        assert question["role"] == "user"

    turns = {row["group"]: row["n"] for row in told(firsttoken("summary", "--json", cwd=tmp_path))["metrics"]
             if (row["metric"], row["by"]) == ("latency_s", "turn")}  # fmt: skip
    assert list(turns) == ["turn 1", "turn 2", "turn 3"]
    assert turns["turn 1"] == 8  # of the others those whose moment is in the window


@pytest.mark.slow
def test_streamed_answers_are_history_too(tmp_path: Path, talk: tuple[str, ...]) -> None:
    """
    Of a turn the provider saw as many messages and characters as the row says: all before, its answer and a question.

    A question of 20 tokens is 80 characters, more or less.
    """
    log = tmp_path / "asked.jsonl"
    words = ("--stream", "--output-tokens", "12", "--rate", "4", "--arrivals", "constant", "--duration", "2s")
    with exact(0.05, "--request-log", str(log), gap_s=0.005, tokens=12) as mock:
        ask(mock.base_url, *talk, *words, cwd=tmp_path)
    found = rows(tmp_path)
    seen = [orjson.loads(line)["body"]["messages"] for line in log.read_bytes().splitlines()]
    chars, answers = found["input_chars"].to_numpy(), found["output_chars"].to_numpy()
    grown = (chars[1:] - chars[:-1] - answers[:-1])[found["turn"].to_numpy()[1:] > 0]

    assert set(found["outcome"]) == {"ok"}
    assert sorted((one["messages"], one["characters"]) for one in seen) == sorted(
        (2 * turn + 2, size) for turn, size in zip(found["turn"], chars, strict=True)
    )
    assert grown == pytest.approx(80, abs=20)


@pytest.mark.slow
def test_a_closed_loop_has_conversations_as_well(tmp_path: Path, talk: tuple[str, ...]) -> None:
    """
    Two users in conversations of three turns: 0, 1, 2, 0, 1, 2, ... each, with 200 ms before a later turn.

    A user's moment is when it is ready, so that what holds this machine up makes a pause longer, and requests fewer.
    """
    with exact(0.05) as mock:
        ask(mock.base_url, *talk, *WHOLE, "--concurrency", "2", "--duration", "4s", cwd=tmp_path)
    found = rows(tmp_path)

    assert set(found["user"]) == {0, 1}
    for _, mine in found.groupby("user"):
        turn = mine["turn"].to_numpy()
        assert turn.tolist() == [i % 3 for i in range(len(mine))]
        assert len(mine) >= 7  # 21 where nothing does
        pause_ms = (mine["scheduled_ns"].to_numpy()[1:] - mine["end_ns"].to_numpy()[:-1]) / 1e6
        assert pause_ms[turn[1:] > 0].min() >= 180
        assert np.median(pause_ms[turn[1:] > 0]) == pytest.approx(200, abs=20)
        assert np.median(pause_ms[turn[1:] == 0]) < 60


@pytest.mark.slow
def test_rows_that_opened_a_session_say_so(tmp_path: Path) -> None:
    """
    Conversations 1.5 s apart of a provider that takes a second more for the first request to a model.

    The first answer comes after 1.2 s; nothing else was asked before that.
    """
    words = ("--workload", "talk.toml", "--rate", "40/m", "--arrivals", "constant", "--duration", "6s", "--stream")
    options = ("--provider", "morpheus", "--cold-session", "1", "--ttft", "0.2", "--ttft-sigma", "0", "--prefill", "0")
    for folder in attempts(tmp_path):
        (folder / "talk.toml").write_text(TALK)
        with process.start(options) as mock:
            done = firsttoken(
                "run", "--profile", "morpheus", "--base-url", f"http://127.0.0.1:{mock.port}/api/v1", "--no-report",
                *words, "--output-tokens", "8", cwd=folder,
            )  # fmt: skip
        assert done.returncode in {0, 3}, done.stderr
        found = rows(folder)
        cold = found["flags"].map(lambda flags: "cold_session" in flags)
        if found["ttft_s"][cold].max() < 1.32 and found["ttft_s"][~cold].max() < 0.5:
            break  # nothing held this machine up

    assert len(found) == 12
    assert set(found["outcome"]) == {"ok"}
    assert found["seq"][cold].tolist() == [0]
    assert found["ttft_s"][cold].tolist() == pytest.approx([1.2], rel=0.1)
    assert found["ttft_s"][~cold].max() < 0.5


# Closed loops, and what stays on behind an end.


@pytest.mark.slow
def test_a_load_is_held_until_the_measured_are_over(tmp_path: Path) -> None:
    """
    20/s for 2 s of answers of 500 ms: the last of the 40 is due at 1.95 s and over at 2.45 s.

    Until then arrivals go on each 50 ms from 2 s: 2.00 to 2.40, perhaps 2.45. They only hold the load. Where an answer
    is held up they go on for as much longer.
    """
    words = ("--rate", "20", "--arrivals", "constant", "--duration", "2s", "--hold")
    for folder in attempts(tmp_path):
        with exact(0.5) as mock:
            ask(mock.base_url, *WHOLE, *words, cwd=folder)
        found = rows(folder)
        tail = found[found["phase"] == "drain"]
        if len(tail) <= 16:
            break  # nothing held this machine up
    summary = told(firsttoken("summary", "--json", cwd=folder))

    assert found["scheduled_ns"].tolist() == [i * 50_000_000 for i in range(len(found))]
    assert found["phase"].tolist() == ["measure"] * 40 + ["drain"] * len(tail)
    assert 9 <= len(tail) <= 16
    assert set(found["outcome"][:40]) == {"ok"}
    assert (summary["counts"]["planned"], summary["counts"]["drain"]) == (40, len(tail))
    assert summary["counts"]["in_window"] == 40


@pytest.mark.slow
def test_users_come_one_by_one_and_think(tmp_path: Path) -> None:
    """Four within 2 s: user u at u / 2 s. Between an answer and the next request 100 to 300 ms, 200 on average."""
    words = ("--concurrency", "4", "--ramp", "2s", "--think", "uniform:100ms:300ms", "--duration", "5s")
    for folder in attempts(tmp_path):
        with exact(0.05) as mock:
            ask(mock.base_url, *WHOLE, *words, cwd=folder)
        found = rows(folder)
        pauses, came_s = [], []
        for user in range(4):
            mine = found[found["user"] == user]
            came_s.append(mine["scheduled_ns"].min() / 1e9)
            pauses += ((mine["scheduled_ns"].to_numpy()[1:] - mine["end_ns"].to_numpy()[:-1]) / 1e6).tolist()
        if max(pauses) < 400 and came_s == pytest.approx([0, 0.5, 1, 1.5], abs=0.15):
            break  # nothing held this machine up

    assert came_s == pytest.approx([0, 0.5, 1, 1.5], abs=0.15)
    assert set(found["user"]) == {0, 1, 2, 3}
    assert min(pauses) >= 100
    assert np.quantile(pauses, 0.95) < 400
    assert np.mean(pauses) == pytest.approx(200, rel=0.15)  # of some 60, each with sd 58: 3 sd are 22
    assert about(folder)["plan"]["ramp_s"] == 2.0


def users_between(cwd: Path, from_s: float, to_s: float) -> set[int]:
    """Who asked something in a stretch of the run."""
    found = rows(cwd)
    at_s = found["scheduled_ns"] / 1e9
    return {int(user) for user in found["user"][(at_s >= from_s) & (at_s < to_s)]}


CROWD = '[[stage]]\nconcurrency = %d\nduration = "3s"\n'
CROWDS = CROWD % 1 + CROWD % 3 + CROWD % 2


@pytest.mark.slow
def test_stages_of_concurrency_are_so_many_users(tmp_path: Path) -> None:
    """One, then three, then two, for 3 s each; who goes finishes what it has begun (50 ms)."""
    for folder in attempts(tmp_path):
        (folder / "crowd.toml").write_text(CROWDS)
        with exact(0.05) as mock:
            ask(mock.base_url, *WHOLE, "--stages", "crowd.toml", cwd=folder)
        end_s = rows(folder)["end_ns"].max() / 1e9
        if len(users_between(folder, 6.3, 9)) == 2 and end_s == pytest.approx(9, abs=0.3):
            break  # nothing held this machine up just then

    assert users_between(folder, 0, 2.9) == {0}
    assert users_between(folder, 3.3, 5.9) == {0, 1, 2}
    assert len(users_between(folder, 6.3, 9)) == 2
    assert end_s == pytest.approx(9, abs=0.3)


# Plain Locust.

WATCHED = """
import json
import time
import gevent
from locust import LoadTestShape, events
from loadtests.plugin import MixedUser

seen = []

@events.test_start.add_listener
def watch(environment, **_):
    def look():
        while True:
            seen.append((environment.runner.user_count, time.monotonic()))
            gevent.sleep(0.1)
    gevent.spawn(look)

@events.quitting.add_listener
def tell(**_):
    with open("seen.json", "w") as file:
        json.dump(seen, file)
"""
SHAPE = """
class Steps(LoadTestShape):
    def tick(self):
        at_s = self.get_run_time()
        return None if at_s > 7 else (2, 10) if at_s < 3 else (4, 10)
"""


def locust(cwd: Path, text: str, *words: str) -> list[tuple[int, float]]:
    """Plain Locust with this file against a mock of 50 ms; the users it had, ten times a second, and when."""
    (cwd / "mine.py").write_text(text)
    with exact(0.05) as mock:
        done = firsttoken(
            "-f", "mine.py", "--headless", "--only-summary", "--provider", "vllm", "--model", "mock", "--base-url",
            mock.base_url, "--output-tokens", "1", "--stream-share", "0", *words, cwd=cwd, module="locust",
        )  # fmt: skip
    assert done.returncode in {0, 3}, done.stderr
    found: list[tuple[int, float]] = json.loads((cwd / "seen.json").read_text())
    return found


@pytest.mark.slow
def test_stages_of_concurrency_drive_locusts_users(tmp_path: Path) -> None:
    """
    Locust looks once a second how many there should be, and ends by itself.

    Its clock is some 0.3 s ahead of the run's, which begins when a connection has been made. Who looks may be held up
    for a while with all the machine.
    """
    (tmp_path / "crowd.toml").write_text(CROWDS)
    seen = [count for count, _ in locust(tmp_path, WATCHED, "--stages", "crowd.toml")]

    assert [count for count, last in zip(seen, [0, *seen], strict=False) if count != last][:3] == [1, 3, 2]
    assert users_between(tmp_path, 0, 2) == {0}
    assert users_between(tmp_path, 4.2, 7) == {0, 1, 2}
    assert len(users_between(tmp_path, 7.9, 9)) == 2
    assert set(rows(tmp_path)["outcome"]) == {"ok"}
    assert about(tmp_path)["plan"]["mode"] == "closed"


@pytest.mark.slow
def test_a_shape_of_ones_own_has_our_users(tmp_path: Path) -> None:
    """Two users for 3 s, four until 7 s."""
    seen = [count for count, _ in locust(tmp_path, WATCHED + SHAPE)]
    until_end = seen[: len(seen) - seen[::-1].index(4)]

    assert set(until_end) - {0} == {2, 4}
    assert users_between(tmp_path, 0, 2) == {0, 1}
    assert users_between(tmp_path, 4.2, 7) == {0, 1, 2, 3}
    assert set(rows(tmp_path)["outcome"]) == {"ok"}
    assert (about(tmp_path)["plan"]["mode"], about(tmp_path)["plan"]["shape"]) == ("closed", "Steps")


@pytest.mark.slow
def test_stages_of_rate_leave_locusts_users_alone(tmp_path: Path) -> None:
    """Three users as -u says, and 10/s for 1 s, 30/s for 2 s: arrivals at i / 10 and at 1 + i / 30 s."""
    stage = '[[stage]]\nrate = %d\nduration = "%ds"\n'
    (tmp_path / "rate.toml").write_text(stage % (10, 1) + stage % (30, 2))
    words = ("--stages", "rate.toml", "--arrivals", "constant", "-u", "3", "-r", "3")
    seen = locust(tmp_path, WATCHED, *words)
    found = rows(tmp_path)
    three_s = [at_s for count, at_s in seen if count == 3]

    assert {count for count, at_s in seen if at_s <= three_s[-1]} <= {0, 3}
    assert {count for count, at_s in seen if three_s[0] <= at_s <= three_s[-1]} == {3}
    assert three_s[-1] - three_s[0] > 2.5
    assert found["scheduled_ns"].to_numpy() / 1e9 == pytest.approx(
        np.concatenate([np.arange(10) / 10, 1 + np.arange(60) / 30]), abs=1e-8
    )
    assert set(found["outcome"]) == {"ok"}
    assert about(tmp_path)["plan"]["mode"] == "open"
