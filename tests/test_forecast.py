"""The worst case of a plan before anything is sent; known prompts, known caps, known prices."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from planning import planned

from loadtests import profiles
from loadtests.budget import BudgetError
from loadtests.forecast import check_budget, forecast, outline
from loadtests.plan import _turns
from loadtests.profiles.tables import Prices

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.profiles import Profile

PRICES = Prices(input_per_million=2.0, output_per_million=10.0, date=dt.date(2026, 1, 31), currency="EUR")
OPENAI = profiles.load("openai").model_copy(update={"prices": PRICES})


def plan(profile: Profile = OPENAI, **given: Any) -> Any:
    return planned(profile, **given)


def sizes(made: Any, number: int) -> list[int]:
    """Input tokens of the first requests: a token for three bytes of the body, rounded up."""
    found = []
    for seq in range(number):
        request = made.source().request(seq)
        text = orjson.dumps({
            "model": made.model, "messages": request.messages, "stream": request.stream, "max_completion_tokens": 64,
            **({"stream_options": {"include_usage": True}} if request.stream else {}),
        })  # fmt: skip
        found.append(-(-len(text) // 3))
    return found


def test_ten_requests_are_ten_caps_and_their_bodies() -> None:
    """10 * 64 output tokens; 2 and 10 EUR a million."""
    made = plan()
    fresh = sum(sizes(made, 10))
    found = forecast([OPENAI], made)

    assert (found.requests, found.input_tokens, found.output_tokens, found.capped) == (10, fresh, 640, True)
    assert found.cost == (2 * fresh + 10 * 640) / 1e6
    assert f"at most 10 requests, {fresh:,} input + 640 output tokens, " in found.line()
    assert found.line().endswith(" EUR")


def test_n_answers_are_n_caps() -> None:
    assert forecast([OPENAI], plan(params=["n=8"])).output_tokens == 10 * 8 * 64


def test_tools_are_part_of_the_body() -> None:
    """The two functions are a few hundred tokens of every request."""
    assert forecast([OPENAI], plan(workload="tools")).input_tokens > forecast([OPENAI], plan()).input_tokens + 10 * 200


def test_the_smallest_bound_on_requests_counts() -> None:
    assert forecast([OPENAI], plan(rate=100.0, duration=10.0, requests=50, budget_requests=20)).requests == 20
    assert forecast([OPENAI], plan(rate=5.0, arrivals="constant", duration=4.0, requests=90)).requests == 20


def test_a_long_run_is_bounded_by_its_largest_prompts() -> None:
    """2,000 prompts are counted, and each of the next 500 is taken to be as large as the largest of them."""
    made = plan(requests=2500)
    known = sizes(made, 2000)

    assert forecast([OPENAI], made).input_tokens == sum(known) + 500 * max(known)


def test_where_only_time_bounds_the_requests_one_of_them_is_told() -> None:
    vllm = profiles.load("vllm")
    found = forecast([vllm], plan(vllm, model="m", concurrency=4, duration=60.0, output_tokens=32))

    assert (found.requests, found.output_tokens, found.cost) == (None, 32, None)
    assert "as many requests as the time allows, each" in found.line()


def test_a_provider_that_keeps_no_cap_is_reserved_at_its_worst_case() -> None:
    """Caps are ignored by meinGPT; what the client cuts off may be made and billed all the same."""
    meingpt = profiles.load("meingpt")
    found = forecast([meingpt], plan(meingpt, requests=4))

    assert (found.output_tokens, found.capped) == (4 * meingpt.worst_case_output_tokens, False)
    assert "keeps no cap" in found.line()


def test_a_budget_without_room_for_one_request_is_a_mistake() -> None:
    """The first request may take its body and 64 tokens; just that much is enough."""
    made = plan()
    need = sizes(made, 1)[0] + 64

    check_budget([OPENAI], plan(budget_tokens=need))
    with pytest.raises(BudgetError, match=f"--budget-tokens {need - 1} has no room for one request"):
        check_budget([OPENAI], plan(budget_tokens=need - 1))
    with pytest.raises(BudgetError, match="--budget-cost"):
        check_budget([OPENAI], plan(budget_cost=1e-9))


def test_the_outline_names_target_load_and_budget() -> None:
    text = "\n".join(outline([OPENAI], plan(budget_tokens=50_000)))

    assert "https://api.openai.com/v1/chat/completions" in text
    assert "closed loop, 1 user for 120 s, cut off after 180 s" in text
    assert "budget   50,000 tokens" in text


def test_a_turn_of_a_conversation_may_bring_all_that_was_said_before_it() -> None:
    """Three tokens an answer are 9 bytes more in each later prompt, beside the turns' own questions."""
    talk = {"name": "talk", "weight": 1.0, "input": {"law": "fixed", "value": 200},
            "conversation": {"turns": {"law": "fixed", "value": 4}, "think": {"law": "fixed", "value": 1.0},
                             "input": {"law": "fixed", "value": 100}}}  # fmt: skip
    made = plan(rate=1.0, requests=4, output_tokens=64)
    single = forecast([OPENAI], replace(made, definitions=({**talk, "conversation": None},))).input_tokens
    turns = forecast([OPENAI], replace(made, definitions=(talk,), requests=1)).input_tokens

    first = single / 4  # one request by itself
    # Later turns hold the first prompt too, and 1, 2, 3 answers of 64 tokens and as many questions of 100 (estimated).
    assert turns > 4 * first + (1 + 2 + 3) * (64 + 80)
    assert turns < 4 * first + (1 + 2 + 3) * (64 + 250)


def test_the_lengths_of_a_trace_are_those_that_may_be_sent(tmp_path: Path) -> None:
    trace = tmp_path / "t.csv"
    trace.write_text("time,input_tokens,output_tokens\n0,9000,7\n1,9000,9\n")
    worst = forecast([profiles.load("mock")], plan(profiles.load("mock"), arrivals=f"trace:{trace}"))

    assert worst.requests == 2
    assert worst.output_tokens == 16
    assert worst.input_tokens >= 18_000 * 0.95


def test_the_outline_tells_a_traces_lengths(tmp_path: Path) -> None:
    """Medians of 1,000, 1,234 and 9,000, and of 5, 40 and 70; a cap of the run's own wins."""
    (tmp_path / "t.csv").write_text("time,input_tokens,output_tokens\n0,1234,5\n1,9000,70\n2,1000,40\n")
    mock, trace = profiles.load("mock"), f"trace:{tmp_path / 't.csv'}"
    text, capped, mixed = (
        "\n".join(outline([mock], plan(mock, arrivals=trace, **more)))
        for more in ({}, {"output_tokens": 9}, {"workload": "chat=50,rag=50"})
    )

    assert "workload prompts by the trace, median 1,234 tokens (estimated" in text
    assert "workload answers at most as long as the trace says, median 40 tokens" in text
    assert "lognormal" not in text
    assert "answers at most 9 tokens" in capped
    assert "workload 50 % rag: prompts by the trace, median 1,234 tokens" in mixed
    assert "lognormal" in "\n".join(outline([mock], plan(mock)))


def test_the_turns_of_a_plan_are_drawn_once() -> None:
    """However often its schedule is asked for while it is shown."""
    made = plan(rate=7.0, duration=9.0, workload="conversation", seed=1234)
    drawn = _turns.cache_info().misses

    outline([OPENAI], made)
    assert _turns.cache_info().misses == drawn
    assert made.open_schedule().digest() == made.open_schedule(source=made.source()).digest()
    turns = [made.source().turns(a) for a in range(len(made.open_schedule()))]
    assert made.open_schedule().requests == sum(turns)
