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
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

MOST_WORKERS: Final = 4096
SLICE: Final = 1 << 16
"""Arrivals that are worked through at a time: a fraction of a millisecond, after which somebody may have a look."""


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

    def owners(self, slot: int, n: int) -> NDArray[np.int16]:
        """The worker of each of a schedule's n arrivals as a slot plays them, shape (n,)."""
        return Owners(self, slot, n).all()

    def seats(self, n: int) -> NDArray[np.int16]:
        """The worker of each of a closed loop's n users, shape (n,); they move whole, whatever the slot."""
        return list(self.seatings(n))[-1]

    def seatings(self, n: int) -> Iterator[NDArray[np.int16]]:
        """The same at first, and then after each deal."""
        owner = _first(self.workers, n)
        yield owner.copy()
        for deal in self.deals:
            _deal(owner, deal, 0)
            yield owner.copy()

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


class Owners:
    """
    The worker of each of a schedule's arrivals as a slot plays them, kept up while they are dealt anew.

    A worker asks while it offers load, of millions of arrivals: what a deal is not about is not gone through again.

    Args:
        shards: The map.
        slot: Number of the slot.
        n: Arrivals of the schedule.
        look: Called after every slice.
    """

    def __init__(self, shards: Shards, slot: int, n: int, look: Callable[[], object] = lambda: None) -> None:
        self._shards, self._slot, self._n, self._look = shards, slot, n, look
        self._owner: NDArray[np.int16] | None = None  # as long as nothing was dealt anew it need not be written down
        self.deals = 0
        self.follow()

    def follow(self) -> None:
        """Work in what was dealt since the last time; `deals` says how many it is in all."""
        for deal in self._shards.deals[self.deals :]:
            if deal.slot <= self._slot:
                if self._owner is None:
                    self._owner = self.all()
                _deal(self._owner, deal, deal.place if deal.slot == self._slot else 0, self._look)
        self.deals = len(self._shards.deals)

    def all(self) -> NDArray[np.int16]:
        """Of all arrivals, shape (n,)."""
        return _first(self._shards.workers, self._n, self._look) if self._owner is None else self._owner

    def own(self, worker: int, first: int, last: int) -> Iterator[NDArray[np.int64]]:
        """The arrivals of a worker from one on and before another, ascending; a slice at a time."""
        workers = self._shards.workers
        for start in range(first, last, SLICE):
            end = min(start + SLICE, last)
            if self._owner is not None:
                yield np.flatnonzero(self._owner[start:end] == worker) + start
            elif worker < workers:
                yield np.arange(start + (worker - start) % workers, end, workers)
            self._look()


def _first(workers: int, n: int, look: Callable[[], object] = lambda: None) -> NDArray[np.int16]:
    """Before anything was dealt anew."""
    owner = np.empty(n, dtype=np.int16)
    for start in range(0, n, SLICE):
        part = owner[start : start + SLICE]
        for worker in range(workers):
            part[(worker - start) % workers :: workers] = worker
        look()
    return owner


def _deal(owner: NDArray[np.int16], deal: Deal, first: int, look: Callable[[], object] = lambda: None) -> None:
    """Of what some have from this arrival on, give one to each heir in turn."""
    is_given = np.zeros(max(MOST_WORKERS, *(number + 1 for number in deal.of + deal.to)), dtype=bool)
    is_given[[*deal.of]] = True
    heirs, turn = np.array(deal.to, dtype=np.int16), 0
    for start in range(first, len(owner) if deal.to else 0, SLICE):
        part = owner[start : start + SLICE]
        given = np.flatnonzero(is_given[part])
        part[given] = np.tile(np.roll(heirs, -turn), -(-len(given) // len(heirs)))[: len(given)]
        turn = (turn + len(given)) % len(heirs)
        look()
