"""Runs in an S3 store on 127.0.0.1: while they are on, when they are over, killed, or when the store fails."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Final

import orjson
import psutil
import pyarrow.parquet as pq
import pytest
from commands import ENV, rows

from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

pytestmark = pytest.mark.slow

ACCESS: Final = {
    "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing-secret", "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}  # fmt: skip
RUN: Final = r"\d{8}-\d{6}-mock-[0-9a-f]{6}"


class Store:
    """An S3 server with one bucket, called `bucket`."""

    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self.options = f"?endpoint_override=127.0.0.1:{port}&scheme=http"

    def url(self, path: str) -> str:
        """Of what is called so in the bucket."""
        return f"s3://bucket/{path}{self.options}"

    def ask(self, method: str, path: str, data: bytes | None = None) -> str:
        """Of the server, directly."""
        asked = urllib.request.Request(self.base + path, data, {"Content-Type": "text/plain"}, method=method)
        with urllib.request.urlopen(asked) as answer:
            return str(answer.read().decode())

    def names(self, prefix: str) -> list[str]:
        """Objects below a prefix, without it; the empty ones that stand for a folder aside."""
        listed = re.findall(r"<Key>([^<]*)</Key>", self.ask("GET", f"/bucket?list-type=2&prefix={prefix}/"))
        return [name.removeprefix(f"{prefix}/") for name in listed if not name.endswith("/")]

    def anew(self) -> None:
        """Without an object, and who may do what is not asked."""
        self.ask("POST", "/moto-api/reset")
        self.ask("POST", "/moto-api/reset-auth", b"1000000000")
        self.ask("PUT", "/bucket")


@pytest.fixture(scope="module")
def server() -> Iterator[Store]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], env=os.environ | ACCESS,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    store = Store(port)
    for _ in range(900):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            assert process.poll() is None
            time.sleep(0.1)
    else:
        process.kill()
        raise AssertionError("the server did not come up")
    yield store
    process.kill()
    process.wait()


@pytest.fixture
def store(server: Store) -> Store:
    server.anew()
    return server


def begin(words: Sequence[str], cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "loadtests.cli", *words], cwd=cwd, env=ENV | ACCESS, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def firsttoken(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    process = begin(words, cwd)
    out, err = process.communicate(timeout=200)
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def until_objects(store: Store, prefix: str, pattern: str, process: subprocess.Popen[str]) -> list[str]:
    """Wait until one of the objects is called like this; none where the process ended without one."""
    for _ in range(900):
        is_over = process.poll() is not None
        found = store.names(prefix)
        if any(re.fullmatch(pattern, name) for name in found):
            return found
        if is_over:
            return []
        time.sleep(0.1)
    raise AssertionError(found)


def test_a_run_is_in_the_store_while_it_is_on_and_whole_when_it_is_over(store: Store, tmp_path: Path) -> None:
    """8/s for 12 s, one worker: two or three objects of its rows, 5 s apart, then the files of a run and no parts."""
    for _ in range(3):  # on a busy machine, a beat may be so late that the run is over before its second object
        store.anew()
        process = begin(["run", "--duration", "12s", "--keep-bodies", "1", "--out", store.url("a")], tmp_path)
        during = until_objects(store, "a", rf"{RUN}/parts/requests-0/000002\.arrows", process)
        out, err = process.communicate(timeout=200)
        assert process.returncode in (0, 3), err
        if during:
            break

    run = store.ask("GET", "/bucket/a/latest").strip()
    assert re.fullmatch(RUN, run)
    assert f"report: {store.url(f'a/{run}/report.html')}" in out
    assert {f"{run}/run.json", f"{run}/parts/requests-0/000001.arrows", f"{run}/parts/bodies-0/000001.jsonl",
            "latest"} <= set(during)  # fmt: skip
    after = set(store.names("a"))
    assert not any("parts" in name for name in after)
    assert {name for name in after if "/charts/" not in name} == {"latest", *(f"{run}/{name}" for name in (
        record.MANIFEST, record.REQUESTS, record.CLIENT, record.VALIDITY, record.QUANTILES, record.REPORT,
        record.BODIES, "mock.truth"))}  # fmt: skip
    assert not list(tmp_path.iterdir())  # nothing is left here

    told = firsttoken("summary", store.url("a/latest"), "--json", cwd=tmp_path)
    assert (
        orjson.loads(told.stdout)["counts"]["recorded"]
        == orjson.loads(store.ask("GET", f"/bucket/a/{run}/run.json"))["planned"]
    )
    verdict = orjson.loads(told.stdout)["validity"]["verdict"]
    code = 3 if verdict == "invalid" else 0  # this machine was too busy, which is no flaw
    assert told.returncode == process.returncode == code, told.stderr + err
    drawn = firsttoken("report", store.url(f"a/{run}"), cwd=tmp_path)
    assert drawn.stdout.strip() == store.url(f"a/{run}/report.html"), drawn.stderr
    assert set(store.names("a")) == after
    beside = firsttoken("compare", store.url(f"a/{run}"), store.url("a/latest"), cwd=tmp_path)
    assert beside.returncode == code, beside.stderr


def test_a_run_of_which_everything_was_killed_is_repaired_out_of_the_store(store: Store, tmp_path: Path) -> None:
    process = begin(["run", "--duration", "60s", "--workers", "2", "--out", store.url("a")], tmp_path)
    assert until_objects(store, "a", rf"{RUN}/parts/requests-1/000001\.arrows", process)
    assert until_objects(store, "a", "latest", process)
    everyone = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    for one in everyone:
        one.send_signal(signal.SIGSTOP)
    for one in everyone:
        one.kill()
    process.communicate()
    (run,) = {name.split("/")[0] for name in store.names("a")} - {"latest"}
    planned = orjson.loads(store.ask("GET", f"/bucket/a/{run}/run.json"))["planned"]

    told = firsttoken("summary", store.url("a/latest"), cwd=tmp_path)
    assert "unfinished" in told.stdout, told.stderr
    on = firsttoken("repair", store.url("a/latest"), cwd=tmp_path)
    assert (on.returncode, "the run is on" in on.stderr) == (2, True)  # its last object came just now
    (local,) = tmp_path.glob(f"results/.staging/*/{run}")
    mended = firsttoken("repair", str(local), "--out", store.url("a"), cwd=tmp_path)
    assert mended.returncode == 0, mended.stderr
    assert not any("parts" in name for name in store.names("a"))
    kept = rows(tmp_path, local)
    assert len(kept) == planned == kept["seq"].nunique()
    assert (kept["outcome"] == "ok").any()


def test_a_store_that_fails_costs_no_row_and_is_told_how_to_get_them(store: Store, tmp_path: Path) -> None:
    """The bucket is gone when the run is half over, and back when somebody does what the message says."""
    process = begin(["run", "--duration", "10s", "--no-report", "--out", store.url("a")], tmp_path)
    assert until_objects(store, "a", "latest", process)
    store.ask("POST", "/moto-api/reset")
    _, err = process.communicate(timeout=200)

    assert process.returncode == 3
    said = re.search(r"does not exist; the run is kept in (\S+): `firsttoken (.*)` puts it there\n", err)
    assert said is not None, err
    assert pq.read_table(tmp_path / said[1] / record.REQUESTS).num_rows > 50
    store.anew()
    again = firsttoken(*shlex.split(said[2]), cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert {f"{said[1].rpartition('/')[2]}/{record.REQUESTS}", "latest"} < set(store.names("a"))


@pytest.mark.parametrize(
    ("prepare", "words", "text"),
    [
        ("", "s3://none/a{}", "bucket does not exist"),
        ("/moto-api/reset-auth", "s3://bucket/a{}", "Access Key Id you provided does not exist"),
        ("", "s3://bucket/a?endpoint_override=127.0.0.1:1&scheme=http", "Could not connect"),
        ("", "s3://testing:testing-secret@bucket/a{}", "the environment has it"),
    ],
    ids=["missing", "refused", "nobody", "password"],
)
def test_where_nothing_can_be_kept_nothing_is_sent(
    store: Store, tmp_path: Path, prepare: str, words: str, text: str
) -> None:
    if prepare:
        store.ask("POST", prepare, b"0")
    done = firsttoken("run", "--out", words.format(store.options), cwd=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert text in done.stderr
    assert "testing-secret" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_campaign_goes_into_the_store_as_one(store: Store, tmp_path: Path) -> None:
    done = firsttoken(
        "run", "--profile", "mock", "--duration", "2s", "--repeats", "2", "--rest", "0", "--no-report", "--out",
        store.url("a"), cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode in (0, 3), done.stderr
    folder = store.ask("GET", "/bucket/a/latest").strip()

    kept = set(store.names("a"))
    assert {f"{folder}/campaign.json", *(f"{folder}/{n}/{record.REQUESTS}" for n in ("01", "02"))} < kept
    assert f"campaign: {store.url(f'a/{folder}')}" in done.stderr
    told = firsttoken("summary", store.url("a/latest"), "--json", cwd=tmp_path)
    assert len(orjson.loads(told.stdout)) == 2
    one = firsttoken("summary", store.url("a/latest/02"), cwd=tmp_path)
    assert f"{folder}/02" in one.stdout.replace("\n", ""), one.stderr


def test_an_object_that_would_leave_its_folder_is_refused(store: Store, tmp_path: Path) -> None:
    store.ask("PUT", "/bucket/a/run/run.json", b"{}")
    store.ask("PUT", "/bucket/a/run/%2E%2E/%2E%2E/x", b"x")
    done = firsttoken("summary", store.url("a/run"), cwd=tmp_path)

    assert (done.returncode, "which firsttoken never wrote" in done.stderr) == (2, True)
