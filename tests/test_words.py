"""The answer as a person reads it who pays for machines."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from answered import answer, point

from analysis.capacity import words
from analysis.capacity.meaning import Asked, mean
from analysis.capacity.peak import peak
from analysis.capacity.sizing import SizingError

FULL = Asked(
    peak_per_s=20.0, growth=0.2, mean_per_s=5.0, think_s=13.0, turns=4.0, price_per_h=2.0, weight=4.0,
    api_per_request=0.002, api="Some API",
)  # fmt: skip


def said(asked: Asked | None = None, knee_per_s: float | None = None, **more: Any) -> str:
    ends = more.pop("ends", (8.0, 7.5, 8.5))
    return " ".join(words.sentences(mean(answer(*ends, **more), asked, knee_per_s)))


def test_the_capacity_its_interval_its_promise_and_its_mix() -> None:
    text = said()

    assert "fast carries 8.0 (7.5 to 8.5) requests a second; the range in brackets" in text
    assert "95 of 100 answers begin within 2 s" in text
    assert "500 tokens in and 100 tokens out" in text
    assert "4,000 (3,700 to 4,300) in and 800 (750 to 850) out, tokens a second" in text
    assert "16 requests were being answered at any moment and each took 2 s" in text
    assert "machine" not in text


def test_all_that_was_asked_has_its_sentences() -> None:
    """
    24/s of 8 x 0.75 each: 4 and a spare one. 24/s are 60 % of 40/s and 75 % of 32/s; of 37.5 and 42.5 64 and 56 %.

    The knee of 5 is at 5 x 7/s; 8/s x (2 + 13) s = 120 users; at 7.5/s 24 / 5.625 takes 5, so 6 x 2 x 730 = 8,760 USD.
    """
    text = said(FULL, knee_per_s=7.0)

    assert "The peak is 20 requests a second, as stated; with 20 % growth 24." in text
    assert "It takes 5 (5 to 6) machines such as the tested one: 4 to carry it with 25 % of each kept free" in text
    assert "and 1 more so that one may fail." in text
    assert "do 60 % of what they carry, and 75 % with one gone" in text
    assert "24 requests a second are 40 % (36 % to 44 %) below the capacity of 5 machines." in text
    assert "From 7/s on waiting grows out of proportion (the knee)." in text
    assert "That is still below the knee: 35/s of 5 machines." in text
    assert "120 (112 to 128) users" in text
    assert "2.00 (1.87 to 2.13) sessions" in text
    assert "5 machines for a month of 730 hours: 7,300 USD (7,300 USD to 8,760 USD, by" in text
    # 10 USD an hour at 0.002 USD a request.
    assert "5 machines cost as much as Some API at 1.39 requests a second" in text


def test_the_headline_is_one_line() -> None:
    assert words.headline(mean(answer(8.0, 7.5, 8.5), FULL)) == (
        "fast carries 8.0 (7.5 to 8.5) requests a second; the peak takes 5 (5 to 6) machines."
    )


@pytest.mark.parametrize(
    ("limited_by", "expected"),
    [
        (
            "quota",
            "Beyond it your quota with the provider is the limit, not the model: about 60 requests/min got through.",
        ),
        ("client", "the machine that made the load was at its limit, not the server"),
        ("most", "The limit was not reached"),
        ("stability", "pile up"),
        ("failures", "requests fail"),
        ("tpot_p95<50ms", "this gives way first: 95 of 100 answers go on with less than 50 ms"),
    ],
)
def test_what_ends_first_is_told(limited_by: str, expected: str) -> None:
    text = said(limited_by=limited_by, reason="about 60 requests/min got through", ends=(1.0, 1.0, None))

    assert expected in text
    assert ("carries at least 1" in text) == (limited_by in {"quota", "client", "most"})


def test_a_quota_is_not_sized_with_machines() -> None:
    text = said(Asked(peak_per_s=20.0), limited_by="quota", ends=(1.0, 1.0, None))

    assert "Machines for it are not counted: the limit is your quota" in text
    assert "It takes" not in text


def test_a_capacity_above_what_was_searched_takes_at_most_so_many() -> None:
    assert "It takes at most 5 machines" in said(Asked(peak_per_s=20.0), limited_by="most", ends=(8.0, 8.0, None))


def test_without_a_capacity_the_reason_is_all_there_is() -> None:
    assert said(Asked(peak_per_s=20.0), ends=(0.0, 0.0, 0.0), reason="even one request at a time breaks it").startswith(
        "fast meets the objective at no load: even one request at a time breaks it."
    )
    none = said(ends=(None, 0.0, 2.0), reason="every load tried broke it")
    assert none == "What fast carries could not be determined: every load tried broke it; it is below 2."


def test_users_make_a_peak() -> None:
    # 300 users who wait 2 s and think 13 s: 20/s.
    found = mean(answer(8.0, 7.5, 8.5), Asked(users=300, think_s=13.0))

    assert found.peak_per_s == pytest.approx(20.0)
    assert found.sizing is not None
    assert found.sizing.replicas == 5
    assert "300 users who wait 2 s and think for 13 s" in " ".join(words.sentences(found))


def test_a_trace_makes_a_peak_a_mean_and_an_advice() -> None:
    gaps = np.random.default_rng(2).gamma(0.25, 4 / 10, 20_000)  # CV 2, 10/s
    trace = peak(np.cumsum(gaps))
    found = mean(answer(8.0, 7.5, 8.5), Asked(trace=trace, price_per_h=2.0))

    assert found.rent is not None
    assert found.rent.at_mean is not None
    text = " ".join(words.sentences(found))
    assert "from the trace: the busiest minute of its" in text
    assert "Search again with --arrivals gamma:2" in text


def test_users_of_a_closed_loop_are_told_as_users() -> None:
    text = said(ends=(20.0, 19.0, 22.0), mode="concurrency")

    assert "fast carries 20 (19 to 22) users at once, 10.0 requests a second in all" in text


def test_without_a_fit_the_brackets_are_the_loads_that_were_tried() -> None:
    assert "19 of 20" in said()
    text = said(crossing=None)
    assert "19 of 20" not in text
    assert "in brackets the highest load that held and the lowest that did not" in text


def test_what_fresh_runs_did_not_confirm_is_said() -> None:
    assert "not confirmed by fresh runs on both sides" in said(is_confirmed=False)
    assert "not confirmed by fresh runs on both sides" not in said()


def test_conversations_are_told_with_their_requests() -> None:
    talk = point(2.0, requests=600, offered_per_s=2.0, achieved_per_s=6.0)
    text = " ".join(words.sentences(mean(answer(2.0, 1.9, 2.2, talk))))

    assert "fast carries 2.00 (1.90 to 2.20) conversations a second" in text
    assert "Each conversation brings 3 requests: 6.0 (5.7 to 6.6) requests a second." in text


def test_one_promise_of_several_gives_way_first() -> None:
    text = said(objectives=("ttft_p95<2s", "error_rate<1%"))

    assert "95 of 100 answers begin within 2 s and less than 1 % of the requests fail" in text
    assert "Beyond it this gives way first: 95 of 100 answers begin within 2 s." in text
    assert "Beyond it that no longer holds." in said()


def test_what_is_promised_by_token_prices_has_their_day() -> None:
    priced = point(8.0, cost_per_1k_good=1.5, cost_per_m_output=15.0, prices_read="2026-11-01")
    text = " ".join(words.sentences(mean(answer(8.0, 7.5, 8.5, priced), Asked(mean_per_s=2.0))))

    assert "token prices (prices of 2026-11-01) a request costs 0.00147 USD" in text
    assert "1.50 USD for 1,000 requests that meet the objectives" in text
    assert "at the mean load: 7,726 USD" in text


def test_everything_is_plain_values() -> None:
    trace = peak(np.arange(500) / 2)
    told = mean(answer(8.0, 7.5, 8.5), Asked(trace=trace, think_s=1.0, price_per_h=2.0, api_per_request=0.002))
    found = json.loads(json.dumps(told.to_json(), allow_nan=False))

    assert found["sizing"]["replicas"] == 2 - 1 + found["sizing"]["failures"]
    assert found["rent"]["at_capacity"]["per_m_output"]["value"] == pytest.approx(2 / 2.88)
    assert found["asked"]["trace"]["minutes"] == 5
    assert found["break_even"]["per_s"] == pytest.approx(2 / 3600 / 0.002 * found["sizing"]["replicas"])


@pytest.mark.parametrize(
    "wrong", [{"peak_per_s": -1.0}, {"peak_per_s": 1.0, "headroom": 1.0}, {"load_per_s": 0.0}, {"users": -3.0}]
)
def test_a_users_mistake_is_one_line(wrong: dict[str, Any]) -> None:
    with pytest.raises(SizingError) as caught:
        mean(answer(8.0, 7.5, 8.5), Asked(**wrong))

    assert "\n" not in str(caught.value)
