"""A ranking on a page: of each metric the sides' numbers with their places, and how they come about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from analysis import stats
from analysis.compare.ranking import place_of
from analysis.compare.rules import LEAST_RUNS, bare
from analysis.compare.sentences import interval, places, told
from analysis.units import NONE, SHOWN_UNIT, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.compare.standing import Order, Standing
    from analysis.digest import Digest
    from analysis.metrics import Unit
    from analysis.report.gathered import Side

ROUGH: Final = "~ rests on a few extreme values."
PLACES: Final = (
    "Only a clear leader has place 1 alone. In the sentences below, p is corrected (Holm) over all pairs of one metric "
    "and the better side comes first; `compare` and `gate` correct over the primary metrics of one pair and give B "
    "against A, so their p, ratios and verdicts differ."
)
RANKED: Final = (
    "The run is the replicate: a side's number is the mean over its runs (geometric for times and rates), its interval "
    "that of the t distribution over them (Wilson's over their requests for a share that is the same in all runs). Two "
    "sides are ranked only if a t test on the runs' numbers, paired by round or seed where the runs allow it, is "
    "significant after Holm's correction over all pairs of the metric, the difference is large enough to matter, both "
    f"sides have {LEAST_RUNS} runs or more (or {LEAST_RUNS} blocks each of one run, which is then stated), and neither "
    "is invalid. All other pairs share places; for those not distinguishable, the number of runs it would take is "
    "given."
)
"""How sides are ranked, as page and markdown tell it; PLACES stands with the table."""


def shown_order(order: Order, sides: Sequence[Side]) -> dict[str, Any]:
    """A metric: its column of the table, and its sentences."""
    unit = order.metric.unit
    return {
        "label": order.label,
        "unit": SHOWN_UNIT[unit],
        "better": order.metric.better,
        "words": places(order),
        "sentences": told(order),
        "cells": {side.name: _cell(order.of(side.name), order, side.digests) for side in sides},
    }


def _cell(one: Standing | None, order: Order, runs: Sequence[Digest]) -> dict[str, str]:
    """A side's number, its interval, its place, and what has to be said of what it is of."""
    if one is None:
        return {"value": NONE, "around": "", "place": "", "of": ""}
    unit = order.metric.unit
    ranked = len(order.standings) > 1 and not order.reason and one.first
    value = shown(one.value, unit) + _mark(one, order, runs) if one.supported else NONE
    some = f"{one.runs} of {len(runs)} runs" if one.runs < len(runs) else ""
    of = ", ".join(part for part in (one.of, some) if part)
    return {"value": value, "around": _ends(one, unit), "place": interval(one) if ranked else "", "of": of}


def _ends(one: Standing, unit: Unit) -> str:
    """The 95 % interval, perhaps unbounded; empty where there is none."""
    if one.lo is None and one.hi is None:
        return ""
    low, high = "0" if one.lo is None else shown(one.lo, unit), "∞" if one.hi is None else shown(one.hi, unit)
    return f"{low}{NONE}{high}"


def _mark(one: Standing, order: Order, runs: Sequence[Digest]) -> str:
    """The mark of a percentile that one run alone has, from a few extreme values."""
    if one.runs > 1 or not order.place.what:
        return ""
    place = place_of(runs, bare(order.place))
    n = max((each.numbers[place].n for each in runs if place in each.numbers), default=0) if place else 0
    few = n < stats.firm_count(float(order.place.what.removeprefix("p")) / 100)
    return "~" if few or one.lo is None or one.hi is None else ""
