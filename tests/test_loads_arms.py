"""Several sides through the whole command: arms by turns against a drifting hour, and campaigns."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from commands import about, ask, code_of, exact, firsttoken, latest, rows, start, told

from loadtests import clock
from loadtests.parts import read_part

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from loadtests.mock.process import MockProcess

DRIFT = 0.3
"""By which share both servers grow slower in a minute."""


def arms(*sides: MockProcess) -> list[str]:
    """Options for the sides a, b, ..."""
    return [
        word
        for name, side in zip("abc", sides, strict=False)
        for word in ("--arm", f"name={name},profile=vllm,model=mock,base_url={side.base_url}")
    ]


def ratio(done: subprocess.CompletedProcess[str], metric: str) -> dict[str, Any]:
    """The line of a metric's median in a comparison's JSON."""
    assert done.returncode in {0, 3}, done.stderr
    (found,) = [
        line for line in told(done)["lines"] if line["place"]["by"] is None and line["name"].split()[0] == metric
    ]
    return dict(found)


@pytest.mark.slow
def test_interleaved_arms_find_a_difference_that_two_runs_do_not(tmp_path: Path) -> None:
    """
    B takes 1.05 times as long as A in everything, and both take 30 % longer with each minute.

    By turns, AB BA, both meet the same drift: the ratio is 1.05. Of two runs of 10 s the second comes at least 10 s
    later, when B takes 0.3 * 10 / 60 = 5 % longer than it would have, on what is at most 1.6 times the beginning's:
    the ratio is at least 1.05 * (1 + 0.05 / 1.6) = 1.08, far beyond 1 % from 1.05.

    Other work that takes the cores for a second moves a block's median: it has to hold in one of three tries.
    """
    for number in range(3):
        (folder := tmp_path / str(number)).mkdir()
        interleaved, sequential = one_after_another(folder)
        assert (told(interleaved)["design"], told(sequential)["design"]) == ("blocks", "one run")
        by_turns = [ratio(interleaved, metric) for metric in ("ttft_p50", "latency_p50")]
        after = [ratio(sequential, metric)["effect"] for metric in ("ttft_p50", "latency_p50")]
        assert all((line["runs_a"], line["runs_b"]) == (8, 8) for line in by_turns)
        if (
            all(line["effect"] == pytest.approx(1.05, abs=0.01) for line in by_turns)
            and all(line["lo"] < 1.05 < line["hi"] for line in by_turns)
            and all(1.08 < effect < 1.5 for effect in after)
        ):
            return
    raise AssertionError((by_turns, after))


def one_after_another(folder: Path) -> tuple[subprocess.CompletedProcess[str], subprocess.CompletedProcess[str]]:
    """The comparisons of such a run by turns and of two such runs."""
    drift = ("--drift", str(DRIFT), "--drift-from", str(clock.realtime_ns() // 1_000_000_000))
    load = ("--stream", "--rate", "10", "--arrivals", "constant", "--output-tokens", "20", "--no-report")
    with exact(0.1, *drift, gap_s=0.005, tokens=20) as a, exact(0.105, *drift, gap_s=0.00525, tokens=20) as b:
        done = firsttoken("run", *load, "--duration", "24s", "--blocks", "8", *arms(a, b), cwd=folder)
        assert done.returncode in {0, 3}, done.stderr
        by_turns = latest(folder)
        runs = []
        for side in (a, b):
            ask(side.base_url, *load, "--duration", "10s", cwd=folder)
            runs.append(str(latest(folder)))
    interleaved = firsttoken("compare", "--json", str(by_turns), cwd=folder)
    return interleaved, firsttoken("compare", "--json", "--across", "seed", *runs, cwd=folder)


def campaign(cwd: Path) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads((latest(cwd) / "campaign.json").read_bytes())
    return found


@pytest.mark.slow
def test_a_campaign_is_rounds_of_all_arms_and_compares_them_in_pairs(tmp_path: Path) -> None:
    """
    Three rounds of two arms are six runs; the second arm takes 60 ms, the first 40: 1.5 times as long.

    Each sends for a second, which may be that of other work: the ratio has to hold in one of three campaigns.
    """
    words = ("--rate", "20", "--requests", "20", "--repeats", "3", "--rest", "0.1s", "--no-stream", "--no-report")
    with exact(0.04) as a, exact(0.06) as b:
        for _ in range(3):
            done = firsttoken("run", *words, "--output-tokens", "1", *arms(a, b), cwd=tmp_path)
            line = ratio(firsttoken("compare", "--json", "results/latest", cwd=tmp_path), "latency_p50")
            if line["effect"] == pytest.approx(1.5, rel=0.05):
                break
    folder, found = latest(tmp_path), campaign(tmp_path)
    played = found["runs"]

    assert done.returncode in {0, 3}, done.stderr
    assert [run["folder"] for run in played] == ["01", "02", "03", "04", "05", "06"]
    assert [run["round"] for run in played] == [0, 0, 1, 1, 2, 2]
    assert {(run["arm"], run["round"]) for run in played} == {(arm, turn) for arm in "ab" for turn in range(3)}
    assert {run["state"] for run in played} == {"done"}
    assert (found["arms"], found["repeats"], found["rest_s"]) == (["a", "b"], 3, 0.1)
    for run in played:
        manifest = about(tmp_path, folder / run["folder"])
        assert (manifest["campaign_id"], manifest["round"]) == (folder.name, run["round"])
        assert [arm["name"] for arm in manifest["arms"]] == [run["arm"]]
        assert set(rows(tmp_path, folder / run["folder"])["outcome"]) == {"ok"}
    hashes = {turn: set[Any]() for turn in range(3)}
    for run in played:
        hashes[run["round"]].add(tuple(rows(tmp_path, folder / run["folder"])["prompt_hash"]))
    assert all(len(one) == 1 for one in hashes.values())  # the same for all arms of a round
    assert len(set.union(*hashes.values())) == 3  # and another for each round
    assert "Paired over 3 rounds" in " ".join(done.stdout.split())

    assert line["runs_a"] == 3
    assert line["effect"] == pytest.approx(1.5, rel=0.05)


@pytest.mark.slow
def test_what_a_stopped_campaign_had_done_is_kept(tmp_path: Path) -> None:
    """Ctrl-C in the second of four runs: 130; the first is whole, the second stopped, the others never were."""
    words = ("--rate", "20", "--duration", "6s", "--repeats", "2", "--rest", "0s", "--no-stream", "--no-report")
    with exact(0.04) as a, exact(0.06) as b:
        running = start("run", *words, "--output-tokens", "1", *arms(a, b), cwd=tmp_path)
        try:
            for _ in range(1800):
                parts = list(tmp_path.glob("results/2*/02/parts/requests-0.arrows"))
                if [part for part in parts if read_part(part).num_rows > 15] or running.poll() is not None:
                    break
                time.sleep(0.05)
            running.send_signal(signal.SIGINT)
            _, stderr = running.communicate(timeout=120)
        finally:
            running.kill()
            running.wait()

    assert running.returncode == 130, stderr
    assert [run["state"] for run in campaign(tmp_path)["runs"]] == ["done", "stopped", "planned", "planned"]
    folder = latest(tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["01", "02", "campaign.json"]
    assert about(tmp_path, folder / "01")["stop"] is None
    assert about(tmp_path, folder / "02")["stop"]["reason"] == "interrupt"
    whole, part = rows(tmp_path, folder / "01"), rows(tmp_path, folder / "02")
    assert set(whole["outcome"]) == {"ok"}
    assert (part["outcome"] == "ok").sum() > 10
    again = firsttoken("summary", "results/latest", cwd=tmp_path)
    assert again.returncode == code_of(folder / "01", folder / "02"), again.stderr
