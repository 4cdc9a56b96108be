"""
TLS for the mock's connections: bytes of the socket to bytes of HTTP and back, in memory.

No socket is touched here, so that a handshake never waits, and a chunk is encrypted before the moment of its write is
taken. `ssl.SSLObject` over two `ssl.MemoryBIO`: https://docs.python.org/3/library/ssl.html#memory-bio-support
"""

from __future__ import annotations

import contextlib
import ssl
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

READ_BYTES: Final = 65536


def context(certificate: Path, key: Path) -> ssl.SSLContext:
    """
    The server's side of TLS, which speaks HTTP/1.1 and nothing newer.

    Raises:
        ValueError: The files can't be read, or are no certificate with its unencrypted key.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.set_alpn_protocols(["http/1.1"])
    made.options |= ssl.OP_NO_RENEGOTIATION  # so that `seal` never waits for the client
    try:
        made.load_cert_chain(certificate, key, password="")  # none, so that nothing asks the terminal for one
    except OSError as error:  # of a file, or ssl.SSLError, which is one
        raise ValueError(
            f"tls_cert, tls_key: {certificate} and {key} are no certificate and its key: {error}"
        ) from None
    return made


class Received(NamedTuple):
    """What bytes of a client came to: bytes of HTTP, bytes that have to go back, and whether the session is over."""

    data: bytes
    reply: bytes
    is_over: bool


class Session:
    """The TLS of one connection."""

    __slots__ = ("_incoming", "_is_open", "_object", "_outgoing")

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = tls.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._is_open = False

    def receive(self, data: bytes) -> Received:
        """Take what the socket gave. After an error nothing can be sealed any more; the reply is its alert then."""
        self._incoming.write(data)
        pieces = []
        is_over = False
        try:
            if not self._is_open:
                self._object.do_handshake()
                self._is_open = True
            while piece := self._object.read(READ_BYTES):
                pieces.append(piece)
            is_over = True  # nothing: the client has said goodbye
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            return Received(b"", self._outgoing.read(), is_over=True)
        return Received(b"".join(pieces), self._outgoing.read(), is_over)

    def seal(self, data: bytes) -> bytes:
        """Bytes of HTTP as records."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._object.write(rest) :]
        return self._outgoing.read()

    def goodbye(self) -> bytes:
        """What tells the client that nothing more comes, and that nothing was cut off."""
        with contextlib.suppress(ssl.SSLError):  # that the client hasn't said it yet
            self._object.unwrap()
        return self._outgoing.read()
