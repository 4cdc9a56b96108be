"""Campaigns, and whatever else stands for a run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import synthetic
from click.testing import CliRunner

from analysis import campaign, digest, rundir
from analysis.compare import sides
from analysis.compare.rules import Rules
from analysis.summary import judge
from loadtests.cli.compare import compare
from loadtests.cli.report import report
from loadtests.cli.summary import summary

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, factors: dict[str, float], rounds: int = 4, planned: int = 0) -> Path:
    """
    A campaign of runs of 120 streams: each round of all arms takes 10 % longer than the one before.

    Args:
        folder: Of the campaign.
        factors: Of each arm's TTFT, in the order of each round.
        rounds: That were run.
        planned: Runs at its end that were not.
    """
    entries: list[dict[str, Any]] = []
    for turn in range(rounds):
        for arm, factor in factors.items():
            name = f"{len(entries) + 1:02}"
            entries.append({"folder": name, "arm": arm, "round": turn, "seed": turn, "state": "done"})
            recipe = synthetic.Recipe(n=120, seed=turn, stream_share=1.0, ttft_s=0.2 * factor * 1.1**turn, tokens=5)
            recipe.manifest = {
                "arms": [{"name": arm, "model": "tiny-1", "profile": {}}], "campaign_id": folder.name,
                "run_id": f"{folder.name}/{name}", "started_unix_ns": 10**18 + len(entries), "seed": turn,
            }  # fmt: skip
            synthetic.write(folder / name, recipe)
    entries += [{"folder": f"{len(entries) + 1 + i:02}", "arm": "x", "state": "planned"} for i in range(planned)]
    (folder / "campaign.json").write_text(json.dumps({"schema_version": 1, "runs": entries}))
    return folder


def invoke(verb: Any, *words: str) -> Any:
    done = CliRunner().invoke(verb, words, standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done


def test_a_campaign_is_its_runs_with_their_arms_and_rounds(tmp_path: Path) -> None:
    found = campaign.runs_of(write(tmp_path / "c", {"a": 1.0, "b": 1.05}, rounds=2, planned=1))

    assert [run.name for run in found] == ["c/01 · a", "c/02 · b", "c/03 · a", "c/04 · b"]
    assert [run.arm for run in found] == ["a", "b", "a", "b"]
    assert [run.manifest["round"] for run in found] == [0, 0, 1, 1]
    assert [run.name for run in campaign.runs_of(tmp_path / "c" / "02")] == ["c/02 · b"]


def test_latest_may_be_a_campaign(tmp_path: Path) -> None:
    write(tmp_path / "c", {"a": 1.0}, rounds=2)
    (tmp_path / "latest").symlink_to("c")

    assert [run.name for run in campaign.runs_of(tmp_path / "latest")] == ["c/01", "c/02"]


def test_a_run_is_itself(tmp_path: Path) -> None:
    assert [run.name for run in campaign.runs_of(synthetic.write(tmp_path / "r", synthetic.Recipe(n=3)))] == ["r"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[]", "not a campaign"),
        ('{"runs": [], "schema_version": 9}', "schema 9"),
        ('{"runs": [{"folder": "01", "state": "planned"}]}', "no run has begun"),
    ],
)
def test_a_campaign_that_cannot_be_read_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "campaign.json").write_text(text)

    with pytest.raises(rundir.RunError, match=said):
        campaign.runs_of(tmp_path)


def test_rounds_are_paired(tmp_path: Path) -> None:
    """The same draws in both arms of a round: from the send B takes 1.05 times as long in each, to the nanosecond."""
    path = write(tmp_path / "c", {"a": 1.0, "b": 1.05, "c": 2.0})
    found = sides.within([digest.of(judge(run)) for run in campaign.runs_of(path)], Rules())
    line = next(x for x in found[0].lines if x.place.words == "ttft_from_send_p50")

    assert [(one.a.name, one.b.name) for one in found] == [
        ("c · a · 4 runs", "c · b · 4 runs"), ("c · a · 4 runs", "c · c · 4 runs"),
    ]  # fmt: skip
    assert found[0].design == "rounds"
    assert (line.lo, line.effect, line.hi) == pytest.approx((1.05, 1.05, 1.05), rel=1e-6)
    assert line.b == pytest.approx(1.05 * (line.a or 0), rel=1e-6)
    assert (line.runs_a, line.runs_b, line.n_a, line.n_b) == (4, 4, 480, 480)
    assert "Paired over 4 rounds" in found[0].notes[0]


def test_the_baseline_is_the_arm_that_was_named_first_whatever_was_played_first(tmp_path: Path) -> None:
    """Each round draws its order; here `b` was the first that was played."""
    path = write(tmp_path / "c", {"b": 1.05, "a": 1.0}, rounds=2)
    told = json.loads((path / "campaign.json").read_text()) | {"arms": ["a", "b"]}
    (path / "campaign.json").write_text(json.dumps(told))
    compared = json.loads(invoke(compare, str(path), "--json").stdout)

    assert (compared["a"]["name"], compared["b"]["name"]) == ("c · a · 2 runs", "c · b · 2 runs")
    assert "A  c · a · 2 runs" in invoke(summary, str(path)).stdout
    assert campaign.arms_of(path / "02") == ("a", "b")
    assert campaign.arms_of(tmp_path) == ()


def test_two_campaigns_of_the_same_seeds_are_paired_by_them(tmp_path: Path) -> None:
    """The draws of a run follow from its seed: from the send B takes 1.2 times as long in each pair."""
    a = write(tmp_path / "one", {"a": 1.0}, rounds=3)
    b = write(tmp_path / "two", {"a": 1.2}, rounds=3)
    (found,) = sides.between(sides.read([a]), sides.read([b]), Rules(), ("one", "two"))
    line = next(x for x in found.lines if x.place.words == "ttft_from_send_p50")

    assert (len(found.a.runs), len(found.b.runs), found.design) == (3, 3, "seeds")
    assert line.effect == pytest.approx(1.2, rel=1e-6)
    assert line.runs_a == 3
    assert found.settings == ()


def test_arms_that_do_not_match_are_said_to_differ(tmp_path: Path) -> None:
    a, b = write(tmp_path / "one", {"a": 1.0, "b": 1.0}, rounds=1), write(tmp_path / "two", {"a": 1.0}, rounds=1)

    with pytest.raises(rundir.RunError, match=r"the arms differ: a, b against a; `firsttoken compare .*one` puts"):
        invoke(compare, str(a), str(b))
    with pytest.raises(rundir.RunError, match="one arm alone"):
        invoke(compare, str(b))


def test_a_campaign_goes_wherever_a_run_goes(tmp_path: Path) -> None:
    path = write(tmp_path / "c", {"a": 1.0, "b": 1.05}, rounds=3)
    text = invoke(summary, str(path)).stdout
    told = json.loads(invoke(summary, str(path), "--json").stdout)
    compared = json.loads(invoke(compare, str(path), "--json").stdout)
    single = json.loads(invoke(summary, str(path / "01"), "--json").stdout)

    assert text.index("c/01 · a") < text.index("c/06 · b") < text.index("Paired over 3 rounds")
    assert [one["run"]["name"] for one in told] == [f"c/0{i + 1} · {'ab'[i % 2]}" for i in range(6)]
    assert compared["design"] == "rounds"
    assert single["run"]["arm"] == "a"


def test_a_campaign_has_one_report_and_each_of_its_runs_one_of_its_own(tmp_path: Path) -> None:
    path = write(tmp_path / "c", {"a": 1.0}, rounds=2)
    whole = json.loads(invoke(report, str(path), "--json", "--title", "Two of one kind").stdout)
    alone = json.loads(invoke(report, str(path / "02"), "--json").stdout)

    assert whole == {"report": str(path / "report.html")}
    assert "Two of one kind" in (path / "report.html").read_text()
    assert alone == {"report": str(path / "02" / "report.html")}
    assert "c/02" in (path / "02" / "report.html").read_text()
