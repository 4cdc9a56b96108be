"""Exact tests: how many of all ways to deal out the values differ as much as the one that was seen."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import chain, combinations
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST: Final = 200_000
"""Ways up to which all are looked at."""
DRAWS: Final = 20_000
SEED: Final = 0
BATCH: Final = 2**21
"""Values drawn at a time."""


def permutation_p(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """
    Two-sided p of the difference of means, over all ways to split the values into sides of these sizes.

    Up to 200,000 ways exactly; beyond by 20,000 seeded draws, (1 + as extreme) / (1 + draws). 1 where a side is empty.

    Args:
        a: One side's values, shape (n,).
        b: The other's; the sides may swap.

    Source: Fisher 1935; Phipson & Smyth 2010 for the 1 that is added.
    """
    values = np.concatenate([a, b])
    if not a.size or not b.size:
        return 1.0
    values = values - values.mean()
    seen = abs(float(values[: a.size].sum())) - _slack(values)
    if math.comb(values.size, a.size) <= MOST:
        return float(np.mean(np.abs(values[_splits(values.size, a.size)].sum(axis=1)) >= seen))
    rng = np.random.default_rng(SEED)
    extreme = sum(
        int((np.abs(rng.permuted(np.tile(values, (draws, 1)), axis=1)[:, : a.size].sum(axis=1)) >= seen).sum())
        for draws in _batches(values.size)
    )
    return (1 + extreme) / (1 + DRAWS)


def sign_flip_p(d: NDArray[np.float64]) -> float:
    """
    Two-sided p of the mean of differences, over all ways to swap the sides within pairs.

    Up to 200,000 ways (17 pairs) exactly; beyond by 20,000 seeded draws, (1 + as extreme) / (1 + draws).

    Args:
        d: One difference per pair, shape (n,). 1 where there is none.
    """
    seen = abs(float(d.sum())) - _slack(d)
    if 2**d.size <= MOST:
        sums = np.zeros(1)
        for one in d:
            sums = np.concatenate([sums + one, sums - one])
        return float(np.mean(np.abs(sums) >= seen))
    rng = np.random.default_rng(SEED)
    extreme = sum(
        int((np.abs(rng.choice((-1.0, 1.0), (draws, d.size)) @ d) >= seen).sum()) for draws in _batches(d.size)
    )
    return (1 + extreme) / (1 + DRAWS)


def _slack(values: NDArray[np.float64]) -> float:
    """What rounding may take off a sum of these values: ways that tie must count as extreme."""
    return 1e-12 * float(np.abs(values).sum())


@lru_cache(maxsize=8)
def _splits(n: int, k: int) -> NDArray[np.uint8]:
    """Every choice of k of n places, shape (ways, k)."""
    places = chain.from_iterable(combinations(range(n), k))
    return np.fromiter(places, dtype=np.uint8, count=math.comb(n, k) * k).reshape(-1, k)


def _batches(n: int) -> list[int]:
    """`DRAWS` as numbers of draws of n values that fit into memory."""
    most = max(1, BATCH // n)
    return [min(most, DRAWS - done) for done in range(0, DRAWS, most)]
