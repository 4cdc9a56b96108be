"""The README is true: its commands run, its options exist, its locustfile works, its table is the metrics'."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from loadtests import cli, profiles, workload

HOME = Path(__file__).resolve().parent.parent
TEXT = (HOME / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    """Every `firsttoken ...` line of the README's shell blocks, as words; what the shell fills in is X."""
    lines = [line.partition("  #")[0].strip() for block in BLOCKS for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(re.sub(r"\$\(.*?\)", "X", line)) for line in lines if line.startswith("firsttoken ")]


def test_the_first_screen_has_the_two_commands() -> None:
    main, tests = BLOCKS[:2]

    assert main.strip().endswith("firsttoken run")
    assert tests.strip().endswith("pytest -q")
    assert all("python3 -m venv .venv && .venv/bin/pip install" in block for block in (main, tests))
    assert TEXT.index(tests) < 2000


def test_ci_runs_those_two_commands_and_no_copy_of_them() -> None:
    script = (HOME / ".ci" / "run").read_text()

    assert "block 1" in script
    assert "block 2" in script
    found = subprocess.run(
        ["bash", "-c", script[script.index("block()") : script.index("echo")] + "block 1"], cwd=HOME,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout == BLOCKS[0]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_of_the_readme_is_one(words: list[str]) -> None:
    """Parsed to its options, not run: a verb or an option that does not exist would be a usage error."""
    verb = cli.group.get_command(None, words[1])  # type: ignore[arg-type]

    assert verb is not None
    rest = [word for word in words[2:] if word.startswith("-")]
    known = {name for parameter in verb.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert set(rest) <= known


def test_every_option_named_in_the_text_exists() -> None:
    """Of one verb or another; those of Locust, compose, vLLM and our own programs beside."""
    others = {
        "--help", "--headless", "--master", "--worker", "--build", "--abort-on-container-exit", "--exit-code-from",
        "--save-result", "--save-detailed", "--truth-server", "--limit-client",
    }  # fmt: skip
    verbs = [cli.group.get_command(None, name) for name in cli.VERBS]  # type: ignore[arg-type]
    known = {
        name for verb in verbs if verb for one in verb.params for name in (*one.opts, *one.secondary_opts)
    } | others  # fmt: skip
    named = {
        words.rstrip("-")
        for code in re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL))
        for words in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", code)
    }

    assert {name for name in named - known if not any(one.startswith(name) for one in known)} == set()


def test_every_option_of_run_has_help() -> None:
    for name in cli.VERBS:
        verb = cli.group.get_command(None, name)  # type: ignore[arg-type]
        assert verb is not None
        assert verb.help
        for parameter in verb.params:
            assert not isinstance(parameter, click.Option) or parameter.help, (name, parameter.name)


@pytest.mark.parametrize("verb", list(cli.VERBS))
def test_help_of_every_verb_teaches(verb: str) -> None:
    shown = CliRunner().invoke(cli.group, [verb, "--help"])

    assert shown.exit_code == 0
    assert "Usage:" in shown.output


def test_the_profile_of_the_readme_is_a_profile(tmp_path: Path) -> None:
    block = re.search(r"^```toml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert block is not None
    (tmp_path / "mine.toml").write_text(block[1])

    assert profiles.load(str(tmp_path / "mine.toml")).name == tomllib.loads(block[1])["name"] == "mine"


def test_the_profiles_of_the_readme_exist() -> None:
    for words in commands():
        if "--profile" in words:
            assert words[words.index("--profile") + 1] in profiles.names()


@pytest.mark.slow
def test_the_locustfile_of_the_readme_makes_a_run(tmp_path: Path) -> None:
    block = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)[-1]
    (tmp_path / "mine.py").write_text(block.replace("between(1, 3)", "between(0.1, 0.2)"))
    done = subprocess.run(
        [sys.executable, "-m", "locust", "-f", "mine.py", "--provider", "mock", "--headless", "-u", "2", "-t", "5s"],
        cwd=tmp_path, env={"PYTHONPATH": str(HOME), "PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip

    assert done.returncode in {0, 3}, done.stderr  # 3: this machine was too busy for a valid run
    assert (tmp_path / "results" / "latest" / "report.html").exists()


def test_the_workloads_of_the_readme_are_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written as they stand, with the file that one of them reads: they make requests."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tickets.csv").write_text("question\nWhere is my parcel?\n")
    blocks = re.findall(r"^```toml\n# (\w+\.toml).*?\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    files = {name: block for name, block in blocks if re.search(r"^name = ", block, re.MULTILINE)}

    assert set(files) == {"support.toml", "tickets.toml"}
    for name, block in files.items():
        (tmp_path / name).write_text(block)
        made = workload.make(workload.definitions(name), seed=1)
        assert made.request(0, a=0).messages
