"""`firsttoken capacity`: what is refused, what is planned, and searches against the embedded provider's slots."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any, Final

import orjson
import pytest
import queues
from commands import exact, firsttoken, in_turn, latest, start, told
from test_search import probe

from analysis.capacity.answer import conclude
from analysis.capacity.probe import Step
from loadtests import clock
from loadtests.campaign import FILE
from loadtests.cli.found import searched_code
from loadtests.cli.searches import limits_of, promised

if TYPE_CHECKING:
    from pathlib import Path

VLLM: Final = ("--profile", "vllm", "--model", "m", "--no-report")
SOON: Final = ("--objective", "ttft_p95<150ms")

SERVICE_S: Final = 0.2
SLOTS: Final = 4

FOUND: Final = (0, 1, 3, 4)
"""How a search may end that was not broken off; other than 0 where this machine held it up, or the server."""


# What is refused.

REFUSED: Final[dict[tuple[str, ...], str]] = {
    VLLM: "no objective to search by; give one or more, like --objective 'ttft_p95<2s'",
    (*VLLM, "--objective", "ttft<2s"): "decides nothing by itself; give each a share, like ttft_p95<2s",
    (*VLLM, *SOON, "--objective", "goodput>5/s"): "grows with the load, so no load is the highest",
    (*VLLM, *SOON, "--arrivals", "trace:a.csv"): "--arrivals trace: comes at rates of its own",
    (*VLLM, *SOON, "--by", "both", "--most", "2.5"): "--most 2.5 isn't a whole number of users",
    (*VLLM, *SOON, "--start", "9", "--most", "5"): "--start 9 is above --most 5; begin below it",
    (*VLLM, *SOON, "--growth", "30"): "'30' isn't a share from 0% to 10000%, like 25% or 0.25",
    (*VLLM, *SOON, "--server-metrics", "gpu1"): "--server-metrics 'gpu1': is no http(s) URL; write http://HOST:PORT",
    (*VLLM, *SOON, "--precision", "80%"): "a share from 0.5% to 50%, like 25% or 0.25",
    (
        *VLLM,
        *SOON,
        "--peak",
        "4",
        "--peak-users",
        "9",
    ): "--peak and --peak-users both set the peak; give one",
    (*VLLM, *SOON, "--replicas", "2"): "--replicas does nothing by itself; give --load-now too",
    ("nowhere", "--growth", "30%"): "--growth does nothing by itself; give --peak or --peak-trace or --peak-users too",
    (*VLLM, *SOON, "--peak-trace", "none.csv"): "none.csv",
    ("--resume", "nowhere"): "nowhere: no campaign to go on with",
    ("--resume", "nowhere", "--model", "x"): "--model cannot change in an existing search",
    ("nowhere",): "nowhere: not a sweep or a search",
    ("nowhere", "--by", "both"): "--by cannot change in existing campaigns",
    ("--profile", "openai", *SOON): "openai.com/v1 is remote, and how much a search sends is not known ahead; cap it",
}


def test_a_mistake_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    every = in_turn([("capacity", *words) for words in REFUSED], tmp_path, env={"OPENAI_API_KEY": "sk-none"})

    for done, text in zip(every, REFUSED.values(), strict=True):
        assert text in done.stderr, done.args
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_what_a_search_would_do_is_told_and_nothing_is_sent(tmp_path: Path) -> None:
    words = ("capacity", *VLLM, *SOON, "--by", "both", "--probes", "9", "--dry-run", "--output-tokens", "7")
    done, bounded, plain = in_turn([words, (*words, "--budget-requests", "40"), (*words, "--json")], tmp_path)

    assert done.returncode == 0, done.stderr
    assert "by users: 2 x at most 9 probes of 60 s or more, to ±3 %" in done.stdout
    assert "tokens   as many requests as the time allows, each at most " in done.stdout
    assert "tokens   at most 40 requests, " in bounded.stdout
    assert f"+ {40 * 7} output tokens" in bounded.stdout
    assert orjson.loads(plain.stdout)["options"]["probes"] == 9
    assert not list(tmp_path.iterdir())


# What ends a probe early.


def test_a_probe_ends_where_no_rest_of_it_could_keep_the_promise() -> None:
    # 20/s for 60 s are 1,200 arrivals, of which 60 may be late; twice as many are no luck any more. An answer alone
    # takes 1 s, so that 20 are in flight; 20 times that is a queue that runs away.
    base = probe(1, "base", 1.0, 1.0, mode="concurrency")
    terms = promised(["ttft_p95<2s", "latency_p99<8s", "error_rate<1%", "output_speed_p95>10"]).terms

    assert limits_of(Step(5, "rate", 20.0, "bisect", 60.0), [base], terms) == [
        {"column": "in_flight", "most": 400},
        {"column": "ttft_s", "op": "<", "limit": 2.0, "most": 120},
        {"column": "latency_s", "op": "<", "limit": 8.0, "most": 24},
    ]
    assert limits_of(Step(5, "concurrency", 20.0, "bisect", 60.0), [base], terms) == []


@pytest.mark.parametrize(("share", "state", "code"), [(0.5, "steady", 1), (1.0, "quota", 4), (1.0, "client", 3)])
def test_the_exit_code_says_what_ended_a_search(share: float, state: Any, code: int) -> None:
    last = probe(2, "ramp", 1.0, 1.0, state=state)
    base = probe(1, "base", 1.0, share, mode="concurrency")
    probes = [base] if share < 1 else [base, queues.probing.of(last.step, last.points * 3)]

    assert searched_code([conclude(probes, "rate")]) == code
    assert searched_code([conclude([base, probe(2, "ramp", 1.0, 1.0)], "rate")]) == (1 if share < 1 else 0)


# Searches in real time.


def search(url: str, cwd: Path, *words: str) -> Any:
    """Answers of a search of short probes, as `--json` tells them."""
    asked = ("capacity", *VLLM, "--base-url", url, "--output-tokens", "1", "--rest", "0s", "--json", *words)
    done = firsttoken(*asked, cwd=cwd)
    assert done.returncode in FOUND, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return told(done)


@pytest.mark.slow
def test_a_real_server_is_searched_by_rate_and_by_users(tmp_path: Path) -> None:
    """
    Four slots of 0.2 s, first come, first served, streams of one token: TTFT is the wait and 0.2 s.

    By users: the slots begin and end together, so that with 4 nobody waits and with 5 every fourth answer a whole
    service. By rate 95 % of the arrivals wait less than 0.12 s up to 12.07/s, by a simulation of a million; probes of
    6 s know that to a third.
    """
    words = ("--by", "both", "--objective", "ttft_p95<320ms", "--duration", "12s", "--probes", "9")
    for _ in range(3):  # whatever holds the server up is its capacity as well: the first search that nothing held up
        mock = exact(SERVICE_S, "--slots", str(SLOTS))
        try:
            said = search(mock.base_url, tmp_path, *words)
        finally:
            mock.stop()
        by = {answer["mode"]: answer for answer in said["answers"]}
        if by["concurrency"]["value"] == 4 and by["rate"]["value"] == pytest.approx(12.07, rel=0.33):
            break

    assert by["concurrency"]["value"] == 4
    assert by["rate"]["value"] == pytest.approx(12.07, rel=0.33)
    for answer in by.values():
        gaps = [point["little"] for one in answer["probes"] for point in one["points"]]
        assert max(gap for gap in gaps if gap is not None) < 0.05
    assert said["both"][0]["sentences"]


@pytest.mark.slow
def test_a_search_that_is_interrupted_goes_on_and_plays_nothing_twice(tmp_path: Path) -> None:
    mock = exact(SERVICE_S, "--slots", str(SLOTS))
    words = (
        "capacity", *VLLM, "--objective", "ttft_p95<400ms", "--base-url", mock.base_url, "--output-tokens", "1",
        "--rest", "0s", "--duration", "4s", "--probes", "6",
    )  # fmt: skip
    try:
        for _ in range(3):  # one that met a wall at once, since this machine held it up, is over before it is stopped
            going = start(*words, cwd=tmp_path)
            deadline = clock.monotonic_ns() / 1e9 + 120
            known = latest(tmp_path)
            while clock.monotonic_ns() / 1e9 < deadline and going.poll() is None:
                if latest(tmp_path) != known and len(_runs(tmp_path)) > 2:
                    break
                time.sleep(0.1)
            going.send_signal(signal.SIGINT)
            _, said = going.communicate(timeout=120)
            if going.returncode not in FOUND:
                break
        before = _runs(tmp_path)
        done = firsttoken("capacity", "--resume", "results/latest", "--json", cwd=tmp_path)
    finally:
        mock.stop()

    assert going.returncode == 130, said
    assert "--resume results/" in said
    assert done.returncode in FOUND, done.stderr
    assert "Traceback" not in said + done.stderr
    after = _runs(tmp_path)
    over = [(run["step"]["number"], run["round"]) for run in after if run["state"] == "done"]
    assert len(over) == len(set(over))
    assert {run["folder"] for run in before if run["state"] == "done"} <= {
        run["folder"] for run in after if run["state"] == "done"
    }
    assert len({probe["number"] for probe in told(done)["answers"][0]["probes"]}) <= 6


@pytest.mark.slow
def test_a_quota_is_reported_as_a_quota_in_under_two_minutes(tmp_path: Path) -> None:
    mock = exact(0.1, "--requests-per-minute", "60", tokens=8, gap_s=0.01)
    began = clock.monotonic_ns() / 1e9
    try:
        done = firsttoken("capacity", *VLLM, *SOON, "--base-url", mock.base_url, cwd=tmp_path)
    finally:
        mock.stop()

    assert clock.monotonic_ns() / 1e9 - began < 120
    assert done.returncode == 4, done.stderr + done.stdout
    assert "your quota, not the model" in done.stdout
    assert "60 requests/min" in done.stdout


def _runs(cwd: Path) -> list[dict[str, Any]]:
    """Of the newest campaign, as its file has them; none where there is no file yet."""
    file = latest(cwd) / FILE
    found: list[dict[str, Any]] = orjson.loads(file.read_bytes())["runs"] if file.is_file() else []
    return found
