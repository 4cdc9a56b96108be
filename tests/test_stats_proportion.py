"""Shares against scipy and by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from analysis import stats


@given(st.integers(1, 3000), st.data(), st.sampled_from((0.8, 0.95, 0.99)))
def test_wilson_s_interval_is_scipy_s(n: int, data: st.DataObject, confidence: float) -> None:
    hits = data.draw(st.integers(0, n))
    expected = scipy_stats.binomtest(hits, n).proportion_ci(confidence, method="wilson")

    assert stats.wilson(hits, n, confidence) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_wilson_s_interval_by_hand() -> None:
    """
    8 of 10, z = 1.959964: middle 0.8 + 3.841459 / 20 = 0.992073, scale 1.384146.

    Half: 1.959964 sqrt(0.016 + 3.841459 / 400) = 0.313593; so 0.490162 and 0.943318.
    """
    assert stats.wilson(8, 10) == pytest.approx((0.490162, 0.943318), abs=1e-6)


def test_of_no_case_nothing_is_known() -> None:
    assert stats.wilson(0, 0) == (0, 1)
    assert stats.attains(0, 0, 0.9) == "undecided"


def test_the_ends_are_the_ends() -> None:
    assert stats.wilson(0, 50)[0] == 0
    assert stats.wilson(50, 50)[1] == 1


def test_a_smaller_effective_size_is_a_wider_interval() -> None:
    """A quarter of the cases: about twice the width."""
    whole, quarter = stats.wilson(9000, 10_000), stats.wilson(2250.0, 2500.0)

    assert (quarter[1] - quarter[0]) / (whole[1] - whole[0]) == pytest.approx(2, rel=0.01)


@given(st.integers(1, 2000), st.data(), st.sampled_from((0.5, 0.9, 0.99)))
def test_a_share_is_decided_by_the_exact_test(n: int, data: st.DataObject, p: float) -> None:
    hits = data.draw(st.integers(0, n))
    above, below = (scipy_stats.binomtest(hits, n, p, alternative=side).pvalue for side in ("greater", "less"))
    expected = "met" if above <= 0.05 else "missed" if below <= 0.05 else "undecided"

    assert min(abs(above - 0.05), abs(below - 0.05)) < 1e-9 or stats.attains(hits, n, p) == expected


@pytest.mark.parametrize(
    ("hits", "n", "p", "verdict"),
    [
        (299, 299, 0.99, "met"),
        (298, 298, 0.99, "undecided"),
        (0, 2, 0.5, "undecided"),
        (0, 5, 0.5, "missed"),
        (99, 100, 1.0, "missed"),
        (100, 100, 1.0, "undecided"),
    ],
)
def test_cases_by_hand(hits: int, n: int, p: float, verdict: str) -> None:
    """0.99**299 = 0.0495; 0.5**5 = 0.031, 0.5**2 = 0.25; one miss is too many where none may be, and none proves it."""
    assert stats.attains(hits, n, p) == verdict


@pytest.mark.parametrize(("share", "p", "n"), [(1.0, 0.99, 299), (1.0, 0.95, 59), (0.0, 0.5, 5), (0.9, 0.9, None)])
def test_how_many_would_decide(share: float, p: float, n: int | None) -> None:
    """As `least_count`; 0.5**5 = 0.031; at p itself no number does."""
    assert stats.attains_needs(share, p) == n


@given(st.floats(0, 1), st.sampled_from((0.5, 0.9, 0.99)))
def test_that_number_is_the_least(share: float, p: float) -> None:
    n = stats.attains_needs(share, p)

    assert n is None or stats.attains(share * n, n, p) == ("met" if share > p else "missed")
    assert n is None or stats.attains(share * (n - 1), n - 1, p) == "undecided"
    assert n is not None or abs(share - p) < 1e-4
