"""A key goes into the request head and nowhere else: not into rows, files, charts, console or Locust's web UI."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import stat
import string
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import orjson
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from conftest import chunked, read_request

from loadtests.cli.run import run

HOME = Path(__file__).resolve().parent.parent
KEY = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(32))
ENV = os.environ | {"PYTHONPATH": str(HOME), "TEST_PROVIDER_KEY": KEY}
PROFILE = """
name = "echo"
title = "A provider that echoes keys"
base_url = "http://127.0.0.1:{port}/v1"
default_model = "m"
[auth]
env = "TEST_PROVIDER_KEY"
required = true
"""
CRASHING = """
import os
from locust import constant, task
from loadtests.plugin import ChatUser

class Asker(ChatUser):
    wait_time = constant(0.2)

    @task
    def ask(self):
        self.complete([{"role": "user", "content": "Name three rivers."}], output_tokens=8)
        raise RuntimeError("it failed with " + os.environ["TEST_PROVIDER_KEY"])
"""


def leaks(text: str) -> list[str]:
    return [KEY[i : i + 8] for i in range(len(KEY) - 7) if KEY[i : i + 8] in text]


def texts(folder: Path) -> dict[str, str]:
    """Every file below a folder as text; parquet as its decoded rows and metadata."""
    found = {}
    for path in folder.rglob("*"):
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            found[str(path)] = f"{table.to_pylist()} {table.schema.metadata} {table.schema}"
        elif path.is_file():
            found[str(path)] = path.read_bytes().decode("latin-1")
    return found


def echoing(seen: list[bytes]) -> Any:
    """
    A provider that echoes the key it was sent wherever it can.

    An error inside a stream, an id, a model, a header, a finish reason, a redirect, and at last a 401.
    """

    def handler(sock: socket.socket) -> None:
        while request := read_request(sock):
            key = next(line for line in request.split(b"\r\n") if line.lower().startswith(b"authorization:")).split()[
                -1
            ]
            seen.append(key)
            json = b"Content-Type: application/json\r\nx-request-id: %b\r\n" % key
            told = b'{"error":{"message":"Incorrect key %b","type":"%b","code":"%b"}}' % (key, key, key)
            match len(seen):
                case 1:
                    body = chunked(
                        b'data: {"id":"%b","model":"%b","choices":[]}\n\n' % (key, key), b"data: %b\n\n" % told
                    )
                    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
                    sock.sendall(head + b"x-request-id: %b\r\n\r\n" % key + body)
                case 2:
                    whole = b'{"id":"%b","model":"%b","choices":[{"index":0,"message":{"content":"%b"},' % (
                        key,
                        key,
                        key,
                    )
                    whole += b'"finish_reason":"%b"}]}' % key
                    sock.sendall(b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (json, len(whole), whole))
                case 3:
                    moved = b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1/?k=%b\r\nContent-Length: 0\r\n\r\n" % key
                    sock.sendall(moved)
                case _:
                    sock.sendall(b"HTTP/1.1 401 No\r\n%bContent-Length: %d\r\n\r\n%b" % (json, len(told), told))

    return handler


def test_a_key_that_a_provider_echoes_is_nowhere(serve: Any, tmp_path: Path) -> None:
    seen: list[bytes] = []
    (tmp_path / "echo.toml").write_text(PROFILE.format(port=serve(echoing(seen)).port))
    words = ("run", "--profile", "echo.toml", "--concurrency", "1", "--requests", "6", "--keep-bodies", "1")
    done = subprocess.run(
        [sys.executable, "-m", "loadtests.cli", *words], cwd=tmp_path, env=ENV, capture_output=True, text=True,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip

    assert seen == [KEY.encode()] * 4
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("firsttoken: ")]
    assert "401" in line
    rows = sorted(pq.read_table(tmp_path / "results/latest/requests.parquet").to_pylist(), key=lambda row: row["seq"])
    assert [(row["outcome"], row["error_kind"]) for row in rows[3:]] == [("error", "auth")]
    files = texts(tmp_path / "results")
    assert {Path(name).name for name in files} >= {"requests.parquet", "run.json", "bodies.jsonl"}
    for name, text in {**files, "console": done.stdout + done.stderr}.items():
        assert not leaks(text), name
    bodies = [orjson.loads(line) for line in (tmp_path / "results/latest/bodies.jsonl").read_bytes().splitlines()]
    assert [body["seq"] for body in bodies] == [0, 1, 2, 3]
    assert "Incorrect key" in bodies[0]["answer"]
    assert stat.S_IMODE((tmp_path / "results/latest/bodies.jsonl").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "results/latest").resolve().stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "words",
    [("--label", f"build={KEY[4:12]}"), ("--model", f"m-{KEY}"), ("--var", f"name={KEY}"), ("--param", f"user={KEY}"),
     ("--base-url", f"http://127.0.0.1:1/{KEY[:8]}"), ("--label", "note=sk-abcdefgh12345678")],
    ids=["label", "model", "var", "param", "base url", "shape"],
)  # fmt: skip
@pytest.mark.parametrize("more", [(), ("--dry-run",)], ids=["run", "dry run"])
def test_a_key_among_the_options_is_refused_in_a_line_without_it(
    words: tuple[str, str], more: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_PROVIDER_KEY", KEY)
    known = "[variables.name]\nmeaning = 'x'\n"
    profile = PROFILE.format(port=1).replace("/v1", "/{name}") if words[0] == "--var" else PROFILE.format(port=1)
    (tmp_path / "echo.toml").write_text(profile + known * (words[0] == "--var"))
    done = CliRunner().invoke(
        run, ["--profile", str(tmp_path / "echo.toml"), "--out", str(tmp_path / "results"), *words, *more]
    )

    assert done.exit_code == 2
    assert done.output.splitlines()[-1].startswith(f"Error: {words[0]} ")
    assert not leaks(done.output)
    assert "sk-abcdefgh" not in done.output
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("program", ["firsttoken", "locust"])
@pytest.mark.slow
def test_a_mistake_that_repeats_the_key_is_masked(program: str, tmp_path: Path) -> None:
    (tmp_path / "echo.toml").write_text(PROFILE.format(port=1))
    command = {
        "firsttoken": ("loadtests.cli", "run", "--profile"),
        "locust": ("locust", "-f", str(HOME / "loadtests" / "locustfile.py"), "--headless", "--provider"),
    }[program]

    done = subprocess.run(
        [sys.executable, "-m", *command, "echo.toml", "--workload", f"{KEY} or sk-abcdefgh12345678"], cwd=tmp_path,
        env=ENV, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip

    assert done.returncode == 2
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("firsttoken: ")]
    assert not leaks(done.stdout + done.stderr)
    assert said.count("█") >= 2
    assert "sk-abcdefgh" not in done.stdout + done.stderr


@pytest.mark.slow
def test_without_its_key_a_run_of_locusts_leaves_nothing(tmp_path: Path, serve: Any) -> None:
    (tmp_path / "echo.toml").write_text(PROFILE.format(port=serve(echoing([])).port))
    done = subprocess.run(
        [sys.executable, "-m", "locust", "-f", str(HOME / "loadtests" / "locustfile.py"), "--headless", "--provider",
         "echo.toml", "-t", "2s"],
        cwd=tmp_path, env=ENV | {"TEST_PROVIDER_KEY": ""}, capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip

    assert done.returncode == 2
    assert "the environment variable TEST_PROVIDER_KEY is not set" in done.stderr
    assert not list(tmp_path.glob("results/*"))


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["summary", "report"])
def test_what_analysis_says_of_it_holds_no_key(verb: str, serve: Any, tmp_path: Path) -> None:
    (tmp_path / "echo.toml").write_text(PROFILE.format(port=serve(echoing([])).port))
    words = ("run", "--profile", "echo.toml", "--concurrency", "1", "--requests", "3", "--no-report", "--json")
    for line in (words, (verb, "results/latest", "--json") if verb == "summary" else (verb, "results/latest")):
        done = subprocess.run(
            [sys.executable, "-m", "loadtests.cli", *line], cwd=tmp_path, env=ENV, capture_output=True, text=True,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert not leaks(done.stdout + done.stderr)
    for name, text in texts(tmp_path / "results").items():
        assert not leaks(text), name


@pytest.mark.slow
def test_a_crash_of_a_users_task_shows_no_key_in_locusts_web_ui(serve: Any, tmp_path: Path) -> None:
    (tmp_path / "crash.py").write_text(CRASHING)
    (tmp_path / "echo.toml").write_text(PROFILE.format(port=serve(echoing([])).port))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    running = subprocess.Popen(
        [sys.executable, "-m", "locust", "-f", "crash.py", "--provider", "echo.toml", "--web-port", str(port),
         "--autostart", "-u", "1", "--accept-errors", "--exclude-tags", KEY],
        cwd=tmp_path, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    shown = {}
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
            for _ in range(900):
                with contextlib.suppress(httpx.TransportError):
                    if client.get("/exceptions").json()["exceptions"]:
                        break
                time.sleep(0.1)
            for page in ("/", "/exceptions", "/exceptions/csv", "/stats/requests", "/stats/failures/csv", "/logs"):
                shown[page] = client.get(page).text
    finally:
        running.terminate()
        console, _ = running.communicate(timeout=60)

    assert "it failed with █" in orjson.loads(shown["/exceptions"])["exceptions"][0]["msg"]
    for name, text in {**shown, **texts(tmp_path / "results"), "console": console}.items():
        assert not leaks(text), name
