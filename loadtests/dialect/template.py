"""
What the chunks of one stream have in common: nearly all differ in a single string, the text.

Reading JSON costs more than reading the socket. So the first chunk with a text is read, and becomes a template: the
bytes before and after that text. A later chunk of the same form says how many characters it bears without being
read again: its text is as long as its bytes, or, where it has an escape or is not ASCII, as that one string is when
read. A template is only believed after the JSON parser has agreed that what stands between is the text that counts;
whatever else differs is read as JSON like the first.
"""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

import orjson

from loadtests.dialect.delta import borne, parts, pieces, size
from loadtests.sse import FRAME
from loadtests.wire.chunks import CRLF, HEADS

PLAIN: Final = bytes({*range(0x20, 0x80)} - {*b'"\\'})
"""Bytes that are one character and stand for themselves inside a JSON string."""

UNESCAPED: Final = PLAIN + bytes(range(0x80, 0x100))
"""Bytes that stand for themselves there, as far as they are UTF-8."""


class Template:
    """
    What the reads of one stream's chunks have in common, from the chunk's head to its end.

    Args:
        before, after: The bytes around the text, the event's frame included.
        kind: What the text is: bits of `record`.
    """

    __slots__ = ("_after", "_begins", "_stop", "kind")

    def __init__(self, before: bytes, after: bytes, kind: int) -> None:
        self.kind = kind
        self._after = after + FRAME[1] + CRLF
        self._stop = -len(self._after)
        self._begins = _Begins(FRAME[0] + before)

    def measure(self, reads: list[bytes], at: int) -> tuple[list[int], int]:
        """
        The reads from there on, as far as each is one such chunk and its text not empty.

        Returns:
            The characters of each, and the UTF-8 bytes of all.
        """
        begins, after, stop = self._begins, self._after, self._stop
        texts = []
        for data in islice(reads, at, None):
            begin, start = begins[len(data)]
            if not (data.startswith(begin) and data.endswith(after)):
                break
            texts.append(data[start:stop])
        joined = b"".join(texts)
        if not joined.translate(None, PLAIN):
            counts = list(map(len, texts))
        elif not joined.translate(None, UNESCAPED):
            try:
                counts = list(map(len, map(bytes.decode, texts)))
            except UnicodeDecodeError:
                return _measured(texts)
        else:
            return _measured(texts)
        return (counts, len(joined)) if 0 not in counts else _measured(texts)


class _Begins(dict[int, tuple[bytes | tuple[bytes, ...], int]]):
    """By the size of a read: how it begins where it is such a chunk, and where its text does; made when asked for."""

    def __init__(self, before: bytes) -> None:
        super().__init__()
        self._before = before

    def __missing__(self, size: int) -> tuple[bytes | tuple[bytes, ...], int]:
        begins = tuple(head + self._before for head in HEADS.get(size, ()))
        found = (begins[0] if len(begins) == 1 else begins, len(begins[0]) if begins else 0)
        self[size] = found
        return found


def _measured(texts: list[bytes]) -> tuple[list[int], int]:
    counts, utf8 = [], 0
    for text in texts:
        chars, more = length(text)
        if not chars:
            break
        counts.append(chars)
        utf8 += more
    return counts, utf8


def length(text: bytes) -> tuple[int, int]:
    """Characters and UTF-8 bytes of what stands between the quotes of a JSON string; 0 where it can't stand there."""
    if not text.translate(None, PLAIN):
        return len(text), len(text)
    try:
        read = orjson.loads(b'"%b"' % text)
    except orjson.JSONDecodeError:
        return 0, 0
    return len(read), size(read)


def learn(data: bytes, value: dict[str, Any]) -> Template | None:
    """
    The template that a chunk makes.

    Args:
        data: The chunk.
        value: The same, parsed by orjson.

    Returns:
        None where the chunk bears no text, or more than one, or where it can't be told which bytes are the text.
    """
    found = [piece for part in parts(value, "delta") for piece in pieces(part)]
    if len(found) != 1:
        return None
    text, kind = found[0]
    raw = text.encode("utf-8", "surrogatepass")
    at = data.rfind(b'"%b"' % raw) + 1
    if not at or not length(raw)[0] or b"\n" in data:
        return None
    before, after = data[:at], data[at + len(raw) :]
    try:
        longer = orjson.loads(b"%b%bx%b" % (before, raw, after))
    except orjson.JSONDecodeError:
        return None  # the same bytes stand between two strings, as "," and ":" do
    # One string literal was made longer by one: if that many more characters are borne, it is the one that counts.
    if borne(longer, "delta") != (kind, len(text) + 1, len(raw) + 1):
        return None
    return Template(before, after, kind)
