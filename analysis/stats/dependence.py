"""How many independent values a series in time order is worth: neighbours that are alike say less."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONG: Final = 2**15
"""Values up to which a series is looked at whole."""
SEGMENTS: Final = 16
SEGMENT: Final = LONG // SEGMENTS
STRETCHES: Final = 20
FEW: Final = 64
"""So many hits, or fewer, are looked at for crowding."""


def effective_count(values: NDArray[Any]) -> float:
    """
    The size of an independent sample whose mean would be known as well: n / (1 + 2 sum rho_k).

    The sum runs up to the first lag whose autocorrelation is below 1.96 / sqrt(n); a series longer than `LONG` is
    judged by 16 segments spread evenly over it. Of few hits among booleans the correlogram sees little: where they
    crowd in some of 20 stretches of time more than 1 series in 100 would by chance, their dispersion counts if greater.

    Args:
        values: In time order, shape (n,), floats or booleans, without NaN.

    Returns:
        At most n; n where all values are equal.

    Source: Geyer 1992, section 3.3 (initial sequences); the lag at which to stop is that of the correlogram's band.
    """
    if not values.size:
        return 0.0
    crowded = crowding(values) if values.dtype == np.bool_ else 1.0
    return values.size / max(inflation(segments(values)), crowded)


def crowding(hits: NDArray[np.bool_]) -> float:
    """
    How much more the numbers of hits in 20 stretches vary than those of independent ones; 1 where that may be chance.

    D = sum (c_j - c)^2 / ((k - 1) c (1 - p)), (k - 1) D ~ chi^2(k - 1); 1 for many hits, which the correlogram tells.

    Source: index of dispersion, Cox & Lewis, The Statistical Analysis of Series of Events, section 6.3.
    """
    n, few = hits.size, min(int(hits.sum()), int(hits.size - hits.sum()))
    if n < 5 * STRETCHES or not 2 <= few <= FEW:
        return 1.0
    counts = np.add.reduceat(hits, np.linspace(0, n, STRETCHES, endpoint=False).astype(np.int64), dtype=np.float64)
    expected = n / STRETCHES * float(hits.mean()) * (1 - float(hits.mean()))
    dispersion = float(counts.var(ddof=1)) / expected
    return dispersion if dispersion * (STRETCHES - 1) > special.chdtri(STRETCHES - 1, 0.01) else 1.0


def segments(values: NDArray[Any]) -> NDArray[Any]:
    """A series as one row, a long one as 16 rows of 8,192 values, from its first to its last; shape (rows, length)."""
    if values.size <= LONG:
        return values[np.newaxis]
    starts = np.linspace(0, values.size - SEGMENT, SEGMENTS).astype(np.int64)
    return np.stack([values[start : start + SEGMENT] for start in starts])


def inflation(rows: NDArray[Any]) -> float:
    """
    What dependence multiplies the variance of a mean by: 1 + 2 sum rho_k, at least 1.

    Args:
        rows: Segments of one series, shape (rows, length); their autocovariances are added up.
    """
    rho = autocorrelation(rows)
    below = rho < 1.96 / math.sqrt(rows.size)
    first = int(np.argmax(below)) if below.any() else rho.size
    return 1.0 + 2.0 * float(rho[1:first].sum())


def autocorrelation(rows: NDArray[Any]) -> NDArray[np.float64]:
    """
    Autocorrelations of lags 0 to length - 1, the segments taken together; all 0 for a constant.

    rho_k = sum_i (x_i - m)(x_{i + k} - m) / sum_i (x_i - m)^2 with m the mean of all, by the fast Fourier transform.
    """
    centred = rows - rows.mean(dtype=np.float64)
    length = rows.shape[1]
    size = 1 << (2 * length - 1).bit_length()
    power = np.abs(np.fft.rfft(centred, size)) ** 2
    covariance = np.fft.irfft(power.sum(axis=0), size)[:length]
    if covariance[0] <= 1e-20 * max(1.0, float(np.square(rows, dtype=np.float64).sum())):
        return np.zeros(length)
    return np.asarray(covariance / covariance[0])
