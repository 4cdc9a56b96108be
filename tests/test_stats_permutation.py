"""Exact tests against scipy, by counting, and by what they must not depend on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from analysis import stats

if TYPE_CHECKING:
    from random import Random

    from numpy.typing import NDArray

values = st.lists(st.integers(-50, 50).map(float), min_size=1, max_size=6).map(np.array)


@pytest.mark.parametrize(("n", "ways"), [(3, 20), (4, 70), (5, 252), (8, 12_870)])
def test_sides_that_do_not_overlap_have_the_least_p_there_is(n: int, ways: int) -> None:
    """Only that split and its mirror image differ as much: 2 of n over n/2 ways."""
    assert stats.permutation_p(np.arange(float(n)), np.arange(100.0, 100.0 + n)) == pytest.approx(2 / ways)


@pytest.mark.parametrize(("n", "p"), [(5, 0.0625), (6, 0.03125), (8, 0.0078125)])
def test_pairs_that_all_agree_have_the_least_p_there_is(n: int, p: float) -> None:
    """2 of 2**n."""
    assert stats.sign_flip_p(np.arange(1.0, n + 1)) == p


@pytest.mark.parametrize("seed", range(4))
def test_scipy_counts_the_same(seed: int) -> None:
    a, b = np.random.default_rng(seed).normal(size=(2, 6))
    split = scipy_stats.permutation_test((a, b), lambda x, y: np.mean(y) - np.mean(x), n_resamples=np.inf)
    flip = scipy_stats.permutation_test((b - a,), np.mean, permutation_type="samples", n_resamples=np.inf)

    assert stats.permutation_p(a, b) == pytest.approx(split.pvalue)
    assert stats.sign_flip_p(b - a) == pytest.approx(flip.pvalue)


@given(values, values, st.randoms(use_true_random=False), st.sampled_from((0.001, 1.0, 1e6)), st.integers(-9, 9))
def test_order_side_unit_and_origin_do_not_matter(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    random: Random,
    by: float,
    off: int,
) -> None:
    p = stats.permutation_p(a, b)
    shuffled = np.array(random.sample(list(a), a.size))

    assert 0 < p <= 1
    assert stats.permutation_p(by * (b + off), by * (shuffled + off)) == p
    assert stats.sign_flip_p(-by * a) == stats.sign_flip_p(a)


def test_ties_count_as_extreme() -> None:
    """0.1 + 0.2 is not 0.3 to a computer; all six splits of these have the same difference, 0 aside from rounding."""
    assert stats.permutation_p(np.array([0.1, 0.2]), np.array([0.3, 0.0])) == 1
    assert stats.permutation_p(np.ones(4), np.ones(3)) == 1
    assert stats.sign_flip_p(np.zeros(3)) == 1


def test_without_values_nothing_differs() -> None:
    assert stats.permutation_p(np.array([]), np.ones(3)) == 1
    assert stats.sign_flip_p(np.array([])) == 1


def test_many_values_are_drawn_and_nearly_exact() -> None:
    """Of 30 + 30 normal values the t test's p is right; 20,000 draws have a standard error of at most 0.0036."""
    a, b = np.random.default_rng(5).normal(size=(2, 30))
    two, one = scipy_stats.ttest_ind(a, b).pvalue, scipy_stats.ttest_1samp(b - a, 0).pvalue

    assert stats.permutation_p(a, b) == pytest.approx(two, abs=0.02)
    assert stats.sign_flip_p(b - a) == pytest.approx(one, abs=0.02)
    assert stats.permutation_p(a, b) == stats.permutation_p(a, b)
    assert stats.permutation_p(a, b + 100) == 1 / 20_001
