"""A candidate that fails its requests is a regression where what counts failures says so; nothing else decides."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import synthetic
from click.testing import CliRunner
from gating import NEW, OLD, comparison, digest, errors, line, outcome
from synthetic import Recipe

from analysis.campaign import runs_of
from analysis.checks.rule import Check
from analysis.files import write_judgement
from analysis.gate.junit import junit
from analysis.gate.verdict import Evidence, decide
from analysis.summary import judge
from loadtests import cli

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from analysis.digest import Digest
    from loadtests.record import Record

FAILED = Check(14, "failed requests", "40 % (64 of 160)", "≤ 0.5 %, fails above 5 %", "invalid", "see the errors")
TOLD = "candidate: its runs are not valid because so many requests failed; that is the regression"
BROKEN = [replace(one, verdict="invalid", faults=(FAILED,)) for one in NEW]
MISSED = replace(outcome("missed", "error_rate<1%"), metric="error_rate")


def refused(row: Record, _: np.random.Generator) -> None:
    """Nobody is there."""
    row.outcome, row.error_kind, row.first_token_ns, row.chunks = "error", "connect", None, None
    row.headers_ns = row.status = row.output_tokens = None


def failing(row: Record, rng: np.random.Generator) -> None:
    """Four of ten are refused."""
    if rng.random() < 0.4:
        refused(row, rng)


def runs(folder: Path, change: Any, at: int) -> None:
    """Five runs of 100 requests with their rows, a minute apart."""
    for seed in range(1, 6):
        about = {"run_id": f"{folder.name}-{seed}", "started_unix_ns": 10**18 + (at + seed) * 60 * 10**9, "seed": seed}
        recipe = Recipe(n=100, seed=seed, poisson=False, spread=0.03, stream_share=1.0, change=change, manifest=about)
        synthetic.write(folder / f"{seed}", recipe)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five runs each, `old`, `failing` and `dead`."""
    folder = tmp_path_factory.mktemp("failing")
    for at, (name, change) in enumerate({"old": None, "failing": failing, "dead": refused}.items()):
        runs(folder / name, change, 10 * at)
        for seed in range(1, 6):
            write_judgement([judge(run) for run in runs_of(folder / name / f"{seed}")])
    return folder


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--baseline", "old", "--candidate", "failing"], 1),
        (["--baseline", "old", "--candidate", "dead"], 1),
        (["--candidate", "failing", "--objectives", "error_rate<1%"], 1),
        (["--candidate", "dead", "--objectives", "error_rate<1%"], 1),
        (["--candidate", "dead/1", "--objectives", "error_rate<1%"], 1),
        (["--candidate", "failing", "--objectives", "error_rate<90%"], 3),
        (["--baseline", "old", "--candidate", "failing", "--metric", "ttft_p50"], 3),
        (["--baseline", "dead", "--candidate", "old"], 3),
    ],
)
def test_a_failing_candidate_ends_as_a_regression(
    home: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int
) -> None:
    monkeypatch.chdir(home)

    done = CliRunner().invoke(cli.group, ["gate", *words], standalone_mode=False)

    told = json.loads((home / "gate" / "verdict.json").read_text())
    assert done.return_value == code, (done.exception, told["reasons"])
    assert (TOLD in told["reasons"]) == (code == 1)
    assert "leave" not in told["next_step"]


def seen(candidate: list[Digest], baseline: Any = OLD, **more: Any) -> Evidence:
    lines = [line("regression"), errors("regression", worse=True)]
    return Evidence(baseline, candidate, comparison("invalid", lines, **more))


def test_only_what_counts_failures_is_a_reason() -> None:
    found = decide(replace(seen(BROKEN), outcomes=[[outcome("missed"), MISSED]] * 5))

    assert (found.verdict, found.exit_code) == ("regression", 1)
    assert [reason.split()[0:2] for reason in found.reasons[:-1]] == [["error", "rate"], ["objective", "error_rate<1%"]]
    assert found.reasons[-1] == TOLD
    assert 'type="invalid" message="regression: TTFT p95' in junit(found)
    assert 'type="regression" message="regression: error rate' in junit(found)


@pytest.mark.parametrize(
    "other",
    [
        seen([*BROKEN[1:], digest("new/1", verdict="invalid")]),
        seen([replace(BROKEN[0], faults=(FAILED, replace(FAILED, number=12)))]),
        seen(BROKEN, [*OLD, digest("old/6", verdict="invalid")]),
        seen(BROKEN, checks=(replace(FAILED, number=28),)),
        Evidence(OLD, BROKEN, comparison("invalid", [line("regression"), errors()])),
        Evidence((), BROKEN, None, [[outcome("missed")]] * 5),
    ],
)
def test_whatever_else_is_wrong_stays_invalid(other: Evidence) -> None:
    found = decide(other)

    assert (found.verdict, found.exit_code) == ("invalid", 3)
    assert found.next_step == "fix what the checks name and make these runs again"


def test_a_doubtful_baseline_is_no_obstacle_and_a_doubtful_run_needs_no_mending() -> None:
    assert decide(seen(BROKEN, [digest("old/1", verdict="doubtful")])).verdict == "regression"
    assert decide(seen([*BROKEN[:4], digest("new/5", verdict="doubtful")])).verdict == "regression"
    assert decide(Evidence(OLD, [digest("new/1", verdict="invalid")], comparison("invalid", []))).next_step.endswith(
        "or leave them out"
    )
