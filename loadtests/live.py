"""
Figures while a run is on: what a worker tells the parent twice a second, small enough to cost the timed path nothing.

The parent never sees a record before the run is over; it sees these counts, and a bounded sample of times to first
token for the live percentiles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from loadtests.hopeless import Misses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.engine import Engine
    from loadtests.record import Record

SAMPLE: Final = 500
"""Times to first token told per status, at most: every k-th where there are more."""


class Tally:
    """
    Counts of one worker since its start, and what is new since the last status.

    Args:
        limits: Of the plan: what breaks one is counted too.
    """

    def __init__(self, limits: Sequence[dict[str, Any]] = ()) -> None:
        self._misses = Misses(limits)
        self.ok = self.errors = self.cancelled = self.unsent = 0
        self.output_tokens = 0
        self.answered = 0
        self.kinds: dict[str, int] = {}
        self._ttft_us: list[int] = []

    def add(self, record: Record) -> None:
        """Count one finished record."""
        if record.outcome == "ok":
            self.ok += 1
        elif record.outcome == "error":
            self.errors += 1
            kind = record.error_kind or "other"
            self.kinds[kind] = self.kinds.get(kind, 0) + 1
        elif record.outcome == "cancelled":
            self.cancelled += 1
        else:
            self.unsent += 1
        self.answered += record.headers_ns is not None
        self.output_tokens += record.output_tokens or 0
        self._misses.add(record)
        if record.first_token_ns is not None:
            self._ttft_us.append((record.first_token_ns - record.scheduled_ns) // 1000)

    def status(self, engine: Engine) -> dict[str, Any]:
        """One status, ready for JSON; the sample of times starts anew."""
        ttft, self._ttft_us = self._ttft_us, []
        step = -(-len(ttft) // SAMPLE) if ttft else 1
        return {
            "worker": engine.worker,
            "t_s": engine.receiver.now_ns() / 1e9 if engine.began else 0.0,
            "issued": engine.flight.issued,
            "in_flight": engine.flight.in_flight,
            "ok": self.ok,
            "errors": self.errors,
            "cancelled": self.cancelled,
            "unsent": self.unsent,
            "answered": self.answered,
            "kinds": self.kinds,
            "output_tokens": self.output_tokens,
            "ttft_us": ttft[::step],
            "missed": self._misses.so_far(engine.flight.under_way(), engine.receiver.now_ns()),
            "paused_until_ns": {arm: conduct.paused_until_ns for arm, conduct in engine.conducts.items()},
            "last_due_ns": engine.last_due_ns,
            "slot": engine.course.slot and engine.course.slot.number,
            "stopping": engine.stopping and [*engine.stopping],
        }
