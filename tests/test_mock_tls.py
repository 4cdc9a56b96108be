"""The mock over TLS: the same answers to whoever trusts its certificate, and no client's session touches another's."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import attempts
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from test_mock_server import FAST, LIMIT_S, _resident_bytes, ask, drain, receive, request_bytes, wait_until, whole

from loadtests.mock.log import read
from loadtests.mock.options import settings_from
from loadtests.mock.process import MockProcess, start
from loadtests.mock.tls import Session, context

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    cert = tmp_path_factory.mktemp("tls") / "cert.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    cert.with_name("key.pem").write_bytes(_pem(key, serialization.NoEncryption()))
    cert.with_name("locked.pem").write_bytes(_pem(key, serialization.BestAvailableEncryption(b"secret")))
    return cert, cert.with_name("key.pem")


def _pem(key: ec.EllipticCurvePrivateKey, encryption: serialization.KeySerializationEncryption) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def options(files: tuple[Path, Path]) -> tuple[str, ...]:
    return "--tls-cert", str(files[0]), "--tls-key", str(files[1])


@pytest.fixture(scope="module")
def mock(files: tuple[Path, Path]) -> Iterator[MockProcess]:
    with start((*FAST, *options(files))) as process:
        yield process


@pytest.fixture(scope="module")
def trusting(files: tuple[Path, Path]) -> ssl.SSLContext:
    """A client's context that knows the certificate, and offers what clients that would like HTTP/2 do."""
    made = ssl.create_default_context(cafile=str(files[0]))
    made.set_alpn_protocols(["h2", "http/1.1"])
    return made


@contextmanager
def connected(mock: MockProcess, tls: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection(("127.0.0.1", mock.port), LIMIT_S) as plain,
        tls.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False) as sock,
    ):
        yield sock


def is_well(mock: MockProcess, tls: ssl.SSLContext) -> bool:
    """It lives, and answers a new client."""
    with connected(mock, tls) as sock:
        sock.sendall(whole(max_tokens=1))
        return receive(sock).status == 200 and mock.popen.poll() is None


# What it answers.


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_streams_and_whole_answers_come_over_one_verified_session(
    mock: MockProcess, files: tuple[Path, Path], version: ssl.TLSVersion
) -> None:
    tls = ssl.create_default_context(cafile=str(files[0]))
    tls.minimum_version = tls.maximum_version = version
    with connected(mock, tls) as sock:
        sock.sendall(request_bytes(ask(max_tokens=3)))
        streamed = receive(sock)
        sock.sendall(whole(max_tokens=3))
        completion = receive(sock).json

    assert mock.base_url == f"https://127.0.0.1:{mock.port}/v1"
    assert streamed.data[-1] == b"[DONE]"
    assert len(streamed.events) == 5  # role, three tokens, finish
    assert completion["usage"]["completion_tokens"] == 3


def test_http_1_1_is_what_it_agrees_on(mock: MockProcess, trusting: ssl.SSLContext) -> None:
    with connected(mock, trusting) as sock:
        assert sock.selected_alpn_protocol() == "http/1.1"


def test_chunks_are_logged_and_sent_one_by_one(
    files: tuple[Path, Path], trusting: ssl.SSLContext, tmp_path: Path
) -> None:
    """Chunks 20 ms apart: each is a record that comes alone, after the moment that the log has for it."""
    even = ("--prepared", "--ttft", "0.02", "--ttft-sigma", "0", "--gap", "0.02", "--gap-sigma", "0")
    for folder in attempts(tmp_path):  # on a busy machine one may be written late, and the next right behind it
        log, came_ns = folder / "log", []
        with start((*even, "--output-tokens", "4", *options(files)), log) as mock, connected(mock, trusting) as sock:
            sock.sendall(request_bytes(ask()))
            for _ in range(4):
                assert sock.recv(65536).count(b'"content":" ') <= 1
                came_ns.append(time.time_ns())
            mock.stop()
        truth = read(log)[1]

        assert len(truth.chunk_ns) == 4
        assert all(wrote < came for wrote, came in zip(truth.chunk_ns, came_ns, strict=True))
        apart_ns = min(after - before for before, after in pairwise(truth.chunk_ns))
        if apart_ns > 10_000_000:
            break
    assert apart_ns > 10_000_000


def test_a_client_that_reads_late_gets_every_byte(files: tuple[Path, Path], trusting: ssl.SSLContext) -> None:
    """40,000 chunks of about 190 bytes are 7.6 MB: more than the kernel keeps (tcp_wmem 4 MB), so ours is needed."""
    with (
        start(("--ttft", "0", "--gap", "0", "--output-tokens", "80000", *options(files))) as mock,
        connected(mock, trusting) as sock,
    ):
        sock.sendall(request_bytes(ask(max_tokens=40_000), "Connection: close"))
        time.sleep(0.8)
        answer = b"".join(iter(lambda: sock.recv(65536), b""))

    assert answer.count(b'"content":') == 40_001
    assert answer.endswith(b"0\r\n\r\n")


def test_an_answer_of_many_records_arrives_whole(files: tuple[Path, Path], trusting: ssl.SSLContext) -> None:
    """80,000 tokens are some 400 KB in one write; a record holds 16 KB."""
    with (
        start(("--ttft", "0", "--gap", "0", "--output-tokens", "160000", *options(files))) as mock,
        connected(mock, trusting) as sock,
    ):
        sock.sendall(whole(max_tokens=80_000))
        assert receive(sock).json["usage"]["completion_tokens"] == 80_000


# How a session ends.


def test_an_answer_that_is_over_ends_with_a_goodbye_and_one_that_is_cut_without(
    mock: MockProcess, files: tuple[Path, Path], trusting: ssl.SSLContext
) -> None:
    with connected(mock, trusting) as sock:
        sock.sendall(request_bytes(ask(max_tokens=1), "Connection: close"))
        assert drain(sock).endswith(b"0\r\n\r\n")
    with (
        start((*FAST, "--error-rate", "1", "--fault", "cut", *options(files))) as cutting,
        connected(cutting, trusting) as sock,
    ):
        sock.sendall(request_bytes(ask(max_tokens=4)))
        with pytest.raises(ssl.SSLEOFError):
            drain(sock)


def test_a_client_that_says_goodbye_is_let_go(
    files: tuple[Path, Path], trusting: ssl.SSLContext, tmp_path: Path
) -> None:
    """It says so in the middle of a stream of 4 s, and keeps its socket."""
    log = tmp_path / "log"
    slow = ("--ttft", "0.01", "--gap", "0.02", "--output-tokens", "200")
    with start((*slow, *options(files)), log) as mock, connected(mock, trusting) as sock:
        sock.sendall(request_bytes(ask()))
        sock.recv(65536)
        with contextlib.suppress(ssl.SSLError):  # chunks that were on their way come before the answer to it
            sock.unwrap()
        wait_until(lambda: log.stat().st_size > 8)

    assert read(log)[1].finish == "disconnected"


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=1, max_size=300))
def test_no_bytes_a_client_sends_bring_it_down(mock: MockProcess, trusting: ssl.SSLContext, junk: bytes) -> None:
    """Neither in place of a handshake nor after one."""
    with socket.create_connection(("127.0.0.1", mock.port), LIMIT_S) as sock:
        sock.sendall(junk)
    with connected(mock, trusting) as sock:
        socket.socket.sendall(sock, junk)

    assert is_well(mock, trusting)


def test_a_request_with_a_broken_record_behind_it_is_the_end_of_its_session_only(
    mock: MockProcess, trusting: ssl.SSLContext
) -> None:
    """Both in one segment. 23 3 3 and a length of 5 is a record, and its five bytes are nothing that was encrypted."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", mock.port), LIMIT_S) as sock:
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        sock.sendall(outgoing.read())
        while outgoing.pending == 0:
            incoming.write(sock.recv(65536))
            with contextlib.suppress(ssl.SSLWantReadError):
                client.do_handshake()
        client.write(whole(max_tokens=1))
        sock.sendall(outgoing.read() + bytes((23, 3, 3, 0, 5)) + b"junk!")
        drain(sock)

    assert is_well(mock, trusting)


def test_what_comes_after_the_last_request_of_a_session_is_not_answered(
    files: tuple[Path, Path], trusting: ssl.SSLContext
) -> None:
    """An answer of 7.6 MB waits for its client when the goodbye is said; a request that comes then changes nothing."""
    with (
        start(("--ttft", "0", "--gap", "0", "--output-tokens", "80000", *options(files))) as mock,
        connected(mock, trusting) as sock,
    ):
        sock.sendall(request_bytes(ask(max_tokens=40_000), "Connection: close"))
        time.sleep(0.8)
        sock.sendall(request_bytes(ask(), "Expect: 100-continue"))
        answer = b"".join(iter(lambda: sock.recv(65536), b""))

        assert answer.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        assert is_well(mock, trusting)


def test_plain_http_is_no_session(mock: MockProcess, trusting: ssl.SSLContext) -> None:
    with socket.create_connection(("127.0.0.1", mock.port), LIMIT_S) as sock:
        sock.sendall(whole())
        said = drain(sock)

    assert b"HTTP/" not in said
    assert is_well(mock, trusting)


def test_a_client_that_stops_in_its_handshake_holds_nobody_up(mock: MockProcess, trusting: ssl.SSLContext) -> None:
    """The head of a record, 22 3 1 and a length, and none of what it announces."""
    with socket.create_connection(("127.0.0.1", mock.port), LIMIT_S) as sock:
        sock.sendall(bytes((22, 3, 1, 2, 0)))
        assert is_well(mock, trusting)


def test_a_handshake_in_single_bytes_is_a_handshake(files: tuple[Path, Path], trusting: ssl.SSLContext) -> None:
    """In memory: what the client says comes a byte at a time. TLS 1.3 has it speak twice; then come data."""
    server = Session(context(*files))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    for byte in outgoing.read():
        incoming.write(server.receive(bytes((byte,))).reply)
    client.do_handshake()
    client.write(b"GET /")

    received = [server.receive(bytes((byte,))) for byte in outgoing.read()]

    assert b"".join(r.data for r in received) == b"GET /"
    assert not any(r.is_over for r in received)
    incoming.write(b"".join(r.reply for r in received) + server.seal(b"HTTP/1.1"))
    assert client.read(100) == b"HTTP/1.1"


def test_sessions_leave_nothing_behind(files: tuple[Path, Path], trusting: ssl.SSLContext) -> None:
    """
    The collector is off: what a connection leaves stays. A session with its buffers is some 50 KB.

    The first 100 fill the allocators' pools; 200 that leaked would then add 10 MB.
    """
    with start((*FAST, *options(files))) as mock:
        _come_and_go(mock, trusting, 100)
        before = _resident_bytes(mock)
        _come_and_go(mock, trusting, 200)
        after = _resident_bytes(mock)

    assert after - before < 2_000_000


def _come_and_go(mock: MockProcess, tls: ssl.SSLContext, times: int) -> None:
    for _ in range(times):
        with connected(mock, tls) as sock:
            sock.sendall(request_bytes(b"{"))
            receive(sock)
            sock.sendall(request_bytes(ask()))


# What it needs.


@pytest.mark.parametrize("name", ["tls_cert", "tls_key"])
def test_a_certificate_without_its_key_is_refused_and_the_other_way_round(name: str) -> None:
    with pytest.raises(ValueError, match=r"^--tls-cert, --tls-key: only one is given"):
        settings_from({name: Path("x.pem")})


@pytest.mark.parametrize(
    ("cert", "key", "message"),
    [
        ("key.pem", "key.pem", "are no certificate and its key"),
        ("cert.pem", "locked.pem", "are no certificate and its key"),
        ("cert.pem", "none.pem", "none.pem are no certificate and its key: [Errno 2] No such file"),
    ],
)
def test_files_that_are_not_what_they_should_be_are_one_line_and_exit_code_2(
    files: tuple[Path, Path], cert: str, key: str, message: str
) -> None:
    """An encrypted key is one of them: nobody is asked for its password."""
    folder = files[0].parent
    ended = subprocess.run(
        [sys.executable, "-m", "loadtests.mock", *options((folder / cert, folder / key))],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )

    assert (ended.returncode, ended.stdout) == (2, "")
    assert message in ended.stderr
    assert ended.stderr.count("\n") == 1
