"""Waits and limits in every form that providers write them in, and None for everything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests import ratelimit
from loadtests.ratelimit import Limit

NOW = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC, a Friday


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0), ("6m0s", 360.0), ("2m59.56s", 179.56), ("120ms", 0.12), ("1h30m", 5400.0), ("1d", 86400.0),
        ("1", 1.0), ("59.2", 59.2), (" 7 ", 7.0), ("0", 0.0),
        ("2027-01-15T08:00:20Z", 20.0), ("2027-01-15T08:00:20.5+00:00", 20.5), ("2027-01-15T09:00:20+01:00", 20.0),
        ("2027-01-15T08:00:20", 20.0), ("2027-01-15T07:59:00Z", 0.0),
        ("Fri, 15 Jan 2027 08:00:30 GMT", 30.0), ("Fri, 15 Jan 2027 07:00:30 GMT", 0.0),
        ("1800000030", 30.0), ("1800000030.5", 30.5), ("1800000030000", 30.0), ("1799999999", 0.0),
        ("-1", None), ("-5s", None), ("", None), ("soon", None), ("nan", None), ("inf", None), ("5x", None), ("s",
         None),
        ("99999-01-01T00:00:00Z", None), ("1s2", None), ("1_0", None), ("1_0s", None), ("\u0663", None),
        ("\u0663s", None), ("Fri, 1_5 Jan 2027 08:00:30 GMT", None), ("5\u00b5s", 5e-6),
    ],
)  # fmt: skip
def test_a_wait_is_read_in_every_form(text: str, seconds: float | None) -> None:
    """Go durations, seconds, ISO 8601, HTTP dates, moments since 1970 in seconds and ms; -1 is a placeholder."""
    assert ratelimit.seconds(text, NOW) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("headers", "limits"),
    [
        ({b"x-ratelimit-limit-requests": b"500", b"x-ratelimit-remaining-requests": b"499",
          b"x-ratelimit-reset-requests": b"120ms", b"x-ratelimit-remaining-tokens": b"0",
          b"x-ratelimit-reset-tokens": b"6m0s"},
         {"requests": Limit(500, 499, 0.12), "tokens": Limit(None, 0, 360.0)}),
        ({b"anthropic-ratelimit-input-tokens-limit": b"10", b"anthropic-ratelimit-input-tokens-reset":
          b"2027-01-15T08:00:20Z"}, {"input_tokens": Limit(10, None, 20.0)}),
        ({b"X-RateLimit-Reset-Requests": b"2027-01-15T08:00:20Z"}, {"requests": Limit(None, None, 20.0)}),
        ({b"x-ratelimit-limit-req-minute": b"60", b"x-ratelimit-remaining-tokens-minute": b"5"},
         {"requests_minute": Limit(60), "tokens_minute": Limit(None, 5)}),
        ({b"x-ratelimit-limit-requests-day": b"1000", b"x-ratelimit-reset-requests-day": b"3600.5"},
         {"requests_day": Limit(1000, None, 3600.5)}),
        ({b"x-ratelimit-limit": b"10", b"x-ratelimit-reset": b"1", b"x-tokenlimit-limit": b"100",
          b"x-tokenlimit-remaining": b"99"}, {"requests": Limit(10, None, 1.0), "tokens": Limit(100, 99)}),
        ({b"X-Ratelimit-Limit-Tokens-Prompt": b"9", b"X-Ratelimit-Limit-Tokens-Generated": b"8"},
         {"tokens_prompt": Limit(9), "tokens_generated": Limit(8)}),
        ({b"x-ratelimit-limit-project-tokens": b"7", b"ratelimit-remaining": b"3"},
         {"project_tokens": Limit(7), "requests": Limit(None, 3)}),
        ({b"x-ratelimit-limit-tokens": b"0", b"x-ratelimit-remaining-tokens": b"-1",
         b"x-ratelimit-reset-tokens": b"-1"},
         {"tokens": Limit()}),
        ({b"x-ratelimit-limit-requests": b"100, 100;w=60"}, {"requests": Limit(100)}),
        ({b"content-type": b"application/json", b"llm_provider-x-ratelimit-limit-requests": b"1"}, {}),
    ],
    ids=["OpenAI", "Anthropic", "Morpheus", "Mistral", "Cerebras", "Together", "Fireworks", "others", "placeholders",
         "RFC draft", "none"],
)  # fmt: skip
def test_limits_are_read_under_every_name(headers: dict[bytes, bytes], limits: ratelimit.Limits) -> None:
    assert ratelimit.read(headers, NOW) == limits


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Rate limit reached. Please try again in 5.289s. Visit ...", 5.289), ("try again in 7m12.5s", 432.5),
        ("Please retry after 30 seconds.", 30.0), ("Please try again in 20ms.", 0.02), ("wait 2 minutes", 120.0),
        ("Try again in 1 hour and more", 3600.0), ("try again in 1 minute 5 seconds", 65.0),
        ('{"@type":"google.rpc.RetryInfo","retryDelay": "34s"}', 34.0), ('"retryDelay":"soon", retry in 3s', 3.0),
        ("try again in 5 apples", None), ("try again later", None), ("in 5s", None), ("", None),
        ("we retry 3 times; try again in 4s", 4.0), ("try again in \u0663s", None), ("try again in 5\u017f", None),
        ("retry in 5\u00b5s", 5e-6),
    ],
)  # fmt: skip
def test_a_wait_is_found_in_words(text: str, seconds: float | None) -> None:
    assert ratelimit.said_s(text) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({b"retry-after": b"2"}, b"", 2.0),
        ({b"Retry-After": b"0.5"}, b"", 0.5),
        ({b"retry-after-ms": b"1500", b"retry-after": b"2"}, b"", 1.5),
        ({b"retry-after-ms": b"-1", b"retry-after": b"2"}, b"", 2.0),
        ({b"retry-after": b"Fri, 15 Jan 2027 08:00:30 GMT"}, b"", 30.0),
        ({b"retry-after": b"2", b"x-ratelimit-remaining-tokens": b"0", b"x-ratelimit-reset-tokens": b"9s"}, b"", 2.0),
        ({b"x-ratelimit-remaining-tokens": b"0", b"x-ratelimit-reset-tokens": b"9s",
          b"x-ratelimit-remaining-requests": b"0", b"x-ratelimit-reset-requests": b"30",
          b"x-ratelimit-remaining-requests-day": b"7", b"x-ratelimit-reset-requests-day": b"9999"}, b"in 1s", 30.0),
        ({b"x-ratelimit-remaining-tokens": b"0", b"x-ratelimit-reset-tokens": b"0"}, b"try again in 5s", 5.0),
        ({b"x-ratelimit-remaining-tokens": b"3", b"x-ratelimit-reset-tokens": b"9s"}, b"no words", None),
        ({}, b'[{"error":{"details":[{"retryDelay":"34s"}]}}]', 34.0),
        ({b"retry-after": b"soon"}, b"\xff\xfe", None),
        ({}, b"", None),
    ],
)  # fmt: skip
def test_headers_come_first_then_what_is_used_up_then_the_words(
    headers: dict[bytes, bytes], body: bytes, seconds: float | None
) -> None:
    assert ratelimit.wait_s(headers, body, NOW) == seconds


NAMES = st.sampled_from([b"retry-after", b"retry-after-ms", b"x-ratelimit-reset-tokens",
b"x-ratelimit-remaining-tokens",
                         b"x-ratelimit-limit"])  # fmt: skip
WORDS = st.sampled_from(
    ["try again in ", "5", "s", "ms", ".", "\u0663", "-", " ", "retry", "e9", "9" * 30, "T", ":", "h", "Z"]
)


@given(
    st.dictionaries(NAMES, st.binary(max_size=30)), st.binary(max_size=60), st.lists(WORDS, max_size=12).map("".join)
)
def test_nothing_makes_it_raise_or_wait_a_negative_time(headers: dict[bytes, bytes], body: bytes, words: str) -> None:
    ratelimit.read(headers, NOW)
    waits = [ratelimit.wait_s(headers, body, NOW), ratelimit.said_s(words), ratelimit.seconds(words, NOW)]
    assert all(wait is None or wait >= 0 for wait in waits)
