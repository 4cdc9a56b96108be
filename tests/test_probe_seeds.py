"""Probes end to end: each seed played by the mock as its document says, wrong profiles, secrets, refusals."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from commands import in_turn

from loadtests.mock import process
from loadtests.probe import Evidence, Talk, asks, diff_lines, judge
from loadtests.profiles import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.probe import Change, Finding
    from loadtests.profiles import Profile

HOME = Path(__file__).resolve().parent.parent
SECRET = "a8Xk2mPq9LtVz3Rb7NcWd5Yf1GhJ4sQe"
PATHS = {"deutschlandgpt": "/v1", "meingpt": "/api/openai/v1", "8080": "/v1", "morpheus": "/api/v1"}
QUICK = ("--ttft", "0.01", "--gap", "0.0005")


def key_of(profile: Profile) -> str:
    return (profile.auth.key_prefix or "") + SECRET


def probed(profile: Profile) -> tuple[dict[str, Finding], list[Change]]:
    """Every request of a probe sent and judged; the findings by their claims."""
    model = profile.default_model or "mock"
    with Talk(profile, model, [key_of(profile)]) as talk:
        planned = asks(profile, model, key_of(profile), tools=True, wrong=True)
        seen = {ask.kind: talk.send(ask) for ask in planned}
    findings, changes = judge(Evidence(profile, model, seen, key_sent=True, key_fits=True))
    return {finding.claim: finding for finding in findings}, changes


@pytest.fixture(scope="module")
def answers() -> dict[str, tuple[Profile, dict[str, Finding], list[Change]]]:
    """What a probe of each seed's mock finds."""
    found = {}
    for name, path in PATHS.items():
        profile = load(name)
        sessions = ("--cold-session", "0.05") if name == "morpheus" else ()
        with process.start(("--provider", name, "--key", key_of(profile), *QUICK, *sessions)) as mock:
            there = profile.with_overrides(base_url=f"http://127.0.0.1:{mock.port}{path}")
            found[name] = (there, *probed(there))
    return found


@pytest.fixture(scope="module")
def generic() -> Iterator[process.MockProcess]:
    with process.start(QUICK) as mock:
        yield mock


@pytest.mark.parametrize("name", PATHS)
def test_no_claim_of_a_seed_is_contradicted(name: str, answers: dict[str, Any]) -> None:
    _, findings, _ = answers[name]

    assert [f for f in findings.values() if f.verdict == "contradicted"] == []
    for claim in ("a streamed answer", "a whole answer", "models_path", "default_model", "auth.header", "auth.required",
                  "output_cap_param", "tools.supported", "finish_required", "errors, status 401"):  # fmt: skip
        assert findings[claim].verdict == "ticked", claim


def test_what_each_seed_is_known_for_is_seen(answers: dict[str, Any]) -> None:
    """What the documents say, as the mock plays it: meinGPT's ignored cap, 8080's clock, Morpheus' five shapes."""
    seen = {(name, claim): f.seen for name, (_, findings, _) in answers.items() for claim, f in findings.items()}

    assert "max_tokens 16 was sent" in seen["meingpt", "output_cap_param"]
    assert seen["meingpt", "errors, status 400"] == "HTTP 400, message at /message"
    assert seen["8080", "stream_usage"] == "in a chunk without choices"
    assert answers["8080"][1]["server_time_paths"].verdict == "ticked"
    assert seen["morpheus", "errors, status 401"] == "HTTP 401, message at /detail"
    assert "message at /detail/0/msg" in seen["morpheus", "errors, status 422"]
    assert answers["morpheus"][1]["rate_limit.reset"].verdict == "ticked"
    assert seen["morpheus", "finish_required"] == "length, with the last text"
    assert "documented without its status" in seen["deutschlandgpt", "errors, status 400"]


def test_morpheus_gets_the_line_for_its_usage(answers: dict[str, Any]) -> None:
    lines = diff_lines(answers["morpheus"][2])

    assert 'stream_usage = "always"   # was "unknown": usage came without asking' in lines


def test_a_profile_with_wrong_claims_is_contradicted_and_mended(generic: process.MockProcess) -> None:
    """The generic mock: usage where it is asked for, [DONE], max_tokens, X-Request-Id, no limits, any temperature."""
    wrong = load("mock").with_overrides(base_url=generic.base_url).model_copy(update={
        "stream_usage": "always", "server_time_paths": ("/took",), "request_id_headers": ("x-my-id",),
        "embedded": False, "verified": "doc", "models_path": "engines",
    })  # fmt: skip

    findings, changes = probed(wrong)
    lines = diff_lines(changes)

    contradicted = {claim for claim, f in findings.items() if f.verdict == "contradicted"}
    assert contradicted == {"stream_usage", "server_time_paths", "request_id_headers", "models_path"}
    assert 'stream_usage = "never"   # was "always": none came' in lines
    assert '# take out: server_time_paths = ["/took"]   # neither answer has it' in lines
    assert 'models_path = ""   # was "engines": HTTP 404' in lines
    assert any(line.startswith('request_id_headers = ["x-request-id"]') for line in lines)
    assert not any(line.startswith("verified") for line in lines)


# The command.


def command(*args: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "loadtests.cli", "probe", *args], capture_output=True, text=True, check=False,
        cwd=folder, env={**os.environ, "PYTHONPATH": str(HOME), **environ}, timeout=300,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_a_refused_key_is_one_line_and_stands_nowhere(generic: process.MockProcess, tmp_path: Path) -> None:
    """A 401 whose body repeats the key: exit 2, and no 8 characters of it in what is printed or kept."""
    profile = tmp_path / "echo.toml"
    profile.write_text(
        f'name = "echo"\ntitle = "Echo"\nbase_url = "{generic.base_url}"\ndefault_model = "mock"\n'
        '[query]\nscenario = "401_echo"\n[auth]\nenv = "ECHO_KEY"\nrequired = true\n'
    )

    done = command("--profile", str(profile), "--out", "t.json", folder=tmp_path, ECHO_KEY=SECRET)

    said = [line for line in done.stderr.splitlines() if line.startswith("firsttoken: ")]
    assert (done.returncode, done.stdout, len(said)) == (2, "", 1)
    assert "refused (key from $ECHO_KEY): auth: HTTP 401" in said[0]
    text = (tmp_path / "t.json").read_text() + done.stderr
    assert not [SECRET[i : i + 8] for i in range(25) if SECRET[i : i + 8] in text]
    assert "Incorrect API key provided" in text


def test_nothing_at_the_port_is_one_line_and_exit_2(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    done = command("--base-url", f"http://127.0.0.1:{port}/v1", folder=tmp_path)

    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f"firsttoken: http://127.0.0.1:{port}/v1 was not reached: connect: ECONNREFUSED Connection refused"
    )
    assert list(tmp_path.iterdir()) == []


def test_json_has_findings_changes_and_the_transcripts_place(generic: process.MockProcess, tmp_path: Path) -> None:
    """A file of one's own that says never: usage is not asked for, and all else is so; it may call itself live."""
    profile = tmp_path / "own.toml"
    profile.write_text(
        f'name = "own"\ntitle = "Own"\nbase_url = "{generic.base_url}"\ndefault_model = "mock"\n'
        'stream_usage = "never"\nunverified = ["models_path", "done_required"]\n'
    )

    done = command("--profile", str(profile), "--json", folder=tmp_path)

    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert 'verified = "live"   # was "unverified": nothing of it was contradicted' in found["diff"]
    assert found["diff"][0].startswith("unverified = []   # was")
    assert {one["verdict"] for one in found["findings"]} == {"ticked", "noted"}
    assert json.loads((tmp_path / found["transcript"]).read_text())["exchanges"][0]["kind"] == "models"


MISTAKES = [
    (("--profile", "meingpt", "--wrong"), "remote, and wrong requests may count against the account; add --yes"),
    (("--profile", "vllm"), "profile vllm has no default_model; name one with --model NAME"),
    (("--out", "no/such/place.json"), "--out no/such/place.json: no file can be written there"),
]


def test_a_users_mistake_is_one_line_before_anything_is_sent(tmp_path: Path) -> None:
    lines = [("probe", *args) for args, _ in MISTAKES]
    ended = in_turn(lines, tmp_path, {"MEINGPT_API_KEY": f"sk_meingpt_{SECRET}"})

    assert [done.returncode for done in ended] == [2] * len(MISTAKES)
    for done, (_, line) in zip(ended, MISTAKES, strict=True):
        assert line in done.stderr.splitlines()[-1]
