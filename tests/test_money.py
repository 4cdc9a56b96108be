"""What a load costs on rented replicas and by token prices, and who stands behind it."""

from __future__ import annotations

import json

import pytest
from answered import answer, point
from hypothesis import given
from hypothesis import strategies as st

from analysis.capacity import money
from analysis.capacity.carried import Carried, carried
from analysis.capacity.figures import Figure
from analysis.capacity.mix import Mix, differ, mix
from analysis.capacity.sizing import Demand, SizingError, size
from analysis.capacity.users import requests_per_s, think_of, users


def told(value: float = 8.0, lo: float = 7.5, hi: float = 8.5) -> tuple[Carried, Mix]:
    """8/s (7.5 to 8.5), told from a run at 8/s: 500 tokens in and 100 out a request, 98 % good."""
    found = answer(value, lo, hi, point(8.0))
    capacity = carried(found)
    assert capacity is not None
    work = mix(found.best, capacity)
    assert work is not None
    return capacity, work


# The mix.


def test_the_mix_of_the_nearest_run_flows_at_the_capacity() -> None:
    # The run offered 8/s, the capacity is 10/s: a quarter more of everything but what one request is.
    _, work = told(10.0, 9.0, 11.0)

    assert (work.requests_per_s, work.input_tokens_per_s, work.output_tokens_per_s) == pytest.approx((10, 5000, 1000))
    assert (work.input_tokens, work.output_tokens, work.in_flight) == (500, 100, 16)


def test_a_run_that_was_not_steady_says_nothing_of_the_work() -> None:
    capacity, _ = told()

    assert mix(point(8.0, state="unstable"), capacity) is None
    assert mix(None, capacity) is None


def test_work_of_other_sizes_is_told() -> None:
    capacity, work = told()
    other = mix(point(8.0, input_tokens=520.0, output_tokens=200.0), capacity)

    assert other is not None
    assert differ(work, other) == "100 against 200 tokens out"


# Users.


def test_users_ask_by_littles_law() -> None:
    # 120 users who wait 2 s and think 10 s ask 10 times a second.
    assert requests_per_s(120, 2.0, 10.0) == pytest.approx(10.0)
    with pytest.raises(SizingError):
        requests_per_s(120, 0.0, 0.0)


def test_users_and_sessions_of_a_rate() -> None:
    """
    8/s x (2 + 13) s = 120 users, 16 of them waiting.

    4 turns: 2 sessions begin a second, each lasts 4 x 2 + 3 x 13 = 47 s: 94 under way.
    """
    found = users(Figure(8.0, 7.0, 9.0), 2.0, 13.0, turns=4)

    assert found.users == Figure(*map(pytest.approx, (120, 105, 135)))  # type: ignore[arg-type]
    assert found.waiting == pytest.approx(16)
    assert found.sessions_per_s == Figure(*map(pytest.approx, (2.0, 1.75, 2.25)))  # type: ignore[arg-type]
    assert found.sessions is not None
    assert found.sessions.value == pytest.approx(94)
    with pytest.raises(SizingError):
        users(Figure(8.0), 2.0, 1.0, turns=0.5)


def test_the_think_time_of_a_closed_loop_is_what_littles_law_leaves() -> None:
    # 20 users at 4/s: a round of 5 s, of which 2 s are waited.
    assert think_of(point(20.0, "concurrency", achieved_per_s=4.0)) == pytest.approx(3.0)
    assert think_of(point(4.0)) is None


# Rented.


def test_a_replica_at_its_capacity_by_hand() -> None:
    """
    2.88 USD an hour at 8/s: 28,800 requests, 28,224 of them good, 2.88 M tokens out.

    1,000 good ones for 2.88 / 28.224 USD. More carried is cheaper: the interval's ends change places.
    """
    capacity, work = told()
    found = money.rent(2.88, capacity, work).at_capacity

    assert found.per_1k_good is not None
    assert found.per_1k_good.value == pytest.approx(2.88 / 28.224)
    assert found.per_1k_good.lo == pytest.approx(2.88 / 28.224 * 8 / 8.5)
    assert found.per_1k_good.hi == pytest.approx(2.88 / 28.224 * 8 / 7.5)
    assert found.per_m_output is not None
    assert found.per_m_output.value == pytest.approx(1.0)
    assert found.split is None


def test_half_used_costs_twice_as_much() -> None:
    capacity, work = told()
    full, half = (money.cost(3.0, Figure(8.0 * u), u, work) for u in (1.0, 0.5))

    assert full.per_m_output is not None
    assert half.per_m_output is not None
    assert half.per_m_output.value == pytest.approx(2 * full.per_m_output.value)
    assert capacity.per_s.value == 8.0


def test_the_bill_at_the_peak_the_mean_and_over_the_month() -> None:
    """
    20/s with a quarter free: 20 / 6 = 3.33 -> 4, and 1 spare: 5 x 2 USD x 730 h = 7,300 USD, on 4/s each.

    At 7.5/s 3.56 -> 4 + 1, at 8.5/s 3.14 -> 4 + 1: no doubt about the bill. The mean of 5/s takes 5 / 6 -> 1.
    """
    capacity, work = told()
    found = money.rent(2.0, capacity, work, size(Demand(20.0), capacity), mean_per_s=5.0)

    assert found.month == Figure(7300, 7300, 7300)
    assert found.month_mean == pytest.approx(1460)
    assert found.at_peak is not None
    assert found.at_peak.utilisation == pytest.approx(0.5)
    assert found.at_mean is not None
    assert found.at_mean.per_m_output is not None
    # 10 USD an hour for 5 x 100 x 3600 tokens.
    assert found.at_mean.per_m_output.value == pytest.approx(10 / 1.8)
    assert json.loads(json.dumps(found.to_json()))["month"]["value"] == pytest.approx(7300)


@given(st.floats(0.01, 1e4), st.floats(0.01, 1e3), st.floats(0.1, 100), st.floats(1, 1e5), st.floats(1, 1e5))
def test_both_parts_of_a_split_bill_are_the_bill(
    price: float, per_s: float, weight: float, fresh: float, made: float
) -> None:
    found = answer(per_s, None, None, point(per_s, input_tokens=fresh, output_tokens=made))
    capacity = carried(found)
    assert capacity is not None
    work = mix(found.best, capacity)
    assert work is not None

    split = money.cost(price, capacity.per_s, 1.0, work, weight).split

    assert split is not None
    hourly = 3600 * capacity.per_s.value / 1e6
    both = split.per_m_input.value * fresh * hourly, split.per_m_output.value * made * hourly
    assert sum(both) == pytest.approx(price)
    assert both[0] == pytest.approx(price * split.input_share)
    assert split.per_m_output.value == pytest.approx(weight * split.per_m_input.value)


@pytest.mark.parametrize("price", [0.0, -1.0, float("nan"), float("inf")])
def test_a_price_that_is_none_is_refused(price: float) -> None:
    capacity, work = told()

    with pytest.raises(SizingError, match="price"):
        money.rent(price, capacity, work)


def test_without_token_counts_and_good_ones_there_is_nothing_to_divide_by() -> None:
    found = answer(8.0, 7.5, 8.5, point(8.0, output_tokens=None, attainment=None))
    capacity = carried(found)
    assert capacity is not None
    work = mix(found.best, capacity)
    assert work is not None

    cost = money.rent(2.0, capacity, work, weight=4.0).at_capacity

    assert (cost.per_1k_good, cost.per_m_output, cost.split) == (None, None, None)


# By the token.


def test_a_price_list_over_a_month() -> None:
    # 1.5 USD for 1,000 good ones of which there are 98 in 100: 1.47 for 1,000. 730 h at 2/s are 5,256,000 requests.
    found = money.tokens(point(8.0, cost_per_1k_good=1.5, prices_read="2026-11-01"), 4.0, 2.0)

    assert found is not None
    assert found.per_request == pytest.approx(0.00147)
    assert found.month_mean == pytest.approx(5_256_000 * 0.00147)
    assert found.month_peak == pytest.approx(2 * 5_256_000 * 0.00147)
    assert found.prices_read == "2026-11-01"


def test_a_price_list_without_good_requests_goes_by_the_tokens() -> None:
    # 20 USD for a million tokens out, 100 of them a request.
    found = money.tokens(point(8.0, cost_per_m_output=20.0, attainment=0.0))

    assert found is not None
    assert found.per_request == pytest.approx(0.002)
    assert money.tokens(point(8.0)) is None
    assert money.tokens(None) is None


def test_where_machines_and_a_price_list_meet() -> None:
    # 2 x 3.6 USD an hour are 0.002 USD a second: 1 request a second at 0.002 each, of 16 they carry.
    capacity, _ = told()

    assert money.break_even(3.6, 2, capacity, 0.002) == money.BreakEven(pytest.approx(1.0), 2, reachable=True)  # type: ignore[arg-type]
    beyond = money.break_even(3.6, 2, capacity, 0.0001)
    assert beyond is not None
    assert beyond.per_s == pytest.approx(20.0)
    assert not beyond.reachable
    assert money.break_even(3.6, 2, capacity, 0.0) is None
