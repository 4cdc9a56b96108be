"""The gate's verdict: what goes first, which exit code follows, what is said about it."""

from __future__ import annotations

import random  # noqa: TC003 - hypothesis reads the annotation
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from gating import NEW, OLD, comparison, digest, errors, evidence, gate, line, outcome
from hypothesis import given
from hypothesis import strategies as st
from manyruns import TTFT, keep, run

from analysis import stats
from analysis.compare.rules import PRIMARY
from analysis.gate import words
from analysis.gate.asked import rules
from analysis.gate.attained import _worth, over_runs
from analysis.gate.evidence import Asked, gather
from analysis.gate.verdict import Evidence, decide
from analysis.objectives import Objectives, Outcome

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.compare.comparison import Line
    from analysis.gate.verdict import OnInconclusive

FOUND = st.sampled_from(["met", "missed", "undecided"])


@pytest.mark.parametrize(("verdict", "code"), [("pass", 0), ("regression", 1), ("invalid", 3), ("inconclusive", 4)])
def test_each_verdict_has_its_exit_code(verdict: str, code: int) -> None:
    found = gate(verdict)

    assert (found.verdict, found.exit_code) == (verdict, code)
    assert found.reasons
    assert bool(found.next_step) == (verdict != "pass")


@pytest.mark.parametrize(("word", "code"), [("pass", 0), ("fail", 1), (None, 4)])
def test_what_is_inconclusive_ends_as_the_user_chose(word: OnInconclusive | None, code: int) -> None:
    assert gate("inconclusive", on_inconclusive=word).exit_code == code
    assert gate("inconclusive", on_inconclusive=word).verdict == "inconclusive"
    assert gate("invalid", on_inconclusive=word).exit_code == 3


@pytest.mark.parametrize(
    "lost",
    [
        Evidence(
            OLD, NEW, comparison("inconclusive", [errors(), line("inconclusive", effect=None, reason="B has none")])
        ),
        Evidence(
            OLD, NEW, comparison("inconclusive", [line("not_compared", a=None, effect=None, reason="A has none")])
        ),
        Evidence(OLD, NEW, comparison("pass", [line()]), wanted=("ttfa_p95",)),
    ],
)
def test_what_is_lost_is_no_noise(lost: Evidence) -> None:
    found = decide(lost, on_inconclusive="pass")

    assert (found.verdict, found.exit_code, found.taken_as) == ("inconclusive", 4, None)
    assert any(word in " ".join(found.reasons) for word in ("B has none", "A has none", "neither side has it"))
    assert decide(lost, on_inconclusive="fail").exit_code == 1


def test_a_missed_objective_fails_what_the_comparison_passes() -> None:
    seen = replace(evidence("pass"), outcomes=[[outcome("missed", reason="91 % of 95 %")]] * 5)

    found = decide(seen)

    assert (found.verdict, found.exit_code) == ("regression", 1)
    assert found.reasons == ("objective ttft_p95<2s missed: missed in 5 of 5 runs; 91 % of 95 %",)


@pytest.mark.parametrize(
    ("compared", "objective", "verdict"),
    [
        ("invalid", "missed", "invalid"),
        ("regression", "undecided", "regression"), ("inconclusive", "missed", "regression"),
        ("pass", "undecided", "inconclusive"), ("inconclusive", "met", "inconclusive"), ("pass", "met", "pass"),
    ],
)  # fmt: skip
def test_the_worst_goes_first(compared: str, objective: str, verdict: str) -> None:
    assert decide(replace(evidence(compared), outcomes=[[outcome(objective)]])).verdict == verdict


def test_objectives_alone_need_no_baseline() -> None:
    found = decide(Evidence((), NEW[:1], None, [[outcome("met"), outcome("met", "tpot_p95<50ms")]]))

    assert (found.verdict, found.reasons, found.baseline) == ("pass", ("every objective is met (2)",), ())


def test_objectives_of_a_run_that_is_not_valid_decide_nothing() -> None:
    found = decide(Evidence((), [digest("new", verdict="invalid")], None, [[outcome("met")]]))

    assert found.verdict == "invalid"
    assert found.reasons == ("candidate new: Little's law 9 %: requests are missing from the rows",)


def test_a_doubtful_run_is_told_and_decides() -> None:
    found = decide(Evidence(OLD, [digest("new", verdict="doubtful")], comparison("pass", [line()])))

    assert found.verdict == "pass"
    assert found.doubts == ("candidate new: Little's law 9 %: requests are missing from the rows",)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([line()], "ttfa_p95 is not compared: neither side has it"),
        (
            [line(), line("not_compared", "ttfa_s", effect=None, reason="B has none")],
            "ttfa_p95 is not compared: B has none",
        ),
    ],
)
def test_nothing_passes_without_a_number_that_was_asked_for(lines: list[Line], told: str) -> None:
    seen = Evidence(OLD, NEW, comparison("pass", lines), wanted=("ttft_p95", "ttfa_p95"))

    assert (decide(seen).verdict, decide(seen).reasons) == ("inconclusive", (told,))
    assert decide(replace(seen, wanted=())).verdict == "pass"


def test_a_fault_of_several_runs_is_told_once() -> None:
    runs = [digest("new/1"), digest("new/2", verdict="doubtful"), digest("new/3", verdict="doubtful")]

    found = decide(Evidence((), runs, None, [[outcome("met")]] * 3))

    assert found.doubts == ("candidate new/2: Little's law 9 %: requests are missing from the rows (in 2 of 3 runs)",)


# Objectives over several runs.


@pytest.mark.parametrize(
    ("runs", "verdict"),
    [
        (["met"], "met"), (["missed"], "missed"), (["undecided"], "undecided"),
        (["missed", "met"], "undecided"), (["missed", "missed"], "missed"), (["met", "undecided"], "undecided"),
        (["met", "met", "undecided"], "met"), (["met", "met", "missed"], "undecided"),
        (["missed", "undecided", "missed"], "missed"), (["missed", "missed", "met", "met"], "undecided"),
    ],
)  # fmt: skip
def test_more_than_half_of_the_runs_decide(runs: list[str], verdict: str) -> None:
    assert [one.verdict for one in over_runs([[outcome(run)] for run in runs])] == [verdict]


@given(st.lists(FOUND, min_size=1, max_size=9), st.randoms())
def test_neither_order_nor_a_worse_run_makes_it_better(runs: list[str], rng: random.Random) -> None:
    order = ["met", "undecided", "missed"]
    found = over_runs([[outcome(run)] for run in runs])[0].verdict
    mixed = rng.sample(runs, len(runs))
    worse = ["missed", *mixed[1:]]

    assert over_runs([[outcome(run)] for run in mixed])[0].verdict == found
    assert order.index(over_runs([[outcome(run)] for run in worse])[0].verdict) >= order.index(found)


@pytest.mark.parametrize(
    ("shares", "of", "verdict"),
    [
        # p99 needs 299 requests without a miss: 0.99^299 = 0.0495. A run has 96 of them, five have 480.
        ([1.0] * 5, (96, 0.99), "met"),
        ([1.0] * 4, (96, 0.99), "undecided"),
        # Of 500 requests 15 missed, P(Binomial(500, 0.05) <= 15) = 0.02: met where every run has 3 of them, not where
        # one has all: D = 100 (4 0.03^2 + 0.12^2) / (0.97 0.03) / 4 = 15.5, times (2.13 / 1.64)^2.
        ([0.97] * 5, (100, 0.95), "met"),
        ([1.0, 1.0, 1.0, 1.0, 0.85], (100, 0.95), "undecided"),
        # 35 missed, P(Binomial(500, 0.05) >= 35) = 0.03.
        ([0.93] * 5, (100, 0.95), "missed"),
    ],
)  # fmt: skip
def test_what_no_run_decides_five_may_decide_together(shares: list[float], of: tuple[int, float], verdict: str) -> None:
    runs = [[outcome("undecided", share=share, of=of)] for share in shares]

    assert [one.verdict for one in over_runs(runs)] == [verdict]


def test_what_all_requests_decide_together_says_so() -> None:
    runs = [[outcome("undecided", share=0.93, of=(100, 0.95))] for _ in range(5)]

    assert over_runs(runs)[0].reason == "undecided in 5 of 5 runs, missed by all requests together"


def test_together_they_do_not_overrule_a_run_that_is_certain() -> None:
    runs = [[outcome("undecided", share=1.0, of=(96, 0.99))] for _ in range(5)]

    assert over_runs([*runs, [outcome("missed", share=0.97, of=(96, 0.99))]])[0].verdict == "undecided"


@pytest.mark.parametrize(
    ("failed", "verdict"),
    # Of 500: none leaves at most 0.76 %, 3.84 / 503.84; 5 are 1 %; 25 are 5 %, and 3.4 % at least.
    [([0] * 5, "met"), ([1] * 5, "undecided"), ([5] * 5, "missed"), ([0, 0, 0, 0, 25], "undecided")],
)
def test_a_share_of_the_run_is_told_by_all_requests_too(failed: list[int], verdict: str) -> None:
    runs = [
        [Outcome("error_rate<1%", "error_rate", None, None, n / 100, *stats.wilson(n, 100), 100, "undecided", "")]
        for n in failed
    ]

    assert over_runs(runs)[0].verdict == verdict


def test_a_rate_of_the_run_is_not() -> None:
    one = Outcome("goodput>5/s", "goodput_per_s", None, None, 9.0, 4.9, 12.0, 100, "undecided", "")

    assert over_runs([[one]] * 9)[0].verdict == "undecided"


@given(st.floats(0, 1), st.integers(5, 10_000))
def test_the_effective_count_is_read_back_from_the_interval(share: float, n: int) -> None:
    assert _worth(share, *stats.wilson(share * n, n), 10**6) == pytest.approx(n, rel=1e-3)


# What is said.


def test_a_sentence_has_all_that_decides() -> None:
    assert words.sentence(line("regression")) == "TTFT p95 +12.5 % [+4.50, +20.1], p 0.002, margin 10 %, 5 + 5 runs"
    assert words.sentence(errors()) == "error rate +0.300 points [-0.100, +0.700], p 0.400, margin 1 point, 5 + 5 runs"


def test_what_has_no_effect_says_why() -> None:
    bare = line("not_compared", effect=None, lo=None, hi=None, p_adjusted=None, reason="B has no tokens by usage")

    assert words.sentence(bare) == "TTFT p95 has no effect to judge, margin 10 %, 5 + 5 runs: B has no tokens by usage"


@pytest.mark.parametrize(
    ("runs", "needed", "told"),
    [
        ((1, 1), None, "5 or more"), ((1, 1), 3, "5"), ((5, 5), 12, "12"),
        ((14, 14), 12, "28"),  # enough for the margin, but the effect lies too near to it
    ],
)  # fmt: skip
def test_what_is_inconclusive_names_the_runs_to_play(runs: tuple[int, int], needed: int | None, told: str) -> None:
    one = line("inconclusive", runs_a=runs[0], runs_b=runs[1], runs_needed=needed)

    found = decide(Evidence(OLD, NEW, comparison("inconclusive", [one, errors()])))

    assert found.next_step == f"make {told} runs a side (`firsttoken run --repeats N`)"


def test_what_one_side_lacks_no_runs_will_tell() -> None:
    one = line("inconclusive", effect=None, lo=None, hi=None, p_adjusted=None, runs_needed=None, reason="B has none")

    found = decide(Evidence(OLD, NEW, comparison("inconclusive", [one, errors()])))

    assert found.next_step == "see why TTFT p95 cannot be compared (B has none); more runs will not help"


@pytest.mark.parametrize(("named", "verdict"), [((), "pass"), (PRIMARY, "inconclusive")])
def test_the_usual_numbers_have_to_be_there_where_somebody_named_them(
    named: tuple[str, ...], verdict: str, tmp_path: Path
) -> None:
    sides = [keep(tmp_path / name, [run(at + n, {TTFT: 0.2}) for n in range(5)]) for name, at in (("a", 0), ("b", 9))]
    asked = Asked(sides[:1], sides[1:], Objectives(), rules((), named, None, ["seed"]))

    assert decide(gather(asked)).verdict == verdict


@pytest.mark.parametrize(("value", "told"), [(None, "leave cached_share>10% out"), (0.1, "make longer runs")])
def test_what_the_runs_do_not_have_no_more_of_them_will_tell(value: float | None, told: str) -> None:
    one = Outcome("cached_share>10%", "cached_share", None, None, value, None, None, 100, "undecided", "")

    assert decide(Evidence((), NEW[:1], None, [[one]])).next_step.startswith(told)
