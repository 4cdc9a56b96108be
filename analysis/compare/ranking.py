"""
Several sides in order, as far as there is one: of each metric between which places a side stands.

A side stands before another only where the difference is certain among all pairs of that metric, is large enough to
matter, and rests on as many runs as a verdict does. Sides that are not distinguishable share places, and nothing
breaks the tie.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from scipy import special

from analysis import sources, stats
from analysis.compare import likeness
from analysis.compare.comparison import Line
from analysis.compare.judge import compare
from analysis.compare.lines import harm_of
from analysis.compare.rules import LEAST_RUNS, bare, is_share, sign
from analysis.compare.standing import Order, Pair, Ranking, Standing, named
from analysis.metrics import BY_NAME
from analysis.places import RUN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from analysis.compare.comparison import Comparison
    from analysis.compare.rules import Rules
    from analysis.compare.standing import Relation
    from analysis.digest import Digest, Number
    from analysis.places import Place

Scale = Literal["ratio", "difference"]
COST: Final = "cost_per_1k_good"
NOTHING: Final = "A is 0"
NONE_HAS: Final = ("A has none", "B has none")
GROUPS: Final = ("stream", "all", RUN, "whole")
ANSWERS: Final = {"stream": "streamed answers", "whole": "whole answers"}
REASONS: Final = 2
"""Reasons for no order that are told with it; of more their number is, and each stands among what is left out."""
PROMISED: Final = ("goodput_per_s", "attainment", COST)
WORK: Final = frozenset({"latency_s", "latency_from_send_s", "output_tokens_per_s", *PROMISED})
"""What depends on how long the answers are."""
PROMPT: Final = frozenset({"ttft_s", "ttft_from_send_s", "latency_s", "latency_from_send_s", *PROMISED})
"""What depends on whether the prompt was in a cache."""
TOUCHED: Final = {17: PROMPT, 20: WORK}
"""By the number of a failed check of two sides, the metrics that it spoils."""


def rank(sides: Mapping[str, Sequence[Digest]], rules: Rules) -> Ranking:
    """
    Compare every two of several sides, and put them in order.

    Args:
        sides: By name, each one run or more.
        rules: Level, margins, primary metrics, what may differ. With `only_primary` the cost of good requests is
            among these where the runs have one.

    Raises:
        UnlikeError: `across` has a word that nobody knows.
    """
    if rules.only_primary and COST not in rules.primary:
        rules = replace(rules, primary=(*rules.primary, COST))
    likeness.known(rules.across)
    compared: dict[tuple[str, str], Comparison] = {}
    refused: dict[tuple[str, str], str] = {}
    for a, b in combinations(sides, 2):
        try:
            compared[a, b] = compare(sides[a], sides[b], rules, (a, b))
        except likeness.UnlikeError as error:
            refused[a, b] = _refusal(str(error), a, b)
    unranked = dict(_unranked(sides, compared))
    orders = tuple(_orders(sides, frozenset(unranked), compared, rules))
    return Ranking(tuple(sides), orders, compared, refused, unranked)


def _refusal(why: str, a: str, b: str) -> str:
    """With the side by its name whose runs differ; what follows are settings, whose values are anything."""
    side, differ, settings = why.partition(" differ among themselves")
    return named(side, a, b) + differ + settings if differ else why


def _unranked(
    sides: Mapping[str, Sequence[Digest]], compared: Mapping[tuple[str, str], Comparison]
) -> Iterator[tuple[str, str]]:
    """Sides that no order may have, with the reason."""
    for name, side in sides.items():
        broken = [one for one in side if one.verdict == "invalid"]
        if broken:
            faults = dict.fromkeys(fault.name for one in broken for fault in one.faults if fault.status == "invalid")
            many = f"{len(broken)} of {len(side)} runs" if len(side) > 1 else "the run"
            yield name, f"{many} {'is' if len(broken) == 1 else 'are'} invalid ({', '.join(faults)})"
        elif len(sides) > 1 and not any(name in pair for pair in compared):
            yield name, "it is comparable with no other side"


# One metric.


def _orders(
    sides: Mapping[str, Sequence[Digest]], unranked: frozenset[str], compared: Mapping[tuple[str, str], Comparison],
    rules: Rules,
) -> Iterator[Order]:  # fmt: skip
    """An order of each metric that a side has; sides that stand in none are told outside of it."""
    for words in [*rules.primary, *([] if COST in rules.primary else [COST])]:
        places = {name: place for name, side in sides.items() if (place := place_of(side, words)) is not None}
        if not places:
            continue
        inside = {name: sides[name] for name in places if name not in unranked}
        without = [name for name in sides if name not in places] if words == COST else []
        told = [] if without else _certain(_pairs(words, inside, compared, rules), rules)
        found = _order(places, inside, told)
        if without:
            found = replace(found, reason=f"no known cost for {', '.join(without)}")
        beside = (_standing(name, sides[name], places, (0, 0)) for name in places if name in unranked)
        yield replace(found, outside=tuple(beside))


def place_of(side: Sequence[Digest], words: str) -> Place | None:
    """Which of a side's numbers is meant by words: streams before whole answers, counts of the provider first."""
    mine = {place for one in side for place in one.numbers if place.by is None and bare(place) == words}
    order = sorted(mine, key=lambda place: (GROUPS.index(place.group), place.tokens != "usage", str(place.tokens)))
    return order[0] if order else None


def _order(places: Mapping[str, Place], sides: Mapping[str, Sequence[Digest]], pairs: Sequence[Pair]) -> Order:
    place = next(iter(places.values()))
    standings = [_standing(name, side, places, _between(name, pairs, len(sides))) for name, side in sides.items()]
    standings.sort(key=lambda one: (one.first, one.last, (sign(place) or 1) * one.value))
    is_none = all(pair.relation == "none" for pair in pairs)
    return Order(BY_NAME[place.metric], place, tuple(standings), tuple(pairs), _why_none(pairs) if is_none else "")


def _why_none(pairs: Sequence[Pair]) -> str:
    """Why none of them is ranked, each reason once."""
    reasons = list(dict.fromkeys(pair.reason for pair in pairs))
    more = len(reasons) - REASONS
    return "; ".join(reasons[:REASONS]) + (f"; and {more:,} more" if more > 0 else "")


def _pairs(
    words: str, sides: Mapping[str, Sequence[Digest]], compared: Mapping[tuple[str, str], Comparison], rules: Rules
) -> Iterator[Pair]:
    """Every two sides of which something can be said, not yet told whether it is certain."""
    for (a, b), comparison in compared.items():
        if a not in sides or b not in sides:
            continue
        own = place_of(sides[a], words), place_of(sides[b], words)
        line = _line(comparison, words, own[0])
        if line.reason == NOTHING:
            # What A has nothing of, B may have: only the other way round that is a finding.
            a, b, own = b, a, own[::-1]  # noqa: PLW2901
            line = _line(compare(sides[a], sides[b], rules), words, own[0])
        reason, advice = _barred(line, comparison, own)
        relation: Relation = "none" if reason else "open"
        yield Pair(a, b, line, relation, comparison.design, line.p, named(reason, a, b), advice)


def _line(comparison: Comparison, words: str, own: Place | None) -> Line:
    """The line of a number that both sides have; an empty one where none of their pairs has it."""
    mine = [line for line in comparison.lines if line.place.by is None and bare(line.place) == words]
    mine.sort(key=lambda line: (not line.primary, GROUPS.index(line.place.group), line.place.tokens != "usage"))
    if mine:
        return mine[0]
    assert own is not None
    metric = BY_NAME[own.metric]
    scale: Scale = "difference" if is_share(own) else "ratio"
    return Line(own, metric.label, metric.unit, False, scale, None, None, 0, 0, 0, 0, "not_compared")


def _barred(line: Line, comparison: Comparison, own: tuple[Place | None, Place | None]) -> tuple[str, str]:
    """Why a pair may not be ranked by this number, and what to do about it; empty where it may."""
    for check in comparison.checks:
        if check.status == "invalid" and line.place.metric in TOUCHED.get(check.number, ()):
            return f"{check.name}: {check.value}", check.why
    if line.effect is None:
        return _not_comparable(line, comparison, own), ""
    if comparison.design == "one run":
        return "one run a side says nothing about the next one", f"Ranking needs {LEAST_RUNS} runs a side or more."
    n, of = min(line.runs_a, line.runs_b), "block" if comparison.design == "blocks" else "run"
    if n >= LEAST_RUNS:
        return "", ""
    few = f"{n} {of}{'' if n == 1 else 's'} {'a side' if line.runs_a == line.runs_b else 'of one side'}"
    return few, f"Ranking needs {LEAST_RUNS} or more."


def _not_comparable(line: Line, comparison: Comparison, own: tuple[Place | None, Place | None]) -> str:
    """Why two sides that both have a number have no effect of it."""
    a, b = own
    assert a is not None
    assert b is not None
    if a.group != b.group:
        return f"A has it for {ANSWERS.get(a.group, a.group)}, B for {ANSWERS.get(b.group, b.group)}"
    if a.tokens != b.tokens:
        return f"tokens of A by {a.tokens}, of B by {b.tokens}"
    if line.reason == NOTHING:
        return "it is 0 on both sides"
    return line.reason if line.reason not in {"", *NONE_HAS} else f"no pair of {comparison.design} has it"


def _certain(pairs: Iterable[Pair], rules: Rules) -> list[Pair]:
    """What is certain among all pairs of the metric."""
    found = list(pairs)
    known = [math.nan if pair.p is None or pair.relation == "none" else pair.p for pair in found]
    adjusted = stats.holm(known)
    return [_told(pair, None if math.isnan(p) else float(p), rules) for pair, p in zip(found, adjusted, strict=True)]


def _told(pair: Pair, p: float | None, rules: Rules) -> Pair:
    if pair.relation == "none":
        return replace(pair, p=None)
    if pair.line.effect == 0 and pair.line.scale == "ratio":
        return replace(pair, relation="better")  # of B nothing is left, which no test is made for
    return replace(pair, p=p, relation=_relation(pair.line, p, rules))


def _relation(line: Line, p: float | None, rules: Rules) -> Relation:
    """Of A to B, from B's harm."""
    lo, hi, harm = (harm_of(line, end) for end in (line.lo, line.hi, line.effect))
    if lo is None or hi is None or harm is None:
        return "open"
    least, margin = rules.least(line.place), line.margin
    if line.scale == "ratio":
        least, margin = math.log1p(least), math.log1p(margin)
    if p is not None and p < rules.alpha and (lo > 0) == (hi > 0):
        if abs(harm) < least:
            return "slight"
        return "better" if harm > 0 else "worse"
    return "alike" if max(abs(lo), abs(hi)) < margin else "open"


def _between(name: str, pairs: Sequence[Pair], n: int) -> tuple[int, int]:
    """The places that a side may have among n: behind all that are surely better, before all that are surely worse."""
    mine = [pair.relation if pair.a == name else _turned(pair.relation) for pair in pairs if name in {pair.a, pair.b}]
    return 1 + mine.count("worse"), n - mine.count("better")


def _turned(relation: Relation) -> Relation:
    turned: dict[Relation, Relation] = {"better": "worse", "worse": "better"}
    return turned.get(relation, relation)


def _standing(name: str, side: Sequence[Digest], places: Mapping[str, Place], between: tuple[int, int]) -> Standing:
    """A side's number, which is the one at its own place."""
    place = places[name]
    known = [one.numbers[place] for one in side if place in one.numbers]
    supported = len(known) > 1 or known[0].supported
    return Standing(name, *_estimate(known, place), *between, supported, _apart(place, places.values()))


def _apart(place: Place, places: Iterable[Place]) -> str:
    """What a number is of, where those of the sides are not all of the same."""
    groups, tokens = {one.group for one in places}, {one.tokens for one in places}
    answers = ANSWERS.get(place.group, place.group) if len(groups) > 1 else ""
    return ", ".join(part for part in (answers, sources.phrase(str(place.tokens)) if len(tokens) > 1 else "") if part)


def _estimate(found: Sequence[Number], place: Place) -> tuple[float, float | None, float | None, int]:
    """A side's number over the runs that have it with the 95 % interval, and how many they are."""
    if len(found) == 1:
        return found[0].value, found[0].lo, found[0].hi, 1
    values = np.array([number.value for number in found])
    if is_share(place) and np.ptp(values) == 0:  # the counts still say how sure that is
        n = sum(number.n for number in found)
        return values[0], *stats.wilson(values[0] * n, n), len(found)
    logs = bool(np.all(values > 0)) and not is_share(place)
    x = np.log(values) if logs else values
    half = float(special.stdtrit(x.size - 1, 0.975) * x.std(ddof=1) / math.sqrt(x.size))
    middle, lo, hi = (float(np.exp(end) if logs else end) for end in (x.mean(), x.mean() - half, x.mean() + half))
    return middle, lo if logs else max(lo, 0.0), min(hi, 1.0) if is_share(place) else hi, x.size
