"""The lines of a comparison: which there are, which are primary, what they say beside their verdict."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from digests import side, versus
from manyruns import GOODPUT, LATENCY, TTFT, TTFT95

from analysis.compare import rules
from analysis.compare.rules import Rules, bare
from analysis.digest import Number
from analysis.metrics import METRICS
from analysis.places import Place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from digests import Values

    from analysis.digest import Digest

WHOLE = LATENCY._replace(group="whole")
P90 = TTFT._replace(what="p90")
CHAT = TTFT._replace(by="workload", group="chat")


def test_primary_lines_come_first_as_they_were_named() -> None:
    values = {CHAT: [1.0], GOODPUT: [8.0], LATENCY: [2.0], TTFT: [1.0]}
    found = versus(side(values), side(values, 9), primary=("ttft_p50", "latency_p95", "goodput")).lines

    assert [line.place for line in found] == [TTFT, LATENCY, GOODPUT, CHAT]
    assert [line.primary for line in found] == [True, True, True, False]


def test_a_primary_number_is_that_of_streams_where_there_are_any() -> None:
    values = {WHOLE: [2.0], LATENCY: [3.0]}
    streams = versus(side(values), side(values, 9)).primary
    whole = versus(side({WHOLE: [2.0]}), side({WHOLE: [2.0]}, 9)).primary

    assert [line.place for line in streams] == [LATENCY]
    assert [line.place for line in whole] == [WHOLE]


def test_a_primary_number_of_tokens_rests_on_the_providers_counts() -> None:
    tpot = Place("tpot_s", None, "stream", "estimate", "p50")
    values = {tpot: [0.01], tpot._replace(tokens="usage"): [0.02]}

    assert [line.place.tokens for line in versus(side(values), side(values, 9)).primary] == ["usage"]


def test_only_usual_percentiles_are_compared() -> None:
    values = {P90: [1.0], TTFT: [1.0], TTFT95: [2.0]}

    assert [line.place for line in versus(side(values), side(values, 9)).lines] == [TTFT, TTFT95]


def test_a_side_is_the_geometric_mean_of_its_runs() -> None:
    """Of 0.1 and 0.4 it is 0.2, of 0.2 and 0.8 0.4; 100 + 150 and 200 + 300 requests."""
    a = side({TTFT: [Number(0.1, 100), Number(0.4, 150)]})
    b = side({TTFT: [Number(0.2, 200), Number(0.8, 300)]}, 9)
    (line,) = versus(a, b).lines

    assert [line.a, line.b] == pytest.approx([0.2, 0.4])
    assert (line.runs_a, line.runs_b, line.n_a, line.n_b) == (2, 2, 250, 500)
    assert line.effect == pytest.approx(2)
    assert line.shift == pytest.approx(2)  # the middle of 0.5, 2, 2, 8
    assert line.superiority == pytest.approx(3 / 4)


def test_a_run_that_lacks_a_number_is_left_out_of_it() -> None:
    a = side({TTFT: [0.2] * 3}) + side({LATENCY: [1.0]}, 5)
    (line,) = [one for one in versus(a, side({TTFT: [0.2] * 4}, 9)).lines if one.place == TTFT]

    assert (line.runs_a, line.runs_b) == (3, 4)


def test_what_could_be_found_is_told_in_the_worse_direction() -> None:
    """
    Five runs a side whose logs have an sd of 0.0158, so se 0.01.

    Alone in its family, t(8) at 5 % is 2.306; with power 0.8 the noncentral t asks for 3.2 standard errors and a
    little: +3.3 % of a time, -3.2 % of a rate.
    """
    logs = [-0.02, -0.01, 0.0, 0.01, 0.02]
    values = [math.exp(x) for x in logs]
    found = {
        place: versus(side({place: values}), side({place: values}, 9), primary=(bare(place),)).lines[0].detectable
        for place in (TTFT, GOODPUT)
    }

    assert math.log(found[TTFT] or 1) == pytest.approx(0.0323, abs=0.0007)
    assert math.log(found[GOODPUT] or 1) == pytest.approx(-0.0323, abs=0.0007)


# What is in no pair.


def arm(runs: Values, blocks: Sequence[float] | None, place: Place = TTFT95) -> list[Digest]:
    """An arm of one run: what it has as a whole, and in its blocks: TTFT, and another number where it is given."""
    (one,) = side(runs)
    found = {at: {TTFT: 0.2 + at / 1e4} for at in range(6)}
    for at, value in enumerate(blocks or ()):
        found[at][place] = value
    return [replace(one, facts=replace(one.facts, run_id="same"), blocks=found)]


WITHOUT: Values = {TTFT: [0.2]}
WITH: Values = {TTFT: [0.2], TTFT95: [0.5]}
NO_PAIR = "no pair of blocks has it"


@pytest.mark.parametrize(
    ("a", "b", "reason", "verdict", "values"),
    [
        ((WITH, None), (WITH, None), NO_PAIR, "not_compared", (0.5, 0.5)),
        ((WITH, None), (WITH, [0.4] * 6), NO_PAIR, "not_compared", (0.5, 0.5)),
        ((WITH, [0.4] * 6), (WITH, None), NO_PAIR, "inconclusive", (0.5, 0.5)),
        ((WITHOUT, None), (WITH, None), "A has none", "not_compared", (None, 0.5)),
        ((WITH, None), (WITHOUT, None), "B has none", "inconclusive", (0.5, None)),
    ],
)
def test_a_primary_number_that_no_pair_has_is_told_with_the_reason(
    a: tuple[Values, Any], b: tuple[Values, Any], reason: str, verdict: str, values: tuple[float | None, float | None]
) -> None:
    """Blocks may have too few requests for a p95 that their runs have; what B lacks and A has is no pass, as ever."""
    found = versus(arm(*a), arm(*b), primary=("ttft_p50", "ttft_p95"))
    line = found.lines[1]

    assert (found.design, line.place, line.primary) == ("blocks", TTFT95, True)
    assert (line.reason, line.verdict, line.effect) == (reason, verdict, None)
    assert (line.a, line.b) == values
    assert found.verdict == ("pass" if verdict == "not_compared" else "inconclusive")


def test_blocks_that_no_other_blocks_stand_against_are_no_pair() -> None:
    a, b = arm(WITH, [0.4] * 3), arm(WITH, [0.4] * 6)
    later = {at: found if at > 2 else {TTFT: 0.2} for at, found in b[0].blocks.items()}
    line = versus(a, [replace(b[0], blocks=later)]).lines[1]

    assert (line.reason, line.verdict, line.a, line.b) == (NO_PAIR, "inconclusive", 0.5, 0.5)


def test_of_one_run_a_value_of_too_few_requests_is_not_told() -> None:
    loose: Values = {TTFT: [0.2], TTFT95: [Number(0.5, 12, supported=False)]}
    line = versus(arm(loose, None), arm(loose, None)).lines[1]
    blocks = versus(arm(loose, [0.4] * 6), arm(loose, [0.4] * 6)).lines[1]

    assert (line.reason, line.a, line.b) == (NO_PAIR, None, None)
    assert (blocks.reason, blocks.a, blocks.effect) == (
        "too few requests for p95: A has 12 of 59 and B has 12 of 59", None, None,
    )  # fmt: skip


def test_what_neither_side_has_is_no_line() -> None:
    assert [line.place for line in versus(arm(WITHOUT, None), arm(WITHOUT, None)).lines] == [TTFT]


# Rules.


def test_every_word_names_one_number() -> None:
    words = rules.words()

    assert len(set(words)) == len(words)
    assert set(rules.PRIMARY) <= set(words)


@pytest.mark.parametrize(
    ("place", "margin", "least"),
    [
        (TTFT, 0.05, 0.02),
        (TTFT95, 0.10, 0.02),
        (GOODPUT, 0.05, 0.02),
        (Place("error_rate", None, "run", None, ""), 0.01, 0.004),
        (Place("attainment", None, "run", None, ""), 0.01, 0.004),
    ],
)
def test_margins_unless_others_are_named(place: Place, margin: float, least: float) -> None:
    assert (Rules().margin(place), Rules().least(place)) == (margin, least)
    assert Rules(margins={bare(place): 0.5}).margin(place) == 0.5
    assert Rules(margins={"something_else": 0.5}).margin(place) == margin


def test_a_margin_holds_for_a_number_in_all_its_groups() -> None:
    assert Rules(margins={"ttft_p50": 0.5}).margin(CHAT) == 0.5


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: str(metric.name))
def test_every_metric_has_a_direction_and_a_scale(metric: object) -> None:
    name = getattr(metric, "name", "")
    place = Place(name, None, "run", None, "")

    assert rules.sign(place) in {-1, 0, 1}
    assert rules.is_share(place) == (getattr(metric, "unit", "") == "share")
