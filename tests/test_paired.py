"""Ratios of pairs: by hand, and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.paired import LEAST, paired


def test_a_case_by_hand() -> None:
    """
    Ratios 1.1, 1.0, 1.21 with x = ln 1.1: d = (x, 0, 2x), mean x, sd x, t(2) = 4.302653.

    exp(x) = 1.1; half = 4.302653 x / sqrt(3) = 2.484138 x, so 1.1 to the powers -1.484138 and 3.484138.
    """
    found = paired(np.array([2.0, 3.0, 1.0]), np.array([2.2, 3.0, 1.21]))

    assert found is not None
    assert found.n == 3
    assert found.ratio == pytest.approx(1.1)
    assert found.lo == pytest.approx(1.1**-1.484138, rel=1e-6)
    assert found.hi == pytest.approx(1.1**3.484138, rel=1e-6)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """
    2,000 draws of 8 blocks: a ratio of 1.05, 3 % of noise in each value, and a drift that both sides share.

    Of 95 % the standard error over 2,000 draws is 0.5 %: 93 to 97 % are four of them.
    """
    rng = np.random.default_rng(1)
    drift = 1.03 ** np.arange(8)
    covered = 0
    for _ in range(2000):
        a, b = (drift * rng.lognormal(math.log(value), 0.03, 8) for value in (0.2, 0.21))
        found = paired(a, b)
        assert found is not None
        covered += found.lo <= 1.05 <= found.hi

    assert 0.93 <= covered / 2000 <= 0.97


@given(st.lists(st.tuples(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6)), min_size=LEAST, max_size=20))
def test_the_other_way_round_is_the_inverse(pairs: list[tuple[float, float]]) -> None:
    values = np.array(pairs)
    one, other = paired(values[:, 0], values[:, 1]), paired(values[:, 1], values[:, 0])

    assert one is not None
    assert other is not None
    assert one.ratio * other.ratio == pytest.approx(1)
    assert one.lo <= one.ratio <= one.hi
    assert math.log(one.lo) == pytest.approx(-math.log(other.hi), abs=1e-6)


@pytest.mark.parametrize(("a", "b"), [([1.0, 1.0], [1.0, 2.0]), ([1.0, 1.0, 0.0], [1.0, 1.0, 1.0]), ([], [])])
def test_too_few_pairs_or_a_zero_have_no_ratio(a: list[float], b: list[float]) -> None:
    assert paired(np.array(a), np.array(b)) is None


def test_pairs_without_noise_have_no_width() -> None:
    found = paired(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]))

    assert found is not None
    assert (found.lo, found.ratio, found.hi) == pytest.approx((2, 2, 2))
