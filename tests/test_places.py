"""Users of a closed loop: their places, which requests are whose, what they talk about and how long they think."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests import draws, workload
from loadtests.places import Places
from loadtests.plan import BEYOND, Arm, Plan
from loadtests.shards import MOST_WORKERS, Deal, Shards
from loadtests.slots import Slot, slots

S = 1_000_000_000
TWO = (Arm("a", "m"), Arm("b", "m"))


def plan_of(*arms: Arm, **load: Any) -> Plan:
    return Plan(arms or (Arm("a", "m"),), mode="closed", **load)


def places_of(plan: Plan, worker: int = 0) -> Places:
    return Places(plan, worker, plan.source())


def everybody(plan: Plan) -> list[Places]:
    """All workers' places, all taken."""
    workers = [places_of(plan, worker) for worker in range(plan.workers)]
    for worker in workers:
        for place in worker.mine():
            assert worker.enter(object()) == place
    return workers


def asked(places: Places, slot: Slot, tail: bool = False) -> list[tuple[int, int]]:
    """(arm, seq) of all that this worker's users have to ask in a slot, in turn."""
    found = []
    left = list(places.users)
    while left:
        for place in list(left):
            seq = places.next_seq(place, slot, tail=tail)
            if seq is None:
                left.remove(place)
            else:
                found.append((places.side(place, slot)[0], seq))
    return found


# Who asks what.


@given(users=st.integers(1, 9), requests=st.integers(1, 60), workers=st.integers(1, 4))
def test_the_workers_users_share_all_requests(users: int, requests: int, workers: int) -> None:
    plan = plan_of(concurrency=users, requests=requests, workers=workers)
    (slot,) = slots(plan, None)

    found = [seq for places in everybody(plan) for _, seq in asked(places, slot)]
    assert sorted(found) == list(range(requests))


@given(users=st.integers(1, 5), requests=st.integers(8, 60), workers=st.integers(1, 4), blocks=st.integers(1, 8))
def test_block_by_block_each_arm_gets_all_requests(users: int, requests: int, workers: int, blocks: int) -> None:
    plan = plan_of(*TWO, concurrency=users, requests=requests, workers=workers, blocks=blocks)
    workers_places = everybody(plan)
    found: list[tuple[int, int]] = []
    for slot in slots(plan, None):
        mine = [pair for places in workers_places for pair in asked(places, slot)]
        assert all(arm in slot.arms and slot.first <= seq < (slot.last or 0) for arm, seq in mine)
        found += mine
    assert sorted(found) == [(arm, seq) for arm in (0, 1) for seq in range(requests)]


@given(users=st.integers(1, 5), requests=st.integers(1, 40), workers=st.integers(1, 4))
def test_together_each_arm_has_users_of_its_own(users: int, requests: int, workers: int) -> None:
    plan = plan_of(*TWO, concurrency=users, requests=requests, workers=workers, together=True)
    (slot,) = slots(plan, None)
    workers_places = everybody(plan)

    found = [pair for places in workers_places for pair in asked(places, slot)]
    assert sorted(found) == [(arm, seq) for arm in (0, 1) for seq in range(requests)]
    sides = [places.side(place, slot) for places in workers_places for place in places.users]
    assert sorted(sides) == [(arm, user) for arm in (0, 1) for user in range(min(users, requests))]


def test_a_request_that_was_not_made_is_asked_again() -> None:
    plan = plan_of(concurrency=2, requests=5)
    (slot,), (places,) = slots(plan, None), everybody(plan)
    assert places.next_seq(1, slot, tail=False) == 1
    assert places.next_seq(1, slot, tail=False) == 3
    places.give_back(1, slot)
    assert sorted(seq for _, seq in asked(places, slot)) == [0, 2, 3, 4]


def test_a_place_goes_on_where_whoever_had_it_stopped() -> None:
    plan = plan_of(concurrency=3, duration_s=60.0, workers=2)
    (slot,), places = slots(plan, None), everybody(plan)[0]
    assert list(places.users) == [0, 2]
    assert [places.next_seq(0, slot, tail=False) for _ in range(2)] == [0, 3]
    assert not places.leave(0)
    assert places.enter(object()) == 0  # the lowest free one
    assert places.next_seq(0, slot, tail=False) == 6


def test_users_beyond_the_planned_number_have_requests_of_their_own() -> None:
    plan = plan_of(concurrency=2, duration_s=60.0)
    (slot,), (places,) = slots(plan, None), everybody(plan)
    assert [places.enter(object()) for _ in range(2)] == [2, 3]

    found = [places.next_seq(place, slot, tail=False) for place in (2, 3, 2)]
    assert found == [BEYOND, BEYOND + MOST_WORKERS, BEYOND + 2 * MOST_WORKERS]
    assert places.next_seq(0, slot, tail=False) == 0


# When a worker is lost.


@pytest.mark.parametrize("arms", [1, 2])
def test_the_users_of_a_lost_worker_go_on_elsewhere_and_ask_what_nobody_has_asked(arms: int) -> None:
    """
    Three workers, 9 users an arm; worker 1 is lost, and its places go to 0 and 2 in turn.

    Nobody knows how far the lost users came: those who take over have seqs of their own, the others go on with theirs.
    """
    plan = plan_of(*TWO[:arms], concurrency=9, duration_s=60.0, workers=3, together=arms == 2)
    (slot,), deal = slots(plan, None), Deal(0, 0, (1,), (0, 2))
    shards = [Shards(3), Shards(3)]
    zero, two = (Places(plan, worker, plan.source(), one) for worker, one in zip((0, 2), shards, strict=True))
    found: list[tuple[int, int]] = []
    for places in (zero, two):
        for place in places.mine():
            assert places.enter(object()) == place
    for one in shards:
        one.add(deal)
    lost = list(range(1, 9 * arms, 3))
    for places, heirs in ((zero, lost[::2]), (two, lost[1::2])):
        had = sorted(places.users)
        assert places.mine() == sorted([*had, *heirs])
        assert [places.enter(object()) for _ in heirs] == heirs
        for place in places.users:
            for turn in range(3):
                seq = places.next_seq(place, slot, tail=False)
                assert seq is not None
                found.append((places.side(place, slot)[0], seq))
                assert (seq >= BEYOND) == (place in heirs)
                assert seq >= BEYOND or seq == places.side(place, slot)[1] + 9 * turn
    assert sorted(zero.users.keys() | two.users.keys()) == list(range(9 * arms))
    assert len(set(found)) == len(found) == 27 * arms


def test_a_spare_worker_has_no_users_until_somebody_is_lost() -> None:
    """Worker 2 has joined late, beside the planned 0 and 1; all it ever asks is beyond the plan."""
    plan = plan_of(concurrency=4, duration_s=60.0, workers=2)
    (slot,), shards = slots(plan, None), Shards(2)
    spare = Places(plan, 2, plan.source(), shards)
    assert spare.mine() == []
    shards.add(Deal(0, 0, (0,), (2,)))
    assert spare.mine() == [0, 2]
    assert spare.mine(1) == [0]
    assert [spare.enter(object()) for _ in range(2)] == [0, 2]
    assert [spare.next_seq(2, slot, tail=False) for _ in range(2)] == [BEYOND + 2, BEYOND + 2 + MOST_WORKERS]
    assert not spare.leave(0)
    assert spare.leave(2)


def test_a_ramp_goes_on_with_the_users_that_were_taken_over() -> None:
    """4 users within 2 s; worker 1 of two is lost at 1.2 s, when 3 are wanted: worker 0 has all from then on."""
    plan = plan_of(concurrency=4, duration_s=9.0, ramp_s=2.0, workers=2)
    shards = Shards(2)
    places = Places(plan, 0, plan.source(), shards)
    assert [places.enter(object()) for _ in places.mine(3)] == [0, 2]
    shards.add(Deal(0, 0, (1,), (0,)))
    assert len(places.mine(3)) == 3
    assert places.enter(object()) == 1
    assert len(places.mine(4)) == 4
    assert places.enter(object()) == 3
    assert places.enter(object()) == 4  # beyond the plan


# When it is over.


def test_the_loop_is_over_when_all_who_were_to_come_have_gone() -> None:
    plan = plan_of(concurrency=3, duration_s=60.0)
    places = places_of(plan)
    assert places.enter(object()) == 0
    assert not places.leave(0)  # two more are to come
    assert [places.enter(object()) for _ in range(2)] == [0, 1]
    assert not places.leave(0)
    assert places.leave(1)


def test_a_slot_has_nothing_more_when_nobody_here_has() -> None:
    (places,) = everybody(plan_of(*TWO, concurrency=2, requests=8, blocks=2))
    assert not places.out(0)
    assert not places.out(0)
    assert places.out(1)
    places.begin()
    assert not places.out(1)


def test_who_is_still_to_come_may_have_something_to_ask() -> None:
    places = places_of(plan_of(concurrency=2, requests=8, ramp_s=9.0, hold=True))
    places.enter(object())
    assert not places.out(0)
    places.enter(object())
    assert places.out(1)


def test_under_hold_who_has_nothing_more_to_ask_goes_on() -> None:
    plan = plan_of(concurrency=2, requests=3, hold=True)
    (slot,), (places,) = slots(plan, None), everybody(plan)
    assert [places.next_seq(1, slot, tail=False) for _ in range(2)] == [1, None]
    assert not places.out(1)
    assert [places.next_seq(1, slot, tail=False) for _ in range(2)] == [3, 5]
    assert [places.next_seq(0, slot, tail=False) for _ in range(3)] == [0, 2, None]


def test_under_hold_there_are_as_many_users_as_asked_for_however_few_the_requests() -> None:
    assert len(places_of(plan_of(concurrency=4, requests=2)).mine()) == 2
    assert len(places_of(plan_of(concurrency=4, requests=2, hold=True)).mine()) == 4


# How many there are over time.


def test_a_ramp_brings_users_one_by_one_to_the_workers_in_turn() -> None:
    """4 users within 2 s come at 0, 0.5, 1 and 1.5 s."""
    plan = plan_of(concurrency=4, duration_s=9.0, ramp_s=2.0, workers=2)
    workers = [places_of(plan, worker) for worker in range(2)]
    closed = plan.closed_schedule()

    assert closed.steps == ((0, 1), (S // 2, 2), (S, 3), (3 * S // 2, 4))
    assert [[len(one.mine(users)) for one in workers] for _, users in closed.steps] == [[1, 0], [1, 1], [2, 1], [2, 2]]


def test_stages_of_concurrency_step_where_their_line_meets_whole_users() -> None:
    """From 1 to 3 in 2 s: 2 at 1 s, 3 at 2 s; then 1 for 1 s."""
    stages = [("concurrency", 1, 3, 2.0), ("concurrency", 1, 1, 1.0)]
    rows = tuple(dict(zip(("kind", "start", "end", "duration_s", "n"), (*one, 0), strict=True)) for one in stages)
    plan = plan_of(stages=rows, workers=3)
    closed = plan.closed_schedule()

    assert [closed.at(ns) for ns in (0, S - 1, S, 2 * S - 1, 2 * S, 3 * S - 1)] == [1, 1, 2, 2, 1, 1]
    assert [sum(len(places_of(plan, w).mine(closed.at(at))) for w in range(3)) for at in (0, S, 2 * S)] == [1, 2, 1]
    assert places_of(plan).open_ended


# What they talk about.


def talking(**load: Any) -> tuple[Plan, Places, Slot]:
    plan = plan_of(definitions=tuple(workload.definitions("conversation")), workload="conversation", **load)
    (slot,), (places,) = slots(plan, None), everybody(plan)
    return plan, places, slot


def test_a_conversation_goes_on_until_it_is_over_and_no_two_have_a_number() -> None:
    plan, places, slot = talking(concurrency=2, duration_s=60.0)
    source = plan.source()
    first = places.talk(1, slot, 1)
    assert (first.number, first.turns, first.turn) == (1, source.turns(1), 0)
    assert places.talk(1, slot, 3) is first
    assert places.talk(0, slot, 0).number == 0
    places.hang_up(1, slot)
    assert places.talk(1, slot, 5).number == 5


def test_users_beyond_the_planned_number_talk_about_something_else() -> None:
    """A place beyond the plan must not repeat what a planned user asks, or say its number for two conversations."""
    _, places, slot = talking(concurrency=2, duration_s=60.0)
    places.enter(object())
    numbers = []
    for _ in range(2):
        seq = places.next_seq(2, slot, tail=False)
        assert seq is not None
        numbers.append(places.talk(2, slot, seq).number)
        places.hang_up(2, slot)
    assert numbers == [BEYOND, BEYOND + MOST_WORKERS]


def test_before_a_turn_its_user_thinks_as_the_workload_says() -> None:
    plan, places, slot = talking(concurrency=1, duration_s=60.0)
    talk = places.talk(0, slot, 0)
    assert places.pause_s(0, slot) == 0.0
    talk.answered(plan.source().request(0), "yes")
    assert places.pause_s(0, slot) == plan.source().think_s(0, 1) > 0


# Think times.


def test_without_a_law_nobody_thinks() -> None:
    plan = plan_of(concurrency=2, duration_s=60.0)
    assert places_of(plan).pause_s(1, None) == 0.0


def test_a_pause_is_drawn_once_for_each_request_of_each_user() -> None:
    think = draws.law_of("exponential:2s", "s").to_json()
    plan = plan_of(concurrency=2, duration_s=60.0, think=think)
    (slot,), (places,), (again,) = slots(plan, None), everybody(plan), everybody(plan)

    def pauses(of: Places, place: int) -> list[float]:
        found = []
        for _ in range(300):
            found.append(of.pause_s(place, slot))
            assert of.pause_s(place, slot) == found[-1]  # whoever looks, and however often
            of.next_seq(place, slot, tail=False)
        return found

    mine = pauses(places, 0)
    assert mine == pauses(again, 0)
    assert mine != pauses(places, 1)
    assert len(set(mine)) == 300
    # The mean of 300 exponential pauses of 2 s has a standard deviation of 2 / sqrt(300) = 0.115 s.
    assert sum(mine) / 300 == pytest.approx(2.0, abs=0.46)


def test_users_beyond_the_planned_number_think_anew_each_time() -> None:
    plan = plan_of(concurrency=1, duration_s=60.0, think=draws.law_of("exponential:2s", "s").to_json())
    (slot,), (places,) = slots(plan, None), everybody(plan)
    places.enter(object())
    pauses = []
    for _ in range(5):
        pauses.append(places.pause_s(1, slot))
        places.next_seq(1, slot, tail=False)
    assert all(a != b for a, b in pairwise(pauses))


def test_another_seed_thinks_otherwise() -> None:
    think = draws.law_of("uniform:1s:5s", "s").to_json()
    one, other = (
        places_of(plan_of(concurrency=1, duration_s=9.0, think=think, seed=seed)).pause_s(0, None) for seed in (1, 2)
    )
    assert one != other
    assert 1 <= one <= 5
