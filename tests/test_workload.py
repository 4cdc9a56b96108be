"""Workloads: the same everywhere, never twice unless asked, with the lengths and shares they promise."""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.formats import SCHEMA
from loadtests.phrases import CODE, ENGLISH, GERMAN, Phrases
from loadtests.schedule import Size
from loadtests.tokens import Counter
from loadtests.workload import (
    NAMES,
    Request,
    Workload,
    WorkloadError,
    definitions,
    make,
    prompt_hash,
    save_samples,
)
from loadtests.workload.mix import counts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MANY = 4000
CHAT = definitions("chat")


def chat(seed: int = 1, **more: Any) -> Workload:
    return make(CHAT, seed=seed, **more)


@pytest.fixture(scope="module")
def requests() -> list[Request]:
    made = chat(5)
    return [made.request(seq) for seq in range(MANY)]


def test_a_request_depends_on_seed_and_seq_alone() -> None:
    assert chat(1).request(7) == chat(1).request(7)
    assert chat(1).request(7) != chat(2).request(7)
    assert chat(1).request(7) != chat(1).request(8)
    assert chat(1, stream_share=0.0).request(7).messages == chat(1, output_tokens=9).request(7).messages


def test_another_process_makes_the_same_prompts() -> None:
    """Python's own hash is salted per process; a prompt set must not rest on it."""
    code = "from loadtests.workload import definitions, make; print(make(definitions('chat'), seed=3).digest(20))"
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert there.stdout.strip() == chat(3).digest(20)


def test_the_prompts_of_a_seed_never_change_silently() -> None:
    """A golden value: runs are only comparable while it stands. Change it knowingly, with a line in the changelog."""
    assert chat(0).digest(100) == "0f3ebd31a50b83872bb45c71e9e8b741238fa1cb5d0f6c1d9537632806f33c06"


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
    assert {chat(5, output_tokens=40).request(seq).output_cap for seq in range(50)} == {40}


@pytest.mark.parametrize("seed", range(20))
def test_160_requests_at_a_share_of_80_percent_are_128_streamed(seed: int) -> None:
    made = chat(seed, stream_share=0.8)

    assert sum(made.request(seq).stream for seq in range(160)) == 128


@given(st.floats(0, 1), st.integers(0, 2**32), st.integers(1, 300))
def test_the_share_holds_from_the_first_request_on(share: float, seed: int, n: int) -> None:
    """Whole blocks of ten are exact up to rounding; inside one at most 10 * s * (1 - s) <= 2.5 too many or few."""
    made = chat(seed, stream_share=share)

    assert abs(sum(made.streams(seq) for seq in range(n)) - n * share) <= 3.6


@pytest.mark.parametrize("workers", [2, 3, 5, 10])
def test_plain_requests_do_not_all_fall_to_one_worker(workers: int) -> None:
    """20 % of 2000 are plain; each worker that takes every n-th seq should get its part, within a half."""
    made = chat(1, stream_share=0.8)

    plain = [sum(not made.streams(seq) for seq in range(worker, 2000, workers)) for worker in range(workers)]

    assert sum(plain) == 400
    assert all(abs(count - 400 / workers) < 200 / workers for count in plain)


def test_a_share_of_all_or_none_is_exact() -> None:
    always, never = chat(1, stream_share=1.0), chat(1, stream_share=0.0)

    assert all(always.streams(seq) for seq in range(500))
    assert not any(never.streams(seq) for seq in range(500))


def test_a_request_takes_less_than_100_microseconds() -> None:
    made = chat(1, stream_share=0.8)
    made.request(0)

    for _ in range(3):  # even seconds of the processor are longer where others use it too
        start = time.process_time()
        for seq in range(1000):
            made.request(seq)
        if (took_s := time.process_time() - start) < 0.1:
            break
    assert took_s < 0.1


@pytest.mark.parametrize("phrases", [ENGLISH, GERMAN])
def test_a_language_has_variety_and_sound_templates(phrases: Phrases) -> None:
    filled = [t.format(place="p", time="t", thing="x", n=1) for t in phrases.templates]

    assert len(set(filled)) >= 40
    assert all("{" not in sentence and sentence[-1] == "." for sentence in filled)


def test_a_salt_changes_the_nonces_and_nothing_else() -> None:
    """Two runs of a seed ask the same, so they can be compared; no cache knows the second one's prompts."""
    for seq in range(50):
        plain, salted = chat(1).request(seq), chat(1, salt="x").request(seq)
        assert plain.messages[0]["content"][:12] != salted.messages[0]["content"][:12]
        assert plain.messages[0]["content"][12:] == salted.messages[0]["content"][12:]
        assert plain.messages[1] == salted.messages[1]
        assert (plain.prompt_hash, plain.output_cap) == (salted.prompt_hash, salted.output_cap)


def test_the_prompt_hash_is_signed_64_bit_and_tells_messages_apart() -> None:
    one = ({"role": "user", "content": "ab"},)
    other = ({"role": "user", "content": "a"}, {"role": "user", "content": "b"})

    assert prompt_hash(one) != prompt_hash(other)
    assert all(-(2**63) <= chat(1).request(seq).prompt_hash < 2**63 for seq in range(100))
    assert any(chat(1).request(seq).prompt_hash < 0 for seq in range(100))


def test_a_workload_is_chosen_by_name() -> None:
    assert {make(definitions(name), seed=1).name for name in NAMES} == set(NAMES)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_outside_0_to_1_is_refused(share: float) -> None:
    with pytest.raises(WorkloadError, match=r"--stream-share .* isn't a number in \[0, 1\]"):
        chat(1, stream_share=share)


def test_a_cap_below_one_is_refused() -> None:
    with pytest.raises(WorkloadError, match="--output-tokens 0 isn't a whole number of at least 1"):
        chat(1, output_tokens=0)


@pytest.mark.parametrize(("name", "field"), [("tools", "tools"), ("json", "response_format")])
def test_tools_and_schemas_are_asked_for_beside_the_same_prompts(name: str, field: str) -> None:
    made, plain = make(definitions(name), seed=5), chat(5)

    assert [made.request(seq).messages for seq in range(20)] == [plain.request(seq).messages for seq in range(20)]
    assert made.request(0).workload == name
    assert set(made.request(0).extra) == {field}
    assert not plain.request(0).extra
    assert made.digest(20) == plain.digest(20)


def test_a_schema_is_strict_as_providers_want_it() -> None:
    """Strict means: every property required, none besides, at every level."""

    def check(schema: dict[str, Any]) -> None:
        if schema.get("type") == "object":
            assert set(schema["required"]) == set(schema["properties"])
            assert schema["additionalProperties"] is False
        for inner in (*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else ())):
            check(inner)

    check(SCHEMA["response_format"]["json_schema"]["schema"])


def test_code_is_sound() -> None:
    for i, template in enumerate(CODE.templates):
        ast.parse(template.format(place=CODE.places[i % 5], time=CODE.times[0], thing=CODE.things[0], n=7))


# Definitions beside the presets.


def mine(*, seed: int = 1, count: Any = None, salt: str = "", **keys: Any) -> Workload:
    """A workload of prompts of 200 tokens."""
    table = {"name": "mine", "input": 200, "output": 20, **keys}
    return make([{**table, "weight": 1.0}], seed=seed, count=count, salt=salt)


def text(request: Request) -> str:
    return "".join(message["content"] for message in request.messages)


def asked(made: Workload, n: int = 40) -> list[Request]:
    return [made.request(seq) for seq in range(n)]


DRAWN = {
    "cancel": {"share": 0.3, "after": "exponential:2s"}, "tools": {"share": 0.5}, "schema": {"share": 0.5},
    "conversation": {"turns": "uniform:1:5", "think": "exponential:3s", "input": 9}, "stream_share": 0.5,
}  # fmt: skip


@pytest.mark.parametrize("key", DRAWN)
def test_an_option_moves_nothing_that_another_one_drew(key: str) -> None:
    """With all of them, and with all but one: the rest is the same."""
    full = make([{"name": "m", **DRAWN}], seed=3)
    less = make([{"name": "m", **{k: v for k, v in DRAWN.items() if k != key}}], seed=3)
    parts: dict[str, Callable[[Workload, int], Any]] = {
        "cancel": lambda made, seq: made.request(seq).cancel_after_s,
        "tools": lambda made, seq: "tools" in made.request(seq).extra,
        "schema": lambda made, seq: "response_format" in made.request(seq).extra,
        "conversation": lambda made, seq: (made.turns(seq), made.think_s(seq, 1)),
        "stream_share": lambda made, seq: made.request(seq).stream,
        "prompts": lambda made, seq: (made.request(seq).messages, made.request(seq).output_cap),
    }
    for name, part in parts.items():
        same = [part(full, seq) for seq in range(100)] == [part(less, seq) for seq in range(100)]
        assert same == (name != key)


def test_shares_are_exact_and_drawn_apart() -> None:
    """Of 1000: 300 give up, 500 bring tools, 500 a schema; two independent halves meet in 250, within 60."""
    requests = asked(make([{"name": "m", **DRAWN}], seed=3), 1000)
    tools = {request.seq for request in requests if "tools" in request.extra}
    schema = {request.seq for request in requests if "response_format" in request.extra}
    after = [request.cancel_after_s for request in requests if request.cancel_after_s is not None]

    assert (len(tools), len(schema), len(after)) == (500, 500, 300)
    assert abs(len(tools & schema) - 250) < 60
    assert statistics.mean(after) == pytest.approx(2, rel=0.25)  # exponential: 4 / sqrt(300) = 23 %
    assert set(make([{"name": "m", **DRAWN}], seed=3).extra) == {"tools", "response_format"}
    assert set(make([{"name": "m", **DRAWN}], seed=3, without=["tools"]).extra) == {"response_format"}


@pytest.mark.parametrize("keys", [{}, {"filler": "code"}, {"languages": ["de"]}, {"prefix": {"tokens": 50}}])
def test_without_a_tokenizer_a_token_is_four_characters(keys: dict[str, Any]) -> None:
    made = mine(**keys)

    assert {request.input_chars for request in asked(made)} == {800}
    assert "estimated at 4 characters a token" in made.words()[0]


def test_system_message_and_tasks_may_be_ones_own() -> None:
    for request in asked(mine(system="Be brief.", tasks=["Count these:"])):
        assert request.messages[0]["content"][12:] == " Be brief."
        assert request.messages[1]["content"].startswith("Count these: ")


def test_code_fills_prompts_with_code() -> None:
    request = mine(filler="code", input=2000).request(0)

    assert "\n\ndef " in request.messages[1]["content"]
    assert request.messages[0]["content"].endswith(CODE.system)


def test_a_prompt_of_100_000_tokens_takes_about_a_millisecond() -> None:
    made = mine(input=100_000)
    made.request(0)

    for _ in range(3):
        start = time.process_time()
        for seq in range(20):
            made.request(seq)
        if (took_s := time.process_time() - start) < 20 * 0.004:
            break
    assert took_s < 20 * 0.004


# Caches.


def test_warm_prompts_are_the_same_in_every_run() -> None:
    assert asked(mine(cache="warm", salt="x")) == asked(mine(cache="warm", salt="y"))
    assert asked(mine(salt="x")) != asked(mine(salt="y"))


def test_so_many_distinct_prompts_come_again_and_again() -> None:
    requests = asked(mine(cache="warm", distinct=7))

    assert len({text(request) for request in requests}) == 7
    assert text(requests[0]) == text(requests[7]) == text(requests[35])


def common(one: str, other: str) -> int:
    """Characters that two texts begin with alike."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def test_a_groups_requests_share_their_prefix_and_no_more() -> None:
    """100 tokens are 400 characters; behind them each has its own nonce, so that nothing more is known."""
    requests = asked(mine(prefix={"tokens": 100, "groups": 3, "share": 0.5}), 100)
    groups: dict[str, list[str]] = {}
    for request in requests:
        groups.setdefault(request.messages[0]["content"], []).append(text(request))
    shared = {prefix: texts for prefix, texts in groups.items() if len(texts) > 1}

    assert len(shared) == 3
    assert {len(prefix) for prefix in shared} == {400}
    assert sum(map(len, shared.values())) == 50
    for texts in shared.values():
        assert max(common(texts[0], one) for one in texts[1:]) < 408
    assert max(common(one, other) for one in shared for other in shared if one != other) < 8


def test_a_prefix_is_new_for_each_run_but_asks_the_same() -> None:
    one, other = (asked(mine(prefix={"tokens": 100}, salt=salt)) for salt in "xy")

    assert [r.prompt_hash for r in one] == [r.prompt_hash for r in other]
    assert one[0].messages[0]["content"][:12] != other[0].messages[0]["content"][:12]
    assert one[0].messages[0]["content"][12:] == other[0].messages[0]["content"][12:]


# Traces.


def test_a_traces_lengths_win_over_drawn_ones() -> None:
    request = mine().request(3, size=Size(50, 7, ()))

    assert (request.input_chars, request.output_cap) == (200, 7)
    assert mine().request(3, size=Size(None, None, ())) == mine().request(3)
    assert make(CHAT, seed=1, output_tokens=9).request(3, size=Size(50, 7, ())).output_cap == 9


@pytest.mark.parametrize("told", [0, 1, 15])
def test_a_trace_may_tell_less_than_a_prompt_can_be(told: int) -> None:
    """16 tokens hold the nonce and a few words."""
    request = mine().request(3, size=Size(told, 0, ()))

    assert (request.input_chars, request.output_cap) == (64, 1)


def test_equal_blocks_of_a_trace_are_equal_text() -> None:
    """
    Two prompts of 1,300 tokens whose first two blocks are the same: 2 * 512 tokens and the opening before them.

    A third that shares the first block alone has 512 tokens and the opening in common with them.
    """
    made, opening = mine(), 12 + 1 + len(ENGLISH.system)
    one, two, three = (
        text(made.request(seq, size=Size(1300, 9, blocks)))
        for seq, blocks in enumerate([(5, 6, 7), (5, 6, 8), (5, 9, 7)])
    )

    assert len(one) == len(two) == len(three) == 5200
    assert 0 <= common(one, two) - (opening + 2 * 2048) < 40
    assert 0 <= common(one, three) - (opening + 2048) < 40
    again = text(make([{"name": "mine", "input": 200}], seed=1, salt="other").request(0, size=Size(1300, 9, (5, 6, 7))))
    assert common(one, again) < 8
    assert again[12:] == one[12:]


def test_a_trace_may_name_fewer_or_more_blocks_than_its_tokens_fill() -> None:
    for blocks in [(5,), (5, 6, 7, 8)]:
        assert mine().request(0, size=Size(1300, 9, blocks)).input_chars == 5200


# Conversations.

TALK = {"turns": "uniform:2:5", "think": "uniform:1s:3s", "input": 30}


def test_a_conversation_grows_by_the_real_answers() -> None:
    made = mine(conversation=TALK)
    first = made.request(4, a=2)
    answered = (*first.messages, {"role": "assistant", "content": "An answer."})
    second = made.request(5, a=2, turn=1, history=answered)

    assert first.messages == mine().request(2).messages
    assert second.messages[:3] == answered
    assert [message["role"] for message in second.messages] == ["system", "user", "assistant", "user"]
    assert len(second.messages[3]["content"]) == 120
    assert second.input_chars == 800 + 10 + 120
    assert (second.seq, second.output_cap) == (5, 20)
    other = made.request(5, a=2, turn=1, history=(*first.messages, {"role": "assistant", "content": "Another."}))
    assert second.prompt_hash == other.prompt_hash != made.request(6, a=2, turn=2, history=answered).prompt_hash


def test_turns_and_pauses_follow_their_laws() -> None:
    made = mine(conversation=TALK)

    assert {made.turns(a) for a in range(200)} == {2, 3, 4, 5}
    pauses = [made.think_s(a, t) for a in range(200) for t in (1, 2)]
    assert 1 <= min(pauses) < 1.1
    assert 2.9 < max(pauses) <= 3
    assert statistics.mean(pauses) == pytest.approx(2, abs=4 * 0.577 / 20)
    assert (mine().turns(3), mine().think_s(3, 1)) == (1, 0.0)


def test_a_conversation_keeps_its_language() -> None:
    made = make(definitions("conversation"), seed=2)
    for a in range(20):
        first, later = made.request(a), made.request(a, a=a, turn=1)
        phrases = GERMAN if first.messages[0]["content"].endswith(GERMAN.system) else ENGLISH
        tasks = {task[:8] for task in phrases.tasks}
        assert later.messages[-1]["content"][:8] in tasks or len(later.messages[-1]["content"]) < 40


# Mixes.


def test_every_hundred_arrivals_have_the_exact_mix() -> None:
    made = make(definitions("chat=70,rag=20,tools=10"), seed=4)
    for block in range(5):
        names = [made.name_of(a) for a in range(100 * block, 100 * block + 100)]
        assert [names.count(name) for name in ("chat", "rag", "tools")] == [70, 20, 10]
        assert [made.request(a).workload for a in range(100 * block, 100 * block + 100)] == names
    assert made.name == "chat=70,rag=20,tools=10"
    assert set(made.extra) == {"tools"}
    assert {line.partition(":")[0] for line in made.words()} == {"70 % chat", "20 % rag", "10 % tools"}


def test_thirds_are_rounded_by_largest_remainder() -> None:
    """33.3 each: one is left over, and goes to the first of equals."""
    made = make(definitions("chat=1,json=1,tools=1"), seed=4)
    names = [made.name_of(a) for a in range(100)]

    assert [names.count(name) for name in ("chat", "json", "tools")] == [34, 33, 33]


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=9))
def test_a_mix_is_within_one_of_its_weights(weights: list[int]) -> None:
    found = counts(weights)

    assert sum(found) == 100
    assert all(abs(count - 100 * weight / sum(weights)) < 1 for count, weight in zip(found, weights, strict=True))


def test_the_parts_of_a_mix_come_in_a_drawn_order_and_ask_apart() -> None:
    made = make(definitions("chat=50,tools=50"), seed=4)
    orders = {tuple(made.name_of(a) for a in range(100 * block, 100 * block + 100)) for block in range(20)}
    requests = [made.request(a) for a in range(200)]

    assert len(orders) == 20
    assert len({text(request)[:12] for request in requests}) == 200
    assert len({request.prompt_hash for request in requests}) == 200


def test_each_part_of_a_mix_keeps_its_own_streaming_share() -> None:
    made = make(definitions("chat=50,tools=50"), seed=4, stream_share=0.8)
    streamed = [made.name_of(a) for a in range(200) if made.request(a).stream]

    assert (streamed.count("chat"), streamed.count("tools")) == (80, 80)
    assert [made.streams(a) for a in range(200)] == [made.request(a).stream for a in range(200)]


def test_a_mix_may_hold_conversations() -> None:
    made = make(definitions("chat=50,conversation=50"), seed=4)
    talks = [a for a in range(100) if made.name_of(a) == "conversation"]

    assert {made.turns(a) for a in range(100) if a not in talks} == {1}
    assert max(made.turns(a) for a in talks) > 2
    later = made.request(7, a=talks[0], turn=1, history=({"role": "user", "content": "x"},))
    assert (later.seq, later.workload, len(later.messages)) == (7, "conversation", 2)
    assert later.stream == made.streams(7, a=talks[0], turn=1)
    assert made.think_s(talks[0], 1) > 0
    assert made.digest(30) == make(definitions("chat=50,conversation=50"), seed=4, salt="x").digest(30)


# Datasets.


def dataset(folder: Path, lines: str, **keys: Any) -> list[dict[str, Any]]:
    (folder / "prompts.jsonl").write_text(lines)
    return [{"name": "mine", "weight": 1.0, "dataset": {"file": str(folder / "prompts.jsonl")}, **keys}]


QUESTIONS = "".join(f'{{"prompt": "Question {i}?", "output_tokens": {10 + i}}}\n' for i in range(20))


def test_a_datasets_prompts_go_round_in_a_drawn_order(tmp_path: Path) -> None:
    made = make(dataset(tmp_path, QUESTIONS), seed=2)
    requests = [made.request(seq) for seq in range(40)]
    order = [request.messages[0]["content"][12:] for request in requests]

    assert sorted(order[:20]) == sorted(f" Question {i}?" for i in range(20))
    assert order[:20] == order[20:] != sorted(order[:20])
    assert len({text(request)[:12] for request in requests}) == 40
    assert requests[0].prompt_hash == requests[20].prompt_hash
    for request in requests:
        assert request.output_cap == 10 + int(text(request).split()[-1].strip("?"))
    assert made.words()[0] == "20 of 20 prompts of prompts.jsonl, over and over"


def test_a_saved_sample_is_asked_without_the_dataset(tmp_path: Path) -> None:
    known = dataset(tmp_path, QUESTIONS)
    known[0]["dataset"]["sample"] = 5
    there = make(known, seed=2).digest(20)
    save_samples(known, 2, tmp_path / "samples")
    (tmp_path / "prompts.jsonl").unlink()

    assert make(known, seed=2, sample=tmp_path / "samples").digest(20) == there
    with pytest.raises(WorkloadError, match=r"prompts.jsonl: cannot be read"):
        make(known, seed=2)
    with pytest.raises(WorkloadError, match=r"prompts.jsonl: cannot be read"):
        save_samples(known, 2, tmp_path / "samples")


def test_a_sample_is_no_workers_file_whatever_its_workload_is_called(tmp_path: Path) -> None:
    """Bodies are kept in bodies-N.jsonl in the same folder."""
    known = dataset(tmp_path, QUESTIONS, name="bodies-0")
    save_samples(known, 2, tmp_path / "parts")

    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["sample-bodies-0.jsonl"]
    assert make(known, seed=2, sample=tmp_path / "parts").digest(5) == make(known, seed=2).digest(5)


def test_a_datasets_conversation_asks_its_own_turns(tmp_path: Path) -> None:
    lines = '{"messages": [{"role": "user", "content": "One"}, {"role": "assistant", "content": "1"}, '
    lines += '{"role": "user", "content": "Two"}, {"role": "user", "content": "Three"}]}\n'
    made = make(dataset(tmp_path, lines, conversation={}, cache="warm"), seed=2)
    first = made.request(0)
    history = (*first.messages, {"role": "assistant", "content": "one"})

    assert (made.turns(0), made.turns(7)) == (3, 3) or made.turns(0) == 2  # two messages in a row may be one
    assert first.messages == ({"role": "user", "content": "One"},)
    assert made.request(1, a=0, turn=1, history=history).messages[2]["content"].startswith("Two")
    assert make(dataset(tmp_path, lines), seed=2).turns(0) == 1
    assert make(dataset(tmp_path, lines, conversation={"turns": 2}), seed=2).turns(0) == 2


def test_a_batchs_own_fields_are_sent_unless_the_run_says_them(tmp_path: Path) -> None:
    lines = '{"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": '
    lines += '[{"role": "user", "content": "One"}], "max_tokens": 33, "temperature": 0.1, "seed": 4}}\n'
    known = dataset(tmp_path, lines, tools={})

    made = make(known, seed=2, without=["temperature"])
    assert set(made.request(0).extra) == {"seed", "tools"} == set(made.extra)
    assert made.request(0).output_cap == 33
    assert make(known, seed=2, output_tokens=5).request(0).output_cap == 5
    known[0]["output"] = "fixed:6"
    assert make(known, seed=2).request(0).output_cap == 6


# By a tokenizer.


def tokenizer(kind: str) -> Any:
    """Small ones of the three usual kinds, trained on the phrases; `tokens.load` counts as a run does."""
    tokenizers = pytest.importorskip("tokenizers")
    corpus = [" ".join((*p.templates, *p.tasks, *p.places, *p.times, *p.things)) for p in (ENGLISH, GERMAN, CODE)]
    if kind == "words":
        made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
        made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    elif kind == "bytes":
        made = tokenizers.Tokenizer(tokenizers.models.BPE())
        made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
        trainer = tokenizers.trainers.BpeTrainer(vocab_size=1200, initial_alphabet=alphabet, show_progress=False)
        made.train_from_iterator(corpus, trainer)
    else:
        made = tokenizers.Tokenizer(tokenizers.models.Unigram())
        made.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
        trainer = tokenizers.trainers.UnigramTrainer(
            vocab_size=600, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False
        )
        made.train_from_iterator(corpus, trainer)
    return Counter(made).count


@pytest.mark.parametrize("kind", ["words", "bytes", "pieces"])
@pytest.mark.slow
def test_token_targets_hold_within_5_percent(kind: str) -> None:
    """For every request from 100 tokens on, below that in the mean; whatever fills it and whatever it opens with."""
    count = tokenizer(kind)
    for keys in ({}, {"filler": "code"}, {"prefix": {"tokens": 80, "groups": 2}}, {"cache": "warm"}):
        made = mine(count=count, input="uniform:100:600", **keys)
        estimated = mine(input="uniform:100:600", **keys)
        for seq in range(60):
            want = estimated.request(seq).input_chars / 4
            got = sum(count(message["content"]) for message in made.request(seq).messages)
            assert abs(got / want - 1) <= 0.05, (keys, seq, got, want)
        assert "by the tokenizer" in made.words()[0]
    short = mine(count=count, input=40)
    mean = statistics.mean(sum(count(m["content"]) for m in short.request(seq).messages) for seq in range(100))
    assert mean == pytest.approx(40, rel=0.05)
    (trace,) = [mine(count=count).request(0, size=Size(1300, 9, (5, 6, 7)))]
    assert sum(count(m["content"]) for m in trace.messages) == pytest.approx(1300, rel=0.05)


def test_by_a_tokenizer_too_a_salt_changes_the_nonces_alone() -> None:
    """A nonce of other digits may have another number of tokens; the text behind it must not move."""
    count = tokenizer("bytes")
    one, other = (asked(mine(count=count, salt=salt, prefix={"tokens": 80, "share": 0.5})) for salt in "xy")

    assert [r.prompt_hash for r in one] == [r.prompt_hash for r in other]
    assert all(text(a)[:12] != text(b)[:12] for a, b in zip(one, other, strict=True))
