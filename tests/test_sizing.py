"""From a capacity to replicas: of a rate, of users, of a search that ended early."""

from __future__ import annotations

import json
from typing import Any

import pytest
from answered import answer, point
from hypothesis import assume, given
from hypothesis import strategies as st

from analysis.capacity.carried import Carried, carried
from analysis.capacity.figures import Figure
from analysis.capacity.sizing import Demand, SizingError, room, size


def of(value: float, lo: float | None = None, hi: float | None = None) -> Carried:
    return Carried(Figure(value, lo, hi), "", "rate", Figure(value, lo, hi))


# What is carried.


def test_a_rate_is_carried_as_it_was_found() -> None:
    found = carried(answer(8.0, 7.5, 8.4))

    assert found == Carried(Figure(8.0, 7.5, 8.4), "", "rate", Figure(8.0, 7.5, 8.4), 1.0)


def test_arrivals_of_conversations_count_all_their_requests() -> None:
    # 200 arrivals in 100 s brought 600 requests: 3 each.
    found = carried(answer(2.0, 1.9, 2.2, point(2.0, requests=600, offered_per_s=2.0, achieved_per_s=6.0)))

    assert found is not None
    assert found.turns == pytest.approx(3.0)
    assert found.per_s == Figure(*map(pytest.approx, (6.0, 5.7, 6.6)))  # type: ignore[arg-type]
    assert found.load == Figure(2.0, 1.9, 2.2)


def test_users_carry_what_was_measured_at_the_nearest_load_below() -> None:
    """
    20 users had 9/s. 16 have at least 9 x 16 / 20 = 7.2/s and 24 at most 9 x 24 / 20 = 10.8/s.

    22, the answer, have at least the 9/s of 20, and no more is claimed.
    """
    found = carried(answer(22.0, 16.0, 24.0, point(20.0, "concurrency", achieved_per_s=9.0), mode="concurrency"))

    assert found is not None
    assert found.per_s == Figure(9.0, pytest.approx(7.2), pytest.approx(10.8))  # type: ignore[arg-type]
    assert found.load == Figure(22.0, 16.0, 24.0)


@pytest.mark.parametrize(
    ("limited_by", "bound"), [("most", "at least"), ("client", "at least"), ("quota", "quota"), ("stability", "")]
)
def test_a_search_that_ended_before_the_servers_limit_says_at_least(limited_by: str, bound: str) -> None:
    found = carried(answer(8.0, 8.0, None, limited_by=limited_by))

    assert found is not None
    assert found.bound == bound


@pytest.mark.parametrize("value", [None, 0.0])
def test_without_a_capacity_nothing_is_carried(value: float | None) -> None:
    assert carried(answer(value, 0.0, 4.0)) is None


def test_users_without_a_measured_rate_are_no_rate() -> None:
    assert carried(answer(8.0, 7.0, 9.0, mode="concurrency", best=None)) is None


# Replicas.


@pytest.mark.parametrize(
    ("asked", "capacity", "expected"),
    [
        # 100 x 1.2 / (40 x 0.75) = 4, and 1 spare; at 36 4.44 -> 5 + 1, at 44 3.64 -> 4 + 1.
        ({"peak_per_s": 100.0, "growth": 0.2}, (40.0, 36.0, 44.0), (4, 1, 5, "5 (5 to 6)")),
        # 100 / (41 x 0.75) = 3.25 -> 4 + 1; at 33 4.04 -> 5 + 1, at 45 2.96 -> 3 + 1.
        ({"peak_per_s": 100.0}, (41.0, 33.0, 45.0), (4, 1, 5, "5 (4 to 6)")),
        ({"peak_per_s": 100.0, "failures": 0, "headroom": 0.0}, (50.0, 50.0, 50.0), (2, 0, 2, "2")),
        ({"peak_per_s": 100.0, "failures": 2, "headroom": 0.0}, (50.0, 50.0, 50.0), (2, 2, 4, "4")),
        # One is enough and gets no second by itself; at the lower end 2 are needed.
        ({"peak_per_s": 7.0}, (10.0, 9.0, 11.0), (1, 0, 1, "1 (1 to 2)")),
        ({"peak_per_s": 7.0, "failures": 1}, (10.0, 10.0, 11.0), (1, 1, 2, "2")),
        # Whole but for the last bit of 3.3 / 1.1.
        ({"peak_per_s": 3.3, "headroom": 0.0, "failures": 0}, (1.1, 1.1, 1.1), (3, 0, 3, "3")),
        # More than was searched: fewer may do.
        ({"peak_per_s": 100.0}, (40.0, 40.0, None), (4, 1, 5, "at most 5")),
        ({"peak_per_s": 100.0}, (40.0, None, 44.0), (4, 1, 5, "5 (at least 5)")),
    ],
)
def test_replicas_by_hand(asked: dict[str, Any], capacity: Any, expected: tuple[int, int, int, str]) -> None:
    found = size(Demand(**asked), of(*capacity))

    assert (found.needed, found.failures, found.replicas, found.shown) == expected


def test_how_busy_they_are_with_all_and_without_those_that_failed() -> None:
    # 120/s on 5 x 40/s, and on 4.
    found = size(Demand(100.0, growth=0.2), of(40.0))

    assert (found.busy, found.busy_after) == pytest.approx((0.6, 0.75))
    assert json.loads(json.dumps(found.to_json()))["grown_per_s"] == pytest.approx(120.0)


RATES = st.floats(0.01, 1e5)
SHARES = st.floats(0, 0.95)
SPARE = st.sampled_from([None, 0, 1, 3])


@given(RATES, SHARES, RATES, SHARES, SPARE)
def test_replicas_carry_the_grown_peak_within_their_headroom_after_the_failures(
    peak: float, growth: float, capacity: float, headroom: float, failures: int | None
) -> None:
    found = size(Demand(peak, growth, headroom, failures), of(capacity))

    assert found.needed * capacity * (1 - headroom) >= peak * (1 + growth) * (1 - 1e-9)
    assert found.busy_after <= (1 - headroom) * (1 + 1e-9)
    # And no fewer would.
    assert found.needed == 1 or (found.needed - 1) * capacity * (1 - headroom) < peak * (1 + growth)


@given(RATES, RATES, SHARES, SHARES, SHARES, SHARES, st.tuples(RATES, RATES), SPARE)
def test_more_load_and_less_room_never_take_fewer(  # noqa: PLR0917 - two of each
    peak: float, more: float, growth: float, added: float, headroom: float, kept: float,
    capacity: tuple[float, float], failures: int | None,
) -> None:  # fmt: skip
    assume(headroom + kept < 1)
    small, large = sorted(capacity)
    less = size(Demand(peak, growth, headroom, failures), of(large)).replicas

    assert size(Demand(peak + more, growth, headroom, failures), of(large)).replicas >= less
    assert size(Demand(peak, growth + added, headroom, failures), of(large)).replicas >= less
    assert size(Demand(peak, growth, headroom + kept, failures), of(large)).replicas >= less
    assert size(Demand(peak, growth, headroom, failures), of(small)).replicas >= less


@pytest.mark.parametrize(
    "wrong",
    [
        {"peak_per_s": 0.0}, {"peak_per_s": float("nan")}, {"peak_per_s": float("inf")}, {"growth": -1.0},
        {"headroom": 1.0}, {"headroom": -0.1}, {"failures": -1},
    ],
)  # fmt: skip
def test_what_cannot_be_sized_by_is_one_line(wrong: dict[str, Any]) -> None:
    with pytest.raises(SizingError, match=r"isn't") as caught:
        Demand(**({"peak_per_s": 1.0} | wrong))

    assert "\n" not in str(caught.value)


# Room.


def test_how_far_a_load_is_from_the_capacity_of_its_replicas() -> None:
    # 60/s on 2: 30 of 40 each, a quarter free; of 36 1/6, of 50 0.4. The knee of two is at twice that of one.
    found = room(60.0, of(40.0, 36.0, 50.0), replicas=2, knee_per_s=28.0)

    assert found.free == Figure(*map(pytest.approx, (0.25, 1 / 6, 0.4)))  # type: ignore[arg-type]
    assert (found.knee_per_s, found.past_knee) == (56.0, True)
    assert room(50.0, of(40.0)).free.value == pytest.approx(-0.25)
    assert room(50.0, of(40.0)).past_knee is None
    with pytest.raises(SizingError):
        room(0.0, of(40.0))
