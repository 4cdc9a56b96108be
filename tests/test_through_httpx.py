"""HTTP/2 and proxies: real ones on 127.0.0.1, and every record the same as on our own wire but for its clock."""

from __future__ import annotations

import base64
import gc
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent
import h2.config
import h2.connection
import h2.events
import pytest
from commands import code_of
from conftest import read_request
from hyperframe.frame import GoAwayFrame

from loadtests import child, clock, profiles
from loadtests.mock import process
from loadtests.record import ERROR_KINDS, Record
from loadtests.send import Sender, Target
from loadtests.workload import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loadtests.wire.receiver import Receiver

HOME = Path(__file__).resolve().parent.parent
HELLO = b'data: {"id":"c-1","model":"m","choices":[{"index":0,"delta":{"content":"Hello"}}]}\n\n'
WORLD = b'data: {"id":"c-1","model":"m","choices":[{"index":0,"delta":{"content":" world"}}]}\n\n'
STOP = b'data: {"id":"c-1","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"model":"m","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":4}}\n\n'
DONE = b"data: [DONE]\n\n"
EVENTS = (HELLO, WORLD, STOP + USAGE + DONE)
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
PATIENCE = {"connect": 30.0, "first_byte": 30.0, "silence": 30.0, "total": 60.0}
NOBODY = b"HTTP/1.1 502 Nobody There\r\n\r\n"
PASSWORD = "pass-word-9876543210"


# Servers and proxies.


def answering(*events: bytes, pause_s: float = 0.01, more: bytes = b"") -> Callable[[socket.socket], None]:
    """Answers every request of a connection with a stream of these events; ends it unless more is said."""

    def handler(sock: socket.socket) -> None:
        while read_request(sock):
            sock.sendall(STREAM)
            for event in events:
                sock.sendall(b"%x\r\n%b\r\n" % (len(event), event))
                time.sleep(pause_s)
            sock.sendall(more or b"0\r\n\r\n")

    return handler


class Http2:
    """A server's side of HTTP/2 that answers each request with a stream of events, and what it was asked."""

    def __init__(self, *events: bytes, pause_s: float = 0.01) -> None:
        self.events, self.pause_s = events, pause_s
        self.asked: list[dict[bytes, bytes]] = []
        self.bodies: list[bytes] = []

    def __call__(self, sock: socket.socket) -> None:
        """Serve one connection."""
        state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding=None))
        state.initiate_connection()
        sock.sendall(state.data_to_send())
        while data := sock.recv(65536):
            for event in state.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    self.asked.append(dict(event.headers or ()))
                elif isinstance(event, h2.events.DataReceived):
                    self.bodies.append(event.data or b"")
                    state.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
                elif isinstance(event, h2.events.StreamEnded):
                    self.answer(sock, state, event.stream_id or 0)
            sock.sendall(state.data_to_send())

    def answer(self, sock: socket.socket, state: h2.connection.H2Connection, stream_id: int) -> None:
        """Answer one request."""
        state.send_headers(stream_id, [(":status", "200"), ("content-type", "text/event-stream")])
        sock.sendall(state.data_to_send())
        for event in self.events:
            state.send_data(stream_id, event)
            sock.sendall(state.data_to_send())
            time.sleep(self.pause_s)
        self.finish(sock, state, stream_id)

    def finish(self, sock: socket.socket, state: h2.connection.H2Connection, stream_id: int) -> None:
        """End one answer."""
        state.end_stream(stream_id)
        sock.sendall(state.data_to_send())


class Proxy:
    """
    An HTTP proxy: CONNECT and absolute-form.

    Args:
        says: Answers every request with this instead.
    """

    def __init__(self, says: bytes = b"") -> None:
        self.says = says
        self.heads: list[bytes] = []

    def __call__(self, sock: socket.socket) -> None:
        """Serve one connection."""
        head = b""
        while b"\r\n\r\n" not in head:
            piece = sock.recv(65536)
            if not piece:
                return  # only looked whether anybody is here
            head += piece
        self.heads.append(head)
        if self.says:
            sock.sendall(self.says)
            return
        method, target, _ = head.split(b"\r\n")[0].split(b" ")
        authority = target if method == b"CONNECT" else target.split(b"/")[2]
        host, _, port = authority.partition(b":")
        with socket.create_connection((host.decode(), int(port))) as upstream:
            upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if method == b"CONNECT":
                sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                upstream.sendall(head.replace(b"http://" + authority, b"", 1))
            relay(sock, upstream)


class Socks:
    """A SOCKS5 proxy without authentication."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def __call__(self, sock: socket.socket) -> None:
        """Serve one connection."""
        sock.recv(64)
        sock.sendall(b"\x05\x00")
        asked = sock.recv(300)
        self.asked.append(asked)
        assert asked[3] in {1, 3}
        host = socket.inet_ntoa(asked[4:8]) if asked[3] == 1 else asked[5:-2].decode()
        with socket.create_connection((host, int.from_bytes(asked[-2:]))) as upstream:
            sock.sendall(b"\x05\x00\x00\x01\0\0\0\0\0\0")
            relay(sock, upstream)


def relay(one: socket.socket, other: socket.socket) -> None:
    """Both ways until one side closes."""

    def pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for sock in (source, sink):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    back = threading.Thread(target=pump, args=(other, one))
    back.start()
    pump(one, other)
    back.join(5)


def tls_server(certificate: Any, *protocols: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


# One request.


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, certificate: Any) -> None:
    """No proxy of the machine's, and a certificate that is trusted."""
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))


@pytest.fixture
def sender(receiver: Receiver) -> Iterator[Callable[..., Sender]]:
    """Makes senders whose records are in `kept`."""
    made: list[Sender] = []

    def make(
        port: int, *, proxy: str | None = None, http2: bool = False, tls: bool = False, new_connections: bool = False,
        patience: dict[str, float] | None = None,
    ) -> Sender:  # fmt: skip
        profile = profiles.load("vllm").with_overrides(
            base_url=f"http{'s' if tls else ''}://127.0.0.1:{port}/v1", proxy=proxy, http2=http2,
            timeouts=PATIENCE | (patience or {}),
        )  # fmt: skip
        kept: list[Record] = []
        target = Target(profile, "m", new_connections=new_connections)
        made.append(Sender(target, receiver, key="key-1234567890", worker=0, keep=kept.append))
        made[-1].kept = kept  # type: ignore[attr-defined]
        return made[-1]

    yield make
    for one in made:
        one.close()


def request(number: int = 7, content: str = "Hi") -> Request:
    return Request(number, "chat", ({"role": "user", "content": content},), True, 16, 99, 2)


@pytest.fixture
def ask(receiver: Receiver, sender: Any) -> Callable[..., Record]:
    """Sends one request and returns its record."""

    def start(port: int, **how: Any) -> Record:
        made = sender(port, **how)
        record: Record = made.send(made.prepare(request(), receiver.now_ns()))
        assert made.kept == [record]
        assert record.error_kind in {None, *ERROR_KINDS}
        return record

    return start


def is_whole(row: Record) -> bool:
    """A good record of EVENTS, with its stamps in order."""
    assert (row.outcome, row.error, row.flags) == ("ok", None, None)
    stamps: list[Any] = [row.scheduled_ns, row.started_ns, row.sent_ns, row.headers_ns, row.first_event_ns,
                         row.first_token_ns, row.last_token_ns, row.end_ns]  # fmt: skip
    assert None not in stamps
    assert stamps == sorted(stamps)
    assert (row.chunks, row.output_chars, row.output_tokens, row.input_tokens) == (2, 11, 4, 5)
    assert (row.clock, row.wake_lag_max_us, row.status, row.finish_reason) == ("user", None, 200, "stop")
    assert row.bytes_sent is not None
    assert row.bytes_received is not None
    assert row.bytes_sent > 100
    assert row.bytes_received > sum(map(len, EVENTS))
    return True


# What should work.


@pytest.mark.parametrize("http2", [False, True])
def test_tokens_have_the_moments_at_which_they_came(ask: Any, serve: Any, http2: bool) -> None:
    """Written 10 ms apart; on a busy machine two may be read at once, so that the best of three counts."""
    port = serve(Http2(*EVENTS) if http2 else answering(*EVENTS)).port
    proxy = None if http2 else f"http://127.0.0.1:{serve(Proxy()).port}"
    for _ in range(3):
        row = ask(port, http2=http2, proxy=proxy)
        assert is_whole(row)
        apart_ns = row.last_token_ns - row.first_token_ns
        if apart_ns > 5_000_000:
            break
    assert apart_ns > 5_000_000


def test_a_stream_through_a_proxy_is_a_record_like_any_other(ask: Any, serve: Any) -> None:
    proxy = Proxy()
    row = ask(serve(answering(*EVENTS)).port, proxy=f"http://127.0.0.1:{serve(proxy).port}")

    assert is_whole(row)
    assert (row.http_version, row.conn_reused) == ("HTTP/1.1", False)
    assert row.connect_s > 0
    assert row.tls_s is row.tls_version is None
    lines = proxy.heads[0].lower().split(b"\r\n")
    assert lines[0].startswith(b"post http://127.0.0.1:")
    assert b"authorization: bearer key-1234567890" in lines
    assert b"accept-encoding: identity" in lines
    assert not any(b"python-httpx" in line for line in lines)


def test_tls_goes_through_a_proxy_in_a_tunnel(ask: Any, serve: Any, certificate: Any) -> None:
    proxy = Proxy()
    server = serve(answering(*EVENTS), tls=tls_server(certificate))
    row = ask(server.port, tls=True, proxy=f"http://127.0.0.1:{serve(proxy).port}")

    assert is_whole(row)
    assert row.tls_s > 0
    assert row.tls_version == "TLSv1.3"
    assert proxy.heads[0].startswith(b"CONNECT 127.0.0.1:%d " % server.port)
    assert b"key-1234567890" not in proxy.heads[0]


def test_tls_goes_through_a_tls_proxy(ask: Any, serve: Any, certificate: Any) -> None:
    server = serve(answering(*EVENTS), tls=tls_server(certificate))
    proxy = serve(tls_proxy(), tls=tls_server(certificate))

    assert is_whole(ask(server.port, tls=True, proxy=f"https://127.0.0.1:{proxy.port}"))


def tls_proxy() -> Callable[[socket.socket], None]:
    """One thread reads and writes a TLS socket: two at once would be OpenSSL's undoing."""

    def handler(sock: socket.socket) -> None:
        head = sock.recv(65536)
        host, _, port = head.split(b" ")[1].partition(b":")
        with socket.create_connection((host.decode(), int(port))) as upstream:
            sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            sock.settimeout(0.005)
            upstream.settimeout(0.005)
            for _ in range(1000):
                for source, sink in ((sock, upstream), (upstream, sock)):
                    try:
                        data = source.recv(65536)
                    except TimeoutError:
                        continue
                    if not data:
                        return
                    sink.sendall(data)

    return handler


def test_socks_is_spoken(ask: Any, serve: Any) -> None:
    proxy = Socks()

    assert is_whole(ask(serve(answering(*EVENTS)).port, proxy=f"socks5://127.0.0.1:{serve(proxy).port}"))
    assert len(proxy.asked) == 1


@pytest.mark.parametrize("http2", [False, True])
def test_a_stream_is_cut_at_the_cap_and_its_connection_not_used_again(
    receiver: Receiver, serve: Any, http2: bool
) -> None:
    """The provider takes no cap: the five characters of the first chunk are 2 tokens, and ten are 3."""
    proxy = None if http2 else f"http://127.0.0.1:{serve(Proxy()).port}"
    server = serve(Http2(*[HELLO] * 100) if http2 else answering(*[HELLO] * 100))
    profile = profiles.load("meingpt").with_overrides(
        base_url=f"http://127.0.0.1:{server.port}/v1", http2=http2, proxy=proxy, timeouts=PATIENCE
    )
    made = Sender(Target(profile, "m"), receiver, key=None, worker=0, keep=lambda _: None)
    asked = Request(7, "chat", ({"role": "user", "content": "Hi"},), True, 2, 99, 2)
    rows = [made.send(made.prepare(asked, receiver.now_ns())) for _ in range(2)]
    made.close()

    for row in rows:
        assert (row.outcome, row.error, row.flags) == ("ok", None, ["cut_at_cap"])
        assert row.chunks == 2
        assert row.conn_reused is False
        assert row.end_ns == row.last_token_ns
    assert server.connections == 2


@pytest.mark.parametrize("tls", [False, True])
def test_http2_is_spoken(ask: Any, serve: Any, certificate: Any, tls: bool) -> None:
    server = Http2(*EVENTS)
    port = serve(server, tls=tls_server(certificate, "h2") if tls else None).port
    row = ask(port, tls=tls, http2=True)

    assert is_whole(row)
    assert row.http_version == "HTTP/2"
    assert (row.tls_s is not None) is tls
    (asked,) = server.asked
    assert asked[b":path"] == b"/v1/chat/completions"
    assert asked[b"authorization"] == b"Bearer key-1234567890"
    assert asked[b"accept-encoding"] == b"identity"
    assert asked[b"user-agent"].startswith(b"firsttoken/")
    assert int(asked[b"content-length"]) == len(b"".join(server.bodies))
    assert b"connection" not in asked


def test_http2_goes_through_a_proxy(ask: Any, serve: Any, certificate: Any) -> None:
    server = serve(Http2(*EVENTS), tls=tls_server(certificate, "h2"))
    row = ask(server.port, tls=True, http2=True, proxy=f"http://127.0.0.1:{serve(Proxy()).port}")

    assert is_whole(row)
    assert row.http_version == "HTTP/2"


@pytest.mark.parametrize("http2", [False, True])
def test_a_connection_is_used_again_unless_new_ones_are_wanted(
    receiver: Receiver, sender: Any, serve: Any, http2: bool
) -> None:
    server = serve(Http2(*EVENTS) if http2 else answering(*EVENTS))
    proxy = None if http2 else f"http://127.0.0.1:{serve(Proxy()).port}"
    for new in (False, True):
        one = sender(server.port, http2=http2, proxy=proxy, new_connections=new)
        rows = [one.send(one.prepare(request(), receiver.now_ns())) for _ in range(3)]

        assert all(map(is_whole, rows))
        assert [row.conn_reused for row in rows] == [False, not new, not new]
        assert (rows[1].connect_s is None) is not new
    assert server.connections == 1 + 3


def test_requests_in_flight_have_a_connection_each(receiver: Receiver, sender: Any, serve: Any) -> None:
    """No stream waits behind another one's, and no server's limit of streams holds an arrival back."""
    server = serve(Http2(*EVENTS, pause_s=0.05))
    one = sender(server.port, http2=True)
    tasks = [gevent.spawn(one.send, one.prepare(request(n), receiver.now_ns())) for n in range(5)]
    gevent.joinall(tasks)

    assert all(is_whole(task.value) for task in tasks)
    assert server.connections == 5
    assert one.send(one.prepare(request(), receiver.now_ns())).conn_reused


def test_an_idle_connection_that_the_server_closed_is_not_used(receiver: Receiver, sender: Any, serve: Any) -> None:
    def handler(sock: socket.socket) -> None:
        server(sock)

    class Once(Http2):
        def finish(self, sock: socket.socket, state: h2.connection.H2Connection, stream_id: int) -> None:
            super().finish(sock, state, stream_id)
            sock.shutdown(socket.SHUT_RDWR)

    server = Once(*EVENTS)
    listening = serve(handler)
    one = sender(listening.port, http2=True)
    for _ in range(3):
        assert is_whole(one.send(one.prepare(request(), receiver.now_ns())))
        listening.wait()
        gevent.sleep(0.05)


def test_an_open_loop_request_waits_for_its_moment(receiver: Receiver, sender: Any, serve: Any) -> None:
    one = sender(serve(Http2(*EVENTS)).port, http2=True)
    for _ in range(3):  # a busy machine may send late
        late_ns = []
        for ahead_ns in (50_000_000, 20_000_000):
            due_ns = receiver.now_ns() + ahead_ns
            late_ns.append(one.send(one.prepare(request(), due_ns)).sent_ns - due_ns)
        assert min(late_ns) >= 0
        if max(late_ns) < 20_000_000:
            break
    assert max(late_ns) < 20_000_000


def test_a_large_request_is_sent_whole(receiver: Receiver, sender: Any, serve: Any) -> None:
    """A megabyte is more than HTTP/2's first window: it has to be opened again and again."""
    server = Http2(*EVENTS)
    one = sender(serve(server).port, http2=True)
    row = one.send(one.prepare(request(content="x" * (1 << 20)), receiver.now_ns()))

    assert is_whole(row)
    assert len(b"".join(server.bodies)) > 1 << 20


# A polite GOAWAY.


class Leaving(Http2):
    """Says after the first event of each answer that it takes no more, and goes on with what it took."""

    def __init__(self, *events: bytes, last: int = 1, code: int = 0, pause_s: float = 0.01) -> None:
        super().__init__(*events, pause_s=pause_s)
        self.goaway = GoAwayFrame(0, last_stream_id=last, error_code=code, additional_data=b"bye").serialize()

    def answer(self, sock: socket.socket, state: h2.connection.H2Connection, stream_id: int) -> None:
        """Answer one request, and say it in the middle."""
        state.send_headers(stream_id, [(":status", "200"), ("content-type", "text/event-stream")])
        sock.sendall(state.data_to_send())
        for number, event in enumerate(self.events):
            state.send_data(stream_id, event)
            sock.sendall(state.data_to_send())
            time.sleep(self.pause_s)
            if number == 0:
                for at in range(len(self.goaway)):  # a byte at a time
                    sock.sendall(self.goaway[at : at + 1])
                    time.sleep(0.001)
        self.finish(sock, state, stream_id)


def test_a_server_that_leaves_politely_finishes_its_answer(receiver: Receiver, sender: Any, serve: Any) -> None:
    """As nginx does every 1,000 requests; it is no failure, and the next request has a connection of its own."""
    server = serve(Leaving(*EVENTS))
    one = sender(server.port, http2=True)
    rows = [one.send(one.prepare(request(), receiver.now_ns())) for _ in range(2)]

    assert all(map(is_whole, rows))
    assert [row.conn_reused for row in rows] == [False, False]


def test_a_server_that_leaves_in_anger_is_a_reset_in_its_words(ask: Any, serve: Any) -> None:
    row = ask(serve(Leaving(*EVENTS, code=2)).port, http2=True)

    assert (row.outcome, row.error_kind, row.error) == ("error", "reset", "GOAWAY with error 2 (RFC 9113, 7) bye")
    assert row.chunks == 1


def test_a_request_that_the_server_gives_back_is_not_sent_twice(ask: Any, serve: Any) -> None:
    class Refusing(Http2):
        def answer(self, sock: socket.socket, state: h2.connection.H2Connection, stream_id: int) -> None:
            del state, stream_id
            sock.sendall(GoAwayFrame(0, last_stream_id=0, error_code=0).serialize())

    server = Refusing()
    row = ask(serve(server).port, http2=True)

    assert (row.outcome, row.error_kind) == ("error", "reset")
    assert row.error == "GOAWAY: the server did not take the request"
    assert len(server.asked) == 1


# What goes wrong.


def test_a_stream_that_is_reset_is_a_reset(ask: Any, serve: Any) -> None:
    class Resetting(Http2):
        def finish(self, sock: socket.socket, state: h2.connection.H2Connection, stream_id: int) -> None:
            state.reset_stream(stream_id, 2)
            sock.sendall(state.data_to_send())

    row = ask(serve(Resetting(HELLO)).port, http2=True)

    assert (row.outcome, row.error_kind, row.error) == ("error", "reset", "RST_STREAM with error 2 (RFC 9113, 7)")
    assert row.chunks == 1


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize(("events", "kind"), [((), "reset"), ((HELLO,), "truncated")])
def test_a_close_is_told_by_when_it_comes(
    ask: Any, serve: Any, http2: bool, events: tuple[bytes, ...], kind: str
) -> None:
    class Closing(Http2):
        def answer(self, sock: socket.socket, state: h2.connection.H2Connection, stream_id: int) -> None:
            if events:
                super().answer(sock, state, stream_id)
            sock.shutdown(socket.SHUT_RDWR)

        def finish(self, sock: socket.socket, state: h2.connection.H2Connection, stream_id: int) -> None:
            pass

    def plain(sock: socket.socket) -> None:
        read_request(sock)
        if events:
            sock.sendall(STREAM + b"%x\r\n%b\r\n" % (len(HELLO), HELLO))

    if http2:
        row = ask(serve(Closing(*events)).port, http2=True)
    else:
        row = ask(serve(plain).port, proxy=f"http://127.0.0.1:{serve(Proxy()).port}")
    assert (row.outcome, row.error_kind) == ("error", kind)
    assert row.chunks == (1 if events else None)


def test_a_server_without_http2_is_said(ask: Any, serve: Any, certificate: Any) -> None:
    chosen = ask(serve(answering(*EVENTS), tls=tls_server(certificate, "http/1.1")).port, tls=True, http2=True)
    known = ask(serve(Proxy(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")).port, http2=True)

    assert (chosen.error_kind, chosen.error) == ("tls", "127.0.0.1: it does not offer HTTP/2 (ALPN)")
    assert chosen.sent_ns is None
    assert (known.outcome, known.error_kind) == ("error", "protocol")
    assert known.error == "not HTTP/2: HTTP/1.1 400 Bad Request"  # one line of it


@pytest.mark.parametrize("tls", [False, True])
def test_a_proxy_that_refuses_is_a_connect_failure_in_its_words(ask: Any, serve: Any, tls: bool) -> None:
    says = b"HTTP/1.1 407 Who Are You\r\nContent-Length: 2\r\n\r\nno"
    row = ask(9, tls=tls, proxy=f"http://127.0.0.1:{serve(Proxy(says)).port}")

    assert (row.outcome, row.error_kind) == ("error", "connect")
    assert "407 Who Are You" in row.error
    assert "HTTPS_PROXY" in row.error


def test_a_proxy_that_reaches_nobody_is_a_connect_failure(ask: Any, serve: Any) -> None:
    cut = ask(9, tls=True, proxy=f"http://127.0.0.1:{serve(Proxy(NOBODY[:20])).port}")
    row = ask(9, tls=True, proxy=f"http://127.0.0.1:{serve(Proxy(NOBODY)).port}")

    assert cut.error_kind == row.error_kind == "connect"
    assert "502 Nobody There" in row.error
    assert row.sent_ns is row.conn_reused is row.clock is None


def test_a_proxy_that_is_not_there_is_a_connect_failure(ask: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    row = ask(9, proxy=f"http://127.0.0.1:{port}")

    assert row.error_kind == "connect"
    assert row.error == f"proxy http://127.0.0.1:{port}: ECONNREFUSED Connection refused"


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize(
    ("patience", "events", "kind"),
    [
        ({"first_byte": 0.1}, None, "timeout_first_byte"),
        ({"silence": 0.1}, (HELLO,), "timeout_silence"),
        ({"silence": 0.1}, (HELLO, *[b": still here\n\n"] * 30), "timeout_silence"),
        ({"total": 0.2}, (HELLO,), "timeout_total"),
    ],
)
def test_patience_runs_out(
    ask: Any, serve: Any, http2: bool, patience: dict[str, float], events: tuple[bytes, ...] | None, kind: str
) -> None:
    class Waiting(Http2):
        def answer(self, sock: socket.socket, state: h2.connection.H2Connection, stream_id: int) -> None:
            if events is not None:
                super().answer(sock, state, stream_id)

        def finish(self, sock: socket.socket, state: h2.connection.H2Connection, stream_id: int) -> None:
            pass

    def plain(sock: socket.socket) -> None:
        read_request(sock)
        if events is not None:
            sock.sendall(STREAM)
            for event in events:
                sock.sendall(b"%x\r\n%b\r\n" % (len(event), event))
                time.sleep(0.01)
        sock.recv(1)

    expected = ("error", kind, None if events is None else 1)
    for _ in range(3):  # where this machine stands still, another patience may run out, or this one before the chunk
        began = clock.monotonic_ns()
        if http2:
            row = ask(serve(Waiting(*events or ())).port, http2=True, patience=patience)
        else:
            proxy = f"http://127.0.0.1:{serve(Proxy()).port}"
            row = ask(serve(plain).port, proxy=proxy, patience=patience)
        if (row.outcome, row.error_kind, row.chunks) == expected:
            break
    assert (row.outcome, row.error_kind, row.chunks) == expected
    assert row.sent_ns is not None
    assert clock.monotonic_ns() - began < 10e9


def test_a_proxy_that_says_nothing_is_a_timeout_of_connecting(ask: Any, serve: Any) -> None:
    row = ask(9, tls=True, proxy=f"http://127.0.0.1:{serve(lambda sock: sock.recv(1 << 20) and sock.recv(1)).port}",
              patience={"connect": 0.1})  # fmt: skip

    assert row.error_kind == "timeout_connect"
    assert row.sent_ns is None


@pytest.mark.parametrize("http2", [False, True])
def test_a_killed_request_is_a_cancelled_row_with_what_it_reached(
    receiver: Receiver, sender: Any, serve: Any, http2: bool
) -> None:
    for _ in range(3):  # where this machine stands still, more or less may have come by then
        if http2:
            one = sender(serve(Http2(HELLO, HELLO, pause_s=0.5)).port, http2=True)
        else:
            server = serve(answering(HELLO, HELLO, pause_s=0.5))
            one = sender(server.port, proxy=f"http://127.0.0.1:{serve(Proxy()).port}")
        one.cancel_flag = "run_end"
        task = gevent.spawn(one.send, one.prepare(request(), receiver.now_ns()))
        gevent.sleep(0.2)
        task.kill()

        (row,) = one.kept
        if row.chunks == 1:
            break
    assert (row.outcome, row.error_kind, row.chunks) == ("cancelled", None, 1)
    assert row.flags == ["no_done", "run_end"]


def test_failed_requests_leave_little_behind(receiver: Receiver, sender: Any, serve: Any) -> None:
    """The collector is off while a run is on: what a failure makes must go by counting references."""
    one = sender(9, tls=True, proxy=f"http://127.0.0.1:{serve(Proxy(NOBODY)).port}")
    one.send(one.prepare(request(), receiver.now_ns()))
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for _ in range(20):
            one.send(one.prepare(request(), receiver.now_ns()))
        grown = (len(gc.get_objects()) - before) / 20
    finally:
        gc.enable()

    assert grown < 30, grown


@pytest.mark.parametrize("kind", ["proxy", "tunnel", "http2", "http2_tls"])
def test_closed_connections_leave_no_cycles(
    receiver: Receiver, sender: Any, serve: Any, certificate: Any, kind: str
) -> None:
    """What was measured: nothing of ours at all; each was a cycle of 4 (proxy) to 60 (HTTP/2) objects."""
    http2, tls = kind.startswith("http2"), kind in {"tunnel", "http2_tls"}
    context = tls_server(certificate, *["h2"] * http2) if tls else None
    port = serve(Http2(*EVENTS, pause_s=0.0) if http2 else answering(*EVENTS, pause_s=0.0), tls=context).port
    proxy = None if http2 else f"http://127.0.0.1:{serve(Proxy()).port}"
    one = sender(port, http2=http2, tls=tls, proxy=proxy, new_connections=True)
    one.send(one.prepare(request(), receiver.now_ns()))
    gc.collect()
    gc.disable()
    try:
        rows = [one.send(one.prepare(request(), receiver.now_ns())) for _ in range(20)]
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found = [type(each) for each in gc.garbage]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()

    assert {(row.outcome, row.conn_reused) for row in rows} == {("ok", False)}
    assert not [each for each in found if each.__module__.startswith(("loadtests", "httpcore", "gevent", "h11"))]
    # The server, in this process too, leaves one for each of its connections.
    assert sum(each is h2.connection.H2Connection for each in found) <= (21 if http2 else 0)


def test_what_came_while_the_loop_was_held_is_read_before_patience_is_judged(
    receiver: Receiver, sender: Any, serve: Any
) -> None:
    one = sender(serve(Http2(*EVENTS, pause_s=0.1)).port, http2=True, patience={"silence": 0.4})
    for _ in range(3):  # where this machine stands still, the server is silent as well
        task = gevent.spawn(one.send, one.prepare(request(), receiver.now_ns()))
        gevent.sleep(0.05)
        time.sleep(0.7)
        task.join()
        if task.value.outcome == "ok":
            break

    assert task.value.outcome == "ok"


# User and password.


@pytest.mark.parametrize("tls", [False, True])
def test_user_and_password_go_to_the_proxy_and_nowhere_else(
    ask: Any, serve: Any, tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = base64.b64encode(b"me:" + PASSWORD.encode())
    proxy = Proxy(b"HTTP/1.1 407 not " + PASSWORD.encode() + b" nor " + token + b"\r\nContent-Length: 0\r\n\r\n")
    address = f"http://127.0.0.1:{serve(proxy).port}"
    monkeypatch.setenv("ALL_PROXY", address.replace("//", f"//me:{PASSWORD}@"))
    row = ask(9, tls=tls, proxy=address)

    assert b"Proxy-Authorization: Basic " + token in proxy.heads[0]
    assert row.error_kind == "connect"
    assert "407 not" in row.error
    assert PASSWORD[:8] not in row.error
    assert token.decode()[:8] not in row.error


# The command.


def firsttoken(*words: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        child.command("loadtests.cli", *words), cwd=cwd, env=child.environment() | environ, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_a_run_through_a_proxy_is_a_run(tmp_path: Path, serve: Any) -> None:
    import pyarrow.parquet as pq  # noqa: PLC0415

    proxy = Proxy()
    address = f"http://127.0.0.1:{serve(proxy).port}"
    with process.start() as mock:
        done = firsttoken(
            "run", "--base-url", mock.base_url, "--proxy", address, "--rate", "20", "--duration", "1s", "--no-report",
            cwd=tmp_path, ALL_PROXY=address.replace("//", f"//me:{PASSWORD}@"),
        )  # fmt: skip

    assert f"through the proxy {address}" in done.stderr
    assert "user clock" in done.stdout
    run = tmp_path / "results" / "latest"
    assert done.returncode == code_of(run), done.stdout + done.stderr
    rows = pq.read_table(run / "requests.parquet").to_pylist()
    assert len(rows) > 10
    assert {row["outcome"] for row in rows} == {"ok"}
    assert {row["clock"] for row in rows} == {"user"}
    assert proxy.heads
    assert all(b"Proxy-Authorization: Basic " in head for head in proxy.heads)
    for path in run.rglob("*"):
        if path.is_file():
            assert PASSWORD.encode() not in path.read_bytes()
            assert base64.b64encode(b"me:" + PASSWORD.encode()) not in path.read_bytes()


def test_a_proxy_that_is_not_there_is_said_before_the_run(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    done = firsttoken("run", "--base-url", "http://127.0.0.1:9/v1", "--proxy", f"http://127.0.0.1:{port}", cwd=tmp_path)

    assert done.returncode == 2
    assert f"nothing reached at the proxy http://127.0.0.1:{port}" in done.stderr
    assert "--proxy (or HTTPS_PROXY" in done.stderr
    assert not list(tmp_path.iterdir())
