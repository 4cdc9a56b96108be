"""A sweep's and a search's folder, told again by `summary` and `report`."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
import pytest
import synthetic
from click.testing import CliRunner

from loadtests.campaign.file import hold, let_go
from loadtests.cli import found
from loadtests.cli.capacity import capacity
from loadtests.cli.report import report
from loadtests.cli.summary import summary

if TYPE_CHECKING:
    from pathlib import Path


def invoke(verb: Any, *words: str) -> Any:
    done = CliRunner().invoke(verb, words, standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done


def write(folder: Path, kind: str, argv: list[str]) -> Path:
    """One at a time, then 4/s and 8/s: probes of a search, or loads of a sweep; another was never played."""
    entries = []
    steps = (("concurrency", 1.0, "base"), ("rate", 4.0, "ramp"), ("rate", 8.0, "ramp"))
    for number, (mode, load, step) in enumerate(steps):
        name = f"{number + 1:02}"
        kept = {"mode": mode, "load": load, "number": number + 1, "kind": step, "length_s": 20.0, "search": "rate"}
        entries.append({"folder": name, "arm": "default", "round": 0, "seed": 1, "state": "done", "step": kept})
        recipe = synthetic.Recipe(n=round(20 * load), rate=load, seed=number)
        plan = synthetic.manifest_of(recipe, recipe.n)["plan"] | {"rate": load, "objectives": ["ttft_p95<2s"]}
        recipe.manifest = {"plan": plan, "argv": argv}
        synthetic.write(folder / name, recipe)
    entries.append({"folder": "04", "arm": "default", "round": 0, "state": "planned", "step": {"load": 9.0}})
    about = {"schema_version": 1, "kind": kind, "runs": entries, "argv": argv, "rest_s": 5.0, "repeats": 1}
    (folder / "campaign.json").write_text(json.dumps(about))
    return folder


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    argv = ["firsttoken", "capacity", "--objective", "ttft_p95<2s", "--peak", "20", "--price-per-hour", "2.5"]
    return write(tmp_path_factory.mktemp("campaigns") / "searched", "capacity", argv)


def test_a_search_is_told_with_what_was_asked_of_it_then(searched: Path) -> None:
    """8/s was kept and nothing broke: 20 / (8 x 0.75) = 3.3, so 4 machines and one that may fail, or fewer."""
    text = " ".join(invoke(summary, str(searched)).stdout.split())

    assert "The server carries at least 8 requests a second; the peak takes at most 5 machines." in text
    assert "At 2.50 USD an hour" in text
    assert "3 ramp 8/s" in text


def test_as_json_it_is_one_object_with_its_answers(searched: Path) -> None:
    told = json.loads(invoke(summary, str(searched), "--json").stdout)

    assert told["kind"] == "capacity"
    assert told["answers"][0]["limited_by"] == "most"
    assert told["meanings"][0]["sizing"]["replicas"] == 5


def test_its_report_is_one_page_of_all_runs(searched: Path) -> None:
    out = invoke(report, str(searched), "--json").stdout

    assert json.loads(out)["report"] == str(searched / "report.html")
    assert not (searched / "01" / "report.html").exists()


def test_a_run_of_it_is_still_a_run(searched: Path) -> None:
    assert "ttft" in invoke(summary, str(searched / "02")).stdout.lower()
    assert len(json.loads(invoke(summary, str(searched), "--all", "--json").stdout)) == 3


# One that is not over.


def state_so_far(folder: Path, *verbs: Any) -> set[str]:
    """The first line of each."""
    return {invoke(verb, str(folder)).stdout.splitlines()[0] for verb in verbs}


@pytest.mark.parametrize(("kind", "name"), [("capacity", "search"), ("sweep", "sweep")])
def test_one_that_is_not_over_is_told_as_its_state_so_far(tmp_path: Path, kind: str, name: str) -> None:
    path = write(tmp_path / "one", kind, ["firsttoken", kind])
    verbs = (summary, capacity) if kind == "capacity" else (summary,)
    stopped = f"The {name} one was stopped before its end, and this is its state so far; "
    assert state_so_far(path, *verbs) == {f"{stopped}`firsttoken {kind} --resume {path}` continues it."}

    held = hold(path)
    assert state_so_far(path, *verbs) == {f"The {name} one is still on; this is its state so far."}
    let_go(held)

    assert json.loads(invoke(summary, str(path), "--json").stdout)["is_over"] is False
    invoke(report, str(path), "--markdown")
    words = f"This {name} is not over, and this is its state so far; where it was stopped, `firsttoken {kind} --resume"
    assert words in (path / "report.html").read_text()
    assert words.replace("`", "\\`") in (path / "report.md").read_text()


def test_one_that_is_over_says_nothing_of_that(tmp_path: Path) -> None:
    path = write(tmp_path / "one", "capacity", ["firsttoken", "capacity"])
    about = json.loads((path / "campaign.json").read_text())
    (path / "campaign.json").write_text(json.dumps(about | {"runs": about["runs"][:-1]}))

    assert "so far" not in invoke(summary, str(path)).stdout
    assert json.loads(invoke(summary, str(path), "--json").stdout)["is_over"] is True
    assert "so far" not in (path / json.loads(invoke(report, str(path), "--json").stdout)["report"]).read_text()


def test_why_there_is_no_capacity_is_said_once(tmp_path: Path) -> None:
    path = write(tmp_path / "one", "capacity", ["firsttoken", "capacity"])
    about = json.loads((path / "campaign.json").read_text())
    (path / "campaign.json").write_text(json.dumps(about | {"runs": about["runs"][:1]}))

    assert invoke(summary, str(path)).stdout.count("could not be determined") == 1
    invoke(report, str(path), "--markdown")
    assert (path / "report.html").read_text().count("could not be determined") == 1


def test_a_sweep_is_told_as_its_loads(tmp_path: Path) -> None:
    path = write(tmp_path / "swept", "sweep", ["firsttoken", "sweep", "--rates", "4,8"])
    text = invoke(summary, str(path)).stdout

    assert "offered" in text
    assert "carries" not in text
    with pytest.raises(click.UsageError, match="a sweep, which finds no capacity; `firsttoken summary` tells it"):
        invoke(capacity, str(path), "--peak", "4")


def test_of_several_the_worst_tells_the_exit_code(searched: Path, tmp_path: Path) -> None:
    """A promise that a run broke (1) is worse than a search in which nothing was decided (4), or that is well (0)."""
    open_still = write(tmp_path / "open", "capacity", ["firsttoken", "capacity", "--objective", "ttft_p95<2s"])
    about = json.loads((open_still / "campaign.json").read_text())
    (open_still / "campaign.json").write_text(json.dumps(about | {"runs": about["runs"][:1]}))
    plan = synthetic.manifest_of(synthetic.Recipe(), 160)["plan"] | {"objectives": ["ttft_p50<100ms"]}
    missed = synthetic.write(tmp_path / "missed", synthetic.Recipe(manifest={"plan": plan}))
    folders = {0: searched, 4: open_still, 1: missed}

    assert {code: invoke(summary, str(folder)).return_value for code, folder in folders.items()} == {0: 0, 4: 4, 1: 1}
    assert invoke(summary, *map(str, folders.values())).return_value == 1


def test_a_page_that_cannot_be_written_is_a_line(searched: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = found.told_of(searched)
    assert told is not None
    found.draw(replace(told, path=searched / "campaign.json"), found.meanings_of(told))

    assert "Not a directory; draw it later: `firsttoken report" in capsys.readouterr().err


def test_where_no_run_is_over_there_is_nothing_to_tell_yet(searched: Path, tmp_path: Path) -> None:
    about = json.loads((searched / "campaign.json").read_text())
    (tmp_path / "campaign.json").write_text(json.dumps(about | {"runs": about["runs"][-1:]}))

    assert found.told_of(tmp_path) is None
    assert found.told_of(searched / "01") is None
