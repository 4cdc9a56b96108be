"""Where a share that falls with the load crosses what was promised."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from analysis.capacity.fit import crossing, smoothed


def shares(loads: np.ndarray, at: float, steepness: float, needed: float = 0.95) -> np.ndarray:
    return np.asarray(special.expit(special.logit(needed) - steepness * np.log(loads / at)))


@pytest.mark.parametrize(("at", "steepness"), [(6.0, 12.0), (300.0, 40.0), (0.2, 4.0)])
def test_shares_on_a_curve_give_the_curve_back(at: float, steepness: float) -> None:
    loads = at * np.array([0.5, 0.7, 0.85, 0.95, 1.05, 1.2, 1.5])
    n = np.full(7, 1e5)
    found = crossing(loads, shares(loads, at, steepness), n, n, 0.95)

    assert found is not None
    assert found.load == pytest.approx(at, rel=0.005)
    assert found.steepness == pytest.approx(steepness, rel=0.1)  # the grid of steepnesses steps by 7 %
    assert found.lo < at < found.hi
    assert found.share(np.array([found.load]))[0] == pytest.approx(0.95)


def test_without_a_probe_on_each_side_there_is_no_crossing() -> None:
    loads, n = np.array([1.0, 2.0, 4.0]), np.full(3, 100.0)

    assert crossing(loads, np.array([1.0, 1.0, 0.96]), n, n, 0.95) is None
    assert crossing(loads, np.array([0.9, 0.5, 0.1]), n, n, 0.95) is None


def test_all_or_nothing_leaves_the_whole_gap_open() -> None:
    found = crossing(
        np.array([1.0, 2.0, 4.0, 8.0]), np.array([1.0, 1.0, 0.0, 0.0]), np.full(4, 50.0), np.full(4, 50.0), 0.95
    )

    assert found is not None
    assert 2 < found.load < 4
    assert found.lo < 2.2
    assert found.hi > 3.2


def test_a_probe_that_saw_few_misses_is_worth_no_more_than_its_neighbours() -> None:
    # Two probes of one load: one saw a busy spell and seems to be worth 50 requests, one none and all of its 1,000.
    worth = smoothed(np.array([6.0, 6.0]), np.array([1000.0, 1000.0]), np.array([50.0, 1000.0]))

    assert worth[0] == worth[1]
    # Their dependences 20 and 1 meet in the geometric middle, sqrt(20): 1,000 / 4.47.
    assert worth[0] == pytest.approx(1000 / 20**0.5)


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_the_interval_holds_the_crossing_and_scaling_the_loads_scales_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    loads = np.sort(rng.uniform(3, 12, 8))
    hits = rng.binomial(400, shares(loads, 6.0, 10.0)) / 400
    n = np.full(8, 400.0)
    found, scaled = crossing(loads, hits, n, n, 0.95), crossing(10 * loads, hits, n, n, 0.95)

    assert (found is None) == (scaled is None)
    if found is not None and scaled is not None:
        assert found.lo <= found.load <= found.hi
        assert scaled.load == pytest.approx(10 * found.load)
        assert scaled.hi == pytest.approx(10 * found.hi)
        assert found.dispersion >= 1


@pytest.mark.slow
def test_its_interval_covers_at_its_level() -> None:
    """100 sets of 10 independent probes of 400 requests: the 95 % interval holds the truth in 93 % at least."""
    loads = 6.0 * np.array([0.6, 0.75, 0.9, 0.95, 1.0, 1.0, 1.05, 1.1, 1.25, 1.5])
    n, held, off = np.full(10, 400.0), 0, []
    for seed in range(100):
        hits = np.random.default_rng(seed).binomial(400, shares(loads, 6.0, 12.0)) / 400
        found = crossing(loads, hits, n, n, 0.95)
        assert found is not None
        held += found.lo <= 6.0 <= found.hi
        off.append(found.load / 6.0 - 1)

    assert held >= 93
    assert abs(float(np.mean(off))) < 0.005
