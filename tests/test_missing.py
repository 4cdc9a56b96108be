"""What finishing adds to a run of several arms, of conversations, of killed workers: which rows, and for when."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from loadtests.missing import rows
from loadtests.parts import read_part
from loadtests.plan import Arm, Plan
from loadtests.played import Played
from loadtests.record import Record, client_schema, part_schema
from loadtests.sink import Sink

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from loadtests.slots import Slot

S, MS = 1_000_000_000, 1_000_000
ARMS = (Arm("a", "m"), Arm("b", "m"))
TURNS = Plan(ARMS, arrivals="constant", rate=10.0, duration_s=2.0, blocks=2, seed=1)
"""20 arrivals an arm, 10 in each block of a second."""

TALK = {
    "name": "talk", "weight": 1.0,
    "conversation": {"turns": {"law": "fixed", "value": 3}, "think": {"law": "fixed", "value": 1.0}},
}  # fmt: skip


def played(
    folder: Path, plan: Plan, recorded: list[Record], *, ended: bool = True, last_sign_ns: int = 0, worker: int = 0
) -> Played:
    """A run of which one worker wrote these records, and lived until its last sign at least; others wrote nothing."""
    sink = Sink(folder, worker, lambda: None)
    for one in recorded:
        sink.keep(one)
    sink.sample({"worker": worker, "t_ns": last_sign_ns, "issued": len(recorded)})
    sink.flush()
    os.close(sink._lock)

    def part(kind: str, schema: pa.Schema) -> pa.Table:
        table = read_part(folder / f"{kind}-{worker}.arrows")
        return table if table.num_columns else schema.empty_table()

    ends = [ended if number == worker else True for number in range(plan.workers)]
    return Played(plan, folder, part("requests", part_schema()), part("client", client_schema()), ends)


def row(seq: int, at_ns: int, arm: str = "a", **more: Any) -> Record:
    known: dict[str, Any] = {
        "outcome": "ok",
        "sent_ns": at_ns,
        "end_ns": at_ns + 10 * MS,
        "worker": 0,
        "phase": "measure",
    }
    return Record(arm=arm, workload="chat", seq=seq, stream=True, scheduled_ns=at_ns, **(known | more))


def added(of: Played) -> list[dict[str, Any]]:
    found = rows(of).to_pylist()
    return sorted(found, key=lambda one: (one["arm"], one["seq"]))


def block(slot: Slot, start_ns: int, skip: tuple[int, ...] = ()) -> list[Record]:
    """The rows of a slot of TURNS that began then."""
    return [
        row(seq, start_ns + (seq - slot.first) * 100 * MS, "ab"[slot.arms[0]], block=slot.block)
        for seq in range(slot.first, slot.last or 0)
        if seq not in skip
    ]


# Arms.


def test_a_whole_run_of_two_arms_misses_nothing(tmp_path: Path) -> None:
    slots = Played(TURNS, tmp_path, part_schema().empty_table(), client_schema().empty_table(), [True]).slots
    found = played(tmp_path, TURNS, [one for slot in slots for one in block(slot, slot.number * 1_500 * MS)])

    assert added(found) == []
    assert [(said["arms"], said["block"], said["start_ns"], said["first_ns"], said["length_ns"])
            for said in found.slots_to_json()] == [
        (["ab"[slot.arms[0]]], slot.block, slot.number * 1_500 * MS, (slot.block or 0) * S, S) for slot in slots
    ]  # fmt: skip


def test_an_arrival_that_one_arm_misses_is_added_to_that_arm_at_its_moment(tmp_path: Path) -> None:
    """Block 1 began at 4.5 s with arrival 10; arrival 13, 300 ms later, was not recorded."""
    slots = Played(TURNS, tmp_path, part_schema().empty_table(), client_schema().empty_table(), [True]).slots
    (late,) = [slot for slot in slots if slot.arms == (1,) and slot.block == 1]
    others = [one for slot in slots if slot is not late for one in block(slot, slot.number * S)]
    found = added(played(tmp_path, TURNS, others + block(late, 4_500 * MS, skip=(13,))))

    assert [(one["arm"], one["seq"], one["block"], one["scheduled_ns"], one["outcome"]) for one in found] == [
        ("b", 13, 1, 4_800 * MS, "unsent")
    ]


def test_blocks_that_never_began_lie_behind_the_last_that_did(tmp_path: Path) -> None:
    """The first slot began at 0.2 s and is a second long: the second one would have begun at 1.2 s, then 2.2 s, ..."""
    slots = Played(TURNS, tmp_path, part_schema().empty_table(), client_schema().empty_table(), [True]).slots
    of = played(tmp_path, TURNS, block(slots[0], 200 * MS))
    found = added(of)

    assert len(found) == 30
    for slot in slots[1:]:
        mine = [one for one in found if one["arm"] == "ab"[slot.arms[0]] and one["block"] == slot.block]
        start_ns = 200 * MS + slot.number * S
        assert [one["scheduled_ns"] for one in mine] == [start_ns + i * 100 * MS for i in range(10)]
    assert [said["start_ns"] for said in of.slots_to_json()] == [200 * MS, None, None, None]


def test_the_warm_up_is_the_beginning_of_each_arms_own_axis(tmp_path: Path) -> None:
    """0.5 s of warm-up are arrivals 0 to 4 of each arm, whenever its first block is played."""
    plan = Plan(ARMS, arrivals="constant", rate=10.0, duration_s=2.0, blocks=2, warmup_s=0.5)
    found = added(played(tmp_path, plan, []))

    assert {(one["seq"], one["phase"]) for one in found} == {
        (seq, "warmup" if seq < 5 else "measure") for seq in range(20)
    }
    assert len(found) == 40


def test_together_each_arm_is_looked_at_by_itself(tmp_path: Path) -> None:
    plan = Plan(ARMS, arrivals="constant", rate=10.0, duration_s=0.5, together=True)
    recorded = [
        row(seq, seq * 100 * MS, arm) for arm, seqs in (("a", (0, 1, 3, 4)), ("b", (0, 1, 2, 4))) for seq in seqs
    ]
    of = played(tmp_path, plan, recorded)

    assert [(one["arm"], one["seq"], one["scheduled_ns"]) for one in added(of)] == [
        ("a", 2, 200 * MS),
        ("b", 3, 300 * MS),
    ]
    assert of.slots_to_json() == [
        {"arms": ["a", "b"], "block": None, "start_ns": 0, "first_ns": 0, "length_ns": 500 * MS}
    ]


def test_the_tail_of_hold_is_missed_by_nobody(tmp_path: Path) -> None:
    plan = Plan.single("m", arrivals="constant", rate=10.0, duration_s=0.5, hold=True)
    recorded = [row(seq, seq * 100 * MS, "default") for seq in range(4)]
    recorded.append(row(7, 700 * MS, "default", phase="drain"))

    assert [one["seq"] for one in added(played(tmp_path, plan, recorded))] == [4]


# Workers that were killed.


def test_what_a_killed_worker_had_in_its_hands_is_lost_and_the_rest_unsent(tmp_path: Path) -> None:
    """Worker 1 of 2 has arrivals 1, 3, 5, ...; it was last seen at 0.6 s of the first block."""
    plan = Plan(ARMS, arrivals="constant", rate=10.0, duration_s=2.0, blocks=2, workers=2)
    slots = Played(plan, tmp_path, part_schema().empty_table(), client_schema().empty_table(), [True] * 2).slots
    name = "ab"[slots[0].arms[0]]
    recorded = [row(seq, seq * 100 * MS, name, block=0, worker=1) for seq in (1, 3)]
    found = added(played(tmp_path, plan, recorded, ended=False, last_sign_ns=600 * MS, worker=1))

    first = {one["seq"]: one["outcome"] for one in found if one["arm"] == name and one["block"] == 0}
    assert first == {
        0: "unsent",
        2: "unsent",
        4: "unsent",
        5: "lost",
        6: "unsent",
        7: "unsent",
        8: "unsent",
        9: "unsent",
    }
    assert {one["outcome"] for one in found if one["block"] == 1 or one["arm"] != name} == {"unsent"}


def test_a_killed_workers_users_had_a_request_each_in_their_hands(tmp_path: Path) -> None:
    """Users 1 and 3 are worker 1's; user 1 had done 1 and 5, user 3 nothing, so that 9 and 3 were under way."""
    plan = Plan.single("m", mode="closed", concurrency=4, duration_s=9.0, workers=2)
    recorded = [row(seq, at, "default", user=1, worker=1) for seq, at in ((1, 0), (5, S))]
    found = added(played(tmp_path, plan, recorded, ended=False, last_sign_ns=2 * S, worker=1))

    assert [(one["seq"], one["user"], one["outcome"], one["worker"]) for one in found] == [
        (3, 3, "lost", 1), (9, 1, "lost", 1),
    ]  # fmt: skip


def test_together_a_killed_workers_users_are_those_of_both_arms(tmp_path: Path) -> None:
    """Two users an arm on two workers: places 0 and 2 (arm a's) are worker 0's, 1 and 3 (arm b's) are worker 1's."""
    plan = Plan(ARMS, mode="closed", concurrency=2, duration_s=9.0, workers=2, together=True)
    recorded = [row(seq, 0, "b", user=seq, worker=1) for seq in (0, 1)]
    found = added(played(tmp_path, plan, recorded, ended=False, last_sign_ns=S, worker=1))

    assert [(one["arm"], one["seq"], one["user"]) for one in found] == [("b", 2, 0), ("b", 3, 1)]


# Conversations.


@pytest.fixture
def talk() -> Plan:
    """Four conversations of three turns, 100 ms apart."""
    return Plan.single("m", arrivals="constant", rate=10.0, duration_s=0.4, workload="talk", definitions=(TALK,))


def turn(a: int, t: int, at_ns: int, **more: Any) -> Record:
    return row(3 * a + t, at_ns, "default", conversation=a, turn=t, **more)


def test_the_turns_behind_a_failed_one_say_so_and_when_it_failed(talk: Plan, tmp_path: Path) -> None:
    recorded = [turn(a, t, a * 100 * MS + t * S) for a in (0, 3) for t in range(3)]
    recorded += [turn(1, 0, 100 * MS, outcome="error"), turn(2, 0, 200 * MS), turn(2, 1, S, outcome="cancelled")]
    found = added(played(tmp_path, talk, recorded))

    assert [(one["seq"], one["conversation"], one["turn"]) for one in found] == [(4, 1, 1), (5, 1, 2), (8, 2, 2)]
    assert {(one["outcome"], *one["flags"]) for one in found} == {("unsent", "turn_failed")}
    assert [one["scheduled_ns"] for one in found] == [110 * MS, 110 * MS, S + 10 * MS]


def test_a_conversation_that_was_not_sent_was_not_sent_in_any_of_its_turns(talk: Plan, tmp_path: Path) -> None:
    recorded = [turn(a, t, a * 100 * MS + t * S) for a in (0, 1, 2) for t in range(3)]
    recorded.append(turn(3, 0, 300 * MS, outcome="unsent", sent_ns=None, end_ns=None, flags=["paused"]))
    found = added(played(tmp_path, talk, recorded))

    assert [(one["seq"], one["flags"], one["scheduled_ns"]) for one in found] == [
        (10, ["turn_failed"], 300 * MS), (11, ["turn_failed"], 300 * MS),
    ]  # fmt: skip


def test_turns_of_a_run_that_was_stopped_are_unsent_no_earlier_than_the_next_was_due(
    talk: Plan, tmp_path: Path
) -> None:
    """Turn 0 of conversation a ends 10 ms after its 100 ms * a, and 1 s of thinking follows; 3 never came at all."""
    recorded = [turn(a, 0, a * 100 * MS) for a in range(3)]
    found = added(played(tmp_path, talk, recorded))

    assert [one["seq"] for one in found] == [1, 2, 4, 5, 7, 8, 9, 10, 11]
    assert {(one["outcome"], one["flags"]) for one in found} == {("unsent", None)}
    assert [one["scheduled_ns"] for one in found] == [
        *[S + 10 * MS] * 2, *[S + 110 * MS] * 2, *[S + 210 * MS] * 2, *[300 * MS] * 3,
    ]  # fmt: skip


def test_a_block_of_conversations_began_when_its_first_arrival_came(tmp_path: Path) -> None:
    """Arrival 2, the first of block 1, came at 7 s; its turn at 9 s ended at 9.01, and 1 s of thinking follows."""
    plan = Plan(ARMS, arrivals="constant", rate=10.0, duration_s=0.4, blocks=2, workload="talk", definitions=(TALK,))
    recorded = [row(seq, at, "a", block=1, conversation=seq // 3, turn=seq % 3) for seq, at in ((6, 7 * S), (7, 9 * S))]
    of = played(tmp_path, plan, recorded)

    said = [one for one in of.slots_to_json() if one["arms"] == ["a"] and one["block"] == 1]
    assert said[0]["start_ns"] == 7 * S
    assert [one["scheduled_ns"] for one in added(of) if one["arm"] == "a" and one["block"] == 1] == [
        10 * S + 10 * MS, *[7 * S + 100 * MS] * 3,
    ]  # fmt: skip


def test_nothing_is_missing_before_anything_was_planned(tmp_path: Path) -> None:
    plan = Plan.single("m", mode="closed", concurrency=2, requests=9)
    found = rows(Played(plan, tmp_path, part_schema().empty_table(), client_schema().empty_table(), [True]))

    assert found.num_rows == 0
    assert found.schema.equals(part_schema())
