"""JSON as servers write it: what the standard forbids and they send all the same, and values one after another."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import orjson

BOM: Final = b"\xef\xbb\xbf"
_BETWEEN: Final = re.compile(r"[\s,\[\]\ufeff\x1e]*(?=\[DONE\])|[\s,\[\]\ufeff\x1e]*")
_END: Final = "[DONE]"
_decode: Final = json.JSONDecoder().raw_decode


def loads(data: bytes) -> tuple[Any, bool]:
    """
    A value that orjson refuses: NaN and Infinity, half a surrogate pair, bytes that are no UTF-8.

    Returns:
        The value, and whether there were such bytes; each of them counts as one character.

    Raises:
        ValueError: It is no JSON at all, or too deeply nested.
    """
    try:
        text, broken = data.decode(), False
    except UnicodeDecodeError:
        text, broken = data.decode("utf-8", "replace"), True
    try:
        return json.loads(text), broken
    except RecursionError:
        raise ValueError("too deeply nested") from None


def body(data: bytes) -> tuple[Any, bool]:
    """The one value of a body, and whether it has bytes that are no UTF-8; None where it is no JSON."""
    data = data.removeprefix(BOM).strip()
    try:
        return orjson.loads(data), False
    except orjson.JSONDecodeError:
        try:
            return loads(data)
        except ValueError:
            return None, False


def values(data: bytes) -> list[tuple[int, bytes]]:
    """
    The objects of a body that is lines of JSON, or an array of it, as far as they are whole.

    Returns:
        Where each ends, in bytes from the start of the body, and its bytes; `[DONE]` counts as one.
    """
    text = data.decode("utf-8", "surrogateescape")
    found: list[tuple[int, bytes]] = []
    at = end = 0
    while True:
        between = _BETWEEN.match(text, at)
        assert between is not None
        start = between.end()
        stop = start + len(_END) if text.startswith(_END, start) else _stop(text, start)
        if stop == start:
            return found
        end += len(text[at:stop].encode("utf-8", "surrogateescape"))
        found.append((end, text[start:stop].encode("utf-8", "surrogateescape")))
        at = stop


def _stop(text: str, start: int) -> int:
    """Where the object that starts there ends; its start where there is none."""
    try:
        return _decode(text, start)[1] if text.startswith("{", start) else start
    except (ValueError, RecursionError):
        return start
