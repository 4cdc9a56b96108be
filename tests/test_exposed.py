"""A run's figures for a Prometheus server: the text by what workers told, and its address while the run is on."""

from __future__ import annotations

import contextlib
import socket
import time
import urllib.request
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import commands
import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from loadtests import histogram, manifest
from loadtests.cli.exposing import info_of
from loadtests.cli.run import run
from loadtests.exposed import Endpoint, EndpointError
from loadtests.fleet import Member
from loadtests.guard import know
from loadtests.live import Side
from loadtests.plan import Arm, Plan
from loadtests.standing import Following

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

INFO = {"run": "r-1", "profile": "vllm", "model": "m", "load": "poisson 8/s"}
PLAN = Plan((Arm("a", "m"), Arm("b", "m")), together=True, arrivals="constant", rate=10.0, duration_s=8.0)


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        return str(answer.read().decode())


def values(text: str) -> dict[str, float]:
    """By name and labels as they stand there; the way of a Prometheus server through its own parser."""
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for one in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in one.labels.items())
            found[f"{one.name}{{{labels}}}" if labels else one.name] = one.value
    return found


def counted(*times_ms: float) -> histogram.Bins:
    bins: histogram.Bins = {}
    for ms in times_ms:
        histogram.add(bins, {histogram.bin_of(round(ms * 1e6)): 1})
    return bins


def member(number: int, arms: dict[str, Side], **status: Any) -> Member:
    told = {"t_s": 4.0, "issued": 9, "in_flight": 2, "waiting": 1, "slot": 0, "slot_ns": 0, "health": {}}
    return Member(number, status=told | {"arms": {k: v.to_json() for k, v in arms.items()}} | status, started=True)


def shown(*members: Member, info: dict[str, str] = INFO) -> dict[str, float]:
    with Endpoint("127.0.0.1", 0) as endpoint:
        endpoint.tell(Following(PLAN).of(members), info)
        return values(get(endpoint.url))


def test_what_workers_told_is_what_prometheus_reads() -> None:
    """Two workers; of arm a three answers in all, after 10, 11 and 120 ms: one is at most 10 ms, two at most 15."""
    one = Side(2, 1, 0, 3, 70, {"reset": 1}, counted(10, 120), counted(0.1), 0.13, 0.0001)
    two = Side(1, 0, 1, 0, 30, {}, counted(11), {}, 0.011, 0.0)
    found = shown(
        member(0, {"a": one}, health={"cpu": 0.5, "send_lag_p99_us": 250}),
        member(1, {"a": two, "b": Side(ok=5)}, health={"cpu": 0.25}),
    )

    assert {name: found[f"firsttoken_{name}"] for name in ("in_flight", "waiting", "workers", "workers_lost")} == {
        "in_flight": 4, "waiting": 2, "workers": 2, "workers_lost": 0,
    }  # fmt: skip
    assert found["firsttoken_requests_picked_up_total"] == 18
    assert found["firsttoken_arrivals_due_total"] == 82  # 10/s, both arms, at 4 s: 41 of each
    outcomes = [
        found[f"firsttoken_requests_total{{arm=a,outcome={w}}}"] for w in ("ok", "error", "cancelled", "unsent")
    ]
    assert outcomes == [3, 1, 1, 3]
    assert found["firsttoken_requests_total{arm=b,outcome=ok}"] == 5
    assert found["firsttoken_errors_total{arm=a,kind=reset}"] == 1
    assert found["firsttoken_output_tokens_total{arm=a}"] == 100
    buckets = [
        found[f"firsttoken_ttft_seconds_bucket{{arm=a,le={le}}}"] for le in ("0.01", "0.015", "0.1", "0.15", "+Inf")
    ]
    assert buckets == [1, 2, 2, 3, 3]
    assert found["firsttoken_ttft_seconds_count{arm=a}"] == 3
    assert found["firsttoken_ttft_seconds_sum{arm=a}"] == pytest.approx(0.141)
    assert found["firsttoken_tpot_seconds_bucket{arm=a,le=0.0001}"] == 1
    assert found["firsttoken_client_cpu_ratio{worker=0}"] == 0.5
    assert found["firsttoken_client_send_lag_seconds{worker=0}"] == pytest.approx(0.00025)
    assert "firsttoken_client_send_lag_seconds{worker=1}" not in found
    assert found["firsttoken_run_info{load=poisson 8/s,model=m,profile=vllm,run=r-1}"] == 1


def test_a_closed_loop_has_nothing_due() -> None:
    standing = Following(Plan.single("m", mode="closed", concurrency=3, duration_s=5.0)).of([])
    with Endpoint("127.0.0.1", 0) as endpoint:
        assert get(endpoint.url) == ""
        endpoint.tell(standing, INFO)
        assert "due" not in get(endpoint.url)


def test_no_label_holds_a_secret() -> None:
    know(["hush-hush-a-secret-of-ours"])
    found = shown(info=INFO | {"model": "m-hush-hush-a-secret-of-ours", "load": "sk-proj-abcdefghijklmnopqrstuvwx"})

    assert "hush" not in "".join(found)
    assert "abcdef" not in "".join(found)


def test_an_address_that_cannot_be_listened_at_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            EndpointError, match=rf"^--metrics-port {port}: cannot listen at 127.0.0.1: Address already"
        ):
            Endpoint("127.0.0.1", port)
    with pytest.raises(EndpointError, match=r"--metrics-port 0: cannot listen at 192.0.2.1: Cannot assign"):
        Endpoint("192.0.2.1", 0)
    with pytest.raises(EndpointError, match=r"cannot listen at x{64}: no name of a host; "):
        Endpoint("x" * 64, 0)


def test_a_host_without_a_port_is_a_mistake(tmp_path: Path) -> None:
    done = CliRunner().invoke(run, ["--metrics-host", "::1", "--out", str(tmp_path / "r")])

    assert done.exit_code == 2
    assert "--metrics-host ::1: says where --metrics-port listens; give that, too" in done.output
    assert not (tmp_path / "r").exists()


def test_it_listens_where_it_is_asked_to_and_goes_when_it_is_over() -> None:
    with Endpoint("::1", 0) as endpoint:
        assert endpoint.url.startswith("http://[::1]:")
        assert get(endpoint.url) == ""
    with pytest.raises(OSError, match="refused"):
        get(endpoint.url)


def test_who_goes_away_in_the_middle_is_no_flaw(capfd: pytest.CaptureFixture[str]) -> None:
    with Endpoint("127.0.0.1", 0) as endpoint:
        endpoint.tell(Following(PLAN).of([]), INFO)
        port = int(endpoint.url.split(":")[2].partition("/")[0])
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # closing it resets
            sock.send(b"GET / HTTP/1.0\r\n")
        assert "firsttoken" in get(endpoint.url)

    assert capfd.readouterr().err == ""


def test_a_run_says_which_one_it_is() -> None:
    profile = SimpleNamespace(name="vllm")
    info = info_of(SimpleNamespace(plan=PLAN, profiles=[profile, profile]))  # type: ignore[arg-type]

    assert info == {
        "profile": "vllm", "model": "m",
        "load": "open loop, constant 10/s: 80 requests in 8 s, 2 arms together",
    }  # fmt: skip


@pytest.mark.slow
def test_while_a_sweep_is_on_its_figures_are_there(tmp_path: Path) -> None:
    """
    Two runs of 3 s at 20/s against the mock; what was last seen is no more than what their rows say.

    How much of a run is seen is this machine's matter, too, which may hold up who looks: the best of three counts.
    """
    words = (
        "--rates",
        "20",
        "--repeats",
        "2",
        "--duration",
        "3s",
        "--rest",
        "0s",
        "--no-report",
        "--metrics-port",
        "0",
    )
    for _ in range(3):
        seen, code = watched(commands.start("sweep", *words, cwd=tmp_path))
        if len(seen) == 2 and min(seen.values()) > 40:
            break
    folder = commands.latest(tmp_path)

    assert code in {0, 3}
    assert sorted(seen) == [f"{folder.name}/01", f"{folder.name}/02"]
    for name, ok in seen.items():
        assert 40 < ok <= manifest.read(folder.parent / name)["planned"]


def watched(popen: subprocess.Popen[str]) -> tuple[dict[str, float], int]:
    """How many answers of each run were seen at last, and how the command ended."""
    assert popen.stderr is not None
    url = next(line for line in popen.stderr if line.startswith("metrics: ")).split()[1]
    seen: dict[str, float] = {}
    now = ""
    while popen.poll() is None:
        with contextlib.suppress(OSError):  # it is about to end, or was held up
            for name, value in values(get(url)).items():
                if name.startswith("firsttoken_run_info"):
                    now = name.partition("run=")[2].rstrip("}")
                if name == "firsttoken_requests_total{arm=default,outcome=ok}":
                    seen[now] = value
        time.sleep(0.05)
    popen.communicate(timeout=120)
    return seen, popen.returncode
