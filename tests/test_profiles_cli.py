"""`firsttoken profiles`: the list, one explained in words, a file of one's own checked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from loadtests import cli
from loadtests.cli.explained import example, sections
from loadtests.profiles import load, names

if TYPE_CHECKING:
    from pathlib import Path

KEY = "sk-q7Zt4Lw9Xc2Vb6Nm1Kj8Hg5Fd3Sa0Po"


def run(*words: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(cli.group, ["profiles", *words], env=env, standalone_mode=False)


def said(name: str, heading: str, environ: dict[str, str] | None = None) -> dict[str, str]:
    """The labelled lines of one section."""
    return dict(dict(sections(load(name), environ or {}))[heading])


def test_the_list_has_a_line_for_each_with_its_doubts_and_key() -> None:
    shown = run(env={"MORPHEUS_API_KEY": KEY})
    lines = {line.split()[0]: line for line in shown.output.splitlines() if line[:1].strip()}

    assert set(names()) <= set(lines)
    assert lines["morpheus"].split()[-2:] == ["set", "https://api.mor.org/api/v1"]
    assert "seed, 4?" in lines["meingpt"]
    assert "\x1b" not in shown.output, "no colours but on a terminal"
    assert KEY not in shown.output
    assert run("list").output == run().output


def test_the_list_and_one_as_json() -> None:
    assert [one["name"] for one in json.loads(run("--json").output)] == names()
    assert json.loads(run("list", "--json").output) == json.loads(run("--json").output)
    assert json.loads(run("show", "azure", "--json").output) == load("azure").model_dump(mode="json")


@pytest.mark.parametrize("name", names())
def test_every_profile_is_explained_within_100_columns(name: str) -> None:
    shown = run("show", name)

    assert shown.exception is None
    assert all(len(line) <= 100 or "http" in line for line in shown.output.splitlines())
    assert not any(line != line.rstrip() for line in shown.output.splitlines())
    for key in load(name).unverified:
        assert key in shown.output


def test_what_is_sent_is_the_body_as_it_goes_out() -> None:
    """Source: the documents; 8080 is asked for usage, meinGPT is sent no cap, since it would ignore it."""
    message = [{"role": "user", "content": "Name three rivers."}]

    assert json.loads(example(load("8080"), stream=True)) == {
        "model": "8080/taalas/llama3.1-8b-instruct", "messages": message, "stream": True, "max_completion_tokens": 64,
        "stream_options": {"include_usage": True},
    }  # fmt: skip
    assert json.loads(example(load("meingpt"), stream=False)) == {
        "model": "gpt-4o-mini", "messages": message, "stream": False,
    }  # fmt: skip


def test_the_explanation_names_rules_errors_and_doubts() -> None:
    assert said("meingpt", "Parameters")["temperature"] == "a number, 0 to 2"
    assert said("meingpt", "Parameters")["tool_choice"] == "one of auto, none, required or an object"
    assert said("meingpt", "Parameters")["all others"] == "accepted and ignored"
    assert said("8080", "Parameters")["reasoning_effort"] == "one of minimal, medium, high"
    assert said("8080", "What comes back")["server time"] == "/usage/total_time (unverified)"
    assert said("morpheus", "What is sent")["tools"] == "in streamed requests only; tool_choice too"
    assert said("morpheus", "Errors")["422"].endswith(
        "message at /detail/0/msg, type at /detail/0/type, param at /detail/0/loc"
    )
    assert said("morpheus", "Limits")["resets are"] == "moments (ISO 8601)"
    assert said("azure", "Unverified")["stream_usage"] == "option"
    assert "nothing is known" in said("vllm", "Parameters")["all others"]


def test_a_key_is_told_to_be_set_and_never_shown() -> None:
    place = "Where requests go"

    assert said("morpheus", place)["key from"] == "the environment variable MORPHEUS_API_KEY, which is not set here"
    assert said("morpheus", place, {"MORPHEUS_API_KEY": KEY})["key from"].endswith("which is set here")
    assert KEY[:8] not in run("show", "morpheus", env={"MORPHEUS_API_KEY": KEY}).output


def test_a_sound_file_is_fine_and_what_to_know_is_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\ntitle = "Mine"\nbase_url = "https://h/v1?v=1"\n[auth]\nenv = "M"\nrequired = true\n'
    )

    shown = run("check", str(path))

    assert shown.return_value == 0
    assert shown.stdout.splitlines()[0] == f"{path}: fine (mine, https://h/v1/chat/completions?v=1)"
    assert "  no default_model: every run needs --model" in shown.stdout
    assert json.loads(run("check", str(path), "--json").output)["mistakes"] == []


def test_prices_in_another_currency_are_told_to_give_no_cost(tmp_path: Path) -> None:
    path = tmp_path / "euro.toml"
    prices = 'input_per_million = 1\noutput_per_million = 2\ndate = 2026-11-01\ncurrency = "EUR"\n'
    path.write_text(f'name = "euro"\ntitle = "Euro"\nbase_url = "https://h/v1"\n[prices]\n{prices}')

    assert "  prices of euro are in EUR; cost_usd stays empty" in run("check", str(path)).stdout
    assert json.loads(run("check", str(path), "--json").output)["warnings"][-1].startswith("prices of euro are in EUR")
    assert said(str(path), "Limits")["prices"].endswith("; no cost is told: costs are in USD only")
    path.write_text(path.read_text().replace("EUR", "USD"))
    assert "in USD" not in run("check", str(path)).stdout
    assert said(str(path), "Limits")["prices"].endswith("read on 2026-11-01")


def test_every_mistake_has_its_line_and_the_code_is_2(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\ntitle = ""\nbase_url = "h"\n[auth]\nenviroment = "M"\n')

    shown = run("check", str(path))

    assert shown.return_value == 2
    assert [line.removeprefix(f"firsttoken: {path}: ").split()[0] for line in shown.stderr.splitlines()] == [
        "auth.enviroment", "title", "base_url",
    ]  # fmt: skip
    assert len(json.loads(run("check", str(path), "--json").output)["mistakes"]) == 3


@pytest.mark.parametrize("verb", ["list", "show", "check"])
def test_help_has_examples(verb: str) -> None:
    assert f"firsttoken profiles {verb}" in run(verb, "--help").output.partition("Examples:")[2]
