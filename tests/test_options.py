"""Options as a plan: what is chosen where nothing is said, and every contradiction in one line."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
import orjson
import pytest
from planning import planned

from loadtests import profiles
from loadtests.cli.before import objectives_of
from loadtests.contradictions import OptionError
from loadtests.defaults import beyond_defaults
from loadtests.options import warnings_of
from loadtests.plan import Plan
from loadtests.profiles.tables import Prices
from loadtests.schedule import ScheduleError
from loadtests.workload import WorkloadError

if TYPE_CHECKING:
    from pathlib import Path

MOCK = profiles.load("mock")
LOCAL = profiles.load("llamacpp")
REMOTE = profiles.load("openai")


TALKS = "name = 'talk'\n[conversation]\nturns = 3\nthink = 1\n"


def test_nothing_said_is_the_demo() -> None:
    plan = planned(MOCK)

    assert (plan.mode, plan.rate, plan.duration_s, plan.stream_share, plan.arrivals) == (
        "open",
        8.0,
        20.0,
        0.8,
        "poisson",
    )


def test_a_server_of_ones_own_gets_one_user_for_a_minute() -> None:
    plan = planned(LOCAL)

    assert (plan.mode, plan.concurrency, plan.duration_s, plan.stream_share) == ("closed", 1, 60.0, 1.0)


def test_a_remote_provider_gets_little_unless_asked_for_more() -> None:
    plan = planned(REMOTE)

    assert (plan.concurrency, plan.requests, plan.output_tokens, plan.duration_s) == (1, 10, 64, 120.0)
    assert beyond_defaults([REMOTE], plan) == []


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"requests": 11}, "11 requests"),
        ({"concurrency": 2}, "concurrency 2"),
        ({"rate": 1.0}, "an open loop of 1/s"),
        ({"output_tokens": 65}, "65 output tokens"),
        ({"duration": 121.0}, "121 s"),
        ({"duration": 60.0}, "unbounded requests"),
        ({"rate": 2.0, "arrivals": "constant", "duration": 300.0}, "600 requests"),
        ({"params": ["n=8"]}, "512 output tokens"),
    ],
)
def test_what_is_more_than_little_is_named(more: dict[str, Any], named: str) -> None:
    assert any(named in line for line in beyond_defaults([REMOTE], planned(REMOTE, **more)))


@pytest.mark.parametrize(
    ("profile", "given", "says"),
    [
        (MOCK, {"rate": 1.0, "concurrency": 1}, "--rate .* and --concurrency .* exclude each other"),
        (MOCK, {"concurrency": 1, "arrivals": "poisson"}, "--arrivals .*give --rate"),
        (MOCK, {"stream": True, "stream_share": 0.5}, "--stream/--no-stream and --stream-share"),
        (MOCK, {"model": ""}, "--model '' is empty.*--model NAME"),
        (MOCK, {"model": "  "}, "is empty"),
        (MOCK, {"params": ["temperature"]}, "write KEY=JSON"),
        (MOCK, {"params": ["stop=now"]}, "is not JSON; a string needs quotes"),
        (MOCK, {"params": ['api_key="sk-abcdefghijklmnopqrstuvwx"']}, "looks like a key"),
        (MOCK, {"params": ["stream=true"]}, "use --stream"),
        (MOCK, {"params": ["max_tokens=9"]}, "use --output-tokens"),
        (LOCAL, {"arrivals": "constant"}, "--arrivals constant .*give --rate too"),
        (MOCK, {"warmup": 9.0, "requests": 5}, "--warmup 9s is longer than the 5 requests last"),
        (MOCK, {"warmup": 20.0}, "--warmup 20s leaves nothing of --duration 20s"),
        (MOCK, {"concurrency": 1, "workers": 2}, "--workers 2 is more than --concurrency 1"),
    ],
)
def test_a_contradiction_is_one_line(profile: profiles.Profile, given: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError, match=says) as caught:
        planned(profile, **given)
    assert "\n" not in str(caught.value)


def test_an_unknown_workload_or_law_is_said_with_the_known_ones() -> None:
    with pytest.raises(WorkloadError, match="chat"):
        planned(MOCK, workload="chta")
    with pytest.raises(ScheduleError, match="constant"):
        planned(MOCK, arrivals="poison")


def test_requests_without_a_duration_have_none() -> None:
    plan = planned(MOCK, requests=5)

    assert (plan.requests, plan.duration_s) == (5, None)
    assert len(plan.open_schedule()) == 5


def test_a_cap_that_a_provider_ignores_is_noted() -> None:
    profile = profiles.load("meingpt")
    notes = warnings_of([profile], planned(profile))

    assert any("cut" in note and "cap" in note for note in notes)


def test_prices_in_another_currency_are_noted_before_the_run() -> None:
    prices = Prices(input_per_million=1.0, output_per_million=2.0, date=dt.date(2026, 11, 1), currency="EUR")
    euro = MOCK.model_copy(update={"prices": prices})
    usd = MOCK.model_copy(update={"prices": prices.model_copy(update={"currency": "USD"})})
    told = "prices of mock are in EUR; cost_usd stays empty, costs are told in USD only; give prices in USD"

    assert told in warnings_of([euro], planned(euro))
    assert not any("prices" in note for one in (usd, MOCK) for note in warnings_of([one], planned(one)))


def test_answers_may_be_as_long_as_the_workload_says() -> None:
    """Of a remote provider only where that is asked for, and then it is more than the careful default."""
    plan = planned(REMOTE, workload="reasoning", output_tokens="workload")
    caps = {plan.source().request(seq).output_cap for seq in range(10)}

    assert plan.output_tokens is None
    assert len(caps) > 1
    assert beyond_defaults([REMOTE], plan) == ["answers as long as the workload says (default: at most 64 tokens)"]
    assert planned(LOCAL, output_tokens="workload").output_tokens is planned(LOCAL).output_tokens is None


def test_the_turns_of_conversations_are_requests(tmp_path: Path) -> None:
    """Four conversations of three turns are 12 requests, two more than the default; a budget of 10 bounds them."""
    (tmp_path / "talk.toml").write_text(TALKS)
    talks: dict[str, Any] = {"workload": str(tmp_path / "talk.toml"), "rate": 1.0, "requests": 4}

    assert "12 requests (default 10)" in beyond_defaults([REMOTE], planned(REMOTE, **talks))
    more = beyond_defaults([REMOTE], planned(REMOTE, **talks, budget_requests=10))
    assert not any("requests" in line for line in more)


def test_a_remote_run_is_over_a_minute_after_its_schedule_unless_said() -> None:
    assert planned(REMOTE).budget_time_s == 180.0
    assert planned(REMOTE, duration=30.0).budget_time_s == 90.0
    assert planned(REMOTE, budget_time=7.0).budget_time_s == 7.0
    assert planned(LOCAL).budget_time_s is None


def test_a_budget_in_requests_is_a_bound_like_any_other() -> None:
    assert beyond_defaults([REMOTE], planned(REMOTE, requests=99, budget_requests=10)) == []


def test_whole_answers_of_a_provider_without_caps_are_asked_about() -> None:
    meingpt = profiles.load("meingpt")

    assert beyond_defaults([meingpt], planned(meingpt)) == []
    assert any("whole answers" in line for line in beyond_defaults([meingpt], planned(meingpt, stream=False)))


def test_a_parameter_of_the_run_wins_over_the_workloads_own() -> None:
    plan = planned(MOCK, workload="json", params=['response_format={"type":"text"}'])

    assert not plan.source().extra
    assert planned(MOCK, workload="json").source().request(0).extra


def test_money_needs_prices() -> None:
    with pytest.raises(OptionError, match=r"--budget-cost 1: profile openai has no prices.*--budget-tokens"):
        planned(REMOTE, budget_cost=1.0)


def test_what_the_workload_asks_for_is_held_against_the_provider() -> None:
    """Morpheus calls tools only in streams."""
    morpheus = profiles.load("morpheus")

    warnings_of([morpheus], planned(morpheus, workload="tools"))
    with pytest.raises(profiles.ProfileError, match="stream"):
        warnings_of([morpheus], planned(morpheus, workload="tools", stream=False))


def test_a_plan_survives_the_manifest() -> None:
    plan = planned(MOCK, REMOTE, params=["temperature=0"], seed=7, think=None, blocks=3)
    sides = [{**asdict(arm), "profile": {}} for arm in plan.arms]
    kept = orjson.loads(orjson.dumps({"plan": plan.to_json() | {"of_a_later_version": 1}, "arms": sides}))

    assert Plan.from_manifest(kept) == plan


def test_every_plan_has_nonces_of_its_own() -> None:
    assert planned(MOCK).salt != planned(MOCK).salt


def test_objectives_are_kept_as_texts_and_a_run_without_has_none() -> None:
    """Also one from before there were any."""
    plan = planned(MOCK, objectives=("ttft_p95<2s", "error_rate<1%"))
    about: dict[str, Any] = {"plan": orjson.loads(orjson.dumps(plan.to_json())), "profile": {}}
    old = {"plan": {"mode": "open", "model": "m"}, "profile": {}}

    assert Plan.from_manifest(about).objectives == ("ttft_p95<2s", "error_rate<1%")
    assert planned(MOCK).objectives == Plan.from_manifest(old).objectives == ()


def test_an_objective_that_decides_nothing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert objectives_of(("ttft_p95 <= 2000ms", "mlperf-qwen3-vl-235b", "tpot<1s")) == (
        "ttft_p95<2s",
        "latency_p99<12s",
        "tpot<1s",
    )
    assert "note: tpot<1s defines a good request and decides nothing by itself" in capsys.readouterr().err
    (tmp_path / "gate.toml").write_text("alpha = 0.01\n")
    with pytest.raises(click.UsageError, match="holds no objective"):
        objectives_of((str(tmp_path / "gate.toml"),))
