"""Several sides in order: who stands before whom, in which words, and what is left out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gating
import pytest
from digests import TPOT, side
from manyruns import ERRORS, GOODPUT, LATENCY, TTFT, TTFT95

from analysis.compare.left_out import left_out
from analysis.compare.likeness import UnlikeError
from analysis.compare.ranking import COST, rank
from analysis.compare.rules import Rules
from analysis.compare.sentences import interval, leaders, places, told
from analysis.digest import Number
from analysis.places import RUN, Place

if TYPE_CHECKING:
    from analysis.compare.standing import Order, Ranking

PRICE = Place(COST, None, RUN, None, "")
FAST = (0.1, 0.101, 0.099, 0.1005, 0.0995)
SLOW = (0.2, 0.202, 0.198, 0.201, 0.199)
NEAR = (0.201, 0.199, 0.203, 0.197, 0.2)
NOISY = (0.2, 0.26, 0.15, 0.23, 0.17)


def ranked(place: Place = TTFT95, *, across: tuple[str, ...] = ("seed",), **sides: Any) -> Ranking:
    """Sides of one number, whose runs nothing pairs."""
    made = {name: side({place: values}, at=100 * i) for i, (name, values) in enumerate(sides.items())}
    words = place._replace(tokens=None).words
    return rank(made, Rules(primary=(words,), across=frozenset(across)))


def order(place: Place = TTFT95, **sides: Any) -> Order:
    (found,) = ranked(place, **sides).orders
    return found


def standing(found: Order) -> dict[str, str]:
    return {one.name: interval(one) for one in found.standings}


def test_who_is_surely_better_comes_first_and_who_is_alike_shares_a_place() -> None:
    """100 ms against 200 ms with 0.7 % from run to run; 200 against 200: within the margin of 10 %."""
    found = order(slow=SLOW, fast=FAST, near=NEAR)

    assert standing(found) == {"fast": "1", "slow": "2 to 3", "near": "2 to 3"}
    assert places(found) == "fast first; near and slow share places 2 to 3"
    assert {(pair.a, pair.b): pair.relation for pair in found.pairs} == {
        ("slow", "fast"): "worse", ("slow", "near"): "alike", ("fast", "near"): "better",
    }  # fmt: skip


def test_the_sentences_name_the_better_one_first_with_size_interval_and_p() -> None:
    """A ratio of 1/2 with a standard error of 0.5 %: 50 % lower, and the interval is 49 to 51."""
    found = told(order(slow=SLOW, fast=FAST, near=NEAR))

    assert found[0] == "fast's TTFT p95 is 50 % lower than near's [49, 51], p < 0.0001"
    assert found[2].startswith("slow and near: TTFT p95 within 10 % of each other [-")


def test_what_the_runs_do_not_tell_apart_is_said_with_the_runs_it_takes() -> None:
    """From run to run 21 %: 10 % is lost in it. z (1.96 + 1.28) squared, twice, (0.21 / 0.0953) squared: about 100."""
    found = order(one=NOISY, other=[value * 1.1 for value in NOISY])

    assert standing(found) == {"one": "1 to 2", "other": "1 to 2"}
    assert places(found) == "one and other share places 1 to 2"
    (sentence,) = told(found)
    assert sentence.startswith("one and other: TTFT p95 not distinguishable with 5 runs a side (about 1")
    assert sentence.endswith("would detect 10 %)")


def test_p_is_adjusted_for_the_number_of_pairs() -> None:
    """Holm: the least of three p counts three times."""
    found = order(slow=SLOW, fast=FAST, near=NEAR)
    least = min(pair.line.p or 1 for pair in found.pairs)

    assert min(pair.p or 1 for pair in found.pairs) == pytest.approx(3 * least)


def test_certain_and_too_small_to_matter_is_no_place() -> None:
    """1 % with 0.05 % from run to run is certain, and under the 2 % that count at the least."""
    steady = (0.1, 0.10005, 0.09995, 0.1, 0.1)
    found = order(one=[value * 1.01 for value in steady], other=steady)

    assert standing(found) == {"other": "1 to 2", "one": "1 to 2"}
    assert told(found) == ["other's TTFT p95 is 1.0 % lower than one's [0.9, 1.0], p < 0.0001: too small to matter"]


def test_more_is_better_of_goodput_and_nothing_left_is_the_last() -> None:
    found = order(GOODPUT, gone=(0.0,) * 5, half=(3.5, 3.6, 3.4, 3.5, 3.55), whole=(8.0, 8.1, 7.9, 8.0, 8.05))

    assert standing(found) == {"whole": "1", "half": "2", "gone": "3"}
    assert "gone has no goodput left, half does" in told(found)
    assert any(sentence.startswith("whole's goodput is 2.28 times half's [") for sentence in told(found))


def test_shares_differ_by_points() -> None:
    """0 of 500 requests against 5 %, within 0.3 points from run to run."""
    errors = [Number(share, 500) for share in (0.05, 0.053, 0.047, 0.05, 0.052)]
    found = order(ERRORS, clean=[Number(0.0, 500)] * 5, faulty=errors)

    assert standing(found) == {"clean": "1", "faulty": "2"}
    assert told(found)[0].startswith("clean's error rate is 5.04 points lower than faulty's [")


@pytest.mark.parametrize(("runs", "why"), [(1, "one run a side says nothing about the next one"), (4, "4 runs a side")])
def test_few_runs_make_no_order(runs: int, why: str) -> None:
    found = ranked(fast=FAST[:runs], slow=SLOW[:runs], near=NEAR[:runs])

    assert [standing(one) for one in found.orders] == [dict.fromkeys(("fast", "slow", "near"), "1 to 3")]
    assert places(found.orders[0]) == f"no ranking ({why})"
    (left,) = left_out(found)
    assert (left.what, left.why.split(".")[0]) == ("TTFT p95", why)


def test_of_many_sides_neighbours_get_a_sentence_and_the_first_with_the_last() -> None:
    sides: dict[str, Any] = {f"s{k}": [value * 1.5**k for value in FAST] for k in range(5)}
    found = order(**sides)

    assert standing(found) == {f"s{k}": f"{k + 1}" for k in range(5)}
    assert len(told(found)) == 5


def test_an_invalid_side_stands_in_no_order() -> None:
    sides: dict[str, Any] = {"a": side({TTFT95: FAST}), "b": side({TTFT95: SLOW}, at=100)}
    sides["c"] = side({TTFT95: NEAR}, at=200)
    sides["c"][1] = replace(sides["c"][1], verdict="invalid", faults=(gating.FAULT,))
    found = rank(sides, Rules(primary=("ttft_p95",), across=frozenset({"seed"})))

    assert standing(found.orders[0]) == {"a": "1", "b": "2"}
    assert left_out(found)[0] == ("c", "not ranked: 1 of 5 runs is invalid (Little's law)")


def test_sides_that_may_not_stand_beside_each_other_are_named() -> None:
    """Another load; without --across no two of the sides are compared."""
    sides = {"a": side({TTFT95: FAST}), "b": side({TTFT95: SLOW}, at=100, settings={"plan.rate": 16.0})}
    found = rank(sides, Rules(across=frozenset({"seed"})))

    assert not found.orders[0].standings
    (pair, *alone) = [one for one in left_out(found) if "not alike" in one.why] + left_out(found)[:1]
    assert pair.what == "a and b"
    assert "plan.rate: 8.0 against 16.0" in pair.why
    assert alone[0].why == "not ranked: it is comparable with no other side"


def test_a_side_that_is_of_several_kinds_is_named() -> None:
    """Runs of two loads in one side; the other one is called B."""
    mixed = [*side({TTFT95: FAST[:1]}), *side({TTFT95: FAST[:1]}, at=50, settings={"plan.rate": 16.0})]
    found = rank({"B": side({TTFT95: SLOW}, at=100), "mixed": mixed}, Rules(across=frozenset({"seed"})))

    assert found.refused["B", "mixed"].startswith("the runs of mixed differ among themselves in plan.rate: ")


def test_tokens_of_different_counts_are_left_out_and_answers_of_other_lengths_spoil_what_rests_on_them() -> None:
    """TPOT by an estimate against the provider's count; 30 against 60 tokens an answer: goodput, and not TTFT."""
    length, other = Place("mean_output_tokens", None, RUN, "usage", ""), TPOT._replace(tokens="estimate")
    sides = {
        "a": side({TTFT95: FAST, GOODPUT: [8.0] * 5, length: [30.0] * 5, TPOT: [0.01] * 5}),
        "b": side({TTFT95: SLOW, GOODPUT: [7.0] * 5, length: [60.0] * 5, other: [0.01] * 5}, at=100),
    }
    found = rank(sides, Rules(across=frozenset({"seed"})))

    told_of = {left.what: left.why for left in left_out(found)}
    assert told_of["goodput"].startswith("output length of the sides: 30.0 against 60.0 tokens")
    assert told_of["TPOT p50"] == "tokens of a by usage, of b by estimate"
    assert {one.label: standing(one) for one in found.orders}["TTFT p95"] == {"a": "1", "b": "2"}


def test_cost_is_ranked_where_all_have_it() -> None:
    sides = {"a": side({TTFT95: FAST, PRICE: [0.5] * 5}), "b": side({TTFT95: SLOW, PRICE: [0.2] * 5}, at=100)}
    rules = Rules(across=frozenset({"seed"}), only_primary=True)

    assert standing(rank(sides, rules).orders[1]) == {"b": "1", "a": "2"}
    some = rank(sides | {"c": side({TTFT95: NEAR}, at=200)}, rules)
    assert places(some.orders[1]) == "no ranking (no known cost for c)"
    assert ("cost of 1,000 good requests", "no known cost for c") in left_out(some)
    assert not any("leads in cost" in sentence for sentence in leaders(some.orders))


def test_streamed_and_whole_answers_are_told_apart_and_never_ranked() -> None:
    """Both have a latency p95, of other answers: each is marked, and no side is said to have none."""
    whole = LATENCY._replace(group="whole")
    sides = {"s": side({LATENCY: SLOW}), "w": side({whole: FAST}, at=100), "x": side({whole: SLOW}, at=200)}
    (found,) = rank(sides, Rules(primary=("latency_p95",), across=frozenset({"seed"}))).orders

    assert {one.name: one.of for one in found.standings} == {
        "s": "streamed answers", "w": "whole answers", "x": "whole answers",
    }  # fmt: skip
    assert {(pair.a, pair.b): pair.reason for pair in found.pairs if pair.relation == "none"} == {
        ("s", "w"): "s has it for streamed answers, w for whole answers",
        ("s", "x"): "s has it for streamed answers, x for whole answers",
    }  # fmt: skip
    (two,) = rank({name: sides[name] for name in "sw"}, Rules(across=frozenset({"seed"}))).orders
    assert places(two) == "no ranking (s has it for streamed answers, w for whole answers)"
    alike = rank({name: sides[name] for name in "wx"}, Rules(across=frozenset({"seed"}))).orders[0]
    assert {one.of for one in alike.standings} == {""}


def test_what_no_pair_has_was_not_compared_and_is_no_tie() -> None:
    """Two arms of one run: its blocks have too few requests for a p95, the whole of it has enough."""
    blocks = {block: {TTFT: 0.1 + block / 1e4} for block in range(6)}
    a, b = (
        replace(one[0], facts=replace(one[0].facts, run_id="same"), blocks=blocks)
        for one in (side({TTFT: FAST[:1], TTFT95: FAST[:1]}), side({TTFT: FAST[:1], TTFT95: SLOW[:1]}))
    )
    found = rank({"a": [a], "b": [b]}, Rules(primary=("ttft_p50", "ttft_p95")))

    assert places(found.orders[1]) == "no ranking (no pair of blocks has it)"
    assert left_out(found) == [("TTFT p95", "no pair of blocks has it")]
    assert leaders(found.orders) == [
        "No clear leader in TTFT p50.", "No ranking by TTFT p95: no pair of blocks has it.",
    ]  # fmt: skip


def test_who_leads_by_blocks_leads_within_one_run() -> None:
    a, b = (
        replace(one[0], facts=replace(one[0].facts, run_id="same"), blocks={k: {TTFT95: v} for k, v in enumerate(x)})
        for one, x in ((side({TTFT95: FAST[:1]}), FAST), (side({TTFT95: NEAR[:1]}), NEAR))
    )

    assert leaders(rank({"a": [a], "b": [b]}, Rules()).orders) == ["a leads in TTFT p95, within one run."]


@pytest.mark.parametrize(("runs", "why"), [(3, "3 runs of one side"), (1, "1 run of one side")])
def test_too_few_runs_of_one_side_are_told_as_that(runs: int, why: str) -> None:
    assert places(order(fast=FAST, slow=SLOW[:runs])) == f"no ranking ({why})"


def test_where_nobody_has_anything_no_side_is_singled_out() -> None:
    found = ranked(GOODPUT, a=(0.0,) * 5, b=(0.0,) * 5, c=(0.0,) * 5)

    assert places(found.orders[0]) == "no ranking (it is 0 on both sides)"
    assert left_out(found) == [("goodput", "it is 0 on both sides")]


def test_of_many_reasons_for_no_order_the_first_are_told() -> None:
    sides = {str(k): side({TPOT._replace(tokens=f"t{k}"): FAST}, at=100 * k) for k in range(3)}
    found = rank(sides, Rules(primary=("tpot_p50",), across=frozenset({"seed"})))

    assert places(found.orders[0]) == (
        "no ranking (tokens of 0 by t0, of 1 by t1; tokens of 0 by t0, of 2 by t2; and 1 more)"
    )
    assert ("TPOT p50 of 1 and 2", "tokens of 1 by t1, of 2 by t2") in left_out(found)
    assert [one.of for one in found.orders[0].standings] == ["tokens by t0", "tokens by t1", "tokens by t2"]


def test_numbers_that_are_left_out_are_named_with_their_group() -> None:
    """B has no whole answers: its latency as such is there."""
    sides = {
        "a": side({LATENCY: FAST, LATENCY._replace(group="whole"): FAST}), "b": side({LATENCY: SLOW}, at=100),
    }  # fmt: skip

    assert left_out(rank(sides, Rules(across=frozenset({"seed"})))) == [("latency, whole p95", "b has none")]


def test_a_fault_hides_no_number() -> None:
    """Both sides are invalid: no order, and what they measured is still told."""
    sides = {"a": side({TTFT95: FAST}, verdict="invalid"), "b": side({TTFT95: SLOW}, at=100, verdict="invalid")}
    (found,) = rank(sides, Rules(across=frozenset({"seed"}))).orders

    assert not found.standings
    assert [round(one.value, 3) for one in found.outside] == [0.1, 0.2]


def test_who_leads_is_said_first() -> None:
    found = ranked(fast=FAST, slow=SLOW, near=NEAR)

    assert leaders(found.orders) == ["fast leads in TTFT p95."]
    assert leaders(ranked(slow=SLOW, near=NEAR).orders) == ["No clear leader in TTFT p95."]
    assert leaders(ranked(slow=SLOW[:4], near=NEAR[:4]).orders) == ["No ranking by TTFT p95: 4 runs a side."]


def test_a_word_that_across_does_not_know_is_no_reason_to_leave_sides_out() -> None:
    with pytest.raises(UnlikeError, match='--across "bogus": not one of host, seed'):
        ranked(across=("bogus",), a=FAST, b=SLOW)


def test_what_one_run_has_too_few_requests_for_is_not_printed() -> None:
    """Of several runs it counts, as each is one value among others."""
    few = Number(0.1, 3, supported=False)
    runs = [replace(one, numbers={TTFT95: few}) for one in side({TTFT95: FAST})]

    assert [rank({"a": some}, Rules()).orders[0].standings[0].supported for some in (runs[:1], runs)] == [False, True]
