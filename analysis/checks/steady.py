"""
Whether a window holds still: what was in flight and what answers took, as straight lines over time.

MSER-5 (`window`) takes a start-up off; this asks whether what is left still goes somewhere. A queue that grows shows in
both series. One of them alone may be the luck of the arrivals, so it has to be far surer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from scipy import special

from analysis import series, stats
from analysis.rundir import numbers, seconds
from analysis.window import BATCH

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from analysis.rundir import Run
    from analysis.window import Window

    Array = NDArray[np.float64]

BINS: Final = 20
"""Bins of a window: so few that the queue of one says little of the next, and still 18 degrees of freedom."""
LEAST_BINS: Final = 8
NOTABLE: Final = 0.1
"""Change over the window, as a share of the mean, up to which a series holds still."""
TOGETHER: Final = 0.005
"""
Level at which both series are certain. Of 300 simulated M/M/10 queues at 80 % load, 60 or 300 mean services long, 3 and
0.3 % are refused, of those without a queue none; of queues at 150 % load, 20 services long, 99 to 100 %.
"""
ALONE: Final = 1e-6
"""Level at which one series is certain by itself; 0.2 % of simulated runs of 20 s at 8/s with no queue at all are."""
DIFFERENT: Final = 0.01


class Drift(NamedTuple):
    """
    How one series moved over the window.

    Attributes:
        change: Of its straight line from the first bin to the last, as a share of its mean.
        p: One-sided, in the direction of the change.
    """

    name: str
    change: float
    p: float

    @property
    def notable(self) -> bool:
        """It moved by more than a tenth of its mean."""
        return abs(self.change) > NOTABLE

    @property
    def grows(self) -> bool:
        """Notably, and as surely as is asked of several series at once."""
        return self.change > NOTABLE and self.p < TOGETHER

    @property
    def certain(self) -> bool:
        """Notably, and beyond the luck of one series."""
        return self.notable and self.p < ALONE


def drifts(run: Run, window: Window) -> tuple[Drift, ...]:
    """
    Requests in flight and TTFT (latency where less than half of the bins have a stream) over the window.

    In flight counts from the scheduled moment, so that waiting for --max-in-flight is seen too. While the first
    arrivals of a run fill the server, both rise by their nature: as long as three in four of the first third stay at
    the most is left out, a third of the window at most.
    """
    frame = run.requests
    arrived, began, ended = _stays(frame)
    if window.length_s <= 0 or not arrived.size:
        return ()
    early = (arrived >= window.start_s) & (arrived <= window.start_s + window.length_s / 3)
    stay = float(np.quantile((ended - began)[early], 0.75)) if early.any() else 0.0
    start = window.start_s + (0.0 if np.any(arrived < window.start_s) else min(stay, window.length_s / 3))
    bins = int(np.clip(2 * (window.end_s - start) / max(stay, 1e-9), LEAST_BINS, BINS))
    edges = np.linspace(start, window.end_s, bins + 1)
    found = (drift("in flight", edges, series.present(arrived, ended, edges)), _answers(window.rows(frame), edges))
    return tuple(one for one in found if one is not None)


def drift(name: str, edges: Array, values: Array) -> Drift | None:
    """
    The straight line through a series.

    Args:
        name: What it is of.
        edges: Of its bins, shape (m + 1,).
        values: One per bin, shape (m,); NaN where a bin has none.

    Returns:
        None with fewer than 8 values, or a mean that is not above 0.
    """
    at = (edges[1:] + edges[:-1]) / 2
    known = ~np.isnan(values)
    n = int(known.sum())
    line = stats.trend(at, values) if n >= LEAST_BINS else None
    mean = float(values[known].mean()) if n else 0.0
    if line is None or mean <= 0:
        return None
    return Drift(name, line.slope * float(at[-1] - at[0]) / mean, float(special.stdtr(n - 2, -abs(line.t))))


def cut_was_start_up(run: Run, window: Window) -> float:
    """
    The share of the run that was cut off as start-up; 0 where what was cut is no different from what was kept.

    MSER-5 cuts much of every twentieth steady run of a minute, where its first seconds are odd. So the means of the
    batches before and behind the cut have to differ (Welch's test, 1 %), of requests in flight or of TTFT.
    """
    arrived, _, ended = _stays(run.requests)
    inside = arrived[arrived < window.end_s]
    if not window.cut or not inside.size:
        return 0.0
    first = float(inside.min())
    edges = np.arange(first, window.end_s, float(BATCH))
    if edges.size < LEAST_BINS:
        return 0.0
    scheduled = seconds(run.requests, "scheduled_ns")
    both = (
        series.present(arrived, ended, edges),
        series.quantile_per_bin(scheduled, numbers(run.requests, "ttft_s"), edges, 0.5),
    )
    before = edges[1:] <= window.start_s
    differ = any(_differ(values[before], values[~before]) for values in both)
    return (window.start_s - first) / (window.end_s - first) if differ else 0.0


def _differ(before: Array, behind: Array) -> bool:
    effect = stats.welch(before[~np.isnan(before)], behind[~np.isnan(behind)])
    return effect is not None and effect.p < DIFFERENT


def _answers(rows: pd.DataFrame, edges: Array) -> Drift | None:
    """The line through the medians of TTFT, or of latency where too few bins have one."""
    scheduled = seconds(rows, "scheduled_ns")
    for name, column in (("TTFT", "ttft_s"), ("latency", "latency_s")):
        medians = series.quantile_per_bin(scheduled, numbers(rows, column), edges, 0.5)
        if np.mean(~np.isnan(medians)) >= 0.5:
            return drift(name, edges, medians)
    return None


def _stays(frame: pd.DataFrame) -> tuple[Array, Array, Array]:
    """Of what was sent and is over: when it was meant to go out, its conversation began, it ended; seconds."""
    scheduled, end = seconds(frame, "scheduled_ns"), seconds(frame, "end_ns")
    began, talk = scheduled.copy(), numbers(frame, "conversation")
    of_talk = ~np.isnan(talk)
    if of_talk.any():
        _, place = np.unique(talk[of_talk], return_inverse=True)
        first = np.full(place.max() + 1, np.inf)
        np.minimum.at(first, place, scheduled[of_talk])
        began[of_talk] = first[place]
    over = ~np.isnan(seconds(frame, "sent_ns")) & ~np.isnan(end)
    return scheduled[over], began[over], end[over]
