"""What the chunks of an answer mean, by the rules of the provider facts (C*, E*)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests import dialect, profiles
from loadtests.dialect import usage
from loadtests.record import CONTENT, ERROR_KINDS, REASONING

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


def test_the_last_usage_counts_wherever_it_sits() -> None:
    """Cumulative on every chunk, null, then alone with empty choices: never summed."""
    told = answer(
        chunk({"content": "a"}, usage={"completion_tokens": 1}), chunk({"content": "b"}, usage=None),
        chunk({}, "stop"), chunk(usage={"prompt_tokens": 7, "completion_tokens": 2}),
    )  # fmt: skip

    assert told.output_tokens() == (2, "usage")
    assert told.usage.counted(usage.INPUT) == 7


def test_a_usage_of_another_place_is_an_alternative() -> None:
    profile = PROFILE.model_copy(update={"usage_paths": ("/x_groq/usage",)})
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

    assert not answer(both("stop", None)).choices.finished
    assert answer(both("stop", None), both(None, "length")).choices.finished


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
    assert told.whole(
        b'\n\n{"id":"c-2","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},'
        b'"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,'
        b'"completion_tokens_details":{"reasoning_tokens":1},"prompt_tokens_details":{"cached_tokens":2}}}'
    )

    assert told.verdict(streamed=False) is None
    assert (told.id, told.model, told.choices.finish_reason) == ("c-2", "m", "stop")
    assert told.output_tokens() == (2, "usage")
    assert told.usage.counted(usage.REASONING) == 1
    assert told.usage.counted(usage.CACHED) == 2
    assert sum(told.chars) == 5


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"5", b"{", b'{"choices":[{"delta":{}}]}'])
def test_a_body_that_is_no_whole_answer_is_left_alone(body: bytes) -> None:
    """A piece of a stream is none either: the reader looks for more of them."""
    told = dialect.Answer(PROFILE)

    assert not told.whole(body)
    assert told.failure is None
    told.unreadable(body)
    failure = told.verdict(streamed=False)
    assert failure is not None
    assert failure.kind == "bad_body"


# Tokens.


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("a", 1),
        ("123456789", 3),  # 9 / 4
        ("größer", 3),  # 6 characters, 8 bytes: wide 1, so 5 / 4 + 1 = 2.25
        ("你好世界", 4),  # 12 bytes: wide 4
        ("hi 你好", 3),  # 5 characters, 9 bytes: wide 2, so 3 / 4 + 2
        ("🎉", 1),  # 4 bytes: wide 1.5, which is more than there are characters
    ],
)
def test_an_estimate_is_a_quarter_of_latin_and_one_for_each_wide_character(text: str, tokens: int) -> None:
    assert usage.estimate(len(text), len(text.encode())) == tokens
    assert answer(chunk({"content": text}, "stop")).output_tokens() == (tokens, "estimate")


def test_counts_come_from_usage_then_its_stand_ins_then_a_tokenizer_then_the_estimate() -> None:
    profile = PROFILE.model_copy(update={"usage_paths": ("/timings/predicted_n",)})
    told = dialect.Answer(profile, counter=lambda text: len(text.split()))
    told.event((1, chunk({"content": "one two "}), b""))
    told.event((2, chunk({"reasoning": "three"}), b""))

    assert told.choices.text == "one two three"
    assert told.choices.content == "one two "
    assert told.counted_tokens() == 3
    assert told.output_tokens(told.counted_tokens()) == (3, "tokenizer")
    told.event((3, chunk(timings={"predicted_n": 5}), b""))
    assert told.output_tokens(told.counted_tokens()) == (5, "usage_alt")
    told.event((4, chunk(usage={"completion_tokens": 6}), b""))
    assert told.output_tokens(told.counted_tokens()) == (6, "usage")
    assert dialect.Answer(profile, counter=len).counted_tokens() is None
    assert answer(chunk({"content": "x"})).choices.pieces is None


# Cutting at the cap.


def cut(cap: int, *payloads: bytes) -> dialect.Answer:
    told = dialect.Answer(PROFILE, cut_at=cap)
    for place, payload in enumerate(payloads, 1):
        told.event((place * 10, payload, b""))
    return told


def test_an_answer_is_cut_at_the_chunk_that_passes_the_cap() -> None:
    """A chunk has a token at least: three of one character are three, though the estimate says one."""
    told = cut(2, *[chunk({"content": "a"})] * 5, chunk({}, "stop"))

    assert (told.cut, list(told.stamps)) == (True, [10, 20, 30])
    assert told.verdict(streamed=True) is None
    assert told.output_tokens() == (1, "estimate")


def test_an_answer_of_large_chunks_is_cut_by_its_text() -> None:
    """12 characters are 3 tokens: two such chunks are 6, and pass 5."""
    told = cut(5, *[chunk({"reasoning": "abcdefghijkl"})] * 4)
    assert (told.cut, list(told.stamps)) == (True, [10, 20])


@pytest.mark.parametrize("last", [(chunk({"content": "b"}, "stop"),), (chunk({}, "stop"), b"[DONE]")])
def test_an_answer_that_is_over_at_the_cap_or_before_it_is_not_cut(last: tuple[bytes, ...]) -> None:
    told = cut(2, chunk({"content": "a"}), *last)

    assert not told.cut
    assert told.verdict(streamed=True) is None


def test_an_answer_of_exactly_the_cap_is_not_cut_and_tells_its_usage() -> None:
    """What ends it comes in chunks of its own; cut at the cap itself, it would lose them and its connection."""
    told = cut(3, *[chunk({"content": "a"})] * 3, chunk({}, "stop"), chunk(usage={"completion_tokens": 3}), b"[DONE]")

    assert (told.cut, told.done, told.output_tokens()) == (False, True, (3, "usage"))
    assert told.verdict(streamed=True) is None


def test_each_of_several_choices_has_the_cap() -> None:
    told = dialect.Answer(PROFILE, n=2, cut_at=2)
    for place in range(6):
        told.event((place, orjson.dumps({"choices": [{"index": place % 2, "delta": {"content": "a"}}]}), b""))

    assert (told.cut, list(told.stamps)) == (True, [0, 1, 2, 3, 4])


def test_an_error_ahead_of_the_cap_is_still_an_error() -> None:
    failure = cut(2, chunk({"content": "a"}, error="gone"), chunk({"content": "b"})).verdict(streamed=True)
    assert failure is not None
    assert failure.kind == "stream_error"


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
        cut(1, payload)


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


def test_the_head_says_what_is_accepted_and_who_asks() -> None:
    lines = dialect.head(profiles.load("morpheus"), "sk-1234567890", stream=True, close=True).lower().split(b"\r\n")

    assert lines[0].startswith(b"post /api/v1/chat/completions")
    assert lines[-1] == b"content-length: "
    assert {b"accept: text/event-stream", b"connection: close", b"accept-encoding: identity"} <= set(lines)
    assert b"authorization: bearer sk-1234567890" in lines


def test_a_request_may_have_fields_of_its_own() -> None:
    made = dialect.body(PROFILE, model="m", messages=[], stream=False, output_cap=None, params={"tools": [1], "n": 2})
    assert orjson.loads(made) == {"model": "m", "messages": [], "stream": False, "tools": [1], "n": 2}


def test_a_json_pointer_finds_what_it_points_at() -> None:
    value = {"a/b": [{"c": 1}]}

    assert usage.pointer(value, "/a~1b/0/c") == 1
    assert usage.pointer(value, "/a~1b/7/c") is None
    assert usage.pointer(value, "/x/y") is None
