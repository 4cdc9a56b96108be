"""Differences of two samples: by hand, against scipy, and by simulation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from analysis import stats

if TYPE_CHECKING:
    from numpy.typing import NDArray

samples = st.lists(st.integers(-100, 100).map(float), min_size=5, max_size=9).map(np.array)


def test_welch_by_hand() -> None:
    """
    Means 2 and 5; v_a = 1/3, v_b = 20/3/4 = 5/3, so se^2 = 2.

    df = 4 / ((1/9) / 2 + (25/9) / 3) = 4.07547.
    """
    found = stats.welch(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0, 8.0]))

    assert found is not None
    assert (found.estimate, found.se, found.df) == pytest.approx((3, math.sqrt(2), 4.07547), rel=1e-5)


@given(samples, samples)
def test_welch_is_scipy_s(a: NDArray[np.float64], b: NDArray[np.float64]) -> None:
    found = stats.welch(a, b)
    assert found is not None
    if found.se == 0:
        return
    expected = scipy_stats.ttest_ind(b, a, equal_var=False)
    interval = expected.confidence_interval(0.95)

    assert (found.p, found.df) == pytest.approx((expected.pvalue, expected.df))
    assert (found.lo, found.hi) == pytest.approx((interval.low, interval.high))


def test_pairs_by_hand() -> None:
    """D = (x, 0, 2x): mean x, sd x, t(2) = 4.302653, so x -+ 4.302653 x / sqrt(3) = x (1 -+ 2.484138)."""
    x = math.log(1.1)
    found = stats.paired(np.array([x, 0.0, 2 * x]))

    assert found is not None
    assert (found.estimate, found.df) == pytest.approx((x, 2))
    assert (found.lo / x, found.hi / x) == pytest.approx((-1.484138, 3.484138), rel=1e-6)


@given(samples)
def test_pairs_are_scipy_s(d: NDArray[np.float64]) -> None:
    found = stats.paired(d)
    assert found is not None
    if found.se == 0:
        return
    expected = scipy_stats.ttest_1samp(d, 0)
    interval = expected.confidence_interval(0.95)

    assert found.p == pytest.approx(expected.pvalue)
    assert (found.lo, found.hi) == pytest.approx((interval.low, interval.high))


def test_one_value_beside_its_past_by_hand() -> None:
    """A: mean 3, s^2 = 2.5; se^2 = 2.5 (1/5 + 1) = 3; t(4) = 2.776445, so 3 -+ 2.776445 * 1.732051."""
    found = stats.pooled(np.arange(1.0, 6), np.array([6.0]))

    assert found is not None
    assert (found.estimate, found.se, found.df) == pytest.approx((3, math.sqrt(3), 4))
    assert (found.lo, found.hi) == pytest.approx((3 - 4.808944, 3 + 4.808944), rel=1e-6)


@given(samples, samples)
def test_one_spread_for_both_is_scipy_s(a: NDArray[np.float64], b: NDArray[np.float64]) -> None:
    found = stats.pooled(a, b)
    assert found is not None
    if found.se > 0:
        assert found.p == pytest.approx(scipy_stats.ttest_ind(b, a).pvalue)


@given(samples, samples, st.sampled_from((0.001, 3.0, 1e6)), st.integers(-9, 9))
def test_the_other_way_round_is_the_opposite_in_any_unit(
    a: NDArray[np.float64], b: NDArray[np.float64], by: float, off: int
) -> None:
    for test in (stats.welch, stats.pooled):
        one, other = test(a, b), test(by * (b + off), by * (a + off))

        assert one is not None
        assert other is not None
        assert other.estimate == pytest.approx(-by * one.estimate)
        assert (other.lo, other.hi) == pytest.approx((-by * one.hi, -by * one.lo))
        assert other.p == pytest.approx(one.p)


@pytest.mark.parametrize(("sd_b", "n_b"), [(0.03, 5), (0.09, 8)])
def test_intervals_hold_the_truth_as_often_as_they_say(sd_b: float, n_b: int) -> None:
    """2,000 draws, 5 % between the sides: 93 to 97 % are four standard errors around 95 %."""
    rng = np.random.default_rng(1)
    found = [stats.welch(rng.normal(0, 0.03, 5), rng.normal(0.05, sd_b, n_b)) for _ in range(2000)]

    assert 0.93 <= np.mean([one is not None and one.lo <= 0.05 <= one.hi for one in found]) <= 0.97


def test_what_pairs_share_cancels() -> None:
    """2,000 draws of 8 pairs with a drift of 3 % from pair to pair, common to both sides."""
    rng = np.random.default_rng(1)
    drift = 0.03 * np.arange(8)
    found = [stats.paired((rng.normal(0.05, 0.03, 8) + drift) - (rng.normal(0, 0.03, 8) + drift)) for _ in range(2000)]

    assert 0.93 <= np.mean([one is not None and one.lo <= 0.05 <= one.hi for one in found]) <= 0.97
    assert np.mean([one is not None and one.hi - one.lo for one in found]) < 0.08


def test_without_spread_the_exact_test_decides() -> None:
    """5 + 5: 2 of 252 splits; 5 pairs: 2 of 32; 5 + 1: only the split that was seen, of 6. Equal sides: 1."""
    low, high = np.full(5, 1.0), np.full(5, 2.0)
    for found, p in (
        (stats.welch(low, high), 2 / 252),
        (stats.paired(high - low), 2 / 32),
        (stats.pooled(low, high[:1]), 1 / 6),
    ):
        assert found is not None
        assert (found.lo, found.estimate, found.hi, found.se) == (1, 1, 1, 0)
        assert found.p == pytest.approx(p)
    equal = stats.welch(low, low)
    assert equal is not None
    assert (equal.estimate, equal.p) == (0, 1)


def test_rounding_is_no_spread() -> None:
    """Ln 2 each, to the last digit or not."""
    found = stats.paired(np.log([2.0, 4.0, 6.0]) - np.log([1.0, 2.0, 3.0]))

    assert found is not None
    assert found.se == 0
    assert found.p == 0.25


def test_too_few_values_have_no_effect() -> None:
    assert stats.welch(np.ones(1), np.arange(5.0)) is None
    assert stats.paired(np.arange(2.0)) is None
    assert stats.pooled(np.arange(4.0), np.arange(5.0)) is None
    assert stats.pooled(np.arange(5.0), np.array([])) is None


def test_hodges_and_lehmann_by_hand() -> None:
    """Differences -2 -1 1 2 2 3; Walsh averages 1 1.5 2 3.5 4 6."""
    assert stats.hodges_lehmann(np.array([1.0, 2.0, 5.0]), np.array([3.0, 4.0])) == 1.5
    assert stats.hodges_lehmann_paired(np.array([1.0, 2.0, 6.0])) == 2.75


def test_superiority_by_hand() -> None:
    """Of six pairs, 2 > 1, 2 = 2 and 4 > 1, 2, 3: 4.5 of 6."""
    assert stats.superiority(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0])) == 0.75


@given(samples, samples)
def test_superiority_is_mann_and_whitney_s_u(a: NDArray[np.float64], b: NDArray[np.float64]) -> None:
    u = scipy_stats.mannwhitneyu(b, a, method="asymptotic").statistic

    assert stats.superiority(a, b) == pytest.approx(u / (a.size * b.size))
    assert stats.superiority(a, b) + stats.superiority(b, a) == pytest.approx(1)
    assert stats.hodges_lehmann(a, b) == -stats.hodges_lehmann(b, a)


def test_of_nothing_there_is_no_estimate() -> None:
    none = np.array([])

    assert math.isnan(stats.hodges_lehmann(none, none))
    assert math.isnan(stats.hodges_lehmann_paired(none))
    assert math.isnan(stats.superiority(none, none))
