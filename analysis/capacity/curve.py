"""
Runs at several loads as one curve: what each load had on average, how sure that is, and which loads say nothing.

A load's number is the mean over its runs with the t interval of so many; of latencies and speeds on the log scale.
Only steady runs that are not invalid tell what the server does at a load: others are kept to be shown and never
averaged with them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np
from scipy import special

from analysis import stats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from analysis.capacity.point import Mode, Point, State

PLAIN: Final = (
    "offered_per_s", "achieved_per_s", "goodput_per_s", "attainment", "error_rate", "in_flight", "stay_s",
    "input_tokens_per_s", "output_tokens_per_s", "input_tokens", "output_tokens", "cost_per_1k_good",
    "cost_per_m_output",
)  # fmt: skip
SHARES: Final = ("attainment", "error_rate")
LATENCIES: Final = ("ttft", "tpot", "latency")
PERCENTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}

Standing: TypeAlias = "State | Literal['invalid']"
"""What a run, or a load, may be read as: its state, but `invalid` where it is steady and not to be believed."""

SPOILS: Final[tuple[Standing, ...]] = ("unstable", "failed", "quota")
"""What one run of a load is enough for, worst first; a run that its client spoiled is only left out."""


@dataclass(frozen=True, slots=True)
class Number:
    """The mean of a number over the runs of a load, with its 95 % interval; no interval of a single run. Base units."""

    value: float
    lo: float | None
    hi: float | None
    runs: int

    @property
    def halfwidth(self) -> float | None:
        """Of the interval, as a logarithm."""
        return None if self.lo is None or self.hi is None or self.lo <= 0 else math.log(self.hi / self.lo) / 2


@dataclass(frozen=True, slots=True)
class Level:
    """
    What the runs at one load say.

    Attributes:
        load: Arrivals per second, or users, as asked for.
        points: All its runs.
        state: `unstable`, `failed` or `quota` as soon as one of them is; else `steady` where more are steady than
            invalid; else `invalid` if any is; else `client`.
        why: Why it is not steady, as a clause; empty where it is, or nobody said.
        numbers: By name (`ttft_p95_s`, `achieved_per_s`), of the runs that are in this state; what is not known is not
            there, nor a percentile that all these runs together have too few requests for.
    """

    load: float
    points: tuple[Point, ...]
    state: Standing
    why: str
    numbers: Mapping[str, Number]

    @property
    def used(self) -> tuple[Point, ...]:
        """The runs that its numbers rest on."""
        return tuple(point for point in self.points if standing(point) == self.state)

    @property
    def is_steady(self) -> bool:
        """Whether it tells what the server does at this load."""
        return self.state == "steady"

    def value(self, name: str) -> float | None:
        """The mean of a number; None where it is not known."""
        number = self.numbers.get(name)
        return None if number is None else number.value

    def to_json(self) -> dict[str, Any]:
        """As plain values; every number is there, null where it is not known."""
        found = {name: self.numbers.get(name) for name in NAMES}
        return {
            "load": self.load,
            "state": self.state,
            "why": self.why,
            "verdicts": [point.verdict for point in self.points],
            "runs": [point.run for point in self.points],
            "runs_used": [point.run for point in self.used],
            "requests": sum(point.requests for point in self.used),
            "numbers": {
                name: None if one is None else {"value": one.value, "lo": one.lo, "hi": one.hi, "runs": one.runs}
                for name, one in found.items()
            },
        }


@dataclass(frozen=True, slots=True)
class Curve:
    """One arm's loads, ascending, all offered the same way."""

    arm: str
    mode: Mode
    levels: tuple[Level, ...]

    @property
    def steady(self) -> tuple[Level, ...]:
        """The loads that knee, scalability and frontier may read."""
        return tuple(level for level in self.levels if level.is_steady)

    @property
    def points(self) -> tuple[Point, ...]:
        """All runs, by load."""
        return tuple(point for level in self.levels for point in level.points)

    @property
    def is_promised(self) -> bool:
        """Whether its runs had objectives, so that goodput is more than what was answered."""
        return any(point.outcomes for point in self.points)

    @property
    def peak(self) -> Level | None:
        """The steady load with the greatest goodput."""
        known = [level for level in self.steady if level.value("goodput_per_s") is not None]
        return max(known, key=lambda level: level.numbers["goodput_per_s"].value, default=None)

    @property
    def unstable_from(self) -> float | None:
        """The lowest load at which the server's queue grew."""
        return min((level.load for level in self.levels if level.state == "unstable"), default=None)

    def series(self, name: str) -> tuple[list[Level], list[Number]]:
        """The steady loads that have a number, and the number at each."""
        have = [level for level in self.steady if name in level.numbers]
        return have, [level.numbers[name] for level in have]


def curves(points: Iterable[Point]) -> dict[str, Curve]:
    """Runs by arm, in order of appearance; an arm that was loaded both ways has a curve of each."""
    sorts: dict[tuple[str, Mode], list[Point]] = {}
    for point in points:
        sorts.setdefault((point.arm, point.mode), []).append(point)
    both = {arm for arm, mode in sorts if mode == "rate"} & {arm for arm, mode in sorts if mode == "concurrency"}
    return {
        f"{arm} by {mode}" if arm in both else arm: curve(arm, mode, mine) for (arm, mode), mine in sorts.items()
    }  # fmt: skip


def curve(arm: str, mode: Mode, points: Sequence[Point]) -> Curve:
    """The curve of the runs of one arm in one mode."""
    loads: dict[float, list[Point]] = {}
    for point in points:
        loads.setdefault(float(f"{point.load:.9g}"), []).append(point)
    return Curve(arm, mode, tuple(_level(load, tuple(loads[load])) for load in sorted(loads)))


def standing(point: Point) -> Standing:
    """What a run may be read as."""
    return "invalid" if point.state == "steady" and point.verdict == "invalid" else point.state


def _level(load: float, points: tuple[Point, ...]) -> Level:
    state = _state([standing(point) for point in points])
    used = [point for point in points if standing(point) == state]
    why = "" if state == "steady" else next((point.why for point in used if point.why), "")
    numbers = {name: number for name, of in NAMES.items() if (number := _number(name, of, used)) is not None}
    return Level(load, points, state, why, numbers)


def _state(states: Sequence[Standing]) -> Standing:
    spoilt = next((state for state in SPOILS if state in states), None)
    if spoilt is not None:
        return spoilt
    if states.count("steady") > states.count("invalid"):
        return "steady"
    return "invalid" if "invalid" in states else "client"


def _number(name: str, of: Callable[[Point], float | None], points: Sequence[Point]) -> Number | None:
    known = [(point, value) for point in points if (value := of(point)) is not None and math.isfinite(value)]
    p = PERCENTILES.get(name.split("_")[-2], 0.0) if name.endswith("_s") else 0.0
    if not known or (p and sum(_count(point, name) for point, _ in known) < stats.least_count(p)):
        return None
    values = np.array([value for _, value in known])
    if name in PLAIN:
        most = 1.0 if name in SHARES else math.inf
        return _mean(values, 0.0, most)
    return _mean(values[values > 0]) if np.any(values > 0) else None


def _count(point: Point, name: str) -> int:
    """Requests that a latency rests on: of `ttft_p95_s` those that had a TTFT."""
    return point.requests if point.counts is None else point.counts[LATENCIES.index(name.partition("_")[0])]


def _mean(values: np.ndarray[Any, Any], least: float | None = None, most: float = math.inf) -> Number:
    """Mean and t interval, on the log scale unless there are ends that the interval has to stay within."""
    logs = least is None
    scaled = np.log(values) if logs else values
    middle, n = float(scaled.mean()), int(values.size)
    if n < 2:
        return Number(float(values[0]), None, None, n)
    half = float(special.stdtrit(n - 1, (1 + stats.CONFIDENCE) / 2) * scaled.std(ddof=1) / math.sqrt(n))
    if least is None:
        return Number(math.exp(middle), math.exp(middle - half), math.exp(middle + half), n)
    return Number(middle, max(least, middle - half), min(most, middle + half), n)


def _plain(name: str) -> Callable[[Point], float | None]:
    return lambda point: getattr(point, name)


def _percentile(metric: str, place: int) -> Callable[[Point], float | None]:
    return lambda point: getattr(point, f"{metric}_s")[place]


NAMES: Final[dict[str, Callable[[Point], float | None]]] = (
    {name: _plain(name) for name in PLAIN}
    | {
        f"{metric}_{p}_s": _percentile(metric, place)
        for metric in LATENCIES
        for place, p in enumerate(PERCENTILES)
    }
    | {"user_tokens_per_s": _plain("user_tokens_per_s")}
)  # fmt: skip
"""Every number of a load by its name: latencies and a user's speed on the log scale, the others plain."""
