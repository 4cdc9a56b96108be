"""
Metrics of a whole run, each as one sum over another: per second, per request, per token.

Every one gives what it sums up, unit by unit in order of time (bins of the window, or requests), so that its interval
comes from the same numbers as its value. Stands between `measured` and `metrics`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from analysis import objectives, series
from analysis.derived import is_cut, is_explained, is_ok, is_stream
from analysis.rundir import is_later_turn, numbers, seconds, some, where

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.measured import Measured

    Array = NDArray[np.float64]
    Mask = NDArray[np.bool_]


class Sums(NamedTuple):
    """
    A number as sum(top) / sum(bottom) over units in order of time, shapes (n,).

    Attributes:
        is_share: Each unit is one request that did (top 1) or did not (0).
        n: Requests it rests on.
    """

    top: Array
    bottom: Array
    n: int
    is_share: bool = False

    @property
    def value(self) -> float | None:
        """None over nothing."""
        below = float(self.bottom.sum())
        return float(self.top.sum()) / below if below > 0 else None


def _per_s(measured: Measured, moments: Array) -> Sums | None:
    """Moments inside the window, per second of it."""
    window = measured.window
    if window.length_s <= 0:
        return None
    counts = series.count(moments, window.edges)
    return Sums(counts, np.diff(window.edges), int(counts.sum()))


def _share(did: Mask, of: Mask) -> Sums | None:
    return Sums(did[of].astype(np.float64), np.ones(int(of.sum())), int(of.sum()), is_share=True) if of.any() else None


def _ratio(top: Array, bottom: Array, scale: float = 1.0) -> Sums | None:
    known = ~np.isnan(top) & ~np.isnan(bottom)
    return Sums(scale * top[known], bottom[known], int(known.sum())) if np.any(bottom[known] > 0) else None


def arrivals_per_s(measured: Measured) -> Sums | None:
    """
    Arrivals meant for the window, per second of it; None where it has no length, or all came at one instant.

    A conversation arrives once: its later turns follow its answers.
    """
    scheduled = seconds(measured.rows, "scheduled_ns")[~is_later_turn(measured.rows)]
    return None if scheduled.size > 1 and np.ptp(scheduled) == 0 else _per_s(measured, scheduled)


def requests_per_s(measured: Measured) -> Sums | None:
    """Requests answered in full while the window was open, per second of it; None where it has no length."""
    every = measured.run.requests
    return _per_s(measured, seconds(every, "end_ns")[is_ok(every)])


def tokens_per_s(measured: Measured) -> Sums | None:
    """Output tokens that came while the window was open, per second of it; None without token counts."""
    every, window = measured.run.requests, measured.window
    counted = numbers(every, "output_tokens") > 0
    if window.length_s <= 0 or not counted.any():
        return None
    came = series.output_tokens(every, window.edges) if measured.chunks is None else measured.chunks.tokens
    on = counted & (seconds(every, "sent_ns") < window.end_s) & (seconds(every, "end_ns") > window.start_s)
    return Sums(came, np.diff(window.edges), int(on.sum()))


def good(measured: Measured) -> Mask:
    """Which rows of the window were answered in full and met every objective of a request."""
    return objectives.good(measured.rows, measured.objectives)


def goodput_per_s(measured: Measured) -> Sums | None:
    """Good requests that were meant for the window, per second of it."""
    return _per_s(measured, seconds(measured.rows, "scheduled_ns")[good(measured)])


def attainment(measured: Measured) -> Sums | None:
    """Good requests over all arrivals of the window: failed, unsent and lost ones are misses."""
    return _share(good(measured), objectives.counted(measured.rows))


def error_rate(measured: Measured) -> Sums | None:
    """Failed and lost requests over those that went out; None where none did. Cancelled ones are in neither."""
    failed = where(measured.rows, "outcome", "error", "lost")
    return _share(failed, failed | is_ok(measured.rows))


def stalled_share(measured: Measured) -> Sums | None:
    """Streamed answers in which the tokens stood still at least once; None where the chunks were not kept."""
    if measured.chunks is None:
        return None
    streams = is_ok(measured.rows) & is_stream(measured.rows)
    return _share(numbers(measured.rows, "stalls") > 0, streams)


def length_share(measured: Measured) -> Sums | None:
    """Answers that ended at a length limit, the provider's or the client's, over those of which is known why."""
    return _share(is_cut(measured.rows), is_ok(measured.rows) & is_explained(measured.rows))


def cached_share(measured: Measured) -> Sums | None:
    """Prompt tokens that the server had already, over all prompt tokens; None where the provider does not tell."""
    ok = some(measured.rows, is_ok(measured.rows), "cached_tokens", "input_tokens")
    cached, fresh = numbers(ok, "cached_tokens"), numbers(ok, "input_tokens")
    return _ratio(cached, fresh) if np.any(~np.isnan(cached)) else None


def mean_output_tokens(measured: Measured) -> Sums | None:
    """Output tokens of an answer."""
    made = numbers(measured.rows, "output_tokens")[is_ok(measured.rows)]
    return _ratio(made, np.ones_like(made))


def cost_per_1k_good(measured: Measured) -> Sums | None:
    """
    What all requests of the window cost, over the good ones, times 1,000; None without prices.

    What failed without a count cost nothing as far as is known; an answer without one cost something, and is left out.
    """
    cost = numbers(measured.rows, "cost_usd")
    paid = np.where(is_ok(measured.rows), cost, np.nan_to_num(cost))
    return _ratio(paid, good(measured).astype(np.float64), 1e3) if np.any(~np.isnan(cost)) else None


def cost_per_m_output(measured: Measured) -> Sums | None:
    """What the window's requests cost, input included, over their output tokens, times a million."""
    return _ratio(numbers(measured.rows, "cost_usd"), numbers(measured.rows, "output_tokens"), 1e6)
