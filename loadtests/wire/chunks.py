"""HTTP/1.1's chunked framing (RFC 9112, 7.1), for those who recognise a whole chunk without parsing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

CRLF: Final = b"\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"
"""How a chunked body ends, but for one with trailers."""

LEAST_BYTES: Final = 5
"""A read shorter than this may be the tail of a chunked body's last five bytes."""

MOST_BYTES: Final = 1024
MAX_READS: Final = 128
"""Longer reads, and so many shorter ones, are framed soon: that bounds what waits."""

LONGEST: Final = 4096


def is_chunked(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a body comes in chunks: the last of its transfer codings decides (RFC 9112, 6.3)."""
    codings = headers.get(b"transfer-encoding", b"")
    return codings == b"chunked" or codings.lower().rpartition(b",")[2].strip() == b"chunked"


def _heads() -> dict[int, tuple[bytes, ...]]:
    heads = {}
    for size in range(1, LONGEST):
        spellings = {b"%x\r\n" % size, b"%X\r\n" % size}
        heads[len(b"%x" % size) + size + 4] = tuple(sorted(spellings))
    return heads


HEADS: Final = _heads()
"""
By the length of a read that is one whole chunk and nothing else: how it then begins.

The spellings of the size, lower and upper case, are equally long. Leading zeros and extensions are left to llhttp.
"""
