"""
The steady part of a run: where the start-up ends, and which requests count.

A request belongs to the window by the moment it was meant to go out; what it became is counted however late that was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from analysis import series
from analysis.rundir import flagged, is_later_turn, seconds, some, where

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from analysis.rundir import Run

LEAST_S: Final = 60.0
MOST_BINS: Final = 3600
BATCH: Final = 5
LEFT: Final = 5
"""Batches that every cut must leave: with one batch left the statistic is 0 whatever the data."""
ALIKE: Final = 0.05
"""A start this near to the level behind it is no start-up, however little that level varies."""
TREND: Final = 4.0
"""The t value of a slope that makes "no steady state" credible; under 2 % of simulated steady series are refused."""


@dataclass(frozen=True, slots=True)
class Window:
    """
    The part of a run that is judged, in seconds since the run's start.

    Attributes:
        cut: Something was taken off at the start.
        steady: A steady part was found; None where there is too little data to look for one.
        reason: Why it is what it is, as a sentence.
    """

    start_s: float
    end_s: float
    cut: bool
    reason: str
    steady: bool | None = None

    @property
    def length_s(self) -> float:
        """Seconds from start to end."""
        return self.end_s - self.start_s

    @property
    def edges(self) -> NDArray[np.float64]:
        """Edges of equal bins over it, of at most 1 s unless it is longer than an hour; one edge if it is empty."""
        bins = min(MOST_BINS, math.ceil(self.length_s))
        return np.linspace(self.start_s, self.end_s, bins + 1) if bins > 0 else np.array([self.start_s])

    def holds(self, frame: pd.DataFrame) -> NDArray[np.bool_]:
        """Which rows are of phase `measure` and were meant to go out inside the window, shape (n,)."""
        scheduled = seconds(frame, "scheduled_ns")
        inside = (scheduled >= self.start_s) & (scheduled <= self.end_s)
        if not inside.any() and np.isnan(scheduled).all():
            inside = ~inside  # imported without moments
        return np.asarray(where(frame, "phase", "measure") & inside)

    def rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of phase `measure` that were meant to go out inside the window."""
        held = np.flatnonzero(self.holds(frame))
        # Rows come in order of their scheduled moments, so that mostly these are one piece, which is not copied.
        if held.size and held[-1] - held[0] == held.size - 1:
            return frame.iloc[held[0] : held[-1] + 1]
        return frame.iloc[held]


def find(run: Run) -> Window:
    """
    The steady part of a run: MSER-5 on in-flight, output tokens/s and median TTFT in 1 s bins, the latest cut of all.

    Source: White, Cobb & Spratt 2000; best of 44 methods in Hoad, Robinson & Davies (Warwick, AutoSimOA).
    """
    return _with_what_is_behind(_steady(run), run)


def _steady(run: Run) -> Window:
    whole = _whole(run)
    if whole.length_s < LEAST_S or changes(run.plan):
        return whole
    frame = whole.rows(run.requests)
    edges = whole.start_s + np.arange(int(whole.length_s) + 1, dtype=np.float64)
    scheduled, ttft = seconds(frame, "scheduled_ns"), frame["ttft_s"].to_numpy(dtype="float64", na_value=np.nan)
    candidates = {
        "in-flight": series.in_flight(run.requests, edges),
        "output tokens/s": series.output_tokens(run.requests, edges),
        "TTFT": series.quantile_per_bin(scheduled, ttft, edges, 0.5),
    }
    cuts = {name: mser5(values) for name, values in candidates.items() if _is_dense(values)}
    lost = [name for name, cut in cuts.items() if cut is None]
    if lost:
        reason = f"no steady state: {' and '.join(lost)} still changed in the second half; nothing is cut"
        return Window(whole.start_s, whole.end_s, cut=False, reason=reason, steady=False)
    bins = max((cut for cut in cuts.values() if cut is not None), default=0)
    if not bins:
        reason = "the whole run: it was steady from the start (MSER-5)"
        return Window(whole.start_s, whole.end_s, cut=False, reason=reason, steady=True)
    last = max(cuts, key=lambda name: cuts[name] or 0)
    reason = f"the first {bins} s are cut: {last} settled then (MSER-5)"
    return Window(whole.start_s + bins, whole.end_s, cut=True, reason=reason, steady=True)


def mser5(values: NDArray[np.float64]) -> int | None:
    """
    How many leading values are start-up.

    The values are averaged in batches of 5, Y_1 .. Y_n; d* minimises sum_{i>d} (Y_i - mean_{>d})^2 / (n - d)^2 over the
    d that leave at least 5 batches.

    Args:
        values: One per bin, in time order; NaN bins are left out of their batch's mean.

    Returns:
        5 d*; 0 where the first batch is like those behind the cut: what lies between is the server's own stall, and no
        start-up. None if d* > n / 2: no steady state. By chance alone that comes out of 8 to 20 % of steady series (the
        last few batches happen to lie close), so it is believed only of a series whose second half has a trend; of
        another one the best d <= n / 2 is taken.

    Source: White, Cobb & Spratt, "A comparison of five steady-state truncation heuristics for simulation" (2000).
    """
    n = values.size // BATCH
    batches = _filled(values[: n * BATCH].reshape(n, BATCH))
    # Work around the grand mean: the tail sums below would cancel badly otherwise, and a constant must come out as 0.
    level = batches.mean()
    batches = batches - level
    left = np.arange(n, 0, -1, dtype=np.float64)
    tail, squares = np.cumsum(batches[::-1])[::-1], np.cumsum(batches[::-1] ** 2)[::-1]
    spread = np.maximum(squares - tail**2 / left, 0.0) / left**2
    if n < LEFT + 1 or spread[0] <= 1e-18:
        return 0
    best = int(np.argmin(spread[: n - LEFT + 1]))
    if best > n / 2 and _trend(batches[n // 2 :]) <= TREND:
        best = int(np.argmin(spread[: n // 2 + 1]))
    if best > n / 2:
        return None
    return 0 if _begins_alike(batches + level, best) else best * BATCH


def _begins_alike(means: NDArray[np.float64], cut: int) -> bool:
    """The first batch lies no farther outside the range of those behind the cut than half that range."""
    rest = means[cut:]
    slack = max(float(np.ptp(rest)) / 2, ALIKE * abs(float(rest.mean())))
    return bool(rest.min() - slack <= means[0] <= rest.max() + slack)


def _trend(batches: NDArray[np.float64]) -> float:
    """The t value of a straight line's slope through the batch means."""
    n = batches.size
    x = np.arange(n) - (n - 1) / 2
    slope = float(x @ batches / (x @ x))
    rest = batches - batches.mean() - slope * x
    error = float(np.sqrt(rest @ rest / (n - 2) / (x @ x)))
    return abs(slope) / error if error > 0 else (np.inf if slope else 0.0)


def _filled(batches: NDArray[np.float64]) -> NDArray[np.float64]:
    """Batch means, those without any value interpolated from their neighbours."""
    known = ~np.isnan(batches)
    counts = known.sum(axis=1)
    means = np.where(known, batches, 0.0).sum(axis=1) / np.maximum(counts, 1)
    places = np.arange(len(means))
    return np.asarray(np.interp(places, places[counts > 0], means[counts > 0]), dtype=np.float64)


def _is_dense(values: NDArray[np.float64]) -> bool:
    return bool(np.mean(~np.isnan(values)) >= 0.5)


def _whole(run: Run) -> Window:
    """
    All of the measuring, from the first arrival on.

    Open loop: to one mean gap after the last arrival, so that arrivals / length is the rate, but not to the first that
    a stop took back; arrivals at one instant count as one for the gap, and later turns of conversations not at all.
    Closed loop: for the planned duration. To the last end where there is neither gap nor duration, or a closed loop
    stopped early.
    """
    back = held_back_by_stop(run, run.requests)
    meant = where(run.requests, "phase", "measure") & ~back
    frame = some(run.requests, meant, "scheduled_ns", "end_ns", "turn")
    if frame.empty:
        return Window(0.0, 0.0, cut=False, reason="no request was measured")
    scheduled, end = seconds(frame, "scheduled_ns"), seconds(frame, "end_ns")
    if np.isnan(scheduled).all():
        return Window(0.0, 0.0, cut=False, reason="all requests: the imported file does not tell when they went out")
    moments = np.unique(scheduled[~is_later_turn(frame)]) if run.is_open else scheduled
    moments = moments if moments.size else scheduled
    first, last, over = moments.min(), moments.max(), np.fmax(np.fmax.reduce(end), scheduled.max())
    duration = run.plan.get("duration_s") or sum(stage["duration_s"] or 0 for stage in run.plan.get("stages") or ())
    if run.is_open and last > first:
        behind = seconds(run.requests, "scheduled_ns")[back]
        taken_back = np.nextafter(behind[behind > last].min(initial=np.inf), last)
        stop = min(last + (last - first) / (moments.size - 1), taken_back)
    elif not run.is_open and duration and not run.manifest.get("stop") and not in_blocks(run):
        stop = min(first + float(duration), over)
    else:
        stop = over
    reason = f"the whole run: under {LEAST_S:.0f} s nothing is cut"
    if changes(run.plan):
        reason = "the whole run: the load was planned to change, so no start-up is looked for"
    if run.is_open and is_burst(run.plan):
        reason = "the whole burst: it came at one instant, so there is no rate of arrivals"
    return Window(float(first), float(stop), cut=False, reason=reason)


def _with_what_is_behind(found: Window, run: Run) -> Window:
    """The window, and said with it how many turns came behind its end, when no conversation began any more."""
    behind = seconds(run.requests, "scheduled_ns") > found.end_s
    turns = int((behind & is_later_turn(run.requests) & where(run.requests, "phase", "measure")).sum())
    if not run.is_open or not turns:
        return found
    left = "1 later turn behind its end is" if turns == 1 else f"{turns:,} later turns behind its end are"
    return replace(found, reason=f"{found.reason}; {left} not judged")


def in_blocks(run: Run) -> bool:
    """Its arm took turns with others; in a closed loop a block lasts until its users have finished what they began."""
    return len(run.manifest.get("slots") or ()) > 1


def is_burst(plan: dict[str, Any]) -> bool:
    """All arrivals are meant for one instant."""
    return str(plan.get("arrivals") or "").startswith("burst:") and not plan.get("rate") and not plan.get("stages")


def changes(plan: dict[str, Any]) -> bool:
    """The load was planned to change over time, so that no part of the run is steadier than another by its nature."""
    return bool(plan.get("stages") or plan.get("shape")) or str(plan.get("arrivals") or "").startswith(
        ("burst:", "trace:")
    )


def held_back_by_stop(run: Run, frame: pd.DataFrame) -> NDArray[np.bool_]:
    """
    Arrivals that never went out because the run was stopped before their time.

    They are flagged, or, added by whoever finished a stopped or killed run, lie behind the last that went out, or are
    turns whose turn before was not over: a moment of their own they never had.
    """
    unsent = where(frame, "outcome", "unsent")
    flags = flagged(frame, "run_end", "user_cancel")
    if not run.manifest.get("stop") and run.manifest.get("ended", True):
        return unsent & flags
    went = seconds(run.requests, "scheduled_ns")[~where(run.requests, "outcome", "unsent")]
    behind = seconds(frame, "scheduled_ns") > went.max(initial=-np.inf)
    follows = is_later_turn(frame) & ~flagged(frame, "turn_failed", "paused", "budget")
    return np.asarray(unsent & (flags | behind | follows))
