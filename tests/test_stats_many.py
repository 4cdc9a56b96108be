"""Adjusted p values: by hand, against scipy, and by their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from analysis import stats

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

some = st.lists(st.floats(0, 1), min_size=1, max_size=20)


def test_holm_by_hand() -> None:
    """In order 4 * 0.005, 3 * 0.01, 2 * 0.03, 1 * 0.04, and none below the one before."""
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_benjamini_and_hochberg_by_hand() -> None:
    """In order 4/1 * 0.005, 4/2 * 0.01, 4/3 * 0.03, 4/4 * 0.04."""
    assert stats.benjamini_hochberg([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.02, 0.04, 0.04, 0.02])


@given(some)
def test_benjamini_and_hochberg_are_scipy_s(ps: list[float]) -> None:
    assert stats.benjamini_hochberg(ps) == pytest.approx(scipy_stats.false_discovery_control(ps))


@given(some)
def test_adjusted_they_are_larger_in_the_same_order_and_holm_is_the_stricter(ps: list[float]) -> None:
    raw, strict, loose = np.array(ps), stats.holm(ps), stats.benjamini_hochberg(ps)
    order = np.argsort(raw)

    assert np.all(raw <= loose + 1e-12)
    assert np.all(loose <= strict + 1e-12)
    assert np.all(np.diff(strict[order]) >= 0)
    assert np.all(strict <= np.minimum(1, raw.size * raw) + 1e-12)


@pytest.mark.parametrize("adjust", [stats.holm, stats.benjamini_hochberg])
def test_what_was_not_tested_stays_and_is_not_counted(adjust: Callable[[list[float]], NDArray[np.float64]]) -> None:
    with_gap, without = adjust([0.01, np.nan, 0.02]), adjust([0.01, 0.02])

    assert np.isnan(with_gap[1])
    assert list(with_gap[[0, 2]]) == list(without)
    assert adjust([]).size == 0


def test_holm_keeps_false_findings_rare() -> None:
    """2,000 families of six true nulls at 5 %: the standard error is 0.5 %."""
    families = np.random.default_rng(1).uniform(size=(2000, 6))

    assert np.mean([stats.holm(ps).min() < 0.05 for ps in families]) == pytest.approx(0.05, abs=0.015)
