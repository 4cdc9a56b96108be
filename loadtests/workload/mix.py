"""Several workloads in one run, by weight: the exact share of each in every hundred arrivals, in a drawn order."""

from __future__ import annotations

import struct
from functools import lru_cache
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from loadtests.draws import draw
from loadtests.workload.request import digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loadtests.schedule import Size
    from loadtests.workload.request import Request
    from loadtests.workload.single import Single

BLOCK: Final = 100
"""Arrivals in which every part of a mix has its exact share."""

_KEPT_BLOCKS: Final = 64


def counts(weights: Sequence[float]) -> list[int]:
    """
    How many of a block's arrivals each weight gets, by largest remainder.

    Everyone gets the whole part of its share; what is left over goes, one each, to the largest fractions, the first of
    equal ones first.
    """
    total = sum(weights)
    shares = [BLOCK * weight / total for weight in weights]
    found = [int(share) for share in shares]
    by_rest = sorted(range(len(weights)), key=lambda i: (found[i] - shares[i], i))
    for i in by_rest[: BLOCK - sum(found)]:
        found[i] += 1
    return found


class Mix:
    """
    A mix of workloads.

    Each counts its own arrivals from 0, so that its shares, too, are exact among its own.

    Attributes:
        name: The mix as it is spelt on the command line.
        extra: Every body field beside the messages that any of its requests may bring.

    Args:
        parts: The workloads, each with a seed of its own.
        weights: One for each, above 0.
        seed: Of the order.
    """

    def __init__(self, parts: Sequence[Single], weights: Sequence[float], seed: int) -> None:
        self._parts, self._weights, self._seed = parts, weights, seed
        self._counts = counts(weights)
        self._block = lru_cache(_KEPT_BLOCKS)(self._new_block)
        self.name = ",".join(f"{part.name}={weight:g}" for part, weight in zip(parts, weights, strict=True))
        self.extra: Mapping[str, Any] = MappingProxyType({k: v for part in parts for k, v in part.extra.items()})

    def _new_block(self, block: int) -> list[tuple[int, int]]:
        """For each place of a block: which part it is of, and its number among the block's places of that part."""
        places = list(chain.from_iterable([i] * count for i, count in enumerate(self._counts)))
        (state,) = struct.unpack_from("<Q", draw(f"mix {self._seed} {block}"))
        for last in range(BLOCK - 1, 0, -1):  # Fisher and Yates
            state = (state * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
            chosen = (state >> 33) % (last + 1)
            places[last], places[chosen] = places[chosen], places[last]
        seen = [0] * len(self._parts)
        found = []
        for part in places:
            found.append((part, seen[part]))
            seen[part] += 1
        return found

    def _of(self, a: int) -> tuple[Single, int]:
        """The part that an arrival is of, and its number among that part's own."""
        block, place = divmod(a, BLOCK)
        part, number = self._block(block)[place]
        return self._parts[part], block * self._counts[part] + number

    def request(
        self, seq: int, *, a: int | None = None, turn: int = 0, history: Sequence[dict[str, Any]] = (),
        size: Size | None = None,
    ) -> Request:  # fmt: skip
        """The request at a place in the schedule; its `workload` is its part's name."""
        part, own = self._of(seq if a is None else a)
        return part.placed(seq, own + turn, own, turn, history, size)

    def streams(self, seq: int, *, a: int | None = None, turn: int = 0) -> bool:
        """Whether that request is streamed: the exact share in every ten of a part's own."""
        part, own = self._of(seq if a is None else a)
        return part.streams(own + turn)

    def turns(self, a: int) -> int:
        """How many turns an arrival brings, at least 1."""
        part, own = self._of(a)
        return part.turns(own)

    def think_s(self, a: int, t: int) -> float:
        """The pause before turn t >= 1, in seconds."""
        part, own = self._of(a)
        return part.think_s(own, t)

    def name_of(self, a: int) -> str:
        """The name of the part that an arrival is of."""
        return self._of(a)[0].name

    def digest(self, n: int) -> str:
        """A hash of the prompts of the first n arrivals, all their turns, in hex."""
        return digest(self, n)

    def words(self, told: Size | None = None) -> list[str]:
        """What it asks, for people, a line each; with the medians of a trace where that tells lengths."""
        return [
            f"{count} % {part.name}: {line}"
            for part, count in zip(self._parts, self._counts, strict=True)
            for line in part.words(told)
        ]
