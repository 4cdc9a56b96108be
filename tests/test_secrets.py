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
from conftest import chunked, read_request

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
    assert "401" in done.stderr
    files = texts(tmp_path / "results")
    assert {Path(name).name for name in files} >= {"requests.parquet", "run.json", "bodies.jsonl"}
    for name, text in {**files, "console": done.stdout + done.stderr}.items():
        assert not leaks(text), name
    bodies = [orjson.loads(line) for line in (tmp_path / "results/latest/bodies.jsonl").read_bytes().splitlines()]
    assert [body["seq"] for body in bodies] == [0, 1, 2, 3]
    assert "Incorrect key" in bodies[0]["answer"]
    assert stat.S_IMODE((tmp_path / "results/latest/bodies.jsonl").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "results/latest").resolve().stat().st_mode) == 0o700


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
         "--autostart", "-u", "1", "--accept-errors"],
        cwd=tmp_path, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    shown = {}
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
            for _ in range(100):
                with contextlib.suppress(httpx.ConnectError):
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
