"""Many tests at once: p values adjusted so that their number makes no finding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray


def holm(ps: ArrayLike) -> NDArray[np.float64]:
    """
    P values adjusted so that a false finding among them all stays as rare as alpha.

    Of m, the i-th smallest is max over j <= i of (m - j + 1) p_j, at most 1. Order is kept; NaN stays and is no test.

    Source: Holm 1979.
    """
    return _adjusted(ps, _stepped_down)


def benjamini_hochberg(ps: ArrayLike) -> NDArray[np.float64]:
    """
    P values adjusted so that of what is found, a share of alpha is false.

    Of m, the i-th smallest is min over j >= i of m p_j / j, at most 1. Order is kept; NaN stays and is no test.

    Source: Benjamini & Hochberg 1995.
    """
    return _adjusted(ps, _stepped_up)


def _adjusted(ps: ArrayLike, step: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> NDArray[np.float64]:
    """Every known p by a step over them in ascending order."""
    adjusted = np.array(ps, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(adjusted))
    order = known[np.argsort(adjusted[known], kind="stable")]
    adjusted[order] = np.minimum(step(adjusted[order]), 1.0)
    return adjusted


def _stepped_down(ascending: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum.accumulate(np.arange(ascending.size, 0, -1) * ascending)


def _stepped_up(ascending: NDArray[np.float64]) -> NDArray[np.float64]:
    m = ascending.size
    return np.minimum.accumulate((m / np.arange(1, m + 1) * ascending)[::-1])[::-1]
