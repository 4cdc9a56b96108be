"""Sides that may stand beside each other, and those that may not unless it is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from digests import side
from hypothesis import given
from hypothesis import strategies as st
from manyruns import TTFT

from analysis.compare.likeness import ACROSS, UnlikeError, differences, kind_of, refuse
from analysis.rundir import RunError

if TYPE_CHECKING:
    from analysis.digest import Digest


def runs(settings: dict[str, Any], seeds: tuple[int, ...] = (1, 2), **more: Any) -> list[Digest]:
    return side({TTFT: [0.2] * len(seeds)}, seeds=seeds, settings=settings, **more)


SAME = runs({})


@pytest.mark.parametrize(
    ("setting", "value", "word"),
    [
        ("plan.rate", 9.0, "load"),
        ("plan.concurrency", 4, "load"),
        ("plan.duration_s", 60, "load"),
        ("plan.workload", "rag", "workload"),
        ("plan.definitions.chat.weight", 7, "workload"),
        ("plan.output_tokens", 64, "workload"),
        ("hashes.workload", "x", "workload"),
        ("host.cpu", "other", "host"),
        ("host.usable_cpus", 64, "host"),
    ],
)
def test_what_was_to_be_held_constant_is_refused_by_its_name(setting: str, value: Any, word: str) -> None:
    other = runs({setting: value})
    with pytest.raises(UnlikeError) as refused:
        refuse(SAME, other, ())
    text = str(refused.value)

    assert f"{setting}: " in text
    assert f"--across {word} compares them all the same" in text
    assert "\n" not in text
    assert isinstance(refused.value, RunError)
    refuse(SAME, other, {word})
    assert [one.name for one in differences(SAME, other)] == [setting]


@pytest.mark.parametrize(
    "setting",
    [
        "model", "profile.base_url", "profile.headers.x", "plan.params.temperature", "labels.commit",
        "versions.firsttoken", "host.node", "host.kernel", "hashes.schedule", "hashes.prompts", "plan.workers",
        "plan.budget_cost",
    ],
)  # fmt: skip
def test_what_a_comparison_is_about_may_differ_and_is_shown(setting: str) -> None:
    other = runs({setting: "x"})
    refuse(SAME, other, ())

    assert kind_of(setting) == ""
    assert [(one.name, one.b) for one in differences(SAME, other)] == [(setting, "x")]


@pytest.mark.parametrize(
    ("a", "b", "is_alike"),
    [
        ((1, 2, 3), (1, 2, 3), True),
        ((1, 2, 3), (3, 2), True),  # fewer runs of the same series
        ((2,), (1, 2, 3), True),
        ((1, 2, 3), (3, 4, 5), False),
        ((1,), (2,), False),
    ],
)
def test_seeds_are_alike_where_one_side_has_no_other_ones(
    a: tuple[int, ...], b: tuple[int, ...], is_alike: bool
) -> None:
    left, right = runs({}, a), runs({}, b)
    refuse(left, right, {"seed"})
    if is_alike:
        refuse(left, right, ())
        assert differences(left, right) == ()
    else:
        with pytest.raises(UnlikeError, match="--across seed compares"):
            refuse(left, right, ())


def test_other_promises_are_refused() -> None:
    promised = runs({}, objectives=("ttft_p95<2s",))

    with pytest.raises(UnlikeError, match=r"plan.objectives: \[\] against \['ttft_p95<2s'\]; --across objectives"):
        refuse(SAME, promised, ())
    refuse(SAME, promised, {"objectives"})


def test_all_kinds_are_named_at_once_and_many_settings_are_counted() -> None:
    other = runs({"plan.rate": 9, "plan.mode": "closed", "host.cpu": "y", "plan.workload": "rag", "plan.hold": True})

    with pytest.raises(UnlikeError) as refused:
        refuse(SAME, other, {"seed"})
    text = str(refused.value)
    words = text.partition("--across ")[2].partition(" ")[0].split(",")

    assert words[0] == "seed"
    assert set(words) == {"seed", "load", "workload", "host"}
    assert " and 2 more" in text
    refuse(SAME, other, words)


@pytest.mark.parametrize("word", ["hosts", "", "Seed"])
def test_a_word_that_nobody_knows_is_one_line(word: str) -> None:
    with pytest.raises(UnlikeError, match=f'--across "{word}": not one of host, seed, load'):
        refuse(SAME, SAME, {word})


@given(st.sets(st.sampled_from(ACROSS)))
def test_every_known_word_may_be_named(words: set[str]) -> None:
    refuse(SAME, SAME, words)


def test_what_a_run_does_not_know_is_not_set_there() -> None:
    """A run of an earlier version lacks the key; a parameter of 0 is set."""
    assert differences(SAME, runs({"plan.hold": False, "plan.think_s": None, "host.x": ""})) == ()
    assert [one.name for one in differences(SAME, runs({"plan.params.temperature": 0}))] == ["plan.params.temperature"]


def test_runs_of_one_side_that_differ_are_told_as_their_values() -> None:
    mixed = runs({"plan.rate": 8.0})[:1] + runs({"plan.rate": 16.0})[1:]
    (found,) = differences(SAME, mixed)

    assert (found.name, found.a, found.b) == ("plan.rate", 8.0, [8.0, 16.0])


def test_long_values_are_cut() -> None:
    with pytest.raises(UnlikeError) as refused:
        refuse(SAME, runs({"plan.stages": ["x" * 500]}), ())

    assert len(str(refused.value)) < 200
