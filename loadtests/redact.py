"""
The one redaction: every text that leaves the process (records, logs, reports, error lines) passes here first.

Configured secrets go exactly and in pieces, then whatever has the shape of a key. Providers echo keys in error texts,
so what they answer is redacted too. Each step is one pass over the text without nested repetition: linear time.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MASK: Final = "█"
"""One character that no header can carry, so no secret contains it. No pattern reaches over it either: what is left
between two masks was looked at in the first pass already, which makes `redact` idempotent."""

LEAST: Final = 4
"""A key of fewer characters guards nothing (local servers take "x"), and to mask it would spoil every text."""

PIECE: Final = 8
"""Characters of a secret in a row that count as having leaked."""

SECRET_HEADERS: Final = frozenset({
    "authorization", "proxy-authorization", "cookie", "set-cookie", "api-key", "x-api-key", "x-goog-api-key",
})  # fmt: skip
"""Headers whose values are secrets whole, in lower case."""

_VALUE: Final = r"""[^\s"'`,;&<>(){}\[\]\\█]"""
_IS: Final = r"""["']?+\s*+[:=]\s*+["']?+"""

# Order matters: the patterns that take a whole value come before those that take a key-shaped word out of it.
_PATTERNS: Final = tuple(
    (re.compile(pattern), rf"\g<keep>{MASK}")
    for pattern in (
        # user:password@ in a URL; greedy, since a password may hold an @
        r"""(?P<keep>://)[^\s/?#"'<>█]+(?=@)""",
        r"""(?P<keep>[?&](?i:key|api[-_]?key|[a-z]{0,16}[-_]?token|sig|signature|secret|password|auth)=)[^&\s#"'<>█]+""",
        rf"(?P<keep>(?i:authorization){_IS}(?:(?i:bearer|basic|token)\s++)?+){_VALUE}+",
        rf"(?P<keep>(?<![A-Za-z0-9])(?i:bearer|basic)\s++){_VALUE}{{8,}}",
        rf"(?P<keep>(?i:api[-_ ]?key|secret|passw(?:or)?d)(?: provided)?{_IS}){_VALUE}{{6,}}",
        rf"(?P<keep>(?i:key|token){_IS}){_VALUE}{{16,}}",
        # Keys by their prefix: OpenAI, OpenRouter, Morpheus, LiteLLM; meinGPT; Groq; Cerebras; Hugging Face; Google.
        r"(?P<keep>)(?<![A-Za-z0-9])(?:sk-|sk_meingpt_|gsk_|csk-|hf_|AIza)[A-Za-z0-9_\-]{8,}",
        # JSON web tokens.
        r"(?P<keep>)(?<![A-Za-z0-9])eyJ[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]+){0,2}",
    )
)


def redact(text: str, secrets: Iterable[str]) -> str:
    """
    The text with every secret masked.

    Args:
        text: Anything that will be shown or stored.
        secrets: The configured secrets, visible ASCII as an HTTP header carries them; ones below `LEAST` are skipped.

    Returns:
        The text in which no `PIECE` characters in a row of a secret survive, no shorter secret as a whole, and nothing
        with the shape of a key. Redacting it again changes nothing.
    """
    known = [secret for secret in secrets if len(secret) >= LEAST]
    text = _without_pieces(text, known)
    for short in sorted((s for s in known if len(s) < PIECE), key=len, reverse=True):
        text = text.replace(short, MASK)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def masker(secrets: Iterable[str]) -> Callable[[str], str]:
    """
    `redact` for short texts on a busy path: one search each, and nothing more where no piece of a secret is found.

    What has the shape of a key and is none of these secrets stays: ids of answers may look like keys.
    """
    known = [secret for secret in secrets if len(secret) >= LEAST]
    pieces = {s[i : i + PIECE] for s in known for i in range(max(1, len(s) - PIECE + 1))}
    found = re.compile("|".join(map(re.escape, sorted(pieces)))).search if pieces else None
    return lambda text: redact(text, known) if found is not None and found(text) else text


def looks_secret(text: str) -> bool:
    """True if something in the text has the shape of a key."""
    return any(pattern.search(text) for pattern, _ in _PATTERNS)


def secret_places(data: Any, place: str = "", key: str = "") -> Iterator[str]:
    """Where in nested data a key or a value looks like a secret; places like `headers.X-Api-Key`, redacted too."""
    if isinstance(data, dict):
        for name, inner in data.items():
            yield from secret_places(inner, f"{place}.{name}".lstrip("."), name)
    elif isinstance(data, list):
        for i, inner in enumerate(data):
            yield from secret_places(inner, f"{place}[{i}]", key)
    elif looks_secret(place) or looks_secret(f"{key}: {data}"):
        yield redact(place, ())


def _without_pieces(text: str, secrets: list[str]) -> str:
    """Mask every stretch of the text that is covered by `PIECE`-character pieces of the secrets."""
    pieces = {s[i : i + PIECE] for s in secrets for i in range(len(s) - PIECE + 1)}
    if not pieces:
        return text
    kept: list[str] = []
    done = 0  # everything before it is in kept or masked
    for i in range(len(text) - PIECE + 1):
        if text[i : i + PIECE] not in pieces:
            continue
        if i > done or not kept:
            kept.append(text[done:i])
        done = i + PIECE
    return MASK.join([*kept, text[done:]]) if kept else text
