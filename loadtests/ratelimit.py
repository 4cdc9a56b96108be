"""
How long to wait, and how much is left: rate-limit headers, Retry-After and what error texts say, in every form known.

Pure: headers, a body and the wall time in; seconds and counts out. What is no such thing, or a placeholder, is None.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

EPOCH_S: Final = 1e9
EPOCH_MS: Final = 1e12
"""A number above the one is a moment in seconds since 1970, above the other in milliseconds; below, a duration."""

READ_BYTES: Final = 16 << 10
"""Of an error's body, as much is searched."""

_NUMBER: Final = r"[0-9]{1,15}(?:\.[0-9]{1,15})?"
_SECONDS: Final = {
    "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "\u00b5s": 1e-6, "ns": 1e-9,
    "day": 86400.0, "hour": 3600.0, "hr": 3600.0, "minute": 60.0, "min": 60.0, "second": 1.0, "sec": 1.0,
    "millisecond": 1e-3,
}  # fmt: skip
_UNIT: Final = "|".join(sorted(map(re.escape, _SECONDS), key=len, reverse=True))
_STEP: Final = re.compile(rf"\s?({_NUMBER})\s?({_UNIT})(?:s(?![a-z]))?(?![a-z])", re.IGNORECASE | re.ASCII)
_DURATION: Final = re.compile(rf"(?:{_STEP.pattern})+", re.IGNORECASE | re.ASCII)
_GO: Final = re.compile(rf"({_NUMBER})(ms|us|\u00b5s|ns|d|h|m|s)")
_WORDS: Final = {"req": "requests", "request": "requests", "token": "tokens"}
_SAID: Final = re.compile(r"\b(?:again|retry|wait)(?: again)?(?: in| after| for)?:? {0,2}(?=\d)", re.IGNORECASE)
_DELAY: Final = re.compile(r"\"retryDelay\"\s{0,9}:\s{0,9}\"([^\"]{1,40})\"")
_HEADER: Final = re.compile(
    r"(?:x-|anthropic-)?(rate-?limit|tokenlimit)-(?:(limit|remaining|reset)(?:-(.+))?|(.+)-(limit|remaining|reset))"
)


@dataclass(frozen=True, slots=True)
class Limit:
    """One dimension: how much is allowed, how much of it is left, and in how many seconds it is whole again."""

    limit: int | None = None
    remaining: int | None = None
    reset_s: float | None = None


Limits = dict[str, Limit]
"""By dimension: requests, tokens, input_tokens, requests_day, tokens_minute ... as the headers name them."""


def seconds(value: str, now_unix_s: float) -> float | None:
    """
    Seconds from now, at least 0; None where the text says no such thing.

    Args:
        value: A number of seconds; a duration as Go writes it (6m0s, 2m59.56s, 120ms); a moment in ISO 8601 (UTC where
            it does not say), as an HTTP date, or as seconds or milliseconds since 1970. Negative numbers are
            placeholders.
        now_unix_s: Wall time.

    Source: RFC 9110, 10.2.3 and 5.6.7; Go's time.Duration.String.
    """
    text = value.strip()
    if (span := _go(text)) is not None:
        return span
    if not text.isascii() or "_" in text:  # Python would read 1_0, and digits of every script
        return None
    try:
        number = float(text)
    except ValueError:
        return _moment(text, now_unix_s)
    if not 0 <= number < math.inf:
        return None
    if number > EPOCH_S:
        return max(0.0, number / (1000 if number > EPOCH_MS else 1) - now_unix_s)
    return number


def _go(text: str) -> float | None:
    """A duration as Go writes it."""
    steps = _GO.findall(text)
    if not steps or "".join(number + unit for number, unit in steps) != text:
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in steps)


def _moment(text: str, now_unix_s: float) -> float | None:
    for read_date in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            at = read_date(text)
            at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
            return max(0.0, at.timestamp() - now_unix_s)
        except (ValueError, OverflowError, TypeError, IndexError):
            continue
    return None


def read(headers: Mapping[bytes, bytes], now_unix_s: float) -> Limits:
    """
    What the response headers say of the limits, whatever they call them; without the placeholders -1 and 0.

    Args:
        headers: Any case; a name may come as any of `x-ratelimit-limit-tokens`, `anthropic-ratelimit-tokens-limit`,
            `x-ratelimit-limit-req-minute`, `x-tokenlimit-limit`, `x-ratelimit-limit-tokens-prompt`.
        now_unix_s: Wall time, for resets that are moments.
    """
    limits: Limits = {}
    for name, raw in headers.items():
        found = _HEADER.fullmatch(name.decode("latin-1").lower())
        if found is None:
            continue
        family, first, behind, before, last = found.groups()
        dimension = _dimension(behind or before, "tokens" if family == "tokenlimit" else "requests")
        limit = limits.get(dimension, Limit())
        limits[dimension] = _with(limit, first or last, raw.decode("latin-1"), now_unix_s)
    return limits


def _dimension(name: str | None, default: str) -> str:
    return "_".join(_WORDS.get(word, word) for word in (name or default).split("-"))


def _with(limit: Limit, field: str, text: str, now_unix_s: float) -> Limit:
    if field == "reset":
        return replace(limit, reset_s=seconds(text, now_unix_s))
    number = re.match(r"\s*(\d{1,15})", text)  # "-1" is none; RFC drafts append more behind a comma or semicolon
    count = int(number[1]) if number else None
    return replace(limit, limit=count or None) if field == "limit" else replace(limit, remaining=count)


def asked_s(headers: Mapping[bytes, bytes], now_unix_s: float) -> float | None:
    """
    The wait that `retry-after-ms` or `retry-after` asks for, in seconds; None where they ask for none.

    Source: RFC 9110, 10.2.3; `retry-after-ms` is what Azure sends.
    """
    if b"retry-after" not in b" ".join(headers).lower():
        return None  # as nearly all answers, quickly
    given = {name.lower(): raw.decode("latin-1") for name, raw in headers.items() if name.lower().startswith(b"retry-")}
    milliseconds = given.get(b"retry-after-ms", "").strip()
    if re.fullmatch(_NUMBER, milliseconds):
        return float(milliseconds) / 1000
    asked = given.get(b"retry-after", "")
    return seconds(asked, now_unix_s) if asked else None


def said_s(text: str) -> float | None:
    """The wait that an error text names, in seconds: "try again in 5.289s", "retry after 30 seconds", retryDelay."""
    delay = _DELAY.search(text)
    if delay is not None and (wait := _go(delay[1])) is not None:
        return wait
    for told in _SAID.finditer(text):
        if span := _DURATION.match(text, told.end()):
            return sum(float(number) * _SECONDS[unit.lower()] for number, unit in _STEP.findall(span[0]))
    return None


def wait_s(headers: Mapping[bytes, bytes], body: bytes, now_unix_s: float) -> float | None:
    """
    How long an answer that refuses asks to wait, in seconds; None where it does not say.

    In this order: `retry-after-ms`, `retry-after`, the reset of what is used up (the longest), what the body says.
    """
    asked = asked_s(headers, now_unix_s)
    if asked is not None:
        return asked
    resets = [one.reset_s for one in read(headers, now_unix_s).values() if one.remaining == 0 and one.reset_s]
    return max(resets) if resets else said_s(body[:READ_BYTES].decode("utf-8", "replace"))
