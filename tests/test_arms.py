"""Several arms of one run: each as a run of its own, its blocks as if played in one go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import synthetic

from analysis import arms, rundir, window
from analysis.summary import judge
from loadtests import record

if TYPE_CHECKING:
    from pathlib import Path

S = 1_000_000_000


def row(arm: str, block: int | None, seq: int, at_s: float) -> record.Record:
    """Sent at once, answered half a second later."""
    at = int(at_s * S)
    return record.Record(
        arm=arm, workload="w", worker=0, seq=seq, phase="measure", stream=False, scheduled_ns=at, block=block,
        outcome="ok", sent_ns=at, headers_ns=at + S // 2, end_ns=at + S // 2, output_tokens=1,
    )  # fmt: skip


def write(folder: Path, rows: list[record.Record], slots: list[dict[str, object]], samples: int = 12) -> rundir.Run:
    recipe = synthetic.Recipe(n=4, rate=1)
    recipe.manifest = synthetic.arms_of(recipe, ["a", "b"], slots)
    path = synthetic.write(folder, recipe, rows)
    pq.write_table(synthetic.client(samples), path / record.CLIENT)
    return rundir.load(path)


@pytest.fixture
def run(tmp_path: Path) -> rundir.Run:
    """
    Two blocks of 2 s, played a (0 s), b (3 s), b (6 s), a (9 s); an arrival at 0.5 s of each block.

    On the schedule's axis they are at 0.5 and 2.5 s for both arms.
    """
    rows = [row("a", 0, 0, 0.5), row("b", 0, 0, 3.5), row("b", 1, 1, 6.5), row("a", 1, 1, 9.5)]
    order = [("a", 0, 0), ("b", 0, 3), ("b", 1, 6), ("a", 1, 9)]
    slots = [synthetic.slot([arm], block, start * S, block * 2 * S, 2 * S) for arm, block, start in order]
    return write(tmp_path / "r", rows, slots)


def test_each_arm_is_a_run_on_the_schedules_axis(run: rundir.Run) -> None:
    found = arms.arms(run)

    assert [one.name for one in found] == ["r · a", "r · b"]
    assert [one.arm for one in found] == ["a", "b"]
    assert [one.manifest["model"] for one in found] == ["tiny-1", "tiny-2"]
    assert [one.plan["model"] for one in found] == ["tiny-1", "tiny-2"]
    assert all("arms" not in one.plan for one in found)
    for one in found:
        assert rundir.seconds(one.requests, "scheduled_ns").tolist() == [0.5, 2.5]
        assert rundir.seconds(one.requests, "end_ns").tolist() == [1.0, 3.0]
        assert np.isnan(rundir.seconds(one.requests, "first_token_ns")).all()
        assert rundir.numbers(one.requests, "latency_s").tolist() == [0.5, 0.5]


def test_client_samples_go_with_the_slot_they_were_taken_in(run: rundir.Run) -> None:
    """
    Seconds end at 1 .. 12: those up to 3 and from 10 on are a's, the rest b's.

    Of a: 1, 2, 3 as they are; 10, 11, 12 were 7 s late. The parent's one sample is at 1 s. Of b: 4, 5, 6 by 3 s, 7, 8,
    9 by 4 s.
    """
    a, b = (one.client for one in arms.arms(run))

    assert a is not None
    assert b is not None
    assert (a["t_ns"][a["worker"] == 0] / S).tolist() == [1, 2, 3, 3, 4, 5]
    assert (b["t_ns"] / S).tolist() == [1, 2, 3, 3, 4, 5]
    assert (a["worker"] < 0).sum() == 1


def test_the_clocks_slow_drift_between_slots_is_no_step(tmp_path: Path) -> None:
    """10 ppm over pauses of 60 s are 600 us from slot to slot, and 10 us from second to second."""
    rows = [row("a", 0, 0, 0.5), row("b", 0, 0, 60.5), row("a", 1, 1, 120.5), row("b", 1, 1, 180.5)]
    order = [("a", 0, 0), ("b", 0, 60), ("a", 1, 120), ("b", 1, 180)]
    slots = [synthetic.slot([arm], block, start * S, block * 2 * S, 2 * S) for arm, block, start in order]
    for one in rows:
        one.clock = "kernel"
    run = write(tmp_path / "r", rows, slots)
    samples = synthetic.client(240).to_pylist()
    for sample in samples:
        sample["clock_offset_ns"] += sample["t_ns"] // 100_000
    pq.write_table(pa.Table.from_pylist(samples, schema=record.client_schema()), run.path / record.CLIENT)
    found = judge(arms.arms(rundir.load(run.path))[0]).summary.validity

    assert next(check.status for check in found.checks if check.number == 10) == "ok"


def test_a_slot_that_never_began_keeps_its_rows_where_the_schedule_has_them(tmp_path: Path) -> None:
    rows = [row("a", 0, 0, 0.5), row("b", 0, 0, 3.5), row("a", 1, 1, 2.5), row("b", 1, 1, 2.5)]
    for one in rows[2:]:
        one.outcome, one.sent_ns, one.headers_ns, one.end_ns, one.output_tokens = "unsent", None, None, None, None
    begun = [synthetic.slot([arm], 0, start * S, 0, 2 * S) for arm, start in (("a", 0), ("b", 3))]
    never = [synthetic.slot([arm], 1, None, 2 * S, 2 * S) for arm in ("b", "a")]
    found = arms.arms(write(tmp_path / "r", rows, [*begun, *never]))

    assert [rundir.seconds(one.requests, "scheduled_ns").tolist() for one in found] == [[0.5, 2.5], [0.5, 2.5]]
    assert list(arms.blocks(found[0])) == [0]


def test_arms_played_together_share_axis_and_samples(tmp_path: Path) -> None:
    rows = [row("a", None, 0, 0.5), row("b", None, 0, 0.5), row("a", None, 1, 2.5), row("b", None, 1, 2.5)]
    found = arms.arms(write(tmp_path / "r", rows, [synthetic.slot(["a", "b"], None, 0, 0, 4 * S)]))

    assert [rundir.seconds(one.requests, "scheduled_ns").tolist() for one in found] == [[0.5, 2.5], [0.5, 2.5]]
    assert all(one.client is not None and len(one.client) == 13 for one in found)
    assert judge(found[0]).summary.facts.load.endswith("together with b")
    assert not arms.blocks(found[0])


def test_a_run_of_one_arm_is_itself(tmp_path: Path) -> None:
    """From before arms had names, and with one: its own keys are the plan's."""
    old = rundir.load(synthetic.write(tmp_path / "old", synthetic.Recipe(n=3)))
    plan = {"mode": "open"}
    manifest = {"arms": [{"name": "fast", "model": "m", "params": {"temperature": 0}, "profile": {}}], "plan": plan}
    new = rundir.load(synthetic.write(tmp_path / "new", synthetic.Recipe(n=3, manifest=manifest)))

    assert arms.arms(old) == [old]
    assert arms.arms(new) == [new]
    assert (old.arm, new.arm) == ("", "fast")
    assert new.plan == {"mode": "open", "model": "m", "params": {"temperature": 0}, "arm": "fast"}


def test_folded_blocks_are_one_stretch_of_load(tmp_path: Path) -> None:
    """Four blocks of 5 s an arm, at 8/s: each arm is judged over 20 s, with its rate."""
    recipe = synthetic.Recipe(poisson=False)
    path = synthetic.write_arms(tmp_path / "r", {"a": recipe, "b": recipe}, blocks=4)

    for run in arms.arms(rundir.load(path)):
        found, summary = window.find(run), judge(run).summary
        assert found.length_s == pytest.approx(20.0)
        assert summary.rate("arrivals_per_s") == pytest.approx(8.0)
        assert summary.validity.verdict == "valid", summary.validity.faults
        assert summary.facts.load == "open loop, poisson 8/s for 20 s, in 4 blocks"
        assert [(first, last) for _, first, last in arms.blocks(run).values()] == [(0, 5), (5, 10), (10, 15), (15, 20)]
