"""The latest good answers of each workload, as a table: bounded, however long the test and however many its names."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loadtests.record import Record

LATEST: Final = 1_000
"""Answers of a workload that its percentiles look back on."""

MOST: Final = 20
"""Workloads with a row of their own; a test may name each of its requests."""

OTHERS: Final = "(others)"
COLUMNS: Final = (
    ("name", "Workload"),
    ("answers", "# ok"),
    ("ttft_p50", "TTFT p50 (ms)"),
    ("ttft_p95", "TTFT p95 (ms)"),
    ("ttft_max", "TTFT max (ms)"),
    ("tokens_p50", "Tokens/s of an answer, p50"),
    ("tokens_p05", "p5, the slow end"),
)
Answered = tuple[str, float, float | None]
"""Of one good answer: workload, output tokens per second, time to first token in ms or None."""


def answered_of(record: Record) -> Answered | None:
    """What the tab wants to know of a record; None where it is no good answer."""
    if record.outcome != "ok" or record.end_ns is None or record.sent_ns is None:
        return None
    ttft_ms = None if record.first_token_ns is None else (record.first_token_ns - record.scheduled_ns) / 1e6
    took_s = ((record.last_token_ns or record.end_ns) - record.sent_ns) / 1e9
    return record.workload, (record.output_tokens or 0) / max(took_s, 1e-9), ttft_ms


@dataclass(slots=True)
class Latest:
    """One workload's good answers: how many, and of the latest of them the tokens/s and times to first token in ms."""

    ok: int = 0
    speeds: deque[float] = field(default_factory=lambda: deque(maxlen=LATEST))
    ttft_ms: deque[float] = field(default_factory=lambda: deque(maxlen=LATEST))


class Answers:
    """Good answers by workload."""

    def __init__(self) -> None:
        self._latest: dict[str, Latest] = {}

    def add(self, answered: Answered) -> None:
        """One more."""
        workload, speed, ttft_ms = answered
        latest = self._of(workload)
        latest.ok += 1
        latest.speeds.append(speed)
        if ttft_ms is not None:
            latest.ttft_ms.append(ttft_ms)

    def take(self, told: Mapping[str, tuple[int, list[float], list[float]]]) -> None:
        """Add what `drained` gave on a worker."""
        for workload, (ok, speeds, ttft_ms) in told.items():
            latest = self._of(workload)
            latest.ok += ok
            latest.speeds.extend(speeds)
            latest.ttft_ms.extend(ttft_ms)

    def drained(self) -> dict[str, tuple[int, list[float], list[float]]]:
        """All that is here, ready for a message; nothing is here any more."""
        latest, self._latest = self._latest, {}
        return {name: (one.ok, list(one.speeds), list(one.ttft_ms)) for name, one in latest.items()}

    def rows(self) -> list[dict[str, Any]]:
        """The table: one row per workload; a dash where there is nothing to say."""
        return [_row(name, latest) for name, latest in sorted(self._latest.items())]

    def _of(self, workload: str) -> Latest:
        if workload not in self._latest:
            workload = workload if len(self._latest) < MOST else OTHERS
            return self._latest.setdefault(workload, Latest())
        return self._latest[workload]


def _row(name: str, latest: Latest) -> dict[str, Any]:
    speeds, ttft_ms = sorted(latest.speeds), sorted(latest.ttft_ms)
    return {
        "name": name,
        "answers": latest.ok,
        "ttft_p50": _shown(ttft_ms, 0.5),
        "ttft_p95": _shown(ttft_ms, 0.95),
        "ttft_max": _shown(ttft_ms, 1.0),
        "tokens_p50": _shown(speeds, 0.5),
        "tokens_p05": _shown(speeds, 0.05),
    }


def quantile(ordered: Sequence[float], p: float) -> float:
    """The p-quantile of ascending values, at least one, between the two nearest of them; cheaper than an array's."""
    at = p * (len(ordered) - 1)
    below = int(at)
    return ordered[below] + (at - below) * (ordered[min(below + 1, len(ordered) - 1)] - ordered[below])


def _shown(ordered: Sequence[float], p: float) -> str:
    return f"{quantile(ordered, p):.1f}" if ordered else "-"
