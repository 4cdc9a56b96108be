"""Options that cannot stand together: one line each, that names them and says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from planning import planned

from loadtests import profiles
from loadtests.contradictions import OptionError
from loadtests.schedule import ScheduleError

if TYPE_CHECKING:
    from pathlib import Path

MOCK, VLLM = profiles.load("mock"), profiles.load("vllm")
TWO = (MOCK, VLLM)
RATE = "[[stage]]\nduration = '10s'\nrate = 5\n"
USERS = "[[stage]]\nduration = '10s'\nconcurrency = 4\n"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages and a trace, by relative names."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rate.toml").write_text(RATE)
    (tmp_path / "users.toml").write_text(USERS)
    (tmp_path / "t.csv").write_text("time,input_tokens,output_tokens\n0,10,10\n1,10,10\n")


ONE_LINE: list[tuple[dict[str, Any], str]] = [
    (
        {"rate": 5.0, "concurrency": 2},
        "--rate (open loop) and --concurrency (closed loop) exclude each other; give one",
    ),
    ({"stages": "rate.toml", "rate": 5.0}, "--stages says how much load there is; leave --rate and --concurrency out"),
    ({"stages": "users.toml", "concurrency": 5}, "--stages says how much load there is; leave --rate and"),
    (
        {"arrivals": "trace:t.csv", "rate": 5.0},
        "--arrivals trace: says when requests come; leave --rate and --stages out",
    ),
    ({"arrivals": "trace:t.csv", "stages": "rate.toml"}, "--arrivals trace: says when requests come; leave"),
    ({"arrivals": "poisson", "concurrency": 2}, "--arrivals says how an open loop's requests are spaced; give --rate,"),
    ({"arrivals": "burst:9", "concurrency": 2}, "--arrivals says how an open loop's requests are spaced; give --rate,"),
    ({"arrivals": "poisson", "stages": "users.toml"}, "stages of concurrency are a closed loop"),
    (
        {"rate": 5.0, "trace_speed": 2.0},
        "--trace-speed and --trace-start are about a trace; give --arrivals trace:FILE",
    ),
    ({"concurrency": 5, "trace_start": 2.0}, "--trace-speed and --trace-start are about a trace; give"),
    ({"stream": True, "stream_share": 0.5}, "--stream/--no-stream and --stream-share exclude each other; give one"),
    ({"blocks": 4}, "--blocks says how often arms take turns; give several --profile or --arm"),
    ({"together": True}, "--together sends each arrival to all arms; give several --profile or --arm"),
    ({"rest": 3.0}, "--rest is a pause between the runs of a campaign; give --repeats"),
    ({"rate": 5.0, "think": "2s"}, "--think is about the users of a closed loop; give --concurrency, or leave it out"),
    ({"rate": 5.0, "ramp": 2.0}, "--ramp is about the users of a closed loop; give --concurrency, or leave it out"),
    ({"stages": "rate.toml", "think": "2s"}, "--think is about the users of a closed loop"),
    ({"concurrency": 5, "max_in_flight": 2}, "--max-in-flight caps an open loop; a closed loop has no more in flight"),
    ({"concurrency": 2, "workers": 3}, "--workers 3 is more than --concurrency 2; a worker would have no user"),
    ({"rate": 5.0, "max_in_flight": 2, "workers": 3}, "--workers 3 is more than --max-in-flight 2; a worker could"),
    ({"concurrency": 2, "ramp": 9.0, "duration": 9.0}, "--ramp 9s is no shorter than --duration 9s; shorten it"),
    ({"stages": "users.toml", "ramp": 2.0}, "a ramp and stages of concurrency exclude each other"),
    ({"stages": "rate.toml", "duration": 11.0}, "--duration 11s is longer than the 10 s of --stages; leave it out"),
    ({"stages": "users.toml", "duration": 11.0}, "--duration 11s is longer than the 10 s of --stages; leave it out"),
    ({"stages": "users.toml", "warmup": 10.0}, "--warmup 10s leaves nothing of 10 s to measure; shorten it"),
    ({"rate": 5.0, "duration": 9.0, "warmup": 9.0}, "--warmup 9s leaves nothing of --duration 9s to measure; make it"),
    ({"concurrency": 5, "duration": 9.0, "warmup": 9.0}, "--warmup 9s leaves nothing of --duration 9s to measure"),
    (
        {"arrivals": "burst:9", "hold": True},
        "a single burst has no rate to hold on to; give --rate, or leave --hold out",
    ),
    ({"budget_cost": 1.0}, "profile mock has no prices"),
    ({"concurrency": 5, "think": "5x"}, '--think "5x" isn\'t a duration like 2s or 500ms'),
    ({"concurrency": 5, "think": "uniform:1s"}, '--think "uniform:1s" isn\'t uniform:MIN:MAX'),
    ({"arrivals": "trace:"}, "--arrivals trace: names no file; write trace:FILE"),
    ({"keep_bodies": 1.5}, "--keep-bodies 1.5 isn't a number in [0, 1]"),
]
OF_ARMS: list[tuple[dict[str, Any], str]] = [
    (
        {"blocks": 4, "together": True},
        "--blocks says how often arms take turns; give several --profile or --arm, and not",
    ),
    (
        {"blocks": 4, "repeats": 3},
        "--blocks says how often arms take turns in a run, but each of --repeats has one arm",
    ),
    (
        {"rate": 5.0, "duration": 60.0, "hold": True},
        "--hold keeps the load on after one end, but arms that take turns",
    ),
    ({"rate": 5.0, "requests": 7}, "--blocks 8 is more than the 7 arrivals; lower it"),
    ({"concurrency": 2, "requests": 7, "blocks": 9}, "--blocks 9 is more than --requests 7; lower it"),
    ({"concurrency": 2, "ramp": 3.0}, "--ramp changes the number of users, but arms that take turns have one; give"),
    (
        {"stages": "users.toml"},
        "--stages changes the number of users, but arms that take turns have one; give --together",
    ),
]


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("sides", "given", "says"),
    [((MOCK,), *row) for row in ONE_LINE] + [(TWO, *row) for row in OF_ARMS],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else None,
)
def test_what_cannot_stand_together_is_one_line(sides: tuple[Any, ...], given: dict[str, Any], says: str) -> None:
    model: dict[str, Any] = {"model": "m"} if len(sides) > 1 else {}
    with pytest.raises((OptionError, ScheduleError)) as raised:
        planned(*sides, **model, **given)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    "given",
    [
        {"stages": "rate.toml", "duration": 8.0, "requests": 5},  # the requests end it, and 8 s are in the stages
        {"stages": "users.toml", "hold": True},  # stages have an end to go on behind
        {"stages": "users.toml", "think": "exponential:2s", "warmup": 9.0},
        {"arrivals": "trace:t.csv", "trace_speed": 2.0, "trace_start": 0.5},
        {"arrivals": "burst:9"},
        {"arrivals": "burst:9", "rate": 30.0, "hold": True},
        {"rate": 5.0, "max_in_flight": 2, "workers": 2},
        {"concurrency": 2, "ramp": 2.0, "think": "1s", "hold": True, "requests": 5},
    ],
    ids=" ".join,
)
def test_what_can_stand_together_is_a_plan(given: dict[str, Any]) -> None:
    plan = planned(MOCK, **given)
    assert (plan.open_schedule().requests if plan.mode == "open" else plan.closed_schedule().users) > 0


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    "given",
    [
        {"rate": 5.0, "requests": 3},
        {"concurrency": 2, "requests": 3, "ramp": 1.0},
        {"stages": "users.toml"},
        {"rate": 5.0, "duration": 9.0, "hold": True},
    ],
    ids=" ".join,
)
def test_what_only_arms_that_take_turns_cannot_do_is_fine_where_they_do_not(given: dict[str, Any]) -> None:
    assert not planned(*TWO, model="m", together=True, **given).interleaved
    planned(*TWO, model="m", repeats=2, **given)
