"""Who serves which arrival: dealt once and dealt anew, however often; the same for everybody who knows the deals."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests import clock
from loadtests.shards import SLICE, Deal, Owners, Shards

if TYPE_CHECKING:
    from collections.abc import Sequence

NUMBERS = st.lists(st.integers(0, 7), max_size=4, unique=True).map(tuple)
DEALS = st.lists(
    st.builds(Deal, st.integers(0, 3), st.integers(0, 60), NUMBERS, NUMBERS.filter(bool)),
    max_size=6,
)
WORKERS = st.integers(1, 5)
SLOTS = st.integers(0, 4)
ARRIVALS = st.integers(0, 70)


def dealt(workers: int, deals: Sequence[Deal], slot: int, n: int) -> list[int]:
    """The owners as a reader of the docstrings would work them out, one arrival after the other."""
    owner = [place % workers for place in range(n)]
    for deal in deals:
        turn = 0
        for place in range(n):
            is_meant = (slot, place) >= (deal.slot, deal.place) if slot == deal.slot else slot > deal.slot
            if is_meant and owner[place] in deal.of:
                owner[place] = deal.to[turn % len(deal.to)]
                turn += 1
    return owner


@given(workers=WORKERS, deals=DEALS, slot=SLOTS, n=ARRIVALS)
def test_every_arrival_has_one_owner_and_it_is_the_one_to_whom_it_was_dealt(
    workers: int, deals: list[Deal], slot: int, n: int
) -> None:
    shards = Shards(workers, deals)
    owners = shards.owners(slot, n).tolist()

    assert owners == dealt(workers, deals, slot, n)
    shares = [shards.own(worker, slot, n) for worker in range(8)]
    assert sorted(np.concatenate(shares).tolist()) == list(range(n))
    assert all((np.diff(share) > 0).all() for share in shares)
    assert shards.seats(n).tolist() == dealt(workers, [Deal(0, 0, deal.of, deal.to) for deal in deals], 0, n)


@given(workers=WORKERS, deals=DEALS, last=st.builds(Deal, st.integers(0, 3), st.integers(0, 60), NUMBERS, NUMBERS))
def test_a_deal_changes_the_owners_of_what_it_is_about_and_of_nothing_else(
    workers: int, deals: list[Deal], last: Deal
) -> None:
    if not last.to:
        return
    shards, n = Shards(workers, deals), 70
    before = [shards.owners(slot, n) for slot in range(5)]
    shards.add(last)

    for slot, owned in enumerate(before):
        now = shards.owners(slot, n)
        first = n if slot < last.slot else last.place if slot == last.slot else 0
        meant = (np.arange(n) >= first) & np.isin(owned, last.of)
        assert (now[~meant] == owned[~meant]).all()
        counts = Counter(now[meant].tolist())
        assert set(counts) <= set(last.to)
        shares = [counts[worker] for worker in last.to]
        assert max(shares) - min(shares) <= 1  # evenly, give or take one


@given(workers=WORKERS, deals=DEALS, slot=SLOTS, n=ARRIVALS, more=st.integers(0, 20))
def test_a_longer_schedule_begins_as_a_shorter_one(
    workers: int, deals: list[Deal], slot: int, n: int, more: int
) -> None:
    """A run's finisher, its master and its workers must agree, whichever of them knows about a tail or a ramp."""
    shards = Shards(workers, deals)

    assert (shards.owners(slot, n + more)[:n] == shards.owners(slot, n)).all()
    assert (shards.seats(n + more)[:n] == shards.seats(n)).all()


@given(workers=WORKERS, deals=DEALS)
def test_deals_are_the_same_when_they_come_back_from_json(workers: int, deals: list[Deal]) -> None:
    shards = Shards(workers, deals)
    again = Shards.from_json(workers, orjson.loads(orjson.dumps(shards.to_json())))

    assert again.deals == shards.deals == deals
    assert (again.owners(3, 70) == shards.owners(3, 70)).all()


def test_what_a_lost_worker_had_goes_to_the_others_in_turn() -> None:
    """
    From place 4 on.

    Worker 1 of three has 1, 4, 7 and 10; from place 4 on 0 and 2 get what it has, in turn.
    """
    shards = Shards(3)
    shards.add(Deal(0, 4, (1,), (0, 2)))

    assert shards.owners(0, 12).tolist() == [0, 1, 2, 0, 0, 2, 0, 2, 2, 0, 0, 2]
    assert shards.owners(1, 6).tolist() == [0, 0, 2, 0, 2, 2]  # all of a later slot
    assert shards.seats(6).tolist() == [0, 0, 2, 0, 2, 2]  # users move whole


def test_who_joins_late_gets_its_part_of_what_all_had() -> None:
    shards = Shards(2)
    shards.add(Deal(0, 4, (0, 1), (0, 1, 2)))

    assert shards.owners(0, 10).tolist() == [0, 1, 0, 1, 0, 1, 2, 0, 1, 2]
    assert shards.own(2, 0, 10).tolist() == [6, 9]


def test_slots_before_a_deal_stay_as_they_were() -> None:
    shards = Shards(2, [Deal(2, 0, (1,), (0,))])

    assert [shards.own(1, slot, 5).tolist() for slot in range(4)] == [[1, 3], [1, 3], [], []]


def test_ten_million_arrivals_are_dealt_within_a_moment() -> None:
    """A worker does this while it offers load: 5 deals over the arrivals of 1,000/s for nearly three hours."""
    shards = Shards(4, [Deal(0, 10**6 * k, (k % 4,), (0, 1, 2, 3)) for k in range(5)])
    begun_ns = clock.monotonic_ns()
    owners = shards.owners(0, 10**7)

    assert (clock.monotonic_ns() - begun_ns) / 1e9 < 2.0
    assert np.bincount(owners).min() > 0


@pytest.mark.parametrize("n", [0, 1])
def test_of_nothing_nobody_has_anything(n: int) -> None:
    assert Shards(3, [Deal(0, 0, (0,), (1,))]).own(2, 0, n).tolist() == []


@given(workers=WORKERS, deals=DEALS, slot=SLOTS, n=ARRIVALS, first=ARRIVALS, last=ARRIVALS)
def test_whoever_follows_the_deals_one_by_one_knows_the_same(
    workers: int, deals: list[Deal], slot: int, n: int, first: int, last: int
) -> None:
    shards = Shards(workers)
    owners = Owners(shards, slot, n)
    for deal in deals:
        shards.add(deal)
        owners.follow()
        for worker in range(8):
            own = [place for places in owners.own(worker, first, min(last, n)) for place in places.tolist()]
            assert own == [place for place in shards.own(worker, slot, n).tolist() if first <= place < last]


def test_a_long_schedule_is_dealt_anew_in_slices_from_the_place_on_that_a_deal_is_about() -> None:
    """Ten slices, of which the deals are about two, at the very end: two looks each, and nine for what is own."""
    shards, n = Shards(3), 10 * SLICE
    looks: list[int] = []
    owners = Owners(shards, 0, n, lambda: looks.append(1))
    shards.add(Deal(0, n - 2 * SLICE, (1,), (0, 2)))
    owners.follow()  # now they are written down, once
    looks.clear()
    shards.add(Deal(0, n - SLICE - 1, (0, 2), (1,)))
    owners.follow()

    assert len(looks) == 2
    assert {len(places) <= SLICE for places in owners.own(1, SLICE, n)} == {True}
    assert len(looks) == 11
    assert (owners.all() == Shards(3, shards.deals).owners(0, n)).all()
