"""What the mock tells of itself at /metrics, while it is busy and after."""

from __future__ import annotations

import http.client
from contextlib import closing
from typing import TYPE_CHECKING

import orjson
import pytest

from loadtests.mock.process import start
from loadtests.scrape.exposition import read

if TYPE_CHECKING:
    from loadtests.mock.process import MockProcess

EXACT = ("--ttft", "0.05", "--ttft-sigma", "0", "--gap", "0.05", "--gap-sigma", "0", "--prefill", "0")
PROMPT = 40
"""Characters, which are 10 tokens."""


def figures(mock: MockProcess, key: str = "") -> dict[str, float]:
    """What it says now, by name and labels."""
    with closing(http.client.HTTPConnection("127.0.0.1", mock.port, timeout=60)) as there:
        there.request("GET", "/metrics", headers={"Authorization": key} if key else {})
        answer = there.getresponse()
        assert answer.status == 200
        found, _ = read(answer.read().decode(), answer.headers["Content-Type"])
    return {one.name + (f"{{{one.labels}}}" if one.labels else ""): one.value for one in found}


def ask(mock: MockProcess, tokens: int, *, stream: bool) -> http.client.HTTPConnection:
    """A request on a connection of its own."""
    there = http.client.HTTPConnection("127.0.0.1", mock.port, timeout=60)
    messages = [{"role": "user", "content": "x" * PROMPT}]
    body = {"model": "m", "messages": messages, "stream": stream, "max_tokens": tokens}
    there.request("POST", "/v1/chat/completions", orjson.dumps(body))
    return there


@pytest.mark.parametrize("more", [(), ("--provider", "meingpt", "--key", "k")])
def test_it_tells_who_is_served_and_who_waits_without_a_slot_or_a_key(more: tuple[str, ...]) -> None:
    with start((*EXACT, *more, "--slots", "1", "--output-tokens", "400")) as mock:
        before = figures(mock)

    assert before["mock_requests_running"] == before["mock_requests_waiting"] == 0
    assert (before["mock_slots"], before["mock_generation_tokens_total"]) == (1, 0)


def test_tokens_are_counted_as_they_go_out_and_requests_as_they_end() -> None:
    """One slot: a stream of 20 tokens, 50 ms each, holds it while a whole answer of 5 and a third request wait."""
    with start((*EXACT, "--slots", "1", "--output-tokens", "400")) as mock:
        first = ask(mock, 20, stream=True)
        stream = first.getresponse()
        stream.read(1)
        second, third = ask(mock, 5, stream=False), ask(mock, 3, stream=True)
        figures(mock)  # until both have been read
        during = figures(mock)
        stream.read()
        second.getresponse().read()
        third.close()  # it is being answered, or about to be
        after = figures(mock)
        while after["mock_requests_running"]:
            after = figures(mock)
        for one in (first, second):
            one.close()

    assert (during["mock_requests_running"], during["mock_requests_waiting"]) == (1, 2)
    assert 1 <= during["mock_generation_tokens_total"] < 20
    assert during["mock_prompt_tokens_total"] == 10
    assert "mock_requests_total" not in {name.partition("{")[0] for name in during}
    assert after['mock_requests_total{finish="length"}'] == 2
    assert 25 <= after["mock_generation_tokens_total"] <= 28
    assert after["mock_prompt_tokens_total"] in (20, 30)
    assert after["mock_requests_waiting"] == 0


def test_a_client_that_closes_is_told_so_and_pipelined_requests_are_answered_in_order() -> None:
    with start(EXACT) as mock, closing(http.client.HTTPConnection("127.0.0.1", mock.port, timeout=60)) as there:
        there.request("GET", "/metrics", headers={"Connection": "close"})
        answer = there.getresponse()

        assert answer.headers["Connection"] == "close"
        assert answer.read().startswith(b"# HELP mock_requests_running ")
        there.connect()
        there.sock.sendall(
            2 * b"GET /metrics HTTP/1.1\r\nHost: mock\r\n\r\n" + b"GET /v1/models HTTP/1.1\r\nHost: mock\r\n\r\n"
        )
        data = b""
        while b'"object"' not in data:
            data += there.sock.recv(65536)
        assert data.count(b"# HELP mock_requests_running ") == 2
        assert data.index(b"# HELP") < data.index(b'"object"')
