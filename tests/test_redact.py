"""No secret leaves the process: exact ones, their pieces, and whatever has the shape of a key."""

from __future__ import annotations

import string
import time

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from loadtests.redact import MASK, PIECE, looks_secret, masker, redact, secret_places

VISIBLE = "".join(chr(c) for c in range(0x21, 0x7F))
SECRETS = st.lists(st.text(VISIBLE, min_size=4, max_size=40), max_size=3)
KEYWORDS = [
    "Bearer ", "Basic ", "sk-", "sk_meingpt_", "gsk_", "csk-", "hf_", "AIza", "eyJ", ".", "://", "@", ":", "?key=",
    "&access_token=", "api_key: ", '"api-key":"', "x-api-key=", "Authorization: ", "password=", "secret: ", " token=",
    "API key provided: ", " ", "\n", '"', "abcdefgh", "12345678", "A" * 20, MASK,
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(KEYWORDS) | st.text(VISIBLE + " é\n", max_size=12), max_size=12).map("".join)


@st.composite
def leaks(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A text into which whole secrets and pieces of them were mixed."""
    secrets = draw(st.lists(st.text(VISIBLE, min_size=4, max_size=40), min_size=1, max_size=3))
    parts = []
    for _ in range(draw(st.integers(1, 6))):
        secret = draw(st.sampled_from(secrets))
        start = draw(st.integers(0, len(secret) - 1))
        parts += [draw(TEXTS), secret[start : draw(st.integers(start, len(secret)))]]
    return "".join(parts), secrets


@given(leaks())
@example(("abcdefgh12345678", ["abcdefgh", "12345678"]))
@example(("aaaaaaaaaaaa", ["aaaaaaaaa"]))
def test_no_eight_characters_of_a_secret_survive(leak: tuple[str, list[str]]) -> None:
    text, secrets = leak

    safe = redact(text, secrets)

    for secret in secrets:
        size = min(8, len(secret))
        assert not any(secret[i : i + size] in safe for i in range(len(secret) - size + 1))


@given(TEXTS, SECRETS)
@example("Bearer ?key=a", [])
@example("Authorization: Bearer Bearer ", [])
@example("Bearer abcdefg@sk-abcdefgh", [])
def test_redacting_twice_changes_nothing_more(text: str, secrets: list[str]) -> None:
    once = redact(text, secrets)

    assert redact(once, secrets) == once


@given(leaks())
@example(("://x-api-key=00000?`@", ["0"]))
def test_a_mixed_text_is_stable_too(leak: tuple[str, list[str]]) -> None:
    once = redact(*leak)

    assert redact(once, leak[1]) == once


@given(st.text(string.ascii_lowercase + " ,.", max_size=200), st.text(VISIBLE, min_size=30, max_size=40))
def test_prose_without_a_secret_stays(text: str, secret: str) -> None:
    assume(not any(word in text for word in ("bearer ", "basic ")))
    assume(not any(secret[i : i + 8] in text for i in range(len(secret) - 7)))

    assert redact(text, [secret]) == text


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("Authorization: Bearer abcdefgh1234", "Authorization: Bearer █"),
        ("Authorization:   Bearer      ab", "Authorization:   Bearer      █"),
        ("authorization: abcdefgh1234", "authorization: █"),
        ("got Bearer abcdefgh1234, sorry", "got Bearer █, sorry"),
        ("Incorrect API key provided: sk-abc***9876.", "Incorrect API key provided: █"),
        ("key sk-proj-abcDEF_123-xyz is bad", "key █ is bad"),
        ("sk_meingpt_abcdefgh12", "█"),
        ("gsk_abcdefgh1234", "█"),
        ("csk-abcdefgh1234", "█"),
        ("hf_abcdefgh1234", "█"),
        ("(AIzaSyA-abcdefgh1234)", "(█)"),
        ("eyJhbGciOiJIUzI1.eyJzdWIiOiIx.abc-def_", "█"),
        ("x-api-key: abcdef", "x-api-key: █"),
        ('{"api_key": "abcdef", "n": 1}', '{"api_key": "█", "n": 1}'),
        ("https://user:pa@ss@host/v1", "https://█@host/v1"),
        ("https://host/v1?key=abc&n=1", "https://host/v1?key=█&n=1"),
        ("https://host/v1?n=1&access_token=abc", "https://host/v1?n=1&access_token=█"),
        ("token=0123456789abcdef", "token=█"),
    ],
)
def test_what_has_the_shape_of_a_key_goes(text: str, safe: str) -> None:
    assert redact(text, ()) == safe
    assert looks_secret(text)


@pytest.mark.parametrize(
    "text",
    [
        "a task-management-system",
        "max_tokens: 1000000000000000000",
        "use a Bearer token",
        '{"error":{"message":"no such model","code":"invalid_api_key"}}',
        "keys look like sk_meingpt_ and then letters",
        "http://127.0.0.1:8000/v1/chat/completions?api-version=2024-10-21",
        "mail@example.org",
    ],
)
def test_what_only_resembles_a_key_stays(text: str) -> None:
    assert redact(text, ()) == text
    assert not looks_secret(text)


def test_a_short_secret_goes_as_a_whole_and_a_piece_of_it_may_stay() -> None:
    assert redact("pass hunter2 or hunter", ["hunter2", ""]) == "pass █ or hunter"


def test_touching_pieces_become_one_mask() -> None:
    """Pieces 0-8 and 8-16 of the secret touch: one covered stretch, one mask."""
    assert redact("<abcdefgh12345678>", ["abcdefgh12345678"]) == "<█>"
    assert redact("<abcdefghXabcdefgh>", ["abcdefgh"]) == "<█X█>"


@pytest.mark.parametrize("piece", [*KEYWORDS, "key", "key ", "Bearer", "eyJa", "://a", "sk-a", "api_key=", "A", "?key"])
def test_the_time_is_linear(piece: str) -> None:
    """100,000 characters of anything take well under 2 s; one quadratic pattern alone would take many."""
    text = piece * (100_000 // len(piece))
    secrets = ["".join(chr(33 + (i * i) % 90) for i in range(200)), "A" * 30]

    start = time.process_time()
    redact(text, secrets)

    assert time.process_time() - start < 2


def test_secrets_in_nested_data_are_found_by_place() -> None:
    data = {"headers": {"X-Api-Key": "abcdef", "X-Title": "ok"}, "notes": ["fine", "sk-abcdefgh"], "sk-abcdefgh": 1}

    assert list(secret_places(data)) == ["headers.X-Api-Key", "notes[1]", MASK]


@given(
    st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=4, max_size=40), max_size=3),
    st.data(),
)
def test_a_masker_leaves_no_more_of_a_secret_than_redact(known: list[str], data: st.DataObject) -> None:
    parts = data.draw(
        st.lists(st.one_of(st.text(max_size=10), *([st.sampled_from(known)] if known else [])), max_size=4)
    )
    text = "".join(parts)

    masked = masker(known)(text)
    assert masked in (text, redact(text, known))
    for secret in known:
        assert not any(secret[i : i + PIECE] in masked for i in range(max(1, len(secret) - PIECE + 1)))


def test_a_key_too_short_to_guard_anything_spoils_no_text() -> None:
    assert redact("text/event-stream and max_tokens", ["x", "max"]) == "text/event-stream and max_tokens"
    assert masker(["x"])("text") == "text"
