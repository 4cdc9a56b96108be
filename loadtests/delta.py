"""What a delta or a message bears: content, reasoning, tool calls, refusal, under all the names that providers use."""

from __future__ import annotations

from typing import Any, Final

from loadtests.record import CONTENT, REASONING, REFUSAL, TOOL

_REASONING_KEYS: Final = ("reasoning_content", "reasoning")


def borne(value: dict[str, Any], part: str) -> tuple[int, int]:
    """What all choices of a chunk ("delta") or an answer ("message") bear together."""
    kind = count = 0
    for delta in _parts(value, part):
        bits, size = bears(delta)
        kind |= bits
        count += size
    return kind, count


def texts(value: dict[str, Any]) -> list[str]:
    """Every piece of text that the choices of a chunk bear."""
    return [text for delta in _parts(value, "delta") for text, _ in _texts(delta)]


def _parts(value: dict[str, Any], part: str) -> list[dict[str, Any]]:
    choices = value.get("choices")
    if not isinstance(choices, list):
        return []
    found = (choice.get(part) for choice in choices if isinstance(choice, dict))
    return [delta for delta in found if isinstance(delta, dict)]


def bears(delta: dict[str, Any]) -> tuple[int, int]:
    """What a delta or a message bears: bits of `record` and the number of characters; (0, 0) for none."""
    content = delta.get("content")
    if isinstance(content, str) and content and (len(delta) == 1 or (len(delta) == 2 and "role" in delta)):
        return CONTENT, len(content)
    kind = count = 0
    for text, bit in _texts(delta):
        if text:
            kind |= bit
            count += len(text)
    return kind, count


def _texts(delta: dict[str, Any]) -> list[tuple[str, int]]:
    """Every piece of text in a delta with its kind."""
    texts = _content(delta.get("content"))
    for key in _REASONING_KEYS:
        value = delta.get(key)
        if isinstance(value, str) and value:
            texts.append((value, REASONING))
            break  # some servers send the same text under both names
    refusal = delta.get("refusal")
    if isinstance(refusal, str):
        texts.append((refusal, REFUSAL))
    calls = delta.get("tool_calls")
    for call in calls if isinstance(calls, list) else []:
        texts.extend(_call(call.get("function") if isinstance(call, dict) else None))
    texts.extend(_call(delta.get("function_call")))
    return texts


def _content(value: Any) -> list[tuple[str, int]]:
    """Content as a string, or as a list of parts (Mistral: text and thinking)."""
    if isinstance(value, str):
        return [(value, CONTENT)]
    texts: list[tuple[str, int]] = []
    for part in value if isinstance(value, list) else []:
        if not isinstance(part, dict):
            continue
        thinking = part.get("thinking")
        if isinstance(thinking, list):
            texts.extend((text, REASONING) for text, _ in _content(thinking))
        elif isinstance(thinking, str):
            texts.append((thinking, REASONING))
        if isinstance(text := part.get("text"), str):
            texts.append((text, CONTENT))
    return texts


def _call(function: Any) -> list[tuple[str, int]]:
    if not isinstance(function, dict):
        return []
    return [(text, TOOL) for key in ("name", "arguments") if isinstance(text := function.get(key), str)]
