"""The mock answers as OpenAI does, fails as it is told to, and logs what it really did. Real sockets on 127.0.0.1."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from array import array
from contextlib import closing, contextmanager
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httptools
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtests.mock.log import FINISHES, Log, Truth, lateness_ns, read
from loadtests.mock.process import MockError, MockProcess, start
from loadtests.mock.request import LONGEST_BYTES, RequestReader
from loadtests.mock.script import FAULTS, Script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FAST = ("--ttft", "0.01", "--gap", "0.001", "--prefill", "0", "--output-tokens", "8", "--gap-sigma", "0")
SLOW = ("--ttft", "0.01", "--ttft-sigma", "0", "--gap", "0.02", "--gap-sigma", "0", "--output-tokens", "2000")
PATH = "/v1/chat/completions"
LIMIT_S = 60.0


def request_bytes(body: Any, *headers: str, path: str = PATH, method: str = "POST", version: str = "1.1") -> bytes:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    lines = [f"{method} {path} HTTP/{version}", "Host: mock", f"Content-Length: {len(raw)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + raw


def ask(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": "x" * 40}], "stream": True, **fields}


def whole(**fields: Any) -> bytes:
    return request_bytes(ask(stream=False, **fields))


class _Response:
    """One answer, parsed by httptools; `is_complete` is False where the connection ended before the answer did."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.headers: dict[str, str] = {}
        self.body = b""
        self.is_complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.is_complete = True

    @property
    def status(self) -> int:
        return int(self.parser.get_status_code())

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def data(self) -> list[bytes]:
        return [e.removeprefix(b"data: ") for e in self.body.split(b"\n\n") if e]

    @property
    def events(self) -> list[Any]:
        return [orjson.loads(d) for d in self.data if d != b"[DONE]"]

    @property
    def text(self) -> str:
        return "".join(self.deltas("content"))

    def deltas(self, key: str) -> list[str]:
        return [c["delta"].get(key, "") for e in self.events for c in e.get("choices", ())]


@contextmanager
def connected(mock: MockProcess) -> Iterator[socket.socket]:
    with closing(socket.create_connection(("127.0.0.1", mock.port), LIMIT_S)) as sock:
        yield sock


def receive(sock: socket.socket) -> _Response:
    """One answer; what follows it on the connection must not have come yet."""
    response = _Response()
    while not response.is_complete:
        data = sock.recv(65536)
        if not data:
            break
        response.parser.feed_data(data)
    return response


def drain(sock: socket.socket) -> bytes:
    """All that comes until the connection ends, or is silent for the socket's timeout."""
    received = b""
    try:
        while data := sock.recv(65536):
            received += data
    except TimeoutError:
        received += b"<silence>"
    return received


def exchange(mock: MockProcess, data: bytes) -> _Response:
    with connected(mock) as sock:
        sock.sendall(data)
        return receive(sock)


def wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(6000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("did not come to hold within 60 s")


@pytest.fixture(scope="module")
def mock() -> Iterator[MockProcess]:
    with start(FAST) as process:
        yield process


# What it answers.


def test_a_stream_has_role_tokens_finish_and_done_in_openai_shape(mock: MockProcess) -> None:
    """Answers are 4 to 12 tokens long, so that a cap of 3 always cuts them."""
    response = exchange(mock, request_bytes(ask(max_tokens=3)))

    assert response.status == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["x-request-id"].startswith("req-")
    first, *tokens, last = response.events
    assert first["choices"] == [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]
    assert [len(t["choices"]) for t in tokens] == [1, 1, 1]
    assert last["choices"] == [{"index": 0, "delta": {}, "finish_reason": "length"}]
    assert {(e["id"], e["object"], e["model"]) for e in response.events} == {
        (first["id"], "chat.completion.chunk", "m")
    }
    assert first["id"].removeprefix("chatcmpl-") == response.headers["x-request-id"].removeprefix("req-")
    assert response.data[-1] == b"[DONE]"
    assert "usage" not in first


def test_usage_is_told_in_a_chunk_of_its_own_when_asked_for(mock: MockProcess) -> None:
    """40 characters are 10 tokens."""
    response = exchange(mock, request_bytes(ask(max_completion_tokens=2, stream_options={"include_usage": True})))

    *others, usage = response.events
    assert all(e["usage"] is None for e in others)
    assert usage["choices"] == []
    assert usage["usage"]["prompt_tokens"] == 10
    assert usage["usage"]["completion_tokens"] == 2
    assert usage["usage"]["total_tokens"] == 12


@pytest.mark.parametrize(("usage", "is_told"), [("always", True), ("never", False)])
def test_usage_can_be_told_always_or_never(usage: str, is_told: bool) -> None:
    body = ask(max_tokens=1, stream_options={"include_usage": not is_told})
    with start((*FAST, "--usage", usage)) as mock:
        events = exchange(mock, request_bytes(body)).events

    assert ("usage" in events[-1]) is is_told


def test_a_whole_answer_says_what_the_stream_would_have_said() -> None:
    with start(FAST) as streaming, start(FAST) as plain:
        streamed = exchange(streaming, request_bytes(ask()))
        completion = exchange(plain, whole()).json

    assert completion["id"] == "chatcmpl-1"
    assert completion["object"] == "chat.completion"
    assert completion["choices"][0]["message"] == {"role": "assistant", "content": streamed.text}
    assert completion["choices"][0]["finish_reason"] == "stop"
    played = Script(output_tokens=8).play(1, 10, None, stream=False)
    assert completion["usage"]["completion_tokens"] == played.tokens
    assert streamed.text == "".join(played.texts)


def test_reasoning_comes_first_and_is_counted_apart() -> None:
    with start((*FAST, "--reasoning-tokens", "5", "--tokens-per-chunk", "2")) as mock:
        streamed = exchange(mock, request_bytes(ask(max_tokens=7, stream_options={"include_usage": True})))
        completion = exchange(mock, whole(max_tokens=7)).json

    # 5 tokens of reasoning are chunks of 2, 2, 1; the other 2 tokens are one chunk.
    kinds = ["reasoning_content" in e["choices"][0]["delta"] for e in streamed.events[1:5]]
    assert kinds == [True, True, True, False]
    assert streamed.events[-1]["usage"]["completion_tokens_details"] == {"reasoning_tokens": 5}
    assert completion["choices"][0]["message"]["reasoning_content"]


def test_a_cap_can_be_ignored() -> None:
    with start((*FAST, "--ignore-cap")) as mock:
        response = exchange(mock, request_bytes(ask(max_tokens=1)))

    assert response.events[-1]["choices"][0]["finish_reason"] == "stop"


def test_models_are_listed_and_other_paths_are_not_found(mock: MockProcess) -> None:
    assert (
        exchange(mock, request_bytes(b"", path="/any/v1/models?limit=1", method="GET")).json["data"][0]["id"] == "mock"
    )
    other = exchange(mock, request_bytes(b"", path="/v1/embeddings"))
    assert other.status == 404
    assert "/v1/embeddings" in other.json["error"]["message"]


def test_head_is_answered_without_a_body(mock: MockProcess) -> None:
    with connected(mock) as sock:
        sock.sendall(request_bytes(b"", path="/", method="HEAD"))
        sock.sendall(request_bytes(b"", "Connection: close", path="/models", method="GET"))
        answers = drain(sock)

    assert answers.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert b"\r\n\r\nHTTP/1.1 200 OK\r\n" in answers


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"messages":[{"content":"x"}]}',
        b'{"model":"","messages":[{"content":"x"}]}',
        b'{"model":"m"}',
        b'{"model":"m","messages":[]}',
        b'{"model":"m","messages":[1],"max_tokens":0}',
        b'{"model":"m","messages":[1],"max_tokens":"many"}',
        b"[" * 5000,
        b'{"model":"\xff","messages":[1]}',
    ],
)
def test_a_body_that_no_provider_would_take_is_a_400_in_openai_shape(mock: MockProcess, body: bytes) -> None:
    response = exchange(mock, request_bytes(body))

    assert response.status == 400
    assert set(response.json["error"]) == {"message", "type", "param", "code"}


def test_messages_of_any_shape_are_answered(mock: MockProcess) -> None:
    """4 + 3 characters count, which is 2 tokens; the rest has no text."""
    messages = [1, None, {"content": ["x", {"text": 5}, {"type": "text", "text": "four"}]}, {"content": "abc"}, {}]

    response = exchange(mock, whole(messages=messages))

    assert response.json["usage"]["prompt_tokens"] == 2


def test_with_a_key_only_its_bearer_is_let_in() -> None:
    with start((*FAST, "--key", "sk-1")) as mock:
        statuses = [
            exchange(mock, request_bytes(ask(stream=False), *headers)).status
            for headers in ((), ("Authorization: Bearer sk-2",), ("authorization: Bearer sk-1",))
        ]
        models = exchange(mock, request_bytes(b"", path="/v1/models", method="GET")).status

    assert statuses == [401, 401, 200]
    assert models == 401


# How it speaks HTTP.


def test_a_connection_serves_many_requests_and_pipelined_ones_in_order(mock: MockProcess) -> None:
    with connected(mock) as sock:
        sock.sendall(whole(max_tokens=1))
        before = int(receive(sock).json["id"].removeprefix("chatcmpl-"))
        sock.sendall(whole(max_tokens=1) * 2 + request_bytes(ask(max_tokens=1), "Connection: close"))
        rest = drain(sock)

    places = [rest.index(b"chatcmpl-%d" % n) for n in range(before + 1, before + 4)]
    assert places == sorted(places)
    assert b"Connection: close" in rest
    assert rest.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


CUTS = st.lists(st.integers(1, 400), max_size=8)


@settings(max_examples=40, deadline=None)
@given(CUTS)
def test_every_split_of_the_request_is_answered_the_same(mock: MockProcess, cuts: list[int]) -> None:
    data = request_bytes(ask(stream=False, max_tokens=1), "X-Pad: " + "p" * 50)
    with connected(mock) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for low, high in zip([0, *sorted(cuts)], [*sorted(cuts), len(data)], strict=True):
            sock.sendall(data[low:high])
        response = receive(sock)

    assert response.status == 200
    assert response.json["usage"]["prompt_tokens"] == 10


@given(st.lists(st.integers(0, 500), max_size=12))
def test_every_split_of_the_bytes_is_read_as_the_same_requests(cuts: list[int]) -> None:
    data = request_bytes(ask(), "Authorization: Bearer k") + request_bytes(b"", path="/models?x=1", method="GET")
    at_once, in_pieces = RequestReader(), RequestReader()
    edges = [0, *sorted(cuts), len(data)]

    pieces = [r for low, high in pairwise(edges) for r in in_pieces.feed(data[low:high])]

    assert pieces == at_once.feed(data)
    assert [(r.method, r.path, r.authorization) for r in pieces] == [("POST", PATH, "Bearer k"), ("GET", "/models", "")]


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=1, max_size=300))
def test_no_bytes_a_client_sends_bring_it_down(mock: MockProcess, junk: bytes) -> None:
    with connected(mock) as sock:
        sock.sendall(junk)
        sock.sendall(b"\r\n\r\n")

    assert mock.popen.poll() is None
    assert exchange(mock, whole(max_tokens=1)).status == 200


@pytest.mark.parametrize(
    "data",
    [
        b"NOT HTTP\r\n\r\n",
        request_bytes(ask(), "Upgrade: h2c", "Connection: Upgrade"),
        request_bytes(ask(), version="1.0"),
    ],
)
def test_what_it_does_not_speak_is_a_400_and_the_end_of_the_connection(mock: MockProcess, data: bytes) -> None:
    with connected(mock) as sock:
        sock.sendall(data)
        response = receive(sock)
        rest = sock.recv(100)

    assert response.status == 400
    assert rest == b""


def test_a_request_that_is_too_long_is_refused_with_413_and_nothing_after_it_is_read() -> None:
    reader = RequestReader()
    data = request_bytes(b"x" * (LONGEST_BYTES + (2 << 20)))
    found = [r for at in range(0, len(data), 1 << 20) for r in reader.feed(data[at : at + (1 << 20)])]

    assert [r.problem for r in found] == [413]
    assert reader.feed(request_bytes(b"")) == []


def test_a_client_that_waits_for_100_continue_gets_it(mock: MockProcess) -> None:
    head, _, body = whole(max_tokens=1).partition(b"\r\n\r\n")
    with connected(mock) as sock:
        sock.sendall(head + b"\r\nExpect: 100-continue\r\n\r\n")
        interim = sock.recv(100)
        sock.sendall(body)
        response = receive(sock)

    assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert response.status == 200


def test_a_client_that_reads_late_gets_every_byte() -> None:
    """40,000 chunks of about 190 bytes are 7.6 MB: more than the kernel keeps (tcp_wmem 4 MB), so ours is needed."""
    with start(("--ttft", "0", "--gap", "0", "--output-tokens", "80000")) as mock, closing(socket.socket()) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
        sock.settimeout(LIMIT_S)
        sock.connect(("127.0.0.1", mock.port))
        sock.sendall(request_bytes(ask(max_tokens=40_000), "Connection: close"))
        time.sleep(0.4)
        answer = drain(sock)

    assert answer.count(b'"content":') == 40_001
    assert answer.endswith(b"0\r\n\r\n")


def test_whole_answers_that_the_kernel_takes_in_parts_arrive_whole() -> None:
    """20 answers of 80,000 tokens of near 5 characters are 8 MB: some are sent in part, the rest when there is room."""
    with start(("--ttft", "0", "--gap", "0", "--output-tokens", "160000")) as mock, connected(mock) as sock:
        sock.sendall(whole(max_tokens=80_000) * 20)
        time.sleep(0.8)
        usages = [receive_exactly(sock)["usage"]["completion_tokens"] for _ in range(20)]

    assert usages == [80_000] * 20


def receive_exactly(sock: socket.socket) -> Any:
    """The body of one answer with a Content-Length; nothing after it is read."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(1)
    length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
    body = b""
    while len(body) < length:
        data = sock.recv(length - len(body))
        assert data, "the connection ended inside the body"
        body += data
    return orjson.loads(body)


# How it fails.


def failing(fault: str, *, stream: bool = True) -> tuple[_Response, Exception | None]:
    """The answer under a fault with four chunks' room, and what the socket raised."""
    return failed_both_ways(fault)[stream]


@cache
def failed_both_ways(fault: str) -> dict[bool, tuple[_Response, Exception | None]]:
    """The same of a streamed and of a whole answer, by one mock."""
    options = ("--error-rate", "1", "--fault", fault, "--output-tokens", "9", "--usage", "always")
    with start((*FAST, *options)) as mock:
        return {stream: broken_off(mock, request_bytes(ask(stream=stream, max_tokens=4))) for stream in (True, False)}


def broken_off(mock: MockProcess, data: bytes) -> tuple[_Response, Exception | None]:
    response = _Response()
    with connected(mock) as sock:
        sock.sendall(data)
        try:
            while not response.is_complete and (data := sock.recv(65536)):
                response.parser.feed_data(data)
        except (OSError, httptools.HttpParserError) as error:
            return response, error
    return response, None


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("status", [400, 401, 402, 403, 429, 500, 503])
def test_an_http_fault_has_its_status_and_openais_body(status: int, stream: bool) -> None:
    response, _ = failing(f"http_{status}", stream=stream)

    assert response.status == status
    assert set(response.json["error"]) == {"message", "type", "param", "code"}
    assert response.headers.get("retry-after") == ("2" if status == 429 else None)


def test_http_502_is_a_gateways_page() -> None:
    response, _ = failing("http_502")

    assert response.status == 502
    assert response.headers["content-type"] == "text/html"
    assert response.body.startswith(b"<html>")


def test_reset_breaks_a_stream_inside_an_event() -> None:
    """Half of four chunks are two; then half an event, then RST."""
    response, error = failing("reset")

    assert isinstance(error, ConnectionResetError)
    assert response.body.count(b'"content":') == 3  # the role's empty one among them
    assert not response.body.endswith(b"\n\n")


def test_cut_ends_a_stream_cleanly_without_a_finish() -> None:
    response, error = failing("cut")

    assert error is None
    assert not response.is_complete
    assert len(response.events) == 3
    assert all(e["choices"][0]["finish_reason"] is None for e in response.events)


@pytest.mark.parametrize(("fault", "kind"), [("reset", ConnectionResetError), ("cut", type(None))])
def test_a_whole_answer_is_broken_off_in_its_body(fault: str, kind: type) -> None:
    response, error = failing(fault, stream=False)

    assert isinstance(error, kind)
    assert 0 < len(response.body) < int(response.headers["content-length"])
    assert not response.is_complete


@pytest.mark.parametrize("stream", [True, False])
def test_stall_goes_silent_and_stays(stream: bool, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with start((*FAST, "--error-rate", "1", "--fault", "stall"), log) as mock, connected(mock) as sock:
        sock.sendall(request_bytes(ask(stream=stream, max_tokens=4)))
        received = b""
        while b"\r\n\r\n" not in received or received.count(b'"content":') < (3 if stream else 0):
            received += sock.recv(65536)
        sock.settimeout(0.2)
        received += drain(sock)
        mock.stop()

    assert received.startswith(b"HTTP/1.1 200 OK")
    assert received.endswith(b"<silence>")
    assert read(log)[1].finish == "stall"
    assert len(read(log)[1].chunk_ns) == (2 if stream else 0)


@pytest.mark.parametrize("stream", [True, False])
def test_malformed_is_no_http(stream: bool) -> None:
    _, error = failing("malformed", stream=stream)

    assert isinstance(error, httptools.HttpParserError)


@pytest.mark.parametrize("stream", [True, False])
def test_empty_is_an_answer_without_a_token(stream: bool) -> None:
    response, _ = failing("empty", stream=stream)

    assert response.is_complete
    usage = response.events[-1]["usage"] if stream else response.json["usage"]
    assert usage["completion_tokens"] == 0
    assert (response.text if stream else response.json["choices"][0]["message"]["content"]) == ""


def test_no_done_no_finish_and_json_for_stream_are_what_they_say() -> None:
    no_done, _ = failing("no_done")
    no_finish, _ = failing("no_finish")
    json_for_stream, _ = failing("json_for_stream")

    assert no_done.is_complete
    assert b"[DONE]" not in no_done.body
    assert no_done.events[-2]["choices"][0]["finish_reason"] == "length"
    assert no_finish.is_complete
    assert no_finish.data[-1] == b"[DONE]"
    assert not any(c["finish_reason"] for e in no_finish.events for c in e["choices"])
    assert json_for_stream.json["object"] == "chat.completion"


def test_stream_error_is_an_error_object_inside_a_200() -> None:
    response, _ = failing("stream_error")

    assert response.status == 200
    assert len(response.deltas("content")) == 3
    assert response.events[-1]["error"]["type"] == "server_error"
    assert b"[DONE]" not in response.body


def test_bad_json_is_one_broken_event_between_sound_ones() -> None:
    response, _ = failing("bad_json")

    broken = [d for d in response.data if d != b"[DONE]" and not d.endswith(b"}")]
    assert len(broken) == 1
    assert response.body.count(b'"content":"') == 1 + 4 + 1  # role, tokens, the broken one
    assert response.data[-1] == b"[DONE]"


@pytest.mark.parametrize("fault", ["no_done", "no_finish", "stream_error", "json_for_stream", "bad_json"])
def test_a_stream_fault_is_http_500_for_a_whole_answer(fault: str) -> None:
    response, _ = failing(fault, stream=False)

    assert response.status == 500


def test_every_fault_has_its_test_and_a_place_in_the_log() -> None:
    tests = Path(__file__).read_text(encoding="utf-8")

    assert all(f'"{fault}"' in tests or f"{fault.removeprefix('http_')}" in tests for fault in FAULTS)
    assert set(FAULTS) < set(FINISHES)


# The truth.


def test_the_log_says_when_the_request_was_read_and_each_chunk_written(tmp_path: Path) -> None:
    """Read and written by the same clock as ours, between our sending and our receiving; never before it was due."""
    log = tmp_path / "log"
    with start(FAST, log) as mock:
        before_ns = time.time_ns()
        exchange(mock, request_bytes(ask(max_tokens=3)))
        after_ns = time.time_ns()
        exchange(mock, whole(max_tokens=3))
        exchange(mock, request_bytes(b"{"))
        assert mock.stop() == 0
    truths = read(log)

    first = truths[1]
    assert [t.finish for t in truths.values()] == ["length", "length", "refused"]
    assert [len(t.chunk_ns) for t in truths.values()] == [3, 1, 0]
    assert (first.prompt_tokens, first.cap, first.stream) == (10, 3, True)
    assert before_ns < first.read_ns < first.chunk_ns[0] < first.chunk_ns[1] < first.chunk_ns[2] < after_ns
    script = Script(ttft_s=0.01, gap_s=0.001, gap_sigma=0, prefill_s_per_1k_tokens=0, output_tokens=8)
    # The two clocks of the moment it was read are taken one after the other: some microseconds.
    assert min(*lateness_ns(first, script), *lateness_ns(truths[2], script)) > -1_000_000


def test_a_client_that_leaves_in_mid_stream_is_logged_with_what_it_was_sent(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with start(SLOW, log) as mock:
        with connected(mock) as sock:
            sock.sendall(request_bytes(ask()))
            sock.recv(65536)
        wait_until(lambda: log.stat().st_size > 8)  # flushed within a second of its end
        left = read(log)[1]

    assert left.finish == "disconnected"
    assert 1 <= len(left.chunk_ns) < 500


def test_a_stream_that_our_end_cuts_off_is_logged(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with start(SLOW, log) as mock, connected(mock) as sock:
        sock.sendall(request_bytes(ask()))
        sock.recv(65536)
        mock.popen.send_signal(signal.SIGTERM)
        assert mock.popen.wait(LIMIT_S) == 0

    assert read(log)[1].finish == "shutdown"


def test_a_cut_log_keeps_every_whole_record(tmp_path: Path) -> None:
    """Two records of 26 + 3 * 8 bytes after a magic line of 8: the first ends at 58, the second at 108."""
    path = tmp_path / "log"
    truths = [Truth(n, 5, array("q", [6, 7, 8]), "stop", 10, None, stream=True) for n in (1, 2)]
    with closing(Log(path)) as log:
        for truth in truths:
            log.add(truth)
    data = path.read_bytes()

    assert read(path) == {1: truths[0], 2: truths[1]}
    assert len(data) == 108
    for length in range(8, len(data)):
        path.write_bytes(data[:length])
        assert list(read(path)) == ([1] if length >= 58 else [])
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="no log of the mock"):
        read(path)


# The process.


def test_it_ends_when_its_parents_pipe_does() -> None:
    mock = start(FAST)
    assert mock.popen.stdin is not None

    mock.popen.stdin.close()

    assert mock.popen.wait(LIMIT_S) == 0
    assert mock.stop() == 0


def test_a_mistake_on_the_command_line_is_one_line_and_exit_code_2() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "loadtests.mock", "--error-rate", "2"],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "mock: --error-rate: 2.0 isn't a share from 0 to 1\n"


def test_a_mock_that_does_not_start_is_an_error(mock: MockProcess, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(MockError, match="exit code 2"):
        start(("--port", str(mock.port)))

    assert "Address already in use" in capfd.readouterr().err


def test_it_imports_nothing_heavy() -> None:
    heavy = "{'gevent', 'locust', 'asyncio', 'numpy', 'pandas', 'pyarrow', 'click', 'httpx'}"
    program = f"import sys, loadtests.mock.__main__, loadtests.mock.process; print({heavy} & set(sys.modules))"

    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True
    )

    assert ended.stdout == "set()\n"


def test_connections_leave_nothing_behind() -> None:
    """
    The collector is off, so that a cycle left at the end of a connection stays for ever: about 1 KB with its parser.

    The first 300 connections fill the allocator's pools; 1,200 that leaked would then add over 1 MB.
    """
    with start(FAST) as mock:
        _come_and_go(mock, 300)
        before = _resident_bytes(mock)
        _come_and_go(mock, 1200)
        after = _resident_bytes(mock)

    assert after - before < 500_000


def _come_and_go(mock: MockProcess, times: int) -> None:
    """Connections that end in every way: refused, and left with an answer on its way."""
    for _ in range(times):
        with connected(mock) as sock:
            sock.sendall(request_bytes(b"{"))
            receive(sock)
            sock.sendall(request_bytes(ask()))


def _resident_bytes(mock: MockProcess) -> int:
    pages = Path(f"/proc/{mock.popen.pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * 4096
