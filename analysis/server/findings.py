"""
What ran out first, as far as the server's own figures say: its cache, its slots, its GPU, or nothing that it reports.

And whether the client's requests in flight are those that the server knows of: what is missing there is on the way or
queued in front of it; what is too much is somebody else's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from analysis.units import digits, span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from analysis.server.served import Gauge, Served
    from analysis.window import Window

    Array = NDArray[np.float64]

FULL: Final = 0.95
"""Share of a cache or of a GPU's time that counts as all of it."""
CEILING: Final = 0.98
"""Of the most that ever ran at once: with hundreds of slots one or two are just changing hands."""
HELD_S: Final = 3
"""Seconds in a row for which a thing has to hold to count as held at all; a figure comes each second."""
MOSTLY: Final = 0.5
APART: Final = 0.1
SURE: Final = 3.0
"""Standard errors by which the means of two series have to differ; neighbouring seconds are alike, so more than two."""


@dataclass(frozen=True, slots=True)
class Finding:
    """
    What is to be said of the server.

    Attributes:
        role: What it is about: a role, `slots`, `in_flight`, or empty where nothing ran out.
        text: A sentence without its full stop.
        since_s: When it first held, seconds since the run's start; None where that has no meaning.
        lasted_s: For how long in all.
    """

    role: str
    text: str
    since_s: float | None = None
    lasted_s: float | None = None


def exhausted(served: Served, window: Window, achieved: float | None = None) -> tuple[Finding, ...]:
    """
    What ran out in a window, the first first; then what of the load the server did not see.

    Args:
        served: What the server said.
        window: Of the run.
        achieved: Requests per second that were done; with it the difference is told in seconds too.

    Returns:
        At least one finding where the server told anything that could run out.
    """
    found = sorted(_ran_out(served, window), key=lambda one: (one.since_s is None, one.since_s))
    if not found and (rest := _had_room(served, window)):
        waited = (gauge := served.gauges.get("waiting")) is not None and gauge.within(window).any()
        said = "requests waited, too shortly to say for what" if waited else "nothing that it reports ran out"
        found = [Finding("", f"{said}: {rest}")]
    unseen = _unseen(served, window, achieved)
    return (*found, *((unseen,) if unseen else ()))


def _ran_out(served: Served, window: Window) -> Iterator[Finding]:
    gauges = served.gauges
    if (cache := gauges.get("kv_cache")) and (held := _held(cache, cache.values >= FULL, window)):
        yield Finding("kv_cache", f"the KV cache was full (95 % or more) {_when(held, window)}", *held)
    if preempted := _preempted(gauges.get("preemptions"), window):
        yield preempted
    if slots := _slots(gauges.get("running"), gauges.get("waiting"), window):
        yield slots
    if (gpu := gauges.get("gpu_util")) and (held := _held(gpu, gpu.values >= FULL, window)):
        text = f"the GPU was busy 95 % of the time or more {_when(held, window)}; that says that something ran on it"
        yield Finding("gpu_util", f"{text}, not that no more would have fitted", *held)


def _slots(running: Gauge | None, waiting: Gauge | None, window: Window) -> Finding | None:
    """As many ran as ever did, most of the time, and others waited."""
    if running is None or waiting is None or not running.most:
        return None
    most = running.most
    busy = (running.values >= CEILING * most) & (waiting.values > 0)
    known = _inside(running, window) & ~np.isnan(running.values) & ~np.isnan(waiting.values)
    held = _held(running, busy, window)
    if held is None or np.mean(busy[known]) <= MOSTLY:
        return None
    queued = waiting.values[busy & known]
    text = f"all {most:g} slots were busy {_when(held, window)}, while {digits(float(queued.mean()))} requests waited"
    return Finding("slots", f"{text} on average and {queued.max():g} at most", *held)


def _preempted(preemptions: Gauge | None, window: Window) -> Finding | None:
    """One is enough: a request that ran was thrown out of the cache."""
    if preemptions is None or not (values := preemptions.within(window)).any():
        return None
    some = preemptions.values > 0
    since_s = float(preemptions.at_s[some & _inside(preemptions, window)][0])
    count = max(1, round(float(values.mean()) * window.length_s))
    times = "once" if count == 1 else f"{count:,} times"
    text = f"requests that ran were preempted {times}, first at {since_s:.0f} s: the KV cache could not hold them"
    return Finding("preemptions", text, since_s, float((values > 0).sum()))


def _had_room(served: Served, window: Window) -> str:
    """The most of each thing that could have run out, in words; empty where none was told."""
    most = {role: values.max() for role, gauge in served.gauges.items() if (values := gauge.within(window)).size}
    shares = [f"{served.gauges[role].label} at most {100 * most[role]:.0f} %" for role in ("kv_cache", "gpu_util")
              if role in most]  # fmt: skip
    counts = [f"at most {most[role]:g} {role}" if most[role] else f"none {role}" for role in ("running", "waiting")
              if role in most]  # fmt: skip
    return ", ".join(shares + counts)


# In the server and not in it.


def _unseen(served: Served, window: Window, achieved: float | None) -> Finding | None:
    """
    The client's requests in flight against those that run or wait in the server, at the same moments.

    By Little's law the mean of the difference, divided by the rate, is the time that a request spends elsewhere.
    """
    running, waiting = served.gauges.get("running"), served.gauges.get("waiting")
    if running is None:
        return None
    inside = running.values + (0.0 if waiting is None else waiting.values)
    known = _inside(running, window) & ~np.isnan(inside)
    known &= ~np.isnan(served.in_flight)
    if np.count_nonzero(known) < 2 * HELD_S:
        return None
    apart = (served.in_flight - inside)[known]
    sent, difference = float(served.in_flight[known].mean()), float(apart.mean())
    surely = SURE * float(apart.std(ddof=1)) / np.sqrt(apart.size)
    if abs(difference) <= max(APART * max(sent, float(inside[known].mean())), surely):
        return None
    if difference < 0:
        text = f"the server had {digits(-difference)} requests more than this client's {digits(sent)}: it serves others"
        return Finding("in_flight", f"{text} too, or goes on with some that were given up")
    each = f", {span(float(f'{difference / achieved:.2g}'))} for each request" if achieved else ""
    counted = "ran or waited in the server" if waiting is not None else "ran in the server"
    text = f"of {digits(sent)} requests in flight only {digits(sent - difference)} {counted}"
    return Finding("in_flight", f"{text}: the others were on the way, or queued where it does not count them{each}")


# Over time.


def _inside(gauge: Gauge, window: Window) -> NDArray[np.bool_]:
    return np.asarray((gauge.at_s >= window.start_s) & (gauge.at_s <= window.end_s))


def _held(gauge: Gauge, true: NDArray[np.bool_], window: Window) -> tuple[float, float] | None:
    """When something was first true for `HELD_S` seconds in a row within a window, and for how many it was in all."""
    inside = _inside(gauge, window)
    at_s, held = gauge.at_s[inside], true[inside]
    if held.size < HELD_S:
        return None
    rows = np.lib.stride_tricks.sliding_window_view(held, HELD_S).all(axis=1)
    return (float(at_s[np.argmax(rows)]), float(held.sum())) if rows.any() else None


def _when(held: tuple[float, float], window: Window) -> str:
    since_s, lasted_s = held
    return f"from {since_s:.0f} s on, {lasted_s:.0f} of {window.length_s:.0f} s in all"
