"""
Arrivals that nobody recorded: which they are, and what is known of them.

The schedule says what was to come, the parts what came. What is missing was `lost` where its moment had come and the
process that had it in its hands was killed, and is `unsent` otherwise.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loadtests import record
from loadtests.plan import BEYOND
from loadtests.played import ints
from loadtests.shards import MOST_WORKERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from loadtests.played import Played
    from loadtests.slots import Slot

FAILED: Final = ("error", "cancelled", "unsent")


def rows(played: Played) -> pa.Table:
    """
    A row for every arrival that has none.

    In closed loop there is no schedule to miss anything from; but a worker that was killed had each of its users' next
    request in its hands.
    """
    found: list[dict[str, Any]] = []
    for slot in played.slots:
        of_slot = _of_schedule if played.schedule is not None else _in_hands
        behind = bool(found)  # of a slot behind one that was not over nothing was in anybody's hands
        rows_of = (row for arm in slot.arms for row in of_slot(played, slot, arm))
        found += [row | {"outcome": "unsent"} if behind else row for row in rows_of]
    schema = record.part_schema()
    known = {name for row in found for name in row}
    return pa.table(
        [
            pa.array([row.get(field.name) for row in found], field.type)
            if field.name in known
            else pa.nulls(len(found), field.type)
            for field in schema
        ],
        schema=schema,
    )


class Hand(NamedTuple):
    """Whose a request would have been: a worker, and how many of that one's came before it; None: nobody knows."""

    worker: int
    rank: int | None = None


def _of_schedule(played: Played, slot: Slot, arm: int) -> Iterator[dict[str, Any]]:
    """What the schedule has for a slot and nobody recorded."""
    schedule = played.schedule
    assert schedule is not None
    last = schedule.planned if slot.last is None else slot.last
    if last <= slot.first:
        return
    mine = played.of_slot(slot, arm)
    planned = np.arange(schedule.seq(slot.first, 0), _end_of(schedule, last), dtype=np.int64)
    absent = np.setdiff1d(planned, played.seq[mine])
    if not len(absent):
        return
    owners = played.owners(slot)
    ranks = _ranks(owners) if played.in_order else None
    talks = Talks(played, mine, owners) if schedule.turns is not None else None
    start_ns, _, _ = played.spans[slot.number]
    for seq in absent.tolist():
        place, turn = schedule.place(seq)
        at_ns = start_ns + int(schedule.offsets_ns[place]) - slot.first_ns
        rank = None if ranks is None else int(ranks[place])
        row = _row(played, slot, arm, seq, at_ns, Hand(int(owners[place]), rank))
        yield row if talks is None else row | talks.about(seq, place, turn)


def _ranks(owners: NDArray[np.int16]) -> NDArray[np.int64]:
    """How many arrivals before it each one's worker has, shape (n,): workers pick them up in this order."""
    order = np.argsort(owners, kind="stable")
    counts = np.bincount(owners)
    ranks = np.empty(len(owners), dtype=np.int64)
    ranks[order] = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
    return ranks


def _end_of(schedule: Any, last: int) -> int:
    """The seq behind the last one of the arrivals before this one."""
    return int(schedule.seq(last - 1, schedule.turns_of(last - 1) - 1)) + 1


class Talks:
    """What became of the turns of conversations that were recorded in a slot: by seq, their outcome and their end."""

    def __init__(self, played: Played, mine: NDArray[np.bool_], owners: NDArray[np.int16]) -> None:
        self._played, self._owners = played, owners
        rows = played.rows.filter(pa.array(mine)).select(["seq", "conversation", "outcome", "end_ns", "scheduled_ns"])
        told = rows.to_pylist()
        self._over = {row["seq"]: row["end_ns"] for row in told if row["outcome"] == "ok"}
        self._due_ns: dict[int, int] = {}
        self._broken = {
            row["conversation"]: row["end_ns"] or row["scheduled_ns"] for row in told if row["outcome"] in FAILED
        }

    def about(self, seq: int, place: int, turn: int) -> dict[str, Any]:
        """
        What is known of a turn that nobody recorded.

        It was in somebody's hands only if the turn before was over and thought about.
        """
        known: dict[str, Any] = {"conversation": place, "turn": turn}
        if not turn:
            return known
        if place in self._broken:
            return known | {"scheduled_ns": self._broken[place], "flags": ["turn_failed"], "outcome": "unsent"}
        if self._over.get(seq - 1) is None:
            later = {"scheduled_ns": self._due_ns[place]} if place in self._due_ns else {}
            return known | later | {"outcome": "unsent"}
        played, worker = self._played, int(self._owners[place])
        due_ns = self._over[seq - 1] + int(played.source.think_s(place, turn) * 1e9)
        lost = not played.ended[worker] and due_ns <= played.last_sign_ns[worker]
        self._due_ns[place] = due_ns  # those behind it come no earlier
        return known | {"scheduled_ns": due_ns, "outcome": "lost" if lost else "unsent"}


def _in_hands(played: Played, slot: Slot, arm: int) -> Iterator[dict[str, Any]]:
    """
    Closed loop: the request after each user's last recorded one, where a worker that had the user did not end.

    Where the requests were counted, those behind it have not been sent either; nor those of a worker that stopped
    before its plan was over, and had nothing in hand when it ended.
    """
    begun = [number for number, at_ns in enumerate(played.begun_ns) if at_ns is not None]
    if not len(played.seq) or not begun or slot.number != begun[-1]:
        return
    plan, closed = played.plan, played.plan.closed_schedule()
    of_arm = np.asarray(pc.equal(played.rows.column("arm"), played.names[arm]), dtype=bool)
    seen, last_end = played.seq[of_arm], int(ints(played.rows, "end_ns").max(initial=0))
    sides = len(slot.arms)
    for user in range(closed.users):
        worker = (user * sides + slot.arms.index(arm)) % plan.workers
        ended = played.ended[worker]
        if (ended and worker not in played.cut) or (plan.requests is not None and user >= plan.requests):
            continue
        if ended and plan.requests is None:
            continue
        of_user = seen[(seen % closed.users == user) & (seen < BEYOND)]
        k = int(of_user.max()) // closed.users + 1 if len(of_user) else 0
        outcome = "unsent" if ended else "lost"
        while closed.allows(closed.seq(user, k)):
            row = _row(played, slot, arm, closed.seq(user, k), _then(played, worker, last_end), Hand(worker))
            yield row | {"user": user, "outcome": outcome}
            if plan.requests is None or slot.block is not None:
                break
            k, outcome = k + 1, "unsent"
    yield from _taken_over(played, slot, arm, last_end)


def _taken_over(played: Played, slot: Slot, arm: int, at_ns: int) -> Iterator[dict[str, Any]]:
    """
    Closed loop: the request of each user that somebody had taken over and was lost with, too.

    Which one it was, nobody knows: it is numbered behind all that this worker recorded of such users.
    """
    following: dict[int, int] = {}
    for user, heir in _heirs(played, slot, arm):
        own = played.seq[(played.seq >= BEYOND) & (played.seq % MOST_WORKERS == heir)]
        seq = following.get(heir, int(own.max(initial=BEYOND + heir - MOST_WORKERS)) + MOST_WORKERS)
        following[heir] = seq + MOST_WORKERS
        yield _row(played, slot, arm, seq, _then(played, heir, at_ns), Hand(heir)) | {"user": user, "outcome": "lost"}


def _then(played: Played, worker: int, last_end_ns: int) -> int:
    """When a worker had its last requests in hand, as far as anybody knows: when it was last heard of."""
    seen_ns = played.last_sign_ns[worker]
    return min(last_end_ns, seen_ns) if seen_ns >= 0 else last_end_ns


def _heirs(played: Played, slot: Slot, arm: int) -> Iterator[tuple[int, int]]:
    """Users of an arm, and a worker that took them over while it lived, and did not end."""
    sides, side = len(slot.arms), slot.arms.index(arm)
    seats = [seat[side::sides] for seat in played.shards.seatings(played.plan.closed_schedule().users * sides)]
    for before, after in pairwise(seats):
        for user in np.flatnonzero(before != after).tolist():
            gave, heir = int(before[user]), int(after[user])
            if not played.ended[heir] and played.last_sign_ns[heir] >= played.lost_ns.get(gave, -1):
                yield user, heir


def _row(played: Played, slot: Slot, arm: int, seq: int, at_ns: int, hand: Hand) -> dict[str, Any]:
    """What the plan says of a request that nobody made, and nothing else."""
    plan = played.plan
    first_ns = played.spans[slot.number][1]
    worker, rank = hand
    lost = not played.ended[worker] and at_ns <= played.last_sign_ns[worker]
    if rank is not None:  # arrivals are picked up one after the other, so that their number tells which
        lost = lost and rank < played.issued[worker]
    place, turn = played.schedule.place(seq) if played.schedule is not None else (seq, 0)
    return {
        "arm": played.names[arm], "workload": played.source.name_of(place), "worker": worker, "block": slot.block,
        "seq": seq, "phase": plan.phase(at_ns - played.spans[slot.number][0] + first_ns),
        "stream": played.source.streams(seq, a=place, turn=turn), "scheduled_ns": at_ns,
        "outcome": "lost" if lost else "unsent",
    }  # fmt: skip
