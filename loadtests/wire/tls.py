"""
TLS on the receiver's own reads: `ssl.MemoryBIO` between recvmsg and the plain bytes, so that kernel stamps survive.

`SSLSocket` has no recvmsg. Here the ciphertext is read and stamped like any other bytes and decrypted afterwards; a
plain byte's stamp is that of the read which completed its record (at most 16 KiB).
"""

from __future__ import annotations

import os
import ssl
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import httpx

from loadtests.errors import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_PLAIN_READ: Final = 64 << 10


class TrustError(ValueError):
    """The certificates that the environment says to trust cannot be used; the message says which and what to do."""


def trusting() -> ssl.SSLContext:
    """
    A context that verifies by the certificates of SSL_CERT_FILE or SSL_CERT_DIR, else by certifi's.

    Raises:
        TrustError: What one of these variables names is no such thing.
    """
    name = "SSL_CERT_FILE" if os.environ.get("SSL_CERT_FILE") else "SSL_CERT_DIR"
    named, fix = os.environ.get(name, ""), "name a file of PEM certificates, or unset it"
    if name == "SSL_CERT_DIR" and named and not Path(named).is_dir():  # OpenSSL would trust nobody, and not say so
        raise TrustError(f"SSL_CERT_DIR={named}: no such directory; name one of hashed PEM certificates, or unset it")
    try:
        return httpx.create_ssl_context()
    except ssl.SSLError:
        raise TrustError(f"{name}={named}: no certificate in it; {fix}") from None
    except OSError as error:
        raise TrustError(f"{name}={named}: {error.strerror or error}; {fix}") from None


class Plain(NamedTuple):
    """
    What was decrypted.

    Attributes:
        pieces, stamps: The bytes and the stamp of the read that completed their record; b"" for the end.
        over: The peer has closed the session or the connection.
        failure, failed_ns: A broken record behind them, and the stamp of its read.
    """

    pieces: list[bytes]
    stamps: array[int]
    over: bool
    failure: Failure | None = None
    failed_ns: int = 0


class Tls:
    """
    One TLS session over a socket that somebody else reads.

    Args:
        context: Shared by all connections to an origin; building one takes tens of milliseconds.
        server_name: For SNI and for the check of the certificate.
    """

    __slots__ = ("_in", "_object", "_out", "broken")

    def __init__(self, context: ssl.SSLContext, server_name: str) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.broken: ssl.SSLError | None = None
        self._object: Any = context.wrap_bio(self._in, self._out, server_hostname=server_name)

    def handshake(self, send: Callable[[bytes], None], receive: Callable[[], bytes]) -> None:
        """
        Shake hands, with blocking (greenlet-friendly) functions that send all and receive some.

        Raises:
            ssl.SSLError: The certificate or the protocol is refused.
            OSError: From the functions.
        """
        while True:
            try:
                self._object.do_handshake()
            except ssl.SSLWantReadError:
                send(self._out.read())
                data = receive()
                if not data:
                    raise ssl.SSLError(0, "the connection was closed during the TLS handshake") from None
                self._in.write(data)
            except ssl.SSLError:
                send(self._out.read())  # the alert, so that the peer knows why
                raise
            else:
                send(self._out.read())
                return

    def decrypt(self, data: bytes) -> tuple[bytes, bool]:
        """
        The plain bytes that this ciphertext completes, and whether the peer has closed the session.

        Raises:
            ssl.SSLError: The record is broken; where whole ones came ahead of it, at the next call.
        """
        if self.broken is not None:
            raise self.broken
        self._in.write(data)
        plain: list[bytes] = []
        while True:
            try:
                piece = self._object.read(_PLAIN_READ)
            except ssl.SSLWantReadError:
                return b"".join(plain), False
            except ssl.SSLZeroReturnError:
                return b"".join(plain), True
            except ssl.SSLError as error:
                self.broken = error.with_traceback(None)
                if not plain:
                    raise
                return b"".join(plain), False
            if not piece:
                return b"".join(plain), True
            plain.append(piece)

    def selected_alpn_protocol(self) -> str | None:
        """The application protocol that the peer chose, by the name that `ssl` has for asking it."""
        name: str | None = self._object.selected_alpn_protocol()
        return name

    @property
    def version(self) -> str | None:
        """What was agreed on, `TLSv1.3`; None before the handshake."""
        found: str | None = self._object.version()
        return found

    def decrypt_all(self, reads: Sequence[bytes], stamps: array[int]) -> Plain:
        """What reads with their stamps say; an empty one is the peer's end of the connection."""
        pieces: list[bytes] = []
        at = array("q")
        for data, stamp in zip(reads, stamps, strict=True):
            try:
                piece, over = self.decrypt(data) if data else (b"", True)
            except ssl.SSLError as error:
                return Plain(pieces, at, over=False, failure=Failure("tls", str(error)), failed_ns=stamp)
            if piece:
                pieces.append(piece)
                at.append(stamp)
            if self.broken is not None:
                return Plain(pieces, at, over=False, failure=Failure("tls", str(self.broken)), failed_ns=stamp)
            if over:
                pieces.append(b"")
                at.append(stamp)
                return Plain(pieces, at, over=True)
        return Plain(pieces, at, over=False)

    def encrypt(self, data: bytes) -> bytes:
        """The ciphertext of these plain bytes, with whatever else the session wants to send."""
        self._object.write(data)
        return self._out.read()
