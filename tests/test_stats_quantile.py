"""Quantiles against hand-made cases, scipy, and their own promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
from autoregressive import ar1
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


def test_what_never_came_is_above_all_that_did() -> None:
    """900 values and 100 that never came: the p90 lies at 899.1, between the last that came and infinity."""
    values = np.random.default_rng(1).permutation(np.append(np.arange(900.0), np.full(100, np.inf)))
    middle, ninety, high = stats.quantiles(values, (0.5, 0.9, 0.95))

    assert middle.value == 499.5
    assert (ninety.value, ninety.hi) == (np.inf, np.inf)
    assert ninety.lo is not None
    assert ninety.lo < 900
    assert high.value == np.inf


def test_too_few_values_print_no_percentile() -> None:
    """58 values say nothing of p95, 59 do, roughly, and without an upper end (72 would be needed)."""
    rng = np.random.default_rng(1)
    (few,), (enough,) = (stats.quantiles(rng.permutation(np.arange(float(n))), (0.95,)) for n in (58, 59))

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

    assert 0 < q.n_eff <= q.n == len(values)
    if q.value is None:
        assert q.n_eff < stats.least_count(p)
        return
    assert q.value == pytest.approx(float(np.quantile(values, p)))
    assert q.lo is None or q.lo <= q.value
    assert q.hi is None or q.value <= q.hi


@pytest.mark.parametrize(("phi", "low"), [(0.0, 0.93), (0.5, 0.92)])
@pytest.mark.parametrize("p", [0.5, 0.95, 0.99])
def test_intervals_hold_the_truth_as_often_as_they_say(p: float, phi: float, low: float) -> None:
    """600 series of 1,000 lognormal values, 95 % promised; below the least count there is no interval to be wrong."""
    truth = float(scipy_stats.lognorm(0.5).ppf(p))
    found = [stats.quantiles(np.exp(0.5 * x), (p,))[0] for x in ar1(1000, phi, np.random.default_rng(1), 600)]
    given_ones = [q for q in found if q.value is not None]
    held = np.mean([(q.lo or 0) <= truth <= (q.hi or np.inf) for q in given_ones])

    assert len(given_ones) > 590
    assert low <= held <= 0.99


def test_values_in_clusters_count_for_fewer() -> None:
    """
    160 of 16,000 values are slow. In runs of ten, rho_k of the indicator is about (10 - k) / 10: 1 + 2 * 4.5 = 10.

    So 16,000 values are worth 1,600: the interval is about sqrt(10) as wide in ranks, and more may lie below the bound.
    """
    rng = np.random.default_rng(1)
    values = np.linspace(1.0, 2.0, 16_000)
    (alone,) = stats.quantiles(rng.permutation(values), (0.99,))
    (together,) = stats.quantiles(rng.permutation(values.reshape(-1, 10)).ravel(), (0.99,))

    assert alone.n_eff == alone.n == 16_000
    assert together.n_eff == pytest.approx(1600, rel=0.1)
    assert alone.value == together.value
    widths = [q.hi - q.lo for q in (alone, together) if q.hi is not None and q.lo is not None]
    assert widths[1] / widths[0] == pytest.approx(math.sqrt(10), rel=0.15)
    assert together.certified is not None
    assert alone.certified is not None
    assert alone.value is not None
    assert together.certified > alone.certified > alone.value


def test_values_that_hang_together_bound_no_percentile() -> None:
    """400 values in one slope are far fewer than the 59 that a p95 needs: it is seen, rough and open above."""
    median, high = stats.quantiles(np.arange(400.0), (0.5, 0.95))

    assert high.value == pytest.approx(379.05)
    assert high.n_eff < 59
    assert (high.hi, high.certified, high.is_rough) == (None, None, True)
    assert median.value == 199.5
    assert median.is_rough


@pytest.mark.parametrize(
    ("n", "p", "allowed"),
    [(458, 0.99, None), (459, 0.99, 0), (661, 0.99, 0), (662, 0.99, 1), (64, 0.9, 1), (130, 0.95, 1), (6636, 0.999, 1)],
)
def test_early_stopping_allows_as_many_above_as_loadgen(n: int, p: float, allowed: int | None) -> None:
    """0.99**459 = 0.00992; and LoadGen's table of least counts with one above."""
    assert stats.allowed_above(n, p) == allowed


@given(st.integers(1, 20_000), st.sampled_from(stats.LADDER))
def test_one_more_above_would_not_be_certain(n: int, p: float) -> None:
    """By scipy's binomial: P(B <= t) <= 0.01 < P(B <= t + 1)."""
    count = scipy_stats.binom(n, 1 - p)
    allowed = stats.allowed_above(n, p)

    assert allowed is None or count.cdf(allowed) <= 0.01 + 1e-12
    assert count.cdf(0 if allowed is None else allowed + 1) > 0.01 - 1e-12


def test_a_certified_value_is_the_one_that_loadgen_reports() -> None:
    """Of 1,000 values t = 3: P(B <= 3) = 0.0101 > 0.01 >= P(B <= 2) = 0.0027; so t = 2, and the second largest."""
    values = np.random.default_rng(3).permutation(np.arange(1000.0))
    (q,) = stats.quantiles(values, (0.99,))

    assert q.n_eff == 1000
    assert q.certified == 998


@pytest.mark.parametrize("phi", [0.0, 0.5])
def test_a_certified_p99_is_above_the_truth(phi: float) -> None:
    """1,000 runs of 2,000 lognormal values, 99 % promised, 98 % asked."""
    truth = float(scipy_stats.lognorm(0.5).ppf(0.99))
    runs = np.exp(0.5 * ar1(2000, phi, np.random.default_rng(1), 1000))
    found = [stats.quantiles(values, (0.99,))[0].certified for values in runs]

    assert None not in found
    assert np.mean([one is not None and one >= truth for one in found]) >= 0.98


@pytest.mark.parametrize(("p", "n"), [(0.5, 6), (0.9, 10), (0.95, 20), (0.99, 100), (0.05, 20)])
def test_a_comparison_needs_one_value_beyond_the_quantile(p: float, n: int) -> None:
    assert stats.enough(p) == n


@pytest.mark.parametrize(("n", "p"), [(0, 0.5), (28, 0.5), (29, 0.9), (160, 0.95), (299, 0.99), (10**6, 0.99)])
def test_the_highest_supported_percentile_follows_the_count(n: int, p: float) -> None:
    assert stats.highest_supported(n) == p


def test_the_band_of_a_whole_curve_is_massart_s() -> None:
    """sqrt(ln 40 / 200) = sqrt(3.68888 / 200)."""
    assert stats.dkw_halfwidth(100) == pytest.approx(0.135810, abs=1e-6)
