"""
What may be paired: blocks of one run that both arms played, rounds of one campaign that both arms ran.

Turns two sides into arrays of numbers, one per replicate, that `paired` takes. Stands between `summary` and `compare`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from analysis import groups, stats
from analysis.arms import blocks
from analysis.metrics import METRICS
from analysis.paired import paired
from analysis.summary import rates_of
from analysis.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from analysis.metrics import Metric
    from analysis.paired import Paired
    from analysis.runs import Run
    from analysis.summary import Judged

PS: Final = (0.5, 0.95, 0.99)
RUN: Final = "run"
"""The group of a metric of the whole run."""


class Place(NamedTuple):
    """Which number: `what` is a percentile's name, empty for a metric of the run."""

    metric: str
    by: str | None
    group: str
    tokens: str | None
    what: str


Numbers = dict[Place, float]


class Pairs(NamedTuple):
    """The paired ratios that there are, and what was paired: `blocks`, `rounds`, or empty where nothing can be."""

    ratios: Mapping[Place, Paired]
    of: str = ""


def pairs(a: Sequence[Judged], b: Sequence[Judged]) -> Pairs:
    """The paired ratios of two sides."""
    for of, found in (("blocks", _blocks(a, b)), ("rounds", _rounds(a, b))):
        if len(found) > 1:
            return Pairs(_ratios(found), of)
    return Pairs({})


def _ratios(found: list[tuple[Numbers, Numbers]]) -> dict[Place, Paired]:
    ratios = {}
    for place in dict.fromkeys(place for left, _ in found for place in left):
        both = [(left[place], right[place]) for left, right in found if place in left and place in right]
        values = np.array(both, dtype=np.float64).reshape(-1, 2)
        if (ratio := paired(values[:, 0], values[:, 1])) is not None:
            ratios[place] = ratio
    return ratios


def _blocks(a: Sequence[Judged], b: Sequence[Judged]) -> list[tuple[Numbers, Numbers]]:
    """Both sides' numbers of each block of one run, over the arrivals that are in both windows."""
    if len(a) != 1 or len(b) != 1 or a[0].run.path != b[0].run.path:
        return []
    found = []
    windows = a[0].summary.window, b[0].summary.window
    start, end = max(one.start_s for one in windows), min(one.end_s for one in windows)
    left, right = blocks(a[0].run), blocks(b[0].run)
    for block in sorted(left.keys() & right.keys()):
        (mine, first, last), (other, _, _) = left[block], right[block]
        # Later turns of its conversations lie behind a block, in the next one's time: they count, but in no rate.
        block_s, turns = _span(max(first, start), min(last, end)), _span(max(first, start), end)
        if block_s.length_s > 0:
            found.append((numbers_of(mine, turns, block_s), numbers_of(other, turns, block_s)))
    return found


def _rounds(a: Sequence[Judged], b: Sequence[Judged]) -> list[tuple[Numbers, Numbers]]:
    """Both sides' numbers of each round of one campaign."""
    if len({one.run.path.parent for one in (*a, *b)}) != 1:
        return []
    left, right = ({one.run.manifest.get("round"): one for one in side} for side in (a, b))
    both = [key for key in left if key is not None and key in right]
    return [(_of_run(left[key]), _of_run(right[key])) for key in both]


def _of_run(one: Judged) -> Numbers:
    return numbers_of(one.run, one.summary.window, one.summary.window)


def _span(start_s: float, end_s: float) -> Window:
    return Window(start_s, end_s, cut=False, reason="a block")


def enough(p: float) -> int:
    """The least count of values with one beyond the quantile: 20 for p95, 100 for p99; 6 for the median."""
    return max(stats.least_count(0.5), math.ceil(round(1 / (1 - p), 9)))


def numbers_of(run: Run, window: Window, over: Window) -> Numbers:
    """
    Every percentile of a run, or of a block of it, over a window, and its metrics over another one.

    A percentile needs `enough` values, fewer than where it is printed: here the interval is that of the replicates.
    """
    rows = window.rows(run.requests)
    found: Numbers = {}
    for metric in METRICS:
        for group in groups.of(metric, run, rows):
            for what, value in _quantiles(metric, group):
                found[Place(metric.name, group.by, group.name, group.tokens, what)] = value
    for rate in rates_of(run, over):
        if rate.value is not None:
            found[Place(rate.metric, None, RUN, rate.tokens, "")] = rate.value
    return found


def _quantiles(metric: Metric, group: groups.Group) -> Iterator[tuple[str, float]]:
    values: NDArray[np.float64] = group.known
    for p in PS:
        if values.size >= enough(p):
            # Of a metric where more is better the slow end is the low one, as in the summary.
            yield f"p{100 * p:g}", float(np.quantile(values, p if metric.better == "lower" else 1 - p))
