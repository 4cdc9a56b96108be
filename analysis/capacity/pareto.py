"""
What a server can be asked for: much for one user, or much for all. The frontier is what nothing else beats in both.

Per steady load of each arm: the median output speed that one user sees, against the output of the whole server.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis.capacity.curve import Curve, Number


@dataclass(frozen=True, slots=True)
class Trade:
    """
    One steady load of one arm.

    Attributes:
        user: Output tokens per second of one user, median.
        total: Output tokens per second of the server.
        beaten_by: (arm, load) of one that has at least as much of both and more of one; None on the frontier.
    """

    arm: str
    load: float
    user: Number
    total: Number
    beaten_by: tuple[str, float] | None = None

    @property
    def is_frontier(self) -> bool:
        """Whether nothing is better in both."""
        return self.beaten_by is None

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "frontier": self.is_frontier}


def trades(arms: Mapping[str, Curve]) -> tuple[Trade, ...]:
    """The steady loads of all arms that have both numbers, by arm and load, each held against all of them."""
    found = [
        Trade(name, level.load, level.numbers["user_tokens_per_s"], level.numbers["output_tokens_per_s"])
        for name, curve in arms.items()
        for level in curve.steady
        if "user_tokens_per_s" in level.numbers and "output_tokens_per_s" in level.numbers
    ]
    winners = beaten([(one.user.value, one.total.value) for one in found])
    return tuple(
        one if by is None else Trade(one.arm, one.load, one.user, one.total, (found[by].arm, found[by].load))
        for one, by in zip(found, winners, strict=True)
    )


def frontier(found: Sequence[Trade]) -> list[Trade]:
    """Those that nothing beats, from the fastest for one user to the most for all."""
    return sorted((one for one in found if one.is_frontier), key=lambda one: (-one.user.value, one.total.value))


def beaten(values: Sequence[tuple[float, float]]) -> list[int | None]:
    """
    For each pair the place of one on the frontier that has at least as much of both and more of one; None: it is there.

    From the greatest first number down, the greatest second, a pair is beaten by the best second number so far, unless
    that is the same pair.
    """
    order = sorted(range(len(values)), key=lambda place: (-values[place][0], -values[place][1]))
    found: list[int | None] = [None] * len(values)
    best: int | None = None
    for place in order:
        if best is None or values[place][1] > values[best][1]:
            best = place
        elif values[place] != values[best]:
            found[place] = best
    return found
