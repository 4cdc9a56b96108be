"""Slopes: by hand, against scipy, and on series without one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from autoregressive import ar1
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from analysis import stats

T, Y = np.arange(4.0), np.array([0.0, 2.0, 1.0, 3.0])


def test_a_plain_slope_by_hand() -> None:
    """X^2 sums to 5, x y to 4; residuals -.3 .9 -.9 .3, their squares to 1.8: var = 1.8 / 2 / 5; t(2) = 4.302653."""
    found = stats.trend_plain(T, Y)

    assert found is not None
    assert (found.slope, found.t) == pytest.approx((0.8, 0.8 / math.sqrt(0.18)))
    assert (found.lo, found.hi) == pytest.approx((0.8 - 1.825461, 0.8 + 1.825461), rel=1e-5)


def test_newey_and_west_by_hand() -> None:
    """
    The lag is int(4 * 0.04^(2/9)) = 1, its weight 1/2. x e = .45 -.45 -.45 .45: g_0 = 0.81, g_1 = -0.2025.

    var = 4/2 * (0.81 + 2 * 0.5 * -0.2025) / 25 = 0.0486.
    """
    found = stats.trend(T, Y)

    assert found is not None
    assert (found.slope, found.t) == pytest.approx((0.8, 0.8 / math.sqrt(0.0486)))


@given(st.lists(st.integers(-100, 100), min_size=4, max_size=30))
def test_a_plain_slope_is_scipy_s(ys: list[int]) -> None:
    y = np.array(ys, dtype=np.float64)
    found, expected = stats.trend_plain(np.arange(y.size) / 7, y), scipy_stats.linregress(np.arange(y.size) / 7, y)

    assert found is not None
    assert found.slope == pytest.approx(expected.slope, abs=1e-9)
    if math.isfinite(found.t) and expected.stderr > 1e-9:
        assert found.t == pytest.approx(expected.slope / expected.stderr)


def test_dependence_fools_it_far_less() -> None:
    """600 series of 200 without a trend, phi 0.5, 5 % asked: the plain errors find one in 25 %."""
    series = ar1(200, 0.5, np.random.default_rng(1), 600)
    robust, plain = (
        np.mean([(one := test(np.arange(200.0), y)) is not None and not one.lo <= 0 <= one.hi for y in series])
        for test in (stats.trend, stats.trend_plain)
    )

    assert robust < 0.15
    assert plain > 0.2


@given(st.lists(st.integers(-100, 100), min_size=3, max_size=30), st.sampled_from((0.001, 7.0)), st.integers(-5, 5))
def test_units_and_origin_do_not_matter(ys: list[int], by: float, slope: int) -> None:
    y = np.array(ys, dtype=np.float64)
    t = np.arange(float(y.size))
    for test in (stats.trend, stats.trend_plain):
        one, other = test(t, y), test(t + 1000, by * (y + slope * t))

        assert one is not None
        assert other is not None
        assert other.slope == pytest.approx(by * (one.slope + slope), abs=1e-9)


def test_a_line_has_no_doubt() -> None:
    for y, t in ((2 * T, math.inf), (-2 * T, -math.inf), (0 * T, 0.0)):
        found = stats.trend(T, y)

        assert found is not None
        assert (found.lo, found.slope, found.hi, found.t) == (y[1], y[1], y[1], t)


def test_what_is_missing_is_left_out() -> None:
    y = np.array([np.nan, *Y, np.nan])

    assert stats.trend(np.arange(-1.0, 5), y) == stats.trend(T, Y)
    assert stats.trend(T, np.full(4, np.nan)) is None
    assert stats.trend(T[:2], Y[:2]) is None
    assert stats.trend(np.ones(4), Y) is None
