"""`firsttoken sweep`: which runs are planned, how it goes on, and what it ends in."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

import orjson
import pytest
import synthetic
from commands import firsttoken, in_turn, latest, start, told
from points import point
from test_campaign_runs import setup_of

from analysis.campaign import runs_of
from analysis.summary import judge
from loadtests import clock
from loadtests.campaign import FILE, Campaign
from loadtests.cli import foretold
from loadtests.cli.found import swept_code
from loadtests.cli.stepping import Playing, rested, slowest_s
from loadtests.cli.sweeping import Pace, line_of
from loadtests.watch import Interrupts

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.campaign import Step

VLLM = ("--profile", "vllm", "--model", "m")
LOADS: list[Step | None] = [{"mode": "rate", "load": load} for load in (2.0, 4.0)]


def runs(folder: Path) -> list[tuple[str, str, float]]:
    """Of each run in its campaign's file: folder, state and load."""
    said = orjson.loads((folder / FILE).read_bytes())["runs"]
    return [(run["folder"], run["state"], run["step"]["load"]) for run in said]


def planned(code: Any) -> list[tuple[int, str, float]]:
    """Of each run of a rehearsal: round, arm and load."""
    return [(run["round"], run["arm"], run["step"]["load"]) for run in told(code)["runs"]]


# What is planned.


@pytest.mark.slow
def test_what_a_sweep_would_play_is_told_and_nothing_is_sent(tmp_path: Path) -> None:
    """
    The embedded provider: 2, 4, 8 and 16/s, 10 s each, three rounds: 900 requests expected, give or take 4 times 30.

    Twelve runs of 10 s, 5 s rest each, and what a run takes beside its schedule.
    """
    arms = ("--arm", "name=a", "--arm", "name=b", "--repeats", "2", "--seed", "3")
    demo, users, again, text = in_turn([
        ("sweep", "--dry-run", "--json"),
        ("sweep", "--dry-run", "--json", "--concurrencies", "1..4:3", "--duration", "7s", "--workers", "2", *arms),
        ("sweep", "--dry-run", "--json", "--concurrencies", "4,2,1", "--duration", "7s", "--workers", "2", *arms),
        ("sweep", "--dry-run", "--around", "10", *VLLM, "--duration", "2m"),
    ], tmp_path)  # fmt: skip
    said = told(demo)

    assert sorted(planned(demo)) == [(r, "default", load) for r in range(3) for load in (2.0, 4.0, 8.0, 16.0)]
    assert abs(said["worst_case"]["requests"] - 900) < 120
    assert said["seconds"] == 12 * (10 + 5 + foretold.OVERHEAD_S)
    assert sorted(planned(users)) == [(r, arm, load) for r in range(2) for arm in "ab" for load in (1.0, 2.0, 4.0)]
    assert planned(users) == planned(again) != sorted(planned(users))
    assert "2/s, 4/s, 6/s, 7/s, 8/s, 9/s, 10/s, 11/s; 3 rounds, 24 runs of 120 s" in text.stdout
    assert "time     about 51 min" in text.stdout  # 24 (120 + 5 + 3) = 3,072 s
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def mistakes(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, ...], str]:
    folder = tmp_path_factory.mktemp("mistakes")
    kept = Campaign.begin(setup_of(folder, "a"), 1, 0.0, kind="sweep", steps=LOADS)
    kept.close()
    other = Campaign.begin(setup_of(folder, "a"), 1, 0.0)
    other.close()
    words = [
        tuple(str({"SWEEP": kept.path, "REPEATS": other.path}.get(word, word)) for word in line) for line in MISTAKES
    ]
    done = in_turn([("sweep", *line) for line in words], folder, env={"OPENAI_API_KEY": "not-a-key-at-all"})
    assert [(one.returncode, one.stderr.count("\n")) for one in done if one.returncode != 2] == []
    return {line: one.stderr for line, one in zip(MISTAKES, done, strict=True)}


MISTAKES = {
    VLLM: "no loads; name them with --rates 1,2,4,8, --concurrencies 1,2,4,8 or --around R",
    ("--rates", "1,2", "--around", "3"): "--rates and --around exclude each other; give one",
    ("--rates", "4..2:3"): "'4..2:3' in '4..2:3' doesn't rise",
    ("--concurrencies", "1.5"): "'1.5' isn't a whole number of users",
    ("--rates", "1,2", "--think", "2s"): "--think is about the users of a closed loop",
    ("--concurrencies", "2,4", "--duration", "5s", "--ramp", "9s"): "a ramp of 9.0 s isn't between 0 and",
    ("--rates", "0.01,5", "--duration", "2s", "--warmup", "3s"): "--warmup 3s leaves nothing",
    ("--profile", "openai", "--model", "x", "--rates", "1"): "is remote, and this asks for 3 runs: at most 30 requests",
    ("--resume", "nowhere"): "nowhere: no campaign to go on with",
    ("--resume", "REPEATS"): "a campaign of `run`",
    ("--resume", "SWEEP", "--model", "x"): "--model cannot change in an existing campaign; leave it out",
    ("--resume", "SWEEP", "--concurrencies", "3"): "sweeps rates; leave the others to another sweep",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_one_line(mistakes: dict[tuple[str, ...], str], line: tuple[str, ...]) -> None:
    assert MISTAKES[line] in mistakes[line]


def test_rounds_and_loads_are_added_to_one_that_is_there(tmp_path: Path) -> None:
    campaign = Campaign.begin(setup_of(tmp_path, "a"), 2, 0.0, kind="sweep", steps=LOADS)
    for entry in list(campaign.planned()):
        entry.state = "done"
    campaign.keep()
    campaign.close()
    before, go_on = runs(campaign.path), ("sweep", "--resume", str(campaign.path), "--dry-run", "--json")
    nothing, rounds, loads = in_turn([go_on, (*go_on, "--repeats", "3"), (*go_on, "--rates", "3,4")], tmp_path)

    assert planned(nothing) == []
    assert sorted(planned(rounds)) == [(2, "a", 2.0), (2, "a", 4.0)]
    assert sorted(planned(loads)) == [(0, "a", 3.0), (1, "a", 3.0)]
    assert runs(campaign.path) == before


# How it goes, and ends.


def test_the_line_of_a_run_tells_how_far_it_is(tmp_path: Path) -> None:
    """Runs of 3 s: four with 3 s beside their schedule each, and 2 s of rest, are 32 s; two as it found them less."""
    campaign = Campaign.begin(setup_of(tmp_path, "a"), 2, 2.0, kind="sweep", steps=LOADS)
    pace, (first, second, third, *_) = Pace(campaign), campaign.entries

    assert pace.line(first).startswith("run 1 of 4: ")
    assert pace.line(first).endswith(f"{first.step and first.step['load']:g}/s, round 1; about 32 s left")
    campaign.done(first)
    second.state = "stopped"
    pace.over(first)
    assert pace.line(third).startswith("run 2 of 3: ")
    assert pace.line(third).endswith("round 2; about 10 s left")


def test_a_run_is_a_line() -> None:
    cut = point(2.5, state="unstable", why="in flight grows", requests=1234, ttft_s=(2.5, None, None))

    assert line_of(cut) == "  unstable: in flight grows; 1,234 requests in 60 s, achieved 2.5/s, TTFT p50 2,500 ms"
    bare = point(2.5, achieved_per_s=None, ttft_s=(None, None, None), length_s=0.0, requests=0)
    assert line_of(bare) == "  steady; 0 requests in 0 s"


def test_a_rest_ends_with_the_campaign() -> None:
    with Interrupts() as interrupts:
        began_ns = clock.monotonic_ns()
        assert rested(0.0, interrupts)
        assert rested(0.05, interrupts)
        os.kill(os.getpid(), signal.SIGINT)
        assert not rested(30.0, interrupts)
    assert clock.monotonic_ns() - began_ns < 5e9


@pytest.mark.parametrize(
    ("states", "code"),
    [
        (["steady valid", "unstable invalid"], 0),
        (["unstable invalid"], 0),
        (["steady doubtful", "quota valid"], 0),
        (["quota valid", "failed valid"], 3),
        (["steady invalid"], 3),
        (["steady valid", "client invalid"], 3),
        ([], 3),
    ],
)
def test_an_unstable_load_is_a_finding_and_a_client_that_was_the_limit_is_none(states: list[str], code: int) -> None:
    told = [one.split() for one in states]
    assert swept_code([point(1.0, state=state, verdict=verdict) for state, verdict in told]) == code


def test_what_keeps_a_run_from_being_played_ends_the_campaign(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    campaign = Campaign.begin(setup_of(tmp_path, "a", budget_requests=20), 1, 0.0, kind="sweep", steps=LOADS)
    first, second = campaign.entries
    synthetic.write(campaign.path / first.folder, synthetic.Recipe(n=20, tokens=5))
    campaign.done(first)
    with Interrupts() as interrupts:
        playing = Playing(campaign, interrupts)
        assert playing.play(second) == 3
        assert "--budget-requests 20 is spent by the runs so far" in capsys.readouterr().err
        os.kill(os.getpid(), signal.SIGTERM)
        assert playing.play(second) == 130
    assert (second.state, playing.codes) == ("planned", [0, 3, 130])


def test_answers_of_the_run_before_are_waited_out(tmp_path: Path) -> None:
    """An answer takes from 0.2 s on; nothing is known of none."""
    run = runs_of(synthetic.write(tmp_path / "r", synthetic.Recipe(n=100, tokens=5)))[0]

    assert 0.2 < slowest_s([judge(run)]) < 60
    assert slowest_s([]) == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_sweep_that_was_interrupted_goes_on_and_repeats_nothing(tmp_path: Path, number: int) -> None:
    """In its second run: the first is kept as it is, the second is played again beside what is there of it."""
    words = ("--rates", "5,10", "--repeats", "1", "--duration", "3s", "--rest", "0s", "--no-report")
    process = start("sweep", *words, cwd=tmp_path)
    while not has_begun(tmp_path / "results/latest/02"):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    process.communicate()
    folder = latest(tmp_path)
    kept = (folder / "01" / "requests.parquet").stat().st_mtime_ns
    before = runs(folder)
    done = firsttoken("sweep", "--resume", "results/latest", "--no-report", "--json", cwd=tmp_path)

    assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    assert done.returncode in (0, 3), done.stderr  # 3: this machine was too busy
    after, levels = runs(folder), told(done)["curves"]["default"]["levels"]
    assert [(name, state) for name, state, _ in after] == [("01", "done"), ("02", "stopped"), ("02-2", "done")]
    assert [load for _, state, load in after if state == "done"] == [load for *_, load in before[:2]]
    assert (folder / "01" / "requests.parquet").stat().st_mtime_ns == kept
    assert "run 1 of" not in done.stderr
    assert [level["load"] for level in levels] == [5.0, 10.0]


def has_begun(run: Path) -> bool:
    """Its first request is about to go out, or has gone."""
    said = run / "run.json"
    return said.exists() and orjson.loads(said.read_bytes())["started_unix_ns"] is not None
