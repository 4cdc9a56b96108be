"""A ranking in words: who leads and by how much, and which sides share places."""

from __future__ import annotations

from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Final

from analysis.compare.lines import harm_of
from analysis.units import digits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.compare.comparison import Line
    from analysis.compare.standing import Order, Pair, Standing

EVERY: Final = 3
"""Sides up to which every two of them get a sentence; of more the neighbours do, and the first and the last."""
FACTOR: Final = 2.0
"""Ratio from which on it is given as a multiple."""


def places(order: Order) -> str:
    """The order in one line: `fast first; slow and near share places 2 to 3`."""
    if order.reason:
        return f"no ranking ({order.reason})"
    if len(order.standings) < 2:
        return "fewer than two sides to rank"
    told = []
    for (first, last), some in groupby(order.standings, key=lambda one: (one.first, one.last)):
        names = [one.name for one in some]
        told.append(_place(names, first, last))
    return "; ".join(told)


def _place(names: Sequence[str], first: int, last: int) -> str:
    if first == last:
        return f"{listed(names)} {_nth(first)}"
    if len(names) == 1:
        return f"{names[0]} between {_nth(first)} and {_nth(last)}"
    return f"{listed(names)} share places {first} to {last}"


def leaders(orders: Sequence[Order]) -> list[str]:
    """Who leads in what, a sentence each: `fast leads in TTFT p50 and TTFT p95`, with a full stop."""
    led: dict[tuple[str, str], list[str]] = {}
    unled: dict[str, list[str]] = {}
    for order in orders:
        first = [one.name for one in order.standings if one.first == one.last == 1]
        within = ", within one run" if any(pair.design == "blocks" for pair in order.pairs) else ""
        if first and len(order.standings) > 1:
            led.setdefault((first[0], within), []).append(order.label)
        elif len(order.standings) > 1:
            unled.setdefault(order.reason, []).append(order.label)
    told = [f"{name} leads in {listed(labels)}{within}." for (name, within), labels in led.items()]
    for reason, labels in unled.items():
        why = f"No ranking by {listed(labels)}: {reason}."
        told.append(why if reason else f"No clear leader in {listed(labels)}.")
    return told


def interval(one: Standing) -> str:
    """Its place in short: `1`, or `2 to 3`."""
    return f"{one.first}" if one.first == one.last else f"{one.first} to {one.last}"


def told(order: Order) -> list[str]:
    """A sentence for every two sides that are told; of many sides the neighbours, and the first and the last."""
    names = [one.name for one in order.standings]
    if len(names) < 2:
        return []
    wanted = {frozenset(two) for two in pairwise(names)} | {frozenset((names[0], names[-1]))}
    shown = [pair for pair in order.pairs if pair.relation != "none"]
    if len(names) > EVERY:
        shown = [pair for pair in shown if {pair.a, pair.b} in wanted]
    shown.sort(key=lambda pair: sorted((names.index(pair.a), names.index(pair.b))))
    return [of_pair(pair, order.label) for pair in shown]


# Two sides.


def of_pair(pair: Pair, label: str) -> str:
    """What is known of two sides: `fast's TTFT p95 is 31 % lower than slow's [24, 37], p 0.0004`."""
    if pair.relation in {"better", "worse", "slight"}:
        return _apart(pair, label)
    line = pair.line
    if pair.relation == "alike":
        return f"{pair.a} and {pair.b}: {label} within {line.margin_words} of each other {_bounds(pair)}"
    n, of = min(line.runs_a, line.runs_b), pair.design if pair.design == "blocks" else "runs"
    more = ""
    if line.runs_needed is not None and line.runs_needed > n:
        more = f" (about {line.runs_needed:,} would detect {line.margin_words})"
    return f"{pair.a} and {pair.b}: {label} not distinguishable with {n} {of} a side{more}"


def _apart(pair: Pair, label: str) -> str:
    """The better one first."""
    line = pair.line
    assert line.effect is not None
    within = ", within one run" if pair.design == "blocks" else ""
    if line.scale == "ratio" and line.effect == 0:
        return f"{pair.b} has no {label} left, {pair.a} does"
    b_first = (harm_of(line, line.effect) or 0) < 0
    first, second = (pair.b, pair.a) if b_first else (pair.a, pair.b)
    size = _size(line, b_first=b_first)
    small = ": too small to matter" if pair.relation == "slight" else ""
    return f"{first}'s {label} is {size.format(second)}{_p(pair.p)}{within}{small}"


def _size(line: Line, *, b_first: bool) -> str:
    """How far the better one is from the other, who is {}: B / A turned round where A is the better."""
    ends = [end for end in (line.effect, line.lo, line.hi) if end is not None]
    if line.scale == "difference":
        points = [100 * (end if b_first else -end) for end in ends]
        word = "lower" if points[0] < 0 else "higher"
        values = [abs(points[0]), *sorted(end if points[0] > 0 else -end for end in points[1:])]
        return f"{digits(values[0])} points {word} than {{}}'s {_bracket(values[1:])}"
    ratios = [end if b_first else 1 / end for end in ends]
    if ratios[0] >= FACTOR:
        return f"{digits(ratios[0])} times {{}}'s {_bracket(sorted(ratios[1:]))}"
    word = "lower" if ratios[0] < 1 else "higher"
    share = [100 * (1 - one if ratios[0] < 1 else one - 1) for one in ratios]
    return f"{per_cent(share[0])} % {word} than {{}}'s {_bracket(sorted(share[1:]))}"


def per_cent(value: float) -> str:
    """Per cent as people say them: 31, 2.4."""
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.1f}"


def _bracket(ends: Sequence[float]) -> str:
    told = [per_cent(end) for end in ends]
    if len(set(told)) < len(told):
        told = [f"{end:.1f}" for end in ends]
    return f"[{', '.join(told)}]" if len(ends) == 2 else ""


def _bounds(pair: Pair) -> str:
    line = pair.line
    assert line.lo is not None
    assert line.hi is not None
    is_ratio = line.scale == "ratio"
    low, high = (100 * (end - 1 if is_ratio else end) for end in (line.lo, line.hi))
    return f"[{low:+.1f}, {high:+.1f} {'%' if is_ratio else 'points'}]"


def _p(p: float | None) -> str:
    if p is None:
        return ""
    return f", p {p:.2g}" if p >= 0.0001 else ", p < 0.0001"


def _nth(place: int) -> str:
    words = ("first", "second", "third")
    return words[place - 1] if place <= len(words) else f"{place}th"


def listed(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
