"""What the mock plays is a pure function of the script and the request's number, and keeps to the options' words."""

from __future__ import annotations

import statistics
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.mock.script import FAULTS, STREAM_FAULTS, USAGES, VOCABULARY, Script

SCRIPTS = st.builds(
    Script,
    seed=st.integers(-3, 3),
    ttft_s=st.floats(0, 2),
    ttft_sigma=st.floats(0, 1),
    gap_s=st.sampled_from([0.0, 0.001, 0.05]),
    gap_sigma=st.sampled_from([0.0, 0.3]),
    output_tokens=st.integers(1, 200),
    tokens_per_chunk=st.integers(1, 7),
    error_rate=st.floats(0, 1),
    faults=st.lists(st.sampled_from(FAULTS), min_size=1).map(tuple),
    usage=st.sampled_from(USAGES),
    reasoning_tokens=st.integers(0, 20),
    ignore_cap=st.booleans(),
)
REQUESTS = st.tuples(st.integers(1, 10**6), st.integers(0, 5000), st.none() | st.integers(1, 300), st.booleans())


@given(SCRIPTS, REQUESTS)
def test_a_performance_is_a_pure_function_of_script_and_request(
    script: Script, request: tuple[int, int, int | None, bool]
) -> None:
    first = script.play(*request)
    script.play(request[0] + 1, 7, None, stream=True)

    assert script.play(*request) == first


@given(SCRIPTS, REQUESTS)
def test_offsets_ascend_one_for_each_chunk_and_begin_after_the_prefill(
    script: Script, request: tuple[int, int, int | None, bool]
) -> None:
    """The prefill is 0.05 s for each 1,000 tokens: 50,000 ns a token; a nanosecond is for rounding."""
    play = script.play(*request)

    assert len(play.offsets_ns) == len(play.texts) > 0
    assert play.offsets_ns[0] >= 50_000 * request[1] - 1
    assert all(before <= after for before, after in pairwise(play.offsets_ns))


@given(SCRIPTS, REQUESTS)
def test_the_cap_is_respected_and_told_unless_it_is_to_be_ignored(
    script: Script, request: tuple[int, int, int | None, bool]
) -> None:
    number, prompt_tokens, cap, stream = request
    capped, free = script.play(*request), script.play(number, prompt_tokens, None, stream)
    limit = free.tokens if cap is None or script.ignore_cap else cap

    assert capped.tokens == min(limit, free.tokens)
    assert capped.finish_reason == ("length" if limit < free.tokens else "stop")
    assert capped.offsets_ns[0] == free.offsets_ns[0]


@given(SCRIPTS, REQUESTS)
def test_reasoning_comes_first_and_shares_no_chunk_with_the_answer(
    script: Script, request: tuple[int, int, int | None, bool]
) -> None:
    """ceil(tokens / tokens per chunk) chunks, of reasoning and of the rest each."""
    play, size = script.play(*request), script.tokens_per_chunk

    assert play.reasoning_tokens == min(script.reasoning_tokens, play.tokens)
    assert play.reasoning_chunks == -(-play.reasoning_tokens // size)
    assert len(play.texts) - play.reasoning_chunks == -(-(play.tokens - play.reasoning_tokens) // size)


@given(SCRIPTS, REQUESTS)
def test_a_whole_answer_never_has_a_fault_that_only_a_stream_can_have(
    script: Script, request: tuple[int, int, int | None, bool]
) -> None:
    number, prompt_tokens, cap, _ = request
    streamed = script.play(number, prompt_tokens, cap, stream=True).fault
    whole = script.play(number, prompt_tokens, cap, stream=False).fault

    assert whole == ("http_500" if streamed in STREAM_FAULTS else streamed)


def test_without_spread_the_moments_are_the_options() -> None:
    """0.2 s + 2,000 tokens * 0.05 s / 1,000 = 0.3 s; then 10 ms each. Lengths are 2 to 4; the cap makes it 2."""
    script = Script(ttft_s=0.2, ttft_sigma=0, gap_s=0.01, gap_sigma=0, output_tokens=3)

    play = script.play(1, 2000, 2, stream=True)

    assert play.offsets_ns == (300_000_000, 310_000_000)


def test_time_to_first_token_has_the_median_that_was_asked_for() -> None:
    """The median's standard error is 1.25 * 0.25 / sqrt(2000) = 0.7 % of it; four of these are 2.8 %."""
    script = Script(ttft_s=0.2, ttft_sigma=0.25)

    firsts = [script.play(n, 0, 1, stream=True).offsets_ns[0] for n in range(1, 2001)]

    assert statistics.median(firsts) == pytest.approx(0.2e9, rel=0.028)


def test_gaps_have_exactly_the_median_and_about_the_sigma_that_were_asked_for() -> None:
    """
    Draws come in pairs z, -z, so that the table's median is gap_s but for the least |z| of 4,096, about 0.0003.

    8,193 chunks play the whole table once. The sigma's standard error is 0.3 / sqrt(2 * 4096) = 0.0033.
    """
    script = Script(gap_s=0.01, gap_sigma=0.3, output_tokens=30_000)

    offsets = script.play(1, 0, 8193, stream=True).offsets_ns
    gaps = [after - before for before, after in pairwise(offsets)]

    assert statistics.median(gaps) == pytest.approx(0.01e9, rel=0.001)
    deciles = statistics.quantiles(gaps, n=10)
    assert deciles[8] / deciles[4] == pytest.approx(2.718281828 ** (0.3 * 1.2816), rel=0.02)


def test_answers_have_the_mean_length_that_was_asked_for() -> None:
    """Even from 32 to 96: mean 64, variance (65**2 - 1) / 12 = 352; four standard errors of 2,000 are 1.7."""
    lengths = [Script().play(n, 0, None, stream=True).tokens for n in range(1, 2001)]

    assert min(lengths) == 32
    assert max(lengths) == 96
    assert statistics.mean(lengths) == pytest.approx(64, abs=1.7)


def test_the_error_rate_is_kept_and_all_faults_have_their_share() -> None:
    """3 % of 10,000 is 300, standard deviation 17; each of two faults 150, standard deviation 12. Four of each."""
    script = Script(error_rate=0.03, faults=("http_429", "cut"), output_tokens=1)

    faults = [script.play(n, 0, None, stream=True).fault for n in range(1, 10_001)]

    assert abs(10_000 - faults.count(None) - 300) < 68
    assert abs(faults.count("cut") - 150) < 49


def test_errors_move_nothing_else() -> None:
    """The same request with and without faults has the same moments and words, so that runs can be compared."""
    sound, faulty = Script(), Script(error_rate=1.0, faults=("no_done",))

    assert sound.play(5, 10, None, stream=True).offsets_ns == faulty.play(5, 10, None, stream=True).offsets_ns


def test_no_word_needs_escaping_inside_a_json_string() -> None:
    assert not any(c in '"\\' or ord(c) < 32 for word in VOCABULARY for c in word)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ttft_s", -0.1),
        ("ttft_s", float("nan")),
        ("gap_sigma", float("inf")),
        ("output_tokens", 0),
        ("tokens_per_chunk", 0),
        ("reasoning_tokens", -1),
        ("error_rate", 1.5),
        ("faults", ("http_418",)),
        ("faults", ()),
        ("usage", "sometimes"),
    ],
)
def test_what_cannot_be_played_is_refused_by_name_and_value(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{name}: ") as refused:
        Script(**{name: value})  # type: ignore[arg-type]

    assert repr(value) in str(refused.value)
