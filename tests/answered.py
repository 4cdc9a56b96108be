"""Answers of a search made by hand, and the runs that they rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from analysis.capacity.answer import Answer
from analysis.capacity.fit import Crossing
from analysis.capacity.point import Point
from analysis.capacity.probe import Probe, Step

if TYPE_CHECKING:
    from analysis.capacity.point import Mode

NONE: Final = (None, None, None)


def point(load: float = 8.0, mode: Mode = "rate", **more: Any) -> Point:
    """A steady run of 100 s, 500 tokens in and 100 out, in which every request takes 2 s and 98 % keep the promise."""
    achieved = more.pop("achieved_per_s", load if mode == "rate" else load / 2.0)
    numbers: dict[str, Any] = {
        "run": "07", "arm": "fast", "length_s": 100.0, "requests": round(100 * achieved), "offered_per_s": achieved,
        "achieved_per_s": achieved, "goodput_per_s": 0.98 * achieved, "error_rate": 0.0, "attainment": 0.98,
        "in_flight": 2.0 * achieved, "stay_s": 2.0, "little": 0.004, "ttft_s": NONE, "tpot_s": NONE, "latency_s": NONE,
        "user_tokens_per_s": 50.0, "input_tokens_per_s": 500.0 * achieved, "output_tokens_per_s": 100.0 * achieved,
        "input_tokens": 500.0, "output_tokens": 100.0, "cached_share": None, "cost_per_1k_good": None,
        "cost_per_m_output": None, "state": "steady", "why": "", "verdict": "valid", "outcomes": (),
    }  # fmt: skip
    return Point(load=load, mode=mode, **(numbers | more))


def answer(value: float | None, lo: float | None, hi: float | None, *points: Point, **more: Any) -> Answer:
    """What a search found; of its points the highest load at or below the value is the best one."""
    mode: Mode = more.pop("mode", "rate")
    points = points or ((point(value, mode),) if value else ())
    probes = tuple(
        Probe(Step(number, one.mode, one.load, "bisect", one.length_s), (one,), ())
        for number, one in enumerate(points, 1)
    )
    below = [one for one in points if value is not None and one.load <= value and one.mode == mode]
    told: dict[str, Any] = {
        "arm": "fast", "limited_by": "ttft_p95<2s", "reason": "where it crosses", "is_confirmed": True,
        "objectives": ("ttft_p95<2s",), "probes": probes,
        "crossing": Crossing(value, lo, hi, 20.0, 1.0, 0.95) if value and lo and hi else None,
        "best": max(below, key=lambda one: one.load, default=None), "service_s": 1.0,
    }  # fmt: skip
    return Answer(mode=mode, value=value, lo=lo, hi=hi, **(told | more))
