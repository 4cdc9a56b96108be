"""What this machine allows: read from the kernel, and what is said when its local ports run out."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from commands import HOME

from loadtests import limits, manifest
from loadtests.errors import of_exception
from loadtests.limits import Limits

if TYPE_CHECKING:
    from pathlib import Path


def kernel(monkeypatch: pytest.MonkeyPatch, folder: Path, **settings: str) -> None:
    """Files where the kernel's settings stand."""
    for name, text in settings.items():
        (folder / name).write_text(text)
    monkeypatch.setattr(limits, "_IPV4", folder)


def test_this_machine_says_its_limits() -> None:
    found = limits.read()

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert (found.open_files, found.open_files_hard) == (soft, hard)
    assert found.local_ports is not None
    assert 0 < (found.ports or 0) <= found.local_ports[1] - found.local_ports[0] + 1
    assert manifest.limits() == found.to_json()


def test_reserved_ports_within_the_range_are_taken_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # 40000-40099 are 100; reserved of them are 40010 and 40090-40099, not 8080 and 40100-40109.
    kernel(
        monkeypatch, tmp_path, ip_local_port_range="40000\t40099\n",
        ip_local_reserved_ports="8080,40010,40090-40109\n", tcp_tw_reuse="2\n",
    )  # fmt: skip

    found = limits.read()

    assert (found.ports, found.span, found.reserved_ports, found.tcp_tw_reuse) == (89, "40000-40099", 11, 2)


def test_what_a_system_does_not_say_is_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(limits, "_IPV4", tmp_path)
    monkeypatch.setattr(limits, "_SOCKETS", (tmp_path / "sockstat",))

    found = limits.read()

    assert (found.local_ports, found.ports, found.reserved_ports, found.tcp_tw_reuse) == (None, None, 0, None)
    assert limits.sockets() is None
    assert limits.no_port_left() == ""


@pytest.mark.parametrize(
    ("inuse", "waiting", "left"),
    [(9, 0, True), (10, 0, False), (2, 8, False), (2, 7, True)],
)
def test_fewer_sockets_than_ports_is_another_cause(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, inuse: int, waiting: int, left: bool
) -> None:
    """Ten ports: with nine sockets of any state one must be free, so EADDRNOTAVAIL means an address."""
    kernel(monkeypatch, tmp_path, ip_local_port_range="40000 40009")
    stat = tmp_path / "sockstat"
    stat.write_text(f"sockets: used 20\nTCP: inuse {inuse} orphan 0 tw {waiting} alloc 9 mem 1\nUDP: inuse 40 mem 0\n")
    monkeypatch.setattr(limits, "_SOCKETS", (stat, tmp_path / "none"))

    text = of_exception(OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"), connecting=True).text

    assert (text == "EADDRNOTAVAIL Cannot assign requested address") is left
    assert ("10 (40000-40009) are taken" in text) is not left


def test_no_limit_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, resource.RLIM_INFINITY))

    assert limits.read()[:2] == (1024, None)


EXHAUST = """
import socket, subprocess, sys
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
open("/proc/sys/net/ipv4/ip_local_port_range", "w").write("40000 40009")
from loadtests import clock
from loadtests.errors import Failure
from loadtests.wire.connection import Connection, Origin
from loadtests.wire.receiver import Receiver

listener = socket.create_server(("127.0.0.1", 8000), backlog=64)
receiver = Receiver()
receiver.set_zero(clock.monotonic_ns())
opened = []
try:
    for _ in range(11):
        opened.append(Connection(receiver, give=print, forget=lambda _: None))
        opened[-1].open(Origin("127.0.0.1", 8000), 20.0)
except Failure as failure:
    print(len(opened), failure.kind, failure.text)
"""


def namespace() -> list[str] | None:
    """The command that gives a process a network of its own; None where this cannot be had."""
    for words in (["unshare", "-n"], ["unshare", "-rn"]):
        try:
            if not subprocess.run([*words, "ip", "link"], capture_output=True, check=False).returncode:
                return words
        except OSError:
            break
    return None


def test_ports_that_run_out_are_said_as_that() -> None:
    """Ten local ports carry ten connections to one address and port; the eleventh fails."""
    own = namespace()
    if own is None:
        pytest.skip("no network namespace can be made here")

    done = subprocess.run(
        [*own, sys.executable, "-c", EXHAUST], cwd=HOME, capture_output=True, text=True, check=True, timeout=60,
        env=os.environ | {"PYTHONPATH": str(HOME)},
    )  # fmt: skip

    assert done.stdout.startswith(
        "11 connect 127.0.0.1:8000: EADDRNOTAVAIL no local port is left for this address: 10 ("
    )
    assert "(40000-40009)" in done.stdout
    assert "ip_local_port_range" in done.stdout


def test_without_a_range_nothing_is_counted() -> None:
    assert Limits().ports is None
    assert Limits().span == ""
