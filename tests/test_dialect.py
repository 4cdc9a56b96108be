"""What the chunks of an answer mean, by the rules of the provider facts (C*, E*)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests import delta, dialect, profiles
from loadtests.record import CONTENT, ERROR_KINDS, REASONING, REFUSAL, TOOL

PROFILE = profiles.load("mock")


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return orjson.dumps({"id": "c-1", "model": "m", "choices": choices, **more})


def answer(*payloads: bytes, profile: profiles.Profile = PROFILE) -> dialect.Answer:
    """An answer told these payloads, stamped 10, 20, 30 ..."""
    told = dialect.Answer(profile)
    for place, payload in enumerate(payloads, 1):
        told.event((place * 10, payload, b""))
    return told


def test_the_first_token_is_the_first_event_with_something_in_it() -> None:
    """Role-only, empty and null content stop no clock: they come before the model has said anything."""
    told = answer(
        chunk({"role": "assistant"}), chunk({"content": ""}), chunk({"content": None}), chunk({"content": "Hi"}),
        chunk({"content": " you"}), chunk({}, "stop"), b"[DONE]",
    )  # fmt: skip

    assert told.first_event == 10
    assert list(told.stamps) == [40, 50]
    assert list(told.kinds) == [CONTENT, CONTENT]
    assert list(told.chars) == [2, 4]
    assert told.verdict(streamed=True) is None


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning"])
def test_reasoning_is_a_token_and_not_yet_an_answer(key: str) -> None:
    told = answer(chunk({"content": "", key: "hm"}), chunk({"content": "ok"}), chunk({}, "stop"))

    assert list(told.kinds) == [REASONING, CONTENT]
    assert told.first_answer == 20


def test_the_same_reasoning_under_two_names_counts_once() -> None:
    assert delta.bears({"reasoning": "hm", "reasoning_content": "hm"}) == (REASONING, 2)


def test_every_kind_of_output_counts() -> None:
    call = {"index": 0, "id": "x", "type": "function", "function": {"name": "f", "arguments": '{"a"'}}

    assert delta.bears({"tool_calls": [call]}) == (TOOL, 5)
    assert delta.bears({"function_call": {"name": "f"}}) == (TOOL, 1)
    assert delta.bears({"refusal": "no"}) == (REFUSAL, 2)
    assert delta.bears({"content": "a", "tool_calls": [call]}) == (CONTENT | TOOL, 6)
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    assert delta.bears({"content": [thinking, {"type": "text", "text": "yes"}]}) == (CONTENT | REASONING, 5)
    assert delta.bears({"content": "", "tool_calls": None, "refusal": None}) == (0, 0)


def test_the_last_usage_counts_wherever_it_sits() -> None:
    """Cumulative on every chunk, null, then alone with empty choices: never summed."""
    told = answer(
        chunk({"content": "a"}, usage={"completion_tokens": 1}), chunk({"content": "b"}, usage=None),
        chunk({}, "stop"), chunk(usage={"prompt_tokens": 7, "completion_tokens": 2}),
    )  # fmt: skip

    assert told.output_tokens() == (2, "usage")
    assert told.counted("prompt_tokens") == 7


def test_a_usage_of_another_place_is_an_alternative() -> None:
    profile = PROFILE.model_copy(update={"usage_paths": ["/x_groq/usage"]})
    told = answer(chunk({"content": "abc"}, "stop", x_groq={"usage": {"completion_tokens": 3}}), profile=profile)

    assert told.output_tokens() == (3, "usage_alt")


def test_without_usage_tokens_are_estimated_from_characters() -> None:
    """9 characters at 4 a token are 2.25, so 3."""
    assert answer(chunk({"content": "123456789"}, "stop")).output_tokens() == (3, "estimate")
    assert answer(chunk({}, "stop")).output_tokens() == (None, None)


def test_a_usage_of_zero_beside_text_is_not_believed() -> None:
    assert answer(chunk({"content": "1234"}, "stop", usage={"completion_tokens": 0})).output_tokens() == (1, "estimate")


def test_an_answer_is_complete_when_all_its_choices_are() -> None:
    def both(first: str | None, second: str | None) -> bytes:
        return orjson.dumps(
            {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": first},
                         {"index": 1, "delta": {"content": "b"}, "finish_reason": second}]}
        )  # fmt: skip

    assert not answer(both("stop", None)).finished
    assert answer(both("stop", None), both(None, "length")).finished


@pytest.mark.parametrize(
    ("payloads", "kind"),
    [
        ((chunk({"content": "a"}),), "truncated"),
        ((chunk({"content": "a"}), b"[DONE]"), "no_finish"),
        ((chunk({}, "stop"), b"[DONE]"), "empty"),
        ((chunk({"content": "a"}), b"{broken"), "bad_body"),
        ((chunk({"content": "a"}), b"[1]"), "bad_body"),
        ((chunk({"content": "a"}), b'{"error":{"message":"died","code":500}}', b"[DONE]"), "stream_error"),
        ((chunk({"content": "a"}, "error"),), "stream_error"),
        ((chunk({"content": "a"}, "abort"), b"[DONE]"), "stream_error"),
    ],
)
def test_an_answer_that_ends_badly_has_its_kind(payloads: tuple[bytes, ...], kind: str) -> None:
    failure = answer(*payloads).verdict(streamed=True)

    assert failure is not None
    assert failure.kind == kind
    assert kind in ERROR_KINDS


def test_a_missing_done_after_a_finish_reason_is_no_failure() -> None:
    assert answer(chunk({"content": "a"}, "stop")).verdict(streamed=True) is None


def test_a_provider_that_promises_done_must_send_it() -> None:
    profile = PROFILE.model_copy(update={"done_required": True})
    failure = answer(chunk({"content": "a"}, "stop"), profile=profile).verdict(streamed=True)

    assert failure is not None
    assert failure.kind == "truncated"


def test_an_error_event_by_name_is_an_error() -> None:
    told = dialect.Answer(PROFILE)
    told.event((1, b'{"message":"gone"}', b"error"))

    failure = told.verdict(streamed=True)
    assert failure is not None
    assert (failure.kind, failure.text) == ("stream_error", "gone")


def test_a_whole_body_is_read_like_a_stream() -> None:
    told = dialect.Answer(PROFILE)
    told.whole(
        b'\n\n{"id":"c-2","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},'
        b'"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,'
        b'"completion_tokens_details":{"reasoning_tokens":1},"prompt_tokens_details":{"cached_tokens":2}}}'
    )

    assert told.verdict(streamed=False) is None
    assert (told.id, told.model, told.finish_reason) == ("c-2", "m", "stop")
    assert told.output_tokens() == (2, "usage")
    assert told.counted("completion_tokens_details", "reasoning_tokens") == 1
    assert told.counted("prompt_tokens_details", "cached_tokens") == 2
    assert sum(told.chars) == 5


@pytest.mark.parametrize(("body", "kind"), [(b"", "bad_body"), (b"<html>", "bad_body"), (b"[]", "bad_body"),
                                            (b'{"error":"x"}', "stream_error"), (b"{}", "no_finish")])  # fmt: skip
def test_a_whole_body_that_is_none_has_its_kind(body: bytes, kind: str) -> None:
    told = dialect.Answer(PROFILE)
    told.whole(body)

    failure = told.verdict(streamed=False)
    assert failure is not None
    assert failure.kind == kind


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["choices", "delta", "content", "usage", "error", "index", "finish_reason", "tool_calls",
                         "function", "reasoning", "completion_tokens", "thinking", "model", "id"]), inner, max_size=5),
)  # fmt: skip


@given(st.lists(JSON.map(orjson.dumps), max_size=4))
def test_no_json_makes_it_raise(payloads: list[bytes]) -> None:
    told = answer(*payloads)
    told.verdict(streamed=True)
    told.output_tokens()
    for payload in payloads:
        dialect.Answer(PROFILE).whole(payload)


def test_the_request_says_what_the_profile_wants() -> None:
    openai, meingpt = profiles.load("openai"), profiles.load("meingpt")
    messages = [{"role": "user", "content": "x"}]

    def body(profile: profiles.Profile, stream: bool) -> dict[str, Any]:
        made = dialect.body(
            profile, model="m", messages=messages, stream=stream, output_cap=16, params={"temperature": 0}
        )
        value: dict[str, Any] = orjson.loads(made)
        return value

    streamed = body(openai, stream=True)
    assert streamed["max_completion_tokens"] == 16
    assert streamed["stream_options"]["include_usage"] is True
    assert streamed["temperature"] == 0
    assert "stream_options" not in body(openai, stream=False)
    assert not {"max_tokens", "max_completion_tokens", "stream_options"} & body(meingpt, stream=True).keys()


def test_a_json_pointer_finds_what_it_points_at() -> None:
    value = {"a/b": [{"c": 1}]}

    assert dialect.pointer(value, "/a~1b/0/c") == 1
    assert dialect.pointer(value, "/a~1b/7/c") is None
    assert dialect.pointer(value, "/x/y") is None
