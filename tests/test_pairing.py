"""What stands against what: blocks, rounds, seeds, or runs that nothing pairs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from digests import side
from manyruns import ARRIVALS, TTFT

from analysis.compare import pairing
from analysis.compare.pairing import design
from analysis.digest import Number
from analysis.places import Place

TPOT = Place("tpot_s", None, "stream", "usage", "p50")
OTHER = TPOT._replace(tokens="estimate")


def values(replicates: list[pairing.Numbers], place: Place = TTFT) -> list[float]:
    return [numbers[place].value for numbers in replicates]


def test_one_run_a_side_is_one_run_though_they_have_the_same_seed() -> None:
    found = design(side({TTFT: [0.2]}, seeds=[7]), side({TTFT: [0.3]}, 9, seeds=[7]))

    assert (found.of, found.is_paired) == ("one run", False)
    assert (values(found.a), values(found.b)) == ([0.2], [0.3])


def test_blocks_of_one_run_are_paired_by_their_number() -> None:
    """Block 3 was played by A alone."""
    a, b = side({TTFT: [0.2]}, arm="a"), side({TTFT: [0.3]}, arm="b")
    left = replace(a[0], blocks={2: {TTFT: 0.22}, 1: {TTFT: 0.21}, 3: {TTFT: 0.23}})
    right = replace(b[0], blocks={1: {TTFT: 0.31}, 2: {TTFT: 0.32}})
    found = design([left], [right])

    assert (found.of, found.is_paired) == ("blocks", True)
    assert (values(found.a), values(found.b)) == ([0.21, 0.22], [0.31, 0.32])
    assert design([left], [replace(right, facts=replace(right.facts, run_id="else"))]).of == "one run"


def test_rounds_of_one_campaign_are_paired() -> None:
    """Three rounds, of which B has not played the first one."""
    a = [replace(one, round=i, session="c") for i, one in enumerate(side({TTFT: [0.2, 0.21, 0.22]}))]
    b = [replace(one, round=2 - i, session="c") for i, one in enumerate(side({TTFT: [0.32, 0.31]}, 9))]
    found = design(a, b)

    assert (found.of, values(found.a), values(found.b)) == ("rounds", [0.21, 0.22], [0.31, 0.32])
    assert design(a, [replace(one, session="d") for one in b]).of == "runs"


def test_runs_of_the_same_seeds_are_paired_whatever_their_order() -> None:
    found = design(side({TTFT: [0.21, 0.22, 0.23]}, seeds=[1, 2, 3]), side({TTFT: [0.33, 0.31, 0.32]}, 9, [3, 1, 2]))

    assert (found.of, values(found.a), values(found.b)) == ("seeds", [0.21, 0.22, 0.23], [0.31, 0.32, 0.33])


@pytest.mark.parametrize(
    ("a", "b"),
    [([1, 2, 3], [1, 2, 4]), ([1, 2, 3], [1, 2]), ([1, 1, 1], [1, 1, 1]), ([1, 1, 2, 2], [1, 1, 2, 2])],
)
def test_other_seeds_and_few_of_them_pair_nothing(a: list[int], b: list[int]) -> None:
    """Two seeds of two runs each would leave two pairs of four replicates."""
    assert design(side({TTFT: [0.2] * len(a)}, seeds=a), side({TTFT: [0.3] * len(b)}, 9, b)).of == "runs"


def test_several_runs_of_each_of_five_seeds_are_their_geometric_means() -> None:
    """0.1 and 0.4 of each seed: 0.2; where one is 0 the plain mean."""
    seeds = [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    place = Place("error_rate", None, "run", None, "")
    a = side({TTFT: [0.1, 0.4] * 5, place: [0.0, 0.1] * 5}, seeds=seeds)
    found = design(a, side({TTFT: [0.3] * 5}, 99, [1, 2, 3, 4, 5]))

    assert found.of == "seeds"
    assert values(found.a) == pytest.approx([0.2] * 5)
    assert values(found.a, place) == pytest.approx([0.05] * 5)
    assert found.a[0][TTFT].n == 320


def test_what_is_of_one_kind_stands_together() -> None:
    """One source a side: beside each other, though not of one unit. Of several sources those of the same one."""
    one, both = {TPOT: Number(1, 1)}, {TPOT: Number(1, 1), OTHER: Number(2, 1)}

    assert list(pairing.together([one], [{OTHER: Number(2, 1)}])) == [(TPOT, OTHER)]
    assert list(pairing.together([one], [both])) == [(TPOT, TPOT), (None, OTHER)]
    assert list(pairing.together([both, one], [both])) == [(TPOT, TPOT), (OTHER, OTHER)]
    assert list(pairing.together([{ARRIVALS: Number(8, 1)}], [one])) == [(ARRIVALS, None), (None, TPOT)]
