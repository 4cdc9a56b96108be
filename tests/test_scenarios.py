"""Every scenario of the mock through the reader: the row is the scenario's truth, at any split of its bytes."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from playing import CASES, KINDS, MAPPED, READ_BYTES, case_id, profile_of, row_of, score_of, timed, told, truth
from reading import facts

from loadtests import clock
from loadtests.mock.scenarios import SCENARIOS, TOPICS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from playing import Case

    from loadtests.record import Record

HUGE = {"large_event", "too_large_event"}
SMALL = [case for case in CASES if case[0] not in HUGE]
FEW = [(name, True) for name in (
    "named_events", "crlf", "lone_cr", "cr_lf_apart", "multi_line", "fields", "pings", "bom", "emoji_split",
    "separators", "tokens_per_chunk", "invalid_utf8", "ndjson", "mistral_thinking", "tools", "choices_in_one",
    "usage_each", "unknown_keys", "gzip", "transfer_gzip", "chunk_extensions", "interim", "until_close", "cut", "junk",
    "bad_json", "error_llamacpp_old", "429_page",
)]  # fmt: skip
"""Of each kind of difficulty one."""

NOW_S = clock.realtime_ns() // 1_000_000_000
"""The moment of all answers that are split: the second is in them, and with it the size of what is compressed."""


def heard(case: Case, reads: Iterable[tuple[int, bytes]], waits: Callable[[], bool] = bool) -> Record:
    """The row of a scenario whose bytes came so."""
    name, stream = case
    ending = score_of(case).ending
    return row_of(reads, ending, stream=stream, n=SCENARIOS[name].n, profile=profile_of(case), waits=waits)


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_the_row_of_a_scenario_is_its_truth(case: Case) -> None:
    """A wait told as a moment is up to a second shorter than it was, for the moment has come closer meanwhile."""
    score = score_of(case)
    record = heard(case, timed(score))
    expected, found = truth(SCENARIOS[case[0]], score), told(record)
    wait_s = expected.pop("retry_after_s")
    found_wait_s = found.pop("retry_after_s")

    assert found == expected
    assert found_wait_s == (None if wait_s is None else pytest.approx(wait_s, abs=2.0))
    if score.tokens is not None:
        assert (record.output_tokens, record.tokens_from) == (score.tokens, "usage")
    elif case[0] in MAPPED:
        assert (record.output_tokens, record.tokens_from) == (10, "usage_alt")
    elif score.characters:
        assert record.tokens_from == "estimate"


@pytest.mark.parametrize("case", [case for case in CASES if case[1]], ids=case_id)
def test_every_token_of_a_stream_is_stamped_when_it_was_heard(case: Case) -> None:
    """By kind its characters, and the moments of the writes in which something is said: no more, and no fewer."""
    score = score_of(case)
    record = heard(case, timed(score))
    if record.chunk_ns is None:
        assert record.flags == ["not_streamed"] or not score.characters
        return
    chars: Counter[int] = Counter()
    for kind, length in zip(record.chunk_kind or (), record.chunk_chars or (), strict=True):
        chars[kind] += length

    assert chars == {bit: len(score.heard(kind)) for kind, bit in KINDS.items() if score.heard(kind)}
    assert sorted(set(record.chunk_ns)) == sorted({piece.at_ns for piece in score.pieces if piece.said})


@pytest.mark.parametrize("case", [case for case in CASES if case[0].startswith("error_")], ids=case_id)
def test_what_goes_wrong_inside_an_answer_is_told_in_its_own_words(case: Case) -> None:
    """All scenarios of that topic say the same."""
    assert "The model ran out of memory." in (heard(case, timed(score_of(case))).error or "")


@pytest.mark.parametrize(
    "name", [row.name for topic in ("error statuses", "429 and how long to wait") for row in TOPICS[topic]]
)
def test_an_error_status_is_told_with_all_that_its_body_says_in_words(name: str) -> None:
    """Whatever the body's shape: each text under message, msg, detail or error; and never a tag of a page."""
    record = heard((name, True), timed(score_of((name, True))))
    body = b"".join(score_of((name, True)).writes).partition(b"\r\n\r\n")[2]
    is_json = body[:1] in (b"{", b"[")
    begin, _, said = (record.error or "").partition(": ")

    assert begin == f"HTTP {SCENARIOS[name].status}"
    assert is_json or not set("<>") & set(said)
    for text in texts(orjson.loads(body)) if is_json else ():
        assert text.replace("sk-mock.", "█") in said  # a key is never shown
    assert body or said == "empty body"


def texts(value: Any) -> Iterator[str]:
    """Every text under a key that is meant for people, at any depth; but not what a request's own fields are."""
    if isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, str) and key in ("message", "msg", "detail", "error"):
                yield item
            elif key not in ("metadata", "details"):
                yield from texts(item)


# Splits.


def split(data: bytes, cuts: Iterable[int]) -> Iterator[tuple[int, bytes]]:
    """The bytes as reads that end at these places, too; the k-th one, from 1, at k us."""
    places = sorted({0, len(data), *range(0, len(data), READ_BYTES), *cuts})
    return ((number * 1000, data[a:b]) for number, (a, b) in enumerate(pairwise(places), 1))


def split_facts(case: Case, cuts: Iterable[int], waits: Callable[[], bool] = bool) -> dict[str, Any]:
    """What must be the same at every split."""
    return _without_moments(heard(case, split(b"".join(score_of(case, NOW_S).writes), cuts), waits))


def played_facts(case: Case) -> dict[str, Any]:
    """The same of the answer as it is played, of which other tests say that it is the truth."""
    return _without_moments(heard(case, timed(score_of(case, NOW_S))))


def _without_moments(record: Record) -> dict[str, Any]:
    """A wait that is told as a moment passes while we look; it comes from the head alone."""
    return {name: value for name, value in facts(record).items() if name != "retry_after_s"}


def size(case: Case) -> int:
    return sum(map(len, score_of(case, NOW_S).writes))


def always() -> bool:
    return True


@pytest.mark.parametrize("case", SMALL, ids=case_id)
def test_random_splits_of_a_scenario_give_the_same_row(case: Case) -> None:
    draws = random.Random(case_id(case))
    expected, length = played_facts(case), size(case)

    assert split_facts(case, ()) == expected
    for many in (1, 30):
        cuts = draws.choices(range(length + 1), k=many)
        assert split_facts(case, cuts) == split_facts(case, cuts, always) == expected


@pytest.mark.parametrize("case", FEW, ids=case_id)
def test_a_scenario_byte_by_byte_gives_the_same_row(case: Case) -> None:
    assert split_facts(case, range(size(case))) == played_facts(case)


@given(case=st.sampled_from(FEW), data=st.data(), waits=st.sampled_from((bool, always)))
def test_any_split_of_a_scenario_gives_the_same_row(case: Case, data: st.DataObject, waits: Callable[[], bool]) -> None:
    cuts = data.draw(st.lists(st.integers(0, size(case)), max_size=20))

    assert split_facts(case, cuts, waits) == played_facts(case)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_every_scenario_at_every_step_gives_the_same_row(case: Case) -> None:
    """Byte by byte, by small steps, and at a hundred random splits; the huge ones by longer steps."""
    draws, length = random.Random(case_id(case)), size(case)
    expected, is_huge = played_facts(case), case[0] in HUGE

    for step in (997, 4099) if is_huge else (1, 2, 3, 7, 64):
        assert split_facts(case, range(0, length, step)) == expected
        assert split_facts(case, range(0, length, step), always) == expected
    for _ in range(3 if is_huge else 100):
        waits = random.Random(draws.random()).choice
        cuts = draws.choices(range(length + 1), k=draws.randint(1, 40))
        assert split_facts(case, cuts, lambda: waits((True, True, False))) == expected  # noqa: B023  called at once
