"""What the gate leaves and says where it could not judge, or was not asked to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from loadtests import cli

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--candidate", "old", "--objectives", "tfft_p95<2s"], "tfft"),
        (["--candidate", "no-such-*", "--out=gate-pr"], 'no run matches "no-such-*"'),
        (["--candidat", "old"], "No such option"),
    ],
)
def test_github_hears_of_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)

    runner = CliRunner(env={"GITHUB_ACTIONS": "true"})
    done = runner.invoke(cli.group, ["gate", *words, "--name", "pr"], standalone_mode=False)

    assert done.exception is not None
    assert done.stderr.startswith("::error title=firsttoken gate pr%3A could not judge::")
    assert done.stderr.count("::error") == 1
    assert told in done.stderr
    assert "could not judge" in (tmp_path / "gate-pr" / "comment.md").read_text()


def test_help_and_schema_leave_the_earlier_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gate").mkdir()
    (tmp_path / "gate" / "verdict.json").write_text("{}")

    for word in ("--help", "--schema"):
        assert CliRunner().invoke(cli.group, ["gate", word], standalone_mode=False).return_value == 0

    assert [path.name for path in (tmp_path / "gate").iterdir()] == ["verdict.json"]
