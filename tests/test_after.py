"""What a run or a campaign ends in: whose refusal it was, who is gone, what was done; rows in, lines and codes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import synthetic

from loadtests import profiles
from loadtests.campaign import Campaign
from loadtests.cli.after import gone_since, judge
from loadtests.cli.campaign import _show, play
from loadtests.finish import Finished
from loadtests.plan import Arm, Plan
from loadtests.record import Record
from loadtests.run import Result
from loadtests.rundir import Setup
from loadtests.stop import Stop

if TYPE_CHECKING:
    from pathlib import Path

REFUSED = Stop("refused", "arm b: HTTP 401: no such key", "b")
SECOND = 1_000_000_000


def setup_of(out: Path, **plan: Any) -> Setup:
    """Arm a asks the mock, arm b a server that is not there."""
    arms = (Arm("a", "m"), Arm("b", "gpt"))
    sides = [profiles.load("vllm"), profiles.load("openai")]
    sides = [side.with_overrides(base_url="http://127.0.0.1:9/v1") for side in sides]
    return Setup(Plan(arms, rate=8.0, duration_s=2.0, **plan), sides, out, "x", ["firsttoken", "run"])


def row(arm: str, second: int, kind: str | None = None, **facts: Any) -> Record:
    """A whole answer, or a failure."""
    made = Record(arm, "chat", 0, second, "measure", stream=False, scheduled_ns=second * SECOND, outcome="ok")
    made.sent_ns, made.end_ns = made.scheduled_ns + 1000, made.scheduled_ns + SECOND // 2
    made.headers_ns, made.status, made.output_tokens = made.end_ns, 200, 5
    if kind is not None:
        made.outcome, made.error_kind, made.error, made.headers_ns, made.status = "error", kind, kind, None, None
    for name, value in facts.items():
        setattr(made, name, value)
    return made


def run_of(folder: Path, *rows: Record) -> Path:
    recipe = synthetic.Recipe()
    recipe.manifest = {"arms": [{"name": arm, "model": "m", "profile": {}} for arm in "ab"]}
    return synthetic.write(folder, recipe, list(rows))


def result(path: Path, stop: Stop | None, ok: int = 1) -> Result:
    return Result(path, Finished(2, 2, 0, 0), stop, answered=2, ok=ok, issued=2)


def test_an_arm_that_refuses_its_first_request_is_named_with_its_own_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of the two was asked first: the other one's answers are no answers of it."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    path = run_of(tmp_path / "r", row("a", 0), row("b", 1, "auth"))

    assert judge(setup_of(tmp_path), result(path, REFUSED), report=False, as_json=False) == 2
    told = capsys.readouterr().err
    assert "arm b: openai refused the first request: HTTP 401: no such key (key from $OPENAI_API_KEY, which" in told


def test_an_arm_that_refuses_later_is_a_run_that_was_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run_of(tmp_path / "r", row("a", 0), row("b", 1), row("b", 2, "auth"))

    assert judge(setup_of(tmp_path), result(path, REFUSED), report=False, as_json=False, quiet=True) == 3
    assert "firsttoken: arm b: HTTP 401: no such key" in capsys.readouterr().err


def test_of_several_arms_each_is_asked_whether_it_isgone_since(tmp_path: Path) -> None:
    """Arm b has been gone since 3 s, a answers on; rows lie in the order of the workers' files."""
    gone = [row("b", second, "connect") for second in (7, 6, 3, 4, 5)]
    path = run_of(tmp_path / "r", *gone, row("b", 2), *(row("a", second) for second in range(9)))

    assert gone_since(path) == "arm b: provider gone since 3.0 s: the last 5 requests got no answer at all"
    alone = synthetic.write(tmp_path / "s", None, [row("", 1), *(row("", second, "reset") for second in range(2, 7))])
    assert gone_since(alone) == "provider gone since 2.0 s: the last 5 requests got no answer at all"


@pytest.mark.parametrize(("over", "shown"), [(0, ""), (1, "120 ok"), (2, "INCONCLUSIVE")])
def test_arms_of_a_campaign_are_compared_where_two_have_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], over: int, shown: str
) -> None:
    """Whatever of it was played, its path is told."""
    campaign = Campaign.begin(setup_of(tmp_path), 1, 0.0)
    for entry in campaign.entries[:over]:
        recipe = synthetic.Recipe(n=120, tokens=5)
        recipe.manifest = {"arms": [{"name": entry.arm, "model": "m", "profile": {}}]}
        synthetic.write(campaign.path / entry.folder, recipe)
        campaign.done(entry)

    _show(campaign, report=False, as_json=False)
    told = capsys.readouterr()
    assert f"campaign: {campaign.path}" in told.err
    assert shown in told.out


def test_a_server_that_is_not_there_ends_a_campaign_and_not_its_telling(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key-at-all")

    assert play(Campaign.begin(setup_of(tmp_path), 2, 0.0), report=False, as_json=False) == 2
    told = capsys.readouterr().err
    assert "firsttoken: nothing reached at http://127.0.0.1:9/v1" in told
    assert "campaign: " in told.splitlines()[-1]


@pytest.mark.parametrize(
    ("promised", "code", "told"),
    [
        (["ttft_p95<10s"], 0, ""),
        (["ttft_p95<10ms"], 1, "firsttoken: objective ttft_p95<10ms missed: 0 % of 120 met it, 95 % are needed"),
        (["ttft_p99<10s"], 0, "objective ttft_p99<10s undecided: 100 % of 120 met it; about 299 requests would"),
    ],
)
def test_a_missed_objective_is_an_exit_code_and_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], promised: list[str], code: int, told: str
) -> None:
    """120 streams with a first token after about 200 ms."""
    recipe = synthetic.Recipe(n=120, stream_share=1.0)
    recipe.manifest = {"plan": synthetic.manifest_of(recipe, 120)["plan"] | {"objectives": promised}}
    path = synthetic.write(tmp_path / "r", recipe)

    assert judge(setup_of(tmp_path), result(path, None), report=False, as_json=False, quiet=True) == code
    shown = capsys.readouterr().err
    assert told in shown
    assert ("objective ttft" in shown) == bool(told)


def test_an_invalid_run_has_missed_nothing(tmp_path: Path) -> None:
    """Half of its requests failed: what they would have shown nobody knows."""
    recipe = synthetic.Recipe(n=40)
    recipe.manifest = {"plan": synthetic.manifest_of(recipe, 40)["plan"] | {"objectives": ["latency_p95<1ms"]}}
    rows = [row("", second, "upstream" if second % 2 else None) for second in range(40)]
    path = synthetic.write(tmp_path / "r", recipe, rows)

    assert judge(setup_of(tmp_path), result(path, None), report=False, as_json=False, quiet=True) == 3
