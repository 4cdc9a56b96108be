"""
What a run did over time, binned: requests in flight, output tokens, arrivals, ends, TTFT.

Works on the request rows alone; stands under `window`, `validity` and the charts. All edges are seconds since the run's
start, ascending; a series over `edges` of shape (m + 1,) has shape (m,).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from analysis.rundir import numbers, seconds

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def in_flight(frame: pd.DataFrame, edges: Array) -> Array:
    """Time-mean of the requests between sent and end, per bin."""
    return present(*lifetimes(frame), edges)


def present(began: Array, ended: Array, edges: Array) -> Array:
    """Time-mean of what had begun and not ended, per bin."""
    return np.diff(_area(began, np.ones_like(began), edges) - _area(ended, np.ones_like(ended), edges)) / np.diff(edges)


def peak_in_flight(began: Array, ended: Array) -> int:
    """The most that were on at one moment; one that ends as another begins does not count beside it."""
    began, ended = np.sort(began), np.sort(ended)
    over = np.searchsorted(ended, began, side="right")
    return int((np.arange(1, began.size + 1) - over).max(initial=0))


def lifetimes(frame: pd.DataFrame) -> tuple[Array, Array]:
    """When requests were sent and when they were over, seconds, those that were sent only; no end: still on."""
    sent, end = seconds(frame, "sent_ns"), seconds(frame, "end_ns")
    known = ~np.isnan(sent)
    return sent[known], np.where(np.isnan(end), np.inf, end)[known]


def output_tokens(frame: pd.DataFrame, edges: Array) -> Array:
    """Output tokens per bin: a streamed answer's spread evenly from first to last token, others' at the end."""
    tokens, first, last, end = (
        numbers(frame, "output_tokens"),
        *(seconds(frame, f"{name}_ns") for name in ("first_token", "last_token", "end")),
    )
    spread = (last > first) & (tokens > 0)
    at_once = ~spread & (tokens > 0) & ~np.isnan(end)
    per_s = tokens[spread] / (last - first)[spread]
    grown = _area(first[spread], per_s, edges) - _area(last[spread], per_s, edges)
    lump = np.where(np.isnan(last), end, last)[at_once]
    inside = (lump >= edges[0]) & (lump < edges[-1])
    return np.diff(grown) + np.histogram(lump[inside], edges, weights=tokens[at_once][inside])[0].astype(np.float64)


def count(moments: Array, edges: Array) -> Array:
    """How many of these moments fall in each bin; NaN falls in none."""
    return np.histogram(moments[~np.isnan(moments)], edges)[0].astype(np.float64)


def quantile_per_bin(moments: Array, values: Array, edges: Array, p: float) -> Array:
    """The p-quantile of the values whose moment falls in each bin; NaN for a bin without one."""
    known = ~np.isnan(moments) & ~np.isnan(values)
    moments, values = moments[known], values[known]
    order = np.argsort(moments, kind="stable")
    cuts = np.searchsorted(moments[order], edges)
    ordered = values[order]
    parts = (ordered[lo:hi] for lo, hi in pairwise(cuts))
    return np.array([np.quantile(part, p) if part.size else np.nan for part in parts])


def _area(began: Array, weight: Array, edges: Array) -> Array:
    """At each edge t, the sum over all i that began before of weight[i] * (t - began[i]); by sums over bins."""
    finite = np.isfinite(began)
    began, weight = (began, weight) if finite.all() else (began[finite], weight[finite])
    # The first edge that lies behind each; those behind all of them count nowhere.
    place = np.searchsorted(edges, began, side="right")
    slope = np.cumsum(np.bincount(place, weight, edges.size + 1)[:-1])
    moment = np.cumsum(np.bincount(place, weight * began, edges.size + 1)[:-1])
    return np.asarray(slope * edges - moment, dtype=np.float64)
