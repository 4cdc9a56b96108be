"""Every rule for what comes back, as bytes in and a row out: framing (F), meaning (C), ends (E), errors, HTTP."""

from __future__ import annotations

import gzip
import time
import zlib
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import DONE, HELLO, PROFILE, SSE, STOP, WORLD, chunk, event, facts, http, told

from loadtests import reader as reader_module
from loadtests.dialect import Answer
from loadtests.record import CONTENT, REASONING, REFUSAL, TOOL, Record
from loadtests.wire.exchange import Exchange
from loadtests.wire.stamps import NO_STAMP

if TYPE_CHECKING:
    from loadtests.profiles import Profile

JSON = b"Content-Type: application/json\r\n"
WHOLE = {"id": "c-2", "model": "m", "usage": {"prompt_tokens": 5, "completion_tokens": 2},
         "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"},
         "finish_reason": "stop"}]}  # fmt: skip
GOOD = HELLO + WORLD + STOP + DONE
OK: dict[str, Any] = {"outcome": "ok", "chars": [5, 6], "flags": []}


def failed(kind: str, text: str = "", **more: Any) -> dict[str, Any]:
    """What a failed row says; `text` is a part of its error."""
    return {"outcome": "error", "error_kind": kind, "error~": text} | more


def crlf(body: bytes) -> bytes:
    return body.replace(b"\n", b"\r\n")


def compressed(body: bytes, wbits: int, *, flush: bool) -> bytes:
    """A body compressed by zlib, flushed behind every event or at the end alone."""
    made = zlib.compressobj(wbits=wbits)
    mode = zlib.Z_SYNC_FLUSH if flush else zlib.Z_NO_FLUSH
    return b"".join(made.compress(part) + made.flush(mode) for part in body.splitlines(keepends=True)) + made.flush()


def chunks_of(*texts: str, key: str = "content") -> bytes:
    return b"".join(event(chunk({key: text})) for text in texts)


def choice(index: int, text: str | None, finish: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": {} if text is None else {"content": text}, "finish_reason": finish}


def call(**fields: Any) -> bytes:
    return event(chunk({"tool_calls": [fields]}))


CALLED = event(chunk({}, "tool_calls")) + DONE
USED = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}

FRAMING = [
    ("F1 lines end at LF", GOOD, OK),
    ("F1 lines end at CRLF", crlf(GOOD), OK),
    ("F1 lines end at a lone CR", GOOD.replace(b"\n", b"\r"), OK),
    ("F2 U+2028, U+2029, NEL and VT are no line ends",
     b'data: {"model":"m","choices":[{"delta":{"content":"a\xe2\x80\xa8b'
     b'\xe2\x80\xa9c\xc2\x85d"},"finish_reason":"stop"}]}\n\n' + DONE, {"outcome": "ok", "chars": [7], "flags": []}),
    ("F4 no space behind the colon", GOOD.replace(b"data: ", b"data:"), OK),
    ("F5 several data lines are one payload", HELLO.replace(b',"choices"', b',\ndata: "choices"') + WORLD + STOP
     + DONE, OK),
    ("F6 comments of every kind", b": OPENROUTER PROCESSING\n\n:\n\n: ping\n\n" + HELLO + b": keep-alive\n\n" + WORLD
     + STOP
     + DONE, OK),
    ("F7 empty data and pings", b'data:\n\ndata: \n\nevent: ping\ndata: {"type":"ping"}\n\n' + GOOD, OK),
    ("F8 named events, ids and retry", b"retry: 5\n" + b"".join(
        b"event: chunk\nid: 7\n" + part for part in (HELLO, WORLD, STOP)) + b"event: done\nid: 8\n" + DONE, OK),
    ("F8 an event named done is the end", HELLO + WORLD + STOP + b"event: done\ndata: bye\n\n", OK),
    ("F9 invalid UTF-8 is replaced and flagged", HELLO.replace(b"Hello", b"Hel\xffo") + WORLD + STOP + DONE,
     OK | {"flags": ["bad_utf8"]}),
    ("F9 an emoji of four bytes is one character", chunks_of("🎉") + STOP + DONE, {"chars": [1], "outcome": "ok"}),
    ("F9 an emoji in two escapes of two events", b'data: {"choices":[{"delta":{"content":"\\ud83c"}}]}\n\n'
     b'data: {"choices":[{"delta":{"content":"\\udf89"}}]}\n\n' + STOP + DONE, {"chars": [1, 1], "outcome": "ok",
     "flags": []}),
    ("F11 an unterminated [DONE]", GOOD.rstrip(b"\n"), OK | {"flags": ["unterminated"]}),
    ("F11 an unterminated event that is whole", HELLO + WORLD + STOP.rstrip(b"\n"), OK | {"flags": ["no_done",
     "unterminated"]}),
    ("F11 an unterminated event that is not", HELLO + WORLD + STOP + event(USED)[:20], OK | {"flags": ["no_done"]}),
    ("F12 a byte order mark at the start", b"\xef\xbb\xbf" + GOOD, OK),
    ("F15 a line without end", b"data: " + b"x" * (9 << 20), failed("bad_body", "more than 8388608 bytes")),
]  # fmt: skip

LINES = b"".join(orjson.dumps(value) + b"\n" for value in (
    chunk({"content": "Hello"}), chunk({"content": " world"}), chunk({}, "stop")))  # fmt: skip
NOT_SSE = [
    ("F13 lines of JSON instead of events", LINES, b"Content-Type: application/x-ndjson\r\n"),
    ("F13 lines of JSON that call themselves events", LINES, SSE),
    ("F13 lines of JSON that call themselves nothing", b"\n" + LINES, b""),
    ("F13 an array instead of events", b"[" + LINES.rstrip().replace(b"\n", b",\n") + b"]", JSON),
    ("F13 lines that are cut behind the last whole one", LINES + b'{"choices":[{"de', JSON),
]

CHUNKS = [
    ("C1 a role with empty content is no token", event(chunk({"role": "assistant", "content": ""})) + GOOD, OK),
    ("C1 a role with null is no token", event(chunk({"role": "assistant", "content": None})) + GOOD, OK),
    ("C1 a role alone is no token", event(chunk({"role": "assistant"})) + GOOD, OK),
    ("C1 a role together with the first token", event(chunk({"role": "assistant", "content": "Hello"})) + WORLD
     + STOP + DONE,
     OK),
    ("C2 empty content beside reasoning", event(chunk({"content": "", "reasoning": "hm"})) + GOOD,
     {"chars": [2, 5, 6], "kinds": [REASONING, CONTENT, CONTENT]}),
    *((f"C3 {key}", chunks_of("hm", key=key) + GOOD, {"kinds": [REASONING, CONTENT, CONTENT]})
      for key in ("reasoning_content", "reasoning")),
    ("C3 reasoning_details", event(chunk({"content": "", "reasoning_details": [{"type": "reasoning.text",
     "text": "hm"}]}))
     + GOOD, {"kinds": [REASONING, CONTENT, CONTENT], "chars": [2, 5, 6]}),
    ("C3 Mistral's thinking", event(chunk({"content": [{"type": "thinking", "thinking": [{"type": "text",
     "text": "hm"}]}]}))
     + GOOD, {"kinds": [REASONING, CONTENT, CONTENT], "chars": [2, 5, 6]}),
    ("C3 <think> inside content is content", chunks_of("<think>hm</think>") + STOP + DONE, {"kinds": [CONTENT],
     "chars": [17]}),
    ("C3 content as a list of parts", event(chunk({"content": [{"type": "text", "text": "Hello"}]})) + WORLD + STOP
     + DONE, OK),
    ("C4 Azure's first chunk without choices", event(chunk(prompt_filter_results=[{"index": 0}])) + GOOD, OK),
    ("C4 annotations alone", event({"choices": [{"index": 0, "content_filter_results": {}, "finish_reason": None}]})
     + GOOD,
     OK),
    ("C5 usage in a chunk without choices", HELLO + WORLD + STOP + event(chunk(usage=USED)) + DONE,
     OK | {"output_tokens": 2, "input_tokens": 7, "tokens_from": "usage"}),
    ("C5 usage beside an empty delta", HELLO + WORLD + STOP + event(chunk({}, usage=USED)) + DONE,
     OK | {"output_tokens": 2, "tokens_from": "usage"}),
    ("C5 usage on the last token", HELLO + event(chunk({"content": " world"}, "stop", usage=USED)) + DONE,
     OK | {"output_tokens": 2, "tokens_from": "usage"}),
    ("C5 usage on every chunk is the last one, never the sum",
     b"".join(event(chunk({"content": text}, usage={"completion_tokens": at})) for at, text in enumerate("abc"))
     + event(chunk({}, "stop", usage=None)) + DONE, {"output_tokens": 2, "tokens_from": "usage"}),
    ("C6 usage long behind the finish", HELLO + WORLD + STOP + b": wait\n\n" * 9 + event(chunk(usage=USED)) + DONE,
     OK | {"output_tokens": 2}),
    ("C7 finish in a chunk of its own", GOOD, OK | {"finish_reason": "stop"}),
    ("C7 finish on the last content", HELLO + event(chunk({"content": " world"}, "stop")) + DONE,
     OK | {"finish_reason": "stop"}),
    ("C8 a call in two deltas", call(index=0, id="x", type="function", function={"name": "f", "arguments": ""})
     + call(index=0, function={"arguments": '{"a":1}'}) + CALLED,
     {"outcome": "ok", "kinds": [TOOL, TOOL], "chars": [1, 7], "finish_reason": "tool_calls"}),
    ("C8 no index, whole arguments, finish stop", call(id="x", function={"name": "f", "arguments": "{}"}) + STOP + DONE,
     {"outcome": "ok", "kinds": [TOOL], "chars": [3]}),
    ("C8 empty id and type", call(index=0, id="x", function={"name": "f"})
     + call(index=0, id="", type="", function={"arguments": "{}"}) + CALLED, {"outcome": "ok", "chars": [1, 2]}),
    ("C8 an index that is used twice", call(index=0, id="x", function={"name": "f"})
     + call(index=0, id="y", function={"name": "g"}) + CALLED, {"outcome": "ok", "chars": [1, 1]}),
    ("C8 no function, an id alone, no object", call(index=0, id="x") + event(chunk({"tool_calls": [None, 3, {}]}))
     + HELLO
     + CALLED, {"outcome": "ok", "chars": [5]}),
    ("C8 arguments as an object", call(function={"name": "f", "arguments": {"a": 1}}) + CALLED, {"chars": [8]}),
    ("C9 a refusal", event(chunk({"refusal": "No."})) + STOP + DONE, {"outcome": "ok", "kinds": [REFUSAL],
     "flags": ["refusal"]}),
    ("C9 a legacy function_call", event(chunk({"function_call": {"name": "f", "arguments": "{}"}}))
     + event(chunk({}, "function_call")) + DONE, {"outcome": "ok", "kinds": [TOOL], "chars": [3]}),
    ("C11 several tokens in a chunk are one chunk", event(chunk({"content": "Hello world, and more"}, "stop",
     usage=USED)) + DONE,
     {"chunks": 1, "output_tokens": 2}),
    ("C13 padding and logprobs are no text", event(chunk({"content": "Hello"}, obfuscation="zzzzzzzz",
     logprobs={"content": []}))
     + WORLD + STOP + DONE, OK),
    ("C14 keys that nobody knows", event(chunk({"content": "Hello"}, x_groq={"id": "r"}, time_info={}, sglext={},
     timings=[]))
     + WORLD + STOP + DONE, OK),
    ("C15 another model answers", GOOD.replace(b'"model":"m"', b'"model":"other"'),
     OK | {"flags": ["model_differs"], "model_answered": "other"}),
    ("C16 ids that are empty or change", HELLO.replace(b"c-1", b"") + WORLD.replace(b"c-1", b"c-7") + STOP + DONE,
     OK | {"response_id": "c-7"}),
    ("NaN where a number was meant", HELLO.replace(b'"choices"', b'"logprob":NaN,"choices"') + WORLD + STOP + DONE, OK),
    ("counts as texts", HELLO + WORLD + STOP + event(chunk(usage={"completion_tokens": "2", "prompt_tokens": -1}))
     + DONE,
     OK | {"output_tokens": 2, "input_tokens": None}),
    ("counts that no column can hold", HELLO + WORLD + STOP
     + b'data: {"usage":{"completion_tokens":1e99,"prompt_tokens":'
     + b"9" * 400 + b"}}\n\n" + DONE, OK | {"tokens_from": "estimate", "output_tokens": 3}),
]  # fmt: skip

FINISHES = [
    *((f"finish_reason {reason} is good", HELLO + event(chunk({}, reason)) + DONE, {"outcome": "ok",
    "finish_reason": reason})
      for reason in ("stop", "length", "tool_calls", "function_call", "STOP", "Length")),
    ("finish_reason content_filter is good and flagged", HELLO + event(chunk({}, "content_filter")) + DONE,
     {"outcome": "ok", "flags": ["content_filter"]}),
    *((f"finish_reason {reason} is a failure", HELLO + event(chunk({}, reason)) + DONE,
       failed("stream_error", reason, finish_reason=reason))
      for reason in ("error", "abort", "insufficient_system_resource", "model_length", "MAX_TOKENS")),
    ("an empty finish_reason is none", HELLO + event(chunk({}, "")) + DONE, failed("no_finish")),
]  # fmt: skip

ENDS = [
    ("E1 finish and [DONE]", GOOD, OK),
    ("E2 finish without [DONE]", HELLO + WORLD + STOP, OK | {"flags": ["no_done"]}),
    ("E3 [DONE] without finish", HELLO + DONE, failed("no_finish", chars=[5])),
    ("E4 neither", HELLO, failed("truncated", chars=[5], output_tokens=2)),
    ("E6 nothing said", event(chunk({"role": "assistant"})) + STOP + DONE, failed("empty")),
    ("E7 bytes behind [DONE] are nothing", GOOD + HELLO + b'data: {"error":"late"}\n\n' + b"data: {oops\n\n", OK),
    ("an event that is broken", HELLO + b"data: {oops\n\n" + STOP + DONE, failed("bad_body", "oops")),
    ("an event that is no object", HELLO + b"data: 5\n\n" + STOP + DONE, failed("bad_body", "no object")),
    ("an event too deeply nested", HELLO + b"data: " + b"[" * 9999 + b"\n\n" + STOP + DONE, failed("bad_body")),
]  # fmt: skip

ERRORS = [
    ("3.4 OpenAI", event({"error": {"message": "The server had an error.", "type": "server_error"}}),
     "The server had an error. (server_error)"),
    ("3.4 OpenRouter, with choices", event(chunk({"content": ""}, "error", error={"code": "server_error",
     "message": "gone"})),
     "gone (server_error)"),
    ("3.4 vLLM", event({"error": {"message": "boom", "type": "InternalServerError", "param": None, "code": 500}})
     + DONE,
     "boom (InternalServerError, 500)"),
    ("3.4 vLLM, old and flat", event({"object": "error", "message": "boom", "type": "BadRequestError", "code": 400})
     + DONE,
     "boom (BadRequestError, 400)"),
    ("3.4 SGLang", event({"error": {"object": "error", "message": "bad", "type": "BAD_REQUEST", "code": 400}}) + DONE,
     "bad (BAD_REQUEST, 400)"),
    ("3.4 TGI", event({"error": {"message": "too long", "http_status_code": 422}}) + DONE, "too long (422)"),
    ("3.4 TGI, native", event({"error": "overloaded", "error_type": "overloaded"}), "overloaded (overloaded)"),
    ("3.4 llama.cpp", event({"error": {"code": 500, "message": "slot", "type": "server_error"}}),
     "slot (server_error, 500)"),
    ("3.4 llama.cpp before it, an error field",
     b'error: {"code":400,"message":"long","type":"invalid_request_error"}\n\n' + DONE,
     "long (invalid_request_error, 400)"),
    ("3.4 LiteLLM, the word None", event({"error": {"message": "x", "type": "None", "param": "None", "code": "500"}}),
     "x (500)"),
    ("3.4 Groq, inside x_groq", event(chunk(x_groq={"id": "r", "error": "over capacity"})), "over capacity"),
    ("3.4 Cerebras", event({"error": {"id": "1", "code": "oom", "message": "m", "param": "", "type": "server"},
     "status_code": 500}),
     "m (server, oom)"),
    ("3.4 Morpheus", event({"error": {"message": "p", "type": "proxy_error", "status": 502}}), "p (proxy_error, 502)"),
    ("3.4 LLM Gateway, a named event", b"event: error\n" + event({"error": {"message": "up", "type": "upstream_error",
     "code": "upstream_error"}}) + b"event: done\n" + DONE, "up (upstream_error)"),
    ("3.4 a named event, canceled", b"event: canceled\n" + event({"message": "Request canceled by client"}),
     "Request canceled by client"),
    ("3.4 a named event that says nothing", b"event: error\n" + event({}), "an event named error"),
    ("3.4 a named event that is no JSON", b"event: error\ndata: it broke\n\n", "it broke"),
    ("3.4 error is true", event({"error": True, "status": 402, "message": "no credits"}), "no credits"),
    ("3.4 error is a text", event({"error": "out of memory"}), "out of memory"),
    ("3.4 FastAPI's detail", event({"detail": [{"loc": ["body", 0], "msg": "missing"}]}), "body.0: missing"),
    ("3.4 meinGPT", event({"status": "error", "message": "kaputt"}), "kaputt"),
    ("3.4 Gemini's list", event([{"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED"}}]),
     "quota (RESOURCE_EXHAUSTED, 429)"),
    ("3.4 an error without a word", event({"error": {"message": ""}, "choices": []}), '{"message":""}'),
]  # fmt: skip


def check(row: Record, expected: dict[str, Any]) -> None:
    """That the row says what is expected; a key with ~ is a part of a text."""
    seen = facts(row)
    for key, value in expected.items():
        if key.endswith("~"):
            assert value in (seen[key[:-1]] or "")
        else:
            assert seen[key] == value, (key, seen)


STREAMS = [*FRAMING, *CHUNKS, *FINISHES, *ENDS]


@pytest.mark.parametrize(("body", "expected"), [case[1:] for case in STREAMS], ids=[case[0] for case in STREAMS])
def test_every_rule_of_streams(body: bytes, expected: dict[str, Any]) -> None:
    """In one read, and with every event a chunk and a read of its own: the same row."""
    response = http(body)
    check(told([response]), expected)
    head, _, framed = http(body, size=64).partition(b"\r\n\r\n")
    reads = [framed[at : at + 37] for at in range(0, len(framed), 37)] if len(framed) < 1 << 20 else [framed]
    check(told([head, b"\r\n\r\n", *reads]), expected)


@pytest.mark.parametrize(("body", "text"), [case[1:] for case in ERRORS], ids=[case[0] for case in ERRORS])
def test_every_shape_of_error_inside_a_stream(body: bytes, text: str) -> None:
    """What came before it is kept; the row is a failure with the provider's own words."""
    row = told([http(HELLO + body)])

    assert (row.outcome, row.error_kind, row.error) == ("error", "stream_error", text)
    assert row.chunk_chars[0] == 5
    assert row.first_token_ns is not None


def test_a_name_belongs_to_its_event_and_an_error_is_never_forgotten() -> None:
    body = HELLO + b"event: error\n" + event({"error": "x"}) + WORLD + STOP + DONE
    assert told([http(body)]).error_kind == "stream_error"


@pytest.mark.parametrize(("body", "kind"), [case[1:] for case in NOT_SSE], ids=[case[0] for case in NOT_SSE])
def test_f13_json_without_events_is_read_and_flagged(body: bytes, kind: bytes) -> None:
    """In pieces of 50 bytes: each object has the moment of the read that completed it."""
    response = http(body, kind, size=50)
    cuts = [response.index(b"\r\n\r\n") + 4, *range(response.index(b"\r\n\r\n") + 4, len(response), 56)]
    row = told([response[a:b] for a, b in zip([0, *cuts], [*cuts, len(response)], strict=True)])

    assert (row.outcome, row.flags, list(row.chunk_chars)) == ("ok", ["not_sse", "no_done"], [5, 6])
    assert row.first_event_ns is not None
    assert row.first_token_ns is not None
    assert row.last_token_ns is not None
    assert row.end_ns is not None
    assert row.first_token_ns < row.last_token_ns <= row.end_ns


def test_an_event_that_holds_a_whole_answer_is_read() -> None:
    assert list(told([http(event(WHOLE) + DONE)]).chunk_chars) == [5]


def test_f3_an_event_has_the_moment_of_its_line_end_though_an_lf_may_follow() -> None:
    head = b"HTTP/1.1 200 OK\r\n" + SSE + b"\r\n"
    row = told([head, crlf(HELLO)[:-1], b"\n" + crlf(STOP + DONE)], eof=True)

    assert (row.outcome, row.first_token_ns) == ("ok", 2000)


def test_f10_events_of_one_read_share_its_moment_and_are_counted() -> None:
    row = told([http(HELLO + WORLD + HELLO + STOP + DONE)])

    assert row.first_token_ns == row.last_token_ns == 1000
    assert (row.chunks, row.shared_reads) == (3, 2)


def test_c12_a_pause_is_a_pause_whatever_the_server_did_meanwhile() -> None:
    """Comments keep the connection alive for 50 reads of a microsecond; no token has come in that time."""
    head = b"HTTP/1.1 200 OK\r\n" + SSE + b"\r\n"
    row = told([head, HELLO, *[b": keep-alive\n\n"] * 50, WORLD, STOP + DONE], eof=True)

    assert list(row.chunk_ns) == [2000, 53000]


def test_e5_what_had_come_before_the_end_is_kept() -> None:
    row = told([http(HELLO + WORLD)[:-30]], eof=True)
    assert (row.error_kind, list(row.chunk_chars), row.tokens_from) == ("truncated", [5], "estimate")


# One body.


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"", JSON), (b"\n\n  \n", JSON), (b"\xef\xbb\xbf", JSON), (b"\n", b""), (b"", b"Content-Type: text/plain\r\n"),
     (b"", b"Content-Type: application/json; charset=utf-8\r\n"), (b"", SSE)],
    ids=["JSON", "3.5 blank lines before JSON", "BOM before JSON", "no Content-Type", "text/plain", "charset", "SSE"],
)  # fmt: skip
@pytest.mark.parametrize("stream", [True, False])
def test_35_an_answer_in_one_piece(body: bytes, kind: bytes, stream: bool) -> None:
    """Asked for as a stream it is a success with a flag, and has no time to first token."""
    response = http(body + orjson.dumps(WHOLE), kind, size=7)
    for pieces in ([response], [response[at : at + 5] for at in range(0, len(response), 5)]):
        row = told(pieces, stream=stream)
        assert (row.outcome, row.output_tokens, row.output_chars) == ("ok", 2, 5)
        assert (row.flags or []) == (["not_streamed"] if stream else [])
        assert row.first_token_ns is row.first_event_ns is row.chunks is None


@pytest.mark.parametrize(
    "kind", [SSE, b"", b"Content-Type: text/plain\r\n", b"Content-Type: text/event-stream; charset=utf-8\r\n", JSON],
    ids=["SSE", "missing", "text/plain", "charset", "JSON"],
)  # fmt: skip
@pytest.mark.parametrize("stream", [True, False])
def test_35_a_stream_under_any_content_type(kind: bytes, stream: bool) -> None:
    for body in (GOOD, b":\n\n" + GOOD, b"\n\r\n" + GOOD, b"event: chunk\n" + GOOD, b"id: 1\n" + GOOD):
        row = told([http(body, kind)], stream=stream)
        assert (row.outcome, row.flags) == ("ok", None if stream else ["streamed_unasked"])
        assert list(row.chunk_chars) == [5, 6]
        assert row.first_token_ns is not None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", failed("bad_body", "an empty body")),
        (b"<html><h1>Welcome</h1></html>", failed("bad_body", "<html>")),
        (b"[]", failed("bad_body")),
        (b"5", failed("bad_body")),
        (b"{", failed("bad_body")),
        (b"[" * 5000, failed("bad_body")),
        (b"{}", failed("no_finish")),
        (b'{"error":{"message":"x","code":"c"}}', failed("stream_error", "x (c)")),
        (b'{"status":"error","message":"kaputt"}', failed("stream_error", "kaputt")),
        (b'[{"error":{"code":429,"message":"quota"}}]', failed("stream_error", "quota (429)")),
        (b'{"message":"Hello"}', {"outcome": "ok", "output_chars": 5, "flags": ["bare_message"]}),
        (orjson.dumps(WHOLE).replace(b"Hello", b"H\xffllo"), {"outcome": "ok", "output_chars": 5,
         "flags": ["bad_utf8"]}),
        (orjson.dumps(WHOLE).replace(b'"m"', b"NaN"), {"outcome": "ok", "model_answered": None}),
        (orjson.dumps(WHOLE).replace(b'"Hello"', b"null"), failed("empty", output_tokens=2)),
    ],
)  # fmt: skip
def test_a_body_that_is_odd(body: bytes, expected: dict[str, Any]) -> None:
    check(told([http(body, JSON)], stream=False), expected)


def test_a_body_that_ends_by_closing_is_complete() -> None:
    head = b"HTTP/1.1 200 OK\r\n"
    stream = told([head + SSE + b"\r\n" + GOOD], eof=True)
    whole = told([head + b"\r\n" + orjson.dumps(WHOLE)], eof=True, stream=False)

    assert (stream.outcome, stream.flags, whole.outcome, whole.flags) == ("ok", None, "ok", None)


def test_a_stream_that_ends_by_closing_too_early_is_truncated() -> None:
    assert told([b"HTTP/1.1 200 OK\r\n" + SSE + b"\r\n" + HELLO], eof=True).error_kind == "truncated"


@pytest.mark.parametrize("cut", [b"\r\n0\r\n\r\n", b"0\r\n\r\n"])
def test_e7_a_missing_end_of_body_behind_done_is_a_flag(cut: bytes) -> None:
    row = told([http(GOOD).removesuffix(cut)], eof=True)
    assert (row.outcome, row.flags) == ("ok", ["unterminated"])


def test_e7_the_end_of_the_body_is_not_waited_for_long_once_all_is_said() -> None:
    """The answer says [DONE], or that it failed: a second is enough, whatever the patience with silence is."""
    for body, kind in ((GOOD, None), (HELLO + event({"error": "x"}), "stream_error")):
        made = reader_module.Reader(Answer(PROFILE))
        exchange = Exchange(made.choose, first_byte_ns=10**12, silence_ns=10**12, total_ns=10**12, started_ns=0)
        exchange.sent_ns = 0
        exchange.append(http(body).removesuffix(b"0\r\n\r\n"), NO_STAMP, 5)
        exchange.parse(0, 0)
        failure = exchange.expired(reader_module.DRAIN_NS + 6)
        assert not exchange.over
        assert failure is not None
        exchange.fail(failure, reader_module.DRAIN_NS + 6)
        verdict = made.answer.verdict(streamed=True)
        assert (verdict.kind if verdict else None) == kind


# Compressed, though nobody asked for it.


@pytest.mark.parametrize(
    ("coding", "wbits"), [(b"gzip", 31), (b"x-gzip", 31), (b"GZIP", 31), (b"deflate", 15), (b"deflate", -15)]
)
@pytest.mark.parametrize("flush", [True, False])
def test_f14_a_compressed_stream_is_read_and_flagged(coding: bytes, wbits: int, flush: bool) -> None:
    headers = SSE + b"Content-Encoding: " + coding + b"\r\n"
    response = http(compressed(GOOD, wbits, flush=flush), headers)
    for pieces in ([response], [response[at : at + 1] for at in range(len(response))]):
        row = told(pieces)
        assert (row.outcome, list(row.chunk_chars)) == ("ok", [5, 6])
        assert [flag for flag in row.flags or () if flag != "buffered"] == ["compressed"]


def test_f14_a_flushed_event_has_the_stamp_of_its_read() -> None:
    made = zlib.compressobj(wbits=31)
    parts = [made.compress(part) + made.flush(zlib.Z_SYNC_FLUSH) for part in (HELLO, WORLD, STOP + DONE)]
    whole = b"".join(parts) + made.flush()
    response = http(whole, SSE + b"Content-Encoding: gzip\r\n")
    first = response.index(parts[0]) + len(parts[0])
    row = told([response[:first], response[first : first + len(parts[1])], response[first + len(parts[1]) :]])

    assert (row.first_token_ns, row.last_token_ns) == (1000, 2000)


def test_f14_compressed_bodies_in_one_piece_and_of_errors() -> None:
    coded = b"Content-Encoding: gzip\r\n"
    row = told([http(gzip.compress(orjson.dumps(WHOLE)), JSON + coded)], stream=False)
    assert (row.outcome, row.output_tokens, row.flags) == ("ok", 2, ["compressed"])

    said = gzip.compress(b'{"error":{"message":"bad key"}}')
    row = told([http(said, JSON + coded, b"401 Unauthorized")])
    assert (row.error_kind, row.error, row.flags) == ("auth", "HTTP 401: bad key", ["compressed"])


def test_f14_a_transfer_coding_is_undone_as_well() -> None:
    body = gzip.compress(GOOD)
    head = b"HTTP/1.1 200 OK\r\n" + SSE + b"Transfer-Encoding: gzip, chunked\r\n\r\n"
    row = told([head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)])

    assert (row.outcome, list(row.chunk_chars)) == ("ok", [5, 6])


@pytest.mark.parametrize("coding", [b"br", b"zstd", b"gzip, br"])
def test_f14_a_coding_that_is_not_read_is_named(coding: bytes) -> None:
    headers = SSE + b"Content-Encoding: " + coding + b"\r\n"
    answer = told([http(b"\x8b\x02\x80", headers)])
    refused = told([http(b"\x8b\x02\x80", headers, b"503 No")])

    assert (answer.error_kind, answer.status) == ("bad_body", 200)
    assert coding.decode() in (answer.error or "")
    assert refused.error_kind == "overloaded"
    assert coding.decode() in (refused.error or "")


@pytest.mark.parametrize("body", [b"not gzip at all", gzip.compress(GOOD)[:20] + b"\0\1\2\3" * 20])
def test_f14_what_is_no_gzip_is_a_bad_body_and_an_error_status_stays_what_it_is(body: bytes) -> None:
    headers = SSE + b"Content-Encoding: gzip\r\n"

    assert told([http(body, headers)]).error_kind == "bad_body"
    assert told([http(body, headers, b"401 No")]).error_kind == "auth"


def test_f14_a_bomb_is_refused_at_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A megabyte that unpacks to a thousand of them, were it read to the end; the cap is lowered to save time."""
    monkeypatch.setattr(reader_module, "MAX_BODY_BYTES", 4 << 20)
    bomb = gzip.compress(b" " * (16 << 20))
    for headers in (SSE, JSON):
        row = told([http(bomb, headers + b"Content-Encoding: gzip\r\n")])
        assert row.error_kind == "bad_body"


def test_a_body_beyond_the_cap_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "MAX_BODY_BYTES", 1 << 20)
    assert told([http(b"{" + b" " * (2 << 20), JSON)]).error_kind == "bad_body"


# HTTP.


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind", "text"),
    [
        (b"401 No", JSON, b'{"detail":"API key missing"}', "auth", "HTTP 401: API key missing"),
        (b"429 No", SSE, b'event: error\ndata: {"error":{"message":"slow down"}}\n\n', "throttled",
         "HTTP 429: slow down"),
        (b"524 A Timeout Occurred", b"Content-Type: text/html\r\n", b"<html><h1>524</h1></html>", "upstream",
         "HTTP 524: 524"),
        (b"429 No", JSON, b'{"error":{"message":"pay","type":"insufficient_quota"}}', "credit",
         "HTTP 429: pay (insufficient_quota)"),
        (b"426 Upgrade Required", JSON, b'{"error":"HTTPS Required","message":"use https"}', "bad_request",
         "HTTP 426: HTTPS Required: use https"),
        (b"500 No", b"", b"", "upstream", "HTTP 500: empty body"),
    ],
)  # fmt: skip
def test_35_an_error_status_is_read_whatever_its_body_is(
    status: bytes, headers: bytes, body: bytes, kind: str, text: str
) -> None:
    row = told([http(body, headers, status)])
    cut = told([http(body, headers, status).removesuffix(b"0\r\n\r\n")], eof=True)

    assert (row.error_kind, row.error) == (cut.error_kind, cut.error) == (kind, text)
    assert row.flags is None


def test_an_error_says_how_long_to_wait_in_headers_or_in_words() -> None:
    words = b'{"error":{"message":"Please try again in 5.289s."}}'
    assert told([http(words, JSON, b"429 No")]).retry_after_s == 5.289
    assert told([http(words, JSON + b"Retry-After: 2\r\n", b"429 No")]).retry_after_s == 2.0
    limited = {"error": {"message": "Please try again in 5.289s.", "code": "rate_limit_exceeded"}}
    assert told([http(HELLO + event(limited))]).retry_after_s == 5.289
    assert told([http(HELLO + event(limited), SSE + b"Retry-After: 0\r\n")]).retry_after_s == 0.0
    used_up = SSE + b"x-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: 30s\r\n"
    assert told([http(GOOD, used_up)]).retry_after_s is None  # an answer that came asks for nothing


ECHO = b"no such parameter in: wait 2 hours"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"error":{"message":"%b"}}' % ECHO, b"400 No"),
        (b'{"error":{"message":"%b"}}' % ECHO, b"500 No"),
        (b'{"error":{"message":"%b","type":"insufficient_quota"}}' % ECHO, b"429 No"),
        (b'{"error":{"message":"%b","type":"invalid_request_error","code":400}}' % ECHO, b"200 OK"),
        (HELLO + b'data: {"error":{"message":"%b"}}\n\n' % ECHO, b"200 OK"),
        (b"%b<html>" % ECHO, b"200 OK"),
    ],
)
def test_an_error_that_quotes_the_prompt_asks_for_no_wait_but_by_its_headers(body: bytes, status: bytes) -> None:
    """A prompt can say "wait 2 hours", and one row's wait is a pause of all users."""
    row = told([http(body, SSE, status)])
    assert (row.outcome, row.retry_after_s) == ("error", None)
    assert told([http(body, SSE + b"Retry-After: 2\r\n", status)]).retry_after_s == 2.0


@pytest.mark.parametrize("head", [SSE, JSON])
@pytest.mark.parametrize("body", [GOOD, orjson.dumps(WHOLE)], ids=["stream", "whole"])
def test_blanks_ahead_of_a_body_cost_nothing(head: bytes, body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep-alives in reads of their own: they are counted, not kept, and looked at once."""
    made = reader_module.Reader(Answer(PROFILE, n=1))
    exchange = Exchange(made.choose, first_byte_ns=1, silence_ns=1, total_ns=1, started_ns=0)
    exchange.status, exchange.headers[b"content-type"] = 200, head.partition(b": ")[2].strip()
    exchange.take = made.choose(exchange)
    begun = time.process_time()
    for _ in range(200_000):
        assert not exchange.take(b"\n", 1)
    assert made.whole() == b""
    assert time.process_time() - begun < 2  # it would be minutes if each looked at those before it
    exchange.take(body, 2)
    made.end([])
    assert (made.answer.failure, list(made.answer.chars)) == (None, [5, 6] if body is GOOD else [5])

    monkeypatch.setattr(reader_module, "MAX_BODY_BYTES", 1 << 10)
    assert told([http(b" " * 1025 + body, head)]).error_kind == "bad_body"


# Choices, usage and models of a profile's own.


def test_c10_choices_interleave_and_end_one_by_one() -> None:
    def of(*choices: dict[str, Any]) -> bytes:
        return event({"model": "m", "choices": list(choices)})

    body = of(choice(0, "a"), choice(1, "bb")) + of(choice(1, "c", "stop")) + of(choice(0, "d", "length"))
    row = told([http(body + DONE)], n=2)
    assert (row.outcome, list(row.chunk_chars)) == ("ok", [3, 1, 1])
    assert told([http(body + DONE)], n=3).outcome == "ok"  # fewer than asked for are an answer, too
    assert told([http(body)], n=2).outcome == "ok"
    assert told([http(body)], n=None).outcome == "ok"
    assert told([http(body)], n=3).error_kind == "truncated"  # but without [DONE] the third may have been lost
    assert told([http(of(choice(0, "a", "stop"), choice(1, "b")) + DONE)], n=2).error_kind == "no_finish"
    assert told([http(of(choice(0, "a", "abort")) + of(choice(1, "b", "stop")) + DONE)], n=2).finish_reason == "abort"


def test_c10_with_one_choice_asked_for_the_index_says_nothing() -> None:
    """Very old TGI servers count the tokens there."""
    body = b"".join(event({"choices": [choice(at, "a", "stop" if at == 2 else None)]}) for at in range(3))
    assert told([http(body + DONE)]).outcome == "ok"


def profile(**fields: Any) -> Profile:
    return PROFILE.model_copy(update=fields)


def test_c5_c14_usage_and_server_time_are_where_the_profile_says() -> None:
    """The first path wins, whichever came last; a path may lead to the number itself."""
    groq = profile(
        usage_paths=("/x_groq/usage", "/timings/predicted_n"), server_time_paths=("/x_groq/usage/total_time",)
    )
    last = event(chunk({}, "stop", x_groq={"usage": {"completion_tokens": 3, "total_time": 0.25}})) + event(
        {"timings": {"predicted_n": 9}}
    )
    row = told([http(HELLO + last + DONE)], profile=groq)
    assert (row.output_tokens, row.tokens_from, row.server_time_s) == (3, "usage_alt", 0.25)

    both = profile(server_time_paths=("/x_groq/usage/total_time", "/usage/total_time"))
    whole = orjson.dumps(WHOLE | {"usage": {"completion_tokens": 2, "total_time": 0.5}})
    assert told([http(HELLO + last + DONE)], profile=both).server_time_s == 0.25
    assert told([http(whole, JSON)], profile=both, stream=False).server_time_s == 0.5

    llama = told([http(HELLO + STOP + event({"timings": {"predicted_n": 9}}) + DONE)], profile=groq)
    assert (llama.output_tokens, llama.tokens_from) == (9, "usage_alt")


@pytest.mark.parametrize(
    ("counts", "reasoning", "cached"),
    [
        ({"completion_tokens_details": {"reasoning_tokens": 4}, "prompt_tokens_details": {"cached_tokens": 3}}, 4, 3),
        ({"reasoning_tokens": 4, "prompt_tokens_details": None}, 4, None),
        ({"prompt_cache_hit_tokens": 3}, None, 3),
    ],
)
def test_parts_of_the_usage_are_found_at_every_place(counts: Any, reasoning: int | None, cached: int | None) -> None:
    row = told([http(HELLO + STOP + event(chunk(usage=USED | counts)) + DONE)])
    assert (row.reasoning_tokens, row.cached_tokens) == (reasoning, cached)


def test_c15_another_model_is_a_failure_where_the_profile_is_strict() -> None:
    row = told([http(GOOD.replace(b'"model":"m"', b'"model":"other"'))], profile=profile(strict_model=True))

    assert (row.error_kind, row.flags) == ("bad_request", ["model_differs"])
    assert "'other'" in (row.error or "")
    assert told([http(GOOD)], profile=profile(strict_model=True)).outcome == "ok"


def test_e3_e6_a_profile_may_allow_what_is_missing() -> None:
    assert told([http(HELLO + DONE)], profile=profile(finish_required=False)).outcome == "ok"
    assert told([http(STOP + DONE)], profile=profile(empty_ok=True)).outcome == "ok"
    assert told([http(HELLO + STOP)], profile=profile(done_required=True)).error_kind == "truncated"


@pytest.mark.parametrize(("reads", "buffered"), [(1, True), (4, True), (10, False)])
def test_35_an_answer_that_comes_in_few_reads_at_the_end_is_buffered(reads: int, buffered: bool) -> None:
    """Twenty chunks in one read, in four late ones, or in ten."""
    events = b"".join([HELLO] * 20)
    size = len(events) // reads
    late = [http(b"")[: http(b"").index(b"\r\n\r\n") + 4], *[b"%x\r\n:%b\r\n" % (30, b"." * 28 + b"\n")] * 50]
    chunks = [b"%x\r\n%b\r\n" % (size, events[at : at + size]) for at in range(0, len(events), size)]
    row = told([*late, *chunks, b"%x\r\n%b\r\n0\r\n\r\n" % (len(STOP + DONE), STOP + DONE)])

    assert row.chunks == 20
    assert ("buffered" in (row.flags or ())) is buffered


# The client's own cut.


@pytest.mark.parametrize(
    ("body", "chars", "flags"),
    [
        (HELLO * 9 + STOP + DONE, [5, 5, 5], ["cut_at_cap"]),  # 10 characters are 3 tokens, 15 are 4
        (HELLO * 2 + STOP + DONE, [5, 5], None),
        (HELLO + event(chunk({"content": "x"}, "stop")) + DONE, [5, 1], None),
        (HELLO * 3 + event({"error": "late"}), [5, 5, 5], ["cut_at_cap"]),
    ],
)
def test_a_stream_is_cut_at_the_cap_whatever_comes_in_one_read(
    body: bytes, chars: list[int], flags: list[str] | None
) -> None:
    response = http(body, size=50)
    for pieces in ([response], [response[at : at + 9] for at in range(0, len(response), 9)]):
        row = told(pieces, cut_at=3)
        assert (row.outcome, list(row.chunk_chars), row.flags) == ("ok", chars, flags)
        assert row.tokens_from == "estimate"


def test_a_compressed_stream_and_one_without_events_are_cut_as_well() -> None:
    coded = http(compressed(HELLO * 9, 31, flush=True), SSE + b"Content-Encoding: gzip\r\n")
    assert told([coded], cut_at=3).flags == ["compressed", "cut_at_cap"]
    assert told([http(LINES, JSON)], cut_at=1).flags == ["not_sse", "cut_at_cap"]
    assert told([http(orjson.dumps(WHOLE), JSON)], cut_at=1).flags == ["not_streamed"]


# Any split, any bytes.

MIXED = b"".join(case[1] for case in [*CHUNKS[:12], *FRAMING[4:7]]).replace(DONE, b"")
ANY = [http(MIXED + GOOD, size=90), http(GOOD, SSE, size=11), http(HELLO + ERRORS[0][1]), http(orjson.dumps(WHOLE),
JSON),
       http(LINES, JSON, size=40), http(gzip.compress(GOOD), SSE + b"Content-Encoding: gzip\r\n", size=30)]  # fmt: skip


@pytest.mark.parametrize("response", ANY, ids=["mixed", "good", "error", "whole", "lines", "gzip"])
@given(st.data())
def test_every_split_of_the_bytes_gives_the_same_row(response: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(response)), max_size=12)))
    pieces = [response[a:b] for a, b in zip([0, *cuts], [*cuts, len(response)], strict=True)]

    assert facts(told(pieces, at_once=data.draw(st.booleans()))) == facts(told([response]))


@given(
    st.binary(max_size=300),
    st.sampled_from([SSE, JSON, b"", b"Content-Encoding: gzip\r\n", b"Content-Encoding: deflate\r\n"]),
)
def test_no_bytes_make_it_raise(body: bytes, kind: bytes) -> None:
    assert told([http(body, kind)]).outcome == "error"


@given(
    st.lists(
        st.sampled_from(
            [HELLO, WORLD, STOP, DONE, b"\n", b"data: ", b"{", b'"', b"[", b"\xff", b"event: error\n", b"\r"]
        ),
        max_size=20,
    )
)
def test_pieces_of_streams_in_any_order_never_make_it_raise(pieces: list[bytes]) -> None:
    row = told([http(b"".join(pieces))])
    assert row.outcome in ("ok", "error")
