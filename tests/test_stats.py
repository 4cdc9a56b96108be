"""Statistics against hand-made cases, scipy, and their own promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from analysis import stats


@pytest.mark.parametrize(("p", "n"), [(0.5, 6), (0.9, 29), (0.95, 59), (0.99, 299), (0.999, 2995)])
def test_a_percentile_is_printed_from_the_certified_count_on(p: float, n: int) -> None:
    """0.9**29 = 0.0471, 0.9**28 = 0.0523; 2 * 0.5**6 = 0.03125, 2 * 0.5**5 = 0.0625; the others likewise."""
    assert stats.least_count(p) == n
    if p > 0.5:
        assert p**n <= 0.05 < p ** (n - 1)


@pytest.mark.parametrize(("p", "n"), [(0.9, 64), (0.95, 130), (0.99, 662), (0.999, 6636)])
def test_the_rough_mark_ends_at_mlperf_s_counts(p: float, n: int) -> None:
    """LoadGen's early stopping table at 99 % confidence with one value over."""
    assert stats.firm_count(p) == n


@given(st.integers(1, 3000), st.sampled_from(stats.LADDER))
def test_ranks_cover_95_percent_and_are_the_narrowest_that_do(n: int, p: float) -> None:
    """By scipy's binomial: P(l <= B <= u - 1) >= 0.95, each tail within 2.5 %, and one rank further in is not."""
    low, high = stats.quantile_ranks(n, p)
    count = scipy_stats.binom(n, p)

    assert count.cdf(low - 1) <= 0.025 + 1e-12
    assert count.sf(high - 1) <= 0.025 + 1e-12
    assert low == n + 1 or count.cdf(low) > 0.025 - 1e-12
    assert high == 0 or count.sf(high - 2) > 0.025 - 1e-12


@pytest.mark.parametrize(("p", "n"), [(0.95, 72), (0.99, 368), (0.999, 3688)])
def test_an_interval_is_bounded_above_from_its_own_count_on(p: float, n: int) -> None:
    """p**n <= 0.025: 0.95**72 = 0.0249."""
    assert stats.quantile_ranks(n, p)[1] == n
    assert stats.quantile_ranks(n - 1, p)[1] == n


def test_a_median_of_six_lies_between_the_ends() -> None:
    """At n = 6 the tails are 2 * 1/64 = 0.03125, so ranks 1 and 6."""
    (q,) = stats.quantiles(np.array([6.0, 1.0, 2.0, 3.0, 5.0, 4.0]), (0.5,))

    assert (q.value, q.lo, q.hi, q.is_rough) == (3.5, 1.0, 6.0, False)


def test_a_median_of_five_is_given_but_rough_and_without_interval() -> None:
    (q,) = stats.quantiles(np.arange(5.0), (0.5,))

    assert (q.value, q.lo, q.hi, q.is_rough) == (2.0, None, None, True)


def test_too_few_values_print_no_percentile() -> None:
    """58 values say nothing of p95, 59 do, roughly, and without an upper end (72 would be needed)."""
    (few,), (enough,) = (stats.quantiles(np.arange(float(n)), (0.95,)) for n in (58, 59))

    assert few.value is None
    assert few.needed == 59
    assert enough.value == pytest.approx(55.1)
    assert enough.is_rough
    assert enough.hi is None


def test_nothing_and_nan_are_no_values() -> None:
    (empty,) = stats.quantiles(np.array([]), (0.5,))
    (one,) = stats.quantiles(np.array([np.nan, 7.0]), (0.5,))

    assert (empty.value, empty.n) == (None, 0)
    assert (one.value, one.n) == (7.0, 1)


@given(st.lists(st.floats(0, 1e6), min_size=29, max_size=200), st.sampled_from((0.5, 0.9)))
def test_the_value_is_numpy_s_and_lies_in_its_interval(values: list[float], p: float) -> None:
    (q,) = stats.quantiles(np.array(values), (p,))

    assert q.value == pytest.approx(float(np.quantile(values, p)))
    assert q.value is not None
    assert q.lo is None or q.lo <= q.value
    assert q.hi is None or q.value <= q.hi


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """1,000 samples of 300 lognormal values: 95 % promised; 3 standard errors are 2 %."""
    rng = np.random.default_rng(1)
    truth = float(scipy_stats.lognorm(0.5).ppf(0.95))
    found = [stats.quantiles(rng.lognormal(0, 0.5, 300), (0.95,))[0] for _ in range(1000)]
    held = np.mean([(q.lo or 0) <= truth <= (q.hi or np.inf) for q in found])

    assert 0.93 <= held <= 0.985


@pytest.mark.parametrize(("n", "p"), [(0, 0.5), (28, 0.5), (29, 0.9), (160, 0.95), (299, 0.99), (10**6, 0.99)])
def test_the_highest_supported_percentile_follows_the_count(n: int, p: float) -> None:
    assert stats.highest_supported(n) == p


def test_the_band_of_a_whole_curve_is_massart_s() -> None:
    """sqrt(ln 40 / 200) = sqrt(3.68888 / 200)."""
    assert stats.dkw_halfwidth(100) == pytest.approx(0.135810, abs=1e-6)
