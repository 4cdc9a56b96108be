"""
Which runs stand against each other: arms of one run or campaign, or the runs of two.

Stands between judged runs and `compare`: a side of several runs becomes one summary, the mean of theirs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis import replicates, validity
from analysis.compare import beside as compare
from analysis.runs import RunError
from analysis.summary import Cell, Judged, Rate, Row, Summary

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from analysis.compare.beside import Comparison

    Sides = dict[str, list[Judged]]


def by_arm(judged: Iterable[Judged]) -> Sides:
    """The runs of each arm, arms and runs in the order they were given."""
    sides: Sides = {}
    for one in judged:
        sides.setdefault(one.run.arm, []).append(one)
    return sides


def within(judged: Iterable[Judged]) -> list[Comparison]:
    """The first arm against each other one; empty where there is one arm alone."""
    first, *others = by_arm(judged).values()
    return [versus(first, other) for other in others]


def between(a: Sequence[Judged], b: Sequence[Judged], names: tuple[Path, Path]) -> list[Comparison]:
    """
    Two arguments against each other: all runs of each, or arm by arm where there are several.

    Raises:
        RunError: One has several arms, and the other does not have the same ones.
    """
    left, right = by_arm(a), by_arm(b)
    if len(left) == len(right) == 1:
        return [versus(a, b)]
    if left.keys() != right.keys():
        told = " against ".join(", ".join(side) for side in (left, right))
        several = names[0] if len(left) > 1 else names[1]
        raise RunError(f"the arms differ: {told}; `firsttoken compare {several}` puts those of one run side by side")
    return [versus(left[arm], right[arm]) for arm in left]


def versus(a: Sequence[Judged], b: Sequence[Judged]) -> Comparison:
    """One side against the other, paired where their replicates are."""
    means = [mean([one.summary for one in side]) for side in (a, b)]
    return compare.compare(means[0], means[1], replicates.pairs(a, b), (len(a), len(b)))


# Several runs of a side.


def mean(summaries: Sequence[Summary]) -> Summary:
    """
    The runs of a side as one: of each number the mean over the runs that have it, of each count the sum.

    Means are geometric, as ratios are compared, unless a run has a 0. There are no intervals: those of single runs do
    not say how far runs differ. The verdict is the worst.
    """
    first = summaries[0]
    if len(summaries) == 1:
        return first
    worst = validity.worst(one.validity for one in summaries)
    counts = replace(first.counts, in_window=sum(one.counts.in_window for one in summaries))
    unfinished = "; ".join(f"{one.facts.name}: {one.facts.unfinished}" for one in summaries if one.facts.unfinished)
    facts = replace(first.facts, name=_name(summaries), settings=_settings(summaries), unfinished=unfinished)
    return replace(
        first, facts=facts, counts=counts, validity=worst, rows=tuple(_rows(summaries)), rates=tuple(_rates(summaries))
    )


def _name(summaries: Sequence[Summary]) -> str:
    folders = {one.facts.name.partition(" · ")[0].rpartition("/")[0] for one in summaries}
    arm = summaries[0].facts.arm
    return " · ".join([*sorted(folders - {""}), *([arm] if arm else []), f"{len(summaries)} runs"])


def _settings(summaries: Sequence[Summary]) -> dict[str, Any]:
    """A setting that the runs have in common, else all its values in their order."""
    settings = [one.facts.settings for one in summaries]
    found = {}
    for name in dict.fromkeys(name for one in settings for name in one):
        values = [one.get(name) for one in settings]
        found[name] = values[0] if all(value == values[0] for value in values) else values
    return found


def _rows(summaries: Sequence[Summary]) -> Iterable[Row]:
    same: dict[tuple[Any, ...], list[Row]] = {}
    for row in (row for one in summaries for row in one.rows):
        same.setdefault((row.metric, row.by, row.group, row.tokens), []).append(row)
    for rows in same.values():
        cells = tuple(Cell(c.p, _mean([row.cell(c.p).value for row in rows]), None, None) for c in rows[0].cells)
        yield replace(rows[0], n=sum(row.n for row in rows), cells=cells, mean=None, worst=None)


def _rates(summaries: Sequence[Summary]) -> Iterable[Rate]:
    same: dict[tuple[Any, ...], list[Rate]] = {}
    for rate in (rate for one in summaries for rate in one.rates):
        same.setdefault((rate.metric, rate.tokens), []).append(rate)
    return [replace(rates[0], value=_mean([rate.value for rate in rates])) for rates in same.values()]


def _mean(values: Sequence[float | None]) -> float | None:
    known = np.array([value for value in values if value is not None], dtype=np.float64)
    if not known.size:
        return None
    return float(np.exp(np.log(known).mean())) if np.all(known > 0) else float(known.mean())
