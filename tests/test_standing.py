"""What workers tell while a run is on, and how the run stands by it: counts by arm, times, and what was due by then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
import synthetic
from hypothesis import example, given
from hypothesis import strategies as st

from loadtests import histogram, profiles
from loadtests.engine import Engine
from loadtests.fleet import Member
from loadtests.link.shape import is_sound
from loadtests.live import Side, Tally, together
from loadtests.plan import Arm, Plan
from loadtests.record import Record
from loadtests.standing import Following, due_in

if TYPE_CHECKING:
    from pathlib import Path

S = 1_000_000_000
CONSTANT: dict[str, Any] = {"arrivals": "constant", "rate": 10.0, "duration_s": 8.0}
TWO = (Arm("a", "m"), Arm("b", "m"))


def row(seq: int, outcome: str = "ok", arm: str = "default", kind: str | None = None, ttft_s: float = 0.2) -> Record:
    """Of 100 tokens in ten chunks of ten characters; the last one comes 1.8 s after the first."""
    found = Record(arm, "chat", 0, seq, "measure", stream=True, scheduled_ns=seq * S, outcome=outcome, error_kind=kind)
    if outcome == "ok":
        found.first_token_ns = found.scheduled_ns + round(ttft_s * S)
        found.last_token_ns = found.first_token_ns + round(1.8 * S)
        found.chunks, found.chunk_chars, found.output_tokens = 10, [10] * 10, 100
    return found


def member(number: int = 0, t_s: float = 1.0, gone: str = "", **status: Any) -> Member:
    """A worker that has said something."""
    told = {"t_s": t_s, "issued": 0, "in_flight": 0, "waiting": 0, "arms": {}, "health": {}, "slot": 0, "slot_ns": 0}
    return Member(number, status=told | status, started=True, gone=gone)


# What a worker counts.


def test_a_side_counts_outcomes_kinds_and_times() -> None:
    """TPOT: 1.8 s for 90 tokens, 20 ms each; both times are within 1.25 % of a bin's middle, their sums exact."""
    side = Side()
    for one in (row(0), row(1, ttft_s=0.4), row(2, "error", kind="reset"), row(3, "cancelled"), row(4, "unsent")):
        side.add(one)

    assert (side.ok, side.errors, side.cancelled, side.unsent, side.done) == (2, 1, 1, 1, 4)
    assert (side.output_tokens, side.kinds) == (200, {"reset": 1})
    assert side.ttft_s == pytest.approx(0.6)
    assert side.tpot_s == pytest.approx(0.04)
    assert histogram.quantile_s(side.tpot, 0.5) == pytest.approx(0.02, rel=0.0125)
    assert Side.from_json(orjson.loads(orjson.dumps(side.to_json()))) == side


def test_the_sum_of_sides_is_that_of_all_records() -> None:
    records = list(synthetic.records_of(synthetic.Recipe(n=60)))
    halves = Side(), Side()
    whole = Side()
    for n, record in enumerate(records):
        halves[n % 2].add(record)
        whole.add(record)
    told = together(halves)

    assert (told.ttft_s, told.tpot_s) == pytest.approx((whole.ttft_s, whole.tpot_s))
    whole.ttft_s, whole.tpot_s = told.ttft_s, told.tpot_s
    assert told == whole
    assert whole.ok == 60
    assert sum(whole.tpot.values()) > 30


def test_a_status_is_what_a_master_believes(tmp_path: Path) -> None:
    """Of an engine that has not begun, but has seen its own health for a moment."""
    profile = profiles.load("vllm").with_overrides(base_url="http://127.0.0.1:9/v1")
    tally = Tally()
    for one in (row(0, arm="a"), row(1, "error", arm="b", kind="reset")):
        tally.add(one)
    engine = Engine(
        Plan.single("m", **CONSTANT), [profile], tmp_path, worker=3, environ={}, on_record=lambda _: None
    )  # fmt: skip
    blank = tally.status(engine)["health"]
    engine.health.sample(in_flight=0, issued=0, done=0)
    status = tally.status(engine)
    engine.close()

    assert is_sound({"kind": "status", "said": {"kind": "status", **orjson.loads(orjson.dumps(status))}})
    assert (status["worker"], status["ok"], status["errors"], status["waiting"]) == (3, 1, 1, 0)
    assert {name: side["ok"] for name, side in status["arms"].items()} == {"a": 1, "b": 0}
    assert (blank, {"cpu", "hub_lag_us", "rss_bytes"} <= status["health"].keys()) == ({}, True)
    assert None not in status["health"].values()


# What was due.


@pytest.mark.parametrize(("into_s", "due"), [(0.0, 1), (0.05, 1), (0.1, 2), (4.0, 41), (9.0, 80)])
def test_what_is_due_follows_the_schedule(into_s: float, due: int) -> None:
    """10/s for 8 s: one at the start and one each tenth of a second."""
    following = Following(Plan.single("m", **CONSTANT))

    assert following.of([member(t_s=into_s)]).due == due


def test_of_arms_that_play_together_each_gets_what_is_due() -> None:
    assert Following(Plan(TWO, together=True, **CONSTANT)).of([member(t_s=4.0)]).due == 82


def test_of_arms_that_take_turns_blocks_that_were_played_count_whole() -> None:
    """
    Four blocks of 2 s, 20 arrivals each, of both arms.

    Slot 3 is the second arm's second block: three slots are over, 60; it began at 7 s with the arrival at 2 s of the
    schedule, and half a second into it 6 have come.
    """
    following = Following(Plan(TWO, blocks=4, **CONSTANT))
    assert following.schedule is not None

    assert due_in(following.schedule, following.slots, 3, S // 2) == 66
    standing = following.of([member(t_s=7.5, slot=3, slot_ns=7 * S)])
    assert (standing.due, standing.slot) == (66, 3)


def test_between_two_slots_and_after_the_last_nothing_is_forgotten() -> None:
    """What was due stays due; and what was picked up, or waits for the cap, was due."""
    following = Following(Plan.single("m", **CONSTANT))
    following.of([member(t_s=4.0)])

    assert following.of([member(t_s=5.0, slot=None)]).due == 41
    assert following.of([member(t_s=8.0, slot=None, issued=78, waiting=2)]).due == 80


def test_a_closed_loop_has_nothing_due() -> None:
    assert Following(Plan.single("m", mode="closed", concurrency=4, duration_s=5.0)).of([member()]).due is None


# Several workers.


def test_workers_are_put_together() -> None:
    """Two play, at 2 and 3 s; a third one is lost, and what it had counted still counts."""
    sides = [Side(ok=n, kinds={"reset": n}, ttft={700: n}, ttft_s=0.2 * n).to_json() for n in (1, 2, 4)]
    following = Following(Plan.single("m", **CONSTANT))
    found = following.of(
        [
            member(0, 2.0, arms={"default": sides[0]}, issued=3, in_flight=2, health={"cpu": 0.5}),
            member(1, 3.0, arms={"default": sides[1]}, issued=4, in_flight=1),
            member(2, 0.5, "killed", arms={"default": sides[2]}, issued=5, in_flight=1),
        ]
    )

    assert (found.t_s, found.issued, found.in_flight, found.workers, found.gone) == (2.5, 12, 4, 2, 1)
    assert (found.whole.ok, found.whole.kinds, found.whole.ttft) == (7, {"reset": 7}, {700: 7})
    assert found.health[0] == {"cpu": 0.5}


def test_it_is_put_together_anew_only_where_something_was_said() -> None:
    following, one = Following(Plan.single("m", **CONSTANT)), member()
    first = following.of([one])

    assert following.of([one]) is first
    one.heard({"kind": "status", **one.status, "t_s": 1.5})
    assert following.of([one]).t_s == 1.5


@example(0, 0, -1e300)
@given(
    st.just(0) | st.integers(-(10**30), 10**30) | st.none() | st.text(max_size=2),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False),
)
def test_nothing_that_a_worker_says_makes_it_stumble(slot: Any, slot_ns: int, t_s: float) -> None:
    """Its shape was checked: numbers where numbers must be, whichever they are."""
    arms = {"default": Side(kinds={"\x1b[2J": 1, "kind_of_its_own": 1}).to_json(), "other": Side(ok=5).to_json()}
    found = Following(Plan.single("m", **CONSTANT)).of([member(t_s=t_s, slot=slot, slot_ns=slot_ns, arms=arms)])

    assert found.due in range(81)
    assert (found.whole.ok, found.whole.kinds) == (0, {})
