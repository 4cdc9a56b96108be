"""
What the chunks of one stream have in common: nearly all differ in a single string, the text.

Reading JSON costs more than reading the socket. So the first chunk with a text is read, and becomes a template: the
bytes before and after that text. A later chunk of the same form says how many characters it bears without being
read again. A template is only believed after the JSON parser has agreed that what stands between is the text that
counts; a text with an escape, or anything else that differs, is read as JSON like the first.
"""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

import orjson

from loadtests.delta import borne, texts
from loadtests.sse import FRAME
from loadtests.wire.chunks import CRLF, HEADS

PLAIN: Final = bytes({*range(0x20, 0x80)} - {*b'"\\'})
"""Bytes that are one character and stand for themselves inside a JSON string."""


class Template:
    """
    What the reads of one stream's chunks have in common, from the chunk's head to its end.

    Args:
        before, after: The bytes around the text, the event's frame included.
        kind: What the text is: bits of `record`.
        more: Characters that each such chunk bears beside the text.
    """

    __slots__ = ("_after", "_begins", "_more", "_stop", "kind")

    def __init__(self, before: bytes, after: bytes, kind: int, more: int) -> None:
        self.kind = kind
        self._after = after + FRAME[1] + CRLF
        self._stop = -len(self._after)
        self._more = more
        self._begins = _Begins(FRAME[0] + before)

    def chars(self, reads: list[bytes], at: int) -> list[int]:
        """The characters of the reads from there on, as far as each is one such chunk and its text not empty."""
        begins, after, stop = self._begins, self._after, self._stop
        texts = []
        for data in islice(reads, at, None):
            begin, start = begins[len(data)]
            if not (data.startswith(begin) and data.endswith(after)):
                break
            texts.append(data[start:stop])
        counts = list(map(len, texts) if not b"".join(texts).translate(None, PLAIN) else map(length, texts))
        if 0 in counts:
            del counts[counts.index(0) :]
        return [count + self._more for count in counts] if self._more else counts


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


def length(text: bytes) -> int:
    """Characters of what stands between the quotes of a JSON string; 0 where it can't stand there."""
    if not text.translate(None, PLAIN):
        return len(text)
    try:
        return len(orjson.loads(b'"%b"' % text))
    except orjson.JSONDecodeError:
        return 0


def learn(data: bytes, value: dict[str, Any]) -> Template | None:
    """
    The template that a chunk makes.

    Args:
        data: The chunk.
        value: The same, parsed.

    Returns:
        None where the chunk bears no text, or more than one, or where it can't be told which bytes are the text.
    """
    kind, count = borne(value, "delta")
    found = [text for text in texts(value) if text]
    if len(found) != 1:
        return None
    raw = found[0].encode("utf-8", "surrogatepass")
    at = data.rfind(b'"%b"' % raw) + 1
    if not at or not length(raw) or b"\n" in data:
        return None
    before, after = data[:at], data[at + len(raw) :]
    # One string literal is made longer by one: if that many more characters are borne, it is the one that counts.
    if borne(orjson.loads(b"%b%bx%b" % (before, raw, after)), "delta") != (kind, count + 1):
        return None
    return Template(before, after, kind, count - len(found[0]))
