"""Bytes that nobody meant, by the hundred: no exception, no hang, one row at any split, and no harm to others."""

from __future__ import annotations

import random
from itertools import count
from typing import TYPE_CHECKING, Any

import gevent.pool
import orjson
import pytest
from conftest import read_request
from fuzzing import case_of, check, go_on
from playing import VLLM, row_of
from reading import DONE, STOP, chunk, event, http

from loadtests.send import Sender, Target
from loadtests.workload import Request

if TYPE_CHECKING:
    import socket

    from loadtests.record import Record
    from loadtests.wire.receiver import Receiver


def test_hundreds_of_damaged_answers_break_no_rule() -> None:
    tally = go_on(seed=1, seconds=60, most=400)

    assert tally.broken == []
    assert (tally.cases, sum(tally.kinds.values())) == (400, 400)
    assert {"ok", "bad_body", "protocol", "stream_error", "truncated", "throttled"} <= set(tally.ends)


def test_a_case_is_made_again_by_its_seed_and_number() -> None:
    one, again = case_of(7, 11), case_of(7, 11)

    assert (one.kind, one.data, one.asked) == (again.kind, again.data, again.asked)
    assert check(one).error == check(again).error


@pytest.mark.slow
def test_a_minute_of_damage_breaks_no_rule() -> None:
    """A new seed each time; a finding names it."""
    tally = go_on(random.SystemRandom().randrange(1 << 32), seconds=60)

    assert tally.broken == []
    assert tally.cases > 1000


@pytest.mark.parametrize("text", [",", ":", "},{", "a"])
def test_a_text_like_what_stands_between_two_others_is_a_token(text: str) -> None:
    """Found by damage: such a chunk, read as one piece, was taken for one whose text is somewhere else."""
    more = {"service_tier": "default", "provider": "mock"}
    body = event(chunk({"content": text}, **more)) * 2 + STOP + DONE
    row = row_of([(1, http(body))], "close", stream=True)

    assert (row.outcome, row.error, list(row.chunk_chars or ())) == ("ok", None, [len(text)] * 2)


@pytest.mark.parametrize("blank", [b"\n", b"\r\n\r\n", b"\xef\xbb\xbf"])
def test_json_behind_blanks_that_calls_itself_events_is_json_at_any_split(blank: bytes) -> None:
    """Found by damage: blanks in a read of their own were taken for the beginning of an event stream."""
    body = blank + orjson.dumps({"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]})
    head, _, rest = http(body).partition(b"\r\n\r\n")
    answer = head + b"\r\n\r\n" + rest

    for cut in range(len(head) + 4, len(answer)):
        row = row_of([(1, answer[:cut]), (2, answer[cut:])], "close", stream=True)
        assert (row.outcome, row.output_chars, row.flags) == ("ok", 5, ["not_streamed"])


def test_half_a_character_in_an_error_costs_no_more_than_itself() -> None:
    """Found by damage: JSON can name half of a surrogate pair, and no column can hold it."""
    answer = http(b'{"error":{"message":"no \\ud83c money"}}', b"")
    row = row_of([(1, answer)], "close", stream=True)

    assert row.error == "no ? money"


def test_damage_on_one_connection_is_none_on_another(serve: Any, receiver: Receiver) -> None:
    """A server that answers every other request with damage, and the rest with a stream of ten tokens."""
    numbers = count()
    healthy = http(event(chunk({"content": "Hello"})) * 10 + STOP + DONE, size=120)

    def handler(sock: socket.socket) -> None:
        content = read_request(sock)
        sock.sendall(case_of(3, next(numbers)).data if b"damage" in content else healthy)

    port = serve(handler).port
    patience = {"connect": 60.0, "first_byte": 60.0, "silence": 60.0, "total": 90.0}
    profile = VLLM.with_overrides(base_url=f"http://127.0.0.1:{port}/v1", timeouts=patience)
    kept: list[Record] = []
    sender = Sender(Target(profile, "m", new_connections=True), receiver, key=None, worker=0, keep=kept.append)

    def ask(number: int) -> tuple[str, Record]:
        content = ("damage", "health")[number % 2]
        request = Request(number, "chat", ({"role": "user", "content": content},), True, 16, 6, 2)
        return content, sender.send(sender.prepare(request, receiver.now_ns()))

    rows = list(gevent.pool.Pool(8).imap_unordered(ask, range(300)))
    sender.close()

    assert len(kept) == 300
    assert {(row.outcome, row.output_chars) for content, row in rows if content == "health"} == {("ok", 50)}
    damaged = [row for content, row in rows if content == "damage"]
    assert len({row.error_kind for row in damaged}) > 5
    assert not any("firsttoken failed" in (row.error or "") for row in damaged)
