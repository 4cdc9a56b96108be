"""
What a delta or a message bears: content, reasoning, tool calls, refusal, under all the names that providers use.

Reasoning is what comes under a name of its own. Some servers leave it in the content, between `<think>` and
`</think>`: that is content here, as it is for everybody who reads it.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from loadtests.record import CONTENT, REASONING, REFUSAL, TOOL

REASONING_KEYS: Final = ("reasoning_content", "reasoning", "thinking", "reasoning_text", "reasoning_details")
"""In the order of trust: some servers send the same text under two of them, and it counts once."""

TEXT_KEYS: Final = ("thinking", "text", "summary", "content")
DEPTH: Final = 4
"""How deeply a list of parts may be nested before what is in it counts as nothing."""

Piece = tuple[str, int]
"""A text that is not empty, and what it is: a bit of `record`."""


def bears(delta: dict[str, Any]) -> tuple[int, int, int]:
    """What a delta or a message bears: bits of `record`, characters, UTF-8 bytes; (0, 0, 0) for none."""
    content = delta.get("content")
    if isinstance(content, str) and content and (len(delta) == 1 or (len(delta) == 2 and "role" in delta)):
        return CONTENT, len(content), len(content) if content.isascii() else size(content)
    kind = chars = utf8 = 0
    for text, bit in pieces(delta):
        kind |= bit
        chars += len(text)
        utf8 += size(text)
    return kind, chars, utf8


def size(text: str) -> int:
    """Bytes of a text in UTF-8; half a surrogate pair, which JSON can hold, has three."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def parts(value: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """What each choice of a chunk ("delta") or of an answer ("message") holds."""
    choices = value.get("choices")
    if not isinstance(choices, list):
        return []
    found = (part_of(choice, name) for choice in choices if isinstance(choice, dict))
    return [part for part in found if isinstance(part, dict)]


def part_of(choice: dict[str, Any], name: str) -> Any:
    """The delta or message of a choice; a stream that holds whole messages instead of deltas is read, too."""
    part = choice.get(name)
    return choice.get("message") if part is None and name == "delta" else part


def borne(value: dict[str, Any], name: str) -> tuple[int, int, int]:
    """What all choices of a chunk or an answer bear together, as `bears` says it."""
    kind = chars = utf8 = 0
    for part in parts(value, name):
        bits, more, bytes_ = bears(part)
        kind |= bits
        chars += more
        utf8 += bytes_
    return kind, chars, utf8


def pieces(delta: dict[str, Any]) -> list[Piece]:
    """Every text in a delta or a message, in this order: content, reasoning, refusal, tool calls."""
    if len(delta) == 1 and isinstance(content := delta.get("content"), str):
        return [(content, CONTENT)] if content else []
    found = _content(delta.get("content")) + _reasoning(delta)
    if isinstance(refusal := delta.get("refusal"), str):
        found.append((refusal, REFUSAL))
    calls = delta.get("tool_calls")
    for call in calls if isinstance(calls, list) else [calls]:
        if isinstance(call, dict):
            found += _call(call.get("function")) + _call(call.get("custom"))
    found += _call(delta.get("function_call"))
    return [piece for piece in found if piece[0]]


def _content(value: Any) -> list[Piece]:
    """Content as a text, or as a list of parts: texts, thinking (Mistral), refusals."""
    if isinstance(value, str):
        return [(value, CONTENT)]
    found: list[Piece] = []
    for part in value if isinstance(value, list) else [value]:
        if isinstance(part, str):
            found.append((part, CONTENT))
        elif isinstance(part, dict):
            found += _part(part)
    return found


def _part(part: dict[str, Any]) -> list[Piece]:
    kind = part.get("type")
    if "thinking" in part or (isinstance(kind, str) and kind.startswith(("thinking", "reasoning"))):
        return [(text, REASONING) for text in _texts(part, DEPTH)]
    if isinstance(refusal := part.get("refusal"), str):
        return [(refusal, REFUSAL)]
    text = part.get("text")
    return [(text, CONTENT)] if isinstance(text, str) else []


def _reasoning(delta: dict[str, Any]) -> list[Piece]:
    for key in REASONING_KEYS:
        if (value := delta.get(key)) and (texts := _texts(value, DEPTH)):
            return [(text, REASONING) for text in texts]
    return []


def _texts(value: Any, depth: int) -> list[str]:
    """The texts of parts, of lists of parts, and of parts that hold lists."""
    if isinstance(value, str):
        return [value] if value else []
    if not depth:
        return []
    if isinstance(value, list):
        return [text for item in value for text in _texts(item, depth - 1)]
    if isinstance(value, dict):
        return next((texts for key in TEXT_KEYS if (texts := _texts(value.get(key), depth - 1))), [])
    return []


def _call(function: Any) -> list[Piece]:
    """The name and the arguments of a call, which Ollama's own dialect writes as an object."""
    if not isinstance(function, dict):
        return []
    return [(_written(function.get(key)), TOOL) for key in ("name", "arguments", "input")]


def _written(value: Any) -> str:
    if isinstance(value, str) or not value:
        return value or ""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return ""
