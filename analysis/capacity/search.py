"""
The search for the highest load that keeps the promises: which load to try next, given what was seen.

A pure function of the probes so far: it knows no server and no clock, and a search that was interrupted goes on from
what it had. First one request at a time, then a ramp until something fails, then bisection on the log of the load, then
fresh runs on both sides of where the fit over all probes crosses. Before each the driver lets the server drain.

Source: Theodolite's search strategies and Shivam et al. 2008 for deciding each probe only as far as needed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from analysis import stats
from analysis.capacity.answer import bounds, estimate
from analysis.capacity.probe import Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.capacity.fit import Crossing
    from analysis.capacity.point import Mode
    from analysis.capacity.probe import Kind, Probe

FIRST: Final = 0.5
"""Of one over the service time: where a ramp of rates begins."""
GROWTH: Final = 1.6
LEAP: Final = 4.0
"""Growth of the ramp where the load before did not strain the server at all."""
STRAIN: Final = 1.1
"""Mean time per answer, as a multiple of that alone, from which on a server is strained."""
BASE_SHARE: Final = 1 / 3
RAMP_SHARE: Final = 1 / 2
"""Lengths of the first probes, as shares of a whole one."""
STAYS: Final = 5.0
"""A probe lasts so many answers."""
EDGE: Final = 1.06
"""Bracket, as a ratio, at which bisection has done its part."""
PIECES: Final = 3
"""Runs of a probe, at most: one that is undecided is extended where that would probably decide it."""
COLD: Final = 2
"""Runs of one request at a time, at most, before it is believed that not even that keeps the promises."""
CONFIRM_LO: Final = 3
CONFIRM_HI: Final = 2
"""Fresh runs below and above, in this proportion; so many where no fit tells how sure it is."""
WIDEST: Final = 1.15
"""The runs that make sure are at most so far from the crossing."""


@dataclass(frozen=True, slots=True)
class Asked:
    """
    What is searched for.

    Attributes:
        precision: Half-width of the interval, as a share of the load, that is good enough.
        most_probes: The search ends then.
        first: The load to begin with; None: from the service time.
        most: No load above this is tried; one request at a time always is.
        least_s: A whole probe lasts at least so long.
        requests: A whole probe of a rate has at least so many arrivals.
    """

    mode: Mode
    precision: float = 0.03
    most_probes: int = 14
    first: float | None = None
    most: float | None = None
    least_s: float = 60.0
    requests: int = 59


def following(probes: Sequence[Probe], asked: Asked) -> Step | None:
    """The step that comes next; None where the search is over."""
    if not probes:
        return _base(asked)
    last = probes[-1]
    if last.state == "client" and len(last.points) < PIECES:
        return last.step  # a busy moment of the client passes; a client that is too slow stays so
    if last.state in ("quota", "client"):
        return None
    if _is_cold(last) or _wants_more(last):
        return last.step
    if len(probes) >= asked.most_probes or (last.step.kind == "base" and not last.leans_to_pass):
        return None
    lo, hi = bounds(probes, asked.mode)
    if hi is None:
        return _ramp(probes, asked)
    if lo is not None and not _is_close(probes, lo, hi, asked):
        return _step(probes, asked, "bisect", _between(lo, hi, asked))
    return _confirm(probes, lo, hi, asked)


# Which load.


def _base(asked: Asked) -> Step:
    return Step(1, "concurrency", 1.0, "base", asked.least_s * BASE_SHARE)


def _ramp(probes: Sequence[Probe], asked: Asked) -> Step | None:
    """The next load up; None where it may not go up."""
    tried = [probe for probe in probes if probe.step.mode == asked.mode]
    if not tried:
        service_s = service(probes)
        load = asked.first or (FIRST / service_s if service_s else 1.0)
    elif asked.first is not None and tried[-1].step.kind == "base":
        load = asked.first
    else:
        load = _whole(tried[-1].load * (LEAP if _is_idle(tried[-1], probes) else GROWTH), asked, up=True)
    if asked.most is not None and load >= asked.most:
        if tried and tried[-1].load >= asked.most:
            return None
        load = asked.most
    return _step(probes, asked, "ramp", load)


def _between(lo: float, hi: float, asked: Asked) -> float:
    return _whole(math.sqrt(lo * hi), asked)


def _confirm(probes: Sequence[Probe], lo: float | None, hi: float, asked: Asked) -> Step | None:
    """The side that has had fewer of its fresh runs, as long as they are not enough."""
    if lo is None:
        return _step(probes, asked, "bisect", _down(probes, hi, asked)) if hi > least(asked) else None
    found = estimate(probes, asked.mode)
    middle = math.sqrt(lo * hi) if found is None else min(found.load, _top(asked) / _near(asked))
    done = [probe.load for probe in probes if probe.step.kind == "confirm"]
    below, above = sum(load <= middle for load in done), sum(load > middle for load in done)
    sure = found is not None and math.sqrt(found.hi / found.lo) <= 1 + asked.precision
    if below and above and (sure or (found is None and below >= CONFIRM_LO and above >= CONFIRM_HI)):
        return None
    down, up = _sides(found, lo, hi, middle, asked)
    wants_below = below * CONFIRM_HI <= above * CONFIRM_LO
    return _step(probes, asked, "confirm", down if wants_below else up)


def _sides(found: Crossing | None, lo: float, hi: float, middle: float, asked: Asked) -> tuple[float, float]:
    """Where the fresh runs go: the ends of the interval, neither on the crossing itself nor far from it."""
    if asked.mode == "concurrency":
        below = float(max(1, math.floor(middle + 1e-9)))
        return below, below + 1
    if found is None:
        return lo, hi
    near = _near(asked)
    down = min(max(found.lo, middle / WIDEST), middle / near)
    up = max(min(found.hi, middle * WIDEST), middle * near)
    return down, min(up, _top(asked))


def _near(asked: Asked) -> float:
    """How near to the crossing fresh runs are at the most, as a ratio."""
    return 1 + asked.precision / 2


def _top(asked: Asked) -> float:
    return math.inf if asked.most is None else asked.most


def _down(probes: Sequence[Probe], hi: float, asked: Asked) -> float:
    """The next load where all were too much: far down if the one before was not enough."""
    failed = sum(probe.step.mode == asked.mode and not probe.leans_to_pass for probe in probes)
    return _whole(hi / (GROWTH if failed < 2 else LEAP), asked)


def _whole(load: float, asked: Asked, *, up: bool = False) -> float:
    """Users are whole ones."""
    if asked.mode == "rate":
        return load
    return float(max(1, math.ceil(load - 1e-9) if up else round(load)))


def least(asked: Asked) -> float:
    """The least load that can be tried."""
    return 1.0 if asked.mode == "concurrency" else 0.0


# What was seen.


def _is_cold(probe: Probe) -> bool:
    """One request at a time broke a promise, the first time it was tried: the server may only have been cold."""
    return probe.step.kind == "base" and not probe.leans_to_pass and len(probe.points) < COLD


def _wants_more(probe: Probe) -> bool:
    """An undecided probe is extended where as many requests again would probably decide it."""
    runs = len(probe.used)
    if probe.decision != "undecided" or probe.step.kind in ("base", "ramp") or len(probe.points) >= PIECES:
        return False
    for term in probe.terms:
        if term.verdict != "undecided" or term.share is None or term.needed is None:
            continue
        needed = stats.attains_needs(term.share, term.needed)
        if needed is None or needed > PIECES / runs * term.n_eff:
            return False
    return True


def _is_close(probes: Sequence[Probe], lo: float, hi: float, asked: Asked) -> bool:
    """Bisection has done its part: the bracket is narrow, or a probe was too near to the edge to be decided."""
    if asked.mode == "concurrency" and hi - lo <= 1:
        return True
    at_edge = any(probe.decision == "undecided" and probe.step.kind == "bisect" for probe in probes)
    return hi / lo <= (GROWTH if at_edge else EDGE)


def _is_idle(probe: Probe, probes: Sequence[Probe]) -> bool:
    """The load did not strain the server: answers took what they take alone, and hardly one broke a promise."""
    alone, took = service(probes), _stay(probe)
    if alone is None or took is None or took > STRAIN * alone:
        return False
    return all(t.share is None or t.needed is None or t.share >= (1 + t.needed) / 2 for t in probe.terms)


def service(probes: Sequence[Probe]) -> float | None:
    """Mean seconds that a request takes alone; None where none was measured."""
    return next((_stay(probe) for probe in probes if probe.step.kind == "base"), None)


def _stay(probe: Probe) -> float | None:
    known = [point.stay_s for point in probe.used if point.stay_s is not None]
    return sum(known) / len(known) if known else None


def _step(probes: Sequence[Probe], asked: Asked, kind: Kind, load: float) -> Step:
    service_s = service(probes) or 0.0
    whole_s = max(asked.least_s, STAYS * service_s, asked.requests / load if asked.mode == "rate" else 0.0)
    length_s = max(asked.least_s * RAMP_SHARE, STAYS * service_s) if kind == "ramp" else whole_s
    return Step(probes[-1].step.number + 1, asked.mode, load, kind, length_s)
