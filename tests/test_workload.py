"""The synthetic chat: the same everywhere, never twice, with the lengths and shares it promises."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.formats import SCHEMA
from loadtests.phrases import ENGLISH, GERMAN, Phrases
from loadtests.workload import Chat, Request, WorkloadError, load, prompt_hash

MANY = 4000


@pytest.fixture(scope="module")
def requests() -> list[Request]:
    chat = Chat(seed=5)
    return [chat.request(seq) for seq in range(MANY)]


def test_a_request_depends_on_seed_and_seq_alone() -> None:
    assert Chat(1).request(7) == Chat(1).request(7)
    assert Chat(1).request(7) != Chat(2).request(7)
    assert Chat(1).request(7) != Chat(1).request(8)
    assert Chat(1, stream_share=0.0).request(7).messages == Chat(1, output_tokens=9).request(7).messages


def test_another_process_makes_the_same_prompts() -> None:
    """Python's own hash is salted per process; a prompt set must not rest on it."""
    code = "from loadtests.workload import Chat; print(Chat(3).digest(20))"
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert there.stdout.strip() == Chat(3).digest(20)


def test_the_prompts_of_a_seed_never_change_silently() -> None:
    """A golden value: runs are only comparable while it stands. Change it knowingly, with a line in the changelog."""
    assert Chat(0).digest(100) == "0f3ebd31a50b83872bb45c71e9e8b741238fa1cb5d0f6c1d9537632806f33c06"


def test_every_prompt_opens_with_its_own_nonce(requests: list[Request]) -> None:
    nonces = {request.messages[0]["content"][:12] for request in requests}

    assert len(nonces) == MANY
    assert all(set(nonce) <= set("0123456789abcdef") for nonce in nonces)


def test_prompts_are_lognormal_around_120_tokens(requests: list[Request]) -> None:
    """
    Median 480 characters; its standard error is 1.253 * 0.8 / sqrt(4000) = 1.6 %, four of them 6.4 %.

    16 tokens lie 2.52 sigma below the median: 0.6 % are cut off there, and the standard deviation of the logs hardly
    shrinks.
    """
    chars = [request.input_chars for request in requests]

    assert statistics.median(chars) == pytest.approx(480, rel=0.064)
    assert min(chars) == 64
    assert max(chars) <= 8000
    low, _, high = statistics.quantiles(chars, n=4)
    assert high / low == pytest.approx(2.71828 ** (2 * 0.6745 * 0.8), rel=0.12)


def test_the_characters_counted_are_those_of_the_messages(requests: list[Request]) -> None:
    for request in requests[:200]:
        assert request.input_chars == sum(len(message["content"]) for message in request.messages)
        assert [message["role"] for message in request.messages] == ["system", "user"]


def test_half_is_english_and_half_german(requests: list[Request]) -> None:
    """Binomial: four standard deviations of 4000 fair coins are 126."""
    german = sum(request.messages[0]["content"].endswith(GERMAN.system) for request in requests)

    assert abs(german - MANY / 2) < 126


def test_the_cap_is_drawn_or_fixed(requests: list[Request]) -> None:
    caps = [request.output_cap or 0 for request in requests]

    assert statistics.median(caps) == pytest.approx(64, rel=0.06)
    assert min(caps) >= 16
    assert max(caps) <= 256
    assert {Chat(5, output_tokens=40).request(seq).output_cap for seq in range(50)} == {40}


@pytest.mark.parametrize("seed", range(20))
def test_160_requests_at_a_share_of_80_percent_are_128_streamed(seed: int) -> None:
    chat = Chat(seed, stream_share=0.8)

    assert sum(chat.request(seq).stream for seq in range(160)) == 128


@given(st.floats(0, 1), st.integers(0, 2**32), st.integers(1, 300))
def test_the_share_holds_from_the_first_request_on(share: float, seed: int, n: int) -> None:
    """Whole blocks of ten are exact up to rounding; inside one at most 10 * s * (1 - s) <= 2.5 too many or few."""
    chat = Chat(seed, stream_share=share)

    assert abs(sum(chat.streams(seq) for seq in range(n)) - n * share) <= 3.6


@pytest.mark.parametrize("workers", [2, 3, 5, 10])
def test_plain_requests_do_not_all_fall_to_one_worker(workers: int) -> None:
    """20 % of 2000 are plain; each worker that takes every n-th seq should get its part, within a half."""
    chat = Chat(1, stream_share=0.8)

    plain = [sum(not chat.streams(seq) for seq in range(worker, 2000, workers)) for worker in range(workers)]

    assert sum(plain) == 400
    assert all(abs(count - 400 / workers) < 200 / workers for count in plain)


def test_a_share_of_all_or_none_is_exact() -> None:
    assert all(Chat(1, stream_share=1.0).streams(seq) for seq in range(500))
    assert not any(Chat(1, stream_share=0.0).streams(seq) for seq in range(500))


def test_a_request_takes_less_than_100_microseconds() -> None:
    chat = Chat(1, stream_share=0.8)
    chat.request(0)

    start = time.process_time()
    for seq in range(1000):
        chat.request(seq)

    assert time.process_time() - start < 0.1


@pytest.mark.parametrize("phrases", [ENGLISH, GERMAN])
def test_a_language_has_variety_and_sound_templates(phrases: Phrases) -> None:
    filled = [t.format(place="p", time="t", thing="x", n=1) for t in phrases.templates]

    assert len(set(filled)) >= 40
    assert all("{" not in sentence and sentence[-1] == "." for sentence in filled)


def test_a_salt_changes_the_nonces_and_nothing_else() -> None:
    """Two runs of a seed ask the same, so they can be compared; no cache knows the second one's prompts."""
    for seq in range(50):
        plain, salted = Chat(1).request(seq), Chat(1, salt="x").request(seq)
        assert plain.messages[0]["content"][:12] != salted.messages[0]["content"][:12]
        assert plain.messages[0]["content"][12:] == salted.messages[0]["content"][12:]
        assert plain.messages[1] == salted.messages[1]
        assert (plain.prompt_hash, plain.output_cap) == (salted.prompt_hash, salted.output_cap)


def test_the_prompt_hash_is_signed_64_bit_and_tells_messages_apart() -> None:
    one = ({"role": "user", "content": "ab"},)
    other = ({"role": "user", "content": "a"}, {"role": "user", "content": "b"})

    assert prompt_hash(one) != prompt_hash(other)
    assert all(-(2**63) <= Chat(1).request(seq).prompt_hash < 2**63 for seq in range(100))
    assert any(Chat(1).request(seq).prompt_hash < 0 for seq in range(100))


def test_a_workload_is_chosen_by_name() -> None:
    assert load("chat")(1, 0.5, None).name == "chat"
    with pytest.raises(WorkloadError) as caught:
        load("chta")
    assert str(caught.value) == '--workload "chta" isn\'t one of [chat, tools, json]; did you mean "chat"?'


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_outside_0_to_1_is_refused(share: float) -> None:
    with pytest.raises(WorkloadError, match=r"--stream-share .* isn't a number in \[0, 1\]"):
        Chat(1, stream_share=share)


def test_a_cap_below_one_is_refused() -> None:
    with pytest.raises(WorkloadError, match="--output-tokens 0 isn't a whole number of at least 1"):
        Chat(1, output_tokens=0)


@pytest.mark.parametrize(("name", "field"), [("tools", "tools"), ("json", "response_format")])
def test_tools_and_schemas_are_asked_for_beside_the_same_prompts(name: str, field: str) -> None:
    made, chat = load(name)(5), Chat(5)

    assert [made.request(seq).messages for seq in range(20)] == [chat.request(seq).messages for seq in range(20)]
    assert made.request(0).workload == name
    assert set(made.request(0).extra) == {field}
    assert not chat.request(0).extra
    assert made.digest(20) == chat.digest(20)


def test_a_schema_is_strict_as_providers_want_it() -> None:
    """Strict means: every property required, none besides, at every level."""

    def check(schema: dict[str, Any]) -> None:
        if schema.get("type") == "object":
            assert set(schema["required"]) == set(schema["properties"])
            assert schema["additionalProperties"] is False
        for inner in (*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else ())):
            check(inner)

    check(SCHEMA["response_format"]["json_schema"]["schema"])
