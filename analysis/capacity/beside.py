"""Several deployments side by side, and which of them certainly carries more."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

from scipy import special

from analysis.capacity import mix as mixes
from analysis.capacity.bills import meets
from analysis.capacity.figures import Figure, money, paid, percent, told
from analysis.capacity.money import break_even
from analysis.units import NONE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.capacity.meaning import Meaning

LEVEL: Final = 0.95
COLUMNS: Final = ("deployment", "requests/s", "limited by", "machines", "1,000 good", "1 M tokens out", "month")


def ratio(a: Figure, b: Figure, pairs: int = 1) -> Figure:
    """
    One capacity over another, a / b, with its 95 % interval; an end that rests on a missing one has none.

    On the log scale the ends' distances from the value add up as squares: ln lo = ln a / b - sqrt((ln a - ln lo_a)^2 +
    (ln hi_b - ln b)^2), hi likewise. For several pairs at once they grow by z(1 - 0.025 / pairs) / z(0.975).

    Source: Zou & Donner 2008, Statistics in Medicine 27, 1693 (MOVER); Bonferroni for several.
    """
    wider = float(special.ndtri(1 - (1 - LEVEL) / 2 / pairs) / special.ndtri((1 + LEVEL) / 2))
    below, above = _distance(a.value, a.lo), _distance(a.value, a.hi)
    under, over = _distance(b.value, b.lo), _distance(b.value, b.hi)
    value = a.value / b.value
    lo = None if below is None or over is None else value * math.exp(-wider * math.hypot(below, over))
    hi = None if above is None or under is None else value * math.exp(wider * math.hypot(above, under))
    return Figure(value, lo, hi)


def _distance(value: float, end: float | None) -> float | None:
    """Of an end from its value, on the log scale."""
    return None if end is None or end <= 0 else abs(math.log(end / value))


@dataclass(frozen=True, slots=True)
class Beside:
    """
    Deployments side by side.

    Attributes:
        rows: The one that carries most first, those without a capacity last.
        ranking: Who certainly carries more than whom, a sentence each.
        break_even: Where rented machines and another's token prices cost the same, a sentence each.
        notes: What keeps them from being compared as equals.
    """

    rows: tuple[Meaning, ...]
    ranking: tuple[str, ...]
    break_even: tuple[str, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        said = {name: list(getattr(self, name)) for name in ("ranking", "break_even", "notes")}
        return {"rows": [row.to_json() for row in self.rows], **said}


@dataclass(frozen=True, slots=True)
class _Pair:
    a: Meaning
    b: Meaning
    ratio: Figure

    @property
    def is_sure(self) -> bool:
        return self.ratio.lo is not None and self.ratio.lo > 1


def beside(meanings: Sequence[Meaning]) -> Beside:
    """
    Order them by what they carry, and say where that order is certain.

    Only those found in the same way are ranked: of a rate and of users the same server has different capacities.
    """
    known = sorted((one for one in meanings if one.carried is not None), key=_per_s, reverse=True)
    none = [one for one in meanings if one.carried is None]
    pairs = [(a, b) for a, b in combinations(known, 2) if a.answer.mode == b.answer.mode]
    judged = [_Pair(a, b, ratio(_figure(a), _figure(b), len(pairs))) for a, b in pairs]
    ranking = tuple(sentence for one in known for sentence in _ranked(one, judged))
    even = tuple(sentence for a in known for b in known for sentence in _even(a, b))
    return Beside((*known, *none), ranking, even, _notes(known, none))


def _per_s(one: Meaning) -> float:
    return _figure(one).value


def _figure(one: Meaning) -> Figure:
    assert one.carried is not None
    return one.carried.per_s


def _ranked(one: Meaning, judged: Sequence[_Pair]) -> list[str]:
    """One against all that it comes before."""
    mine = [pair for pair in judged if pair.a is one]
    sure = [f"{told(pair.ratio, ' times')} what {pair.b.arm} does" for pair in mine if pair.is_sure]
    unsure = [pair.b.arm for pair in mine if not pair.is_sure]
    said = [f"{one.arm} carries {_list(sure)}."] if sure else []
    return said + ([f"{one.arm} cannot be distinguished from {_list(unsure)}."] if unsure else [])


def _even(own: Meaning, other: Meaning) -> list[str]:
    """Rented machines against another's token prices; of a price list and a fleet of the same work."""
    if own is other or own.rent is None or own.carried is None or other.rent is not None or other.tokens is None:
        return []
    replicas = 1 if own.sizing is None else own.sizing.replicas
    found = break_even(own.rent.price_per_h, replicas, own.carried, other.tokens.per_request)
    return [] if found is None else [meets(found, f"{other.arm} by its token prices", f" of {own.arm}")]


def _notes(known: Sequence[Meaning], none: Sequence[Meaning]) -> tuple[str, ...]:
    notes = [f"{one.arm} has no capacity to compare: {one.answer.reason}." for one in none]
    notes += [f"{one.arm}: this is the quota, not what the model could do." for one in known if _bound(one) == "quota"]
    notes += [
        f"{one.arm}: it carries at least that; the search ended before its limit."
        for one in known
        if _bound(one) == "at least"
    ]
    if len({one.answer.mode for one in known}) > 1:
        notes.append("Some were searched by rate and some by users; only those searched alike are ranked.")
    if len({frozenset(one.answer.objectives) for one in known}) > 1:
        notes.append(
            "They had different objectives: "
            + "; ".join(f"{one.arm} to {', '.join(one.answer.objectives)}" for one in known)
            + "."
        )
    first = known[0] if known else None
    for other in known[1:]:
        if first and first.mix and other.mix and (clause := mixes.differ(first.mix, other.mix)):
            notes.append(f"{first.arm} and {other.arm} did different work: {clause} per request.")
    if any(one.rent for one in known) and any(one.tokens and not one.rent for one in known):
        notes.append("A month of machines is that of all for the peak, one by token prices that of the mean load.")
    return tuple(notes)


def _bound(one: Meaning) -> str:
    assert one.carried is not None
    return one.carried.bound


def cells(meaning: Meaning) -> list[str]:
    """A row of `COLUMNS`; a dash where there is nothing to tell."""
    carried, sizing, rent, tokens = meaning.carried, meaning.sizing, meaning.rent, meaning.tokens
    good = output = month = NONE
    if rent is not None:
        full = rent.at_capacity
        good, output = (NONE if x is None else paid(x) for x in (full.per_1k_good, full.per_m_output))
        month = NONE if rent.month is None else money(rent.month.value)
    elif tokens is not None:
        good, output = (NONE if x is None else money(x) for x in (tokens.per_1k_good, tokens.per_m_output))
        bill = tokens.month_peak if tokens.month_mean is None else tokens.month_mean
        month = NONE if bill is None else money(bill)
    return [
        meaning.arm or "server",
        NONE if carried is None else carried.shown(carried.per_s),
        meaning.answer.limited_by,
        NONE if sizing is None else f"{sizing.shown} at {percent(sizing.busy)}",
        good,
        output,
        month,
    ]


def _list(names: Sequence[str]) -> str:
    """A, B and C."""
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
