"""One run at one load, as the few numbers that curves, searches and sizing read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from analysis import series
from analysis.capacity import cause
from analysis.objectives import counted
from analysis.rundir import numbers

if TYPE_CHECKING:
    from analysis.measured import Measured
    from analysis.objectives import Outcome
    from analysis.summary import Judged, Summary

Mode = Literal["rate", "concurrency"]
State = Literal["steady", "unstable", "quota", "client", "failed"]
Percentiles: TypeAlias = "tuple[float | None, float | None, float | None]"
"""p50, p95, p99."""

PS = (0.5, 0.95, 0.99)
WHOLE = 20.0
"""Stays that a window holds at least, for what its ends cut off to be little; as the check of a run has it."""


@dataclass(frozen=True, slots=True)
class Point:
    """
    One run of one arm at one load, over its window. Base units; None where it is not known.

    Attributes:
        run: Its folder in the campaign.
        load: What was asked for: arrivals per second, or users.
        requests: Arrivals in the window.
        in_flight: Mean over the window, of requests sent and not over.
        stay_s: Mean time from sent to over.
        flow: lambda W: of what was sent in the window, how many a second times how long each stayed.
        little: |L - lambda W| / L over the window, how far Little's law is from closing; None where the window is
            shorter than 20 stays: what its ends cut off is more than that.
        user_tokens_per_s: What one user sees: median of the answers' own output speed.
        state: Only a `steady` run tells a latency of the server at this load.
        why: Why it is not steady, as a clause.
        verdict: May the run be believed: valid, doubtful or invalid.
        prices_read: The day of the prices that its cost rests on.
        counts: Requests with a TTFT, a TPOT, a latency; None: all of them.
        decided: Why it was ended early, its promise broken whatever followed; empty where it went on to its end.
    """

    run: str
    arm: str
    mode: Mode
    load: float
    length_s: float
    requests: int
    offered_per_s: float | None
    achieved_per_s: float | None
    goodput_per_s: float | None
    error_rate: float | None
    attainment: float | None
    in_flight: float | None
    stay_s: float | None
    little: float | None
    ttft_s: Percentiles
    tpot_s: Percentiles
    latency_s: Percentiles
    user_tokens_per_s: float | None
    input_tokens_per_s: float | None
    output_tokens_per_s: float | None
    input_tokens: float | None
    output_tokens: float | None
    cached_share: float | None
    cost_per_1k_good: float | None
    cost_per_m_output: float | None
    state: State
    why: str
    verdict: str
    outcomes: tuple[Outcome, ...]
    prices_read: str | None = None
    decided: str = ""
    flow: float | None = None
    counts: tuple[int, int, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def of(judged: Judged) -> Point:
    """The point that a run of one load is."""
    run, told, seen = judged.run, judged.summary, judged.measured
    mode: Mode = "rate" if run.is_open else "concurrency"
    found = cause.cause(judged)
    in_flight, stay_s, flow = _presence(seen)
    length_s = seen.window.length_s
    fresh = _mean(seen, "input_tokens")
    achieved = told.rate("requests_per_s")
    return Point(
        run=run.path.name,
        arm=run.arm,
        mode=mode,
        load=float(run.plan.get(mode) or 0.0),
        length_s=length_s,
        requests=int(counted(seen.rows).sum()),
        offered_per_s=told.rate("arrivals_per_s"),
        achieved_per_s=achieved,
        goodput_per_s=told.rate("goodput_per_s"),
        error_rate=told.rate("error_rate"),
        attainment=told.rate("attainment"),
        in_flight=in_flight,
        stay_s=stay_s,
        little=_gap(in_flight, flow) if stay_s is not None and length_s >= WHOLE * stay_s else None,
        ttft_s=_percentiles(told, "ttft_s"),
        tpot_s=_percentiles(told, "tpot_s"),
        latency_s=_percentiles(told, "latency_s"),
        user_tokens_per_s=_percentiles(told, "output_speed")[0],
        input_tokens_per_s=None if fresh is None or achieved is None else fresh * achieved,
        output_tokens_per_s=told.rate("tokens_per_s"),
        input_tokens=fresh,
        output_tokens=_mean(seen, "output_tokens"),
        cached_share=told.rate("cached_share"),
        cost_per_1k_good=told.rate("cost_per_1k_good"),
        cost_per_m_output=told.rate("cost_per_m_output"),
        state=found.state,
        why=found.why,
        verdict=told.validity.verdict,
        outcomes=told.objectives,
        prices_read=told.spent.prices_read,
        decided=found.decided,
        flow=flow,
        counts=(_count(told, "ttft_s"), _count(told, "tpot_s"), _count(told, "latency_s")),
    )


def _percentiles(told: Summary, metric: str) -> Percentiles:
    """Those of its first row; what a run is too short to print by itself is there for several runs together."""
    row = told.row(metric)
    if row is None:
        return None, None, None
    cells = [row.cell(p) for p in PS]
    p50, p95, p99 = (cell.value if cell.value is not None else cell.loose for cell in cells)
    return p50, p95, p99


def _count(told: Summary, metric: str) -> int:
    """How many its percentiles rest on."""
    row = told.row(metric)
    return 0 if row is None else row.n


def _presence(seen: Measured) -> tuple[float | None, float | None, float | None]:
    """L, W and lambda W over the window; of what was sent, and from the moment it was."""
    start, end = seen.window.start_s, seen.window.end_s
    sent, over = series.lifetimes(seen.run.requests)
    inside = (sent >= start) & (sent < end) & np.isfinite(over)
    if end <= start or not inside.any():
        return None, None, None
    present = float(series.in_flight(seen.run.requests, np.array([start, end]))[0])
    stay_s = float(np.mean(over[inside] - sent[inside]))
    return present, stay_s, int(inside.sum()) / (end - start) * stay_s


def _gap(in_flight: float | None, flow: float | None) -> float | None:
    return None if flow is None or not in_flight else abs(in_flight - flow) / in_flight


def _mean(seen: Measured, column: str) -> float | None:
    values = numbers(seen.rows, column)
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None
