"""How many replicas a peak needs, how busy they are then, and how far a load is from what one carries."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from analysis.capacity.figures import Figure

if TYPE_CHECKING:
    from analysis.capacity.carried import Carried

HEADROOM: Final = 0.25
"""Share of its capacity that a replica keeps free at the peak."""
GROWTH: Final = 0.0
FAILURES: Final = 1
"""Replicas that may be lost at the peak, where it takes more than one; a single one gets no second by itself."""


class SizingError(ValueError):
    """A number that nothing can be sized by: one line with the value and what is allowed."""


@dataclass(frozen=True, slots=True)
class Demand:
    """
    What has to be carried.

    Attributes:
        peak_per_s: Requests per second at the peak, today.
        growth: What will be added to it: 0.2 is 20 %.
        headroom: Share of each replica that stays free, 0 <= h < 1.
        failures: Replicas that may be lost at the peak; None: `FAILURES` where it takes more than one, else 0.

    Raises:
        SizingError: One of them is out of range.
    """

    peak_per_s: float
    growth: float = GROWTH
    headroom: float = HEADROOM
    failures: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.peak_per_s < math.inf:
            raise SizingError(f"peak {self.peak_per_s:g}/s isn't a finite rate above 0")
        if not -1 < self.growth < math.inf:
            raise SizingError(f"growth {self.growth:g} isn't above -1 and finite; 0.2 is 20 %")
        if not 0 <= self.headroom < 1:
            raise SizingError(f"headroom {self.headroom:g} isn't in [0, 1); 0.25 is a quarter kept free")
        if self.failures is not None and self.failures < 0:
            raise SizingError(f"failures {self.failures} isn't 0 or more")

    @property
    def grown_per_s(self) -> float:
        """The peak to size for."""
        return self.peak_per_s * (1 + self.growth)


@dataclass(frozen=True, slots=True)
class Sizing:
    """
    Replicas for a peak.

    Attributes:
        needed: Those that carry the grown peak within the headroom; `failures` more stand by.
        replicas: Both together.
        least, most: At the upper and the lower end of the capacity; None: that end is not known.
        busy: Share of what all replicas carry that the grown peak takes.
        busy_after: The same with `failures` of them gone.
    """

    demand: Demand
    needed: int
    failures: int
    replicas: int
    least: int | None
    most: int | None
    busy: float
    busy_after: float

    @property
    def shown(self) -> str:
        """5 (4 to 6); 5 where all ends agree; at most 5 where the capacity is more than was searched."""
        ends = {end for end in (self.least, self.most) if end is not None}
        if self.least is None:
            return f"at most {self.most if self.most is not None else self.replicas}"
        if self.most is None:
            return f"{self.replicas} (at least {self.least})"
        return f"{self.replicas}" if ends == {self.replicas} else f"{self.replicas} ({self.least} to {self.most})"

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "grown_per_s": self.demand.grown_per_s}


def size(demand: Demand, carried: Carried) -> Sizing:
    """
    Replicas = ceil(peak (1 + growth) / (C (1 - headroom))) + failures.

    The spare ones are settled by the value of C, so that the interval speaks of what has to be carried alone.
    """
    per_s = carried.per_s
    needed = _needed(demand, per_s.value)
    failures = (FAILURES if needed > 1 else 0) if demand.failures is None else demand.failures
    least, most = (None if not end else _needed(demand, end) + failures for end in (per_s.hi, per_s.lo))
    share = demand.grown_per_s / per_s.value
    return Sizing(demand, needed, failures, needed + failures, least, most, share / (needed + failures), share / needed)


def _needed(demand: Demand, per_s: float) -> int:
    # What is whole but for the last bit is whole: 3.3 / 1.1.
    return max(1, math.ceil(demand.grown_per_s / (per_s * (1 - demand.headroom)) * (1 - 1e-12)))


@dataclass(frozen=True, slots=True)
class Room:
    """
    How far a load is from the capacity of so many replicas.

    Attributes:
        load_per_s: Requests per second, of all replicas.
        free: (C - load) / C: below 0 where the load is beyond it.
        knee_per_s: The rate, of all replicas, from which on waiting grows out of proportion; None: not known.
    """

    load_per_s: float
    replicas: int
    free: Figure
    knee_per_s: float | None = None

    @property
    def past_knee(self) -> bool | None:
        """None without a knee."""
        return None if self.knee_per_s is None else self.load_per_s > self.knee_per_s

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "past_knee": self.past_knee}


def room(load_per_s: float, carried: Carried, replicas: int = 1, knee_per_s: float | None = None) -> Room:
    """
    The room that a load leaves.

    Args:
        load_per_s: Requests per second, of all replicas.
        carried: What one replica carries.
        replicas: That share the load evenly.
        knee_per_s: Of one replica.
    """
    if not (0 < load_per_s < math.inf and replicas >= 1):
        raise SizingError(f"load {load_per_s:g}/s on {replicas} replicas isn't a finite rate above 0 on 1 or more")
    each, per_s = load_per_s / replicas, carried.per_s
    value, lo, hi = (None if not end else 1 - each / end for end in (per_s.value, per_s.lo, per_s.hi))
    assert value is not None, "a capacity of 0 is none"
    return Room(load_per_s, replicas, Figure(value, lo, hi), None if knee_per_s is None else knee_per_s * replicas)
