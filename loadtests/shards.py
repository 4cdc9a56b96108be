"""
Which worker serves which arrival: dealt by index at first, and dealt anew when workers are lost or join late.

Every process of a run holds the same list of deals, in the same order, so that each knows what is its own and whoever
finishes the run knows who had what.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

MOST_WORKERS: Final = 4096


@dataclass(frozen=True, slots=True)
class Deal:
    """
    What some workers had goes to others, one arrival to each in turn.

    Attributes:
        slot: From this one on.
        place: The first arrival of that slot that it is about; of later slots it is about all.
        of: Numbers of the workers whose arrivals they are.
        to: Numbers of those who get them; may name some of the former.
    """

    slot: int
    place: int
    of: tuple[int, ...]
    to: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """As messages and run.json have it."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """From there."""
        return cls(value["slot"], value["place"], tuple(value["of"]), tuple(value["to"]))


class Shards:
    """
    The map from arrivals, and from a closed loop's users, to workers.

    Args:
        workers: Between how many all is dealt at first: the one at place p goes to worker p % workers.
        deals: What has been dealt anew since, in this order.
    """

    def __init__(self, workers: int, deals: Iterable[Deal] = ()) -> None:
        self.workers = workers
        self.deals = list(deals)

    def add(self, deal: Deal) -> None:
        """Deal anew."""
        self.deals.append(deal)

    def owners(self, slot: int, n: int) -> NDArray[np.int64]:
        """The worker of each of a schedule's n arrivals as a slot plays them, shape (n,)."""
        owner = self._first(n)
        for deal in self.deals:
            if deal.slot <= slot:
                _deal(owner, deal, deal.place if deal.slot == slot else 0)
        return owner

    def seats(self, n: int) -> NDArray[np.int64]:
        """The worker of each of a closed loop's n users, shape (n,); they move whole, whatever the slot."""
        owner = self._first(n)
        for deal in self.deals:
            _deal(owner, deal, 0)
        return owner

    def _first(self, n: int) -> NDArray[np.int64]:
        """Before anything was dealt anew."""
        owner = np.empty(n, dtype=np.int64)
        for worker in range(self.workers):
            owner[worker :: self.workers] = worker
        return owner

    def own(self, worker: int, slot: int, n: int) -> NDArray[np.int64]:
        """The arrivals of one worker in a slot, ascending."""
        return np.flatnonzero(self.owners(slot, n) == worker)

    def to_json(self) -> list[dict[str, Any]]:
        """As run.json keeps the deals."""
        return [deal.to_json() for deal in self.deals]

    @classmethod
    def from_json(cls, workers: int, deals: Iterable[dict[str, Any]]) -> Self:
        """From there."""
        return cls(workers, map(Deal.from_json, deals))


def _deal(owner: NDArray[np.int64], deal: Deal, first: int) -> None:
    """Of a long schedule a worker works this out while it offers load: slices, not a remainder for each arrival."""
    is_given = np.zeros(max(MOST_WORKERS, *(number + 1 for number in deal.of + deal.to)), dtype=bool)
    is_given[[*deal.of]] = True
    given = np.flatnonzero(is_given[owner[first:]]) + first
    for turn, worker in enumerate(deal.to):
        owner[given[turn :: len(deal.to)]] = worker
