"""The peak of a trace, and how bunched its arrivals are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.capacity.peak import peak


def minutes(*counts: int) -> np.ndarray:
    """So many arrivals in each minute, evenly spread; the first at its beginning."""
    return np.concatenate([60 * minute + np.linspace(0, 60, n, endpoint=False) for minute, n in enumerate(counts)])


def test_of_a_thousand_minutes_the_busiest_but_one_counts() -> None:
    # ceil(0.999 x 1000) = 999: the second greatest.
    counts = [10] * 997 + [600, 120, 30]
    found = peak(np.random.default_rng(1).permutation(minutes(*counts)))

    assert found is not None
    assert found.per_s == pytest.approx(2.0)
    assert found.minutes == 1000
    assert "99.9 %" in found.rule
    assert found.mean_per_s == pytest.approx(sum(counts) / 60_000, rel=1e-3)


def test_quiet_minutes_count() -> None:
    # Of 3,000 minutes 5 have 60 arrivals, one has 120 and 2,994 none: ceil(0.999 x 3000) = 2997, the fourth greatest.
    found = peak(minutes(60, 60, *[0] * 2000, 120, 60, 60, *[0] * 994, 60))

    assert found is not None
    assert (found.minutes, found.per_s) == pytest.approx((3000, 1.0))


def test_where_hardly_any_minute_has_an_arrival_the_busiest_counts() -> None:
    found = peak(np.array([0.0, 1.0, 119_999.0]))

    assert found is not None
    assert found.per_s == pytest.approx(2 / 60)
    assert found.rule == "the busiest minute of its 2,000"


def test_of_fewer_minutes_the_busiest_60_s_count_wherever_they_begin() -> None:
    # 30 arrivals from 90 s on and 30 from 120 s on: 60 within 60 s, though minutes 1 and 2 have 30 each.
    at = np.concatenate([[0.0], 90 + np.arange(30), 120 + np.arange(30), [600.0]])
    found = peak(at)

    assert found is not None
    assert found.per_s == pytest.approx(1.0)
    assert found.rule == "the busiest minute of its 11"


def test_a_trace_of_seconds_has_its_mean() -> None:
    found = peak(5.0 + np.arange(21) / 2)

    assert found is not None
    assert found.per_s == pytest.approx(2.0)
    assert "mean" in found.rule


@pytest.mark.parametrize("at", [[], [1.0], [3.0, 3.0, 3.0]])
def test_what_has_no_length_has_no_peak(at: list[float]) -> None:
    assert peak(np.array(at)) is None


@given(st.lists(st.floats(0, 5e4), min_size=2, max_size=60))
def test_the_peak_of_a_short_trace_is_never_below_that_of_any_whole_minute(at: list[float]) -> None:
    found, moments = peak(np.array(at)), np.sort(np.array(at))
    if found is not None and found.rule.startswith("the busiest"):
        whole = np.bincount(((moments - moments[0]) // 60).astype(int)).max()
        assert found.per_s * 60 >= whole - 1e-9


# How bunched.


@pytest.mark.parametrize("cv", [0.5, 1.0, 2.0, 4.0])
def test_the_variation_of_gamma_gaps_is_found(cv: float) -> None:
    gaps = np.random.default_rng(7).gamma(cv**-2, 0.1 * cv**2, 40_000)
    found = peak(np.cumsum(gaps))

    assert found is not None
    assert found.cv == pytest.approx(cv, rel=0.05)
    assert found.bunching == pytest.approx(cv, rel=0.05)
    assert found.advice == ("" if cv <= 1 else f"--arrivals gamma:{cv:.2g}")


def test_a_rate_that_follows_the_day_is_no_burst() -> None:
    """Poisson at 1/s and 20/s in turns: all gaps vary more than chance, neighbours don't."""
    rng = np.random.default_rng(3)
    gaps = np.concatenate([rng.exponential(1 / rate, 3000 * rate) for rate in (1, 20) * 3])
    found = peak(np.cumsum(gaps))

    assert found is not None
    assert found.cv is not None
    assert found.cv > 1.5
    assert found.bunching == pytest.approx(1.0, abs=0.03)
    assert not found.advice


def test_batches_at_one_instant_are_told_by_all_gaps() -> None:
    # 10 at a time: of 10 gaps 9 are 0, so that CV^2 = 10 (1 + 1) - 1 = 19 for exponential ones between.
    rng = np.random.default_rng(5)
    found = peak(np.repeat(np.cumsum(rng.exponential(1.0, 4000)), 10))

    assert found is not None
    assert found.bunching is None
    assert found.cv == pytest.approx(19**0.5, rel=0.05)
    assert found.advice == "--arrivals gamma:4.4"


def test_of_few_gaps_nothing_is_said() -> None:
    found = peak(np.cumsum(np.random.default_rng(1).exponential(1.0, 100)))

    assert found is not None
    assert (found.cv, found.bunching, found.advice) == (None, None, "")
