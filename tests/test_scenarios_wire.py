"""Every scenario over real sockets: plain, TLS and through httpx's transport; the truth is the same on all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gevent
import gevent.pool
import pytest
from playing import CASES, profile_of, told, truth

from loadtests import clock
from loadtests.mock import process
from loadtests.mock.answer import Voice
from loadtests.mock.options import SCRIPT_OPTIONS
from loadtests.mock.request import Ask, RequestReader
from loadtests.mock.scenarios import SCENARIOS
from loadtests.mock.scene import scene_of
from loadtests.mock.script import Script
from loadtests.send import Sender, Target
from loadtests.workload import Request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playing import Case

    from loadtests.mock.score import Score
    from loadtests.record import Record
    from loadtests.wire.receiver import Receiver

PLAYED = {"ttft_s": 0.01, "gap_s": 0.001, "ttft_sigma": 0.0, "gap_sigma": 0.0, "prefill_s_per_1k_tokens": 0.0,
          "output_tokens": 10, "usage": "always"}  # fmt: skip
SCRIPT = Script(**PLAYED)  # type: ignore[arg-type]
OPTIONS = [word for o in SCRIPT_OPTIONS if o.name in PLAYED for word in (o.flag, str(PLAYED[o.name]))]
QUESTION = "x" * 40  # 10 tokens
AT_ONCE = 32
"""Scenarios in flight together: as many as two processes on one core can play without being late."""

OTHERWISE: dict[str, dict[Case, dict[str, Any]]] = {
    "plain": {},
    "tls": {},
    "httpx": {
        # h11 reads no transfer coding but chunked (RFC 9112, 6.1 lets a client refuse others); llhttp hands it on.
        ("transfer_gzip", True): {"outcome": "error", "error_kind": "protocol", "status": None, "finish_reason": None,
                                  "flags": set(), "output_chars": 0, "output_tokens": None},
    },
}  # fmt: skip
"""By transport, what honestly differs from the truth, and why."""


@pytest.fixture
def mock(transport: str, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The base URL of a mock that speaks plain HTTP, or TLS."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    tls = ["--tls-cert", str(certificate[0]), "--tls-key", str(certificate[1])] if transport == "tls" else []
    with process.start([*OPTIONS, *tls]) as started:
        yield started.base_url


class Client:
    """
    Sends single requests to the mock over one transport.

    On the httpx path the mock is a proxy as well: it takes targets in absolute form, and that path speaks to proxies.
    """

    def __init__(self, receiver: Receiver, base_url: str, transport: str) -> None:
        self._receiver = receiver
        self._base_url = base_url
        self._proxy = base_url.removesuffix("/v1") if transport == "httpx" else None

    def ask(self, case: Case) -> Record:
        """The record of a request for a scenario, or for the usual answer where it has no name."""
        name, stream = case
        is_silent = name in SCENARIOS and (SCENARIOS[name].error_kind or "").startswith("timeout")
        patience_s = 0.8 if is_silent else 60.0
        profile = profile_of(case).with_overrides(
            base_url=f"{self._base_url}?scenario={name}" if name else self._base_url,
            timeouts={"connect": 60.0, "first_byte": patience_s, "silence": patience_s, "total": 90.0},
            proxy=self._proxy,
        )  # fmt: skip
        kept: list[Record] = []
        params = {"n": 3} if name and SCENARIOS[name].n == 3 else {}
        sender = Sender(Target(profile, "mock", params), self._receiver, key="sk-mock", worker=0, keep=kept.append)
        request = Request(1, "chat", ({"role": "user", "content": QUESTION},), stream, None, len(QUESTION), 1)
        record = sender.send(sender.prepare(request, self._receiver.now_ns()))
        sender.close()
        assert kept == [record]
        return record


def score_of(case: Case, record: Record) -> Score:
    """What the mock played for this request, from the number that its answer told; without one it said nothing."""
    number = int((record.request_id or "req-0").removeprefix("req-"))
    now_s = clock.realtime_ns() // 1_000_000_000
    voice = Voice(number, now_s, Ask("mock", 10, None, case[1]), tells_usage=True, keeps_alive=True)
    return SCENARIOS[case[0]].play(scene_of(voice, SCRIPT.play(number, 10, None, case[1]), None, "Bearer sk-mock"))


def difference(case: Case, record: Record) -> dict[str, Any]:
    """
    In what a record is not the scenario's truth.

    `buffered` is left out: on a busy machine the tokens of ten milliseconds may well come in one read.
    """
    score = score_of(case, record)
    expected, found = truth(SCENARIOS[case[0]], score), told(record)
    expected["output_tokens"] = score.tokens if score.tokens is not None else record.output_tokens
    found["output_tokens"] = record.output_tokens
    for row in (expected, found):
        row["flags"] -= {"buffered"}
    if None not in (expected["retry_after_s"], found["retry_after_s"]):
        found["retry_after_s"] = pytest.approx(found["retry_after_s"], abs=3.0)  # a moment comes closer
    return {name: value for name, value in found.items() if value != expected[name]}


def test_the_mock_takes_targets_as_proxies_are_told_them() -> None:
    """RFC 9112, 3.2.2: every server has to."""
    (asked,) = RequestReader().feed(b"GET http://mock:80/api/v1/models?scenario=crlf HTTP/1.1\r\nHost: mock\r\n\r\n")

    assert (asked.path, asked.query) == ("/api/v1/models", "scenario=crlf")


@pytest.mark.parametrize("transport", ["plain", "tls", "httpx"])
def test_every_scenario_is_its_truth_on_every_transport_and_disturbs_no_other(
    transport: str, mock: str, receiver: Receiver
) -> None:
    """All at once, with healthy streams beside them from the first to the last."""
    client = Client(receiver, mock, transport)
    healthy: list[Record] = []
    finished: list[bool] = []
    others = gevent.spawn(lambda: healthy.extend(client.ask(("", True)) for _ in iter(lambda: finished, [True])))
    records = dict(zip(CASES, gevent.pool.Pool(AT_ONCE).imap(client.ask, CASES), strict=True))
    finished.append(True)
    others.get(timeout=60)

    found = {case: made for case, record in records.items() if (made := difference(case, record))}
    assert found == OTHERWISE[transport]
    assert {record.clock for record in records.values()} - {None} == {"user" if transport == "httpx" else "kernel"}
    assert len(healthy) > 10
    assert {(row.outcome, row.finish_reason, row.error) for row in healthy} == {("ok", "stop", None)}
    for row in healthy:
        number = int((row.request_id or "").removeprefix("req-"))
        assert row.output_chars == sum(map(len, SCRIPT.play(number, 10, None, stream=True).texts))
