"""Parts that stayed on other machines: brought home once, whole, and only to the run they belong to."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from test_campaign import invoke

from loadtests import manifest, profiles, record
from loadtests.cli.repair import repair
from loadtests.finish import Finished, finish
from loadtests.merge import MergeError, merge
from loadtests.parts import read_part
from loadtests.plan import Plan
from loadtests.record import Record
from loadtests.shipping.whole import whole_messages
from loadtests.sink import DiskFullError, Sink

if TYPE_CHECKING:
    from pathlib import Path

RUN, OTHER = "20260101-000000-mock", "20260101-000001-mock"
TWO = Plan.single("m", arrivals="constant", rate=10.0, duration_s=2.0, workers=2)
"""20 arrivals, 10 for each worker: 0 has the even ones."""


def made(path: Path, run_id: str = RUN, plan: Plan = TWO, **more: Any) -> Path:
    """A run directory, or a worker's of it."""
    (path / record.PARTS).mkdir(parents=True)
    remote = [{"number": number, "host": f"host-{number}"} for number in range(plan.workers)]
    about = {"schema_version": 1, "run_id": run_id, "model": "m", "stop": None, "ended": False, "workers": remote,
             "profile": profiles.load("mock").model_dump(mode="json"), "plan": plan.to_json()} | more  # fmt: skip
    manifest.write(path, about)
    return path


def play(path: Path, worker: int, batches: list[list[int]], *, ends: bool = True) -> Path:
    """Have a worker write these seqs, a batch for each list; then it ends, or is killed."""
    parts = path / record.PARTS
    sink = Sink(parts, worker, lambda: None)
    for seqs in batches:
        for seq in seqs:
            sink.keep(Record("default", "chat", worker, seq, "measure", True, seq * 10**8, outcome="ok", sent_ns=1))
        sink.flush()
        sink.sample({"worker": worker, "t_ns": 10**9, "issued": seqs[-1] // 2 + 1})
    (parts / f"worker-{worker}.log").write_text("oh\n")
    if ends:
        sink.close()
    else:
        os.close(sink._lock)
    return path


def cut(source: Path, target: Path, size: int) -> None:
    """The first bytes of a file."""
    target.write_bytes(source.read_bytes()[:size])


def at_master(tmp_path: Path) -> tuple[Path, Path]:
    """A run in which worker 0 has delivered all and worker 1 one of its three batches; and what worker 1 kept."""
    run = play(made(tmp_path / RUN), 0, [list(range(0, 20, 2))])
    kept = play(made(tmp_path / f"{RUN}-worker-1", worker=1), 1, [[1, 3], [5, 7, 9], [11, 13, 15, 17, 19]])
    _, _, first, *_ = message_ends((kept / record.PARTS / "requests-1.arrows").read_bytes())
    cut(kept / record.PARTS / "requests-1.arrows", run / record.PARTS / "requests-1.arrows", first)
    return run, kept


def message_ends(data: bytes) -> list[int]:
    """Where the messages of a part end, from 0 on: each is the shortest beginning of the rest that is whole."""
    ends = [0]
    while ends[-1] < len(data):
        low, high = ends[-1] + 8, len(data)
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if whole_messages(data[ends[-1] : middle]) else (middle + 1, high)
        ends.append(low)
    return ends


def on_disk(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def seqs(run: Path, outcome: str = "ok") -> list[int]:
    table = pq.read_table(run / record.REQUESTS, columns=["seq", "outcome"]).to_pylist()
    return sorted(row["seq"] for row in table if row["outcome"] == outcome)


# What is taken over.


def test_the_longer_of_two_files_is_the_whole_one_whoever_has_it(tmp_path: Path) -> None:
    run, kept = at_master(tmp_path)
    parts, theirs = run / record.PARTS, kept / record.PARTS
    (parts / "worker-1.log").write_text("oh\nmore\n")  # here the master has more
    assert merge(run, [kept]) == ["client-1.arrows", "requests-1.arrows", "ended-1"]

    for name in ("client-1.arrows", "requests-1.arrows"):
        assert (parts / name).read_bytes() == (theirs / name).read_bytes()
    assert (parts / "ended-1").exists()
    assert (parts / "worker-1.log").read_text() == "oh\nmore\n"
    assert merge(run, [kept]) == merge(run, [kept, theirs, run]) == []
    assert sorted(path.name for path in parts.iterdir() if path.suffix == ".tmp") == []


@pytest.mark.parametrize("name", ["requests-1.arrows", "parts", "."])
def test_a_directory_of_a_worker_one_of_parts_or_a_single_file(tmp_path: Path, name: str) -> None:
    run, kept = at_master(tmp_path)
    source = kept if name == "." else kept / record.PARTS if name == "parts" else kept / record.PARTS / name
    alone = shutil.copytree(source, tmp_path / "x") if source.is_dir() else shutil.copyfile(source, tmp_path / name)
    merge(run, [alone])

    assert read_part(run / record.PARTS / "requests-1.arrows").column("seq").to_pylist() == [*range(1, 20, 2)]
    assert (run / record.PARTS / "ended-1").exists() == (name != "requests-1.arrows")


def test_a_torn_tail_is_neither_more_nor_another_file(tmp_path: Path) -> None:
    """Here the master's file ends in a batch that is not whole, and the worker's ends before it: nothing is taken."""
    run, kept = at_master(tmp_path)
    ours, theirs = (path / record.PARTS / "requests-1.arrows" for path in (run, kept))
    whole = theirs.read_bytes()
    first = len(ours.read_bytes())
    ours.write_bytes(whole[: first + 50])
    cut(theirs, theirs, first)
    before = ours.read_bytes()
    assert "requests-1.arrows" not in merge(run, [kept])
    assert ours.read_bytes() == before

    theirs.write_bytes(whole[: first + 20] + b"\0" * 40)  # what a full disk left behind it
    assert merge(run, [kept]) == []
    theirs.write_bytes(whole)
    assert merge(run, [kept]) == ["requests-1.arrows"]
    assert ours.read_bytes() == whole


def test_two_that_kept_parts_of_one_file_are_both_looked_at(tmp_path: Path) -> None:
    run, kept = at_master(tmp_path)
    (run / record.PARTS / "requests-1.arrows").unlink()
    shorter = shutil.copytree(kept, tmp_path / "shorter") / record.PARTS / "requests-1.arrows"
    cut(shorter, shorter, shorter.stat().st_size - 1)
    other = play(made(tmp_path / "other"), 1, [[1, 3], [5, 7, 9, 11], [13], [15], [17, 19]])
    with pytest.raises(MergeError, match="not the same file"):
        merge(run, [kept, other])
    assert not (run / record.PARTS / "requests-1.arrows").exists()

    assert merge(run, [shorter, kept]).count("requests-1.arrows") == 2
    assert (run / record.PARTS / "requests-1.arrows").read_bytes() == (
        kept / record.PARTS / "requests-1.arrows"
    ).read_bytes()


# What is refused.


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("other run", "these are parts of 20260101-000001-mock, and the run is 20260101-000000-mock"),
        ("other file", "it is not the same file as"),
        ("nothing", "there is no such file or directory"),
        ("no parts", "no parts of a run, such as requests-0.arrows, are in it"),
        ("some file", "no parts of a run, such as requests-0.arrows, are in it"),
        ("directory", "Is a directory; it must be a file that can be read"),
    ],
)
def test_what_does_not_belong_to_a_run_is_refused_and_changes_nothing(tmp_path: Path, what: str, line: str) -> None:
    run, _ = at_master(tmp_path)
    source = tmp_path / "theirs"
    if what in ("other run", "other file"):
        play(made(source, OTHER if what == "other run" else RUN), 1, [[1], [3, 5, 7, 9], [11]])
    elif what != "nothing":
        (source / "requests-1.arrows" if what == "directory" else source).mkdir(parents=True)
    if what == "some file":
        source = source / "notes-1.txt"
        source.write_text("hello")
    before = on_disk(run)
    with pytest.raises(MergeError) as caught:
        finish(run, more=[source])

    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
    assert on_disk(run) == before


def test_a_workers_own_directory_is_no_run_to_finish(tmp_path: Path) -> None:
    _, kept = at_master(tmp_path)
    before = on_disk(kept)
    with pytest.raises(MergeError) as caught:
        invoke(repair, str(kept))

    assert str(caught.value) == (
        f"{kept}: these are parts of worker 1 of {RUN}; finish that one with them: `firsttoken repair RUN {kept}`"
    )
    assert on_disk(kept) == before


def test_a_finished_run_whose_workers_had_delivered_all_takes_nothing(tmp_path: Path) -> None:
    """The same once more changes nothing; rows that it does not have, and has no parts to add to, are said."""
    run, kept = at_master(tmp_path)
    assert finish(run, more=[kept]) == Finished(20, 20, 0, 0)
    assert not (run / record.PARTS).exists()
    before = on_disk(run)
    assert finish(run, more=[kept]) == Finished(20, 20, 0, 0)
    assert on_disk(run) == before

    rows = pq.read_table(run / record.REQUESTS)
    pq.write_table(rows.filter(pc.field("seq") != 1), run / record.REQUESTS)
    with pytest.raises(MergeError, match=r"1 of its rows are not in .*, which is finished"):
        finish(run, more=[kept])


def test_that_a_worker_has_ended_is_taken_over_behind_all_its_rows(tmp_path: Path) -> None:
    """If the disk is full in between, its end must not be there without them."""
    run, kept = at_master(tmp_path)

    names = merge(run, [kept / record.PARTS / "ended-1", kept])
    assert len(names) == 4
    assert names[-1] == "ended-1"


def test_a_full_disk_leaves_the_parts_as_they_were(tmp_path: Path) -> None:
    run, kept = at_master(tmp_path)
    small, mount = tmp_path / "small", shutil.which("mount")
    small.mkdir()
    words = ["-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)]
    if mount is None or subprocess.run([mount, *words], check=False, capture_output=True).returncode:
        pytest.skip("no file system can be made here")
    try:
        here = shutil.copytree(run, small / RUN)
        (here / record.PARTS / "full").write_bytes(b"x" * (shutil.disk_usage(small).free - 4096))
        before = on_disk(here)
        with pytest.raises(DiskFullError, match="no room for"):
            merge(here, [kept / record.PARTS / "requests-1.arrows"])
        assert on_disk(here) == before
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


# Repair.


def test_repair_with_what_a_worker_kept_makes_the_run_whole_and_again_changes_nothing(tmp_path: Path) -> None:
    run, kept = at_master(tmp_path)
    assert finish(run) == Finished(20, 12, 8, 0)
    assert seqs(run) == sorted([*range(0, 20, 2), 1, 3])
    assert manifest.read(run)["stop"]["missing"]["workers"] == [1]
    assert (run / record.PARTS).is_dir()  # worker 1 may bring more
    once = on_disk(run)
    assert finish(run) == Finished(20, 12, 8, 0)
    assert on_disk(run) == once

    assert finish(run, more=[kept]) == Finished(20, 20, 0, 0)
    assert seqs(run) == list(range(20))
    assert (manifest.read(run)["stop"], manifest.read(run)["ended"]) == (None, True)
    whole = on_disk(run)
    assert finish(run) == Finished(20, 20, 0, 0)
    assert on_disk(run) == whole


@pytest.fixture
def long(tmp_path: Path) -> tuple[Path, bytes, list[int], list[int]]:
    """A run of one killed worker: its part, where its messages end, and how many rows are whole by then."""
    run = made(tmp_path / RUN, plan=Plan.single("m", arrivals="constant", rate=10.0, duration_s=200.0))
    dice, batches, seq = random.Random(6), [], 0
    while seq < 2000:
        count = min(dice.choice((1, 7, 60, 300)), 2000 - seq)
        batches.append(list(range(seq, seq + count)))
        seq += count
    play(run, 0, batches, ends=False)
    data = (run / record.PARTS / "requests-0.arrows").read_bytes()
    ends, rows = message_ends(data), [0, *accumulate(map(len, batches), initial=0)]
    assert len(ends) == len(rows)
    return run, data, ends, rows


def test_of_a_part_that_is_cut_anywhere_every_whole_batch_is_read(long: Any) -> None:
    """At random bytes, and around the end of each message."""
    run, data, ends, rows = long
    dice, part = random.Random(1), run / record.PARTS / "requests-0.arrows"
    cuts = [dice.randrange(len(data) + 1) for _ in range(300)] + [end + by for end in ends[:8] for by in (-1, 0, 1)]
    for size in (one for one in cuts if 0 <= one <= len(data)):
        part.write_bytes(data[:size])
        found = read_part(part)
        expected = max(count for end, count in zip(ends, rows, strict=True) if end <= size)
        assert found.num_rows == expected
        if expected:
            assert found.column("seq").to_pylist() == list(range(expected))


@pytest.mark.slow
def test_repair_recovers_every_whole_batch_of_a_part_that_was_cut_at_a_thousand_bytes(long: Any) -> None:
    _cut_and_repair(long, 1000)


def test_repair_recovers_every_whole_batch_of_a_part_that_was_cut(long: Any) -> None:
    _cut_and_repair(long, 8)


def _cut_and_repair(long: Any, times: int) -> None:
    """Each arrival has its row: those of whole batches as they were recorded, the others as unsent or lost."""
    run, data, ends, rows = long
    dice, kept = random.Random(2), shutil.copytree(run, run.parent / "kept")
    for _ in range(times):
        shutil.rmtree(run)
        shutil.copytree(kept, run)
        size = dice.randrange(len(data) + 1)
        (run / record.PARTS / "requests-0.arrows").write_bytes(data[:size])
        expected = max(count for end, count in zip(ends, rows, strict=True) if end <= size)
        found = finish(run)
        assert (found.rows, found.recorded, found.unsent + found.lost) == (2000, expected, 2000 - expected)
        assert seqs(run) == list(range(expected))
