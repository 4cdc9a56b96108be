"""One curve of a sweep as the page has it: what was found in a line, the numbers on top, and a row for each load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from analysis.capacity import knee, sweep
from analysis.capacity.page import big, link
from analysis.capacity.table import ms, share
from analysis.units import NONE, digits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from analysis.capacity.curve import Curve, Level, Number
    from analysis.capacity.page import Big


WITH_ENDS: Final = {"achieved_per_s", "goodput_per_s", "ttft_p95_s", "latency_p95_s"}
"""Numbers whose interval has room in the table."""


def swept(name: str, curve: Curve, path: Path, *, named: bool) -> dict[str, Any]:
    """All that one curve has on the page, but its charts."""
    return {
        "name": name,
        "headline": f"{name}: {_found(curve)}" if named else _upper(_found(curve)),
        "class": _class(curve),
        "numbers": list(_of_curve(curve)),
        "sentences": sweep.sentences(curve),
        "unit": "rate, 1/s" if curve.mode == "rate" else "users",
        "columns": [heading for heading, *_ in _columns(curve)],
        "rows": [_level(level, curve, path) for level in curve.levels],
    }


def _upper(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _class(curve: Curve) -> str:
    """Whether it may be believed: by the worst of the runs that its steady loads rest on."""
    verdicts = {point.verdict for level in curve.steady for point in level.used}
    return next((word for word in ("invalid", "doubtful") if word in verdicts), "valid" if curve.steady else "doubtful")


def _found(curve: Curve) -> str:
    """What was found, as one clause each, in a line."""
    bend, top, start = knee.knee(curve), curve.peak, curve.unstable_from
    unit = "/s" if curve.mode == "rate" else " users"
    said = []
    if start is not None:
        said.append(f"unstable from {sweep.load(start, curve.mode)} on")
    elif curve.steady:
        said.append(f"steady up to {sweep.load(curve.steady[-1].load, curve.mode)}, the highest load that held")
    if bend.double.load is not None:
        said.append(f"{sweep.LABELS[bend.metric]} twice its low-load value from {digits(bend.double.load)}{unit} on")
    if top is not None and curve.is_promised:
        said.append(f"greatest goodput at {sweep.load(top.load, curve.mode)}")
    return "; ".join(said or ["no load was held steady"]) + "."


def _of_curve(curve: Curve) -> Iterator[Big]:
    bend, top = knee.knee(curve), curve.peak
    start = curve.unstable_from
    yield big("unstable from", NONE if start is None else sweep.load(start, curve.mode), "" if start else "not seen")
    if curve.steady:
        yield big("highest steady load", sweep.load(curve.steady[-1].load, curve.mode))
    if bend.double.load is not None:
        ends = sweep.between(bend.double.lo, bend.double.hi).strip()
        yield big(f"{sweep.LABELS[bend.metric]} doubled at", digits(bend.double.load), ends)
    if bend.bend.load is not None:
        yield big("curve bends most at", sweep.load(bend.bend.load, curve.mode))
    if top is not None and curve.is_promised:
        number = top.numbers["goodput_per_s"]
        at = f"at {sweep.load(top.load, curve.mode)}{sweep.between(number.lo, number.hi)}"
        yield big("greatest goodput, requests/s", digits(number.value), at)


def _columns(curve: Curve) -> list[tuple[str, str, Any]]:
    """Heading, name, how it is written; those of which any load has a number."""
    every = [
        ("offered, 1/s", "offered_per_s", _plain), ("achieved, 1/s", "achieved_per_s", _plain),
        ("goodput, 1/s", "goodput_per_s", _plain), ("attainment, %", "attainment", share),
        ("TTFT p50, ms", "ttft_p50_s", ms), ("TTFT p95, ms", "ttft_p95_s", ms), ("TPOT p50, ms", "tpot_p50_s", ms),
        ("latency p95, ms", "latency_p95_s", ms), ("tokens/s, all", "output_tokens_per_s", _plain),
        ("tokens/s, one user", "user_tokens_per_s", _plain), ("in flight", "in_flight", _plain),
        ("failed, %", "error_rate", share),
    ]  # fmt: skip
    left = set() if curve.is_promised else {"goodput_per_s", "attainment"}
    left |= {"offered_per_s"} if curve.mode == "concurrency" else set()
    known = {name for level in curve.levels for name in level.numbers} - left
    known -= {"latency_p95_s"} if "ttft_p95_s" in known else set()
    return [column for column in every if column[1] in known]


def _plain(number: Number) -> str:
    return digits(number.value)


def _level(level: Level, curve: Curve, path: Path) -> dict[str, Any]:
    cells = []
    for _, name, write in _columns(curve):
        number = level.numbers.get(name)
        ends = [None, None] if number is None else [number.lo, number.hi]
        told = [write(type(number)(end, None, None, 1)) for end in ends if number is not None and end is not None]
        note = f"{told[0]} to {told[1]}" if len(told) == 2 and level.is_steady and name in WITH_ENDS else ""
        cells.append({"value": NONE if number is None else write(number), "note": note})
    used, every = len(level.used), len(level.points)
    return {
        "load": sweep.figure(level.load), "cells": cells, "state": level.state, "why": level.why,
        "class": "s-ok" if level.is_steady else "s-doubtful" if level.state in {"quota", "client"} else "s-invalid",
        "runs": str(used) if used == every else f"{used} of {every}",
        "links": [link(path, point.run) for point in level.points],
    }  # fmt: skip
