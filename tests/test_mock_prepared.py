"""Prepared answers are the ordinary ones but for the id, the same bytes for all, and logged as truly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_mock_server import ask, connected, exchange, receive, request_bytes

from loadtests.mock.answer import Voice, compose
from loadtests.mock.log import lateness_ns, read
from loadtests.mock.options import settings_from
from loadtests.mock.prepared import MOST_KEPT, Prepared
from loadtests.mock.process import start
from loadtests.mock.request import Ask
from loadtests.mock.script import Script

if TYPE_CHECKING:
    from pathlib import Path

EVEN: dict[str, Any] = {"prepared": True, "ttft_sigma": 0.0, "gap_sigma": 0.0}
OPTIONS = ("--prepared", "--ttft-sigma", "0", "--gap-sigma", "0", "--ttft", "0.01", "--gap", "0.001")

SCRIPTS = st.builds(
    Script,
    **{name: st.just(value) for name, value in EVEN.items()},
    gap_s=st.sampled_from([0.0, 0.001]),
    output_tokens=st.integers(1, 40),
    tokens_per_chunk=st.integers(1, 7),
    reasoning_tokens=st.integers(0, 9),
    ignore_cap=st.booleans(),
)
ASKS = st.builds(
    Ask,
    model=st.sampled_from(["m", 'grö"ße']),
    prompt_tokens=st.integers(0, 5000),
    cap=st.none() | st.integers(1, 60),
    stream=st.booleans(),
)
VOICES = st.builds(Voice, st.integers(1, 10**6), st.just(7), ASKS, st.booleans(), st.booleans())


@given(SCRIPTS, st.lists(VOICES, min_size=1, max_size=5))
def test_the_bytes_are_the_ordinary_ones_without_a_number_of_their_own(script: Script, voices: list[Voice]) -> None:
    """An answer without a number has no X-Request-Id; for the rest `compose` says it. Rounding may be off by 1 ns."""
    prepared = Prepared(script)
    for voice in voices:
        ask = voice.ask
        usual = compose(voice._replace(number=0), script.play(voice.number, ask.prompt_tokens, ask.cap, ask.stream))

        answer = prepared.answer(voice)

        first, *others = answer.writes
        assert b"\r\nX-Request-Id: req-%d\r\n" % voice.number in first
        assert [first.replace(b"X-Request-Id: req-%d\r\n" % voice.number, b""), *others] == list(usual.writes)
        assert all(abs(a - b) <= 1 for a, b in zip(answer.offsets_ns, usual.offsets_ns, strict=True))
        assert (answer.finish, answer.ending, answer.has_tokens) == (usual.finish, usual.ending, True)
        assert answer.number == voice.number


def test_all_requests_share_the_bytes_of_the_chunks() -> None:
    """Three tokens: the first goes with the head; the second, the third and the tail are the same objects."""
    prepared = Prepared(Script(output_tokens=3, **EVEN))
    voices = [Voice(n, 7, Ask("m", n, None, stream=True), tells_usage=False, keeps_alive=True) for n in (1, 2)]

    one, other = (list(prepared.answer(voice).writes) for voice in voices)

    assert len(one) == 4
    assert [a is b for a, b in zip(one, other, strict=True)] == [False, True, True, True]


def test_a_client_with_ever_new_models_does_not_fill_the_memory() -> None:
    prepared = Prepared(Script(output_tokens=1, **EVEN))
    for number in range(3 * MOST_KEPT):
        ask = Ask(f"model-{number}", 1, None, stream=True)
        writes = prepared.answer(Voice(number, 7, ask, tells_usage=False, keeps_alive=True)).writes
        assert b'"model":"model-%d"' % number in next(writes)

    assert len(prepared._kept) <= MOST_KEPT


def test_every_answer_has_exactly_the_tokens_that_were_asked_for_and_the_moments() -> None:
    """0.1 s + 2,000 tokens * 0.05 s / 1,000 = 0.2 s, then 10 ms each, whatever the number of the request."""
    script = Script(ttft_s=0.1, gap_s=0.01, output_tokens=3, **EVEN)

    plays = [script.play(number, 2000, None, stream=True) for number in (1, 2, 77)]

    assert plays[0].offsets_ns == (200_000_000, 210_000_000, 220_000_000)
    assert plays[0] == plays[1] == plays[2]


@pytest.mark.parametrize(("name", "value"), [("ttft_sigma", 0.25), ("gap_sigma", 0.3), ("error_rate", 0.1)])
def test_what_would_make_answers_differ_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^{name}: {value} isn't 0, which prepared answers need$"):
        Script(**{**EVEN, name: value})


def test_the_option_alone_says_what_else_it_needs() -> None:
    with pytest.raises(ValueError, match=r"^--ttft-sigma: 0\.25 isn't 0, which --prepared needs$"):
        settings_from({"prepared": True})


def test_requests_are_told_apart_by_the_head_and_logged_as_ever(tmp_path: Path) -> None:
    """Three streams and a whole answer on one connection; 40 characters are 10 tokens."""
    log = tmp_path / "log"
    bodies = (ask(stream_options={"include_usage": True}), ask(), ask(max_tokens=3), ask(stream=False, max_tokens=3))
    responses = []
    with start((*OPTIONS, "--output-tokens", "8"), log) as mock, connected(mock) as sock:
        for body in bodies:
            sock.sendall(request_bytes(body))
            responses.append(receive(sock))
        mock.stop()
    told, free, capped, completion = responses
    truths = read(log)

    assert [r.headers["x-request-id"] for r in responses] == [f"req-{n}" for n in (1, 2, 3, 4)]
    assert {e["id"] for r in (told, free, capped) for e in r.events} == {completion.json["id"]} == {"chatcmpl-0"}
    assert told.events[-1]["usage"]["prompt_tokens"] == completion.json["usage"]["prompt_tokens"] == 10
    assert told.text == free.text
    assert free.text.startswith(capped.text)
    assert completion.json["choices"][0]["message"]["content"] == capped.text
    assert [(len(t.chunk_ns), t.finish) for t in truths.values()] == [
        (8, "stop"), (8, "stop"), (3, "length"), (1, "length")
    ]  # fmt: skip
    script = Script(ttft_s=0.01, gap_s=0.001, output_tokens=8, **EVEN)
    # The two clocks of the moment it was read are taken one after the other: some microseconds.
    assert min(late for t in truths.values() for late in lateness_ns(t, script)) > -1_000_000


def test_what_cannot_be_answered_is_refused_as_ever() -> None:
    with start((*OPTIONS, "--key", "sk-1")) as mock:
        unknown = exchange(mock, request_bytes(ask()))
        unread = exchange(mock, request_bytes(b"{", "Authorization: Bearer sk-1"))

    assert (unknown.status, unread.status) == (401, 400)
