"""Series whose neighbours are alike by a known measure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import signal

if TYPE_CHECKING:
    from numpy.typing import NDArray


def ar1(n: int, phi: float, rng: np.random.Generator, rows: int = 1) -> NDArray[np.float64]:
    """Rows of x_i = phi x_{i-1} + e_i, standard normal each; n are worth n (1 - phi) / (1 + phi). Shape (rows, n)."""
    noise = rng.standard_normal((rows, n))
    noise[:, 1:] *= math.sqrt(1 - phi**2)
    return np.asarray(signal.lfilter([1.0], [1.0, -phi], noise, axis=1), dtype=np.float64)
