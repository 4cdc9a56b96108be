"""Runs at several loads as the few numbers that curves read, without the runs."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Final

from analysis.capacity.point import Point

ALONE: Final = Point(
    run="01", arm="mock", mode="rate", load=1.0, length_s=60.0, requests=1000, offered_per_s=1.0, achieved_per_s=1.0,
    goodput_per_s=1.0, error_rate=0.0, attainment=1.0, in_flight=0.5, stay_s=0.5, little=0.0, ttft_s=(0.1, 0.2, 0.3),
    tpot_s=(0.02, 0.03, 0.04), latency_s=(0.5, 0.6, 0.7), user_tokens_per_s=50.0, input_tokens_per_s=200.0,
    output_tokens_per_s=100.0, input_tokens=200.0, output_tokens=100.0, cached_share=None, cost_per_1k_good=None,
    cost_per_m_output=None, state="steady", why="", verdict="valid", outcomes=(),
)  # fmt: skip


def point(load: float, **changes: Any) -> Point:
    """A steady run at a load that it kept up with."""
    kept = {"offered_per_s": load, "achieved_per_s": load, "goodput_per_s": load, "in_flight": load / 2}
    return replace(ALONE, **{"load": load, **kept, **changes})


def exponential(load: float, mu: float, **changes: Any) -> Point:
    """
    M/M/1: the time in the system is exponential with rate mu - load, so its quantile at p is ln(1 / (1 - p)) / that.

    Source: Kleinrock 1975, "Queueing Systems I", section 3.2.
    """
    p50, p95, p99 = (math.log(1 / (1 - p)) / (mu - load) for p in (0.5, 0.95, 0.99))
    return point(load, ttft_s=(p50, p95, p99), in_flight=load / (mu - load), stay_s=1 / (mu - load), **changes)
