"""An open loop's schedule from what the options say: a law at a rate, along stages, or a trace."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from loadtests.schedule.arrivals import Schedule, frozen
from loadtests.schedule.bounds import MAX_S, NS, ScheduleError, check_bounds
from loadtests.schedule.integral import along, length_s
from loadtests.schedule.laws import Law, law_of
from loadtests.schedule.stages import Stage
from loadtests.schedule.trace import Trace, read_trace

if TYPE_CHECKING:
    from loadtests.schedule.arrivals import Offsets


def open_loop(  # noqa: PLR0913 - a plan's own words, most of them with a default
    arrivals: str,
    rate_per_s: float | None,
    duration_s: float | None,
    seed: int,
    requests: int | None = None,
    *,
    stages: tuple[Stage, ...] = (),
    trace: Trace | None = None,
    hold_s: float = 0.0,
) -> Schedule:
    """
    The schedule of an open loop; it ends with the duration or with the requests, whichever comes first.

    The same arguments give the same object, as making one may take seconds.

    Args:
        arrivals: One of `ARRIVALS`.
        rate_per_s: None with stages or a trace; with burst:N the mean of the groups, None for one group at 0.
        duration_s: Seconds; None where the requests, the stages or the trace end it.
        seed: Of the random processes.
        requests: At most so many arrivals; None: no bound.
        stages: Of the kinds `rate` and `burst`.
        trace: Already read; None: `trace:FILE` is read here, whole and at its own speed.
        hold_s: Seconds of a tail of the same law behind the end: stages go on at their last rate, a trace with its
            next rows, then from its first. A schedule without a tail is its prefix.

    Raises:
        ScheduleError: An unknown arrival process, a value out of range, or no arrival at all.
    """
    if seed < 0:
        raise ScheduleError(f"--seed {seed} isn't a whole number of at least 0")
    if not 0 <= hold_s <= MAX_S:
        raise ScheduleError(f"a tail of {hold_s} s isn't between 0 and {MAX_S:g} s")
    if trace is None and arrivals.startswith("trace:"):
        trace = read_trace(arrivals.removeprefix("trace:"))
    if trace is not None:
        if stages:
            raise ScheduleError("--stages and --arrivals trace: exclude each other; the trace says when requests come")
        check_bounds(duration_s, requests)
        return _replayed(trace, duration_s, requests, hold_s)
    load = _Load(law_of(arrivals), duration_s, seed, requests, hold_s)
    return _staged(load, stages) if stages else _steady(load, rate_per_s)


@dataclass(frozen=True, slots=True)
class _Load:
    """What a schedule without a trace is made from, beside its rate or its stages."""

    law: Law
    duration_s: float | None
    seed: int
    requests: int | None
    hold_s: float


@lru_cache(maxsize=2)
def _replayed(trace: Trace, duration_s: float | None, requests: int | None, hold_s: float) -> Schedule:
    return trace.schedule(duration_s, requests, hold_s)


@lru_cache(maxsize=2)
def _steady(load: _Load, rate_per_s: float | None) -> Schedule:
    """At one rate, or a single group."""
    law, duration_s, seed = load.law, load.duration_s, load.seed
    offsets = law.offsets(rate_per_s, duration_s, seed, load.requests)
    if not len(offsets):
        raise ScheduleError(f"--duration {duration_s} s holds no arrival at --rate {rate_per_s}/s; make it longer")
    end_s = _end_s(offsets, duration_s, load.requests)
    if not load.hold_s:
        return Schedule(frozen(offsets), len(offsets), end_s)
    if rate_per_s is None:
        raise ScheduleError("a single burst has no rate to hold on to; give --rate, or leave --hold out")
    return _held(offsets, law.offsets(rate_per_s, end_s + load.hold_s, seed, None), end_s)


@lru_cache(maxsize=2)
def _staged(load: _Load, stages: tuple[Stage, ...]) -> Schedule:
    """Along stages of a rate."""
    law, duration_s, seed = load.law, load.duration_s, load.seed
    check_bounds(duration_s, load.requests)
    whole, whole_s = along(stages, law, seed), length_s(stages)
    end_s = whole_s if duration_s is None else min(whole_s, duration_s)
    # A burst at the stages' own end is in; one at a duration that cuts them is not.
    offsets = (whole if end_s == whole_s else _before(whole, end_s))[: load.requests]
    if not len(offsets):
        raise ScheduleError(f"--stages hold no arrival in {end_s:g} s")
    end_s = _end_s(offsets, end_s, load.requests)
    if not load.hold_s:
        return Schedule(frozen(offsets), len(offsets), end_s)
    last = next((stage.end for stage in reversed(stages) if stage.kind == "rate"), 0.0)
    tail = Stage("rate", last, last, load.hold_s)
    return _held(offsets, _before(along((*stages, tail), law, seed), end_s + load.hold_s), end_s)


def _held(planned: Offsets, full: Offsets, end_s: float) -> Schedule:
    """A schedule with a tail; the process is the same, so that the longer one begins with the planned one."""
    longer = full if len(full) > len(planned) else planned
    assert np.array_equal(longer[: len(planned)], planned), "a tail has changed what stands before it"
    return Schedule(frozen(longer), len(planned), end_s)


def _before(offsets: Offsets, end_s: float) -> Offsets:
    return offsets[: np.searchsorted(offsets, round(end_s * NS), side="left")]


def _end_s(offsets: Offsets, duration_s: float | None, requests: int | None) -> float:
    """The length of a schedule: the duration, unless the requests ended it before."""
    if duration_s is None or (requests is not None and len(offsets) == requests):
        return float(offsets[-1] / NS)
    return duration_s
