"""An answer's bytes through the wire's framing, the reader and the judgement, to the row: no socket, no clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from loadtests import columns, profiles
from loadtests.dialect import Answer
from loadtests.reader import Reader
from loadtests.record import ERROR_KINDS, FLAGS, Record
from loadtests.wire.exchange import Exchange
from loadtests.wire.stamps import NO_STAMP

if TYPE_CHECKING:
    from collections.abc import Iterable

PROFILE = profiles.load("vllm")
MINUTE = 60_000_000_000
SSE = b"Content-Type: text/event-stream\r\n"
DONE = b"data: [DONE]\n\n"


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """One streamed object; without a delta its choices are empty."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {"id": "c-1", "object": "chat.completion.chunk", "model": "m", "choices": choices, **more}


def event(value: Any) -> bytes:
    """An object as an event."""
    return b"data: %b\n\n" % orjson.dumps(value)


HELLO = event(chunk({"content": "Hello"}))
WORLD = event(chunk({"content": " world"}))
STOP = event(chunk({}, "stop"))


def http(body: bytes, headers: bytes = SSE, status: bytes = b"200 OK", *, size: int = 1 << 30) -> bytes:
    """A response in chunks of this size, with its end."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 %b\r\n%bTransfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n" % (status, headers, chunks)


def told(
    pieces: Iterable[bytes], *, profile: profiles.Profile = PROFILE, stream: bool = True, eof: bool = False,
    n: int | None = 1, cut_at: int | None = None, at_once: bool = False,
) -> Record:  # fmt: skip
    """The row of an answer whose bytes came in these pieces; the k-th one, from 1, at k us."""
    reader = Reader(Answer(profile, n=n, cut_at=cut_at))
    exchange = Exchange(reader.choose, first_byte_ns=MINUTE, silence_ns=MINUTE, total_ns=MINUTE, started_ns=0)
    exchange.eager = cut_at is not None
    exchange.sent_ns = 0
    for number, piece in enumerate([piece for piece in pieces if piece] + [b""] * eof, 1):
        soon = exchange.append(piece, NO_STAMP, number * 1000)
        if soon or not at_once:
            exchange.parse(0, 0)
        if exchange.over:
            break
    exchange.parse(0, 0)
    assert exchange.over
    record = Record("a", "chat", 0, 0, "measure", stream=stream, scheduled_ns=0, sent_ns=0)
    columns.wire_facts(record, exchange, profile)
    columns.judge(record, exchange, reader, "m", [])
    assert set(record.flags or ()) <= set(FLAGS)
    assert record.error_kind in {None, *ERROR_KINDS}
    return record


def facts(record: Record) -> dict[str, Any]:
    """What must not depend on how the bytes were split."""
    names = (
        "outcome", "error_kind", "error", "status", "finish_reason", "input_tokens", "output_tokens", "tokens_from",
        "reasoning_tokens", "cached_tokens", "output_chars", "chunks", "model_answered", "response_id", "retry_after_s",
        "server_time_s",
    )  # fmt: skip
    lists = {"kinds": list(record.chunk_kind or ()), "chars": list(record.chunk_chars or ())}
    flags = sorted(set(record.flags or ()) - {"buffered"})
    return {name: getattr(record, name) for name in names} | lists | {"flags": flags}
