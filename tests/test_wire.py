"""The wire against a server that writes every byte a test wants: framing, stamps, reuse, TLS, patience."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from conftest import chunked, read_request, until
from hypothesis import given
from hypothesis import strategies as st

from loadtests import clock
from loadtests.errors import Failure
from loadtests.wire.connection import Origin
from loadtests.wire.exchange import Exchange
from loadtests.wire.pool import Pool
from loadtests.wire.stamps import NO_STAMP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loadtests.wire.receiver import Receiver

REQUEST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
S = 1_000_000_000


class Got:
    """An exchange with the body pieces and stamps it was given."""

    def __init__(
        self, *, first_byte_s: float = 30, silence_s: float = 30, total_s: float = 30, started_ns: int = 0
    ) -> None:
        self.pieces: list[tuple[bytes, int]] = []
        self.exchange = Exchange(
            self._headers, first_byte_ns=int(first_byte_s * S), silence_ns=int(silence_s * S),
            total_ns=int(total_s * S), started_ns=started_ns,
        )  # fmt: skip

    def _headers(self, _: Exchange) -> Callable[[bytes, int], bool]:
        return self._take

    def _take(self, data: bytes, stamp: int) -> bool:
        self.pieces.append((data, stamp))
        return not data.isspace()

    @property
    def body(self) -> bytes:
        """All pieces."""
        return b"".join(piece for piece, _ in self.pieces)


@pytest.fixture
def pools(receiver: Receiver) -> Iterator[Callable[..., Pool]]:
    """Makes pools and closes them."""
    made: list[Pool] = []

    def make(origin: Origin, *, reuse: bool = True) -> Pool:
        made.append(Pool(receiver, origin, reuse=reuse))
        return made[-1]

    yield make
    for pool in made:
        pool.close()


def talk(receiver: Receiver, pool: Pool, **patience: Any) -> Got:
    """One request on the pool's connection; returns when its exchange is over."""
    got = Got(started_ns=receiver.now_ns(), **patience)
    connection = pool.take(30)
    try:
        connection.send(got.exchange, REQUEST, clock.monotonic_ns() + 30 * S)
        got.exchange.wait()
    finally:
        connection.done(got.exchange)
    return got


def once(*writes: bytes, pause_s: float = 0.0) -> Callable[[socket.socket], None]:
    """A handler that answers one request with these writes and closes."""

    def handler(sock: socket.socket) -> None:
        read_request(sock)
        for data in writes:
            sock.sendall(data)
            time.sleep(pause_s)

    return handler


# Framing, without a network.


def at(ns: int) -> bytes:
    """The kernel's stamp for this moment of an axis that begins one second after 1970."""
    return struct.pack("qq", *divmod(S + ns, S))


def framed(*pieces: bytes, eof: bool = False) -> Got:
    got = Got()
    for number, piece in enumerate(pieces, 1):
        got.exchange.append(piece, at(number * 1000), number * 1000 + 7)
        got.exchange.parse(S, 0)
    if eof:
        got.exchange.append(b"", NO_STAMP, 10**6)
        got.exchange.parse(0, 0)
    return got


def test_a_chunked_answer_is_complete_at_its_last_chunk() -> None:
    got = framed(OK, b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n")

    assert got.exchange.complete
    assert got.exchange.keep_alive
    assert got.pieces == [(b"abc", 2000), (b"de", 3000)]
    assert (got.exchange.headers_ns, got.exchange.end_ns) == (1000, 3000)
    assert got.exchange.wake_lag_max_ns == 7


@pytest.mark.parametrize("codings", [b"chunked", b" Chunked ", b"gzip, chunked", b"gzip,chunked"])
def test_the_last_transfer_coding_says_whether_a_body_is_chunked(codings: bytes) -> None:
    """Cut in mid-chunk, it is truncated, and not a body that the close ends."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + codings + b"\r\n\r\n"

    assert framed(head, b"3\r\nabc\r\n0\r\n\r\n").body == b"abc"
    failure = framed(head, b"3\r\nabc\r\n", eof=True).exchange.failure
    assert failure is not None
    assert failure.kind == "truncated"


def test_a_consumer_may_stop_in_mid_answer_and_the_connection_is_spent() -> None:
    """What else is in the read, or comes later, is nobody's."""
    got = Got()
    taken: list[bytes] = []

    def take(data: bytes, stamp: int) -> bool:
        taken.append(data)
        got.exchange.stop(stamp)
        return True

    got._take = take  # type: ignore[method-assign]
    got.exchange.eager = True
    for number, piece in enumerate((OK, b"1\r\na\r\n1\r\nb\r\n", b"1\r\nc\r\n"), 1):
        assert got.exchange.append(piece, NO_STAMP, number)
        got.exchange.parse(0, 0)

    assert taken == [b"a"]
    assert got.exchange.complete
    assert not got.exchange.keep_alive
    assert got.exchange.end_ns == 2


def test_a_consumer_that_may_stop_is_given_every_read_at_once() -> None:
    """Short chunks wait to be framed together with others unless the exchange is eager."""
    for eager in (False, True):
        got = Got()
        got.exchange.eager = eager
        assert got.exchange.append(OK, NO_STAMP, 1)
        got.exchange.parse(0, 0)
        assert got.exchange.append(b"2\r\nok\r\n", NO_STAMP, 2) is eager


def test_an_interim_response_is_forgotten() -> None:
    got = framed(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab")

    assert (got.exchange.status, got.body) == (200, b"ab")
    assert b"link" not in got.exchange.headers


def test_a_body_without_length_ends_with_the_connection() -> None:
    got = framed(b"HTTP/1.1 200 OK\r\n\r\nab", b"cd", eof=True)

    assert got.exchange.complete
    assert not got.exchange.keep_alive
    assert got.body == b"abcd"


@pytest.mark.parametrize(
    ("pieces", "kind"),
    [
        ((), "reset"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab",), "truncated"),
        ((OK, b"3\r\nab"), "truncated"),
        ((b"SSH-2.0-OpenSSH_9\r\n",), "protocol"),
        ((OK, b"zz\r\n"), "protocol"),
    ],
)
def test_an_answer_cut_short_or_broken_has_its_kind(pieces: tuple[bytes, ...], kind: str) -> None:
    failure = framed(*pieces, eof=True).exchange.failure

    assert failure is not None
    assert failure.kind == kind


def test_bytes_behind_the_answer_forbid_the_reuse_and_nothing_else() -> None:
    got = framed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabGARBAGE")

    assert got.exchange.complete
    assert got.exchange.extra
    assert got.body == b"ab"


def test_a_repeated_header_is_joined() -> None:
    got = framed(b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 0\r\n\r\n")

    assert got.exchange.headers[b"x-a"] == b"1, 2"


def test_stamps_that_go_backwards_after_loss_are_kept_ascending() -> None:
    """A later read with an earlier stamp cannot have been readable before the one ahead of it."""
    got = Got()
    for kernel, data in ((5000, OK), (9000, b"1\r\na\r\n"), (8000, b"1\r\nb\r\n"), (9500, b"0\r\n\r\n")):
        got.exchange.append(data, at(kernel), 10_000)
    got.exchange.parse(S, 0)

    assert [stamp for _, stamp in got.pieces] == [9000, 9000]
    assert got.exchange.kernel


def test_a_read_without_a_kernel_stamp_takes_the_user_clock_and_says_so() -> None:
    got = Got()
    got.exchange.append(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", NO_STAMP, 77)
    got.exchange.parse(S, 7)

    assert got.pieces == [(b"a", 70)]
    assert not got.exchange.kernel


WHOLE = OK + chunked(b"data: a\n\n", b"data: b\n\n", b"x" * 40)


@given(st.lists(st.integers(0, len(WHOLE)), max_size=8).map(sorted))
def test_every_split_of_the_bytes_gives_the_same_body(cuts: list[int]) -> None:
    pieces = [WHOLE[a:b] for a, b in zip([0, *cuts], [*cuts, len(WHOLE)], strict=True) if a != b]
    got = framed(*pieces)

    assert got.exchange.complete
    assert got.body == b"data: a\n\ndata: b\n\n" + b"x" * 40


@given(st.lists(st.integers(0, len(WHOLE)), max_size=8).map(sorted))
def test_the_last_read_of_an_answer_is_always_framed_soon(cuts: list[int]) -> None:
    """Else its greenlet would sleep until the next tick: `append` must say so for whichever read completes it."""
    got = Got()
    pieces = [WHOLE[a:b] for a, b in zip([0, *cuts], [*cuts, len(WHOLE)], strict=True) if a != b]
    soon = False
    for piece in pieces:
        soon = got.exchange.append(piece, at(1), 1)
        if soon:
            got.exchange.parse(0, 0)

    assert soon
    assert got.exchange.complete


def test_a_clock_that_was_set_forward_makes_no_stamp_later_than_its_read() -> None:
    """The kernel says one hour from now; the read was at 5,000: nothing is received after it was read."""
    got = Got()
    got.exchange.append(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na", at(3600 * S), 5000)
    got.exchange.append(b"b", at(6000), 7000)
    got.exchange.parse(S, 0)

    assert [stamp for _, stamp in got.pieces] == [5000, 6000]


# On a real socket.


def test_stamps_come_from_the_kernel_and_not_from_a_late_reader(receiver: Receiver, pools: Any, serve: Any) -> None:
    """The reader is blocked for 200 ms while the server writes at once; the stamps must not show it."""
    wrote: list[int] = []
    asked, written = threading.Event(), threading.Event()

    def handler(sock: socket.socket) -> None:
        read_request(sock)
        asked.set()
        time.sleep(0.05)
        wrote.append(clock.realtime_ns())
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab")
        wrote.append(clock.realtime_ns())
        written.set()
        time.sleep(0.3)

    pool = pools(Origin("127.0.0.1", serve(handler).port))
    task = gevent.spawn(talk, receiver, pool)
    until(asked.is_set)
    at_most = clock.monotonic_ns() + 30 * S
    while not written.is_set() and clock.monotonic_ns() < at_most:  # a busy client: nobody reads
        pass
    time.sleep(0.15)
    got: Got = task.get()

    assert got.exchange.kernel
    assert got.exchange.headers_ns is not None
    late_ns = got.exchange.headers_ns - (wrote[0] - receiver.shift_ns)
    assert -1_000_000 < late_ns < 50_000_000 + wrote[1] - wrote[0], late_ns
    assert got.exchange.wake_lag_max_ns > 50_000_000


def test_a_connection_serves_again(receiver: Receiver, pools: Any, serve: Any) -> None:
    def handler(sock: socket.socket) -> None:
        while read_request(sock):
            sock.sendall(OK + chunked(b"hi"))

    server = serve(handler)
    pool = pools(Origin("127.0.0.1", server.port))
    first, second = talk(receiver, pool), talk(receiver, pool)

    assert (first.body, second.body) == (b"hi", b"hi")
    assert server.connections == 1


def test_a_pool_without_reuse_opens_a_connection_each_time(receiver: Receiver, pools: Any, serve: Any) -> None:
    server = serve(once(OK + chunked(b"hi")))
    pool = pools(Origin("127.0.0.1", server.port), reuse=False)
    talk(receiver, pool)
    talk(receiver, pool)

    assert server.connections == 2


def test_a_connection_that_the_peer_closed_while_idle_is_not_used_again(
    receiver: Receiver, pools: Any, serve: Any
) -> None:
    server = serve(once(OK + chunked(b"hi")))
    pool = pools(Origin("127.0.0.1", server.port))
    talk(receiver, pool)
    server.wait()
    gevent.sleep(0.05)

    assert talk(receiver, pool).body == b"hi"
    assert server.connections == 2


def test_a_peer_that_closes_right_behind_its_answer_is_no_error_of_the_next_request(
    receiver: Receiver, pools: Any, serve: Any
) -> None:
    """The close arrives while nobody looks at the loop: the pool must look before it gives the connection away."""
    server = serve(once(OK + chunked(b"hi")))
    pool = pools(Origin("127.0.0.1", server.port))
    for _ in range(5):
        assert talk(receiver, pool).body == b"hi"
        server.wait()  # blocks the loop, on purpose

    assert server.connections == 5


def test_nothing_that_listens_is_a_connect_failure(pools: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Failure, match=r"connect: 127\.0\.0\.1:\d+: ECONNREFUSED Connection refused") as caught:
        pools(Origin("127.0.0.1", port)).take(30)
    assert caught.value.kind == "connect"


def test_a_name_without_an_address_is_a_dns_failure(pools: Any) -> None:
    with pytest.raises(Failure) as caught:
        pools(Origin("no-such-host.invalid", 80)).take(30)
    assert caught.value.kind == "dns"


def test_a_name_is_resolved_and_its_time_recorded(pools: Any, serve: Any) -> None:
    connection = pools(Origin("localhost", serve(once()).port)).take(30)
    connection.close()

    assert connection.dns_s is not None
    assert connection.connect_s is not None


def test_ipv6_is_spoken(receiver: Receiver, pools: Any, serve: Any) -> None:
    server = serve(once(OK + chunked(b"hi")), family=socket.AF_INET6)

    assert talk(receiver, pools(Origin("::1", server.port))).body == b"hi"


def test_a_reset_in_mid_answer_keeps_what_came_before_it(receiver: Receiver, pools: Any, serve: Any) -> None:
    def handler(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(OK + b"9\r\ndata: a\n\n\r\n")
        time.sleep(0.1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    got = talk(receiver, pools(Origin("127.0.0.1", serve(handler).port)))

    assert got.exchange.failure is not None
    assert got.exchange.failure.kind == "reset"
    assert got.body == b"data: a\n\n"


@pytest.mark.parametrize(
    ("writes", "patience", "kind"),
    [
        ((), {"first_byte_s": 0.1}, "timeout_first_byte"),
        ((OK, b"9\r\ndata: a\n\n\r\n"), {"silence_s": 0.1}, "timeout_silence"),
        ((OK, b"9\r\ndata: a\n\n\r\n"), {"total_s": 0.2}, "timeout_total"),
    ],
)
def test_patience_runs_out(
    receiver: Receiver, pools: Any, serve: Any, writes: tuple[bytes, ...], patience: dict[str, float], kind: str
) -> None:
    def handler(sock: socket.socket) -> None:
        read_request(sock)
        for data in writes:
            sock.sendall(data)
        sock.recv(1)

    got = talk(receiver, pools(Origin("127.0.0.1", serve(handler).port)), **patience)

    assert got.exchange.failure is not None
    assert got.exchange.failure.kind == kind


def test_keep_alives_do_not_prolong_the_patience_with_silence(receiver: Receiver, pools: Any, serve: Any) -> None:
    def handler(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(OK)
        for _ in range(1000):  # for 20 s, unless the client leaves
            sock.sendall(b"1\r\n\n\r\n")
            time.sleep(0.02)

    began = clock.monotonic_ns()
    got = talk(receiver, pools(Origin("127.0.0.1", serve(handler).port)), silence_s=0.2)

    assert got.exchange.failure is not None
    assert got.exchange.failure.kind == "timeout_silence"
    assert clock.monotonic_ns() - began < 10 * S


def test_a_large_request_is_sent_whole(receiver: Receiver, pools: Any, serve: Any) -> None:
    """8 MiB do not fit any socket buffer: the send has to wait for the reader more than once."""
    seen: list[int] = []

    def handler(sock: socket.socket) -> None:
        time.sleep(0.05)
        seen.append(len(read_request(sock)))
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    body = b"x" * (8 << 20)
    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    pool = pools(Origin("127.0.0.1", serve(handler).port))
    got = Got(started_ns=receiver.now_ns())
    connection = pool.take(30)
    connection.send(got.exchange, request, clock.monotonic_ns() + 30 * S)
    got.exchange.wait()
    connection.done(got.exchange)

    assert seen == [len(request)]
    assert got.exchange.complete


def test_one_malformed_answer_harms_no_other(receiver: Receiver, pools: Any, serve: Any) -> None:
    def good(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(OK)
        for _ in range(20):
            sock.sendall(b"2\r\nok\r\n")
            time.sleep(0.01)
        sock.sendall(b"0\r\n\r\n")

    fine = pools(Origin("127.0.0.1", serve(good).port))
    bad = pools(Origin("127.0.0.1", serve(once(b"\x00\x01\x02 nonsense\r\n\r\n")).port))
    tasks = [gevent.spawn(talk, receiver, pool) for pool in (fine, bad, fine, bad)]
    gevent.joinall(tasks, timeout=60)
    a, b, c, d = (task.get() for task in tasks)

    assert a.body == c.body == b"ok" * 20
    assert b.exchange.failure.kind == d.exchange.failure.kind == "protocol"


def test_the_sleeper_wakes_at_its_moment(receiver: Receiver) -> None:
    """Not before it, ever; how soon after it is a benchmark's business."""
    for delay_ns in (0, 300_000, 2_300_000):
        due = receiver.now_ns() + delay_ns
        receiver.sleep_until(due)
        assert receiver.now_ns() >= due


def test_the_sleeper_can_be_woken(receiver: Receiver) -> None:
    gevent.spawn_later(0.02, receiver.wake)
    receiver.sleep_until(receiver.now_ns() + 20 * S)

    assert receiver.now_ns() < 10 * S


# TLS.


def server_context(certificate: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def test_tls_is_verified_and_keeps_the_kernels_stamps(
    receiver: Receiver, pools: Any, serve: Any, certificate: Any
) -> None:
    def handler(sock: socket.socket) -> None:
        while read_request(sock):
            sock.sendall(OK)
            for _ in range(3):
                sock.sendall(b"2\r\nok\r\n")
                time.sleep(0.01)
            sock.sendall(b"0\r\n\r\n")

    server = serve(handler, tls=server_context(certificate))
    context = ssl.create_default_context(cafile=str(certificate[0]))
    pool = pools(Origin("localhost", server.port, context))
    first, second = talk(receiver, pool), talk(receiver, pool)

    assert (first.body, second.body) == (b"okokok", b"okokok")
    assert first.exchange.kernel
    for _ in range(3):  # on a busy machine two may be read at once
        gaps = [b - a for (_, a), (_, b) in pairwise(first.pieces)]
        if all(gap > 5_000_000 for gap in gaps):
            break
        first = talk(receiver, pool)
    assert server.connections == 1
    assert all(gap > 5_000_000 for gap in gaps), gaps  # written 10 ms apart, in records of their own


def test_a_certificate_that_nobody_vouches_for_is_a_tls_failure(pools: Any, serve: Any, certificate: Any) -> None:
    server = serve(once(OK), tls=server_context(certificate))
    with pytest.raises(Failure) as caught:
        pools(Origin("localhost", server.port, ssl.create_default_context())).take(30)

    assert caught.value.kind == "tls"
    assert "self-signed" in caught.value.text


def test_plain_http_where_tls_is_spoken_is_a_tls_failure(pools: Any, serve: Any) -> None:
    def handler(sock: socket.socket) -> None:
        sock.recv(100)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with pytest.raises(Failure) as caught:
        pools(Origin("localhost", serve(handler).port, ssl.create_default_context())).take(30)
    assert caught.value.kind == "tls"


def test_a_tls_answer_of_a_megabyte_is_read_whole(receiver: Receiver, pools: Any, serve: Any, certificate: Any) -> None:
    body = b"y" * (1 << 20)
    server = serve(
        once(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body), tls=server_context(certificate)
    )
    context = ssl.create_default_context(cafile=str(certificate[0]))

    assert talk(receiver, pools(Origin("localhost", server.port, context))).body == body


def test_whoever_keeps_the_loop_can_have_the_sockets_read_meanwhile(receiver: Receiver, pools: Any, serve: Any) -> None:
    """Two writes 50 ms apart while the loop is kept for 200 ms: with a look between them, each has its own stamp."""
    asked = threading.Event()

    def handler(sock: socket.socket) -> None:
        read_request(sock)
        asked.set()
        sock.sendall(OK)
        for _ in range(2):
            time.sleep(0.05)
            sock.sendall(b"1\r\na\r\n")
        sock.sendall(b"0\r\n\r\n")
        time.sleep(0.3)

    pool = pools(Origin("127.0.0.1", serve(handler).port), reuse=False)
    for _ in range(3):  # where this machine stands still, both may have come before a look
        asked.clear()
        task = gevent.spawn(talk, receiver, pool)
        until(asked.is_set)
        kept_until = clock.monotonic_ns() + 200_000_000
        while clock.monotonic_ns() < kept_until:
            receiver.look()
        got: Got = task.get()

        (_, first), (_, second) = got.pieces
        apart_ns, lag_ns = second - first, got.exchange.wake_lag_max_ns
        if apart_ns > 40_000_000 and lag_ns < 40_000_000:
            break
    assert apart_ns > 40_000_000
    assert lag_ns < 40_000_000


def test_an_answer_of_a_megabyte_in_small_chunks_is_framed_in_bounded_steps(
    receiver: Receiver, pools: Any, serve: Any
) -> None:
    """As it comes, not at the end: what waits to be framed stays far below the whole."""
    piece = b"x" * 250
    waiting: list[int] = []

    def handler(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(OK + (b"fa\r\n" + piece + b"\r\n") * 4200 + b"0\r\n\r\n")
        time.sleep(0.3)

    def watch(got: Got) -> None:
        while not got.exchange.over:
            waiting.append(sum(map(len, got.exchange.reads)))
            gevent.sleep(0)

    got = Got(started_ns=receiver.now_ns())
    connection = pools(Origin("127.0.0.1", serve(handler).port)).take(30)
    connection.send(got.exchange, REQUEST, clock.monotonic_ns() + 30 * S)
    watcher = gevent.spawn(watch, got)
    got.exchange.wait()
    connection.done(got.exchange)
    watcher.join()

    assert got.body == piece * 4200
    assert max(waiting) <= 256 << 10


def test_what_waits_when_the_connection_is_reset_is_framed_and_nobody_else_suffers(
    receiver: Receiver, pools: Any, serve: Any
) -> None:
    """An error object nested more deeply than it can be written again, then RST; the next request is answered."""
    deep = b'data: {"error":{"a":' + b"[" * 290 + b"]" * 290 + b"}}\n\n"

    def handler(sock: socket.socket) -> None:
        if b"first" in read_request(sock):
            sock.sendall(OK)
            time.sleep(0.05)
            sock.sendall(b"%x\r\n%b\r\n" % (len(deep), deep))
            time.sleep(0.03)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab")

    def fail(_data: bytes, _stamp: int) -> bool:
        raise TypeError("a flaw of a consumer")

    pool = pools(Origin("127.0.0.1", serve(handler).port))
    got = Got(started_ns=receiver.now_ns())
    got._take = fail  # type: ignore[assignment, method-assign]
    connection = pool.take(30)
    connection.send(got.exchange, REQUEST.replace(b"Host: x", b"Host: first"), clock.monotonic_ns() + 30 * S)
    got.exchange.wait()
    connection.done(got.exchange)

    assert got.exchange.failure is not None
    assert talk(receiver, pool).body == b"ab"


def test_what_came_while_the_loop_was_held_is_read_before_patience_is_judged(
    receiver: Receiver, pools: Any, serve: Any
) -> None:
    """A chunk each 0.1 s, silence of 0.4 s is too long, and the loop is held for 0.8 s: nobody was silent."""
    wrote: list[int] = []

    def handler(sock: socket.socket) -> None:
        read_request(sock)
        wrote[:] = [clock.monotonic_ns()]
        sock.sendall(OK)
        for _ in range(12):
            time.sleep(0.1)
            sock.sendall(b"1\r\na\r\n")
            wrote.append(clock.monotonic_ns())
        sock.sendall(b"0\r\n\r\n")
        time.sleep(0.2)

    pool = pools(Origin("127.0.0.1", serve(handler).port), reuse=False)
    for _ in range(3):  # where this machine stands still, the server is silent as well
        task = gevent.spawn(talk, receiver, pool, silence_s=0.4)
        gevent.sleep(0.25)
        time.sleep(0.8)
        got: Got = task.get()
        if got.exchange.failure is None or max(b - a for a, b in pairwise(wrote)) < 0.35 * S:
            break

    assert got.exchange.failure is None
    assert got.body == b"a" * 12


def test_bytes_of_a_second_answer_never_reach_the_first_ones_headers() -> None:
    got = framed(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 503 No\r\nRetry-After: 5\r\n\r\n")

    assert got.exchange.complete
    assert got.exchange.extra
    assert b"retry-after" not in got.exchange.headers


def test_a_clock_step_leaves_stamps_that_wait_where_they_were(receiver: Receiver) -> None:
    """Fourteen reads 10 ms apart wait to be framed when the wall clock is set forward by a second."""
    got = Got()
    receiver.begin(got.exchange)
    receiver.offset = clock.Offset(receiver.offset.offset_ns - S, receiver.offset.error_ns)  # as it was before the step
    receiver.shift_ns -= S
    for number, data in enumerate([OK, *[b"1\r\na\r\n"] * 13]):
        ns = (number + 1) * 10_000_000
        got.exchange.append(data, struct.pack("qq", *divmod(ns + receiver.shift_ns, S)), ns + receiver.zero_ns + 5000)
    receiver.resync()

    stamps = [stamp for _, stamp in got.pieces]
    assert [round((b - a) / 1e6) for a, b in pairwise(stamps)] == [10] * 12
    receiver.end(got.exchange)


def test_a_half_sent_request_leaves_no_connection_to_be_reused(receiver: Receiver, pools: Any, serve: Any) -> None:
    """The answer (413) is complete before the body is sent, and the sender gives up: the rest would come next."""

    def handler(sock: socket.socket) -> None:
        sock.recv(1000)
        sock.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        time.sleep(0.6)

    pool = pools(Origin("127.0.0.1", serve(handler).port))
    connection = pool.take(30)
    got = Got(started_ns=receiver.now_ns())
    with pytest.raises(Failure):
        connection.send(got.exchange, REQUEST + b"x" * 30_000_000, clock.monotonic_ns() + S // 5)
    connection.done(got.exchange)

    assert connection.closed
