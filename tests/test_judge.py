"""The verdict by hand: every rule with a case whose answer follows from the numbers."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from digests import ALL, TPOT, one, side, versus
from gating import FAULT
from manyruns import ERRORS, GOODPUT, LATENCY, TTFT, TTFT95
from scipy import stats as scipy_stats

from analysis.compare.judge import overall
from analysis.compare.rules import LEAST_RUNS, Rules
from analysis.digest import Number
from analysis.places import RUN, Place

# 5 runs a side whose logs have an sd of 0.0158 (-2, -1, 0, 1, 2 hundredths): the standard error of the difference is
# 0.0158 sqrt(2 / 5) = 0.01, and with 8 degrees of freedom t is 2.306: an interval of +-2.3 %.
LOGS = np.array([-0.02, -0.01, 0.0, 0.01, 0.02])


def about(mean: float, times: float = 1.0) -> list[float]:
    return [float(x) for x in mean * np.exp(times * LOGS)]


@pytest.mark.parametrize(
    ("b", "verdict"),
    [
        (1.0, "pass"),  # the interval ends at +2.3 %, before the margin of 5 %
        (1.02, "pass"),  # at 4.4 %: as certain as can be that it is no worse than the margin
        (1.04, "regression"),  # from +1.6 % on; p = 0.0043, and alone in its family
        (0.9, "pass"),
    ],
)
def test_the_verdict_goes_by_the_interval_against_the_margin(b: float, verdict: str) -> None:
    line = one(about(0.2), about(0.2 * b))

    assert line.verdict == verdict
    assert line.effect == pytest.approx(b)
    assert (line.lo, line.hi) == pytest.approx((b * math.exp(-0.02306), b * math.exp(0.02306)), rel=1e-4)
    assert line.better == (b == 0.9)
    assert line.worse == (b == 1.04)


def test_what_is_certain_and_small_is_no_regression() -> None:
    """+1 %, 10 times as exact: from +0.8 % to 1.2 %, but nobody minds under 2 %."""
    line = one(about(0.2, 0.1), about(0.202, 0.1))

    assert (line.worse, line.verdict) == (True, "pass")


def test_not_significant_is_not_taken_for_no_difference() -> None:
    """+4 %, with an sd five times as large: +-12 %, so that nobody can tell, and it is said what could."""
    line = one(about(0.2, 5), about(0.208, 5))

    assert line.p is not None
    assert line.p > 0.05
    assert line.verdict == "inconclusive"
    # (1.96 + 1.28)^2 * 2 * (0.079 / ln 1.05)^2 = 55 and a little for t
    assert line.runs_needed is not None
    assert 55 <= line.runs_needed <= 58
    assert line.reason == f"needs about {line.runs_needed} runs a side to tell 5 %"


def test_runs_that_are_there_are_not_asked_for() -> None:
    """
    Five runs a side with half the usual spread would find 5 % alone, as its standard error is 0.5 %.

    B is 4.5 % slower, give or take 1.15 %: with a margin of 5 % that is neither too much for certain nor too little.
    """
    line = one(about(0.2, 0.5), about(0.209, 0.5), margins={"ttft_p50": 0.05})

    assert (line.verdict, line.runs_needed) == ("inconclusive", 5)
    assert line.reason == "too near the margin of 5 % for these runs"


def test_the_p_values_are_those_of_welch_on_logs() -> None:
    a, b = [0.2, 0.21, 0.19, 0.2, 0.22], [0.25, 0.24, 0.3, 0.26, 0.22, 0.24]
    line = one(a, b)
    expected = scipy_stats.ttest_ind(np.log(b), np.log(a), equal_var=False)
    ends = expected.confidence_interval(0.95)

    assert line.p == pytest.approx(expected.pvalue)
    assert (line.lo, line.hi) == pytest.approx((math.exp(ends.low), math.exp(ends.high)))
    logs = np.log(a + b)
    ways = [abs(logs[list(mine)].mean() - np.delete(logs, mine).mean()) for mine in combinations(range(11), 5)]
    assert line.p_exact == pytest.approx(np.mean(np.array(ways) >= ways[0] - 1e-12))
    assert line.superiority == pytest.approx((29 + 0.5) / 30)


@pytest.mark.parametrize("runs", [2, 3, LEAST_RUNS - 1])
def test_fewer_than_five_runs_are_never_a_regression(runs: int) -> None:
    line = one(about(0.2, 0.01)[:runs], about(0.4, 0.01)[:runs])

    assert (line.worse, line.verdict) == (True, "inconclusive")
    assert line.reason == "worse, but under 5 runs a side"


def test_one_run_a_side_is_never_a_verdict() -> None:
    """
    The interval is that of the two runs: of logs (ln 0.22 - ln 0.18) / 2 = 0.1 each, together sqrt(2) times that.

    Without an interval in a run there is none of the two; what a run has too few requests for is not compared.
    """
    a, b = Number(0.2, 100, 0.18, 0.22), Number(0.4, 100, 0.36, 0.44)
    line, bare = one([a], [b]), one([a], [Number(0.4, 20)])
    half = math.sqrt(2) * math.log(0.22 / 0.18) / 2
    at = math.log(0.4 / 0.2)

    assert (line.verdict, line.reason) == ("inconclusive", "one run a side")
    assert (line.lo, line.hi) == pytest.approx((math.exp(at - half), math.exp(at + half)))
    assert (line.p, line.runs_needed, line.detectable) == (None, None, None)
    assert (bare.verdict, bare.lo, bare.hi) == ("inconclusive", None, None)
    assert bare.effect == pytest.approx(2)


def test_what_one_run_has_too_few_requests_for_is_not_compared() -> None:
    """59 requests are the least for a p95: 0.95^59 is below 5 %. Of several runs a side the means are compared."""
    few, other, many = Number(0.3, 49, supported=False), Number(0.4, 58, supported=False), Number(0.4, 116)
    line, both = one([few], [many], TTFT95), one([few], [other], TTFT95)
    several = one([few] * 2, [many] * 2, TTFT95)

    assert (line.a, line.b, line.effect, line.verdict) == (None, 0.4, None, "inconclusive")
    assert line.reason == "too few requests for p95: A has 49 of 59"
    assert (both.a, both.b, both.verdict) == (None, None, "inconclusive")
    assert both.reason == "too few requests for p95: A has 49 of 59 and B has 58 of 59"
    assert (several.a, several.b, several.effect) == pytest.approx((0.3, 0.4, 4 / 3))


def test_of_one_point_there_are_no_points() -> None:
    """The error rate's margin is 1 point, and 10 where somebody says so."""
    shares = [0.0, 0.02, 0.04, 0.01, 0.05], [0.01, 0.05, 0.0, 0.03, 0.02]

    assert one(*shares, ERRORS).reason.endswith(" to tell 1 point")
    assert one(*shares, ERRORS, margins={"error_rate": 0.02}).reason.endswith(" 2 points")


def test_one_run_against_ten_past_ones_has_an_interval_and_is_no_regression() -> None:
    """Ten runs' spread stands for that of the one; of nine nobody says so."""
    ten, nine = one(about(0.2) * 2, [0.4]), one((about(0.2) * 2)[1:], [0.4])

    assert (ten.worse, ten.verdict, ten.reason) == (True, "inconclusive", "worse, but under 5 runs a side")
    assert (nine.lo, nine.verdict, nine.reason) == (None, "inconclusive", "too few runs for an interval")


# Directions and scales.


def test_of_goodput_less_is_worse() -> None:
    """8 good requests a second become 7.2: -10 %, of which an interval of +-2.3 % leaves no doubt."""
    less, more = one(about(8), about(7.2), GOODPUT), one(about(7.2), about(8), GOODPUT)

    assert (less.verdict, less.worse, less.better) == ("regression", True, False)
    assert (more.verdict, more.worse, more.better) == ("pass", False, True)
    assert (less.superiority, more.superiority) == (1, 0)
    assert less.effect == pytest.approx(0.9)
    assert less.detectable is not None
    assert less.detectable < 1


@pytest.mark.parametrize(
    ("points", "verdict"),
    [(0.0, "pass"), (0.003, "pass"), (0.006, "regression"), (-0.006, "pass")],
)
def test_error_rates_are_compared_in_points(points: float, verdict: str) -> None:
    """
    Rates of 2 % with an sd of 0.158 points: +-0.23 points; the margin is 1 point, and what matters begins at 0.4.

    0.3 points more are certain (from 0.07 on), and too little to matter.
    """
    a = [0.02 + 0.1 * float(x) for x in LOGS]
    line = one(a, [x + points for x in a], ERRORS)

    assert (line.scale, line.verdict) == ("difference", verdict)
    assert line.effect == pytest.approx(points)
    assert (line.lo, line.hi) == pytest.approx((points - 0.002306, points + 0.002306), abs=1e-5)
    assert line.worse == (points > 0)


def test_no_errors_at_all_are_a_pass_where_the_requests_are_many() -> None:
    """
    0 of 800 on both sides: the difference is 0 and p is 1, but 800 requests leave 1.96^2 / (800 + 1.96^2) open.

    Of 40 + 40 that is 8.8 points: no error was seen, and nobody knows.
    """
    line = one([0.0] * 5, [0.0] * 5, ERRORS)
    few = one([Number(0.0, 20)] * 2, [Number(0.0, 20)] * 2, ERRORS)

    assert (line.effect, line.p, line.verdict) == (0, 1, "pass")
    assert (line.lo, line.hi) == pytest.approx((-3.8415 / 803.8415, 3.8415 / 803.8415), rel=1e-4)
    assert few.hi == pytest.approx(3.8415 / 43.8415, rel=1e-4)
    assert few.verdict == "inconclusive"
    assert few.runs_needed is not None
    assert few.runs_needed > 5


def test_shares_without_spread_are_as_certain_as_their_requests() -> None:
    """
    0 of 800 against 40 of 800, 8 in each run: Wilson's bounds are 0 to 0.00478 and 0.0369 to 0.0674.

    Newcombe: 0.05 - sqrt(0.0131^2 + 0.00478^2) = 0.0361, and 0.0674 above, as nothing is below 0.
    """
    line = one([0.0] * 5, [0.05] * 5, ERRORS)

    assert (line.lo, line.hi) == pytest.approx((0.0361, 0.0674), abs=1e-4)
    assert line.verdict == "regression"


def test_without_any_spread_the_exact_permutation_decides() -> None:
    """Five times 0.2 against five times 0.22: 2 of 252 ways to split ten values differ as much."""
    line = one([0.2] * 5, [0.22] * 5)

    assert (line.lo, line.hi) == pytest.approx((1.1, 1.1))
    assert line.p == pytest.approx(2 / 252)
    assert line.verdict == "regression"
    assert one([0.2] * 5, [0.2] * 5).verdict == "pass"


def test_an_outage_is_a_regression() -> None:
    """Five runs with goodput against five without any: there is no ratio to test, and no doubt."""
    line = one([8.0] * 5, [0.0] * 5, GOODPUT)

    assert (line.effect, line.verdict, line.reason) == (0.0, "regression", "nothing is left of it")


def test_a_cost_that_appears_is_not_left_out() -> None:
    """A was free, B is not: no ratio, but no pass either."""
    place = Place("cost_per_1k_good", None, RUN, None, "")
    line = one([0.0] * 5, [2.0] * 5, place, primary=("cost_per_1k_good",))

    assert (line.verdict, line.reason) == ("inconclusive", "0 in A")


@pytest.mark.parametrize(
    ("a", "b", "verdict", "reason"),
    [
        ([8.0] * 4, [0.0] * 4, "inconclusive", "0 in B"),
        ([8.0] * 5, [8.0] * 4 + [0.0], "inconclusive", "0 in 1 of 5 runs of B"),
        ([8.0] * 3 + [0.0] * 2, [8.0, 0.0], "inconclusive", "0 in 2 of 5 runs of A and 1 of 2 runs of B"),
        ([0.0] * 5, [8.0] * 5, "not_compared", "A is 0"),
        ([0.0] * 5, [0.0] * 5, "not_compared", "A is 0"),
    ],
)
def test_of_a_zero_there_is_no_ratio(a: list[float], b: list[float], verdict: str, reason: str) -> None:
    """A goodput that is gone must not leave a pass behind."""
    line = one(a, b, GOODPUT)

    assert (line.effect, line.verdict, line.reason) == (None, verdict, reason)


def test_what_only_describes_the_load_has_no_verdict() -> None:
    line = one(about(8), about(16), Place("arrivals_per_s", None, RUN, None, ""))

    assert (line.verdict, line.reason) == ("not_compared", "describes the load")
    assert line.effect == pytest.approx(2)
    assert not line.worse
    assert not line.better


# What is not of one kind.


def test_tokens_of_different_sources_leave_a_primary_number_open() -> None:
    """A candidate that stops sending usage must not pass by that."""
    values = about(0.01)
    a, b = side({TTFT: about(0.2), TPOT: values}), side({TTFT: about(0.2), TPOT._replace(tokens="estimate"): values}, 9)
    found = versus(a, b)
    told = {line.place.words: line for line in found.lines}

    assert told["tpot_p50"].verdict == "inconclusive"
    assert told["tpot_p50"].reason == "tokens of A by usage, of B by estimate"
    assert (told["tpot_p50"].a, told["tpot_p50"].b) == pytest.approx((0.01, 0.01))
    assert found.verdict == "inconclusive"


def test_goodput_by_other_objectives_is_not_compared() -> None:
    values = {GOODPUT: about(8), TTFT: about(0.2)}
    a, b = side(values, objectives=("ttft_p95<2s",)), side(values, 9, objectives=("ttft_p95<1s",))
    found = {line.place: line for line in versus(a, b, across={"objectives"}).lines}

    assert (found[GOODPUT].verdict, found[GOODPUT].reason) == ("not_compared", "the objectives differ")
    assert found[TTFT].verdict == "pass"


def test_what_b_has_no_more_is_no_pass() -> None:
    found = versus(side({TTFT: about(0.2), LATENCY: about(1)}), side({LATENCY: about(1)}, 9))

    assert found.verdict == "inconclusive"
    assert [(line.place, line.verdict) for line in found.lines] == [(TTFT, "inconclusive"), (LATENCY, "pass")]


def test_runs_of_b_that_lack_a_number_are_no_pass() -> None:
    """What is left of B is as fast as A; what its other two runs were like nobody knows. Runs of A may lack it."""
    values = {TTFT: about(0.2), LATENCY: about(1)}
    a, b = side(values), side(values, 9)
    gone = [replace(run, numbers={LATENCY: run.numbers[LATENCY]}) if i < 2 else run for i, run in enumerate(b)]
    found = versus(a, gone, margins={"ttft_p50": 0.1}).lines[0]

    assert (found.runs_b, found.verdict, found.reason) == (3, "inconclusive", "B lacks it in 2 of 5 runs")
    assert versus(gone, a, margins={"ttft_p50": 0.1}).lines[0].verdict == "pass"


def test_nothing_in_common_is_inconclusive() -> None:
    assert versus(side({TTFT: about(0.2)}), side({TTFT95: about(0.2)}, 9)).verdict == "inconclusive"
    assert overall([]) == "inconclusive"


# Many at once.


def test_holm_holds_the_family_together() -> None:
    """Six primary p values: adjusted as by hand, m - i + 1 times the i-th smallest, never below the one before."""
    rng = np.random.default_rng(3)
    shifts = dict(zip(ALL, (1.06, 1.05, 1.04, 1.03, 0.97, 1.0), strict=True))
    a = {place: list(0.2 * np.exp(rng.normal(0, 0.02, 6))) for place in ALL}
    b = {place: list(0.2 * shift * np.exp(rng.normal(0, 0.02, 6))) for place, shift in shifts.items()}
    lines = versus(side(a), side(b, 9)).lines
    ps = sorted((line.p, line.p_adjusted) for line in lines if line.p is not None and line.p_adjusted is not None)

    assert len(ps) == 6
    running = 0.0
    for place, (p, adjusted) in enumerate(ps):
        running = max(running, min(1.0, (6 - place) * p))
        assert adjusted == pytest.approx(running)


def test_a_difference_that_is_certain_alone_may_be_chance_among_six() -> None:
    """+2.7 %: t(8) = ln 1.027 / 0.01 = 2.66, p = 0.0286; by Holm six times that."""
    values = {place: about(0.2) for place in ALL}
    alone = one(about(0.2), about(0.2054))
    among = versus(side(values), side(values | {TTFT: about(0.2054)}, 9)).lines[0]

    assert alone.p == among.p == pytest.approx(0.0286, abs=1e-4)
    assert alone.p_adjusted == alone.p
    assert among.p_adjusted == pytest.approx(6 * 0.0286, abs=6e-4)
    assert (alone.verdict, among.verdict) == ("regression", "inconclusive")
    assert not among.worse


def test_exploratory_lines_are_corrected_for_their_number_and_decide_nothing() -> None:
    """By Benjamini and Hochberg: of two p values the smaller one twice, the greater one as it is."""
    p90 = [Place("latency_from_send_s", None, "stream", None, what) for what in ("p50", "p95")]
    a, b = {place: about(0.2) for place in (TTFT, *p90)}, {TTFT: about(0.2), p90[0]: about(0.4), p90[1]: about(0.2054)}
    found = versus(side(a), side(b, 9))
    first, second, third = found.lines

    assert [line.primary for line in found.lines] == [True, False, False]
    assert second.p is not None
    assert third.p is not None
    assert [second.p_adjusted, third.p_adjusted] == pytest.approx([2 * second.p, third.p])
    assert (second.verdict, second.worse, third.worse) == ("regression", True, True)
    assert (first.verdict, found.verdict) == ("pass", "pass")
    assert len(versus(side(a), side(b, 9), only_primary=True).lines) == 1


def test_the_worst_primary_line_is_the_verdict() -> None:
    values = {place: about(0.2) for place in (TTFT, TTFT95, LATENCY)}
    slower = values | {LATENCY: about(0.3)}
    unknown = values | {TTFT: about(0.2, 9)}

    assert versus(side(values), side(values, 9)).verdict == "pass"
    assert versus(side(values), side(unknown, 9)).verdict == "inconclusive"
    assert versus(side(values), side(slower | {TTFT: unknown[TTFT]}, 9)).verdict == "regression"


def test_the_margin_and_the_level_are_the_users() -> None:
    """+4 % certainly: a regression against 5 %, none where 1 % of chance is asked for and p is 0.0043 times 6."""
    values = {place: about(0.2) for place in ALL}
    slower = values | {TTFT: about(0.208)}

    assert versus(side(values), side(slower, 9)).verdict == "regression"
    assert versus(side(values), side(slower, 9), alpha=0.01).verdict == "inconclusive"
    assert versus(side(values), side(slower, 9), alpha=0.01, margins={"ttft_p50": 0.1}).verdict == "pass"
    assert Rules(margins={"ttft_p50": 0.005}).least(TTFT) == 0.005


# Pairs, sessions, validity.


def test_pairs_find_what_their_common_drift_hides() -> None:
    """Runs grow by 10 % each, B is 3 % slower in every pair: Welch sees nothing, pairs of one seed do."""
    rising, noise = [1.1**i for i in range(6)], [1.001, 0.999, 1.0, 1.0, 0.999, 1.001]
    a, b = [0.2 * x for x in rising], [0.2 * 1.03 * x * y for x, y in zip(rising, noise, strict=True)]
    seeds = range(6)
    pairs = versus(side({TTFT: a}, seeds=seeds), side({TTFT: b}, 9, seeds), primary=("ttft_p50",))
    apart = versus(side({TTFT: a}), side({TTFT: b}, 9), primary=("ttft_p50",))

    assert (pairs.design, apart.design) == ("seeds", "runs")
    assert (pairs.verdict, apart.verdict) == ("regression", "inconclusive")
    assert pairs.lines[0].effect == pytest.approx(1.03, rel=1e-6)
    assert pairs.lines[0].p_exact == pytest.approx(2 / 64)  # all six signs alike, of 2^6


def test_past_sessions_say_how_far_one_more_may_lie() -> None:
    """
    Five sessions of A of two runs each, at -8, -4, 0, 4, 8 %; B, one session, lies at +6 % with hardly any spread.

    The means' sd is 0.0632; t(4) = 2.776, so one more session may lie 2.776 * 0.0632 * sqrt(1.2) = 0.192 away in logs.
    """
    means = [math.exp(x) * 0.2 for x in (-0.08, -0.04, 0.0, 0.04, 0.08)]
    a = [run for at, mean in enumerate(means) for run in side({TTFT: [mean] * 8}, 10 * at, session=f"s{at}")]
    b = side({TTFT: [0.212] * 8}, 90, session="new")
    found = versus(a, b, primary=("ttft_p50",)).lines[0]

    assert found.band == pytest.approx((math.exp(-0.1923), math.exp(0.1923)), rel=1e-3)
    assert (found.worse, found.verdict) == (True, "inconclusive")
    assert found.reason == "worse, but past sessions of the baseline differ by as much"
    far = versus(a, side({TTFT: [0.25] * 8}, 90, session="new"), primary=("ttft_p50",)).lines[0]
    assert far.verdict == "regression"
    four = versus([run for run in a if run.session != "s4"], b, primary=("ttft_p50",)).lines[0]
    assert four.band is None


def test_a_past_run_that_was_all_failures_gives_no_ratio() -> None:
    """Six sessions of five seeds each, one run of them without a good request: the others give the band."""
    a = [
        run
        for at in range(6)
        for run in side({GOODPUT: [8.0, 8.1, 8.0, 8.1, 0.0 if at == 5 else 8.0]}, 10 * at, range(5), session=f"s{at}")
    ]
    found = versus(a, side({GOODPUT: [7.0] * 5}, 90, range(5), session="new"), primary=("goodput",)).lines[0]

    assert found.band is not None
    assert found.band[0] < 1 < found.band[1]


def test_an_invalid_run_makes_the_comparison_invalid_whatever_its_numbers() -> None:
    a = side({TTFT: about(0.2)})
    b = side({TTFT: about(0.4)}, 9)
    b[2] = replace(b[2], verdict="invalid", faults=(FAULT,))
    found = versus(a, b)

    assert found.verdict == "invalid"
    assert (found.a.verdict, found.b.verdict) == ("valid", "invalid")
    assert len(found.b.faults) == 1
    assert found.b.faults[0].startswith("invalid: Little's law")
    assert "1 of 5 runs" in found.b.faults[0]
    assert found.lines[0].verdict == "regression"


def test_it_all_goes_into_json() -> None:
    """Two runs of which one has no interval, a zero, no spread, pairs, past sessions: no NaN, no infinity."""
    numbers = [
        versus(side({TTFT: [0.2], GOODPUT: [0.0]}), side({TTFT: [0.3], GOODPUT: [1.0]}, 9)),
        versus(side({TTFT: [0.2] * 5}), side({TTFT: [0.3] * 5}, 9)),
        versus(side({TTFT: [0.2] * 2}), side({TTFT: [0.3]}, 9)),
        versus(side({TTFT: [1e-9, 1e3]}), side({TTFT: [1e3, 1e-9]}, 9)),
        versus(side({TTFT: about(0.2)}, seeds=range(5)), side({TTFT: about(0.2)}, 9, range(5))),
    ]
    for found in numbers:
        plain = json.loads(json.dumps(found.to_json(), allow_nan=False))
        assert plain["lines"][0]["name"] == "ttft_p50"
        assert plain["lines"][0]["place"]["metric"] == "ttft_s"
