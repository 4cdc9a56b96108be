"""
Several sides in order, as far as there is one: of each metric between which places a side stands.

A side stands before another only where the difference is certain among all pairs of that metric, is large enough to
matter, and rests on as many runs as a verdict does. Sides that are not told apart share places, and nothing breaks the
tie.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import special

from analysis import stats
from analysis.compare import likeness
from analysis.compare.judge import compare
from analysis.compare.lines import harm_of
from analysis.compare.rules import LEAST_RUNS, bare, is_share, sign
from analysis.compare.standing import Order, Pair, Ranking, Standing
from analysis.metrics import BY_NAME
from analysis.places import RUN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from analysis.compare.comparison import Comparison, Line
    from analysis.compare.rules import Rules
    from analysis.compare.standing import Relation
    from analysis.digest import Digest, Number
    from analysis.places import Place

COST: Final = "cost_per_1k_good"
NOTHING: Final = "A is 0"
GROUPS: Final = ("stream", "all", RUN, "whole")
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
            refused[a, b] = str(error)
    unranked = dict(_unranked(sides, compared))
    orders = tuple(_orders(sides, frozenset(unranked), compared, rules))
    return Ranking(tuple(sides), orders, compared, refused, unranked)


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
            yield name, "it may stand beside no other side"


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
        told = iter(()) if without else _pairs(words, inside, compared, rules)
        found = _order(next(iter(places.values())), inside, told, rules)
        if without:
            found = replace(found, reason=f"no cost is known of {', '.join(without)}")
        beside = (_standing(name, sides[name], places[name], (0, 0)) for name in places if name in unranked)
        yield replace(found, outside=tuple(beside))


def place_of(side: Sequence[Digest], words: str) -> Place | None:
    """Which of a side's numbers is meant by words: streams before whole answers, counts of the provider first."""
    mine = {place for one in side for place in one.numbers if place.by is None and bare(place) == words}
    order = sorted(mine, key=lambda place: (GROUPS.index(place.group), place.tokens != "usage", str(place.tokens)))
    return order[0] if order else None


def _order(place: Place, sides: Mapping[str, Sequence[Digest]], told: Iterator[Pair], rules: Rules) -> Order:
    pairs = _certain(told, rules)
    own = {name: place_of(side, bare(place)) or place for name, side in sides.items()}
    standings = [_standing(name, side, own[name], _between(name, pairs, len(sides))) for name, side in sides.items()]
    standings.sort(key=lambda one: (one.first, one.last, (sign(place) or 1) * one.value))
    reasons = dict.fromkeys(pair.reason for pair in pairs if pair.relation == "none")
    reason = "; ".join(reasons) if all(pair.relation == "none" for pair in pairs) else ""
    return Order(BY_NAME[place.metric], place, tuple(standings), tuple(pairs), reason)


def _pairs(
    words: str, sides: Mapping[str, Sequence[Digest]], compared: Mapping[tuple[str, str], Comparison], rules: Rules
) -> Iterator[Pair]:
    """Every two sides of which something can be said, not yet told whether it is certain."""
    for (a, b), comparison in compared.items():
        line = _line(comparison, words) if a in sides and b in sides else None
        if line is not None and line.reason == NOTHING:
            # What A has nothing of, B may have: only the other way round that is a finding.
            a, b = b, a  # noqa: PLW2901
            line = _line(compare(sides[a], sides[b], rules), words)
        if line is not None:
            reason, advice = _barred(line, comparison)
            yield Pair(a, b, line, "none" if reason else "open", comparison.design, line.p, reason, advice)


def _line(comparison: Comparison, words: str) -> Line | None:
    mine = [line for line in comparison.lines if line.place.by is None and bare(line.place) == words]
    mine.sort(key=lambda line: (not line.primary, GROUPS.index(line.place.group), line.place.tokens != "usage"))
    return mine[0] if mine else None


def _barred(line: Line, comparison: Comparison) -> tuple[str, str]:
    """Why a pair may not be ranked by this number, and what to do about it; empty where it may."""
    for check in comparison.checks:
        if check.status == "invalid" and line.place.metric in TOUCHED.get(check.number, ()):
            return f"{check.name}: {check.value}", check.why
    if line.effect is None:
        return line.reason or "no number on both sides", ""
    if comparison.design == "one run":
        return "one run a side says nothing of the next one", f"From {LEAST_RUNS} runs a side on they can be ranked."
    n, of = min(line.runs_a, line.runs_b), "blocks" if comparison.design == "blocks" else "runs"
    advice = f"From {LEAST_RUNS} on they can be ranked."
    return ("", "") if n >= LEAST_RUNS else (f"{n} {of} a side", advice)


def _certain(pairs: Iterator[Pair], rules: Rules) -> list[Pair]:
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


def _standing(name: str, side: Sequence[Digest], place: Place, between: tuple[int, int]) -> Standing:
    known = [one.numbers[place] for one in side if place in one.numbers]
    supported = len(known) > 1 or known[0].supported
    return Standing(name, *_estimate(known, place), *between, supported)


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
