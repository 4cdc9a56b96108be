"""
Content codings: what a server compressed although it was asked not to, read as it comes.

Sits between wire and reader. A piece of plain text carries the stamp of the read that completed it; when a compressed
event can be read is the server's choice, for it decides when to flush its compressor.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

from loadtests.errors import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STEP_BYTES: Final = 1 << 20
"""No more than this is made of a read at once: a few bytes can stand for gigabytes."""

GZIP: Final = ("gzip", "x-gzip")
NAMES: Final = frozenset({*GZIP, "deflate"})
GZIP_WINDOW, ZLIB_WINDOW, RAW_WINDOW = 31, 15, -15
"""zlib's wbits: with gzip's head, with zlib's, and bare, which is what some servers understand by `deflate`."""

MEMBER: Final = b"\x1f"
"""How a member of a gzip stream begins; one may follow another (RFC 1952, 2.2)."""


def codings(headers: Mapping[bytes, bytes]) -> list[str]:
    """The codings of a body in the order in which they were applied, `identity` and the framing left out."""
    if b"content-encoding" not in headers and headers.get(b"transfer-encoding", b"chunked") == b"chunked":
        return []
    named = b",".join(headers.get(name, b"") for name in (b"content-encoding", b"transfer-encoding"))
    words = [word.strip().lower() for word in named.decode("latin-1").split(",")]
    return [word for word in words if word not in ("", "identity", "chunked")]


def is_known(names: list[str]) -> bool:
    """Whether these codings can be undone here: one at the most, and of zlib's family."""
    return not names or (len(names) == 1 and names[0] in NAMES)


class Inflater:
    """
    Undoes one coding, at any split of the bytes.

    Args:
        name: gzip, x-gzip or deflate.
        most: More plain bytes than this are refused.
    """

    __slots__ = ("_error", "_head", "_left", "_name", "_zlib")

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._left = most
        self._head = b""
        self._error = ""
        self._zlib: Any = zlib.decompressobj(GZIP_WINDOW) if name in GZIP else None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """
        The plain bytes that this read completes, in pieces of `STEP_BYTES` at the most.

        Raises:
            Failure: bad_body: it isn't what its header says, or there is too much of it.
        """
        if self._zlib is None:
            data = self._begin(data)
        while data:
            if self._zlib.eof:
                if self._name not in GZIP or not data.startswith(MEMBER):
                    return  # padding
                self._zlib = zlib.decompressobj(GZIP_WINDOW)
            plain = self._step(data)
            self._left -= len(plain)
            if self._left < 0:
                raise Failure("bad_body", "a compressed body of too many bytes")
            if plain:
                yield plain
            if self._error:
                raise Failure("bad_body", f"the body isn't the {self._name} that its header says: {self._error}")
            data = self._zlib.unused_data if self._zlib.eof else self._zlib.unconsumed_tail

    def _begin(self, data: bytes) -> bytes:
        """Two bytes tell zlib's head (RFC 1950, 2.2) from a bare stream; what there is to be read then."""
        data = self._head + data
        if len(data) < 2:
            self._head = data
            return b""
        wrapped = data[0] & 15 == 8 and int.from_bytes(data[:2]) % 31 == 0
        self._zlib = zlib.decompressobj(ZLIB_WINDOW if wrapped else RAW_WINDOW)
        return data

    def _step(self, data: bytes) -> bytes:
        before = self._zlib.copy()  # an error takes with it what was well until then
        try:
            plain: bytes = self._zlib.decompress(data, STEP_BYTES)
        except zlib.error:
            self._zlib = before
            return b"".join(self._until_error(data))
        return plain

    def _until_error(self, data: bytes) -> Iterator[bytes]:
        """Byte by byte, so that it makes no difference in which reads they came."""
        try:
            for at in range(len(data)):
                yield self._zlib.decompress(data[at : at + 1])
        except zlib.error as error:
            self._error = str(error)
