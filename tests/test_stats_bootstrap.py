"""Bootstrap intervals of ratios: their coverage, and what they must not depend on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from autoregressive import ar1

from analysis import stats

if TYPE_CHECKING:
    from numpy.typing import NDArray


def units(n: int, phi: float, seed: int, rows: int = 1) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows of tokens and seconds, say, whose ratio is 0.3 exp(0.3^2 / 2) in truth; shapes (rows, n)."""
    rng = np.random.default_rng(seed)
    den = 1 + rng.poisson(20, (rows, n)).astype(np.float64)
    return np.asarray(den * 0.3 * np.exp(0.3 * ar1(n, phi, rng, rows)), dtype=np.float64), den


@pytest.mark.parametrize(("n", "phi"), [(30, 0.0), (120, 0.5), (600, 0.8), (3000, 0.5)])
def test_intervals_hold_the_truth_as_often_as_they_say(n: int, phi: float) -> None:
    num, den = units(n, phi, 1, 300)
    truth = 0.3 * math.exp(0.045)
    found = [stats.ratio_interval(*one, draws=800) for one in zip(num, den, strict=True)]

    assert 0.90 <= np.mean([one is not None and one[0] <= truth <= one[1] for one in found]) <= 0.98


def test_of_independent_units_it_is_as_wide_as_the_normal_interval() -> None:
    """
    Half the width is z se, with se^2 = sum (num - r den)^2 / (sum den)^2.

    The t factor of 1000 / 10 = 100 blocks makes it 1.0133 sqrt(100 / 99) = 1.018 times that.
    """
    (num,), (den,) = units(1000, 0.0, 4)
    ratio = num.sum() / den.sum()
    se = math.sqrt(np.square(num - ratio * den).sum()) / den.sum()
    found = stats.ratio_interval(num, den, draws=20_000)

    assert found is not None
    assert (found[1] - found[0]) / 2 == pytest.approx(1.018 * 1.959964 * se, rel=0.05)
    assert sum(found) / 2 == pytest.approx(ratio, rel=0.002)


def test_dependence_widens_it() -> None:
    """Blocks of one unit take neighbours as independent."""
    (num,), (den,) = units(1000, 0.8, 1)
    alone, together = (stats.ratio_interval(num, den, block) for block in (1, None))

    assert alone is not None
    assert together is not None
    assert together[1] - together[0] > 2 * (alone[1] - alone[0])


def test_the_same_data_give_the_same_interval_in_any_unit() -> None:
    (num,), (den,) = units(200, 0.5, 1)
    first, again, other = (stats.ratio_interval(num * by, den) for by in (1, 1, 1000))

    assert first is not None
    assert first == again
    assert other == pytest.approx([1000 * end for end in first])
    assert stats.ratio_interval(num, den, seed=1) != first


def test_a_constant_ratio_has_no_width() -> None:
    den = np.arange(1.0, 5001)

    assert stats.ratio_interval(0.25 * den, den) == pytest.approx((0.25, 0.25))
    assert stats.ratio_interval(0 * den, den) == (0, 0)


@pytest.mark.parametrize(
    "den",
    [np.ones(9), np.zeros(20), np.eye(20)[3]],
    ids=["nine units", "nothing to divide by", "draws without anything to divide by"],
)
def test_there_may_be_no_interval(den: NDArray[np.float64]) -> None:
    assert stats.ratio_interval(np.ones(den.size), den) is None
