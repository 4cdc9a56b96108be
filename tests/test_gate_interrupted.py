"""A campaign that was not played to its end is named, and is no pass of objectives."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import synthetic
from click.testing import CliRunner
from gating import NEW, evidence, outcome

from analysis.gate.interrupted import Interrupted, interrupted
from analysis.gate.verdict import Evidence, decide
from loadtests import cli

if TYPE_CHECKING:
    from pathlib import Path

GAP = Interrupted("candidate", 5, 1)


def campaign(folder: Path, planned: int, arms: tuple[str, ...] = ("a",)) -> Path:
    """A campaign of which one run was played, the first arm's, and so many are planned, by turns."""
    names = [arms[at % len(arms)] for at in range(planned)]
    entries = [{"folder": f"{at}", "arm": arm, "round": 0, "state": "planned"} for at, arm in enumerate(names)]
    entries[0]["state"] = "done"
    folder.mkdir(parents=True)
    (folder / "campaign.json").write_text(json.dumps({"schema_version": 1, "runs": entries, "arms": arms}))
    return folder


def test_an_interrupted_campaign_is_no_pass_of_objectives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    synthetic.write(campaign(tmp_path / "c", 5) / "0", synthetic.Recipe(n=100))
    told = "candidate: 1 of 5 planned runs were made"

    whole, alone = (
        CliRunner().invoke(
            cli.group, ["gate", "--candidate", path, "--objectives", "ttft_p50<1s", "--out", out], standalone_mode=False
        )
        for path, out in (("c", "whole"), ("c/0", "alone"))
    )

    assert (whole.return_value, alone.return_value) == (4, 0), whole.exception or alone.exception
    assert told in whole.stdout
    assert told in (tmp_path / "whole" / "comment.md").read_text()
    assert "make the runs that are still planned" in whole.stdout
    assert "planned" not in alone.stdout


@pytest.mark.parametrize("kind", ["pass", "regression", "inconclusive", "invalid"])
def test_it_is_named_whatever_the_verdict(kind: str) -> None:
    seen = evidence(kind)
    found = decide(Evidence(seen.baseline, seen.candidate, seen.comparison, interrupted=[GAP]))

    assert (found.verdict, found.reasons[-1]) == (kind, "candidate: 1 of 5 planned runs were made")
    assert len(found.reasons) > 1


def test_only_the_candidate_counts_against_its_objectives() -> None:
    met = [[outcome("met")]]

    assert decide(Evidence((), NEW[:1], None, met, interrupted=[GAP])).verdict == "inconclusive"
    assert decide(Evidence((), NEW[:1], None, met, interrupted=[GAP._replace(side="baseline")])).verdict == "pass"


def test_planned_runs_are_counted_by_arm_and_each_campaign_once(tmp_path: Path) -> None:
    one, folder = campaign(tmp_path / "one", 5, ("a", "b")), tmp_path / "many"
    campaign(folder / "x", 3)
    campaign(folder / "y", 1)
    (folder / "latest").symlink_to("x")

    assert interrupted("candidate", [one, one], None) == [("candidate", 5, 1)]
    assert interrupted("candidate", [one], "a") == [("candidate", 3, 1)]
    assert interrupted("baseline", [one], "b") == [("baseline", 2, 0)]
    assert interrupted("candidate", [folder, folder / "latest"], None) == [("candidate", 4, 2)]
    assert interrupted("candidate", [folder / "y", one / "0"], None) == []
