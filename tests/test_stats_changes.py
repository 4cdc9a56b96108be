"""Change points: planted ones are found, and stationary noise has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import stats
from analysis.stats.changes import _best

if TYPE_CHECKING:
    from numpy.typing import NDArray


def noise(seed: int, *levels: tuple[int, float]) -> NDArray[np.float64]:
    """Standard normal noise around levels, each (values, level)."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(level, 1, n) for n, level in levels])


@pytest.mark.parametrize(
    ("levels", "where"),
    [
        (((30, 0.0), (30, 4.0)), [30]),
        (((40, 0.0), (50, 4.0), (30, 0.0)), [40, 90]),
        (((20, 0.0), (8, 6.0), (30, 0.0)), [20, 28]),
        (((57, 0.0), (3, 8.0)), [57]),
        (((50, 0.0), (50, 5.0), (50, 0.0), (50, 5.0)), [50, 100, 150]),
        (((300, 0.0), (300, 3.0)), [300]),
    ],
)
def test_planted_steps_are_found(levels: tuple[tuple[int, float], ...], where: list[int]) -> None:
    """Each within one value of where it was put, in at least 27 of 30 series, and hardly another one beside them."""
    found = [[change.index for change in stats.change_points(noise(seed, *levels))] for seed in range(30)]
    right = [len(one) == len(where) and np.allclose(one, where, atol=1) for one in found]

    assert sum(right) >= 27


def test_stationary_noise_has_no_change() -> None:
    """1,000 series of 60 points: under 2 %."""
    assert np.mean([bool(stats.change_points(noise(seed, (60, 0.0)))) for seed in range(1000)]) < 0.02


def test_a_change_says_what_was_before_and_after() -> None:
    """Without noise: exactly, with a p of 0."""
    (up, down) = stats.change_points(np.repeat([1.0, 3.0, 2.0], 20))

    assert (up.index, up.before, up.after, up.p) == (20, 1, 3, 0)
    assert (down.index, down.before, down.after, down.p) == (40, 3, 2, 0)


def test_a_small_step_may_be_none() -> None:
    series = np.repeat([1.0, 3.0, 3.1], 20)

    assert [change.index for change in stats.change_points(series)] == [20, 40]
    assert [change.index for change in stats.change_points(series, least_effect=0.5)] == [20]
    assert stats.change_points(series, least_effect=5.0) == ()


def test_an_outlier_is_no_change() -> None:
    series = noise(1, (40, 0.0))
    series[20] = 50

    assert stats.change_points(series) == ()


@pytest.mark.parametrize("n", [0, 1, 2, 5, 60])
def test_a_constant_and_a_short_series_have_no_change(n: int) -> None:
    assert stats.change_points(np.full(n, 0.1)) == ()
    assert stats.change_points(np.arange(float(min(n, 5)))) == ()


def test_the_best_split_by_counting() -> None:
    """The energy distance written out with loops over every split and end."""
    values = noise(3, (6, 0.0), (7, 1.5))

    def energy(t: int, k: int) -> float:
        x, y = values[:t], values[t:k]
        between, left, right = (np.abs(np.subtract.outer(*two)).mean() for two in ((x, y), (x, x), (y, y)))
        return float(x.size * y.size / (x.size + y.size) * (2 * between - left - right))

    places = [(t, k) for t in range(3, 11) for k in range(t + 3, 14)]
    assert _best(values) == max(places, key=lambda place: energy(*place))


@given(st.integers(0, 200), st.sampled_from((0.001, 1000.0)), st.sampled_from((-7.0, 0.0, 90.0)))
def test_unit_and_origin_do_not_matter(seed: int, by: float, off: float) -> None:
    series = noise(seed, (25, 0.0), (15, 3.0))
    one, other = stats.change_points(series), stats.change_points(by * (series + off))

    assert [change.index for change in one] == [change.index for change in other]
    assert one == stats.change_points(series)
