"""
A report against the same report made anew: every text, every value under a pointer, every line of a chart.

Where another matplotlib or firsttoken drew it, it may have other parts, lines and ticks: what both have is compared.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from analysis.verify.found import Difference, Looked
from analysis.verify.tokens import Token, tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Pair = tuple[Token | None, Token | None]

NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*")
META: Final = re.compile(r'<script type="application/json" id="firsttoken">(.*?)</script>', re.DOTALL)
VALUES: Final = ("text", "label", "hover")
VERSIONS: Final = ("firsttoken", "matplotlib")
SAME: Final = 5000
"""Things on either side of a difference in length that are put beside each other; of more, one by one."""


def meta(page: str) -> dict[str, Any]:
    """What a page knows of how it was made: versions, `kind` and `options`; empty where it tells nothing."""
    found = META.search(page)
    try:
        value = json.loads(found[1]) if found else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def other_versions(kept: str, anew: str) -> str:
    """By which other versions a page was drawn, in words; empty for the same."""
    old, new = meta(kept), meta(anew)
    told = [
        f"{name} {old[name]}, here is {new.get(name)}"
        for name in VERSIONS
        if old.get(name, new.get(name)) != new.get(name)
    ]
    return "; ".join(told)


def check(file: str, kept: str, anew: str, by: str = "the rows") -> Looked:
    """
    A page that lies there against one made anew.

    Args:
        file: What the page is called.
        kept: It, as it lies there.
        anew: As the rows have it now.
        by: What the second was made of.
    """
    mine, theirs = tokens(kept), tokens(anew)
    found = Looked(f"{file}: {count(theirs):,} numbers")
    if kept == anew:
        return found
    if not (other := other_versions(kept, anew)):
        return replace(found, differences=tuple(_differences(file, pairs(mine, theirs), by)))
    both = list(_in_both(mine, theirs))
    note = f"drawn by {other}; of {len(both):,} things alone that both pages have, and of no chart's lines"
    return replace(found, differences=tuple(_differences(file, _unlike(both), by)), note=note)


def count(found: Sequence[Token]) -> int:
    """Numbers that a reader or a pointer meets."""
    return sum(len(NUMBER.findall(one.text)) for one in found if one.kind in VALUES)


def _in_both(mine: Sequence[Token], theirs: Sequence[Token]) -> Iterator[Pair]:
    """
    Texts and hover values at places that two pages have alike, whatever else either of them has.

    Labels of charts are none: another matplotlib may set other ticks.
    """
    here, there = _by_place(mine), _by_place(theirs)
    for place, some in here.items():
        if len(others := there.get(place, ())) == len(some):
            yield from zip(some, others, strict=True)


def _by_place(found: Sequence[Token]) -> dict[str, list[Token]]:
    places: dict[str, list[Token]] = {}
    for one in found:
        if one.kind in ("text", "hover"):
            places.setdefault(one.where, []).append(one)
    return places


def _unlike(both: Iterable[Pair]) -> Iterator[Pair]:
    return ((old, new) for old, new in both if old is None or new is None or old[:2] != new[:2])


def _differences(file: str, unlike: Iterable[Pair], by: str) -> Iterator[Difference]:
    """Values one by one; of lines one for each chart, of the look one in all, with how many places it is in."""
    unseen: Counter[tuple[str, str]] = Counter()
    for old, new in unlike:
        one = old or new
        assert one is not None
        if one.kind in VALUES:
            yield Difference(file, _shown(old, new), by, _shown(new, old), one.where)
        else:
            unseen[("other lines", one.where) if one.kind == "drawing" else ("another look", "")] += 1
    for (what, where), n in unseen.items():
        place = where or "the page"
        yield Difference(file, what, by, "these", f"{place}; {n:,} places" if n > 1 else place)


def _shown(token: Token | None, other: Token | None) -> str:
    """Its text; of a long one the words around the first that differs."""
    if token is None:
        return ""
    if other is None or len(token.text) <= 50:
        return f'"{token.text}"'
    mine, theirs = token.text.split(), other.text.split()
    first = next((i for i, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), min(len(mine), len(theirs)))
    words = " ".join(mine[max(0, first - 2) : first + 3])
    return f'"{words}"'


def pairs(mine: Sequence[Token], theirs: Sequence[Token]) -> Iterator[Pair]:
    """What differs between two pages: the one and the other; None where one of them has it not."""
    first, last = _alike(mine, theirs)
    a, b = mine[first : len(mine) - last], theirs[first : len(theirs) - last]
    if len(a) == len(b) or max(len(a), len(b)) > SAME:
        yield from _one_by_one(a, b)
        return
    old, new = ([(one.kind, one.text) for one in side] for side in (a, b))
    for what, a0, a1, b0, b1 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what != "equal":
            yield from _one_by_one(a[a0:a1], b[b0:b1])


def _one_by_one(a: Sequence[Token], b: Sequence[Token]) -> Iterator[Pair]:
    return _unlike(zip_longest(a, b))


def _alike(a: Sequence[Token], b: Sequence[Token]) -> tuple[int, int]:
    """How many things at the beginning and at the end of two pages are the same."""
    most, first = min(len(a), len(b)), 0
    while first < most and a[first][:2] == b[first][:2]:
        first += 1
    last = 0
    while last < most - first and a[-1 - last][:2] == b[-1 - last][:2]:
        last += 1
    return first, last
