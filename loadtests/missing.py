"""
Arrivals that nobody recorded: which they are, and what is known of them.

The schedule says what was to come, the parts what came. What is missing was `lost` where its moment had come and the
process that had it in its hands was killed, and is `unsent` otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loadtests import record
from loadtests.plan import BEYOND
from loadtests.slots import Slot, slots

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from loadtests.plan import Plan

FAILED: Final = ("error", "cancelled", "unsent")


class Played:
    """
    A run as far as its parts know it.

    Args:
        plan: Of the run.
        parts: Its directory of parts, with what its workload and its schedule were read from.
        rows: What was recorded.
        client: The samples of the workers' health.
        ended: By worker, whether it ended as it should.

    Attributes:
        schedule: Of an open loop; None in closed loop.
        begun_ns: By slot, where it began on the run's axis; None where it never did.
    """

    def __init__(self, plan: Plan, parts: Path, rows: pa.Table, client: pa.Table, ended: list[bool]) -> None:
        self.plan, self.rows, self.ended = plan, rows, ended
        self.source = plan.source(parts)
        self.schedule = plan.open_schedule(parts, self.source) if plan.mode == "open" else None
        self.slots = slots(plan, self.schedule)
        self.names = [arm.name for arm in plan.arms]
        self.last_sign_ns, self.issued = _last_signs(plan.workers, client)
        self.in_order = len(self.slots) == 1 and len(plan.arms) == 1 and not plan.has_conversations
        self.seq = _ints(rows, "seq")
        self.scheduled_ns = _ints(rows, "scheduled_ns")
        self.begun_ns = [self._begun(slot) for slot in self.slots]
        self.spans = self._spans()

    def of_slot(self, slot: Slot, arm: int) -> NDArray[np.bool_]:
        """Which rows are of an arm in a slot, shape (n,)."""
        of_arm = np.asarray(pc.equal(self.rows.column("arm"), self.names[arm]), dtype=bool)
        if slot.block is None:
            return of_arm
        of_block = np.asarray(pc.fill_null(pc.equal(self.rows.column("block"), slot.block), False), dtype=bool)
        return np.asarray(of_arm & of_block, dtype=np.bool_)

    def _begun(self, slot: Slot) -> int | None:
        """From the first of its arrivals that was recorded; a turn that follows from an answer tells nothing."""
        if slot.block is None:
            return 0
        mine = self.of_slot(slot, slot.arms[0])
        if not mine.any():
            return None
        if self.schedule is None:
            return int(self.scheduled_ns[mine].min())
        seq, at_ns = self.seq[mine], self.scheduled_ns[mine]
        place = np.searchsorted(self.schedule.first_seq, seq, side="right") - 1
        opens = self.schedule.first_seq[place] == seq
        starts = at_ns[opens] - self.schedule.offsets_ns[place[opens]] + slot.first_ns
        return int(starts.min()) if len(starts) else None

    def _spans(self) -> list[tuple[int, int, int]]:
        """
        By slot: where it lies on the run's axis, where on its arm's own, and how long it is, in ns.

        A slot that never began is laid behind the one before it. A block of a closed loop is as long as its rows say:
        its users finished what they had begun, and that time is a part of what they were given.
        """
        spans = []
        free_ns, played_ns = 0, dict.fromkeys(range(len(self.names)), 0)
        for slot, begun_ns in zip(self.slots, self.begun_ns, strict=True):
            start_ns = free_ns if begun_ns is None else begun_ns
            length_ns, first_ns = slot.length_ns, slot.first_ns
            if length_ns is None or (self.schedule is None and slot.block is not None):
                mine = self.of_slot(slot, slot.arms[0])
                ends = _ints(self.rows, "end_ns")[mine]
                length_ns = max(0, int(ends.max(initial=start_ns)) - start_ns)
                first_ns = played_ns[slot.arms[0]]
            for arm in slot.arms:
                played_ns[arm] = first_ns + length_ns
            free_ns = start_ns + length_ns
            spans.append((start_ns, first_ns, length_ns))
        return spans

    def slots_to_json(self) -> list[dict[str, Any]]:
        """As run.json keeps them."""
        return [
            {
                "arms": [self.names[arm] for arm in slot.arms], "block": slot.block, "start_ns": begun_ns,
                "first_ns": first_ns, "length_ns": length_ns,
            }
            for slot, begun_ns, (_, first_ns, length_ns) in zip(self.slots, self.begun_ns, self.spans, strict=True)
        ]  # fmt: skip


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
    talks = Talks(played, mine) if schedule.turns is not None else None
    start_ns, _, _ = played.spans[slot.number]
    for seq in absent.tolist():
        place, turn = schedule.place(seq)
        at_ns = start_ns + int(schedule.offsets_ns[place]) - slot.first_ns
        row = _row(played, slot, arm, seq, at_ns, place % played.plan.workers)
        yield row if talks is None else row | talks.about(seq, place, turn)


def _end_of(schedule: Any, last: int) -> int:
    """The seq behind the last one of the arrivals before this one."""
    return int(schedule.seq(last - 1, schedule.turns_of(last - 1) - 1)) + 1


class Talks:
    """What became of the turns of conversations that were recorded in a slot: by seq, their outcome and their end."""

    def __init__(self, played: Played, mine: NDArray[np.bool_]) -> None:
        self._played = played
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
        played, worker = self._played, place % self._played.plan.workers
        due_ns = self._over[seq - 1] + int(played.source.think_s(place, turn) * 1e9)
        lost = not played.ended[worker] and due_ns <= played.last_sign_ns[worker]
        self._due_ns[place] = due_ns  # those behind it come no earlier
        return known | {"scheduled_ns": due_ns, "outcome": "lost" if lost else "unsent"}


def _in_hands(played: Played, slot: Slot, arm: int) -> Iterator[dict[str, Any]]:
    """Closed loop: the request after each user's last recorded one, where the user's worker did not end."""
    begun = [number for number, at_ns in enumerate(played.begun_ns) if at_ns is not None]
    if not len(played.seq) or not begun or slot.number != begun[-1]:
        return
    plan, closed = played.plan, played.plan.closed_schedule()
    of_arm = np.asarray(pc.equal(played.rows.column("arm"), played.names[arm]), dtype=bool)
    seen, last_end = played.seq[of_arm], int(_ints(played.rows, "end_ns").max(initial=0))
    sides = len(slot.arms)
    for user in range(closed.users):
        worker = (user * sides + slot.arms.index(arm)) % plan.workers
        if played.ended[worker] or (plan.requests is not None and user >= plan.requests):
            continue
        of_user = seen[(seen % closed.users == user) & (seen < BEYOND)]
        k = int(of_user.max()) // closed.users + 1 if len(of_user) else 0
        if closed.allows(closed.seq(user, k)):
            row = _row(played, slot, arm, closed.seq(user, k), last_end, worker)
            yield row | {"user": user, "outcome": "lost"}


def _row(played: Played, slot: Slot, arm: int, seq: int, at_ns: int, worker: int) -> dict[str, Any]:
    """What the plan says of a request that nobody made, and nothing else."""
    plan = played.plan
    first_ns = played.spans[slot.number][1]
    lost = not played.ended[worker] and at_ns <= played.last_sign_ns[worker]
    if played.in_order:  # arrivals are picked up one after the other, so that their number tells which
        lost = lost and seq // plan.workers < played.issued[worker]
    place, turn = played.schedule.place(seq) if played.schedule is not None else (seq, 0)
    return {
        "arm": played.names[arm], "workload": played.source.name_of(place), "worker": worker, "block": slot.block,
        "seq": seq, "phase": plan.phase(at_ns - played.spans[slot.number][0] + first_ns),
        "stream": played.source.streams(seq, a=place, turn=turn), "scheduled_ns": at_ns,
        "outcome": "lost" if lost else "unsent",
    }  # fmt: skip


def _last_signs(workers: int, client: pa.Table) -> tuple[list[int], list[int]]:
    """By worker, the last moment at which it is known to have been alive, and how many requests it had issued then."""
    last, issued = [-1] * workers, [0] * workers
    columns = (client.column(name).to_pylist() for name in ("worker", "t_ns", "issued"))
    for worker, at_ns, count in zip(*columns, strict=True):
        if worker is not None and 0 <= worker < workers:
            last[worker], issued[worker] = max(last[worker], at_ns or 0), max(issued[worker], count or 0)
    return last, issued


def _ints(table: pa.Table, name: str) -> NDArray[np.int64]:
    """A column of whole numbers, shape (n,); null is 0."""
    return np.asarray(pc.fill_null(table.column(name), 0).to_numpy(), dtype=np.int64)
