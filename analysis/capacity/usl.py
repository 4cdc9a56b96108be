"""
How throughput grows with requests in flight: Gunther's universal scalability law.

    X(N) = g N / (1 + a (N - 1) + b N (N - 1))

g is the throughput of one in flight, a the share of work that is done one after the other, b the cost of each pair in
flight. A closed loop gives (N, X) as it is; of an open loop the mean in flight and what was achieved are the same
curve, by Little's law. A server that batches saturates in steps, which no smooth law has: where the residuals are not
random, that is said.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from scipy import optimize, special

from analysis import stats

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.capacity.curve import Curve
    from analysis.capacity.point import Point

    Array = NDArray[np.float64]
    Interval = tuple[float | None, float | None]

PARAMETERS: Final = 3
LEAST: Final = PARAMETERS + 2
"""Steady loads."""

REACH: Final = 2.0
"""Times the most that was in flight: as far as the law is followed."""

CLOSE: Final = 0.03
"""Residuals below it are good enough for planning, whatever their order."""

ENDS: Final = ((1 - stats.CONFIDENCE) / 2, (1 + stats.CONFIDENCE) / 2)

WRONG: Final = 0.01
"""Chance of residuals like these, if the law were right, below which it is called wrong."""

WRONG_SIGNS: Final = 0.05
"""The same where each load has one run: eight signs in a row can never have a chance below 0.029."""

ROUNDS: Final = 3
"""Of weights: the fourth changes less than a thousandth of what runs differ by."""

DRAWS: Final = 1000
GRID: Final = 60

Shape = Literal["close", "random", "steps", "unknown"]


@dataclass(frozen=True, slots=True)
class Residual:
    """How far a load's runs were from the law on average, as a share of what the law says."""

    load: float
    in_flight: float
    achieved_per_s: float
    share: float


@dataclass(frozen=True, slots=True)
class Scaling:
    """
    The law fitted to a curve.

    Attributes:
        g, a, b: Its parameters; g in requests per second.
        g_range, a_range, b_range: Their 95 % intervals, by bootstrap.
        peak: N at which throughput is greatest, sqrt((1 - a) / b); None where that is beyond `REACH` times what was
            seen, or nowhere.
        peak_range: Its 95 % interval; None for an end that is beyond.
        most: The most that was in flight on average.
        band: Rows of (N, X, lower, upper), up to `most`, and to the peak where it is not much beyond.
        residuals: Of each load.
        shape: `close`: all within 3 %; `random`: no more than runs differ; `steps`: certainly not random;
            `unknown`: not close, and too few runs to tell.
    """

    g: float
    a: float
    b: float
    g_range: Interval
    a_range: Interval
    b_range: Interval
    peak: float | None
    peak_range: Interval
    most: float
    band: tuple[tuple[float, float, float, float], ...]
    residuals: tuple[Residual, ...]
    shape: Shape

    @property
    def worst(self) -> float:
        """The greatest residual of a load, as a share."""
        return max(abs(one.share) for one in self.residuals)

    def at(self, n: float) -> float | None:
        """Throughput with n in flight; None beyond `REACH` times what was seen."""
        return float(law(np.array([n]), self.g, self.a, self.b)[0]) if 0 < n <= REACH * self.most else None

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def law(n: Array, g: float, a: float, b: float) -> Array:
    """X(N), shape of n."""
    return np.asarray(g * n / (1 + a * (n - 1) + b * n * (n - 1)), dtype=np.float64)


def in_flight(point: Point) -> float:
    """N of a run: its mean, else the users of a closed loop; 0 where neither is known."""
    return point.in_flight or (point.load if point.mode == "concurrency" else 0.0)


def scaling(curve: Curve, draws: int = DRAWS, seed: int = 0) -> Scaling | str:
    """The law of a curve's steady loads, or why there is none."""
    runs = [
        (level.load, in_flight(point), point.achieved_per_s or 0.0) for level in curve.steady for point in level.used
    ]
    table = np.array([run for run in runs if run[1] > 0 and run[2] > 0], dtype=np.float64).reshape(-1, 3)
    loads = np.unique(table[:, 0])
    if loads.size < LEAST:
        return f"{loads.size} steady loads with a throughput; {LEAST} are needed"
    return _fitted(table, draws, seed)


def fit(n: Array, x: Array) -> tuple[float, float, float] | None:
    """
    g, a and b with the least sum of squared relative residuals, 0 <= a <= 1 and b >= 0; None where no g is finite.

    N / X is linear in (1 - a) / g, a / g and b / g, all of them 0 or more: a convex problem without a first guess,
    where a general fit of the law itself may stop short. It is solved anew with weights from the law found before, so
    that a run above the law counts as much as one below.

    Args:
        n: In flight, shape (k,), above 0.
        x: Throughput likewise.

    Source: Gunther 2007, "Guerrilla Capacity Planning", chapter 4; Lawson & Hanson 1974 (least squares without
    negative parts).
    """
    columns = np.column_stack([np.ones_like(n), n, n * (n - 1)])
    size = np.abs(columns).max(axis=0)
    weight = x / n
    for _ in range(ROUNDS):
        parts = optimize.nnls(columns / size * weight[:, None], weight * n / x)[0] / size
        weight = np.sqrt(x / n / np.maximum(columns @ parts, 1e-9 * n / x))
    start = float(parts[0] + parts[1])
    return (1 / start, float(parts[1]) / start, float(parts[2]) / start) if start > 0 else None


def _fitted(table: Array, draws: int, seed: int) -> Scaling | str:
    load, n, x = table.T
    found = fit(n, x)
    if found is None:
        return "throughput only falls with what is in flight"
    rest = x / law(n, *found) - 1
    drawn = _redrawn(table, found, draws, seed)
    most = float(n.max())
    peak = _peak(found[1], found[2], most)
    grid = np.geomspace(float(n.min()), max(most, peak or 0.0), GRID)
    low, high = np.quantile([law(grid, *one) for one in drawn], ENDS, axis=0)
    g_range, a_range, b_range = ((float(lo), float(hi)) for lo, hi in np.quantile(drawn, ENDS, axis=0).T)
    return Scaling(
        *found, g_range, a_range, b_range, peak, _peak_range(drawn, most), most,
        tuple(zip(*(side.tolist() for side in (grid, law(grid, *found), low, high)), strict=True)),
        _residuals(table, rest), _shape(load, rest),
    )  # fmt: skip


def _residuals(table: Array, rest: Array) -> tuple[Residual, ...]:
    found = []
    for load in np.unique(table[:, 0]):
        mine = table[:, 0] == load
        found.append(Residual(float(load), *(float(side[mine].mean()) for side in (table[:, 1], table[:, 2], rest))))
    return tuple(found)


# The band.


def _noise(load: Array, rest: Array) -> Array:
    """
    What runs differ by, to be drawn from: from their load's mean where it has several, else from the law.

    Each is taken further out for the means, or the parameters, that were fitted to it.
    """
    parts = []
    for one in np.unique(load):
        mine = rest[load == one]
        if mine.size > 1:
            parts.append((mine - mine.mean()) * math.sqrt(mine.size / (mine.size - 1)))
    if parts:
        return np.concatenate(parts)
    return np.asarray((rest - rest.mean()) * math.sqrt(rest.size / (rest.size - PARAMETERS)))


def _redrawn(table: Array, found: tuple[float, float, float], draws: int, seed: int) -> Array:
    """
    The parameters of runs drawn anew around the law, shape (draws, 3).

    How large the noise is is known from few runs only: each draw has a size of its own, as Student's t has.
    """
    load, n, x = table.T
    rest = np.log(x / law(n, *found))
    free = rest.size - np.unique(load).size or rest.size - PARAMETERS
    random = np.random.default_rng(seed)
    size = np.sqrt(free / random.chisquare(free, size=(draws, 1)))
    around = law(n, *found) * np.exp(size * random.choice(_noise(load, rest), size=(draws, rest.size)))
    again = (fit(n, one) for one in around)
    return np.array([one for one in again if one is not None] or [found])


def _peak(a: float, b: float, most: float) -> float | None:
    """sqrt((1 - a) / b), unless that is further out than the law is followed."""
    if b <= 0 or a >= 1:
        return None
    peak = math.sqrt((1 - a) / b)
    return peak if peak <= REACH * most else None


def _peak_range(drawn: Array, most: float) -> Interval:
    with np.errstate(divide="ignore", invalid="ignore"):
        peaks = np.sqrt(np.where(drawn[:, 2] > 0, (1 - drawn[:, 1]) / drawn[:, 2], np.inf))
    low, high = np.quantile(peaks, ENDS, method="nearest")
    return tuple(None if end > REACH * most else float(end) for end in (low, high))  # type: ignore[return-value]


# Is it the right law?


def _shape(load: Array, rest: Array) -> Shape:
    """Whether what is left over looks like noise."""
    means = np.array([rest[load == one].mean() for one in np.unique(load)])
    if np.abs(means).max() <= CLOSE:
        return "close"
    if rest.size > means.size:
        return "steps" if lack_of_fit(load, rest) < WRONG else "random"
    return "steps" if few_runs_of_signs(means) < WRONG_SIGNS else "unknown"


def lack_of_fit(load: Array, rest: Array) -> float:
    """The chance that loads' means are this far from the law if only runs differ: the F test of lack of fit."""
    loads = np.unique(load)
    inside = sum(float(((rest[load == one] - rest[load == one].mean()) ** 2).sum()) for one in loads)
    between = sum(float((load == one).sum() * rest[load == one].mean() ** 2) for one in loads)
    top, bottom = loads.size - PARAMETERS, rest.size - loads.size
    return float(special.fdtrc(top, bottom, between / top / max(inside / bottom, 1e-300)))


def few_runs_of_signs(values: Array) -> float:
    """The chance of so few changes of sign, or fewer, if the order meant nothing (Wald and Wolfowitz 1940, exact)."""
    above = values > 0
    p, q = int(above.sum()), int((~above).sum())
    seen = 1 + int(np.count_nonzero(above[1:] != above[:-1]))
    ways = 0
    for runs in range(2, seen + 1):
        half, odd = divmod(runs, 2)
        ways += (
            math.comb(p - 1, half) * math.comb(q - 1, half - 1) + math.comb(p - 1, half - 1) * math.comb(q - 1, half)
            if odd
            else 2 * math.comb(p - 1, half - 1) * math.comb(q - 1, half - 1)
        )
    return ways / math.comb(p + q, p) if p and q else 1.0
