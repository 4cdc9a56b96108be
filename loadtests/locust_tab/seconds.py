"""
A test second by second, for the tab's charts: from the statuses that its workers give of themselves while it is on.

What is counted in a while is a difference of two counts; a chart never asks for more seconds than are kept.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from loadtests import histogram

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KEPT_S: Final = 600
"""Seconds that the charts look back on, at most."""

WINDOW_S: Final = 10
"""Each second tells of the answers that ended in the last so many: one second alone has too few for a percentile."""


class Second(NamedTuple):
    """
    What was so at a second's end.

    Attributes:
        t_s: Since the run's start.
        ttft_p50_ms, ttft_p95_ms: Of the window; None where it has too few first tokens.
        tokens_per_s: Output tokens of the window over its length.
        in_flight: Requests.
    """

    t_s: float
    ttft_p50_ms: float | None
    ttft_p95_ms: float | None
    tokens_per_s: float
    in_flight: int


class Count(NamedTuple):
    """What had been counted by a moment: output tokens, and times to first token by the bins of `histogram`."""

    t_s: float
    tokens: int
    ttft: histogram.Bins


class Seconds:
    """The latest seconds of a test."""

    def __init__(self) -> None:
        self._points: deque[Second] = deque(maxlen=KEPT_S)
        self._before: deque[Count] = deque([Count(0.0, 0, {})], maxlen=WINDOW_S)
        self._due_s = 1.0

    def tick(self, now_s: float, statuses: Iterable[Mapping[str, Any]]) -> None:
        """Close a second, where one is over: by the latest status of each worker, {} of one that has said nothing."""
        if now_s < self._due_s:
            return
        self._due_s = int(now_s) + 1.0
        told = list(statuses)
        now = _count(now_s, told)
        self._points.append(_second(self._before[0], now, sum(status.get("in_flight", 0) for status in told)))
        self._before.append(now)

    def columns(self) -> dict[str, list[Any]]:
        """The seconds kept, by field, the oldest first."""
        return {name: [getattr(point, name) for point in self._points] for name in Second._fields}


def _count(now_s: float, told: Iterable[Mapping[str, Any]]) -> Count:
    sides = [side for status in told for side in status.get("arms", {}).values()]
    ttft: histogram.Bins = {}
    for side in sides:
        histogram.add(ttft, histogram.of_flat(side["ttft"]))
    return Count(now_s, sum(side["output_tokens"] for side in sides), ttft)


def _second(before: Count, now: Count, in_flight: int) -> Second:
    ttft = histogram.since(now.ttft, before.ttft)
    p50, p95 = (None if (s := histogram.quantile_s(ttft, p)) is None else 1000 * s for p in (0.5, 0.95))
    tokens_per_s = (now.tokens - before.tokens) / (now.t_s - before.t_s)
    return Second(round(now.t_s, 1), p50, p95, round(tokens_per_s, 1), in_flight)
