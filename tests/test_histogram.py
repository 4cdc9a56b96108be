"""Counts in narrow bins: what is at most a bound, percentiles within a bin's width, sums and differences."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests import histogram
from loadtests.exposed import TPOT_US, TTFT_US
from loadtests.histogram import EDGES_US, Bins, bin_of

S = 1_000_000_000
TIMES = st.lists(st.integers(0, 20_000 * S), min_size=1, max_size=80)


def counted(times_ns: list[int]) -> Bins:
    bins: Bins = {}
    for ns in times_ns:
        histogram.add(bins, {bin_of(ns): 1})
    return bins


def test_no_bin_is_wider_than_a_fortieth() -> None:
    """From 100 us on, 0.0205 / 0.02 at most; below, where bins are a few microseconds, by one of these."""
    assert all(b - a <= max(1, a / 40) for a, b in pairwise(EDGES_US))
    assert {10 ** (power + 1) for power in range(10)} <= set(EDGES_US)


def test_the_bounds_of_what_is_exposed_are_edges() -> None:
    assert {*TTFT_US, *TPOT_US} <= set(EDGES_US)


@given(TIMES, st.sampled_from(TTFT_US))
def test_what_is_at_most_a_bound_is_exact(times_ns: list[int], bound_us: int) -> None:
    expected = sum(ns <= 1000 * bound_us for ns in times_ns)

    assert histogram.at_most(counted(times_ns), [bound_us]) == [expected]


@given(st.lists(st.integers(100_000, 9000 * S), min_size=20, max_size=200), st.sampled_from([0.5, 0.95]))
def test_a_percentile_is_that_of_the_values_within_a_bin(times_ns: list[int], p: float) -> None:
    found = histogram.quantile_s(counted(times_ns), p)

    assert found == pytest.approx(sorted(times_ns)[round(p * (len(times_ns) - 1))] / 1e9, rel=0.0125)


@pytest.mark.parametrize(
    ("n", "p", "is_told"),
    [
        (0, 0.5, False), (1, 0.5, False), (2, 0.5, True), (19, 0.95, False), (20, 0.95, True), (99, 0.99, False),
        (100, 0.99, True),
    ],
)  # fmt: skip
def test_a_percentile_needs_a_value_beyond_it(n: int, p: float, *, is_told: bool) -> None:
    assert (histogram.quantile_s({500: n} if n else {}, p) is not None) == is_told


@given(TIMES, TIMES)
def test_what_was_counted_since_is_the_difference(before: list[int], after: list[int]) -> None:
    now = counted(before + after)

    assert histogram.since(now, counted(before)) == counted(after)
    assert histogram.of_flat(histogram.flat(now)) == now


@given(st.lists(st.integers(-(10**12), 10**12)))
def test_nothing_that_is_told_makes_a_percentile_stumble(told: list[int]) -> None:
    bins = histogram.of_flat(told)

    assert all(0 <= b <= len(EDGES_US) and count > 0 for b, count in bins.items())
    assert (histogram.quantile_s(bins, 0.5) is None) == (sum(bins.values()) < 2)
