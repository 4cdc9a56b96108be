"""What an answer says of its tokens, wherever it says it, and what they come to where nobody counts."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

CHARS_PER_TOKEN: Final = 4
"""OpenAI's rule of thumb for English; a character of Chinese, Japanese or Korean is about a token of its own."""

OUTPUT: Final = ("/completion_tokens", "/output_tokens", "/predicted_n")
INPUT: Final = ("/prompt_tokens", "/input_tokens")
REASONING: Final = (
    "/completion_tokens_details/reasoning_tokens", "/output_tokens_details/reasoning_tokens", "/reasoning_tokens",
)  # fmt: skip
CACHED: Final = (
    "/prompt_tokens_details/cached_tokens", "/input_tokens_details/cached_tokens", "/prompt_cache_hit_tokens",
    "/cache_read_input_tokens",
)  # fmt: skip
"""JSON pointers into a usage object, the usual place first."""

LARGEST: Final = 2**31 - 1


class Usage:
    """
    The last usage object of an answer, and what stands in for it at other places: never summed.

    Args:
        paths: JSON pointers into an answer, the most trusted first, to such an object or to the number itself.
    """

    __slots__ = ("_others", "_own", "_paths")

    def __init__(self, paths: tuple[str, ...]) -> None:
        self._paths = paths
        self._own: dict[str, Any] | None = None
        self._others: dict[str, Any] = {}

    def take(self, value: dict[str, Any]) -> None:
        """Look for it in a chunk or an answer."""
        if isinstance(own := value.get("usage"), dict):
            self._own = own
        for path in self._paths:
            if (found := pointer(value, path)) is not None:
                self._others[path] = found if isinstance(found, dict) else {"completion_tokens": found}

    def output(self) -> tuple[int | None, str | None]:
        """Output tokens, and where they are told: usage or usage_alt; a zero only where nothing else is said."""
        if not self._others:
            tokens = count(self._own, OUTPUT)
            return tokens, None if tokens is None else "usage"
        told = [(tokens, source) for source, counts in self._all() if (tokens := count(counts, OUTPUT)) is not None]
        return next((found for found in told if found[0]), told[0] if told else (None, None))

    def counted(self, places: tuple[str, ...]) -> int | None:
        """A count at one of these places (`INPUT` ...); None where it is not told."""
        if not self._others:
            return count(self._own, places)
        found = (count(counts, places) for _, counts in self._all())
        return next((tokens for tokens in found if tokens is not None), None)

    def _all(self) -> list[tuple[str, Any]]:
        """What counts tokens, the most trusted first."""
        others = [self._others[path] for path in self._paths if path in self._others]
        return [("usage", self._own), *(("usage_alt", found) for found in others)]


def count(usage: Any, places: tuple[str, ...]) -> int | None:
    """The first of these places of a usage object that holds a count; None where none does."""
    if usage is None:
        return None
    for place in places:
        if (number := _number(pointer(usage, place))) is not None:
            return number
    return None


def _number(value: Any) -> int | None:
    """A count as a number, or as a text of digits; anything else, and what no column can hold, is none."""
    if value is None or (type(value) is int and 0 <= value <= LARGEST):
        return value  # as it mostly is
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(LARGEST)):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LARGEST:
        return None
    return int(value)


def amount(value: Any, paths: tuple[str, ...]) -> float | None:
    """The number at the first of these JSON pointers that leads to one of a size that can be meant."""
    for path in paths:
        found = pointer(value, path)
        if isinstance(found, int | float) and not isinstance(found, bool) and abs(found) < LARGEST:
            return float(found)
    return None


def pointer(value: Any, path: str) -> Any:
    """
    What a JSON pointer points at; None where there is nothing.

    Source: RFC 6901.
    """
    for key in _keys(path):
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isascii() and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


@lru_cache(maxsize=256)
def _keys(path: str) -> tuple[str, ...]:
    """The steps of a JSON pointer."""
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:])


def estimate(chars: int, utf8: int) -> int:
    """
    Tokens of a text that nobody has counted: ceil((chars - wide) / 4 + wide), wide = (utf8 - chars) / 2.

    Latin letters have one byte and make a quarter of a token; those of Chinese, Japanese and Korean have three and
    make one. `wide` is how many of the latter the bytes stand for, at most all.

    Args:
        chars: Length of the text in characters.
        utf8: Its length in UTF-8 bytes.
    """
    doubled = min(max(utf8 - chars, 0), 2 * chars)  # 2 * wide, a whole number
    return -(-(2 * chars - doubled + CHARS_PER_TOKEN * doubled) // (2 * CHARS_PER_TOKEN))
