"""What a delta or a message bears: kinds, characters and bytes, in all the forms that providers give them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.dialect.delta import REASONING_KEYS, bears, borne, pieces
from loadtests.record import CONTENT, REASONING, REFUSAL, TOOL

CALL = {"index": 0, "id": "x", "type": "function", "function": {"name": "f", "arguments": '{"a"'}}


@pytest.mark.parametrize(
    ("delta", "kind", "chars"),
    [
        ({"content": "Hi"}, CONTENT, 2),
        ({"role": "assistant", "content": "Hi"}, CONTENT, 2),
        ({"content": "", "tool_calls": None, "refusal": None}, 0, 0),
        ({"content": None}, 0, 0),
        ({}, 0, 0),
        ({"tool_calls": [CALL]}, TOOL, 5),
        ({"tool_calls": CALL}, TOOL, 5),
        ({"tool_calls": [{"type": "custom", "custom": {"name": "f", "input": "xy"}}]}, TOOL, 3),
        ({"tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]}, TOOL, 8),
        ({"tool_calls": [{"id": "x"}, None, 5, {"function": None}, {"function": "f"}]}, 0, 0),
        ({"tool_calls": [{"function": {"name": "f", "arguments": {"a": 2**99}}}]}, TOOL, 1),
        ({"function_call": {"name": "f"}}, TOOL, 1),
        ({"refusal": "no"}, REFUSAL, 2),
        ({"content": "a", "tool_calls": [CALL]}, CONTENT | TOOL, 6),
        ({"content": ["a", {"type": "text", "text": "b"}, {"type": "image_url"}, None]}, CONTENT, 2),
        ({"content": {"type": "text", "text": "b"}}, CONTENT, 1),
        ({"content": [{"type": "refusal", "refusal": "no"}]}, REFUSAL, 2),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"text": "yes"}]},
         CONTENT | REASONING, 5),
        ({"content": [{"type": "thinking", "thinking": "hm"}]}, REASONING, 2),
        ({"content": [{"type": "reasoning", "text": "hm"}]}, REASONING, 2),
        ({"content": "<think>hm</think>"}, CONTENT, 17),
        ({"reasoning": "hm", "reasoning_content": "hm"}, REASONING, 2),
        ({"reasoning": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]}, REASONING, 2),
        ({"reasoning": None, "reasoning_details": [{"summary": "hm"}, {"type": "reasoning.encrypted", "data": "x"}]},
         REASONING, 2),
        *(({key: "hm", "content": ""}, REASONING, 2) for key in REASONING_KEYS),
    ],
)  # fmt: skip
def test_every_kind_of_output_counts(delta: dict[str, Any], kind: int, chars: int) -> None:
    assert bears(delta)[:2] == (kind, chars)


def test_bytes_are_those_of_utf8() -> None:
    """Two, three and four bytes; half a surrogate pair has three."""
    assert bears({"content": "aö你🎉"}) == (CONTENT, 4, 1 + 2 + 3 + 4)
    assert bears({"content": "a", "reasoning": "\ud83c"}) == (CONTENT | REASONING, 2, 4)


def test_all_choices_of_a_chunk_are_borne_together() -> None:
    chunk = {"choices": [{"delta": {"content": "a"}}, {"delta": {"refusal": "ö"}}, {"delta": None}, None, {}]}
    assert borne(chunk, "delta") == (CONTENT | REFUSAL, 2, 3)
    assert borne({"choices": {}}, "delta") == (0, 0, 0)
    assert borne({"choices": [{"message": {"content": "abc"}}]}, "delta") == (CONTENT, 3, 3)


KEYS = st.sampled_from(
    ["content", "text", "thinking", "type", "reasoning_details", "tool_calls", "function", "arguments", "refusal"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.sampled_from(["thinking", "refusal"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
)


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_nothing_makes_it_raise_and_nothing_empty_is_a_piece(delta: dict[str, Any]) -> None:
    found = pieces(delta)

    assert all(text for text, _ in found)
    assert bears(delta)[1] == sum(len(text) for text, _ in found)


def test_what_is_nested_without_end_counts_as_nothing() -> None:
    deep: Any = "x"
    for _ in range(500):
        deep = [{"thinking": deep}]
    assert bears({"content": deep, "reasoning_details": deep}) == (0, 0, 0)
