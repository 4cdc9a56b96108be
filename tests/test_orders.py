"""A master's commands, obeyed where they make sense and left alone where they don't."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from loadtests import clock, manifest, profiles
from loadtests.engine import Engine
from loadtests.orders import obey
from loadtests.plan import Plan
from loadtests.record import PARTS
from loadtests.shards import Deal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

S = 1_000_000_000
DEAL = Deal(0, 0, (1,), (0,))
ALLOWED = profiles.load("vllm").with_overrides(base_url="http://127.0.0.1:9/v1")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Of the first of two workers; at most five requests in flight."""
    plan = Plan.single("m", arrivals="constant", rate=1.0, duration_s=9.0, workers=2, max_in_flight=5)
    made = Engine(plan, [ALLOWED], tmp_path, worker=0, environ={}, on_record=lambda _: None)
    yield made
    made.close()


def start(**more: Any) -> dict[str, Any]:
    return {"do": "start", "zero_ns": clock.monotonic_ns(), "slot": 0, "start_ns": 0, "deals": []} | more


def test_a_start_says_what_was_dealt_and_who_offers(engine: Engine) -> None:
    obey(engine, start(deals=[DEAL.to_json()], live=[0]))

    assert engine.began
    assert engine.shards.deals == [DEAL]
    assert engine.flight._most == 5


def test_without_a_word_of_who_offers_it_is_those_who_were_planned(engine: Engine) -> None:
    obey(engine, start())

    assert engine.flight._most == 3


def test_what_is_said_while_it_is_on_is_done(engine: Engine) -> None:
    obey(engine, start())
    obey(engine, {"do": "pause", "arm": "default", "until_ns": 3 * S})
    obey(engine, {"do": "deal", "deal": DEAL.to_json(), "live": [0]})
    assert engine.conducts["default"].paused_until_ns == 3 * S
    assert (engine.shards.deals, engine.flight._most) == ([DEAL], 5)

    obey(engine, {"do": "cancel", "flag": "user_cancel"})
    obey(engine, {"do": "stop", "stop": ["interrupt", "enough"]})
    assert engine.flight.cancelled == "user_cancel"
    assert engine.stopping is not None
    assert engine.stopping.text == "enough"


@pytest.mark.parametrize("end", [{"do": "end"}, {"do": "go", "slot": 1, "start_ns": 0}])
def test_an_end_is_no_stop(engine: Engine, end: dict[str, Any]) -> None:
    obey(engine, start())
    assert engine.offering
    obey(engine, end)

    assert not engine.offering
    assert engine.stopping is None


@pytest.mark.parametrize(
    "command",
    [
        {"do": "pause", "arm": "another", "until_ns": 3 * S},
        {"do": "pause", "arm": "default"},
        {"do": "dance"},
        {"do": None},
        {},
        start(zero_ns=0, slot=7, deals=[DEAL.to_json()]),
    ],
)
def test_what_makes_no_sense_changes_nothing(engine: Engine, command: dict[str, Any]) -> None:
    obey(engine, start())
    zero_ns = engine.receiver.zero_ns
    obey(engine, command)

    assert (engine.offering, engine.stopping, engine.shards.deals) == (True, None, [])
    assert engine.conducts["default"].paused_until_ns == -1
    assert engine.receiver.zero_ns == zero_ns


def test_of_a_runs_course_nothing_is_done_before_its_start_but_a_pause_holds(engine: Engine) -> None:
    obey(engine, {"do": "go", "slot": 1, "start_ns": 0})
    obey(engine, {"do": "deal", "deal": DEAL.to_json(), "live": [0]})
    obey(engine, {"do": "pause", "arm": "default", "until_ns": S})

    assert engine.offering
    assert engine.shards.deals == []
    assert engine.conducts["default"].paused_until_ns == S


@pytest.mark.slow
def test_a_worker_waits_for_its_start_whatever_else_is_said_before(tmp_path: Path, serve: Any) -> None:
    """Of two arrivals, at 0 and at 100 ms, the first is paused."""
    port = serve(lambda sock: sock.close()).port
    profile = ALLOWED.with_overrides(base_url=f"http://127.0.0.1:{port}/v1").model_dump(mode="json")
    plan = Plan.single("m", arrivals="constant", rate=10.0, duration_s=0.2, accept_errors=True)
    (tmp_path / PARTS).mkdir()
    manifest.write(
        tmp_path, {"schema_version": 1, "run_id": "r", "model": "m", "profile": profile, "plan": plan.to_json()}
    )
    said: list[dict[str, Any]] = [
        {"do": "pause", "arm": "default", "until_ns": 50_000_000}, {"do": "dance"}, {},
        {"do": "go", "slot": 0, "start_ns": 0},
    ]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "loadtests.worker", str(tmp_path), "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        process.stdin.write(b"".join(orjson.dumps(one) + b"\n" for one in said))
        process.stdin.flush()
        ready = process.stdout.readline()
        process.stdin.write(orjson.dumps(start(zero_ns=clock.monotonic_ns() + S // 2)) + b"\n")
        process.stdin.flush()
        heard = [orjson.loads(line) for line in [ready, *process.stdout]]

    assert process.returncode == 0
    assert heard[0]["kind"] == "ready"
    last = [one for one in heard if one["kind"] == "status"][-1]
    assert (last["issued"], last["unsent"], last["errors"]) == (2, 1, 1)
