"""A run as far as its parts know it: what was recorded, when its slots began, when each worker was last heard of."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loadtests.shards import Shards
from loadtests.slots import Slot, slots

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from loadtests.plan import Plan

UNTOLD: Final = 1 << 62
"""How many requests a worker had issued where nobody knows; until it was last seen it issued what was due."""


class Played:
    """
    A run as far as its parts know it.

    Args:
        plan: Of the run.
        parts: Its directory of parts, with what its workload and its schedule were read from.
        rows: What was recorded.
        client: The samples of the workers' health.
        ended: By worker, whether it ended as it should; late ones are behind the planned ones.
        about: The run's manifest as far as it says who had what, and what was last heard of whom.

    Attributes:
        cut: Workers that stopped before their plan was over, whether they ended as they should or not.
        schedule: Of an open loop; None in closed loop.
        lost_ns: By number of a worker that its master lost, when that was.
        begun_ns: By slot, where it began on the run's axis; None where it never did.
    """

    def __init__(
        self, plan: Plan, parts: Path, rows: pa.Table, client: pa.Table, ended: list[bool],
        about: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        self.plan, self.rows, self.ended = plan, rows, ended
        self.cut: Sequence[int] = ()
        self.shards = Shards.from_json(plan.workers, about.get("shards") or ())
        self.source = plan.source(parts)
        self.schedule = plan.open_schedule(parts, self.source) if plan.mode == "open" else None
        self.slots = slots(plan, self.schedule)
        self.names = [arm.name for arm in plan.arms]
        told = about.get("workers") or ()
        self.lost_ns = {one["number"]: one["lost_ns"] for one in told if one.get("lost_ns") is not None}
        self.last_sign_ns, self.issued = _last_signs(len(ended), client, told)
        self.in_order = len(self.slots) == 1 and len(plan.arms) == 1 and not plan.has_conversations
        self.seq = ints(rows, "seq")
        self.scheduled_ns = ints(rows, "scheduled_ns")
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
                ends = ints(self.rows, "end_ns")[mine]
                length_ns = max(0, int(ends.max(initial=start_ns)) - start_ns)
                first_ns = played_ns[slot.arms[0]]
            for arm in slot.arms:
                played_ns[arm] = first_ns + length_ns
            free_ns = start_ns + length_ns
            spans.append((start_ns, first_ns, length_ns))
        return spans

    def owners(self, slot: Slot) -> NDArray[np.int16]:
        """The worker of each arrival of an open loop, as a slot plays them, shape (n,)."""
        assert self.schedule is not None
        return self.shards.owners(slot.number, len(self.schedule))

    def slots_to_json(self) -> list[dict[str, Any]]:
        """As run.json keeps them."""
        return [
            {
                "arms": [self.names[arm] for arm in slot.arms], "block": slot.block, "start_ns": begun_ns,
                "first_ns": first_ns, "length_ns": length_ns,
            }
            for slot, begun_ns, (_, first_ns, length_ns) in zip(self.slots, self.begun_ns, self.spans, strict=True)
        ]  # fmt: skip


def _last_signs(workers: int, client: pa.Table, told: Sequence[Mapping[str, Any]]) -> tuple[list[int], list[int]]:
    """
    By worker, the last moment at which it is known to have been alive, and how many requests it had issued then.

    Args:
        workers: How many there were.
        client: The samples that they wrote.
        told: What the master has heard of them, as run.json keeps it.
    """
    last, issued = [-1] * workers, [0] * workers
    columns = (client.column(name).to_pylist() for name in ("worker", "t_ns", "issued"))
    seen = [(one["number"], one["seen_ns"], UNTOLD) for one in told if one.get("seen_ns") is not None]
    signs = [*zip(*columns, strict=True), *seen]
    for worker, at_ns, count in signs:
        if worker is not None and 0 <= worker < workers:
            last[worker], issued[worker] = max(last[worker], at_ns or 0), max(issued[worker], count or 0)
    return last, issued


def ints(table: pa.Table, name: str) -> NDArray[np.int64]:
    """A column of whole numbers, shape (n,); null is 0."""
    return np.asarray(pc.fill_null(table.column(name), 0).to_numpy(), dtype=np.int64)
