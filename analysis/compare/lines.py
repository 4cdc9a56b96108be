"""The lines of a comparison: which numbers stand together, what they differ by, and how sure that is among so many."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from analysis import stats
from analysis.compare import pairing
from analysis.compare.comparison import Line
from analysis.compare.difference import Found, band, detectable, of_one, of_pairs, of_runs, runs_needed, with_counts
from analysis.compare.rules import LEAST_RUNS, Rules, bare, is_share, sign
from analysis.metrics import BY_NAME
from analysis.places import RUN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from analysis.compare.pairing import Design, Numbers
    from analysis.digest import Digest
    from analysis.places import Place

PS: Final = ("", "p50", "p95", "p99")
PROMISED: Final = frozenset({"goodput_per_s", "attainment", "cost_per_1k_good"})
"""Metrics that count what met the objectives."""


class Sides(NamedTuple):
    """Two sides, how they stand against each other, and by which rules."""

    a: Sequence[Digest]
    b: Sequence[Digest]
    design: Design
    rules: Rules

    @property
    def family(self) -> int:
        """Tests that share alpha."""
        return max(1, len(self.rules.primary))


def lines_of(sides: Sides) -> list[Line]:
    """Every number that a side has, with all but its verdict: the primary ones first, in the order they were named."""
    lines = [_line(sides, *pair) for pair in _places(sides)]
    named = {words: i for i, words in enumerate(sides.rules.primary)}
    lines.sort(key=lambda line: named[bare(line.place)] if line.primary else len(named))
    return _adjusted(lines, sides.rules)


def _places(sides: Sides) -> Iterable[tuple[Place | None, Place | None, bool]]:
    """The numbers that stand together, and which of them are primary."""
    together = [pair for pair in pairing.together(sides.design.a, sides.design.b) if _either(*pair).what in PS]
    pairs = [(left or _in_runs(sides.a, right), right or _in_runs(sides.b, left)) for left, right in together]
    chosen = _chosen([_either(*pair) for pair in pairs], sides.rules)
    for left, right in pairs:
        is_primary = _either(left, right) in chosen
        if is_primary or not sides.rules.only_primary:
            yield left, right, is_primary
    yield from ((left, right, True) for left, right in _unpaired(sides, {bare(place) for place in chosen}))


def _in_runs(side: Sequence[Digest], place: Place | None) -> Place | None:
    """A place that no replicate of a side has, where its runs have it all the same."""
    return place if any(place in one.numbers for one in side) else None


def _unpaired(sides: Sides, known: set[str]) -> Iterable[tuple[Place | None, Place | None]]:
    """The primary numbers that runs have and no replicate: a block may have too few requests for them."""
    every = [dict.fromkeys(place for one in side for place in one.numbers) for side in (sides.a, sides.b)]
    for words in sides.rules.primary:
        left, right = (_meant(places, words) for places in every)
        if words not in known and (left or right) and _either(left, right).what in PS:
            yield left, right


def _either(left: Place | None, right: Place | None) -> Place:
    place = left or right
    assert place is not None
    return place


def _chosen(places: Sequence[Place], rules: Rules) -> set[Place]:
    """Of each primary number the place it means."""
    return {place for words in rules.primary if (place := _meant(places, words)) is not None}


def _meant(places: Iterable[Place], words: str) -> Place | None:
    """The place that a number's words mean: streams before whole answers, counts of the provider before others."""
    mine = [place for place in places if place.by is None and bare(place) == words]
    mine.sort(key=lambda place: (("stream", "all", RUN, "whole").index(place.group), place.tokens != "usage"))
    return mine[0] if mine else None


def _line(sides: Sides, left: Place | None, right: Place | None, primary: bool) -> Line:
    place = _either(left, right)
    metric = BY_NAME[place.metric]
    scale: Any = "difference" if is_share(place) else "ratio"
    values = _values(sides, left, right)
    lacking = _lacking(sides, left, right)
    means = (
        None if "A" in lacking else _mean(values[0], scale, sides.a, left),
        None if "B" in lacking else _mean(values[1], scale, sides.b, right),
    )
    blank = Line(
        place, metric.label, metric.unit, primary, scale, *means,
        values[0].size, values[1].size, _requests(sides.a, left), _requests(sides.b, right), "not_compared",
        margin=sides.rules.margin(place), tokens_b=None if right is None else right.tokens,
    )  # fmt: skip
    if reason := _not_compared(sides, left, right):
        return replace(blank, reason=reason)
    if lacking:
        return replace(blank, reason=_too_few(place, lacking), verdict="inconclusive" if primary else "not_compared")
    if _is_gone(sides, place, values):
        return replace(blank, effect=0.0, reason="nothing is left of it", verdict="regression", worse=True)
    if scale == "ratio" and values[0].size and not values[0].any() and not (sign(place) > 0 and values[1].any()):
        return replace(blank, reason="A is 0")
    if reason := _not_known(sides, left, right, values, scale):
        return replace(blank, reason=reason, verdict="inconclusive" if primary else "not_compared")
    found = _found(sides, place, values, scale)
    if scale == "difference":
        found = with_counts(found, *values, (blank.n_a, blank.n_b))
    return _with(blank, found, sides)


def _values(sides: Sides, left: Place | None, right: Place | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The values of both sides, one a replicate; of pairs those that both have."""
    design = sides.design
    if design.is_paired and left and right:
        both = [
            (x[left].value, y[right].value) for x, y in zip(design.a, design.b, strict=True) if left in x and right in y
        ]
        pairs = np.array(both, dtype=np.float64).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]
    return _column(design.a, left), _column(design.b, right)


def _column(side: Sequence[Numbers], place: Place | None) -> NDArray[np.float64]:
    return np.array([numbers[place].value for numbers in side if place and place in numbers], dtype=np.float64)


def _requests(side: Sequence[Digest], place: Place | None) -> int:
    return sum(one.numbers[place].n for one in side if place and place in one.numbers)


def _mean(values: NDArray[np.float64], scale: str, side: Sequence[Digest], place: Place | None) -> float | None:
    """Of a side's values; of a number that no replicate has, over its runs, unless it is one run's of too few."""
    if not values.size:
        known = [one.numbers[place] for one in side if place and place in one.numbers]
        values = np.array([number.value for number in known if number.supported or len(known) > 1])
    if not values.size:
        return None
    logs = scale == "ratio" and bool(np.all(values > 0))
    return float(np.exp(np.log(values).mean())) if logs else float(values.mean())


def _lacking(sides: Sides, left: Place | None, right: Place | None) -> dict[str, int]:
    """Of one run a side: whose run has too few requests for the number to be told by itself, and how many it has."""
    if len(sides.a) != 1 or len(sides.b) != 1:
        return {}
    both = (("A", sides.a[0], left), ("B", sides.b[0], right))
    found = {name: run.numbers[place] for name, run, place in both if place and place in run.numbers}
    return {name: number.n for name, number in found.items() if not number.supported}


def _too_few(place: Place, lacking: Mapping[str, int]) -> str:
    """`too few requests for p95: A has 49 of 59`."""
    needed = stats.least_count(float(place.what.removeprefix("p")) / 100)
    told = " and ".join(f"{name} has {n:,} of {needed:,}" for name, n in lacking.items())
    return f"too few requests for {place.what}: {told}"


def _not_compared(sides: Sides, left: Place | None, right: Place | None) -> str:
    """Why there is nothing to hold B against, or nothing of its kind; empty where there is."""
    if left is None:
        return "A has none"
    if left.metric in PROMISED and {one.objectives for one in sides.a} != {one.objectives for one in sides.b}:
        return "the objectives differ"
    if right is not None and not _column(sides.design.a, left).size:
        return f"no pair of {sides.design.of} has it"
    return ""


def _is_gone(sides: Sides, place: Place, values: tuple[NDArray[np.float64], ...]) -> bool:
    """Whether every run of A has some of what there ought to be more of, and no run of B any: an outage."""
    a, b = values
    if sign(place) >= 0 or is_share(place) or sides.design.of in {"one run", "blocks"}:
        return False
    return bool(min(a.size, b.size) >= LEAST_RUNS and np.all(a > 0) and not b.any())


def _not_known(
    sides: Sides, left: Place | None, right: Place | None, values: tuple[NDArray[np.float64], ...], scale: str
) -> str:
    """Why nobody can tell how far they differ, though A has it: that may be no pass; empty where somebody can."""
    if left is None or right is None:
        return "B has none"
    if left.tokens != right.tokens:
        return f"tokens of A by {left.tokens}, of B by {right.tokens}"
    if not values[0].size or not values[1].size:
        return f"no pair of {sides.design.of} has it"
    return _zeros(sides, values) if scale == "ratio" else ""


def _zeros(sides: Sides, values: tuple[NDArray[np.float64], ...]) -> str:
    """Which side is 0, or in how many of its replicates; empty where neither is."""
    unit, told = sides.design.of if sides.design.is_paired else "runs", []
    for name, side in zip("AB", values, strict=True):
        if n := int((side <= 0).sum()):
            told.append(name if n == side.size else f"{n} of {side.size} {unit} of {name}")
    return f"0 in {' and '.join(told)}" if told else ""


def _found(sides: Sides, place: Place, values: tuple[NDArray[np.float64], ...], scale: str) -> Found:
    if sides.design.of == "one run":
        return of_one(sides.a[0].numbers[place], sides.b[0].numbers[place], logs=scale == "ratio")
    a, b = (np.log(side) if scale == "ratio" else side for side in values)
    of = of_pairs if sides.design.is_paired else of_runs
    return of(a, b, exact=not sides.rules.only_primary)


def _with(line: Line, found: Found, sides: Sides) -> Line:
    """The line with what was found, turned back from the scale of the test."""
    paired, alpha = sides.design.is_paired, sides.rules.alpha / (sides.family if line.primary else 1)
    least = detectable(found, line.runs_a, line.runs_b, alpha, is_paired=paired)
    margin = math.log1p(line.margin) if line.scale == "ratio" else line.margin
    around = _noise(sides, line)
    back = math.exp if line.scale == "ratio" else float
    worse = (sign(line.place) or 1) * least if least is not None else None
    return replace(
        line,
        effect=back(found.effect), lo=_back(back, found.lo), hi=_back(back, found.hi),
        p=found.p, p_adjusted=found.p, p_exact=found.p_exact,
        shift=_back(back, found.shift), superiority=_worse(found.superiority, line.place),
        detectable=_back(back, worse), runs_needed=runs_needed(found, margin, alpha, is_paired=paired),
        band=None if around is None else (back(around[0]), back(around[1])),
    )  # fmt: skip


def _back(back: Any, value: float | None) -> float | None:
    return None if value is None else float(back(value))


def _worse(superiority: float | None, place: Place) -> float | None:
    """Probability that a run of B is worse."""
    return superiority if superiority is None or sign(place) >= 0 else 1 - superiority


def _noise(sides: Sides, line: Line) -> tuple[float, float] | None:
    """What past sessions of A leave open for one more, where B is one session of several runs; no ratio of a 0."""
    if len({one.session for one in sides.b}) != 1 or len(sides.b) < 2:
        return None
    logs = line.scale == "ratio"
    sessions: dict[str, list[float]] = {}
    for one in sides.a:
        number = one.numbers.get(line.place)
        if number is not None and (number.value > 0 or not logs):
            sessions.setdefault(one.session, []).append(math.log(number.value) if logs else number.value)
    return band([np.array(each) for each in sessions.values()])


def _adjusted(lines: Sequence[Line], rules: Rules) -> list[Line]:
    """Holm over the primary family, Benjamini and Hochberg over the others."""
    found = list(lines)
    for primary, adjust in ((True, stats.holm), (False, stats.benjamini_hochberg)):
        mine = [i for i, line in enumerate(found) if line.primary is primary]
        known = [found[i].p for i in mine]
        ps = adjust([math.nan if p is None else p for p in known])
        for i, p in zip(mine, ps, strict=True):
            certain = bool(p < rules.alpha)
            worse, better = _direction(found[i], certain)
            found[i] = replace(found[i], p_adjusted=None if math.isnan(p) else float(p), worse=worse, better=better)
    return found


def _direction(line: Line, certain: bool) -> tuple[bool, bool]:
    lo, hi = harm_of(line, line.lo), harm_of(line, line.hi)
    if lo is None or hi is None or not certain:
        return False, False
    return min(lo, hi) > 0, max(lo, hi) < 0


def harm_of(line: Line, effect: float | None) -> float | None:
    """An effect as harm: above 0 is worse, on the scale of the test."""
    if effect is None:
        return None
    return sign(line.place) * (math.log(effect) if line.scale == "ratio" else effect)
