"""What finishing adds to a run of several arms, of conversations, of killed workers: which rows, and for when."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from loadtests import clock
from loadtests.missing import _ranks, rows
from loadtests.parts import read_part
from loadtests.plan import BEYOND, Arm, Plan
from loadtests.played import Played
from loadtests.record import Record, client_schema, part_schema
from loadtests.shards import MOST_WORKERS, Deal, Shards
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


# Workers whose arrivals went to others.


def dealt(
    folder: Path, plan: Plan, recorded: list[Record], shards: list[Deal], told: dict[int, tuple[bool, int | None]]
) -> Played:
    """A run as its master knew it; `told` by worker: whether it ended, and when a lost one was last heard of."""
    workers = [{"number": number, "host": "h", "seen_ns": seen_ns} for number, (_, seen_ns) in told.items()]
    about = {"workers": workers, "shards": [deal.to_json() for deal in shards]}
    sink = Sink(folder, 0, lambda: None)
    for one in recorded:
        sink.keep(one)
    sink.flush()
    os.close(sink._lock)
    ended = [ended for ended, _ in told.values()]
    rows = read_part(folder / "requests-0.arrows")
    return Played(plan, folder, rows, client_schema().empty_table(), ended, about)


def test_what_a_lost_worker_had_in_hand_is_lost_and_what_its_heirs_did_not_send_is_theirs(tmp_path: Path) -> None:
    """
    Of 20 arrivals, 100 ms apart, worker 1 of two has the odd ones; it was last heard at 0.6 s, and 9 on are dealt to 0.

    3 was recorded; of those due by 0.6 s 1 and 5 were in its hands: lost. 7 came after its last sign, and nobody had
    been given it: unsent. 9 on is worker 0's, which ended without having sent 13.
    """
    plan = Plan.single("m", arrivals="constant", rate=10.0, duration_s=2.0, workers=2)
    done = [3, *range(0, 20, 2), 9, 11, 15, 17, 19]
    recorded = [row(seq, seq * 100 * MS, "default", worker=int(seq == 3)) for seq in done]
    found = added(dealt(tmp_path, plan, recorded, [Deal(0, 9, (1,), (0,))], {0: (True, None), 1: (False, 600 * MS)}))

    assert [(one["seq"], one["worker"], one["outcome"]) for one in found] == [
        (1, 1, "lost"), (5, 1, "lost"), (7, 1, "unsent"), (13, 0, "unsent"),
    ]  # fmt: skip


def test_an_heir_that_is_lost_too_had_its_own_and_what_it_got(tmp_path: Path) -> None:
    """
    Three workers; 2 is lost at 0.4 s and its arrivals from 6 on go to 1, which is lost at 1.0 s; 12 on is worker 0's.

    Nothing but worker 0's own was recorded. Due by 1.0 s were worker 1's 1, 4, 7, 10 and, from 2, 8.
    """
    plan = Plan.single("m", arrivals="constant", rate=10.0, duration_s=1.5, workers=3)
    recorded = [row(seq, seq * 100 * MS, "default") for seq in (0, 3, 6, 9, 12, 13)]
    deals = [Deal(0, 6, (2,), (1,)), Deal(0, 12, (1,), (0,))]
    found = added(dealt(tmp_path, plan, recorded, deals, {0: (True, None), 1: (False, S), 2: (False, 400 * MS)}))

    assert [(one["seq"], one["worker"], one["outcome"]) for one in found] == [
        (1, 1, "lost"), (2, 2, "lost"), (4, 1, "lost"), (5, 2, "unsent"), (7, 1, "lost"), (8, 1, "lost"),
        (10, 1, "lost"), (11, 1, "unsent"), (14, 0, "unsent"),
    ]  # fmt: skip


def test_who_joined_late_and_was_lost_had_only_what_it_was_dealt(tmp_path: Path) -> None:
    """Worker 2 joins two others and gets a third of 6 on (8 and 11); it is lost at 0.9 s, and 10 on goes to 0 and 1."""
    plan = Plan.single("m", arrivals="constant", rate=10.0, duration_s=1.2, workers=2)
    recorded = [row(seq, seq * 100 * MS, "default") for seq in (*range(8), 9, 10)]
    deals = [Deal(0, 6, (0, 1), (0, 1, 2)), Deal(0, 10, (2,), (0, 1))]
    told = {0: (True, None), 1: (True, None), 2: (False, 900 * MS)}
    found = added(dealt(tmp_path, plan, recorded, deals, told))

    assert [(one["seq"], one["worker"], one["outcome"]) for one in found] == [(8, 2, "lost"), (11, 0, "unsent")]


def test_a_deal_in_one_slot_is_about_the_slots_behind_it_too(tmp_path: Path) -> None:
    """Worker 1 of two is lost in the first slot at 0.5 s; from its arrival 8 on, and in later slots, 0 has all."""
    plan = Plan(ARMS, arrivals="constant", rate=10.0, duration_s=2.0, blocks=2, workers=2, seed=1)
    slots = Played(plan, tmp_path, part_schema().empty_table(), client_schema().empty_table(), [True] * 2).slots
    recorded = [one for slot in slots for one in block(slot, slot.number * 1_500 * MS, skip=(3, 7, 9, 13))]
    of = dealt(tmp_path, plan, recorded, [Deal(0, 8, (1,), (0,))], {0: (True, None), 1: (False, 500 * MS)})

    name = "ab"[slots[0].arms[0]]
    found = {(one["arm"], one["seq"]): (one["worker"], one["outcome"]) for one in added(of)}
    other = "b" if name == "a" else "a"
    assert found == {
        (name, 3): (1, "lost"), (name, 7): (1, "unsent"), (name, 9): (0, "unsent"), (name, 13): (0, "unsent"),
        (other, 3): (0, "unsent"), (other, 7): (0, "unsent"), (other, 9): (0, "unsent"), (other, 13): (0, "unsent"),
    }  # fmt: skip


def test_users_that_were_taken_over_lost_what_their_first_worker_had_in_hand(tmp_path: Path) -> None:
    """Users 1 and 3 were worker 1's until it was lost; worker 0 went on with them, with seqs beyond the plan."""
    plan = Plan.single("m", mode="closed", concurrency=4, duration_s=9.0, workers=2)
    recorded = [row(seq, at, "default", user=seq % 4) for seq, at in ((0, 0), (1, 0), (2, 0), (4, S), (6, S))]
    recorded += [row(BEYOND + number * MOST_WORKERS, 2 * S, "default", user=user) for number, user in ((0, 1), (1, 3))]
    found = added(dealt(tmp_path, plan, recorded, [Deal(0, 0, (1,), (0,))], {0: (True, None), 1: (False, S)}))

    assert [(one["seq"], one["user"], one["outcome"], one["worker"]) for one in found] == [
        (3, 3, "lost", 1), (5, 1, "lost", 1),
    ]  # fmt: skip


def test_an_heir_that_was_lost_too_had_each_user_that_it_took_over_in_hand(tmp_path: Path) -> None:
    """
    Four users of three workers: 1 is worker 1's; it goes to 2, which has 2 already; both go to 0 when 2 is lost too.

    Of user 1 worker 2 had recorded one request beyond the plan, so that the next such was under way; user 2's was its
    second, 6. Worker 3, an heir as well, was silent before it could have heard of user 1: it had nothing.
    """
    plan = Plan.single("m", mode="closed", concurrency=4, duration_s=9.0, workers=3)
    recorded = [row(seq, at, "default", user=seq % 4, worker=seq % 4 % 3) for seq, at in ((0, 0), (1, 0), (2, 0))]
    recorded.append(row(BEYOND + 2, 2 * S, "default", user=1, worker=2))
    deals = [Deal(0, 0, (1,), (2,)), Deal(0, 0, (2,), (3, 0)), Deal(0, 0, (3,), (0,))]
    told = {0: (True, None), 1: (False, S), 2: (False, 3 * S), 3: (False, 2 * S)}
    of = dealt(tmp_path, plan, recorded, deals, told)
    of.lost_ns = {1: S, 2: 4 * S, 3: 5 * S}

    assert [(one["seq"], one["user"], one["outcome"], one["worker"]) for one in added(of)] == [
        (5, 1, "lost", 1), (6, 2, "lost", 2), (BEYOND + 2 + MOST_WORKERS, 1, "lost", 2),
    ]  # fmt: skip


def test_heirs_of_several_users_and_arms_lost_one_of_each(tmp_path: Path) -> None:
    """Two users an arm, together: worker 1 has those of arm b, and all of them are worker 2's when it is lost too."""
    plan = Plan(ARMS, mode="closed", concurrency=2, duration_s=9.0, workers=2, together=True)
    told = {0: (True, None), 1: (False, S), 2: (False, 2 * S)}
    of = dealt(tmp_path, plan, [row(0, 0, "a", user=0)], [Deal(0, 0, (1,), (2,))], told)

    assert [(one["arm"], one["seq"], one["user"], one["worker"]) for one in added(of)] == [
        ("b", 0, 0, 1), ("b", 1, 1, 1), ("b", BEYOND + 2, 0, 2), ("b", BEYOND + 2 + MOST_WORKERS, 1, 2),
    ]  # fmt: skip


def test_ten_million_arrivals_are_ranked_for_a_thousand_workers_within_seconds() -> None:
    """One pass over all of them for each worker would take ten seconds and more."""
    owners = Shards(1000, [Deal(0, 5, (0,), (1,))]).owners(0, 10**7)
    began_ns = clock.monotonic_ns()
    ranks = _ranks(owners)

    assert clock.monotonic_ns() - began_ns < 5 * S
    assert ranks[[0, 1, 999, 1000, 1001, 2000, 2001]].tolist() == [0, 0, 0, 1, 2, 3, 4]


def test_counted_requests_of_a_lost_worker_are_not_made_by_others(tmp_path: Path) -> None:
    """10 requests of two users on two workers: worker 1's user had done 1 and had 3 in hand; 5, 7 and 9 never went."""
    plan = Plan.single("m", mode="closed", concurrency=2, requests=10, workers=2)
    recorded = [row(seq, seq * S, "default", user=seq % 2) for seq in (0, 1, 2, 4, 6, 8)]
    found = added(dealt(tmp_path, plan, recorded, [], {0: (True, None), 1: (False, 2 * S)}))

    assert [(one["seq"], one["user"], one["outcome"]) for one in found] == [
        (3, 1, "lost"), (5, 1, "unsent"), (7, 1, "unsent"), (9, 1, "unsent"),
    ]  # fmt: skip


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
