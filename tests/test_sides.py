"""Which digests stand for a side, wherever they lie."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
import synthetic
from digests import side
from manyruns import GOODPUT, TTFT, keep

from analysis import files, objectives, rundir
from analysis.compare import sides
from analysis.compare.rules import Rules
from analysis.rundir import RunError
from analysis.summary import judge
from loadtests import record

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.digest import Digest


def run(folder: Path, at: int, ttft_s: float = 0.2, **manifest: Any) -> Path:
    """A run directory that was judged."""
    told = {"run_id": f"id-{at}", "started_unix_ns": 10**18 + at, **manifest}
    path = synthetic.write(folder, synthetic.Recipe(n=40, tokens=5, seed=at, ttft_s=ttft_s, manifest=told))
    files.write_judgement([judge(rundir.load(path))])
    return path


def campaign(folder: Path) -> Path:
    entries = [{"folder": f"0{i}", "arm": "", "round": i, "state": "done"} for i in (1, 2)]
    for i in (1, 2):
        run(folder / f"0{i}", i, campaign_id=folder.name)
    (folder / "campaign.json").write_text(json.dumps({"schema_version": 1, "runs": entries}))
    return folder


def ids(found: list[Digest]) -> list[str]:
    return [one.facts.run_id for one in found]


def test_a_run_a_campaign_a_folder_and_a_file_stand_for_their_runs(tmp_path: Path) -> None:
    """Whatever is named, its runs come in order of time, each once."""
    all_of_it = tmp_path / "results"
    campaign(all_of_it / "c")
    one = run(all_of_it / "r", 7)
    (all_of_it / "latest").symlink_to("r")
    (all_of_it / "notes.txt").write_text("no run")

    assert ids(sides.read([one])) == ["id-7"]
    assert ids(sides.read([all_of_it / "latest"])) == ["id-7"]
    assert ids(sides.read([all_of_it / "c"])) == ["id-1", "id-2"]
    assert ids(sides.read([all_of_it])) == ["id-1", "id-2", "id-7"]
    assert ids(sides.read([one / record.QUANTILES])) == ["id-7"]
    assert ids(sides.read([one, all_of_it / "c" / "02", all_of_it])) == ["id-1", "id-2", "id-7"]


def test_a_folder_of_kept_files_needs_no_rows(tmp_path: Path) -> None:
    """As a repository keeps them: files by name, or each in a folder of its run."""
    flat = keep(tmp_path / "flat", side({TTFT: [0.2, 0.21, 0.22]}))
    nested = tmp_path / "nested"
    for place, file in enumerate(sorted(flat.iterdir())):
        (nested / str(place)).mkdir(parents=True)
        (nested / str(place) / record.QUANTILES).write_bytes(file.read_bytes())

    assert ids(sides.read([flat])) == ids(sides.read([nested])) == ["id-0", "id-1", "id-2"]
    assert ids(sides.read([nested / "1"])) == ["id-1"]


def test_a_run_whose_rows_are_gone_is_read_from_what_was_kept(tmp_path: Path) -> None:
    path = run(tmp_path / "r", 1)
    before = sides.read([path])
    (path / record.REQUESTS).unlink()

    assert sides.read([path]) == before


def test_rows_are_not_read_where_a_newer_file_tells_the_same(tmp_path: Path) -> None:
    """What is kept is taken at its word: here it is another run's."""
    path, other = run(tmp_path / "r", 1), run(tmp_path / "s", 2)
    (path / record.QUANTILES).write_bytes((other / record.QUANTILES).read_bytes())

    assert ids(sides.read([path])) == ["id-2"]


@pytest.mark.parametrize("why", ["newer rows", "another schema", "no file"])
def test_rows_are_read_where_what_was_kept_is_not_of_them(tmp_path: Path, why: str) -> None:
    path, other = run(tmp_path / "r", 1), run(tmp_path / "s", 2, ttft_s=0.4)
    kept = path / record.QUANTILES
    kept.write_bytes((other / record.QUANTILES).read_bytes())
    if why == "newer rows":
        later = kept.stat().st_mtime_ns + 10**9
        os.utime(path / record.REQUESTS, ns=(later, later))
    elif why == "another schema":
        kept.write_bytes(b"PAR1")
    else:
        kept.unlink()
    (found,) = sides.read([path])

    assert found.facts.run_id == "id-1"
    assert found.numbers[TTFT].value == pytest.approx(0.2, rel=0.1)


def test_other_objectives_than_those_kept_count_the_rows_anew(tmp_path: Path) -> None:
    path = run(tmp_path / "r", 1)
    asked = objectives.read(["ttft_p95<200ms"])
    (kept,), (counted,) = sides.read([path]), sides.read([path], asked)

    assert (kept.objectives, counted.objectives) == ((), ("ttft_p95<200ms",))
    assert counted.numbers[GOODPUT].value < kept.numbers[GOODPUT].value
    assert counted.numbers[TTFT] == kept.numbers[TTFT]


@pytest.mark.parametrize(
    ("name", "says"),
    [("nothing", "no such run, campaign, folder of runs or quantiles.parquet"), ("empty", "no run, campaign or")],
)
def test_what_is_no_side_is_one_line(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(RunError, match=says) as refused:
        sides.read([tmp_path / name])
    assert str(refused.value).startswith(str(tmp_path / name))


# By arm.


def arms(at: int, *names: str) -> list[Digest]:
    return [one for i, name in enumerate(names) for one in side({TTFT: [0.2, 0.21]}, at + 5 * i, [1, 2], arm=name)]


def test_the_first_arm_stands_against_each_other_one() -> None:
    found = sides.within(arms(0, "a", "b", "c"), Rules())

    assert [(one.a.runs, one.b.runs) for one in found] == [
        (("run-0", "run-1"), ("run-5", "run-6")), (("run-0", "run-1"), ("run-10", "run-11")),
    ]  # fmt: skip
    assert sides.within(arms(0, "a"), Rules()) == []


def test_several_arms_of_both_sides_stand_arm_by_arm() -> None:
    """Whatever the order in which the other side names them."""
    found = sides.between(arms(0, "a", "b"), arms(50, "b", "a"), Rules(), ("old", "new"))

    assert [(one.a.runs[0], one.b.runs[0]) for one in found] == [("run-0", "run-55"), ("run-5", "run-50")]


def test_one_arm_a_side_needs_no_common_name() -> None:
    (found,) = sides.between(arms(0, "old"), arms(50, "new"), Rules(), ("x", "y"))

    assert found.design == "seeds" or len(found.a.runs) == 2


@pytest.mark.parametrize(("left", "right", "named"), [("ab", "a", "old"), ("a", "ab", "new"), ("ab", "ac", "old")])
def test_arms_that_do_not_match_are_one_line(left: str, right: str, named: str) -> None:
    with pytest.raises(RunError, match=f"the arms differ: .* against .*; `firsttoken compare {named}` puts those"):
        sides.between(arms(0, *left), arms(50, *right), Rules(), ("old", "new"))
