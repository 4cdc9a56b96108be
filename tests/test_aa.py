"""How often the gate cries wolf on runs of the same thing."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import manyruns
import numpy as np
import pytest
from click.testing import CliRunner
from manyruns import ERRORS, LATENCY, TTFT, noisy, run, series

from analysis import stats
from analysis.compare import judge
from analysis.compare.rules import PRIMARY, Rules
from analysis.places import Place
from analysis.replicates import aa, sameness, spread
from analysis.rundir import RunError
from loadtests.cli import group

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from analysis.compare.comparison import Comparison
    from analysis.digest import Digest

ASKED = aa.Asked(PRIMARY)


def gate(a: Sequence[Digest], b: Sequence[Digest]) -> Comparison:
    return judge.compare(a, b, Rules(across=frozenset({"seed"}), only_primary=True))


# Which runs stand against which.


def test_there_are_as_many_splits_as_choices_of_two_sides() -> None:
    """C(4, 2) C(2, 2) = 6; C(20, 10) = 184,756; C(7, 3) C(4, 3) = 35 x 4."""
    assert [aa.possible(4, 2), aa.possible(20, 10), aa.possible(7, 3)] == [6, 184_756, 140]


@pytest.mark.parametrize(("runs", "size", "wanted", "found"), [(4, 2, 100, 6), (20, 10, 50, 50), (7, 3, 1000, 140)])
def test_splits_are_distinct_and_no_run_is_on_both_sides(runs: int, size: int, wanted: int, found: int) -> None:
    splits = list(aa.splits(runs, size, wanted, seed=1))

    assert len(splits) == len(set(splits)) == found
    assert all(len(set(a) | set(b)) == 2 * size and max(a + b) < runs for a, b in splits)
    assert splits == list(aa.splits(runs, size, wanted, seed=1))
    assert splits[:4] != list(aa.splits(runs, size, wanted, seed=2))[:4]


# The rate.


def test_a_gate_on_runs_that_differ_by_chance_alone_is_calibrated() -> None:
    """One-sided false positives of a test at 5 % / 6: about 0.4 % of the splits; 4 of 100 would still pass."""
    runs = [run(at, {TTFT: x, LATENCY: y}) for at, (x, y) in enumerate(zip(noisy(12), noisy(12, seed=2), strict=True))]
    found = aa.calibrate(runs, ASKED, gate)

    # C(12, 6) = 924
    assert (found.size, found.splits, found.possible) == (6, 100, 924)
    assert (found.verdict, found.missing) == ("calibrated", ())
    assert found.rate == found.regressions / 100
    assert [line.place for line in found.lines] == [TTFT, LATENCY]
    assert sum(line.regressions for line in found.lines) >= found.regressions


def test_of_two_kinds_of_runs_one_split_in_all_is_a_regression() -> None:
    """Of C(10, 5) = 252 splits one has all slow runs in B; 25 have four of five there, which is not certain enough."""
    runs = series(np.array([1.0] * 5 + [1.3] * 5) * np.array(noisy(10, 1.0, 0.001)))
    found = aa.calibrate(runs, aa.Asked(PRIMARY, splits=252), gate)

    assert (found.regressions, found.lines[0].regressions) == (1, 1)


@pytest.mark.parametrize(("hits", "verdict"), [(4, "calibrated"), (5, "not_calibrated")])
def test_calibrated_is_an_upper_end_below_twice_alpha(hits: int, verdict: str) -> None:
    """Wilson's upper end of 4 in 100 is 9.84 %, of 5 in 100 it is 11.18 %."""
    blank = aa.calibrate(series(noisy(10)), ASKED, gate)
    lo, hi = stats.wilson(hits, 100)

    assert aa._with_verdict(replace(blank, regressions=hits, lo=lo, hi=hi)).verdict == verdict


def test_few_runs_say_what_is_missing() -> None:
    """Of 4 runs there are 6 splits of 2 + 2, which never fail a gate."""
    found = aa.calibrate(series(noisy(4)), ASKED, gate)

    assert (found.verdict, found.splits, found.regressions) == ("not_known", 6, 0)
    assert "2 runs a side: with fewer than 5 the gate never says regression" in found.missing[0]
    assert "6 splits, 100 are the least: 4 runs have 6" in found.missing[1]


def test_rounds_of_two_arms_are_split_as_single_runs() -> None:
    """Paired, a split would leave out every run whose partner is on its own side."""
    runs = [run(at, {TTFT: x}, round=at // 2, arm="ab"[at % 2]) for at, x in enumerate(noisy(20))]
    runs = [replace(one, session="campaign") for one in runs]
    seen: list[Comparison] = []

    def kept(a: Sequence[Digest], b: Sequence[Digest]) -> Comparison:
        seen.append(gate(a, b))
        return seen[-1]

    aa.calibrate(runs, aa.Asked(PRIMARY, splits=3), kept)
    assert [(one.design, one.primary[0].runs_a, one.primary[0].runs_b) for one in seen] == [("runs", 10, 10)] * 3


def test_a_number_that_the_gate_does_not_look_at_calibrates_nothing() -> None:
    p90 = TTFT._replace(what="p90")
    runs = [run(at, {p90: x}) for at, x in enumerate(noisy(10))]
    found = aa.calibrate(
        runs, aa.Asked(("ttft_p90",)),
        lambda a, b: judge.compare(a, b, Rules(primary=("ttft_p90",), across=frozenset({"seed"}), only_primary=True)),
    )  # fmt: skip

    assert (found.verdict, found.splits, found.unjudged) == ("not_known", 0, 100)


def test_runs_that_are_not_valid_are_left_out() -> None:
    runs = series(noisy(12))
    runs[3] = replace(runs[3], verdict="invalid")
    found = aa.calibrate(runs, aa.Asked(PRIMARY, splits=1), gate)

    assert (found.runs, found.size, found.invalid) == (11, 5, ("run-3",))


@pytest.mark.parametrize(
    ("count", "size", "told"),
    [
        (1, None, "1 run of one and the same thing, 4 are the least: `firsttoken run --repeats 20 ...` makes them"),
        (3, None, "3 runs of one and the same thing, 4 are the least"),
        (9, 5, "--sizes 5 takes 10 runs, there are 9: --sizes 4 at most with these, or 1 more"),
    ],
)
def test_too_few_runs_are_a_mistake_that_names_the_fix(count: int, size: int | None, told: str) -> None:
    with pytest.raises(RunError, match=told.replace("...", r"\.\.\.")):
        aa.calibrate(series(noisy(count)), aa.Asked(PRIMARY, size=size), gate)


# Number by number.


def test_the_spread_of_runs_is_that_of_their_logs() -> None:
    """100, 110 and 121 ms are ln 1.1 = 0.0953 apart: that is their sd, and 110 their geometric mean."""
    found = spread.spread(series([0.100, 0.110, 0.121]), TTFT)

    assert found is not None
    assert (found.mean, found.sd) == pytest.approx((0.110, np.log(1.1)))
    # (n - 1) s^2 / chi^2 with 2 degrees of freedom: quantiles -2 ln 0.025 = 7.378 and -2 ln 0.975 = 0.0506.
    ends = [np.log(1.1) * np.sqrt(2 / x) for x in (7.378, 0.0506)]
    assert [found.lo, found.hi] == pytest.approx(ends, rel=1e-3)


def test_shares_differ_by_points() -> None:
    found = spread.spread(series([0.01, 0.03], ERRORS), ERRORS)

    assert found is not None
    assert found.scale == "difference"
    assert (found.mean, found.sd) == pytest.approx((0.02, 0.01 * np.sqrt(2)))


def test_a_number_that_grows_from_run_to_run_drifts() -> None:
    """1 % a run over 10 runs is 1.01^9 - 1 = 9.37 % from the first to the last; noise of 0.1 % leaves no doubt."""
    growing = np.array(noisy(10, 0.2, 0.001)) * 1.01 ** np.arange(10)
    runs = [run(at, {TTFT: x, LATENCY: y}) for at, (x, y) in enumerate(zip(growing, noisy(10, seed=3), strict=True))]
    drift, steady = (line.drift for line in aa.calibrate(runs[::-1], aa.Asked(PRIMARY, splits=1), gate).lines)

    assert drift is not None
    assert steady is not None
    assert drift.change == pytest.approx(1.01**9 - 1, abs=0.003)
    assert (drift.certain, steady.certain) == (True, False)


def test_what_so_many_runs_find_is_that_of_holms_first_step() -> None:
    found = aa.calibrate(series(noisy(20)), aa.Asked(PRIMARY, splits=1), gate).lines[0]

    assert found.detectable is not None
    least = np.log1p(found.detectable)
    assert stats.power(10, 10, found.sd, least, 0.05 / 6) == pytest.approx(0.8, abs=1e-3)


def test_a_name_means_what_a_gate_takes_it_for() -> None:
    whole, tokens = LATENCY._replace(group="whole"), Place("tpot_s", None, "stream", "tokenizer", "p50")
    runs = [run(0, {whole: 1.0, tokens: 0.02}), run(1, {LATENCY: 1.0})]

    assert spread.pick(runs, ["latency_p95", "tpot_p50", "goodput"]) == (LATENCY, tokens)
    assert spread.pick(runs, ["latency_p95 (whole)"], asked=True) == (whole,)
    with pytest.raises(RunError, match=r'--metric "latency_p59" isn\'t one of .*; did you mean "latency_p95"'):
        spread.pick(runs, ["latency_p59"], asked=True)


# Runs of one and the same thing.


@pytest.mark.parametrize(
    "settings",
    [{"seed": 9}, {"labels.commit": "b"}, {"host.node": "b"}, {"versions.python": "3.12"}, {"profile.prices.input": 1},
     {"plan.hold": False}, {"hashes.schedule": "x"}],
)  # fmt: skip
def test_some_settings_make_no_other_thing(settings: dict[str, object]) -> None:
    sameness.check([run(0, {}), run(1, {}, settings=settings)])


@pytest.mark.parametrize(
    ("settings", "across"),
    [({"plan.rate": 9.0}, "load"), ({"host.cpu": "y"}, "host"), ({"model": "b"}, ""), ({"profile.path": "b"}, ""),
     ({"plan.params.temperature": 0}, "")],
)  # fmt: skip
def test_others_do_and_are_named(settings: dict[str, object], across: str) -> None:
    runs = [run(0, {}), run(1, {}, settings=settings)]
    with pytest.raises(RunError, match=f"run-0 and run-1 are not runs of the same thing: .*{next(iter(settings))}: "):
        sameness.check(runs)
    if across:
        sameness.check(runs, {across})


def test_a_server_on_this_machine_listens_on_another_port_each_time() -> None:
    there = ["http://127.0.0.1:8000/v1", "http://127.0.0.1:9000/v1", "http://10.0.0.1:9000/v1"]
    runs = [run(at, {}, settings={"profile.base_url": url}) for at, url in enumerate(there)]

    assert sameness.thing(runs[0]) == sameness.thing(runs[1]) != sameness.thing(runs[2])


# The verb.


def test_the_verb_on_what_a_repository_keeps(tmp_path: Path) -> None:
    runs = [run(at, {TTFT: x, ERRORS: 0.0}) for at, x in enumerate(noisy(10))]
    folder = str(manyruns.keep(tmp_path / "runs", runs))
    done = CliRunner().invoke(group, ["aa", folder], standalone_mode=False)
    told = CliRunner().invoke(group, ["aa", folder, "--splits", "5", "--sizes", "4", "--json"], standalone_mode=False)

    assert done.return_value == 0
    assert done.output.startswith("CALIBRATED  10 runs, 100 splits of 5 + 5 (252 possible): 0 false regressions")
    assert "ttft_p50" in done.output
    assert "error_rate" in done.output
    found = json.loads(told.output)
    assert told.return_value == 4
    assert (found["splits"], found["size"], found["verdict"]) == (5, 4, "not_known")
    assert [line["name"] for line in found["lines"]] == ["ttft_p50", "error_rate"]


@pytest.mark.slow
def test_the_verb_on_run_directories_refuses_unlike_ones_in_a_line(tmp_path: Path) -> None:
    manyruns.write(tmp_path, [0.2] * 4)
    file = tmp_path / "run-02" / "run.json"
    file.write_text(file.read_text().replace('"rate": 8.0', '"rate": 9.0'))
    done = CliRunner().invoke(group, ["aa", str(tmp_path)], standalone_mode=False)

    assert isinstance(done.exception, RunError)
    assert "plan.rate: 8.0 → 9.0" in str(done.exception)
    assert (
        CliRunner().invoke(group, ["aa", str(tmp_path), "--across", "host, load"], standalone_mode=False).return_value
        == 4
    )


# Arms.


def two_servers(count: int = 6) -> list[Digest]:
    """Rounds of two arms of which one is 30 % slower; runs of each differ by 2 %."""
    return [run(at, {TTFT: x * (1, 1.3)[at % 2]}, arm=("main", "pr")[at % 2]) for at, x in enumerate(noisy(2 * count))]


def test_of_several_arms_runs_differ_by_what_they_do_within_each() -> None:
    """Logs of -a, a around 0 and ln 1.3: squares 4 a^2 over 4 - 2 degrees of freedom, chi^2_p(2) = -2 ln(1 - p)."""
    a = 0.01
    logs = [(-a, "x"), (np.log(1.3) - a, "y"), (a, "x"), (np.log(1.3) + a, "y")]
    found = spread.spread([run(at, {TTFT: np.exp(x)}, arm=arm) for at, (x, arm) in enumerate(logs)], TTFT)

    assert found is not None
    assert (found.runs, found.arms) == (4, 2)
    assert found.sd == pytest.approx(a * np.sqrt(2))
    assert [found.lo, found.hi] == pytest.approx([2 * a / np.sqrt(-2 * np.log(p)) for p in (0.025, 0.975)])
    assert spread.spread([run(0, {TTFT: 1.0}, arm="x"), run(1, {TTFT: 2.0}, arm="y")], TTFT) is None


def test_runs_of_several_arms_are_refused_and_one_can_be_picked(tmp_path: Path) -> None:
    folder = str(manyruns.keep(tmp_path / "runs", two_servers()))
    done = CliRunner().invoke(group, ["aa", folder], standalone_mode=False)
    wrong = CliRunner().invoke(group, ["aa", folder, "--arm", "rp"], standalone_mode=False)
    one = json.loads(CliRunner().invoke(group, ["aa", folder, "--arm", "pr", "--json"], standalone_mode=False).output)

    assert isinstance(done.exception, RunError)
    assert str(done.exception).startswith("the runs have the arms main, pr, and")
    assert str(done.exception).endswith("; name one with --arm")
    assert str(wrong.exception) == '--arm "rp": isn\'t one of [main, pr]'
    assert one["runs"] == 6
    assert one["lines"][0]["sd"] < 0.04
