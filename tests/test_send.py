"""One request, one record, whatever happens: every fate an answer can have, as the row it becomes."""

from __future__ import annotations

import gc
import gzip
import socket
import ssl
import struct
import threading
import time
from typing import TYPE_CHECKING, Any

import gevent
import orjson
import pytest
from conftest import chunked, read_request, until

from loadtests import profiles
from loadtests.bodies import Bodies
from loadtests.record import ERROR_KINDS, FLAGS, Record
from loadtests.send import Sender, Target
from loadtests.workload import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from loadtests.wire.receiver import Receiver

STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nx-request-id: r-9\r\n\r\n"
)
ROLE = b'data: {"id":"c-1","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
HELLO = b'data: {"id":"c-1","model":"m","choices":[{"index":0,"delta":{"content":"Hello"}}]}\n\n'
WORLD = b'data: {"id":"c-1","model":"m","choices":[{"index":0,"delta":{"content":" world"}}]}\n\n'
STOP = b'data: {"id":"c-1","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"model":"m","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":4}}\n\n'
DONE = b"data: [DONE]\n\n"
WHOLE = (
    b'{"id":"c-2","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2}}'
)
PATIENCE = {"connect": 30.0, "first_byte": 30.0, "silence": 30.0, "total": 60.0}


def plain(body: bytes, status: bytes = b"200 OK", kind: bytes = b"application/json", *more: bytes) -> bytes:
    head = [b"HTTP/1.1 " + status, b"Content-Type: " + kind, b"Content-Length: %d" % len(body), *more]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


@pytest.fixture
def ask(receiver: Receiver, serve: Any) -> Iterator[Callable[..., Record]]:
    """Sends one request to a server that answers with these writes and returns the record that was kept."""
    senders: list[Sender] = []

    def start(
        handler: Callable[[socket.socket], None] | bytes, *, stream: bool = True, key: str | None = None,
        port: int | None = None, patience: dict[str, float] | None = None, content: str = "Hi",
    ) -> Record:  # fmt: skip
        if isinstance(handler, bytes):
            handler = writing(handler)
        where = port if port is not None else serve(handler).port
        profile = profiles.load("vllm").with_overrides(
            base_url=f"http://127.0.0.1:{where}/v1", timeouts=PATIENCE | (patience or {})
        )
        kept: list[Record] = []
        sender = Sender(Target(profile, "m"), receiver, key=key, worker=3, keep=kept.append)
        senders.append(sender)
        request = Request(7, "chat", ({"role": "user", "content": content},), stream, 16, 99, 2)
        returned = sender.send(sender.prepare(request, receiver.now_ns()))
        assert kept == [returned]
        assert returned.error_kind in {None, *ERROR_KINDS}
        assert set(returned.flags or ()) <= set(FLAGS)
        return returned

    yield start
    for sender in senders:
        sender.close()


def writing(*pieces: bytes, pause_s: float = 0.0, reset: bool = False) -> Callable[[socket.socket], None]:
    def handler(sock: socket.socket) -> None:
        read_request(sock)
        for piece in pieces:
            sock.sendall(piece)
            time.sleep(pause_s)
        if reset:
            time.sleep(0.05)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return handler


def test_a_stream_is_a_record_with_every_stamp_in_order(ask: Any) -> None:
    events = [ROLE, HELLO, WORLD, STOP + USAGE + DONE]
    chunks = [b"%x\r\n%b\r\n" % (len(event), event) for event in events]
    for _ in range(3):  # on a busy machine two may be read at once
        row = ask(writing(STREAM, *chunks, b"0\r\n\r\n", pause_s=0.01))
        assert row.outcome == "ok"
        if min(row.first_token_ns - row.first_event_ns, row.last_token_ns - row.first_token_ns) > 5_000_000:
            break

    stamps = [row.scheduled_ns, row.started_ns, row.sent_ns, row.headers_ns, row.first_event_ns, row.first_token_ns,
              row.last_token_ns, row.end_ns]  # fmt: skip
    assert stamps == sorted(stamps)
    assert row.first_answer_ns == row.first_token_ns
    assert row.first_token_ns - row.first_event_ns > 5_000_000  # the role came 10 ms before
    assert row.last_token_ns - row.first_token_ns > 5_000_000
    assert (row.worker, row.seq, row.workload, row.stream, row.output_cap) == (3, 7, "chat", True, 16)
    assert (row.chunks, list(row.chunk_chars), row.output_chars) == (2, [5, 6], 11)
    assert (row.input_tokens, row.output_tokens, row.tokens_from) == (5, 4, "usage")
    assert (row.status, row.http_version, row.finish_reason) == (200, "HTTP/1.1", "stop")
    assert (row.model_answered, row.response_id, row.request_id) == ("m", "c-1", "r-9")
    assert (row.clock, row.conn_reused, row.shared_reads) == ("kernel", False, 0)
    assert row.connect_s is not None
    assert row.dns_s is row.tls_s is row.tls_version is None
    assert row.flags is row.error_kind is row.error is None
    assert row.bytes_sent > 100
    assert row.bytes_received == len(STREAM) + sum(map(len, chunks)) + 5


def test_a_whole_answer_has_no_token_stamps(ask: Any) -> None:
    row = ask(plain(WHOLE), stream=False)

    assert row.outcome == "ok"
    assert row.first_event_ns is row.first_token_ns is row.last_token_ns is row.chunks is row.shared_reads is None
    assert (row.output_tokens, row.output_chars, row.finish_reason) == (2, 5, "stop")
    assert row.headers_ns is not None


def test_the_request_on_the_wire_is_what_the_profile_says(ask: Any) -> None:
    seen: list[bytes] = []

    def handler(sock: socket.socket) -> None:
        seen.append(read_request(sock))
        sock.sendall(plain(WHOLE))

    ask(handler, stream=False, key="k-1234567890")
    head, _, body = seen[0].partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")

    assert lines[0] == b"post /v1/chat/completions http/1.1"
    assert b"authorization: bearer k-1234567890" in lines
    assert b"accept-encoding: identity" in lines
    assert b"content-type: application/json" in lines
    assert sum(line.startswith(b"host:") for line in lines) == 1
    assert b'"max_tokens":16' in body


FATES: list[tuple[str, Any, bool, str]] = [
    ("HTTP 401", plain(b'{"error":{"message":"bad key"}}', b"401 Unauthorized"), True, "auth"),
    ("HTTP 402", plain(b'{"error":{"message":"pay"}}', b"402 Payment Required"), True, "credit"),
    ("HTTP 429", plain(b"{}", b"429 Too Many", b"application/json", b"Retry-After: 2"), True, "throttled"),
    ("HTML 502", plain(b"<html><h1>502 Bad Gateway</h1></html>", b"502 Bad Gateway", b"text/html"), True, "upstream"),
    ("no HTTP", b"\x16\x03\x01 hello\r\n\r\n", True, "protocol"),
    ("closed at once", b"", True, "reset"),
    ("stream closed in mid-event", STREAM + b"%x\r\n" % len(HELLO) + HELLO[:30], True, "truncated"),
    ("clean end without finish", STREAM + chunked(HELLO), True, "truncated"),
    ("done without finish", STREAM + chunked(HELLO, DONE), True, "no_finish"),
    ("nothing said", STREAM + chunked(STOP, DONE), True, "empty"),
    ("broken event", STREAM + chunked(HELLO, b"data: {oops\n\n", STOP, DONE), True, "bad_body"),
    ("error in the stream", STREAM + chunked(HELLO, b'data: {"error":{"message":"died"}}\n\n'), True, "stream_error"),
    ("no JSON", plain(b"hello"), False, "bad_body"),
    ("half a JSON", plain(WHOLE[:40]), False, "bad_body"),
    ("empty body", plain(b""), False, "bad_body"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "stream", "kind"), [f[1:] for f in FATES], ids=[f[0] for f in FATES])
def test_every_bad_end_is_a_row_with_its_kind(ask: Any, written: bytes, stream: bool, kind: str) -> None:
    row = ask(written, stream=stream)

    assert (row.outcome, row.error_kind) == ("error", kind)
    assert row.error
    assert row.end_ns is not None


def test_a_stream_without_done_is_flagged(ask: Any) -> None:
    assert ask(STREAM + chunked(HELLO, STOP)).flags == ["no_done"]
    assert ask(STREAM + chunked(HELLO)).flags == ["no_done"]


def test_a_refused_connection_is_a_row(ask: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    row = ask(b"", port=port)

    assert (row.outcome, row.error_kind) == ("error", "connect")
    assert row.sent_ns is row.headers_ns is row.conn_reused is row.status is row.clock is None


def test_half_an_event_then_a_reset_keeps_the_tokens_before_it(ask: Any) -> None:
    half = STREAM + b"%x\r\n%b\r\n" % (len(HELLO), HELLO) + b"50\r\n" + WORLD[:40]
    row = ask(writing(half, reset=True))

    assert (row.outcome, row.error_kind) == ("error", "reset")
    assert row.chunks == 1
    assert row.first_token_ns is not None
    assert row.output_tokens == 2  # "Hello", 5 characters, estimated
    assert row.tokens_from == "estimate"


def test_a_throttled_row_says_how_long_to_wait(ask: Any) -> None:
    row = ask(plain(b"{}", b"429 Too Many Requests", b"application/json", b"Retry-After: 2"))

    assert (row.status, row.retry_after_s) == (429, 2.0)


def test_json_for_a_stream_is_no_time_to_first_token(ask: Any) -> None:
    row = ask(plain(WHOLE))

    assert (row.outcome, row.flags) == ("ok", ["not_streamed"])
    assert row.first_token_ns is None


def test_a_stream_for_json_is_read_as_one(ask: Any) -> None:
    row = ask(STREAM + chunked(HELLO, STOP, DONE), stream=False)

    assert (row.outcome, row.flags) == ("ok", ["streamed_unasked"])
    assert row.first_token_ns is not None


@pytest.mark.parametrize("kind", [b"", b"Content-Type: text/plain\r\n"])
def test_a_stream_that_does_not_say_so_is_recognised(ask: Any, kind: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\n" + kind + b"Transfer-Encoding: chunked\r\n\r\n"

    row = ask(head + chunked(b": hi\n\n", HELLO, STOP, DONE))
    assert (row.outcome, row.chunks) == ("ok", 1)


def test_a_stream_delimited_by_the_close_is_complete(ask: Any) -> None:
    row = ask(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + HELLO + STOP + b"data: [DONE]")

    assert (row.outcome, row.flags) == ("ok", ["unterminated"])


def test_a_missing_end_of_body_behind_a_complete_answer_is_a_flag(ask: Any) -> None:
    body = HELLO + STOP + DONE
    row = ask(STREAM + b"%x\r\n%b\r\n" % (len(body), body))

    assert (row.outcome, row.flags) == ("ok", ["unterminated"])


def test_another_model_than_asked_for_is_flagged(ask: Any) -> None:
    row = ask(plain(WHOLE.replace(b'"model":"m"', b'"model":"other"')), stream=False)

    assert (row.outcome, row.flags, row.model_answered) == ("ok", ["model_differs"], "other")


def test_tokens_in_one_read_are_counted_as_shared(ask: Any) -> None:
    row = ask(STREAM + chunked(*[HELLO] * 10, STOP, DONE))

    assert (row.chunks, row.shared_reads) == (10, 9)
    assert row.flags == ["buffered"]


def test_a_server_that_never_reads_is_a_timeout_and_not_a_reset(ask: Any) -> None:
    def handler(sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        over.wait(30)

    over = threading.Event()
    row = ask(handler, patience={"total": 0.4}, content="x" * (16 << 20))
    over.set()
    assert (row.outcome, row.error_kind) == ("error", "timeout_total")


def test_an_early_answer_to_a_request_still_being_sent_is_the_answer(ask: Any) -> None:
    def handler(sock: socket.socket) -> None:
        sock.recv(1000)
        sock.sendall(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
        time.sleep(0.8)

    row = ask(handler, patience={"total": 0.5}, content="x" * (16 << 20))
    assert row.status == 413


def test_a_key_never_reaches_the_record(ask: Any) -> None:
    key = "very-secret-key-0123456789"

    def handler(sock: socket.socket) -> None:
        request = read_request(sock)
        sock.sendall(plain(b'{"error":{"message":"you sent ' + request[-0:][:0] + key.encode() + b'"}}', b"500 Oops"))

    row = ask(handler, key=key)
    assert "very-sec" not in row.error
    assert row.error_kind == "upstream"


@pytest.mark.parametrize(
    ("patience", "written", "kind"),
    [({"first_byte": 0.1}, b"", "timeout_first_byte"), ({"silence": 0.1}, STREAM, "timeout_silence"),
     ({"total": 0.1}, STREAM, "timeout_total")],
)  # fmt: skip
def test_a_timeout_is_a_row(ask: Any, patience: dict[str, float], written: bytes, kind: str) -> None:
    def handler(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(written)
        sock.recv(1)  # until the client leaves

    row = ask(handler, patience=patience)

    assert (row.outcome, row.error_kind) == ("error", kind)
    assert row.sent_ns is not None


def test_a_killed_request_is_a_cancelled_row_with_what_it_reached(receiver: Receiver, serve: Any) -> None:
    wrote = threading.Event()

    def handler(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(STREAM + b"%x\r\n%b\r\n" % (len(HELLO), HELLO))
        wrote.set()
        sock.recv(1)  # until the client leaves

    server = serve(handler)
    profile = profiles.load("vllm").with_overrides(base_url=f"http://127.0.0.1:{server.port}/v1")
    kept: list[Record] = []
    sender = Sender(Target(profile, "m"), receiver, key=None, worker=0, keep=kept.append)
    sender.cancel_flag = "run_end"
    request = Request(7, "chat", ({"role": "user", "content": "Hi"},), True, 16, 99, 2)
    task = gevent.spawn(sender.send, sender.prepare(request, receiver.now_ns()))
    until(wrote.is_set)
    for _ in range(10):
        gevent.sleep(0.01)
    task.kill()
    sender.close()

    (row,) = kept
    assert (row.outcome, row.error_kind, row.chunks) == ("cancelled", None, 1)
    assert "run_end" in (row.flags or ())
    assert row.end_ns is not None


def test_a_request_killed_before_it_is_connected_is_a_row(receiver: Receiver) -> None:
    """192.0.2.1 would never answer, but nothing leaves the machine: the listener's queue is full instead."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        profile = profiles.load("vllm").with_overrides(
            base_url=f"http://127.0.0.1:{port}/v1", timeouts=PATIENCE | {"connect": 0.2}
        )
        kept: list[Record] = []
        sender = Sender(Target(profile, "m"), receiver, key=None, worker=0, keep=kept.append)
        request = Request(7, "chat", ({"role": "user", "content": "Hi"},), True, 16, 99, 2)
        sender.send(sender.prepare(request, receiver.now_ns()))
        task = gevent.spawn(sender.send, sender.prepare(request, receiver.now_ns()))
        gevent.sleep(0.05)
        task.kill()
        for filler in fillers:
            filler.close()

    assert [(row.outcome, row.error_kind) for row in kept] == [("error", "timeout_connect"), ("cancelled", None)]


# Cut at the cap, because the provider takes none.


def endless(sent: list[int]) -> Callable[[socket.socket], None]:
    """A chunk of five characters every 5 ms, until the client closes; how many there were."""

    def handler(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(STREAM)
        for number in range(4000):
            sock.sendall(b"%x\r\n%b\r\n" % (len(HELLO), HELLO))
            sent.append(number)
            time.sleep(0.005)

    return handler


@pytest.mark.parametrize("tls", [False, True])
def test_a_stream_is_cut_at_the_cap_where_the_provider_takes_none(
    receiver: Receiver, serve: Any, certificate: Any, monkeypatch: pytest.MonkeyPatch, tls: bool
) -> None:
    """16 tokens at 5 / 4 of a token a chunk: the estimate passes 16 behind 13 chunks, 65 characters."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    sent: list[int] = []
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
    server = serve(endless(sent), tls=context)
    url = f"http{'s' if tls else ''}://localhost:{server.port}/v1"
    profile = profiles.load("meingpt").with_overrides(base_url=url, timeouts=PATIENCE)
    kept: list[Record] = []
    sender = Sender(Target(profile, "m"), receiver, key="k", worker=0, keep=kept.append)
    request = Request(7, "chat", ({"role": "user", "content": "Hi"},), True, 16, 99, 2)
    arrivals = [sender.prepare(request, receiver.now_ns()) for _ in range(2)]
    rows = [sender.send(arrival) for arrival in arrivals]
    sender.close()

    assert b"max_tokens" not in arrivals[0].data
    for row in rows:
        assert (row.outcome, row.flags, row.error) == ("ok", ["cut_at_cap"], None)
        assert (row.chunks, row.output_cap, row.output_tokens, row.tokens_from) == (13, 16, 17, "estimate")
        assert row.conn_reused is False
        assert row.end_ns == row.last_token_ns
    assert server.connections == 2
    assert len(sent) < 2 * 1000  # of 4,000 each: the server learnt of it at once, or as soon as this machine let it


def test_a_plain_answer_cannot_be_cut_and_its_row_says_no_cap(receiver: Receiver, serve: Any) -> None:
    server = serve(writing(plain(WHOLE)))
    profile = profiles.load("meingpt").with_overrides(base_url=f"http://127.0.0.1:{server.port}/v1")
    sender = Sender(Target(profile, "m"), receiver, key=None, worker=0, keep=lambda _: None)
    request = Request(7, "chat", ({"role": "user", "content": "Hi"},), False, 1, 99, 2)
    row = sender.send(sender.prepare(request, receiver.now_ns()))
    sender.close()

    assert (row.outcome, row.flags, row.output_cap) == ("ok", None, None)


def test_a_request_brings_fields_and_a_count_of_choices_of_its_own(receiver: Receiver, serve: Any) -> None:
    """Two choices, of which one never ends: with n = 2 that is no whole answer, with one choice it would be."""
    half = HELLO.replace(b'"index":0', b'"index":1')
    server = serve(writing(STREAM + chunked(HELLO, half, STOP, DONE)))
    profile = profiles.load("vllm").with_overrides(base_url=f"http://127.0.0.1:{server.port}/v1")
    target = Target(profile, "m", params={"n": 1, "top_p": 1}, new_connections=True)
    sender = Sender(target, receiver, key=None, worker=0, keep=lambda _: None)
    messages = ({"role": "user", "content": "Hi"},)
    kinds = []
    for extra in ({"n": 2}, {}):
        arrival = sender.prepare(Request(7, "chat", messages, True, 16, 99, 2, extra), receiver.now_ns())
        kinds.append(sender.send(arrival).error_kind)
        assert b'"top_p":1' in arrival.data
    sender.close()

    assert kinds == ["no_finish", None]


def test_bodies_are_handed_on_as_they_came(receiver: Receiver, serve: Any, tmp_path: Path) -> None:
    """Kept streams are not skimmed: every byte of a long one is there, and the row is the same."""
    events = [ROLE, *[HELLO] * 30, STOP, DONE]
    server = serve(writing(STREAM, *[b"%x\r\n%b\r\n" % (len(event), event) for event in events], b"0\r\n\r\n"))
    profile = profiles.load("vllm").with_overrides(base_url=f"http://127.0.0.1:{server.port}/v1")
    rows: list[Record] = []
    for share in (0.0, 1.0):
        bodies = Bodies(tmp_path, int(share), share, ["secret-key-1234"])
        sender = Sender(
            Target(profile, "m"), receiver, key="secret-key-1234", worker=0, keep=rows.append, bodies=bodies
        )
        sender.send(sender.prepare(Request(7, "chat", ({"role": "user", "content": "Hi"},), True, 16, 99, 2), 0))
        sender.close()
        bodies.close()

    kept = [path.read_bytes() for path in sorted(tmp_path.iterdir())]
    assert kept[0] == b""
    assert orjson.loads(kept[1])["answer"] == b"".join(events).decode()
    assert [list(row.chunk_chars) for row in rows] == [[5] * 30] * 2


def test_a_tokenizer_counts_where_the_provider_does_not(receiver: Receiver, serve: Any) -> None:
    server = serve(writing(STREAM + chunked(HELLO, WORLD, STOP, DONE)))
    profile = profiles.load("vllm").with_overrides(base_url=f"http://127.0.0.1:{server.port}/v1")
    target = Target(profile, "m", counter=lambda text: len(text.split()))
    sender = Sender(target, receiver, key=None, worker=0, keep=lambda _: None)
    request = Request(7, "chat", ({"role": "user", "content": "Hi"},), True, 16, 99, 2)
    row = sender.send(sender.prepare(request, receiver.now_ns()))
    sender.close()

    assert (row.output_tokens, row.tokens_from, row.counted_tokens) == (2, "tokenizer", 2)


def test_answered_requests_leave_no_garbage_behind(receiver: Receiver, serve: Any) -> None:
    """Streams, one of them compressed, and whole bodies: none of their readers holds itself."""
    body = gzip.compress(HELLO + STOP + DONE)
    coded = STREAM.replace(b"Transfer", b"Content-Encoding: gzip\r\nTransfer")
    answers = [STREAM + chunked(HELLO, STOP, DONE), coded + chunked(body), plain(WHOLE)]

    def handler(sock: socket.socket) -> None:
        for number in range(1000):
            if not read_request(sock):
                return
            sock.sendall(answers[number % 3])

    profile = profiles.load("vllm").with_overrides(base_url=f"http://127.0.0.1:{serve(handler).port}/v1")
    sender = Sender(Target(profile, "m"), receiver, key=None, worker=0, keep=lambda _: None)
    request = Request(7, "chat", ({"role": "user", "content": "Hi"},), True, 16, 99, 2)
    for _ in range(6):
        sender.send(sender.prepare(request, receiver.now_ns()))
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for _ in range(60):
            assert sender.send(sender.prepare(request, receiver.now_ns())).outcome == "ok"
        grown = len(gc.get_objects()) - before
    finally:
        gc.enable()
    sender.close()

    assert grown < 60


def test_failed_requests_leave_no_garbage_behind(receiver: Receiver) -> None:
    """The collector is off while a run is on: what a refused connection makes must go by counting references."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    profile = profiles.load("vllm").with_overrides(base_url=f"http://127.0.0.1:{port}/v1")
    sender = Sender(Target(profile, "m"), receiver, key=None, worker=0, keep=lambda _: None)
    request = Request(7, "chat", ({"role": "user", "content": "Hi"},), True, 16, 99, 2)
    sender.send(sender.prepare(request, receiver.now_ns()))
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for _ in range(50):
            sender.send(sender.prepare(request, receiver.now_ns()))
        grown = len(gc.get_objects()) - before
    finally:
        gc.enable()

    assert grown < 100  # 35 objects a request were left before


@pytest.mark.parametrize(("chars", "finish", "tokens"), [(80, b"stop", 16), (8, b"length", 16), (8, b"stop", 2)])
def test_an_estimate_knows_of_the_cap(ask: Any, chars: int, finish: bytes, tokens: int) -> None:
    """80 characters are estimated at 20 tokens, 8 at 2; a provider that keeps a cap of 16 made 16 at most."""
    whole = b'{"model":"m","choices":[{"index":0,"message":{"content":"%b"},"finish_reason":"%b"}]}'
    row = ask(plain(whole % (b"x" * chars, finish)), stream=False)

    assert (row.output_tokens, row.tokens_from) == (tokens, "estimate")
