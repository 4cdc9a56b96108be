"""Figures from what was seen: their names, how they follow, and what is to be reached. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from benchmarks.truth import Row

    Array = NDArray[np.float64]

Seen = dict[str, float]
"""What one run gave: `name, unit` and the value."""

OTHER_EVENTS: Final = 3
"""Events of a stream besides its tokens: finish reason, usage, [DONE]."""

START_SAMPLES: Final = 2
"""Samples of the client, one a second, that are start-up."""


class Goal(NamedTuple):
    """What is to be reached: less than (<), at most (≤) or at least (≥) a value."""

    sign: str
    value: float

    def holds(self, value: float) -> bool:
        """Whether this value reaches it."""
        return {"<": value < self.value, "≤": value <= self.value, "≥": value >= self.value}[self.sign]


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table: the values of all repeats, and the goal where there is one."""

    case: str
    load: str
    name: str
    unit: str
    values: tuple[float, ...]
    goal: Goal | None

    @property
    def median(self) -> float:
        """Of the repeats."""
        return float(np.median(self.values))

    @property
    def reached(self) -> bool | None:
        """Whether the median reaches the goal; None without one."""
        return None if self.goal is None else self.goal.holds(self.median)


def spread(name: str, unit: str, values: Array, *, has_p50: bool = True) -> Seen:
    """Median, p99 and maximum of these values; nothing of none."""
    if not len(values):
        return {}
    p50, p99, most = np.quantile(values, (0.5, 0.99, 1.0))
    middle = {f"{name} p50, {unit}": float(p50)} if has_p50 else {}
    return middle | {f"{name} p99, {unit}": float(p99), f"{name} max, {unit}": float(most)}


def cpu_per_event_us(client: Mapping[str, Array], rows: Sequence[Row], until_s: float) -> tuple[float, float]:
    """
    CPU of the client per event, in microseconds, and its share of a core.

    Start-up and what comes after `until_s` are left out. Events are counted as any reader of the stream would: tokens,
    finish reason, usage and [DONE].
    """
    inside = client["t_ns"] <= 1e9 * until_s
    end_ns, cpu = client["t_ns"][inside], client["cpu"][inside]
    if len(end_ns) <= START_SAMPLES:
        return float("nan"), float("nan")
    used_s = np.diff(end_ns)[START_SAMPLES - 1 :] / 1e9 * cpu[START_SAMPLES:]
    from_ns, until_ns = end_ns[START_SAMPLES - 1], end_ns[-1]
    events = sum(_events(row, from_ns, until_ns) for row in rows)
    return float(1e6 * used_s.sum() / max(events, 1)), float(1e9 * used_s.sum() / (until_ns - from_ns))


def _events(row: Row, from_ns: float, until_ns: float) -> int:
    at = row.first_ns + np.concatenate(([0], 1000 * np.cumsum(row.gaps_us)))
    tokens = int(np.count_nonzero((at > from_ns) & (at <= until_ns)))
    return tokens + OTHER_EVENTS * (from_ns < row.end_ns <= until_ns)


def ratio(ours_us: float, limits_us: Sequence[float]) -> float:
    """Our cost to the limit client's, whose cost is the mean of its runs before and after ours."""
    return ours_us / float(np.mean(limits_us))


def steady_per_s(counts: Mapping[int, int]) -> float:
    """Requests a second, from counts by the second: the first two and the last one left out."""
    whole = range(min(counts) + START_SAMPLES, max(counts))
    return float(np.mean([counts.get(second, 0) for second in whole])) if whole else float("nan")


def memory_growth(client: Mapping[str, Array]) -> tuple[float, float]:
    """
    Resident memory in MB after the first minute and at the end, each the median of five samples.

    A run of less than two minutes is looked at from its middle on.
    """
    end_s, rss = client["t_ns"] / 1e9, client["rss_bytes"] / 1e6
    start = int(np.searchsorted(end_s, min(60.0, end_s[-1] / 2)))
    return float(np.median(rss[start : start + 5])), float(np.median(rss[-5:]))
