"""Plain httpx on our own wire."""

from __future__ import annotations

import socket
import ssl
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from conftest import chunked, read_request

from loadtests.wire.tls import TrustError, trusting
from loadtests.wire.transport import WireTransport

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loadtests.wire.receiver import Receiver

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def client(receiver: Receiver, certificate: Any) -> Iterator[httpx.Client]:
    tls = ssl.create_default_context(cafile=str(certificate[0]))
    with httpx.Client(transport=WireTransport(receiver, tls=tls), timeout=60) as made:
        yield made


@pytest.mark.parametrize("tls", [False, True])
def test_an_answer_says_when_the_kernel_received_it(
    client: httpx.Client, serve: Any, certificate: Any, tls: bool
) -> None:
    asked: list[bytes] = []

    def handler(sock: socket.socket) -> None:
        while data := read_request(sock):
            asked.append(data)
            sock.sendall(OK)
            for piece in (b"one", b"three"):
                sock.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
                time.sleep(0.01)
            sock.sendall(b"0\r\n\r\n")

    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
    server = serve(handler, tls=context)
    url = f"http{'s' if tls else ''}://localhost:{server.port}/v1?x=1"
    for _ in range(3):  # on a busy machine two pieces may be read at once
        responses = [client.post(url, json={"a": 1}, headers={"X-Y": "z"}) for _ in range(2)]
        pieces = [response.extensions["stamps"].pieces for response in responses]
        if all(second - first > 5_000_000 for (first, _), (second, _) in pieces):
            break

    for response in responses:
        stamps = response.extensions["stamps"]
        assert (response.status_code, response.text, response.http_version) == (200, "onethree", "HTTP/1.1")
        assert stamps.kernel
        assert [size for _, size in stamps.pieces] == [3, 5]
        assert stamps.sent_ns <= stamps.headers_ns <= stamps.pieces[0][0] < stamps.pieces[1][0] <= stamps.end_ns
        assert stamps.pieces[1][0] - stamps.pieces[0][0] > 5_000_000
    assert server.connections == 1
    assert asked[0].startswith(b"POST /v1?x=1 HTTP/1.1\r\n")
    assert b"\r\nX-Y: z\r\n" in asked[0]
    assert asked[0].endswith(b'Content-Length: 7\r\n\r\n{"a":1}')


def test_a_body_that_comes_in_pieces_is_sent_with_its_length(client: httpx.Client, serve: Any) -> None:
    asked: list[bytes] = []

    def handler(sock: socket.socket) -> None:
        asked.append(read_request(sock))
        sock.sendall(OK + chunked(b"hi"))

    assert client.post(f"http://localhost:{serve(handler).port}/", content=iter([b"ab", b"c"])).text == "hi"
    assert asked[0].endswith(b"Content-Length: 3\r\n\r\nabc")


def test_head_is_refused_before_anything_is_sent(client: httpx.Client) -> None:
    with pytest.raises(httpx.UnsupportedProtocol, match="HEAD"):
        client.head("http://127.0.0.1:9/")


def test_failures_are_httpxs_own(client: httpx.Client, serve: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(httpx.ConnectError, match="ECONNREFUSED"):
        client.get(f"http://127.0.0.1:{port}/")

    with pytest.raises(httpx.ReadError, match="before the first byte"):
        client.post(f"http://127.0.0.1:{serve(read_request).port}/")

    def silent(sock: socket.socket) -> None:
        read_request(sock)
        sock.recv(1)

    with pytest.raises(httpx.ReadTimeout):
        client.post(f"http://127.0.0.1:{serve(silent).port}/", timeout=0.1)

    def wrong(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"hello\r\n\r\n")

    with pytest.raises(httpx.RemoteProtocolError):
        client.post(f"http://127.0.0.1:{serve(wrong).port}/")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("SSL_CERT_FILE", None, "No such file or directory; name a file of PEM certificates"),
        ("SSL_CERT_FILE", "garbage", "no certificate in it; name a file of PEM certificates"),
        ("SSL_CERT_DIR", None, "no such directory; name one of hashed PEM certificates"),
        ("SSL_CERT_DIR", "a file", "no such directory; name one of hashed PEM certificates"),
    ],
)
def test_certificates_that_cannot_be_used_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, content: str | None, said: str
) -> None:
    path = tmp_path / "trusted"
    if content is not None:
        path.write_text(content)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv(name, str(path))

    with pytest.raises(TrustError) as error:
        trusting()
    assert str(error.value) == f"{name}={path}: {said}, or unset it"


def test_certificates_of_the_environment_are_trusted(monkeypatch: pytest.MonkeyPatch, certificate: Any) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))

    assert trusting().cert_store_stats()["x509"] == 1
