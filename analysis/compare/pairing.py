"""
What stands against what: which runs of two sides saw the same, and which number of one belongs to which of the other.

Paired are blocks of one run that both arms played, rounds of one campaign that both arms ran, and runs of one seed,
whose arrivals and prompts are the same. What a replicate does to both sides alike cancels in its difference.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from analysis.digest import Number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from analysis.digest import Digest
    from analysis.places import Place

    Numbers = Mapping[Place, Number]

LEAST_SEEDS: Final = 5
"""So many seeds, each with several runs, may stand for the runs; fewer would throw replicates away."""


class Design(NamedTuple):
    """
    The replicates of two sides.

    Attributes:
        of: `blocks`, `rounds` or `seeds` (paired), `runs` (not), or `one run`.
        a, b: The numbers of each replicate; of pairs in the same order.
        is_paired: Whether they are pairs.
    """

    of: str
    a: list[Numbers]
    b: list[Numbers]
    is_paired: bool


def design(a: Sequence[Digest], b: Sequence[Digest]) -> Design:
    """The closest pairing that two sides allow."""
    for of, pairs in (("blocks", _blocks(a, b)), ("rounds", _rounds(a, b)), ("seeds", _seeds(a, b))):
        if len(pairs) > 1:
            return Design(of, [left for left, _ in pairs], [right for _, right in pairs], is_paired=True)
    of = "one run" if len(a) == len(b) == 1 else "runs"
    return Design(of, [one.numbers for one in a], [one.numbers for one in b], is_paired=False)


def _blocks(a: Sequence[Digest], b: Sequence[Digest]) -> list[tuple[Numbers, Numbers]]:
    if len(a) != 1 or len(b) != 1 or a[0].facts.run_id != b[0].facts.run_id:
        return []
    left, right = a[0].blocks, b[0].blocks
    return [(_plain(left[block]), _plain(right[block])) for block in sorted(left.keys() & right.keys())]


def _plain(values: Mapping[Place, float]) -> Numbers:
    return {place: Number(value, 0) for place, value in values.items()}


def _rounds(a: Sequence[Digest], b: Sequence[Digest]) -> list[tuple[Numbers, Numbers]]:
    if len({one.session for one in (*a, *b)}) != 1:
        return []
    left, right = ({one.round: one.numbers for one in side} for side in (a, b))
    return [(left[key], right[key]) for key in left if key is not None and key in right]


def _seeds(a: Sequence[Digest], b: Sequence[Digest]) -> list[tuple[Numbers, Numbers]]:
    """Where both sides have the same seeds; of several runs of a seed their mean."""
    left, right = (Counter(one.facts.seed for one in side) for side in (a, b))
    one_each = max([*left.values(), *right.values()], default=0) == 1
    if None in left or left.keys() != right.keys() or not (one_each or len(left) >= LEAST_SEEDS):
        return []
    return [(_of_seed(a, seed), _of_seed(b, seed)) for seed in left]


def _of_seed(side: Sequence[Digest], seed: int | None) -> Numbers:
    mine = [one.numbers for one in side if one.facts.seed == seed]
    return mine[0] if len(mine) == 1 else _mean(mine)


def _mean(several: Sequence[Numbers]) -> Numbers:
    """The numbers that all have, each the mean, geometric unless one is 0."""
    common = [place for place in several[0] if all(place in numbers for numbers in several)]
    found = {}
    for place in common:
        values = np.array([numbers[place].value for numbers in several])
        value = float(np.exp(np.log(values).mean())) if np.all(values > 0) else float(values.mean())
        found[place] = Number(value, sum(numbers[place].n for numbers in several))
    return found


# Which number belongs to which.


def together(a: Sequence[Numbers], b: Sequence[Numbers]) -> Iterator[tuple[Place | None, Place | None]]:
    """
    The places that belong together, in A's order, then what only B has.

    Of a metric of tokens those of the same source do; where the sides have one source each, these stand together too,
    though they are not to be compared.
    """
    left, right = _by_key(a), _by_key(b)
    for key in dict.fromkeys([*left, *right]):
        mine, other = left.get(key, {}), right.get(key, {})
        if len(mine) == len(other) == 1:
            yield next(iter(mine.values())), next(iter(other.values()))
        else:
            yield from ((mine.get(source), other.get(source)) for source in dict.fromkeys([*mine, *other]))


def _by_key(side: Sequence[Numbers]) -> dict[Place, dict[str | None, Place]]:
    """The places of a side, those that differ in the source of their tokens alone together."""
    found: dict[Place, dict[str | None, Place]] = {}
    for place in dict.fromkeys(place for numbers in side for place in numbers):
        found.setdefault(place._replace(tokens=None), {})[place.tokens] = place
    return found
