"""The worst case of a plan before anything is sent; known prompts, known caps, known prices."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from loadtests import profiles
from loadtests.forecast import forecast, outline
from loadtests.options import Given, plan_of
from loadtests.profiles.tables import Prices

if TYPE_CHECKING:
    from loadtests.profiles import Profile

PRICES = Prices(input_per_million=2.0, output_per_million=10.0, date=dt.date(2026, 1, 31), currency="EUR")
OPENAI = profiles.load("openai").model_copy(update={"prices": PRICES})


def plan(profile: Profile = OPENAI, **given: Any) -> Any:
    return plan_of(profile, Given(**given))


def test_ten_requests_are_ten_caps_and_their_prompts() -> None:
    """Input is a token for three bytes, rounded up per request; 10 * 64 output tokens; 2 and 10 EUR a million."""
    made = plan()
    sizes = [sum(len(m["content"].encode()) for m in made.source().request(seq).messages) for seq in range(10)]
    fresh = sum(-(-size // 3) for size in sizes)
    found = forecast(OPENAI, made)

    assert (found.requests, found.input_tokens, found.output_tokens, found.capped) == (10, fresh, 640, True)
    assert found.cost == (2 * fresh + 10 * 640) / 1e6
    assert f"at most 10 requests, {fresh:,} input + 640 output tokens, " in found.line()
    assert found.line().endswith(" EUR")


def test_the_smallest_bound_on_requests_counts() -> None:
    assert forecast(OPENAI, plan(rate=100.0, duration=10.0, requests=50, budget_requests=20)).requests == 20
    assert forecast(OPENAI, plan(rate=5.0, arrivals="constant", duration=4.0, requests=90)).requests == 20


def test_a_long_run_is_taken_to_go_on_as_it_begins() -> None:
    """4,000 requests: twice what the first 2,000 take."""
    short, long = (forecast(OPENAI, plan(requests=n, output_tokens=8)) for n in (2000, 4000))

    assert long.output_tokens == 4000 * 8
    assert abs(long.input_tokens - 2 * short.input_tokens) <= 1


def test_where_only_time_bounds_the_requests_one_of_them_is_told() -> None:
    vllm = profiles.load("vllm")
    found = forecast(vllm, plan(vllm, model="m", concurrency=4, duration=60.0, output_tokens=32))

    assert (found.requests, found.output_tokens, found.cost) == (None, 32, None)
    assert "as many requests as the time allows, each" in found.line()


def test_a_cap_that_holds_for_streams_alone_is_said() -> None:
    """Caps are ignored by meinGPT; the client cuts streams, whole answers count as the profile's worst case."""
    meingpt = profiles.load("meingpt")
    found = forecast(meingpt, plan(meingpt, requests=4, stream=False))

    assert (found.output_tokens, found.capped) == (4 * meingpt.worst_case_output_tokens, False)
    assert "no cap holds" in found.line()
    assert forecast(meingpt, plan(meingpt, requests=4, stream=True)).output_tokens == 4 * 64


def test_the_outline_names_target_load_and_budget() -> None:
    text = "\n".join(outline(OPENAI, plan(budget_tokens=50_000)))

    assert "https://api.openai.com/v1/chat/completions" in text
    assert "closed loop, 1 user for 120 s, over after 180 s" in text
    assert "budget   50,000 tokens" in text
