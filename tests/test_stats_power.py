"""Planning: against known tables, scipy, and simulated tests."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from analysis import stats


@pytest.mark.parametrize(
    ("effect", "power", "rho", "n"),
    [(0.5, 0.8, None, 64), (0.5, 0.9, None, 86), (0.8, 0.8, None, 26), (0.5, 0.8, 0.5, 34), (0.8, 0.9, 0.5, 19)],
)
def test_the_runs_needed_are_those_of_the_textbook(effect: float, power: float, rho: float | None, n: int) -> None:
    """Cohen 1988, tables 2.4.1, at 5 % two-sided; with rho 0.5 a difference within pairs has the sd of a side."""
    assert stats.runs_needed(effect, 1.0, 0.05, power, rho) == n


@pytest.mark.parametrize(
    ("p", "sd_run", "n_eff", "n"),
    [(0.5, 0.01, 500, 9), (0.5, 0.02, 500, 12), (0.99, 0.02, 500, 67), (0.99, 0.02, 2000, 20)],
)
def test_the_runs_that_find_five_percent(p: float, sd_run: float, n_eff: int, n: int) -> None:
    """Requests with a log-sd of 0.5; power 0.9 at 5 %: 2 ((1.96 + 1.2816) sd / ln 1.05)^2 + 1.96^2 / 4, rounded up."""
    sd = stats.sd_of_quantile(p, sd_run, 0.5, n_eff)

    assert math.ceil(2 * (3.2415 * sd / math.log(1.05)) ** 2 + 0.96) == n
    assert stats.runs_needed(math.log(1.05), sd, 0.05) == n


@pytest.mark.parametrize(("p", "n"), [(0.5, 634), (0.9, 1179), (0.95, 1802), (0.99, 5623), (0.999, 35_550)])
def test_the_requests_that_one_run_needs(p: float, n: int) -> None:
    """Within 5 % at 95 %, log-sd 0.5: the median's is (1.96 * 1.2533 * 0.5 / ln 1.05)^2 = 633.6."""
    assert stats.requests_needed(p, 0.5, math.log(1.05)) == n


@pytest.mark.parametrize(("p", "k"), [(0.5, 1.25), (0.9, 1.71), (0.95, 2.11), (0.99, 3.73), (0.999, 9.39)])
def test_a_quantile_is_less_certain_than_a_mean(p: float, k: float) -> None:
    assert stats.quantile_factor(p) == pytest.approx(k, abs=0.005)


def test_the_spread_of_a_quantile_by_simulation() -> None:
    """3,000 runs with an sd of 2 % and 1,000 requests each: sqrt(0.02^2 + (2.11 * 0.5)^2 / 1000) = 0.0389."""
    rng = np.random.default_rng(1)
    logs = np.quantile(rng.normal(0, 0.5, (3000, 1000)), 0.95, axis=1) + rng.normal(0, 0.02, 3000)

    assert stats.sd_of_quantile(0.95, 0.02, 0.5, 1000) == pytest.approx(0.0389, abs=1e-4)
    assert logs.std() == pytest.approx(0.0389, rel=0.06)


@given(st.integers(2, 60), st.integers(2, 60), st.floats(0, 6), st.sampled_from((0.05, 0.05 / 6)))
def test_power_is_that_of_the_noncentral_t(n_a: int, n_b: int, shift: float, alpha: float) -> None:
    df, effect = n_a + n_b - 2, shift * math.sqrt(1 / n_a + 1 / n_b)
    critical = scipy_stats.t.ppf(1 - alpha / 2, df)
    expected = scipy_stats.nct.sf(critical, df, shift) + np.nan_to_num(scipy_stats.nct.cdf(-critical, df, shift))

    assert stats.power(n_a, n_b, 1.0, effect, alpha) == pytest.approx(expected, abs=1e-7)
    assert stats.power(n_a, n_b, 1.0, -effect, alpha) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("rho", [None, 0.6])
def test_power_by_simulation(rho: float | None) -> None:
    """4,000 comparisons of 8 + 8 runs, sd 3 %, 5 % apart: the standard error is at most 0.8 %."""
    rng = np.random.default_rng(1)
    shared = rng.normal(size=(4000, 8)) * math.sqrt(rho or 0)
    a, b = (0.03 * (shared + math.sqrt(1 - (rho or 0)) * rng.normal(size=(4000, 8))) for _ in range(2))
    test = scipy_stats.ttest_ind if rho is None else scipy_stats.ttest_rel
    found = np.mean(test(a, b + 0.05, axis=1).pvalue < 0.05)

    assert stats.power(8, 8, 0.03, 0.05, 0.05, rho) == pytest.approx(found, abs=0.025)


@given(st.integers(2, 40), st.sampled_from((None, 0.0, 0.7)), st.sampled_from((0.05, 0.001)), st.floats(0.5, 0.99))
def test_what_is_detectable_is_found_with_that_power(n: int, rho: float | None, alpha: float, power: float) -> None:
    effect = stats.detectable(n, n, 0.02, alpha, power, rho)

    assert stats.power(n, n, 0.02, effect, alpha, rho) == pytest.approx(power, abs=1e-6)
    assert stats.detectable(n + 1, n + 1, 0.02, alpha, power, rho) < effect
    assert stats.detectable(n, n, 0.04, alpha, power, rho) == pytest.approx(2 * effect)


@given(st.floats(0.01, 0.3), st.sampled_from((None, 0.5)))
def test_the_runs_needed_are_the_least_that_do(effect: float, rho: float | None) -> None:
    n = stats.runs_needed(effect, 0.03, 0.01, 0.9, rho)

    assert n is not None
    assert n == stats.runs_needed(-effect, 0.03, 0.01, 0.9, rho)
    assert stats.power(n, n, 0.03, effect, 0.01, rho) >= 0.9 - 1e-9
    assert stats.power(n - 1, n - 1, 0.03, effect, 0.01, rho) < 0.9 + 1e-9


def test_nothing_is_never_found() -> None:
    assert stats.runs_needed(0.0, 0.03, 0.05) is None
    assert stats.runs_needed(0.001, 0.03, 0.05) is None
    assert stats.power(1, 1, 0.03, 0.05, 0.05) == 0
    assert stats.power(0, 5, 0.03, 0.05, 0.05) == 0
    assert math.isinf(stats.detectable(1, 1, 0.03, 0.05))


def test_without_spread_two_runs_are_enough() -> None:
    assert stats.runs_needed(0.05, 0.0, 0.05) == 2
    assert stats.power(2, 2, 0.0, 0.05, 0.05) == 1
    assert stats.power(2, 2, 0.0, 0.0, 0.05) == 0


def test_the_interval_of_a_spread_by_hand() -> None:
    """S^2 = 2.5, 4 degrees; chi^2 at 0.9 and 0.1 is 7.779440 and 1.063623: sqrt(10 / 7.779440), sqrt(10 / 1.063623)."""
    assert stats.sd_interval(np.arange(1.0, 6)) == pytest.approx((1.133773, 3.066231), rel=1e-5)
    assert stats.sd_interval(np.ones(1)) is None
