"""
The users of a closed loop in one process: their places, who holds one, and what each asks next.

A place is a user of one arm; where arms play together each has as many users as were asked for, else all users serve
the arm whose turn it is.
"""

from __future__ import annotations

from collections import Counter
from itertools import chain, count
from typing import TYPE_CHECKING, Any

import numpy as np

from loadtests.arrival import Conversation
from loadtests.draws import draw, unit
from loadtests.plan import BEYOND
from loadtests.shards import MOST_WORKERS, Shards

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.plan import Plan
    from loadtests.slots import Slot
    from loadtests.workload import Workload


class Places:
    """
    Places of one worker.

    Args:
        plan: Of the run.
        worker: Number of this process.
        shards: Which places are its own.

    Attributes:
        schedule: The closed loop's, of one arm; None in open loop.
        users: The Locust users of this process by their place.
        wanted: How many users of an arm the plan has at the moment, over all workers.
        open_ended: Users come and go as somebody else decides; the loop is not over when the last has gone.
    """

    def __init__(self, plan: Plan, worker: int, workload: Workload, shards: Shards | None = None) -> None:
        self.schedule = plan.closed_schedule() if plan.mode == "closed" else None
        self.users: dict[int, Any] = {}
        self.open_ended = bool(plan.stages)
        self._plan, self._worker, self._workload = plan, worker, workload
        self._shards = Shards(plan.workers) if shards is None else shards
        self.wanted: int | None = None
        self._dealt, self._owned = -1, list[int]()
        self._think = plan.thinking()
        self._beyond = count(BEYOND + worker, MOST_WORKERS)
        self._entered = 0
        self._asked: Counter[tuple[int, int]] = Counter()
        self._given: Counter[int] = Counter()
        self._out: set[int] = set()
        self._talks: dict[tuple[int, int], Conversation] = {}

    # Who is there.

    def mine(self, users: int | None = None) -> list[int]:
        """
        The places of this worker that are to be taken.

        Args:
            users: At a moment at which so many are wanted of an arm; None: at the most.
        """
        schedule = self.schedule
        assert schedule is not None
        wanted = schedule.users if users is None else users
        if schedule.requests is not None and not self._plan.hold:
            wanted = min(wanted, schedule.requests)
        return np.flatnonzero(self._shards.seats(wanted * self._sides) == self._worker).tolist()

    @property
    def _sides(self) -> int:
        return len(self._plan.arms) if self._plan.together else 1

    def enter(self, user: Any) -> int:
        """A user comes: the lowest free place among this worker's users."""
        self._entered += 1
        place = next(place for place in chain(self._own(), self._additional()) if place not in self.users)
        self.users[place] = user
        return place

    def _own(self) -> list[int]:
        """All planned places of this worker, as they are dealt now."""
        if self.schedule is None:
            return []
        if self._dealt != len(self._shards.deals):
            self._dealt = len(self._shards.deals)
            seats = self._shards.seats(self.schedule.users * self._sides)
            self._owned = np.flatnonzero(seats == self._worker).tolist()
        return self._owned

    def _additional(self) -> Iterator[int]:
        """Places for those whom nobody planned: behind all planned ones, and of no other worker."""
        schedule = self.schedule
        first = 0 if schedule is None else schedule.users * self._sides
        behind = first + (self._worker - first) % self._plan.workers
        return count(behind + (self._worker // self._plan.workers << 20), self._plan.workers)

    def leave(self, place: int) -> bool:
        """A user goes; True where all who were to come have gone, so that the loop is over."""
        self.users.pop(place, None)
        if self.schedule is None or self.users:
            return False
        all_came = not self.open_ended and self._entered >= len(self.mine())
        return all_came or self._handed_out(0)

    def _handed_out(self, arm: int) -> bool:
        """Every request that a bounded closed loop may make has been made; known where one process has all users."""
        most = self._plan.requests
        return self._plan.workers == 1 and most is not None and not self._plan.hold and self._given[arm] >= most

    @property
    def is_empty(self) -> bool:
        """Closed loop: none is to be taken here, nor may one be when somebody gets lost."""
        is_spare = self._worker >= self._plan.workers and self._plan.requests is None
        return self.schedule is not None and not self.mine() and not is_spare

    # What is asked.

    def arm_of(self, place: int, slot: Slot) -> str:
        """The name of the arm that a place serves in a slot."""
        return self._plan.arms[self.side(place, slot)[0]].name

    def side(self, place: int, slot: Slot) -> tuple[int, int]:
        """The arm that a place serves in a slot, by its place in the plan, and its number among that arm's users."""
        arm = slot.arms[place % len(slot.arms)]
        return arm, place // len(slot.arms)

    def next_seq(self, place: int, slot: Slot, *, tail: bool) -> int | None:
        """
        The seq of the next request of whoever holds a place; None where the slot has none for it.

        Args:
            place: Of the user.
            slot: The one at hand.
            tail: Behind the planned end, where the number of requests is no bound any more.
        """
        arm, user = self.side(place, slot)
        if self.schedule is None or self._handed_out(arm):
            return None
        if user >= self.schedule.users or self._is_taken_over(place):
            seq = next(self._beyond)
        else:
            seq = self.schedule.seq(user, self._asked[arm, user])
            tail = tail or (self._plan.hold and place in self._out)  # it is out: under --hold it goes on
            if not tail and slot.last is not None and seq >= slot.last:
                return None
        self._asked[arm, user] += 1  # of the place: who takes it over goes on from there
        self._given[arm] += 1
        return seq

    def _is_taken_over(self, place: int) -> bool:
        """Somebody else had it before, and nobody knows how far it came."""
        return place % self._plan.workers != self._worker

    def give_back(self, place: int, slot: Slot) -> None:
        """The request that was just handed out has not been made."""
        arm, user = self.side(place, slot)
        self._given[arm] -= 1
        self._asked[arm, user] -= 1

    def out(self, place: int) -> bool:
        """A user has nothing more of the slot at hand to ask; True where nobody here has, or will have."""
        self._out.add(place)
        all_came = self.open_ended or self._entered >= len(self.mine())
        return all_came and self._out >= self.users.keys()

    def begin(self) -> None:
        """A slot begins."""
        self._out.clear()

    # Conversations and pauses.

    def talk(self, place: int, slot: Slot, seq: int) -> Conversation:
        """The conversation that a place has with an arm: the one at hand, or a new one that begins with this seq."""
        side = self.side(place, slot)
        talk = self._talks.get(side)
        if talk is None:
            talk = self._talks[side] = Conversation(seq, self._workload.turns(seq))
        return talk

    def hang_up(self, place: int, slot: Slot) -> None:
        """That conversation is over."""
        self._talks.pop(self.side(place, slot), None)

    def pause_s(self, place: int, slot: Slot | None) -> float:
        """How long whoever holds a place thinks before the next request; the same until that is asked."""
        side = (0, place) if slot is None else self.side(place, slot)
        talk = self._talks.get(side)
        if talk is not None and talk.turn:
            return self._workload.think_s(talk.number, talk.turn)
        if self._think is None:
            return 0.0
        word = draw(f"think {self._plan.seed} {side[1]} {self._asked[side]}")
        return self._think.at(unit(int.from_bytes(word[:8], "little")))
