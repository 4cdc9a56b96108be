"""
Figures while a run is on: what a worker tells the parent twice a second, small enough to cost the timed path nothing.

The parent never sees a record before the run is over; it sees these counts, all since the run's start, so that a status
that was dropped takes nothing along. Times are counts in the bins of `histogram`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from loadtests import histogram
from loadtests.hopeless import Misses, tpot_s, ttft_s
from loadtests.record import ERROR_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from loadtests.engine import Engine
    from loadtests.record import Record

HEALTH: Final = ("cpu", "hub_lag_us", "wake_lag_p99_us", "send_lag_p99_us", "send_lag_max_us", "rss_bytes")
"""Of the last second's sample of a process, what is told."""

OTHER: Final = "other"
KINDS: Final = frozenset({*ERROR_KINDS, OTHER})
"""Of errors: a closed list, so that no worker's word can grow it."""


@dataclass(slots=True)
class Side:
    """
    The counts of one arm, or of several together, since the run's start.

    Attributes:
        kinds: Errors by their kind.
        ttft, tpot: Counts of times by the number of their bin; ttft_s, tpot_s: the sums of those times, in seconds.
    """

    ok: int = 0
    errors: int = 0
    cancelled: int = 0
    unsent: int = 0
    output_tokens: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    ttft: histogram.Bins = field(default_factory=dict)
    tpot: histogram.Bins = field(default_factory=dict)
    ttft_s: float = 0.0
    tpot_s: float = 0.0

    @property
    def done(self) -> int:
        """Requests that were sent and are over."""
        return self.ok + self.errors + self.cancelled

    def add(self, record: Record) -> None:
        """Count one finished record."""
        if record.outcome == "ok":
            self.ok += 1
        elif record.outcome == "error":
            self.errors += 1
            kind = record.error_kind or OTHER
            self.kinds[kind] = self.kinds.get(kind, 0) + 1
        elif record.outcome == "cancelled":
            self.cancelled += 1
        else:
            self.unsent += 1
        self.output_tokens += record.output_tokens or 0
        if (ttft := ttft_s(record)) is not None:
            self.ttft_s += ttft
            _count(self.ttft, ttft)
        if (tpot := tpot_s(record)) is not None:
            self.tpot_s += tpot
            _count(self.tpot, tpot)

    def to_json(self) -> dict[str, Any]:
        """As it is told."""
        return {
            "ok": self.ok,
            "errors": self.errors,
            "cancelled": self.cancelled,
            "unsent": self.unsent,
            "output_tokens": self.output_tokens,
            "kinds": self.kinds,
            "ttft": histogram.flat(self.ttft),
            "tpot": histogram.flat(self.tpot),
            "ttft_s": self.ttft_s,
            "tpot_s": self.tpot_s,
        }

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Side:
        """What was told; what is no kind of ours is left out."""
        bins = {name: histogram.of_flat(told[name]) for name in ("ttft", "tpot")}
        kinds = {kind: n for kind, n in told["kinds"].items() if kind in KINDS}
        return cls(**{name: told[name] for name in cls.__slots__} | bins | {"kinds": kinds})


def together(sides: Iterable[Side]) -> Side:
    """The counts of all of them."""
    whole = Side()
    for side in sides:
        whole.ok += side.ok
        whole.errors += side.errors
        whole.cancelled += side.cancelled
        whole.unsent += side.unsent
        whole.output_tokens += side.output_tokens
        whole.ttft_s += side.ttft_s
        whole.tpot_s += side.tpot_s
        histogram.add(whole.kinds, side.kinds)
        histogram.add(whole.ttft, side.ttft)
        histogram.add(whole.tpot, side.tpot)
    return whole


def _count(bins: histogram.Bins, seconds: float) -> None:
    b = histogram.bin_of(round(seconds * 1e9))
    bins[b] = bins.get(b, 0) + 1


class Tally:
    """
    Counts of one worker since its start.

    Args:
        limits: Of the plan: what breaks one is counted too.
    """

    def __init__(self, limits: Sequence[dict[str, Any]] = ()) -> None:
        self._misses = Misses(limits)
        self._sides: dict[str, Side] = {}
        self._answered = 0

    @property
    def ok(self) -> int:
        """Requests that ended well."""
        return sum(side.ok for side in self._sides.values())

    def add(self, record: Record) -> None:
        """Count one finished record."""
        side = self._sides.get(record.arm)
        if side is None:
            side = self._sides[record.arm] = Side()
        side.add(record)
        self._answered += record.headers_ns is not None
        self._misses.add(record)

    def status(self, engine: Engine) -> dict[str, Any]:
        """One status, ready for JSON."""
        sides, flight, course = self._sides.values(), engine.flight, engine.course
        return {
            "worker": engine.worker,
            "t_s": engine.receiver.now_ns() / 1e9 if engine.began else 0.0,
            "issued": flight.issued,
            "in_flight": flight.in_flight,
            "waiting": flight.waiting,
            "ok": self.ok,
            "errors": sum(side.errors for side in sides),
            "cancelled": sum(side.cancelled for side in sides),
            "unsent": sum(side.unsent for side in sides),
            "answered": self._answered,
            "arms": {arm: side.to_json() for arm, side in self._sides.items()},
            "health": {name: value for name in HEALTH if (value := engine.health.last.get(name)) is not None},
            "missed": self._misses.so_far(flight.under_way(), engine.receiver.now_ns()),
            "paused_until_ns": {arm: conduct.paused_until_ns for arm, conduct in engine.conducts.items()},
            "last_due_ns": engine.last_due_ns,
            "slot": course.slot and course.slot.number,
            "slot_ns": course.start_ns,
            "stopping": engine.stopping and [*engine.stopping],
        }
