"""
Texts of a wanted size, from the sentences of `phrases`: in tokens of a tokenizer, else estimated by characters.

What can be counted is counted once, before the run. A text is put together from whole passages whose sizes are known,
so that a prompt of 100,000 tokens takes about a millisecond.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cache
from itertools import accumulate, product
from typing import TYPE_CHECKING, Final

from loadtests.phrases import CODE, ENGLISH, GERMAN, Phrases

if TYPE_CHECKING:
    from collections.abc import Callable

CHARS_PER_TOKEN: Final = 4
"""Roughly, for Latin text; only the drawn lengths rest on it, and only without a tokenizer."""

KINDS: Final = {"en": ENGLISH, "de": GERMAN, "code": CODE}

_PIECES: Final = re.compile(r"\s*\S+")
"""Words with the white space before them: tokenizers do not reach from one into the next, or seldom."""

_SAMPLE: Final = 50
"""Passages that are counted as one text: a tokenizer that reaches over white space takes fewer tokens for it."""


class Ruler:
    """
    Measures texts.

    Args:
        count: Tokens of a text, by the run's tokenizer; None: sizes are characters, `CHARS_PER_TOKEN` a token.
    """

    def __init__(self, count: Callable[[str], int] | None = None) -> None:
        self.count = count
        self._pieces: dict[str, int] = {}

    def of(self, text: str) -> int:
        """The size of a text."""
        return len(text) if self.count is None else self.count(text)

    def room(self, tokens: int) -> int:
        """The size of so many tokens."""
        return CHARS_PER_TOKEN * tokens if self.count is None else tokens

    def of_piece(self, piece: str) -> int:
        """The size of a piece of `_PIECES`, counted once."""
        found = self._pieces.get(piece)
        if found is None:
            found = self._pieces[piece] = self.of(piece)
        return found

    def words(self) -> str:
        """How sizes are known, for people."""
        return f"estimated at {CHARS_PER_TOKEN} characters a token" if self.count is None else "by the tokenizer"


class Writer:
    """
    Writes texts of one kind.

    Attributes:
        phrases: Its sentences.

    Args:
        kind: One of `KINDS`.
        ruler: What sizes are measured by.
    """

    def __init__(self, kind: str, ruler: Ruler) -> None:
        self.phrases = KINDS[kind]
        self._glue = self.phrases.glue
        self._passages = _passages(self.phrases)
        self._ruler = ruler
        self._ends: list[list[int]] = []
        self._sizes: list[float] = [len(self._glue) + len(passage) for passage in self._passages]
        if ruler.count is not None:
            self._count()

    def text(self, opening: str, size: float, state: int, room: int) -> str:
        """
        The opening and what follows it, of this size, as near as whole words (without a tokenizer: exactly).

        Args:
            opening: How it begins; cut where there is no room for it.
            size: Its own.
            state: What chooses the passages; 64 bits.
            room: The size wanted.
        """
        passages, sizes, parts, chosen = self._passages, self._sizes, [opening], -1
        many, before = len(passages), 0.0
        while size < room:
            # Knuth's MMIX generator; its high bits are the good ones.
            state = (state * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
            chosen, before = (state >> 33) % many, size
            parts.append(passages[chosen])
            size += sizes[chosen]
        if self._ruler.count is None:
            return self._glue.join(parts)[:room]
        if chosen < 0:
            return self._cut(opening, room)
        parts.pop()
        return self._glue.join(parts) + self._part(chosen, room - before)

    # By a tokenizer.

    def _count(self) -> None:
        """The size of every passage with the glue before it, and of its first words in proportion."""
        pieces = [_PIECES.findall(self._glue + passage) for passage in self._passages]
        alone = [self._ruler.of(self._glue + passage) for passage in self._passages]
        together = self._ruler.of(self._glue + self._glue.join(self._passages[:_SAMPLE]))
        self._sizes = [size * together / (sum(alone[:_SAMPLE]) or 1) for size in alone]
        self._ends = [list(accumulate(map(len, of_one))) for of_one in pieces]
        self._costs = []
        for size, of_one in zip(self._sizes, pieces, strict=True):
            costs = list(accumulate(map(self._ruler.of_piece, of_one)))
            self._costs.append([cost * size / (costs[-1] or 1) for cost in costs])
        words = {piece for of_one in pieces for piece in of_one if piece[-1].isalpha()}
        self._small: str = min(words, key=lambda word: (self._ruler.of_piece(word), len(word), word))

    def _part(self, chosen: int, room: float) -> str:
        """The first words of a passage, and small ones for what is left."""
        costs = self._costs[chosen]
        whole = bisect_right(costs, room + 0.5)
        end = self._ends[chosen][whole - 1] if whole else 0
        left = room - (costs[whole - 1] if whole else 0.0)
        return (self._glue + self._passages[chosen])[:end] + self._small_ones(left)

    def _cut(self, text: str, room: float) -> str:
        """The first words of a text, and small ones for what is left."""
        kept = []
        for piece in _PIECES.findall(text):
            if self._ruler.of_piece(piece) > room:
                break
            room -= self._ruler.of_piece(piece)
            kept.append(piece)
        return "".join(kept) + self._small_ones(room)

    def _small_ones(self, left: float) -> str:
        return self._small * max(0, round(left / max(1, self._ruler.of_piece(self._small))))


@cache
def _passages(phrases: Phrases) -> tuple[str, ...]:
    """Runs of four sentences; every template with a spread of slot values (a step coprime to the lists meets all)."""
    slots = list(product(phrases.places, phrases.times, phrases.things))[::11]
    sentences = [
        template.format(place=place, time=time, thing=thing, n=2 + (17 * i + 5 * k) % 58)
        for k, _ in enumerate(slots)
        for i, template in enumerate(phrases.templates)
        for place, time, thing in (slots[(k + i) % len(slots)],)
    ]
    return tuple(phrases.glue.join((sentences + sentences[:3])[i : i + 4]) for i in range(len(sentences)))
