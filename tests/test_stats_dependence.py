"""Effective sizes: by hand, and of series whose truth is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from autoregressive import ar1
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from analysis import stats
from analysis.stats.dependence import LONG, autocorrelation

if TYPE_CHECKING:
    from numpy.typing import NDArray


def test_a_case_by_hand() -> None:
    """
    Eight values of 1, then eight of -1: rho_k = (16 - 3 k) / 16, so 13/16, 10/16, and 7/16 is below 1.96 / 4.

    1 + 2 * 23/16 = 3.875.
    """
    values = np.repeat([1.0, -1.0], 8)

    assert autocorrelation(values[np.newaxis])[:4] == pytest.approx([1, 13 / 16, 10 / 16, 7 / 16])
    assert stats.effective_count(values) == pytest.approx(16 / 3.875)
    assert stats.effective_count(values > 0) == pytest.approx(16 / 3.875)


@pytest.mark.parametrize("phi", [0.3, 0.5])
def test_an_autoregressive_series_is_worth_what_theory_says(phi: float) -> None:
    """N (1 - phi) / (1 + phi) for a mean."""
    truth = 2000 * (1 - phi) / (1 + phi)
    found = np.array([stats.effective_count(x) for x in ar1(2000, phi, np.random.default_rng(1), 200)])

    assert np.mean(np.abs(found / truth - 1) < 0.25) >= 0.95
    assert np.median(found) == pytest.approx(truth, rel=0.1)


def test_independent_values_count_in_full() -> None:
    """Chance puts the first lag above its band in 2.5 % of series."""
    rng = np.random.default_rng(1)

    assert np.mean([stats.effective_count(rng.standard_normal(500)) == 500 for _ in range(300)]) >= 0.9


def test_a_long_series_is_judged_by_its_segments() -> None:
    (x,) = ar1(4 * LONG, 0.5, np.random.default_rng(1))

    assert stats.effective_count(x) == pytest.approx(4 * LONG / 3, rel=0.1)


@pytest.mark.parametrize("values", [np.full(50, 0.1), np.zeros(50), np.ones(50, dtype=bool), np.ones(1)])
def test_a_constant_counts_in_full(values: NDArray[np.float64]) -> None:
    assert stats.effective_count(values) == values.size


def test_nothing_counts_as_nothing() -> None:
    assert stats.effective_count(np.array([])) == 0


def test_values_that_alternate_are_no_more_than_they_are() -> None:
    assert stats.effective_count(np.tile([1.0, -1.0], 50)) == 100


@given(
    arrays.arrays(np.float64, st.integers(1, 60), elements=st.integers(-9, 9)), st.floats(0.01, 100), st.floats(-9, 9)
)
def test_the_unit_does_not_matter(values: NDArray[np.float64], by: float, off: float) -> None:
    found = stats.effective_count(values)

    assert 0 < found <= values.size
    assert stats.effective_count(values[::-1]) == pytest.approx(found)
    if abs(autocorrelation(values[np.newaxis])[1:] - 1.96 / np.sqrt(values.size)).min(initial=1) > 1e-9:
        assert stats.effective_count(values * by + off) == pytest.approx(found)


def test_a_few_hits_in_one_stretch_count_as_few() -> None:
    """
    7 hits among 640, all within 32 neighbours: counts 7, 0, .. 0 over 20 stretches of 32.

    c = 0.35, their variance 7^2 / 20 x 20/19 - 0.35^2 x 20/19 = 2.45; D = 2.45 / (32 p (1 - p)) with p = 7/640: 7.08.
    """
    hits = np.zeros(640, dtype=bool)
    hits[[320, 325, 331, 336, 340, 346, 351]] = True

    assert stats.effective_count(hits) == pytest.approx(640 / 7.08, rel=0.01)


def test_a_few_hits_by_chance_count_in_full() -> None:
    """1 series in 100 is taken for crowded, and in 6 two of the few hits are neighbours, which is beyond the band."""
    rng = np.random.default_rng(5)
    full = [stats.effective_count(rng.random(640) < 0.01) == 640 for _ in range(1000)]

    assert np.mean(full) > 0.9
