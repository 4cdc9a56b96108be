"""Runs that are on, or were killed and not repaired: judged as far as they are, and left as they are."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from array import array
from typing import TYPE_CHECKING, Any

import click
import pyarrow.parquet as pq
import pytest
import synthetic
from test_campaign import invoke

from analysis import rundir
from loadtests import manifest, profiles, record
from loadtests.cli.compare import compare
from loadtests.cli.drafts import is_drafted
from loadtests.cli.report import report
from loadtests.cli.summary import summary
from loadtests.finish import draft, finish
from loadtests.plan import Arm, Plan
from loadtests.sink import Sink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ARRIVALS = 80
PLAN = Plan.single("tiny-1", arrivals="constant", rate=8.0, duration_s=10.0)


class Playing:
    """
    A run of one worker in this process: as it lies on disk while its worker writes.

    Its arrival i comes at i / 8 s, as planned.
    """

    def __init__(self, path: Path, plan: Plan = PLAN) -> None:
        self.path, self.parts = path, path / record.PARTS
        self.parts.mkdir(parents=True)
        profile = profiles.load("mock").model_dump(mode="json")
        own = {"params": {}, "new_connections": False, "profile": profile}
        manifest.write(path, {
            "schema_version": 1, "run_id": path.name, "model": "tiny-1", "stop": None, "ended": False,
            "profile": profile, "plan": plan.to_json(), "planned": ARRIVALS, "seed": 1,
            "started_unix_ns": 1_795_355_220_000_000_000,
            "arms": [{"name": arm.name, "model": "tiny-1", **own} for arm in plan.arms],
        })  # fmt: skip
        self.sink = Sink(self.parts, 0, lambda: None)
        self.rows = synthetic.records_of(synthetic.Recipe(n=ARRIVALS, poisson=False))
        for row in self.rows:
            synthetic.move(row, -125 * synthetic.MS)
            for name, kind in (("chunk_ns", "q"), ("chunk_kind", "B"), ("chunk_chars", "i")):
                if (values := getattr(row, name)) is not None:
                    setattr(row, name, array(kind, values))  # as the sink takes them

    def write(self, n: int, arm: str = "default", block: int | None = None) -> None:
        """Write the first n rows and the samples of as many seconds, as the worker does each second."""
        for row in self.rows[:n]:
            row.arm, row.block = arm, block
            self.sink.keep(row)
        self.sink.flush()
        for second in range(n // 8):
            self.sink.sample({"worker": 0, "t_ns": (second + 1) * 10**9, "issued": n, "cpu": 0.1})

    def kill(self) -> None:
        """As the kernel does."""
        if self.sink._lock >= 0:
            os.close(self.sink._lock)
            self.sink._lock = -1


@pytest.fixture
def playing(tmp_path: Path) -> Iterator[Playing]:
    made = Playing(tmp_path / "20260101-000000-mock")
    yield made
    made.kill()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where drafts are made."""
    made = tmp_path / "temporary"
    made.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    return made


def on_disk(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def test_a_run_that_is_on_is_drafted_as_far_as_its_batches_are_whole(playing: Playing, tmp_path: Path) -> None:
    playing.write(40)
    part = playing.parts / "requests-0.arrows"
    with part.open("ab") as torn:  # the beginning of the next batch
        torn.write(part.read_bytes()[-2000:-1000])
    before = on_disk(playing.path)
    draft(playing.path, tmp_path / "d")

    run = rundir.load(playing.path, draft=tmp_path / "d")
    assert run.requests["seq"].tolist() == list(range(40))
    assert run.client is not None
    assert len(run.client) == 5
    assert run.path == playing.path
    assert run.manifest["ended"] is False
    assert run.unfinished == "the run is on: 40 of 80 rows so far, at 5 s of 10 s"
    assert on_disk(playing.path) == before
    assert manifest.read(playing.path)["stop"] is None


def test_a_run_goes_on_beside_its_drafts(playing: Playing, tmp_path: Path) -> None:
    playing.write(40)
    draft(playing.path, tmp_path / "d")
    for row in playing.rows[40:]:
        row.arm = "default"
        playing.sink.keep(row)
    draft(playing.path, tmp_path / "d")
    playing.sink.close()

    assert finish(playing.path).recorded == ARRIVALS
    assert manifest.read(playing.path)["stop"] is None
    with pytest.raises(FileNotFoundError, match="the run is finished"):
        draft(playing.path, tmp_path / "d")
    assert not is_drafted(playing.path, tmp_path / "d")


def test_the_draft_of_a_killed_run_is_what_repair_makes_of_it(playing: Playing, tmp_path: Path) -> None:
    playing.write(40)
    playing.kill()
    before = on_disk(playing.path)
    draft(playing.path, tmp_path / "d")
    said = manifest.read(tmp_path / "d")

    assert on_disk(playing.path) == before
    assert said["ended"] is False
    assert said["stop"]["reason"] == "unfinished"
    fix = f"`firsttoken repair {playing.path}` finishes it"
    assert said["stop"]["text"] == f"the run was killed: 40 rows recorded, 40 unsent, 0 lost; {fix}"
    finish(playing.path)
    for name in (record.REQUESTS, record.CLIENT):
        assert pq.read_table(tmp_path / "d" / name).equals(pq.read_table(playing.path / name))
    whole = manifest.read(playing.path)
    assert set(whole.pop("files")) == {record.REQUESTS, record.CLIENT}
    assert {**whole, "stop": None} == {**said, "stop": None}


def test_a_run_whose_workers_come_up_was_not_killed(playing: Playing, tmp_path: Path) -> None:
    """Nobody holds its parts yet, and nothing of it is missing."""
    playing.kill()
    manifest.write(playing.path, manifest.read(playing.path) | {"started_unix_ns": None})
    draft(playing.path, tmp_path / "d")

    assert manifest.read(tmp_path / "d")["stop"]["text"].startswith("the run has not begun")
    assert pq.read_table(tmp_path / "d" / record.REQUESTS).num_rows == 0


def test_a_run_whose_workers_are_done_was_not_killed(playing: Playing, tmp_path: Path) -> None:
    playing.write(ARRIVALS)
    playing.sink.close()
    draft(playing.path, tmp_path / "d")

    assert "its workers are done" in manifest.read(tmp_path / "d")["stop"]["text"]


def test_a_draft_without_room_is_one_line(playing: Playing, tmp_path: Path) -> None:
    """What writes a draft meets a full disk."""
    playing.write(8)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / f"{record.REQUESTS}.tmp").symlink_to("/dev/full")

    with pytest.raises(click.ClickException, match=r"no room for .*: make room, or name another place in \$TMPDIR"):
        is_drafted(playing.path, tmp_path / "d")


@pytest.mark.parametrize(("killed", "told"), [(False, "the run is on: 40 of 80 rows"), (True, "the run was killed")])
def test_each_verb_judges_what_there_is(playing: Playing, temporary: Path, killed: bool, told: str) -> None:
    playing.write(40)
    if killed:
        playing.kill()
    before = on_disk(playing.path)
    text, plain = (invoke(summary, str(playing.path), *words) for words in ((), ("--json",)))
    found = json.loads(plain.stdout)
    beside = invoke(compare, str(playing.path), str(playing.path)).stdout

    assert (text.return_value, plain.return_value) == (0, 0), text.stdout
    assert f"unfinished: {told}" in text.stdout
    assert text.stdout.startswith("DOUBTFUL  20260101-000000-mock")
    assert found["run"]["path"] == str(playing.path)
    assert found["run"]["unfinished"].startswith(told)
    assert [check["number"] for check in found["validity"]["checks"] if check["status"] == "doubtful"] == [28]
    assert beside.count(f"unfinished: {told}") == 2
    assert on_disk(playing.path) == before
    assert not list(temporary.iterdir())


def test_a_report_of_an_unfinished_run_lies_in_its_directory(playing: Playing, temporary: Path) -> None:
    playing.write(40)
    parts = on_disk(playing.parts)
    invoke(report, str(playing.path))

    assert "the run is on: 40 of 80 rows" in (playing.path / record.REPORT).read_text()
    assert list((playing.path / record.CHARTS).glob("*.svg"))
    assert not {record.VALIDITY, record.QUANTILES, record.REQUESTS} & {path.name for path in playing.path.iterdir()}
    assert on_disk(playing.parts) == parts
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("plan", [PLAN, Plan.single("tiny-1", mode="closed", concurrency=2, duration_s=10)])
def test_a_run_that_has_just_begun_is_doubtful(tmp_path: Path, plan: Plan) -> None:
    playing = Playing(tmp_path / "r", plan)
    found = json.loads(invoke(summary, str(playing.path), "--json").stdout)
    if plan is not PLAN:
        invoke(report, str(playing.path))
    playing.kill()

    assert found["verdict"] == "doubtful"
    assert found["run"]["unfinished"] == "the run is on: 0 of 80 rows so far, at 0 s of 10 s"


def test_arms_of_which_one_has_not_begun(tmp_path: Path) -> None:
    """Two blocks of 40 arrivals an arm; the first block of one arm is half done."""
    plan = Plan((Arm("a", "tiny-1"), Arm("b", "tiny-1")), arrivals="constant", rate=8.0, duration_s=10.0, blocks=2)
    playing = Playing(tmp_path / "r", plan)
    playing.write(20, "a", 0)
    found = json.loads(invoke(summary, str(playing.path), "--json").stdout)
    playing.kill()

    assert [(one["run"]["arm"], one["counts"]["recorded"], one["verdict"]) for one in found] == [
        ("a", 20, "doubtful"), ("b", 0, "doubtful"),
    ]  # fmt: skip
    assert "20 of 160 rows so far, at 2 s of 20 s" in found[0]["run"]["unfinished"]


def test_a_campaign_is_judged_while_one_of_its_runs_is_on(tmp_path: Path) -> None:
    """The campaign's own file calls the run that is on planned until it is over."""
    entries: list[dict[str, Any]] = [
        {"folder": name, "arm": "default", "round": number, "state": state}
        for number, (name, state) in enumerate([("01", "done"), ("02", "planned"), ("03", "planned")])
    ]
    (tmp_path / "campaign.json").write_text(json.dumps({"schema_version": 1, "runs": entries}))
    synthetic.write(tmp_path / "01", synthetic.Recipe(n=ARRIVALS))
    playing = Playing(tmp_path / "02")
    playing.write(40)
    found = json.loads(invoke(summary, str(tmp_path), "--json").stdout)
    single = json.loads(invoke(summary, str(tmp_path / "02"), "--json").stdout)
    beside = invoke(compare, str(tmp_path), str(tmp_path / "01"), "--across", "load,workload,host").stdout
    playing.kill()
    shutil.rmtree(tmp_path / "02" / record.PARTS)  # begun since nobody knows when, and not readable

    assert [one["counts"]["recorded"] for one in found] == [80, 40]
    assert [bool(one["run"]["unfinished"]) for one in found] == [False, True]
    assert single["run"]["unfinished"] == found[1]["run"]["unfinished"]
    assert "/02: the run is on: 40 of 80 rows" in beside
