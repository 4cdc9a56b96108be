"""Why a rate and a number of users give one server two capacities."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from answered import answer, point

from analysis.capacity.reconcile import reconcile

if TYPE_CHECKING:
    from analysis.capacity.answer import Answer


def by_users(value: float = 20.0, lo: float = 19.0, hi: float = 21.0, **more: Any) -> Answer:
    """20 users who wait 2 s each: 10/s."""
    return answer(value, lo, hi, point(20.0, "concurrency", **more), mode="concurrency")


def test_users_carry_more_where_arrivals_bunch() -> None:
    """
    8/s against 10/s: 1.25 times. Distances on the log scale: 10/s from 19 / 20, 8/s to 8.4.

    ln lo = ln 1.25 - hypot(ln 20/19, ln 8.4/8) = 0.2231 - 0.0708: 1.165, above 1.
    16 in flight on average: P(Poisson(16) >= 20) = 0.188.
    """
    found = reconcile(answer(8.0, 7.6, 8.4, point(8.0)), by_users())

    assert found.verdict == "closed above"
    assert found.ratio is not None
    assert found.ratio.value == pytest.approx(1.25)
    assert found.ratio.lo == pytest.approx(1.165, abs=1e-3)
    assert found.think_s == pytest.approx(0.0)
    assert found.reached == pytest.approx(0.188, abs=1e-3)
    said = " ".join(found.sentences)
    assert "20 users, each of whom waits 2 s and then asks again at once, make 20 / 2 s = 10/s" in said
    assert "16" in said
    assert "there are 20 or more for about 19 % of the time" in said
    assert "pool of agents" in found.use
    assert json.loads(json.dumps(found.to_json()))["verdict"] == "closed above"


def test_they_agree_within_their_intervals() -> None:
    found = reconcile(answer(9.8, 9.0, 10.6, point(9.8)), by_users())

    assert found.verdict == "agree"
    assert any("agree within their intervals" in sentence for sentence in found.sentences)


def test_more_in_flight_than_there_are_users_explains_a_higher_rate() -> None:
    # 14/s with 28 in flight: 20 users are too few to make so many.
    found = reconcile(answer(14.0, 13.5, 14.5, point(14.0), limited_by="stability"), by_users())

    assert found.verdict == "open above"
    said = " ".join(found.sentences)
    assert "more than 20 users ever have" in said
    assert "different limits" in said


def test_users_who_think_are_told_with_their_thinking() -> None:
    # 20 users at 4/s: 5 s a round.
    found = reconcile(answer(4.0, 3.9, 4.1, point(4.0)), by_users(achieved_per_s=4.0))

    assert found.think_s == pytest.approx(3.0)
    assert any("then thinks for 3" in sentence for sentence in found.sentences)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"limited_by": "quota", "hi": None}, "your quota"),
        ({"limited_by": "client", "hi": None}, "load generator"),
        ({"lo": None}, "open end"),
        ({"value": None, "best": None}, "no capacity by rate"),
    ],
)
def test_a_search_that_did_not_find_the_limit_is_not_compared(more: dict[str, Any], expected: str) -> None:
    ends = {"value": 8.0, "lo": 7.6, "hi": 8.4} | {key: more.pop(key) for key in ("value", "lo", "hi") if key in more}
    found = reconcile(answer(*ends.values(), point(8.0), **more), by_users())

    assert found.verdict == "not comparable"
    assert expected in " ".join(found.sentences)


def test_littles_law_is_told_for_every_steady_run() -> None:
    rate = answer(
        8.0, 7.6, 8.4, point(4.0, little=0.01), point(8.0, little=0.03), point(12.0, little=0.4, state="unstable")
    )
    found = reconcile(rate, by_users(little=0.02))

    assert [law.gap for law in found.laws] == [0.01, 0.02, 0.03]
    assert found.sentences[-1] == (
        "The figures hold together: in flight = rate x time in each of the 3 steady runs, at worst within 3 %, at 8/s."
    )


def test_runs_in_which_it_does_not_close_are_named() -> None:
    found = reconcile(answer(8.0, 7.6, 8.4, point(8.0, little=0.03)), by_users(little=0.12))

    assert found.sentences[-1] == (
        "In 1 of 2 steady runs in flight is off from rate x time by more than 5 %: 20 users (12 %)."
    )
