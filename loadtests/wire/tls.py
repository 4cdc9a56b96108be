"""
TLS on the receiver's own reads: `ssl.MemoryBIO` between recvmsg and the plain bytes, so that kernel stamps survive.

`SSLSocket` has no recvmsg. Here the ciphertext is read and stamped like any other bytes and decrypted afterwards; a
plain byte's stamp is that of the read which completed its record (at most 16 KiB).
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_PLAIN_READ: Final = 64 << 10


class Tls:
    """
    One TLS session over a socket that somebody else reads.

    Args:
        context: Shared by all connections to an origin; building one takes tens of milliseconds.
        server_name: For SNI and for the check of the certificate.
    """

    __slots__ = ("_in", "_object", "_out")

    def __init__(self, context: ssl.SSLContext, server_name: str) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
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
            ssl.SSLError: The record is broken.
        """
        self._in.write(data)
        plain: list[bytes] = []
        while True:
            try:
                piece = self._object.read(_PLAIN_READ)
            except ssl.SSLWantReadError:
                return b"".join(plain), False
            except ssl.SSLZeroReturnError:
                return b"".join(plain), True
            if not piece:
                return b"".join(plain), True
            plain.append(piece)

    def selected_alpn_protocol(self) -> str | None:
        """The application protocol that the peer chose, by the name that `ssl` has for asking it."""
        name: str | None = self._object.selected_alpn_protocol()
        return name

    def encrypt(self, data: bytes) -> bytes:
        """The ciphertext of these plain bytes, with whatever else the session wants to send."""
        self._object.write(data)
        return self._out.read()
