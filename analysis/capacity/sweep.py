"""What a sweep says: each arm's curve with its knee and how it scales, in words and as plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from analysis.capacity import knee, pareto, usl
from analysis.capacity.curve import standing
from analysis.units import NONE, digits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from analysis.capacity.curve import Curve, Level
    from analysis.capacity.knee import Found, Knee
    from analysis.capacity.pareto import Trade
    from analysis.capacity.point import Mode
    from analysis.capacity.usl import Scaling

LABELS: Final = {"ttft_p95_s": "p95 TTFT", "latency_p95_s": "p95 latency"}


def to_json(curve: Curve) -> dict[str, Any]:
    """A curve with all that follows from it, as plain values; every key is always there."""
    scales = usl.scaling(curve)
    return {
        "arm": curve.arm,
        "mode": curve.mode,
        "levels": [level.to_json() for level in curve.levels],
        "goodput_peaks_at": None if curve.peak is None else curve.peak.load,
        "unstable_from": curve.unstable_from,
        "knee": knee.knee(curve).to_json(),
        "scaling": None if isinstance(scales, str) else scales.to_json(),
        "no_scaling": scales if isinstance(scales, str) else None,
        "trades": [one.to_json() for one in pareto.trades({curve.arm: curve})],
    }


def sentences(curve: Curve) -> list[str]:
    """What a curve says, each as a line of text."""
    return [
        *_knee(knee.knee(curve), curve.mode),
        *_peak(curve),
        *_scaling(usl.scaling(curve), curve.mode),
        *_not_steady(curve),
        *_verdicts(curve),
    ]


def frontier(arms: Mapping[str, Curve]) -> str:
    """Which loads of several arms nothing else beats both for one user and for all; empty where none is known."""
    best = pareto.frontier(pareto.trades(arms))
    told = ", ".join(trade(one, arms[one.arm].mode) for one in best)
    return f"Nothing gives more tokens/s both to one user and to all than {told}." if told else ""


def trade(one: Trade, mode: Mode) -> str:
    """A load with the speeds of one user and of all."""
    return f"{one.arm} at {load(one.load, mode)} ({digits(one.user.value)} and {digits(one.total.value)})"


def load(value: float, mode: Mode) -> str:
    """A load as people say it: 8/s, 8 users."""
    if mode == "rate":
        return f"{figure(value)}/s"
    return "1 user" if value == 1 else f"{figure(value)} users"


def figure(value: float) -> str:
    """A load as it was asked for, without zeros that nobody wrote."""
    return f"{value:,.4g}" if value < 10_000 else f"{value:,.0f}"


def estimate(value: float, lo: float | None, hi: float | None, mode: Mode) -> str:
    """A load that was worked out, with its interval: 6.89/s [6.72 to 7.03]."""
    return f"{digits(value)}{'/s' if mode == 'rate' else ' users'}{between(lo, hi)}"


def between(lo: float | None, hi: float | None) -> str:
    """An interval as it stands behind a value; empty where nothing is known."""
    if lo is None and hi is None:
        return ""
    return f" [{NONE if lo is None else digits(lo)} to {'beyond' if hi is None else digits(hi)}]"


def latency(value_s: float) -> str:
    """A latency with its unit."""
    return f"{digits(1000 * value_s)} ms" if value_s < 10 else f"{digits(value_s)} s"


# The knee.


def _knee(found: Knee, mode: Mode) -> Iterator[str]:
    label = LABELS[found.metric]
    if found.bend.reason and found.bend.reason == found.double.reason:
        yield f"No knee of {label}: {found.bend.reason}."
        return
    yield f"{label} {_double(found, mode)}; {_bend(found.bend, mode)}."


def _double(found: Knee, mode: Mode) -> str:
    at, low = found.double, f"{latency(found.low or 0.0)} at {load(found.low_load or 0.0, mode)}"
    if at.load is None:
        return f"does not double its {low} ({at.reason})"
    return f"is twice its {low} from {estimate(at.load, at.lo, at.hi, mode)} on"


def _bend(found: Found, mode: Mode) -> str:
    if found.load is None:
        return f"no knee by shape ({found.reason})"
    assert found.lo is not None
    assert found.hi is not None
    return f"its curve bends most at {load(found.load, mode)} (between {figure(found.lo)} and {figure(found.hi)})"


# Goodput and throughput.


def _peak(curve: Curve) -> Iterator[str]:
    """Where goodput is greatest, if anything was promised."""
    top = curve.peak
    if top is None or not curve.is_promised:
        return
    number = top.numbers["goodput_per_s"]
    still = "; no steady load is higher" if top is curve.steady[-1] else ""
    told = f"{digits(number.value)}/s{between(number.lo, number.hi)}"
    yield f"Goodput is greatest at {load(top.load, curve.mode)}: {told}{still}."


def _scaling(found: Scaling | str, mode: Mode) -> Iterator[str]:
    if isinstance(found, str):
        yield f"No scalability law: {found}."
        return
    flight = "requests in flight" if mode == "concurrency" else "requests in flight (their mean, by Little's law)"
    worst = digits(100 * found.worst)
    if found.shape == "steps":
        yield (
            f"Throughput over {flight} does not follow Gunther's law: up to {worst} % off and not at random, as where "
            "slots or batches fill up: throughput saturates in steps. Read the points, not the curve."
        )
        return
    doubt = "; more runs a load would tell whether it is the right law" if found.shape == "unknown" else ""
    yield (
        f"Throughput over {flight} follows Gunther's law within {worst} %{doubt}: {digits(found.g)}/s"
        f"{between(*found.g_range)} for one in flight, {digits(100 * found.a)} % of the work one after the other; "
        f"{_top(found)}."
    )


def _top(found: Scaling) -> str:
    if found.peak is None:
        return f"it would still grow at twice the {digits(found.most)} that were in flight"
    most = found.at(found.peak)
    assert most is not None
    beyond = ", beyond what was seen" if found.peak > found.most else ""
    return f"greatest with {digits(found.peak)}{between(*found.peak_range)} in flight: {digits(most)}/s{beyond}"


# What is no property of the server.


def _not_steady(curve: Curve) -> Iterator[str]:
    start = curve.unstable_from
    if start is not None:
        first = next(level for level in curve.levels if level.load == start)
        above = [level.load for level in curve.steady if level.load > start]
        at = load(start, curve.mode)
        where = f"at {at}, though {load(above[-1], curve.mode)} was steady" if above else f"from {at} on"
        yield f"Unstable {where}{_because(first)}; latencies there grow with the length of the run."
    for level in curve.levels:
        if level.state not in ("steady", "unstable", "invalid"):
            yield f"{load(level.load, curve.mode)} tells nothing about the server ({level.state}){_because(level)}."


def _because(level: Level) -> str:
    return f": {level.why}" if level.why else ""


def _verdicts(curve: Curve) -> Iterator[str]:
    """What is to be said about runs that were left out, and loads without an interval."""
    invalid = [point.run for point in curve.points if standing(point) == "invalid"]
    if invalid:
        yield f"Invalid, and in no mean of a steady load: {', '.join(sorted(invalid))}."
    left = sum(len(level.points) - len(level.used) for level in curve.levels)
    if left:
        yield f"{left} {'run is' if left == 1 else 'runs are'} left out of the means: in another state than the load."
    single = sum(len(level.used) == 1 for level in curve.levels)
    if single:
        which = "Each load rests" if single == len(curve.levels) else f"{single} of {len(curve.levels)} loads rest"
        yield f"{which} on 1 run: no interval over runs."
