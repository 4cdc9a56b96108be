"""Deployments side by side: who certainly carries more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from answered import answer, point
from hypothesis import given
from hypothesis import strategies as st

from analysis.capacity.beside import COLUMNS, beside, cells, ratio
from analysis.capacity.figures import Figure
from analysis.capacity.meaning import Asked, Meaning, mean
from analysis.units import NONE


def arm(name: str, value: float | None, lo: float | None, hi: float | None, **more: Any) -> Meaning:
    asked = more.pop("asked", None)
    points = more.pop("points", ())
    return mean(answer(value, lo, hi, *points, arm=name, **more), asked)


# The ratio.


def test_the_ratio_of_two_by_hand() -> None:
    # Distances of ln 1.1 and ln 1.2: exp(hypot) = exp(0.2057) = 1.2284 below; ln 1.1 and ln 1.2 above as well.
    found = ratio(Figure(20.0, 20 / 1.1, 22.0), Figure(10.0, 10 / 1.2, 12.0))

    assert found.value == pytest.approx(2.0)
    assert found.lo == pytest.approx(2 / 1.2284, rel=1e-3)
    assert found.hi == pytest.approx(2 * 1.2284, rel=1e-3)


def test_an_end_that_nobody_knows_leaves_one_open() -> None:
    found = ratio(Figure(20.0, 18.0, None), Figure(10.0, 9.0, 11.0))

    assert found.hi is None
    assert found.lo is not None
    assert ratio(Figure(20.0, 18.0, 22.0), Figure(10.0, 9.0, None)).lo is None


def test_the_interval_of_a_ratio_holds_it_19_times_in_20() -> None:
    """Lognormal estimates of 12 and 10 with 4 and 7 %: 4,000 draws, standard error 0.3 points."""
    rng, z = np.random.default_rng(4), 1.96
    hits = 0
    for _ in range(4000):
        a, b = 12 * np.exp(rng.normal(0, 0.04)), 10 * np.exp(rng.normal(0, 0.07))
        spread = np.exp(z * 0.04), np.exp(z * 0.07)
        found = ratio(Figure(a, a / spread[0], a * spread[0]), Figure(b, b / spread[1], b * spread[1]))
        assert found.lo is not None
        assert found.hi is not None
        hits += found.lo <= 1.2 <= found.hi

    assert hits / 4000 == pytest.approx(0.95, abs=0.012)


@given(st.floats(0.1, 100), st.floats(1.001, 3), st.floats(0.1, 100), st.floats(1.001, 3))
def test_for_more_pairs_the_interval_is_wider(a: float, wide_a: float, b: float, wide_b: float) -> None:
    sides = Figure(a, a / wide_a, a * wide_a), Figure(b, b / wide_b, b * wide_b)
    one, ten = ratio(*sides), ratio(*sides, 10)

    assert one.lo is not None
    assert one.hi is not None
    assert ten.lo is not None
    assert ten.hi is not None
    assert ten.lo < one.lo < one.value < one.hi < ten.hi


# The ranking.


def test_only_sure_differences_are_ranked() -> None:
    found = beside([arm("slow", 5.0, 4.8, 5.2), arm("b", 9.8, 9.0, 10.6), arm("a", 10.0, 9.2, 10.8)])

    assert [row.arm for row in found.rows] == ["a", "b", "slow"]
    assert found.ranking[0].startswith("a carries 2.0 times (")
    assert found.ranking[1] == "a cannot be distinguished from b."
    assert found.ranking[2].startswith("b carries 2.0 times (")
    assert not found.notes


def test_what_has_no_capacity_comes_last_with_its_reason() -> None:
    found = beside([arm("dead", None, 0.0, 2.0, reason="every load broke it"), arm("a", 10.0, 9.0, 11.0)])

    assert [row.arm for row in found.rows] == ["a", "dead"]
    assert found.notes == ("dead has no capacity to compare: every load broke it.",)
    assert not found.ranking


def test_what_was_searched_otherwise_is_not_ranked() -> None:
    found = beside([arm("a", 10.0, 9.0, 11.0), arm("b", 40.0, 38.0, 42.0, mode="concurrency")])

    assert not found.ranking
    assert any("searched alike" in note for note in found.notes)


def test_other_work_other_promises_and_quotas_are_said() -> None:
    found = beside([
        arm("a", 10.0, 9.0, 11.0),
        arm("b", 5.0, 5.0, None, limited_by="quota", points=(point(5.0, output_tokens=300.0),)),
        arm("c", 4.0, 4.0, None, limited_by="most", objectives=("ttft_p95<1s",)),
    ])  # fmt: skip

    assert "b: this is the quota, not what the model could do." in found.notes
    assert "c: it carries at least that; the search ended before its limit." in found.notes
    assert any("100 against 300 tokens out" in note for note in found.notes)
    assert any("different objectives" in note for note in found.notes)
    # Of what carries at least 5/s nobody knows whether it carries less than 10/s.
    assert "a cannot be distinguished from b and c." in found.ranking


def test_the_table_has_machines_and_money() -> None:
    asked = Asked(peak_per_s=20.0, price_per_h=2.0, mean_per_s=5.0)
    tokens = point(10.0, cost_per_1k_good=1.5, cost_per_m_output=15.0)
    found = beside(
        [arm("own", 8.0, 7.5, 8.5, asked=asked), arm("api_a", 10.0, 9.0, 11.0, points=(tokens,), asked=Asked())]
    )
    first, second = map(cells, found.rows)

    assert first == ["api_a", "10.0 (9.0 to 11.0)", "ttft_p95<2s", NONE, "1.50 USD", "15.00 USD", NONE]
    assert second[3] == "5 at 50 %"
    assert second[6] == "7,300 USD"
    assert len(first) == len(COLUMNS)
    # 5 x 2 USD an hour are 1.89 requests a second at 1.47 USD for 1,000 of them.
    assert found.break_even[0].startswith("5 machines of own cost as much as api_a by its token prices at 1.89 ")
    assert "A month of machines" in found.notes[-1]
