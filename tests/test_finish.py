"""From parts to a finished run: one row per scheduled arrival, whatever the workers lived to write."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow.parquet as pq
import pytest

from loadtests import manifest, profiles, record
from loadtests.finish import ASK_AGAIN_S, DONE, Finished, finish
from loadtests.merge import MergeError
from loadtests.parts import RunIsOnError, claim
from loadtests.plan import BEYOND, Arm, Plan
from loadtests.record import Record
from loadtests.shards import Deal
from loadtests.sink import Sink
from loadtests.slots import slots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def run_dir(
    folder: Path, plan: Plan, done: dict[int, list[int]], issued: dict[int, int], *, clean: bool = True,
    cut: bool = False,
) -> Path:  # fmt: skip
    """A run directory whose worker w recorded the seqs done[w] and had picked up issued[w] arrivals."""
    path = folder / "20260101-000000-mock"
    (path / record.PARTS).mkdir(parents=True)
    about = {"schema_version": 1, "run_id": path.name, "model": "m", "stop": None, "ended": False,
             "profile": profiles.load("mock").model_dump(mode="json"), "plan": plan.to_json()}  # fmt: skip
    manifest.write(path, about)
    for worker, seqs in done.items():
        kept = Sink(path / record.PARTS, worker, lambda: None)
        for seq in seqs:
            kept.keep(Record("default", "chat", worker, seq, "measure", True, seq * 10**8, outcome="ok", sent_ns=1))
        kept.sample({"worker": worker, "t_ns": 10**9, "issued": issued[worker]})
        if clean:
            kept.close(cut=cut)
        else:
            kept.flush()
            os.close(kept._lock)  # as the kernel does for a process that is killed
    return path


def outcomes(path: Path) -> dict[int, str]:
    table = pq.read_table(path / record.REQUESTS, columns=["seq", "outcome"])
    return {row["seq"]: row["outcome"] for row in table.to_pylist()}


TEN = Plan.single("m", arrivals="constant", rate=10.0, duration_s=1.0)


def test_a_complete_run_is_its_rows(tmp_path: Path) -> None:
    path = run_dir(tmp_path, TEN, {0: list(range(10))}, {0: 10})

    assert finish(path) == Finished(10, 10, 0, 0)
    assert outcomes(path) == dict.fromkeys(range(10), "ok")
    assert not (path / record.PARTS).exists()
    about = manifest.read(path)
    assert about["ended"] is True
    assert about["stop"] is None
    assert pq.read_table(path / record.CLIENT).schema.equals(record.client_schema())


def test_arrivals_that_nobody_recorded_are_added_from_the_schedule(tmp_path: Path) -> None:
    """Two workers: 0 has the even seqs, 1 the odd ones. Worker 1 had picked up 3 (1, 3, 5) and recorded only seq 3."""
    plan = Plan.single("m", arrivals="constant", rate=10.0, duration_s=1.0, workers=2)
    path = run_dir(tmp_path, plan, {0: [0, 2, 4, 6, 8], 1: [3]}, {0: 5, 1: 3}, clean=False)

    assert finish(path) == Finished(10, 6, 2, 2)
    assert outcomes(path) == {0: "ok", 1: "lost", 2: "ok", 3: "ok", 4: "ok", 5: "lost", 6: "ok", 7: "unsent", 8: "ok",
                              9: "unsent"}  # fmt: skip
    rows = {row["seq"]: row for row in pq.read_table(path / record.REQUESTS).to_pylist()}
    assert rows[5]["scheduled_ns"] == 500_000_000
    assert rows[5]["sent_ns"] is None
    assert rows[5]["prompt_hash"] is None  # nobody made that request
    assert rows[5]["stream"] is True
    assert manifest.read(path)["stop"]["reason"] == "incomplete"


def test_finishing_twice_changes_nothing(tmp_path: Path) -> None:
    path = run_dir(tmp_path, TEN, {0: [0, 1]}, {0: 3}, clean=False)
    first = finish(path)
    before = (path / record.REQUESTS).read_bytes()

    assert finish(path) == first == Finished(10, 2, 7, 1)
    assert (path / record.REQUESTS).read_bytes() == before


def test_a_worker_that_wrote_nothing_leaves_only_unsent_rows(tmp_path: Path) -> None:
    path = run_dir(tmp_path, TEN, {}, {})

    assert finish(path) == Finished(10, 0, 10, 0)


def test_a_run_that_is_on_is_nobody_elses(tmp_path: Path) -> None:
    path = run_dir(tmp_path, TEN, {0: [0, 1]}, {0: 3}, clean=False)
    alive = Sink(path / record.PARTS, 1, lambda: None)
    with pytest.raises(RunIsOnError, match="the run is on"):
        finish(path)
    alive.close()

    assert finish(path).rows == 10


def test_a_closed_loop_misses_nothing(tmp_path: Path) -> None:
    path = run_dir(tmp_path, Plan.single("m", mode="closed", concurrency=2, requests=9), {0: [0, 1, 2]}, {0: 3})

    assert finish(path) == Finished(3, 3, 0, 0)


def test_a_killed_worker_of_a_closed_loop_lost_each_users_next_turn(tmp_path: Path) -> None:
    """Three users; 0 had answered turns 0 and 1 (seqs 0, 3), 1 turn 0 (seq 1), 2 none: lost are seqs 6, 4 and 2."""
    plan = Plan.single("m", mode="closed", concurrency=3, duration_s=60)
    path = run_dir(tmp_path, plan, {0: [0, 1, 3]}, {0: 6}, clean=False)

    assert finish(path) == Finished(6, 3, 0, 3)
    assert {seq for seq, outcome in outcomes(path).items() if outcome == "lost"} == {2, 4, 6}


@pytest.mark.parametrize(
    ("plan", "added"),
    [
        (TEN, 6),
        (Plan.single("m", mode="closed", concurrency=2, requests=10), 6),
        (Plan.single("m", mode="closed", concurrency=2, duration_s=60), 0),
    ],
)
def test_workers_that_ended_without_their_master_leave_an_incomplete_run(
    tmp_path: Path, plan: Plan, added: int
) -> None:
    """They had nothing in hand any more: what was planned, or counted out, behind that is unsent."""
    path = run_dir(tmp_path, plan, {0: [0, 1, 2, 3]}, {0: 4}, cut=True)
    if plan.mode == "open":
        manifest.write(path, manifest.read(path) | {"planned": 10})

    assert finish(path) == Finished(4 + added, 4, added, 0)
    about = manifest.read(path)
    assert about["ended"] is False
    assert about["stop"]["reason"] == "incomplete"
    assert about["stop"]["missing"] == {"workers": [0], "unsent": added, "lost": 0}


def test_workers_that_had_offered_all_before_they_missed_their_master_have_ended(tmp_path: Path) -> None:
    path = run_dir(tmp_path, TEN, {0: list(range(10))}, {0: 10}, cut=True)
    manifest.write(path, manifest.read(path) | {"planned": 10})

    assert finish(path) == Finished(10, 10, 0, 0)
    assert manifest.read(path)["stop"] is None


def test_what_a_worker_complained_of_is_kept(tmp_path: Path) -> None:
    path = run_dir(tmp_path, TEN, {0: list(range(10))}, {0: 10})
    (path / record.PARTS / "worker-0.log").write_text("oh\n")
    (path / record.PARTS / "worker-1.log").write_text("")
    finish(path)

    assert (path / "worker-0.log").read_text() == "oh\n"
    assert not (path / "worker-1.log").exists()


def test_why_a_run_was_stopped_is_kept(tmp_path: Path) -> None:
    path = run_dir(tmp_path, TEN, {0: [0]}, {0: 1})
    finish(path, stop={"reason": "interrupt", "text": "stopped by Ctrl-C"})

    assert manifest.read(path)["stop"] == {"reason": "interrupt", "text": "stopped by Ctrl-C"}


def test_a_directory_that_is_no_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(manifest.ManifestError, match=r"not a run directory"):
        finish(tmp_path)
    (tmp_path / "run.json").write_bytes(b"{")
    with pytest.raises(manifest.ManifestError, match="not JSON"):
        finish(tmp_path)


def test_a_run_of_a_later_version_is_refused(tmp_path: Path) -> None:
    about: dict[str, Any] = {"schema_version": record.SCHEMA_VERSION + 1}
    (tmp_path / "run.json").write_bytes(orjson.dumps(about))
    with pytest.raises(manifest.ManifestError, match="update it"):
        manifest.read(tmp_path)


def test_a_run_without_parts_and_rows_has_nothing_to_finish(tmp_path: Path) -> None:
    path = run_dir(tmp_path, TEN, {}, {})
    (path / record.PARTS).rmdir()
    with pytest.raises(FileNotFoundError, match="nothing to finish"):
        finish(path)


def test_what_was_told_of_an_end_stays_when_finishing_was_cut_short(tmp_path: Path) -> None:
    """Killed between its last file and the parts' removal: the second time says the same."""
    path = run_dir(tmp_path, TEN, {0: [0, 1]}, {0: 3}, clean=False)
    shutil.copytree(path / record.PARTS, tmp_path / "kept")
    finish(path, stop={"reason": "interrupt", "text": "stopped by Ctrl-C"})
    before = manifest.read(path), (path / record.REQUESTS).read_bytes()
    (tmp_path / "kept").rename(path / record.PARTS)
    finish(path)

    assert (manifest.read(path), (path / record.REQUESTS).read_bytes()) == before


def test_parts_that_were_half_deleted_are_no_parts(tmp_path: Path) -> None:
    """A run must never be made anew from those that are left."""
    path = run_dir(tmp_path, TEN, {0: list(range(10))}, {0: 10})
    first = finish(path)
    (path / DONE).mkdir()
    (path / DONE / "client-0.arrows").touch()

    assert finish(path) == first
    assert not (path / DONE).exists()


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[Path, list[float]]]]:
    """A run whose parts somebody holds until they have been waited for so often, and what happens then."""
    path, waited = run_dir(tmp_path, TEN, {0: list(range(10))}, {0: 10}), []
    with claim(path / record.PARTS) as asking:

        def make(times: int, then: Callable[[Path], Any] = lambda _: None) -> tuple[Path, list[float]]:
            def sleep(seconds: float) -> None:
                waited.append(seconds)
                if len(waited) == times:
                    asking.close()
                    then(path)

            monkeypatch.setattr("loadtests.finish.time.sleep", sleep)
            return path, waited

        yield make


@pytest.mark.parametrize(("times", "wait_s"), [(1, ASK_AGAIN_S), (3, 1.0)])
def test_whoever_asks_if_a_run_is_on_keeps_nobody_from_finishing_it(held: Any, times: int, wait_s: float) -> None:
    path, waited = held(times)

    assert finish(path, wait_s=wait_s).rows == 10
    assert waited == [ASK_AGAIN_S] * times


def test_a_run_that_stays_on_is_not_finished(held: Any) -> None:
    """Half a second is ten times to ask again."""
    path, waited = held(11)

    with pytest.raises(RunIsOnError, match="the run is on"):
        finish(path, wait_s=0.5)
    assert len(waited) == 10


def test_what_somebody_else_has_finished_meanwhile_is_told_as_it_is(held: Any) -> None:
    """Its parts are gone when it is asked for again."""
    path, _ = held(2, then=finish)

    assert finish(path, wait_s=1.0) == Finished(10, 10, 0, 0)
    assert not (path / record.PARTS).exists()


def test_what_is_to_be_added_is_asked_for_then_too(held: Any, tmp_path: Path) -> None:
    path, _ = held(2, then=finish)
    (tmp_path / "others").mkdir()

    with pytest.raises(MergeError, match="no parts of a run"):
        finish(path, more=[tmp_path / "others"], wait_s=1.0)


# Rows that are there twice.


def kept(path: Path, worker: int, rows: list[tuple[int, int]], **more: Any) -> None:
    """Have a worker write these seqs, sent at these moments, and end."""
    sink = Sink(path / record.PARTS, worker, lambda: None)
    for seq, sent_ns in rows:
        known: dict[str, Any] = {"arm": "default", "phase": "measure", "outcome": "ok", "sent_ns": sent_ns} | more
        sink.keep(Record(workload="chat", worker=worker, seq=seq, stream=True, scheduled_ns=seq * 10**8, **known))
    sink.close()


def test_of_a_request_that_two_recorded_the_row_of_whose_it_was_stays_and_the_other_is_counted(tmp_path: Path) -> None:
    """
    Two workers; from 4 on all is worker 1's, so that 0 and 2 are worker 0's, and 1, 3 and all behind are worker 1's.

    1 and 6 were sent by both, by worker 0 first; 5 by worker 1 twice, and 2 by its owner after the other one.
    """
    path = run_dir(tmp_path, replace(TEN, workers=2), {}, {})
    manifest.write(path, manifest.read(path) | {"shards": [Deal(0, 4, (0,), (1,)).to_json()]})
    kept(path, 0, [(0, 1), (1, 2), (2, 3), (6, 4)])
    kept(path, 1, [(2, 2), (1, 5), (3, 5), (4, 6), (5, 8), (5, 7), (6, 9), (7, 9), (8, 9), (9, 9)])

    assert finish(path) == Finished(10, 10, 0, 0)
    rows = pq.read_table(path / record.REQUESTS, columns=["seq", "worker", "sent_ns"]).to_pylist()
    sent = {row["seq"]: (row["worker"], row["sent_ns"]) for row in rows}
    assert [sent[seq] for seq in (1, 2, 5, 6)] == [(1, 5), (0, 3), (1, 7), (1, 9)]
    assert manifest.read(path)["duplicates"] == 4


def test_users_of_a_closed_loop_are_their_first_workers_unless_their_requests_are_beyond_the_plan(
    tmp_path: Path,
) -> None:
    """Two users of two workers: 3 is user 1's and so worker 1's; the same number beyond the plan may be anybody's."""
    plan = Plan.single("m", mode="closed", concurrency=2, duration_s=9.0, workers=2)
    path = run_dir(tmp_path, plan, {}, {})
    kept(path, 0, [(0, 1), (3, 2), (BEYOND, 3), (BEYOND, 4)])
    kept(path, 1, [(1, 1), (3, 4)])

    assert finish(path) == Finished(5, 5, 0, 0)
    rows = pq.read_table(path / record.REQUESTS, columns=["seq", "worker"]).to_pylist()
    assert [(row["seq"], row["worker"]) for row in rows] == [(0, 0), (1, 1), (3, 1), (BEYOND, 0), (BEYOND, 0)]
    assert manifest.read(path)["duplicates"] == 1


def test_arms_and_blocks_have_the_same_seqs_once_each(tmp_path: Path) -> None:
    """Both arms, in turns: nothing is there twice but one row of the second."""
    plan = replace(TEN, arms=(Arm("a", "m"), Arm("b", "m")), blocks=2)
    path = run_dir(tmp_path, plan, {}, {})
    profile = profiles.load("mock").model_dump(mode="json")
    about = manifest.read(path) | {"arms": [{"name": name, "model": "m", "profile": profile} for name in "ab"]}
    manifest.write(path, about)
    sink = Sink(path / record.PARTS, 0, lambda: None)
    for slot in slots(plan, plan.open_schedule()):
        for seq in [*range(slot.first, slot.last or 0), *([7] if slot.arms == (1,) and slot.block == 1 else [])]:
            arm = "ab"[slot.arms[0]]
            sink.keep(Record(arm, "chat", 0, seq, "measure", True, seq, block=slot.block, outcome="ok", sent_ns=1))
    sink.close()

    assert finish(path).rows == 20
    assert manifest.read(path)["duplicates"] == 1
