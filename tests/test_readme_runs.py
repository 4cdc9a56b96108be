"""
Each command of the README runs: its shell blocks one after the other in one folder, as a reader would paste them.

What is shortened, and what a test cannot have (another machine, a key, two minutes), stands in the tables below; all
else is run as it is printed. Codes are looked at command by command.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL
from socket import create_server
from typing import TYPE_CHECKING, Final

import pytest
from commands import EXACT, HOME
from test_readme import BLOCKS, TEXT

from loadtests.mock import process

if TYPE_CHECKING:
    from collections.abc import Iterator

ELSEWHERE: Final = {
    "pip install": "the commands of the first screen, which .ci/run runs as they stand",
    "firsttoken calibrate": "minutes of a machine that does nothing else; test_calibrate.py plays a ladder",
}
"""Blocks that are not run here, by what they hold, and why."""

UP: Final = """\
for port in $(jobs | grep -o 'port [0-9]*' | cut -c6-); do
  until (: < /dev/tcp/127.0.0.1/$port) 2> /dev/null; do sleep 0.1; done
done"""
"""Waits until the mocks that the shell has started listen."""

SHORTER: Final = (
    (r"--duration \d+[sm]", "--duration 2s", "long enough for a verdict of some kind"),
    (r"--rest 30s", "--rest 0", "nothing warms up here"),
    (r"--repeats 20", "--repeats 4 --rest 0", "the splits are fewer"),
    (r"--repeats 5", "--repeats 2 --rest 0", "no regression can be told, and none is asked for"),
    (r"--rates 1\.\.10:5", "--rates 2,4 --repeats 1 --rest 0", "two points of the curve"),
    (r"(--objective 'ttft_p95<1s') --duration 2s", r"\1 --duration 2s --probes 3 --most 8", "a search that gives up"),
    (r"^sleep 2$", UP, "however long they take"),
    (r"sleep 12", "sleep 4", "what is listened to has begun by then"),
    (r"--duration 2s (--metrics-port)", r"--duration 8s \1", "and is not over"),
    (r"(--workload conversation) --rate 0\.5", r"\1 --dry-run --rate 4", "its turns think for seconds each"),
    (r"--rate 900", "--rate 20", "one worker"),
    (r"--expect-workers 4", "--expect-workers 1 --bind 127.0.0.1:$PORT &", "the other machine is this one"),
    (r"--master 10\.0\.0\.5 .*", "--master 127.0.0.1:$PORT", "the same"),
    (r"http://10\.0\.0\.7:8000/v1", "$SERVER", "the server of the reader"),
    (r"--profile llamacpp", "--profile llamacpp --base-url $SERVER", "the same"),
    (r"--profile vllm (--model m )", r"--profile vllm --base-url $SERVER \1", "the same, at its usual port"),
    (r"(--profile openai.*?)( +#.*)?$", r"\1 --dry-run", "a key, and money"),
    (
        r"--provider mock +# web UI.*",
        "--provider mock --web-port 0 --autostart --autoquit 0 -u 1 -t 5s",
        "nobody clicks",
    ),
    (r"(--provider mock --headless --stages stages.toml)", r"\1 -t 5s", "the stages last minutes"),
    (r"-f loadtests/locustfile.py", f"-f {HOME}/loadtests/locustfile.py", "another folder"),
    (r"capacity results/A results/B", "capacity results/latest searched", "the reader's own searches"),
    (r"(--out (?:main|pr))$", r"\1 --no-report", "pages are drawn in other blocks"),
    (r"(--label commit=\$)", r"--duration 2s --no-report \1", "in place of the usual minute"),
    (r"\$\(git rev-parse --short HEAD\)", "0123abc", "no repository"),
)
"""Pattern, what takes its place, and why that keeps the meaning; in this order."""

CODES: Final = {"gate": {0, 1, 3, 4}, "aa": {0, 4}, "capacity": {0, 1, 3, 4}, "plan": {0}, "profiles": {0}, "runs": {0}}
"""
What verbs may end with where it is about numbers; else 0, or 3: this machine was too busy for a valid run.

Gates and searches say what they found, on a busy machine also that no objective is met.
"""


SHIM: Final = """#!/usr/bin/env bash
name=$(basename "$0")
[[ ${1-} != mock ]] || exec BIN/$name "$@"
BIN/$name "$@"
echo "$? ${name/firsttoken/} $*" >> codes
"""
"""In the place of each command: it tells its code, and ends no block. A mock is the process that the shell ends."""


def shortened(block: str) -> str:
    """The block with the table's substitutions, line by line where a pattern speaks of a line's end."""
    for pattern, instead, _ in SHORTER:
        block = re.sub(pattern, instead, block, flags=re.MULTILINE)
    return block


def called(block: str) -> int:
    """How many commands a block has that tell their codes."""
    return len(re.findall(r"(?:^|&& |\w=\S+ )(?:firsttoken|locust) ", block, re.MULTILINE)) - block.count("mock --p")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """What answers wherever the README means a server of the reader's."""
    with process.start((*EXACT, "--ttft", "0.05", "--gap", "0.005", "--output-tokens", "8")) as mock:
        yield mock.base_url


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, server: str) -> Path:
    """Where the blocks run: with the files that the README prints, and three runs called A, B and C."""
    made = tmp_path_factory.mktemp("readme")
    (made / "bin").mkdir()
    for name in ("firsttoken", "locust"):
        (made / "bin" / name).write_text(SHIM.replace("BIN", str(Path(sys.executable).parent)))
        (made / "bin" / name).chmod(0o755)
    for name, block in re.findall(r"^```toml\n# (\w+\.toml).*?\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL):
        (made / name).write_text(block)
    line = (
        f"firsttoken run --profile vllm --model m --base-url {server} --rate 10 --duration 2s --no-report --out first"
    )
    for name in "ABC":
        bash(f'{line} && mkdir -p results && mv "$(realpath first/latest)" results/{name}', made, server)
    (made / "codes").unlink()
    return made


def bash(script: str, folder: Path, server: str) -> subprocess.CompletedProcess[str]:
    """A script in a shell of its own, as in a terminal without one."""
    with create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    path = f"{folder / 'bin'}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    shell = subprocess.Popen(
        ["bash", "-uc", script], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PATH": path, "PYTHONPATH": str(HOME), "SERVER": server, "PORT": port},
        stdin=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        out, err = shell.communicate(timeout=400)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, SIGKILL)
    return subprocess.CompletedProcess(script, shell.returncode, out, err)


def allowed(line: str) -> bool:
    """Whether this command may end with this code."""
    code, verb = line.split()[:2]
    return int(code) in CODES.get(verb, {0, 3})


@pytest.mark.slow
def test_every_command_runs(folder: Path, server: str) -> None:
    """In the README's order, since a block reads what the one before it left; the notebook's block at the end."""
    for block in (block for block in BLOCKS if not any(words in block for words in ELSEWHERE)):
        done = bash(shortened(block), folder, server)
        codes = (folder / "codes").read_text().splitlines()
        (folder / "codes").unlink()
        if "capacity" in block and not (folder / "searched").exists():
            shutil.copytree((folder / "results" / "latest").resolve(), folder / "searched")

        assert [line for line in codes if not allowed(line)] == [], done.stderr
        assert len(codes) == called(block), (block, codes)
        assert "Traceback" not in done.stderr, done.stderr


@pytest.mark.slow
def test_the_notebook_of_the_readme_runs(folder: Path) -> None:
    """Against one of the runs that are there."""
    block = next(
        found for found in re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL) if "load(" in found
    )
    script = block.replace("results/latest", "results/A")
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=os.environ | {"PYTHONPATH": str(HOME)}, capture_output=True,
        text=True, check=False, timeout=240,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr


def test_no_exception_is_left_over() -> None:
    """Each pattern finds something, and each exception is of a block that is there."""
    assert all(any(words in block for block in BLOCKS) for words in ELSEWHERE)
    text = "\n".join(BLOCKS)
    for pattern, instead, why in SHORTER:
        assert why
        after = re.sub(pattern, instead, text, flags=re.MULTILINE)
        assert after != text, pattern
        text = after
