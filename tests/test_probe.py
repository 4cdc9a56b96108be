"""A probe's judgement: bytes of answers in, claims ticked or contradicted and lines of a profile out."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtests.probe import Change, Evidence, Finding, Hearing, Seen, asks, cleaned, diff_lines, judge, transcript
from loadtests.probe.headers import field_of, form_of
from loadtests.probe.refusals import located
from loadtests.probe.transcript import MAX_BYTES, write
from loadtests.probe.wrong import mistake_for
from loadtests.profiles import Profile, load
from loadtests.profiles.model import checked

if TYPE_CHECKING:
    from pathlib import Path

KEY = "a8Xk2mPq9LtVz3Rb7NcWd5Yf1GhJ4sQe"
TEXT = {"index": 0, "delta": {"content": "one two"}, "finish_reason": None}
ROLE = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
END = {"index": 0, "delta": {}, "finish_reason": "length"}
COUNTS = {"prompt_tokens": 9, "completion_tokens": 16, "total_tokens": 25}


def a_profile(**tables: Any) -> Profile:
    return checked(
        {"name": "p", "title": "P", "base_url": "http://127.0.0.1:1/v1", "default_model": "m", **tables}, "p"
    )


def heard(profile: Profile, kind: str, body: bytes, status: int = 200, **headers: Any) -> Seen:
    """What a request of this kind brought: a body in one read, 10 ms after it was sent."""
    ask = next(ask for ask in asks(profile, "m", KEY, tools=True, wrong=True) if ask.kind == kind)
    hearing = Hearing(profile, ask, "m", [KEY])
    content = {"content_type": "text/event-stream" if body.startswith(b"data") else "application/json"}
    pairs = [(name.replace("_", "-"), value) for name, value in (content | headers).items()]
    hearing.head(status, "1.1", pairs, 5_000_000)
    hearing.feed(body, 10_000_000)
    return hearing.seen(11_000_000, "('127.0.0.1', 1)")


def stream(*chunks: Any, done: bool = True) -> bytes:
    """Chunks as a stream of events; a choice alone is put into one."""
    values = [{"model": "m", "choices": [chunk]} if "index" in chunk else chunk for chunk in chunks]
    data = b"".join(b"data: %b\n\n" % json.dumps(value).encode() for value in values)
    return data + (b"data: [DONE]\n\n" if done else b"")


def whole(tokens: int = 16, reason: str = "length", **more: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": "one two"}, "finish_reason": reason}
    return json.dumps({
        "model": "m", "choices": [choice], "usage": {**COUNTS, "completion_tokens": tokens}, **more
    }).encode()  # fmt: skip


def judged(profile: Profile, seen: list[Seen], claim: str, **more: Any) -> tuple[Finding, list[str]]:
    """The finding about a claim, and the profile's lines to change."""
    findings, changes = judge(Evidence(profile, "m", {one.ask.kind: one for one in seen}, **more))
    return next(finding for finding in findings if finding.claim == claim), diff_lines(changes)


USUAL = stream(ROLE, TEXT, END)
WITH_USAGE = stream(ROLE, TEXT, END, {"model": "m", "choices": [], "usage": COUNTS})


@pytest.mark.parametrize(
    ("says", "body", "verdict", "seen", "change"),
    [
        ("option", WITH_USAGE, "ticked", "in a chunk without choices", None),
        ("option", USUAL, "contradicted", "none came, and it was asked for", "never"),
        ("always", USUAL, "contradicted", "none came", "never"),
        ("never", USUAL, "ticked", "none came; it wasn't asked for", None),
        ("never", WITH_USAGE, "contradicted", "came without asking: in a chunk without choices", "always"),
        ("unknown", USUAL, "not_seen", "none came; it wasn't asked for", None),
        (
            "unknown",
            stream(ROLE, {"model": "m", "choices": [{**TEXT, "finish_reason": "stop"}], "usage": COUNTS}),
            "noted",
            "came without asking: in the chunk with finish_reason",
            "always",
        ),
        ("option", stream(ROLE, TEXT, done=False), "not_seen", "no whole stream", None),
    ],
)  # fmt: skip
def test_the_place_of_usage_is_held_against_the_profile(
    says: str, body: bytes, verdict: str, seen: str, change: str | None
) -> None:
    profile = a_profile(stream_usage=says)

    found, lines = judged(profile, [heard(profile, "streamed", body)], "stream_usage")

    assert (found.verdict, found.seen) == (verdict, seen)
    about = [line for line in lines if line.startswith("stream_usage")]
    assert [line.partition(": ")[0] for line in about] == (
        [f'stream_usage = "{change}"   # was "{says}"'] if change else []
    )


def test_an_option_that_is_refused_is_said_so() -> None:
    profile = a_profile(stream_usage="option")
    refusal = b'{"error":{"message":"Unknown parameter: stream_options"}}'

    found, lines = judged(profile, [heard(profile, "streamed", refusal, 400)], "stream_usage")

    assert found.verdict == "contradicted"
    assert 'stream_usage = "unknown"   # was "option": it was refused' in lines


@pytest.mark.parametrize(
    ("chunk", "words"),
    [
        (ROLE, 'role alone, content ""'),
        ({"index": 0, "delta": {"role": "assistant"}}, "role alone, no content"),
        ({"index": 0, "delta": {"role": "assistant", "content": None}}, "role alone, content null"),
        ({"index": 0, "delta": {"role": "assistant", "content": "x"}}, "role and text"),
        (TEXT, "text, no role"),
        ({"choices": [], "prompt_filter_results": []}, "no choices, but prompt_filter_results"),
    ],
)
def test_the_first_chunk_is_told_in_words(chunk: Any, words: str) -> None:
    profile = a_profile()

    assert judged(profile, [heard(profile, "streamed", stream(chunk, TEXT, END))], "first chunk")[0].seen == words


def test_what_ends_a_stream_is_held_against_the_profile() -> None:
    """One without [DONE] against a profile that wants it; one with it and no finish_reason."""
    profile = a_profile(done_required=True)
    found, lines = judged(profile, [heard(profile, "streamed", stream(ROLE, TEXT, END, done=False))], "done_required")
    assert found.verdict == "contradicted"
    assert "done_required = false   # was true: a stream ended without [DONE]" in lines

    found, lines = judged(profile, [heard(profile, "streamed", stream(ROLE, TEXT))], "finish_required")
    assert found.verdict == "contradicted"
    assert "finish_required = false   # was true: a stream ended with [DONE] and without finish_reason" in lines

    at_text = heard(profile, "streamed", stream(ROLE, {**TEXT, "finish_reason": "stop"}))
    assert judged(profile, [at_text], "finish_required")[0].seen == "stop, with the last text"


@pytest.mark.parametrize(
    ("param", "tokens", "reason", "verdict", "line"),
    [
        ("max_tokens", 16, "length", "ticked", None),
        ("max_tokens", 16, "stop", "ticked", None),
        ("max_tokens", 10, "stop", "not_seen", None),  # it never bound
        ("max_tokens", 90, "stop", "contradicted", 'output_cap_param = "max_completion_tokens"'),
        ("none", 90, "stop", "ticked", None),
        ("none", 16, "length", "contradicted", 'output_cap_param = "max_tokens"'),
        ("none", 3, "stop", "not_seen", None),
    ],
)
def test_the_cap_shows_by_the_count_or_by_the_reason(
    param: str, tokens: int, reason: str, verdict: str, line: str | None
) -> None:
    """Where a profile says that a cap is accepted and ignored, max_tokens was sent with the whole answer."""
    profile = a_profile(output_cap_param=param, params={"ignored": ["max_tokens"]} if param == "none" else {})

    found, lines = judged(profile, [heard(profile, "whole", whole(tokens, reason))], "output_cap_param")

    assert found.verdict == verdict
    assert [text.partition("   ")[0] for text in lines if text.startswith("output_cap")] == ([line] if line else [])


@pytest.mark.parametrize(
    ("name", "claim", "params"),
    [
        ("meingpt", "params.ranges.temperature", {"temperature": 3.0}),
        ("deutschlandgpt", "params.types.temperature", {"temperature": "warm"}),
        ("morpheus", "params.types.temperature", {"temperature": "warm"}),
        ("8080", "params.choices.reasoning_effort", {"reasoning_effort": "firsttoken-no-such-choice"}),
        ("openai", None, {}),
    ],
)
def test_the_mistake_is_one_by_the_profiles_own_rules(name: str, claim: str | None, params: Any) -> None:
    mistake = mistake_for(load(name))

    assert (mistake.claim, mistake.params) == (claim, params)
    assert (mistake.model is None) == bool(claim)


def test_a_mistake_that_is_accepted_contradicts_its_rule() -> None:
    profile = a_profile(params={"ranges": {"temperature": [0, 2]}})

    found, lines = judged(profile, [heard(profile, "wrong", whole())], "params.ranges.temperature")

    assert found.verdict == "contradicted"
    assert lines[-2:] == ["[params.ranges]", "# take out: temperature = [0.0, 2.0]   # it was accepted, or ignored"]


@pytest.mark.parametrize(
    ("required", "status", "claim", "verdict"),
    [
        (True, 401, "auth.required", "ticked"),
        (True, 200, "auth.required", "contradicted"),
        (True, 503, "auth.required", "not_seen"),
        (False, 401, "a wrong key", "noted"),  # no rule of the profile: what came is told
        (False, 200, "a wrong key", "noted"),
    ],
)
def test_a_wrong_key_is_held_against_what_the_profile_requires(
    required: bool, status: int, claim: str, verdict: str
) -> None:
    profile = a_profile(auth={"required": required, "env": "A_KEY"})
    body = whole() if status == 200 else b'{"error":{"message":"no"}}'

    found, _ = judged(profile, [heard(profile, "wrong key", body, status)], claim)

    assert found.verdict == verdict
    assert found.seen == {200: "ok", 401: "auth: HTTP 401: no"}.get(status, found.seen)


@pytest.mark.parametrize(
    ("body", "places"),
    [
        (
            {"error": {"message": "m", "type": "t", "param": None, "code": 400}},
            "message /error/message type /error/type code /error/code",
        ),
        ({"status": "error", "message": "m"}, "message /message"),
        ({"detail": "m"}, "message /detail"),
        (
            {"detail": [{"loc": ["body"], "msg": "m", "type": "t"}]},
            "message /detail/0/msg type /detail/0/type param /detail/0/loc",
        ),
        ([{"error": {"code": 429, "message": "m"}}], "message /0/error/message code /0/error/code"),
        ({"error": "m", "error_type": "t"}, "message /error type /error_type"),
        ("nothing", ""),
        ({"a": 1}, ""),
    ],
)
def test_the_shape_of_an_error_is_found(body: Any, places: str) -> None:
    assert " ".join(f"{name} {at}" for name, at in located(body).items()) == places


def test_an_error_of_another_shape_contradicts_the_documented_one() -> None:
    profile = a_profile(errors=[{"status": 400, "message": "/message", "meaning": "bad"}])
    seen = [heard(profile, "wrong", b'{"error":{"message":"no"}}', 400)]

    found, lines = judged(profile, seen, "errors, status 400")

    assert found.verdict == "contradicted"
    assert '# errors: add { status = 400, message = "/error/message", meaning = "an unknown model" }' in lines


@pytest.mark.parametrize(
    ("value", "form"),
    [("6m0s", "duration"), ("120ms", "duration"), ("2026-11-22T20:35:00+00:00", "iso8601"), ("1.5", "seconds"),
     ("1795379700", "epoch"), ("1795379700000", "epoch"), ("0", None), ("-1", None), ("soon", None)],
)  # fmt: skip
def test_the_form_of_a_reset_is_told(value: str, form: str | None) -> None:
    assert form_of(value) == form


@pytest.mark.parametrize(
    ("header", "field"),
    [("x-ratelimit-limit-requests", "limit_requests"), ("x-ratelimit-remaining-tokens-day", "remaining_tokens_day"),
     ("anthropic-ratelimit-input-tokens-reset", "reset_input_tokens"), ("x-ratelimit-limit-req-minute",
     "limit_requests_minute"), ("x-tokenlimit-limit", "limit_tokens")],
)  # fmt: skip
def test_limit_headers_get_the_names_that_profiles_use(header: str, field: str) -> None:
    assert field_of(header) == field


def test_headers_nobody_told_of_become_lines_of_the_profile() -> None:
    profile = a_profile()
    told: dict[str, Any] = {"x_ratelimit_limit_requests": "60", "x_ratelimit_reset_requests": "6m0s", "trace_id": "t"}
    _, lines = judged(profile, [heard(profile, "whole", whole(), **told)], "rate_limit.headers")

    data = tomllib.loads("\n".join(lines))

    assert data["request_id_headers"] == ["trace-id"]
    assert data["rate_limit"]["reset"] == "duration"
    assert data["rate_limit"]["headers"]["limit_requests"] == "x-ratelimit-limit-requests"


def test_reasoning_under_a_new_name_becomes_a_line() -> None:
    profile = a_profile(reasoning_fields=["reasoning"])
    thought = {"index": 0, "delta": {"reasoning_content": "hm"}}

    found, lines = judged(profile, [heard(profile, "streamed", stream(ROLE, thought, TEXT, END))], "reasoning_fields")

    assert (found.verdict, found.seen) == ("contradicted", "reasoning_content")
    assert lines[0].startswith('reasoning_fields = ["reasoning", "reasoning_content"]')


@pytest.mark.parametrize(("came", "settled"), [(["reasoning"], False), (["reasoning", "reasoning_details"], True)])
def test_a_name_of_reasoning_is_verified_by_itself_alone(came: list[str], settled: bool) -> None:
    key = "reasoning_fields.reasoning_details"
    profile = a_profile(reasoning_fields=["reasoning", "reasoning_details"], unverified=[key], stream_usage="never")
    thought = {"index": 0, "delta": dict.fromkeys(came, "hm")}
    seen = [heard(profile, "streamed", stream(ROLE, thought, TEXT, END)), heard(profile, "whole", whole())]

    found, lines = judged(profile, seen, "reasoning_fields")

    assert (found.verdict, found.seen) == ("ticked", ", ".join(came))
    assert any(line.startswith("unverified = []") for line in lines) is settled


def test_one_of_several_places_of_the_servers_time_is_enough() -> None:
    """Streams and whole answers tell it at places of their own."""
    profile = a_profile(server_time_paths=["/x/took", "/usage/took"])
    counts = {**COUNTS, "took": 0.5}
    seen = [
        heard(profile, "streamed", stream(ROLE, TEXT, END, {"choices": [], "x": {"took": 0.25}, "usage": counts})),
        heard(profile, "whole", whole()[:-1] + b', "usage": %b}' % json.dumps(counts).encode()),
    ]

    found, _ = judged(profile, seen, "server_time_paths")

    assert (found.verdict, found.says, found.seen) == ("ticked", "/x/took, /usage/took", "0.25, 0.5")


def test_calls_are_told_by_their_pieces() -> None:
    """As Morpheus writes them: the name first, then all arguments with an empty id."""
    profile = a_profile()
    name = {"index": 0, "id": "c", "function": {"name": "count_stock", "arguments": ""}}
    rest = {"index": 0, "id": "", "function": {"name": "", "arguments": "{}"}}
    chunks = [{"index": 0, "delta": {"tool_calls": [call]}} for call in (name, rest)]
    seen = [heard(profile, "tools", stream(*chunks, {"index": 0, "delta": {}, "finish_reason": "tool_calls"}))]

    assert judged(profile, seen, "tool calls")[0].seen == (
        '2 pieces, index on each, id on the first alone, id "" on others, arguments whole'
    )
    assert judged(profile, seen, "tools.supported")[0].verdict == "ticked"
    assert judged(profile, seen, "finish_reason of a call")[0].verdict == "ticked"


PIECES = st.sampled_from([
    b"data: ", b"\n\n", b"{", b"}", b"[DONE]", b"event: error\n", b"\x1f\x8b", b"[[]]", b"null",
    b'{"choices":[{"index":0,"delta":{"content":"x"}}]}',
    b'{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":{"a":1}}},3]}}],"usage":{"completion_tokens":"x"}}',
    b'{"choices":[3,{"delta":null,"finish_reason":7}],"usage":[],"model":1}',
    b'{"error":[{"message":{"a":1}}]}', b'{"data":[1,{"id":2}]}',
])  # fmt: skip


@given(st.lists(st.one_of(PIECES, st.binary(max_size=8)), max_size=8), st.sampled_from([200, 302, 400, 422, 503]))
@settings(max_examples=60, deadline=None)
def test_whatever_comes_is_judged(pieces: list[bytes], status: int) -> None:
    profile = load("morpheus").with_overrides(base_url="http://127.0.0.1:1/v1")
    body = b"".join(pieces)
    seen = {kind: heard(profile, kind, body, status) for kind in ("models", "streamed", "whole", "tools", "wrong")}

    findings, changes = judge(Evidence(profile, "m", seen))

    assert all(finding.seen for finding in findings)
    tomllib.loads("\n".join(diff_lines(changes)))
    json.dumps(cleaned(transcript("p", "u", "m", "now", seen.values()), [KEY]))


def test_what_was_seen_of_the_provider_itself_is_no_longer_unverified() -> None:
    """models_path is in the list, server_time_paths came; the cap did not; a stand-in elsewhere verifies nothing."""
    profile = a_profile(
        verified="doc", server_time_paths=["/took"], stream_usage="never",
        unverified=["models_path", "server_time_paths", "auth.key_prefix"],
    )  # fmt: skip
    seen = [
        heard(profile, "models", b'{"data":[{"id":"m"}]}'), heard(profile, "streamed", USUAL),
        heard(profile, "whole", whole(took=0.5)),
    ]  # fmt: skip

    _, lines = judged(profile, seen, "models_path")

    assert tomllib.loads("\n".join(lines)) == {"unverified": ["auth.key_prefix"], "verified": "live"}
    assert judged(profile, seen, "models_path", live=False)[1] == []


def test_lines_are_toml_by_table() -> None:
    changes = [
        Change("params.types.messages[].role", ["string"], None, "seen"),
        Change("stream_usage", "always", "unknown", "x"),
        Change("rate_limit.headers.limit_requests_day", "x-day", None, "seen"),
        Change("server_time_paths", None, ["/a"], "no"),
    ]

    lines = diff_lines(changes)

    assert lines[:2] == [
        'stream_usage = "always"   # was "unknown": x',
        '# take out: server_time_paths = ["/a"]   # no',
    ]
    assert tomllib.loads("\n".join(lines)) == {
        "stream_usage": "always",
        "params": {"types": {"messages[].role": ["string"]}},
        "rate_limit": {"headers": {"limit_requests_day": "x-day"}},
    }


def test_a_transcript_holds_no_secret_wherever_it_stands(tmp_path: Path) -> None:
    """In a name, a value, an event, a header, a number, and cut by the limit of a body."""
    profile = a_profile(auth={"env": "P_KEY", "required": True})
    digits = "73194628507361948205673194628507"
    body = json.dumps({KEY: KEY, "n": int(digits), "deep": [{"token": KEY[::-1]}], "nan": float("nan")}).encode()
    padded = b"x" * (MAX_BYTES - 20) + KEY.encode()
    seen = [
        heard(profile, "whole", body, 500, set_cookie=f"s={KEY[::-1]}", x_echo=f"key {KEY}"),
        heard(profile, "streamed", stream({"error": {"message": f"bad key {KEY}"}})),
        heard(profile, "wrong", padded, 400, content_type="text/plain"),
    ]
    path = tmp_path / "t.json"

    write(path, transcript("p", profile.base_url, "m", "now", seen), [KEY, digits])

    text = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert not [KEY[i : i + 8] for i in range(25) if KEY[i : i + 8] in text or digits[i : i + 8] in text]
    exchanges = json.loads(text)["exchanges"]
    assert [one["response"]["cut"] for one in exchanges] == [False, False, True]
    assert exchanges[1]["response"]["events"][0][0] == 10.0
    assert cleaned({"a": 1, "b": None, "c": True}, [KEY]) == {"a": 1, "b": None, "c": True}
