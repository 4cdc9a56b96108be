"""Two sides against each other: the same work, the same hands, enough runs, and an order that decides nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from manyruns import ERRORS, LATENCY, TTFT, TTFT95, run

from analysis.compare import checks
from analysis.digest import Number
from analysis.places import RUN, Place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.checks.rule import Check
    from analysis.digest import Digest

LENGTH = Place("mean_output_tokens", None, RUN, None, "")
CUT = LENGTH._replace(metric="length_share")
CACHED = LENGTH._replace(metric="cached_share")


def side(place: Place, values: Sequence[float | Number], first: int = 0, **more: Any) -> list[Digest]:
    """One run an hour."""
    return [run(first + at, {place: value}, **more) for at, value in enumerate(values)]


def of(number: int, a: Sequence[Digest], b: Sequence[Digest], *across: str) -> Check:
    return next(check for check in checks.examine(a, b, frozenset(across)) if check.number == number)


def test_every_check_comes_in_order_of_number() -> None:
    found = checks.examine(side(TTFT, [1.0] * 5), side(TTFT, [1.0] * 5), frozenset())

    assert [check.number for check in found] == [17, 20, 26, 27, 30]


@pytest.mark.parametrize(
    ("a", "b", "status"),
    [
        ([0.0] * 3, [0.01] * 3, "ok"),
        ([0.0] * 3, [0.03] * 3, "invalid"),
        ([0.3] * 3, [0.0] * 3, "invalid"),
        ([0.0, 0.05, 0.1], [0.05, 0.1, 0.12], "ok"),  # 4 points apart, and each side 5 points wide
        ([0.0], [0.5], "invalid"),
    ],
)
def test_a_cache_of_one_side_is_no_fair_comparison(a: list[float], b: list[float], status: str) -> None:
    left, right = side(CACHED, a), side(CACHED, b, 10)

    assert of(17, left, right).status == status
    assert ("--across cache if that is intended" in of(17, left, right).why) == (status == "invalid")
    assert of(17, left, right, "cache").status == "ok"
    assert of(17, left, side(TTFT, [1.0])).status == "not_judged"


@pytest.mark.parametrize(
    ("a", "b", "status"),
    [
        ([100] * 3, [102] * 3, "ok"),
        ([100] * 3, [95] * 3, "doubtful"),
        ([100] * 3, [115] * 3, "invalid"),
        ([95, 100, 105, 100], [110, 112, 120, 114], "invalid"),  # 14 % apart; 3 standard errors are 7.6 %
        ([80, 100, 120], [100, 115, 130], "ok"),  # 15 % apart, and three standard errors are 43 %
        ([Number(100, 50, 80, 120)], [Number(112, 50, 92, 132)], "ok"),  # each known to ± 20 only
        ([Number(100, 5000, 98, 102)], [Number(112, 5000, 110, 114)], "invalid"),
        ([100], [112], "invalid"),
    ],
)
def test_answers_of_other_lengths_are_other_work(a: list[Any], b: list[Any], status: str) -> None:
    left, right = side(LENGTH, a), side(LENGTH, b, 10)
    check = of(20, left, right)

    assert check.status == status
    assert ("--across output if that is intended" in check.why) == (status != "ok")
    assert of(20, left, right, "output").status == "ok"
    assert ("as intended" in of(20, left, right, "output").why) == (status != "ok")


@pytest.mark.parametrize(("cut", "status"), [(0.02, "ok"), (0.06, "doubtful"), (0.2, "invalid")])
def test_answers_cut_at_the_cap_are_other_work_too(cut: float, status: str) -> None:
    a = [run(at, {LENGTH: 100.0, CUT: 0.0}) for at in range(3)]
    b = [run(at, {LENGTH: 100.0, CUT: cut}) for at in range(3)]

    assert of(20, a, b).status == status
    assert (
        of(20, a, b).value
        == f"100 against 100 tokens, 0 % against {100 * cut:.3g}{'.00' if cut < 0.1 else '.0'} % cut at the cap"
    )


def test_lengths_by_other_counts_are_not_held_against_each_other() -> None:
    a, b = side(LENGTH._replace(tokens="usage"), [100.0]), side(LENGTH._replace(tokens="estimate"), [200.0])

    assert of(20, a, b).status == "not_judged"
    assert of(20, side(CUT, [0.7]), side(CUT, [0.72])).value == "70.0 % against 72.0 % cut at the cap"
    assert of(20, a, side(LENGTH._replace(tokens="usage"), [200.0])).status == "invalid"


def version(word: str) -> dict[str, Any]:
    return {"settings": {"versions.firsttoken": word} if word else {}}


@pytest.mark.parametrize(
    ("a", "b", "status", "value"),
    [
        ("0.4.0", "0.4.0", "ok", "0.4.0"),
        ("0.4.0", "0.5.0", "doubtful", "0.4.0 against 0.5.0"),
        ("0.4.0", "", "doubtful", "0.4.0 against unknown"),
        ("", "", "not_judged", "–"),  # noqa: RUF001 - the table's sign for nothing
    ],
)
def test_another_version_of_the_tool_is_told(a: str, b: str, status: str, value: str) -> None:
    check = of(26, side(TTFT, [1.0] * 2, **version(a)), side(TTFT, [1.0] * 2, **version(b)))

    assert (check.status, check.value) == (status, value)


@pytest.mark.parametrize(("a", "b", "status"), [(1, 1, "doubtful"), (4, 9, "doubtful"), (5, 5, "ok")])
def test_five_runs_a_side_are_enough(a: int, b: int, status: str) -> None:
    left, right = side(TTFT, [1.0] * a), side(TTFT, [1.0] * b, 20)

    assert (of(27, left, right).status, of(27, left, right).value) == (status, f"{a} and {b}")
    assert (f"{5 - a} more a side" in of(27, left, right).why) == (a < 5)


def rounds(n: int) -> tuple[list[Digest], list[Digest]]:
    """A campaign: each round plays both sides."""
    a, b = (side(TTFT, [1.0] * n, first) for first in (0, 100))
    return tuple([replace(one, session="c", round=at) for at, one in enumerate(some)] for some in (a, b))  # type: ignore[return-value]


def test_pairs_are_counted_and_took_turns() -> None:
    a, b = rounds(3)

    assert of(27, a, b).value == "3 pairs (rounds)"
    assert (of(30, a, b).status, of(30, a, b).value) == ("ok", "interleaved")


def test_sides_that_took_turns_are_told_from_those_that_did_not() -> None:
    a, b = side(TTFT, [1.0] * 5), side(TTFT, [1.0] * 5, 5)
    mixed = [a[0], a[2], b[1]], [a[1], b[0], b[2]]

    assert of(30, a, b).value == "A before B"
    assert of(30, b, a).value == "B before A"
    assert "let the sides take turns" in of(30, a, b).why
    assert (of(30, *mixed).value, of(30, *mixed).why) == ("mixed", "")
    assert of(30, [replace(one, started_unix_ns=0) for one in a], b).status == "not_judged"
    assert of(30, a, [replace(b[0], facts=a[0].facts)]).value == "interleaved"


def drifting(first: int, share: float, seed: int = 1) -> list[Digest]:
    """Eight runs whose TTFT p50 grows by a share each, and whose p95, latency and errors do not."""
    rng = np.random.default_rng(seed)
    return [
        run(first + at, {
            TTFT: 0.2 * (1 + share) ** at * rng.lognormal(0, 0.02), TTFT95: 0.4 * rng.lognormal(0, 0.02),
            LATENCY: rng.lognormal(0, 0.02), ERRORS: 0.0,
        })
        for at in range(8)
    ]  # fmt: skip


def test_a_drift_from_run_to_run_makes_the_order_matter() -> None:
    """5 % a run with 2 % of noise, on one side of two that did not take turns."""
    check = of(30, drifting(0, 0.05), drifting(10, 0.0, 2))

    assert check.status == "doubtful"
    assert check.why.startswith("ttft_p50 drifted from run to run, which may be the difference")


def test_steady_sides_hardly_ever_seem_to_drift() -> None:
    """At 1 % after Holm: of 200 seeds about 2 are expected, and 7 are what chance allows in one of 1,000 tries."""
    found = [of(30, drifting(0, 0.0, seed), drifting(10, 0.0, 1000 + seed)).status for seed in range(200)]

    assert found.count("doubtful") <= 7


def test_whole_answers_may_drift_where_nothing_streams() -> None:
    place = LATENCY._replace(group="whole")
    a, b = side(place, [1.0, 1.1, 1.2, 1.3, 1.4, 1.5]), side(place, [1.0] * 6, 10)

    assert of(30, a, b).why.startswith("latency_p95 (whole) drifted")
