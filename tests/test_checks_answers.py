"""How far up percentiles go, what timeouts cut off of them, and which prompts came again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import synthetic

from analysis import rundir, window
from analysis.checks import answers
from analysis.checks.rule import evidence
from analysis.units import NONE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np

    from analysis.checks.rule import Check
    from loadtests import record

    Change = Callable[[record.Record, np.random.Generator], None]


def judged(path: Path, of: Callable[[Any], Check], recipe: synthetic.Recipe, **plan: Any) -> Check:
    recipe.manifest = {"plan": synthetic.manifest_of(recipe, recipe.n)["plan"] | plan}
    run = rundir.load(synthetic.write(path / "r", recipe))
    return of(evidence(run, window.find(run)))


def timeout(n: int, kind: str, after_s: float, column: str = "first_token_ns") -> Change:
    """Of the first arrivals so many waited that long for nothing."""

    def change(row: record.Record, _: np.random.Generator) -> None:
        if row.seq >= n:
            return
        row.outcome, row.error_kind = "error", kind
        if kind == "timeout_silence":
            assert row.last_token_ns is not None
            row.end_ns = row.last_token_ns + int(1e9 * after_s)
            return
        row.end_ns = row.scheduled_ns + int(1e9 * after_s)
        row.chunks = row.chunk_ns = row.chunk_kind = row.chunk_chars = None
        row.first_event_ns = row.first_token_ns = row.first_answer_ns = row.last_token_ns = row.headers_ns = None
        setattr(row, column, None)

    return change


@pytest.mark.parametrize(
    ("n", "kind", "after_s", "status"),
    [
        (0, "timeout_total", 5.0, "ok"),
        (1, "timeout_total", 1.5, "doubtful"),
        (1, "timeout_total", 5.0, "ok"),
        (20, "timeout_total", 5.0, "invalid"),
        (1, "timeout_first_byte", 0.5, "doubtful"),
        (1, "timeout_first_byte", 5.0, "ok"),
        (1, "timeout_connect", 0.5, "doubtful"),
        (1, "timeout_silence", 0.05, "doubtful"),
        (1, "timeout_silence", 5.0, "ok"),
        (20, "reset", 1.5, "ok"),
    ],
)
def test_timeouts_count_where_the_percentile_would_have_been(
    tmp_path: Path, n: int, kind: str, after_s: float, status: str
) -> None:
    """
    160 answers support p95: TTFT's is 0.2 s e^(1.645 * 0.2) = 0.28 s, latency's about 0.95 s, the longest gap's 0.05 s.

    A timeout up to twice that is near; 20 of 160 are 12.5 %, more than the 5 % above p95.
    """
    check = judged(tmp_path, answers.timeouts, synthetic.Recipe(change=timeout(n, kind, after_s), stream_share=1.0))

    assert (check.number, check.name, check.status) == (15, "timeouts, against p95", status)
    assert ("twice the p95" in check.why) == (status == "ok" and n == 1)


def test_a_timeout_of_whole_answers_is_held_against_their_latency(tmp_path: Path) -> None:
    """Nothing streams, so the first byte comes with the answer, after about 0.8 s: 1.5 s are near."""
    recipe = synthetic.Recipe(change=timeout(1, "timeout_first_byte", 1.5), stream_share=0.0)

    assert judged(tmp_path, answers.timeouts, recipe).status == "doubtful"


def asked(distinct: int) -> Change:
    """So many different prompts, over and over."""

    def change(row: record.Record, _: np.random.Generator) -> None:
        row.prompt_hash = row.seq % distinct

    return change


@pytest.mark.parametrize(
    ("distinct", "plan", "status", "value"),
    [
        (160, {}, "ok", "0 % (0 of 160)"),
        (150, {}, "doubtful", "6.25 % (10 of 160)"),
        (40, {}, "invalid", "75.0 % (120 of 160)"),
        (40, {"definitions": [{"name": "chat", "cache": "warm", "distinct": 40}]}, "not_judged", NONE),
        (40, {"arrivals": "trace:a.jsonl"}, "not_judged", NONE),
        (40, {"definitions": [{"name": "chat", "cache": "cold", "dataset": {"file": "a"}}]}, "ok", "0 % (0 of 160)"),
        (40, {"definitions": [{"name": "chat", "cache": "cold"}]}, "invalid", "75.0 % (120 of 160)"),
    ],
)
def test_prompts_that_come_again_are_a_fault_where_they_were_meant_to_be_new(
    tmp_path: Path, distinct: int, plan: dict[str, Any], status: str, value: str
) -> None:
    check = judged(tmp_path, answers.duplicates, synthetic.Recipe(change=asked(distinct)), **plan)

    assert (check.number, check.status, check.value) == (18, status, value)
    assert ("120 prompts of a dataset were repeated" in check.why) == ("dataset" in str(plan))


def test_the_same_message_in_two_conversations_is_no_duplicate(tmp_path: Path) -> None:
    """A later turn's hash is of its new message alone."""

    def talk(row: record.Record, _: np.random.Generator) -> None:
        row.conversation, row.turn = divmod(row.seq, 4)
        row.prompt_hash = row.seq if row.turn == 0 else 7

    assert judged(tmp_path, answers.duplicates, synthetic.Recipe(change=talk)).value == "0 % (0 of 40)"


@pytest.mark.parametrize(
    ("n", "value", "why"),
    [
        (10, "p50", "10 answers; p90 needs ≥ 29"),
        (160, "p95", "160 answers; p99 needs ≥ 299"),
        (100, "p95", "100 answers; p99 needs ≥ 299; p95 is rough (~) below 130"),
    ],
)
def test_percentiles_go_as_far_up_as_the_answers_allow(tmp_path: Path, n: int, value: str, why: str) -> None:
    check = judged(tmp_path, answers.certified, synthetic.Recipe(n=n))

    assert (check.value, check.why) == (value, why)


def test_answers_that_come_in_clusters_count_for_fewer(tmp_path: Path) -> None:
    """The slowest 8 of 640 all come within the same second: one piece of bad luck tells little of p99."""
    recipe = synthetic.Recipe(n=640, warm=lambda t: 8.0 if 40 <= t < 41 else 1.0, poisson=False)
    check = judged(tmp_path, answers.certified, recipe)

    assert check.value == "p95"
    assert check.why.startswith("640 answers, clustered: worth 9")
    assert check.why.endswith("; p99 needs ≥ 299")


def test_no_answer_at_all_supports_nothing(tmp_path: Path) -> None:
    def fail(row: record.Record, _: np.random.Generator) -> None:
        row.outcome, row.error_kind = "error", "timeout_total"

    recipe = synthetic.Recipe(n=40, change=fail)

    assert judged(tmp_path, answers.certified, recipe).status == "not_judged"
    assert judged(tmp_path, answers.timeouts, recipe).status == "invalid"
