"""How many runs, of how many requests, would find an effect."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import click
import manyruns
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from manyruns import ARRIVALS, ERRORS, LATENCY, TTFT, TTFT95, run

from analysis import stats
from analysis.digest import Number
from analysis.replicates import noise, planning, sameness
from analysis.replicates.noise import Noise
from analysis.rundir import RunError
from loadtests.cli import group

if TYPE_CHECKING:
    from pathlib import Path

ALONE = planning.Design({"": 0.05}, family=1)
"""5 % with power 0.9 at a level of 5 %."""


def runs_of(design: planning.Design, one: Noise) -> int | None:
    return planning.plan(design, [one], one.requests).needs[0].runs


# Known answers.


@pytest.mark.parametrize(
    ("name", "requests", "expected"),
    [
        ("ttft_p50", 500, (9, 12, 16)), ("ttft_p50", 2000, (5, 7, 11)), ("ttft_p50", 10_000, (5, 5, 10)),
        ("ttft_p95", 500, (22, 25, 29)), ("ttft_p95", 2000, (7, 10, 14)), ("ttft_p99", 500, (64, 67, 71)),
        ("ttft_p99", 2000, (18, 20, 25)),
    ],
)  # fmt: skip
def test_runs_needed_are_those_of_the_closed_form(name: str, requests: int, expected: tuple[int, ...]) -> None:
    """
    ceil(2 ((z_.975 + z_.9) sd / ln 1.05)^2 + z_.975^2 / 4), sd^2 = sd_run^2 + (k_p 0.5)^2 / n, k = 1.25, 2.11, 3.73.

    With sd_run of 1, 2 and 3 %; exact power may need one run more or less, and a gate takes 5 at least.
    """
    for sd_run, wanted in zip((0.01, 0.02, 0.03), expected, strict=True):
        found = runs_of(ALONE, noise.assumed([name], sd_run, 0.5, requests)[0])
        assert found == pytest.approx(wanted, abs=1)
        assert found is not None
        assert found >= 5


def test_the_number_of_runs_is_the_least_that_has_the_power() -> None:
    one = noise.assumed(["ttft_p50"], 0.03, 0.5, 1000)[0]
    need = planning.plan(ALONE, [one], 1000).needs[0]

    assert need.runs is not None
    assert need.power == pytest.approx(stats.power(need.runs, need.runs, need.sd, math.log(1.05), 0.05))
    assert need.power is not None
    assert need.power >= 0.9 > stats.power(need.runs - 1, need.runs - 1, need.sd, math.log(1.05), 0.05)


def test_a_family_of_six_is_tested_at_a_sixth_of_alpha() -> None:
    one = noise.assumed(["ttft_p50"], 0.03, 0.5, 1000)[0]
    design = planning.Design({"": 0.05})
    needed = runs_of(design, one)

    assert design.level == pytest.approx(0.05 / 6)
    assert needed == stats.runs_needed(math.log(1.05), one.sd(), 0.05 / 6)
    assert needed is not None
    assert needed > (runs_of(ALONE, one) or 0)


def test_pairs_that_are_alike_need_fewer_runs() -> None:
    """A correlation of 0.5 halves the variance of a difference: with sd 10 %, about half of the runs."""
    one = Noise("ttft_p50", "ratio", 0.1, 0.0, 1000)
    single, paired = (runs_of(planning.Design({"": 0.05}, rho=rho), one) for rho in (None, 0.5))

    assert single is not None
    assert paired == pytest.approx(single / 2, rel=0.1)


def test_five_runs_a_side_are_the_least_that_can_fail_a_gate() -> None:
    assert runs_of(ALONE, Noise("ttft_p50", "ratio", 0.001, 0.0, 1000)) == 5


def test_more_than_2000_runs_are_no_plan() -> None:
    found = planning.plan(ALONE, [Noise("ttft_p50", "ratio", 5.0, 0.0, 1000)], 1000)

    assert (found.needs[0].runs, found.needs[0].power) == (None, None)
    assert found.cheapest is None


def test_a_shares_effect_is_in_points() -> None:
    """An error rate with an sd of 1 point: 1 point of effect is one sd, as 1 % is of logs with an sd of ln 1.01."""
    points = planning.plan(planning.Design({"": 0.01}), [Noise("error_rate", "difference", 0.01, 0.0, 1000)], 1000)
    logs = planning.plan(planning.Design({"": 0.01}), [Noise("x", "ratio", math.log(1.01), 0.0, 1000)], 1000)

    assert points.needs[0].runs == logs.needs[0].runs


def test_an_effect_of_its_own_goes_before_that_of_all() -> None:
    design = planning.Design({"": 0.05, "ttft_p95": 0.1})
    names = ("ttft_p50", "ttft_p95", "ttft_p95 (rag)")

    assert [design.effect(Noise(name, "ratio", 0.1, 0.0, 9)) for name in names] == [
        pytest.approx(math.log(x)) for x in (1.05, 1.1, 1.1)
    ]


# Runs against requests.


@settings(max_examples=20)
@given(
    sd=st.floats(0.001, 0.2), within=st.floats(0.001, 0.5), effect=st.floats(0.02, 0.5), requests=st.integers(50, 5000)
)
def test_longer_runs_never_need_more_of_them(sd: float, within: float, effect: float, requests: int) -> None:
    design = planning.Design({"": effect}, family=1)
    choices = planning.plan(design, [Noise("ttft_p50", "ratio", sd, within, requests)], requests).choices
    most = [math.inf if one.most is None else one.most for one in choices]

    assert most == sorted(most, reverse=True)
    assert all(one.total == 2 * one.most * one.requests for one in choices if one.most is not None)


def test_what_serves_all_is_the_most_of_them_and_time_grows_with_the_length() -> None:
    noises = noise.assumed(["ttft_p50", "ttft_p99"], 0.02, 0.5, 1000)
    found = planning.plan(ALONE, noises, 1000, run_s=60.0)
    usual, double = (next(one for one in found.choices if one.requests == n) for n in (1000, 2000))

    assert usual.most == max(need.runs or 0 for need in found.needs)
    assert usual.time_s == 2 * 60.0 * (usual.most or 0)
    assert double.time_s == 2 * 120.0 * (double.most or 0)
    assert found.cheapest is not None
    assert found.cheapest.total == min(one.total or math.inf for one in found.choices)


# What is learned.


def known(logs: list[float], half: float | None, n: int = 1000) -> list[Any]:
    """Runs whose TTFT p50 has these logs and, within each run, an interval of so much around it."""
    ends = [(None, None) if half is None else (math.exp(x - half), math.exp(x + half)) for x in logs]
    return [
        run(at, {TTFT: Number(math.exp(x), n, *end), ARRIVALS: Number(8.0, 1200)})
        for at, (x, end) in enumerate(zip(logs, ends, strict=True))
    ]


def test_what_runs_differ_by_is_parted_into_chance_within_them_and_the_rest() -> None:
    """
    Logs of -0.03, 0, 0.03 have an sd of 0.03; intervals of +-1.96 x 0.02 say that 0.02 of it is chance.

    sd^2 = 0.0009 = 0.0005 + 0.0004; of twice the requests 0.0005 + 0.0002 = 0.0007.
    """
    one = noise.learned(known([-0.03, 0.0, 0.03], 1.959964 * 0.02), ["ttft_p50"])[0]

    assert (one.name, one.runs, one.requests) == ("ttft_p50", 3, 1000)
    assert one.within == pytest.approx(0.02)
    assert one.between == pytest.approx(math.sqrt(0.0005))
    assert (one.sd(), one.sd(2000)) == pytest.approx((0.03, math.sqrt(0.0007)))


def test_the_upper_end_of_what_was_learned_counts_as_a_difference_between_runs() -> None:
    """80 % interval of an sd of 0.03 from 3 runs: 0.03 sqrt(2 / chi^2_.1(2)), which is -2 ln 0.9 = 0.2107."""
    one = noise.learned(known([-0.03, 0.0, 0.03], 1.959964 * 0.02), ["ttft_p50"])[0]
    upper = 0.03 * math.sqrt(2 / 0.210721)
    need = planning.plan(ALONE, [one], 1200).needs[0]

    assert one.sd_upper() == pytest.approx(upper, rel=1e-4)
    assert one.sd_upper(2000) == pytest.approx(math.sqrt(upper**2 - 0.0002), rel=1e-4)
    assert need.runs_upper == stats.runs_needed(math.log(1.05), one.sd_upper() or 0, 0.05)
    assert need.runs_upper is not None
    assert need.runs_upper > (need.runs or 0)


def test_chance_within_runs_is_no_more_than_they_differ_by() -> None:
    one = noise.learned(known([-0.001, 0.0, 0.001], 0.1), ["ttft_p50"])[0]
    assert (one.between, one.within) == pytest.approx((0.0, 0.001), abs=1e-9)


def test_open_intervals_say_nothing_about_other_lengths() -> None:
    found = noise.learned(known([-0.03, 0.0, 0.03], None), ["ttft_p50"])

    assert found[0].within is None
    assert [one.requests for one in planning.plan(ALONE, found, 1200).choices] == [1200]


def test_how_long_a_run_is_follows_from_its_arrivals() -> None:
    """1,200 arrivals at 8/s are 150 s."""
    assert noise.run_length(known([0.0, 0.1, 0.2], None)) == (1200, 150.0)
    assert noise.run_length([run(0, {TTFT: 1.0})]) is None


def test_a_number_without_any_spread_is_left_out_unless_asked_for() -> None:
    runs = [run(at, {TTFT: x, ERRORS: 0.0}) for at, x in enumerate((0.1, 0.2, 0.3))]

    assert [one.name for one in noise.learned(runs, ["ttft_p50", "error_rate"])] == ["ttft_p50"]
    with pytest.raises(RunError, match="error_rate: fewer than 3 of the 3 runs have it, or all have the same value"):
        noise.learned(runs, ["error_rate"], asked=True)
    with pytest.raises(RunError, match="none of the numbers varies"):
        noise.learned(runs, ["error_rate"])
    with pytest.raises(RunError, match=r"2 runs to learn from, 3 are the least: `firsttoken run --repeats 10"):
        noise.learned(runs[:2], ["ttft_p50"])


def test_only_percentiles_can_be_assumed() -> None:
    with pytest.raises(RunError, match="goodput: only of percentiles is the noise known without runs"):
        noise.assumed(["goodput"], 0.03, 0.5, 1000)


# The verb.

GIVEN = ("--sd", "3%", "--spread", "0.5", "--requests", "1000")
ARM = ("--arm", "pr")


def plan(*words: str) -> Any:
    return CliRunner().invoke(group, ["plan", *words], standalone_mode=False)


def test_the_verb_without_runs() -> None:
    done = plan("--effect", "5%", "--metric", "ttft_p50", *GIVEN)
    told = json.loads(plan("--effect", "5%", "--metric", "ttft_p50", *GIVEN, "--dependence", "2", "--json").output)

    assert done.return_value == 0, done.exception
    assert "level 0.833 % (5 % over 6), two independent sides" in done.output
    assert "Fewest requests: --repeats" in done.output
    # k_50 = sqrt(pi / 2): sd^2 = 0.03^2 + pi / 2 x 0.25 / 500, every second request being independent.
    assert told["needs"][0]["sd"] == pytest.approx(math.sqrt(0.0009 + math.pi / 2 * 0.25 / 500))
    assert told["design"]["effects"] == {"": 0.05}


def test_the_verb_learns_from_what_a_repository_keeps(tmp_path: Path) -> None:
    runs = [
        run(at, {TTFT: x, TTFT95: 3 * x, LATENCY: 2 * y, ERRORS: y / 100, ARRIVALS: Number(8.0, 1200)})
        for at, (x, y) in enumerate(zip(manyruns.noisy(8), manyruns.noisy(8, seed=2), strict=True))
    ]
    folder = str(manyruns.keep(tmp_path / "runs", runs))
    done = plan("--effect", "5%", "--effect", "error_rate=1%", folder)
    told = json.loads(plan("--effect", "ttft_p95=10%", folder, "--paired", "--json").output)

    assert done.return_value == 0, done.exception
    assert "learned from 8 runs" in done.output
    assert "error_rate" in done.output
    assert [(need["name"], need["effect"]) for need in told["needs"]] == [("ttft_p95", pytest.approx(0.1))]
    assert (told["design"]["rho"], told["choices"][0]["requests"], told["choices"][0]["time_s"]) == (
        0.5, 1200, 2 * 150.0 * told["choices"][0]["most"],
    )  # fmt: skip


def test_the_verb_learns_within_each_arm_and_says_so(tmp_path: Path) -> None:
    """Logs 0.02 about each arm's mean, 30 % apart: squares 12 x 0.0004 over 12 - 2 degrees of freedom."""
    logs = [(math.log(1.3) * (at % 2) + 0.02 * (-1) ** (at // 2), ("main", "pr")[at % 2]) for at in range(12)]
    runs = [run(at, {TTFT: math.exp(x)}, arm=arm) for at, (x, arm) in enumerate(logs)]
    folder = str(manyruns.keep(tmp_path / "runs", runs))
    done, paired, alone = (plan("--effect", "5%", folder, "--json", *more) for more in ((), ("--paired",), ARM))
    need = json.loads(done.stdout)["needs"][0]

    assert (need["learned_from"], need["sd"]) == (12, pytest.approx(math.sqrt(12 * 0.0004 / 10)))
    assert "note: the runs have the arms main, pr: how far runs differ is learned within each" in done.stderr
    assert json.loads(paired.stdout)["needs"][0]["sd"] == pytest.approx(need["sd"])
    assert json.loads(alone.stdout)["needs"][0]["sd"] == pytest.approx(math.sqrt(6 * 0.0004 / 5))
    assert alone.stderr == ""
    few = plan("--effect", "5%", str(manyruns.keep(tmp_path / "few", runs[:3])))
    assert "3 runs of 2 arms to learn from, 4 are the least" in str(few.exception)


@pytest.mark.parametrize(
    ("settings", "alike"), [({"model": "b", "profile.path": "b"}, True), ({"plan.rate": 9}, False)]
)
def test_arms_may_differ_in_what_is_served_alone(settings: dict[str, Any], *, alike: bool) -> None:
    runs = [run(0, {}, arm="x"), run(1, {}, arm="y", settings=settings)]
    if alike:
        sameness.check_arms(runs)
        return
    with pytest.raises(RunError, match=r"the arms x and y were not run alike: plan\.rate: 8\.0 → 9; name"):
        sameness.check_arms(runs)


def test_the_verb_learns_from_run_directories(tmp_path: Path) -> None:
    done = plan("--effect", "10%", "--metric", "ttft_p50", str(manyruns.write(tmp_path, [0.2, 0.21, 0.19])), "--json")
    need = json.loads(done.output)["needs"][0]

    assert need["learned_from"] == 3
    assert 0.01 < need["sd"] < 0.2
    assert need["runs"] < need["runs_upper"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--effect", "5%"), "how far runs differ is not known: name RUNs to learn from, or give --sd 3%"),
        (("--effect", "5"), "'5' isn't a share like 5% or 0.05, more than 0 and below 1000%"),
        (("--effect", "=5%"), "'=5%' names no number; one is like ttft_p95=10%"),
        (("--effect", "5%", "--effect", "ttft_p59=1%", *GIVEN), '--effect "ttft_p59" isn\'t one of'),
        (("--effect", "ttft_p95=5%", "--metric", "ttft_p50", *GIVEN), '--effect "ttft_p95" isn\'t one of [ttft_p50]'),
        (("--effect", "5%", "--correlation", "0.3", *GIVEN), "add --paired"),
        (("--effect", "5%", "--metric", "goodput", *GIVEN), "goodput: only of percentiles"),
        (("--effect", "5%", "--metric", "tfft_p50", *GIVEN), 'did you mean "ttft_p50"?'),
        (("--effect", "5%", "results", *GIVEN), "leave out these, or the runs"),
        (("--effect", "5%", "results", "--dependence", "2"), "leave out these, or the runs"),
        (("--effect", "5%", "--arm", "pr", *GIVEN), "--arm says which of the runs to learn from: name RUNs"),
        (("--power", "90%"), "Missing option '--effect'"),
    ],
)
def test_a_mistake_is_a_line(words: tuple[str, ...], told: str) -> None:
    error = plan(*words).exception

    assert isinstance(error, click.ClickException | RunError)
    text = error.format_message() if isinstance(error, click.ClickException) else str(error)
    assert told in text
    assert "\n" not in text
