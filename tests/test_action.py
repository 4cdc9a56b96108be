"""action.yml: its inputs reach the scripts as data alone, and its scripts do what they say, played against a mock."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from commands import EXACT, HOME

from loadtests.mock import process

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Comes with the extra test: huggingface-hub, under tokenizers, needs it.
ACTION: Final[dict[str, Any]] = pytest.importorskip("yaml").safe_load((HOME / "action.yml").read_text())
STEPS: Final[list[dict[str, Any]]] = ACTION["runs"]["steps"]
SCRIPTS: Final = {step.get("id", "comment"): step for step in STEPS if "run" in step}
BIN: Final = str(Path(sys.executable).parent)


def test_every_input_is_used_and_every_used_one_exists() -> None:
    used = set(re.findall(r"inputs\.([a-z-]+)", json.dumps(STEPS)))

    assert used == set(ACTION["inputs"])
    assert all(told["description"] for told in (*ACTION["inputs"].values(), *ACTION["outputs"].values()))


def test_every_output_is_one_that_a_step_sets() -> None:
    named = re.findall(r"steps\.([a-z]+)\.outputs\.([a-z-]+)", json.dumps(ACTION))

    for step, output in named:
        assert step in {one.get("id") for one in STEPS}
        if step in SCRIPTS:
            assert f"{output}=" in SCRIPTS[step]["run"], (step, output)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_sound_and_holds_no_expression(name: str) -> None:
    """What GitHub fills in stands in `env`, so nobody's words become a command; every variable of ours is in it."""
    script, env = SCRIPTS[name]["run"], SCRIPTS[name]["env"]
    assert "${{" not in script
    assert SCRIPTS[name]["shell"] == "bash"
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0

    assigned = set(re.findall(r"\b([A-Z_]+)=", script))
    read = set(re.findall(r"\$\{?([A-Z_]+)", script))
    assert read <= set(env) | assigned | {"GITHUB_OUTPUT", "GITHUB_SHA", "GITHUB_ACTION_PATH", "RUNNER_TEMP"}
    assert set(env) <= read | {"GITHUB_TOKEN", "PULL", "ARTIFACT"}  # these are read by comment.py


# Played as GitHub would.


class Job:
    """A job's folder, and what its steps have said."""

    def __init__(self, folder: Path, **inputs: str) -> None:
        self.folder = folder
        self.inputs = {name: str(told.get("default", "")) for name, told in ACTION["inputs"].items()} | inputs
        self.outputs: dict[str, dict[str, str]] = {"install": {"bin": BIN}}

    def step(self, name: str, more: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run one step's script."""
        told = self.folder / f"output-{name}"
        told.touch()
        env = {key: self._filled(value) for key, value in SCRIPTS[name]["env"].items()}
        github = {
            "GITHUB_OUTPUT": str(told), "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"), "GITHUB_SHA": "0123abc",
            "GITHUB_ACTIONS": "true", "GITHUB_ACTION_PATH": str(HOME), "RUNNER_TEMP": str(self.folder),
        }  # fmt: skip
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", SCRIPTS[name]["run"]], cwd=self.folder,
            env={**os.environ, **github, **env, **(more or {})}, capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL, timeout=180,
        )  # fmt: skip
        self.outputs[name] = dict(line.split("=", 1) for line in told.read_text().splitlines())
        return done

    def _filled(self, text: str) -> str:
        """What an expression of ours says: an input, a step's output, else nothing."""

        def value(found: re.Match[str]) -> str:
            words = found[1].split(".")
            if words[0] == "inputs":
                return self.inputs[words[1]]
            return self.outputs.get(words[1], {}).get(words[3], "") if words[0] == "steps" else ""

        return re.sub(r"\$\{\{ ([a-z_.-]+)[^}]*\}\}", value, str(text))


@pytest.fixture
def server() -> Iterator[str]:
    """A mock that answers in 50 ms."""
    with process.start((*EXACT, "--ttft", "0.05", "--gap", "0.005", "--output-tokens", "8")) as mock:
        yield mock.base_url


@pytest.mark.slow
def test_the_action_runs_gates_and_keeps_a_baseline(tmp_path: Path, server: str) -> None:
    """An objective that 50 ms keep passes, one that they miss is a regression with code 1, in the words of the gate."""
    job = Job(
        tmp_path, **{"base-url": server, "model": "mock", "rate": "20", "duration": "2s", "repeats": "2",
                     "run-args": "--rest 0 --label 'note=two words; touch pwned'",
                     "objectives": "ttft_p50<1s\n\nerror_rate<50%\n"},
    )  # fmt: skip

    ran = job.step("run")
    assert ran.returncode == 0, ran.stderr
    runs = tmp_path / job.outputs["run"]["runs"]
    manifest = json.loads((runs / "01" / "run.json").read_text())
    assert manifest["labels"] == {"commit": "0123abc", "note": "two words; touch pwned"}
    assert not (tmp_path / "pwned").exists()

    assert job.step("report").returncode == 0
    assert (tmp_path / job.outputs["report"]["report"]).is_file()

    gated = job.step("gate")
    assert job.outputs["gate"]["verdict"] in {"pass", "inconclusive", "invalid"}, gated.stderr
    assert str(gated.returncode) == job.outputs["gate"]["exit-code"]
    assert (tmp_path / "summary.md").read_text().startswith("<!-- firsttoken gate -->")

    job.step("keep")
    job.inputs["baseline-cache"] = "latency"
    assert len(list((tmp_path / "firsttoken-baseline").glob("*.parquet"))) == 2

    job.inputs["objectives"] = "ttft_p50<10ms"
    assert job.step("run").returncode == 0
    missed = job.step("gate")
    assert job.outputs["gate"] in (
        {"verdict": "regression", "exit-code": "1"},
        {"verdict": "invalid", "exit-code": "3"},
    )
    assert missed.returncode in {1, 3}  # 3: this machine was too busy for a valid run
    assert "TTFT" in missed.stdout  # held against the baseline that was kept

    job.inputs["objectives"] = "ttft_p50<nonsense"
    assert job.step("gate").returncode == 2
    assert job.outputs["gate"] == {"verdict": "error", "exit-code": "2"}


def test_without_baseline_and_objectives_there_is_nothing_to_judge_by(tmp_path: Path) -> None:
    job = Job(tmp_path)

    assert job.step("gate").returncode == 0
    assert job.outputs["gate"] == {"verdict": "none", "exit-code": "0"}


def test_a_baseline_that_another_gate_of_the_job_has_kept_is_none_of_this_one(tmp_path: Path) -> None:
    """Where no name in the cache was given, what lies in its folder was not fetched for this gate."""
    (tmp_path / "firsttoken-baseline").mkdir()
    job = Job(tmp_path)
    job.outputs["run"] = {"runs": "firsttoken-runs/r"}

    assert job.step("gate").returncode == 0
    assert job.outputs["gate"]["verdict"] == "none"
    job.inputs["baseline-cache"] = "latency"
    assert job.step("gate").returncode == 2  # no run in either of them


def test_a_verdict_of_another_gate_is_not_told_again(tmp_path: Path, pull: tuple[type[Pull], dict[str, str]]) -> None:
    """This one's runs cannot begin, and the comment's step comes always."""
    github, env = pull
    (tmp_path / "firsttoken-gate").mkdir()
    (tmp_path / "firsttoken-gate" / "comment.md").write_text("<!-- firsttoken gate -->\nanother's\n")
    job = Job(tmp_path, **{"run-args": "--nonsense", "model": "m"})

    assert job.step("run").returncode == 2
    assert job.step("comment", env).returncode == 0
    assert len(github.comments) == 120


def test_a_mistake_in_the_inputs_ends_the_run_step(tmp_path: Path) -> None:
    job = Job(tmp_path, **{"run-args": "--nonsense", "model": "m"})

    assert job.step("run").returncode == 2
    assert job.outputs["run"] == {"exit-code": "2"}
    assert job.step("run", {"RUN_ARGS": "'"}).returncode != 0


# The comment.


class Pull(BaseHTTPRequestHandler):
    """The comments of one pull request, as GitHub's interface gives them: pages of 100."""

    comments: list[dict[str, Any]]
    may_write = True

    def do_GET(self) -> None:  # noqa: D102 - the library's names
        page = int(self.path.rpartition("page=")[2])
        self._answer(200, self.comments[100 * (page - 1) : 100 * page])

    def do_POST(self) -> None:  # noqa: D102
        if self._body() and self.may_write:
            self.comments.append({"id": len(self.comments), "body": self.body})
        self._answer(201 if self.may_write else 403, {})

    def do_PATCH(self) -> None:  # noqa: D102
        self._body()
        self.comments[int(self.path.rpartition("/")[2])]["body"] = self.body
        self._answer(200, {})

    def _body(self) -> str:
        self.body = str(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"])
        return self.body

    def _answer(self, status: int, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def pull() -> Iterator[tuple[type[Pull], dict[str, str]]]:
    """The pull request, and the environment by which the comment's step finds it."""

    class Mine(Pull):
        comments: list[dict[str, Any]] = [{"id": i, "body": None if i else "hello"} for i in range(120)]  # noqa: RUF012

    server = ThreadingHTTPServer(("127.0.0.1", 0), Mine)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    env = {"GITHUB_API_URL": f"http://127.0.0.1:{server.server_port}", "GITHUB_REPOSITORY": "a/b",
           "GITHUB_TOKEN": "t", "PULL": "7", "ARTIFACT": "http://127.0.0.1/artifact"}  # fmt: skip
    yield Mine, env
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_second_comment_takes_the_place_of_the_first(tmp_path: Path, pull: tuple[type[Pull], dict[str, str]]) -> None:
    """Behind 120 comments of others: one more after the first gate, still that one after the second."""
    github, env = pull
    (tmp_path / "firsttoken-gate").mkdir()
    for text in ("first", "second"):
        (tmp_path / "firsttoken-gate" / "comment.md").write_text(f"<!-- firsttoken gate -->\n{text}\n")
        done = Job(tmp_path).step("comment", env)
        assert (done.returncode, done.stdout) == (0, "")

    assert len(github.comments) == 121
    assert github.comments[-1]["body"] == (
        "<!-- firsttoken gate -->\nsecond\n\n[Report, runs and verdict](http://127.0.0.1/artifact)\n"
    )


def test_a_network_that_fails_is_a_warning(tmp_path: Path, pull: tuple[type[Pull], dict[str, str]]) -> None:
    """The connection is closed without a word: the gate has passed or failed by its own, and the job with it."""
    github, env = pull
    github._answer = lambda self, *_: self.connection.close()  # type: ignore[method-assign]
    (tmp_path / "firsttoken-gate").mkdir()
    (tmp_path / "firsttoken-gate" / "comment.md").write_text("<!-- firsttoken gate -->\n")

    done = Job(tmp_path).step("comment", env)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("::warning::firsttoken: no comment on the pull request: Remote end closed")


def test_a_token_that_may_not_write_is_a_warning(tmp_path: Path, pull: tuple[type[Pull], dict[str, str]]) -> None:
    """As that of a pull request from a fork."""
    github, env = pull
    github.may_write = False
    (tmp_path / "firsttoken-gate").mkdir()
    (tmp_path / "firsttoken-gate" / "comment.md").write_text("<!-- firsttoken gate -->\n")

    done = Job(tmp_path).step("comment", env)

    assert done.returncode == 0
    assert done.stdout.startswith("::warning::firsttoken: no comment on the pull request: HTTP Error 403")
