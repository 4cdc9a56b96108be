"""A run as the numbers that judge it beside others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import synthetic
from manyruns import ARRIVALS, ERRORS, GOODPUT, LATENCY, TTFT, TTFT95

from analysis import arms, campaign, digest, rundir
from analysis.places import Place
from analysis.summary import judge

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests import record

TPOT = Place("tpot_s", None, "stream", "usage", "p50")


def of(path: Path, recipe: synthetic.Recipe | None = None) -> digest.Digest:
    return digest.of(judge(rundir.load(synthetic.write(path, recipe))))


def test_a_digest_holds_every_number_of_its_run(tmp_path: Path) -> None:
    """Beside what is printed the percentiles in steps of five, with their intervals and counts."""
    path = synthetic.write(tmp_path / "r")
    judged = judge(rundir.load(path))
    found = digest.of(judged)
    row = judged.summary.row("ttft_s")
    assert row is not None
    cell = row.cell(0.5)

    assert found.numbers[TTFT] == (cell.value, 131, cell.lo, cell.hi, True)
    assert found.numbers[ERRORS].value == 0
    assert found.numbers[ARRIVALS].value == judged.summary.rate("arrivals_per_s")
    assert {place.what for place in found.numbers if place.metric == "ttft_s"} >= {f"p{p}" for p in range(5, 96, 5)}
    assert {TTFT95, TPOT, LATENCY, GOODPUT} <= found.numbers.keys()
    assert (found.verdict, found.objectives, found.round, found.blocks) == ("valid", (), None, {})
    assert found.session == found.facts.run_id
    assert found.started_unix_ns == 1_795_355_220_000_000_000


def test_what_too_few_requests_tell_is_taken_but_not_called_supported(tmp_path: Path) -> None:
    """40 streams: p95 is printed from 59 on, and taken from 20 on; p99 is neither."""
    found = of(tmp_path / "r", synthetic.Recipe(n=40, stream_share=1.0)).numbers

    assert (found[TTFT].supported, found[TTFT95].supported) == (True, False)
    assert found[TTFT95].lo is None
    assert TTFT._replace(what="p99") not in found


def test_of_no_request_there_is_no_number(tmp_path: Path) -> None:
    found = of(tmp_path / "r", synthetic.Recipe(n=0))

    assert not [place for place, number in found.numbers.items() if place.what or not np.isfinite(number.value)]


def test_it_counts_by_the_objectives_of_the_run(tmp_path: Path) -> None:
    recipe = synthetic.Recipe()
    recipe.manifest = {"plan": synthetic.manifest_of(recipe, 160)["plan"] | {"objectives": ["ttft_p95<200ms"]}}
    found = of(tmp_path / "r", recipe)

    assert found.objectives == ("ttft_p95<200ms",)
    assert found.numbers[GOODPUT].value < 0.7 * found.numbers[ARRIVALS].value


def test_both_ways_to_read_a_run_give_the_same_digest(tmp_path: Path) -> None:
    """In pandas' nullable types, and in numpy's own with the columns alone that are judged."""

    def vary(row: record.Record, rng: np.random.Generator) -> None:
        if row.seq % 9 == 0:
            row.outcome, row.error_kind, row.status = "error", "throttled", 429
        if row.seq % 7 == 0:
            row.tokens_from, row.cost_usd, row.cached_tokens = "estimate", 0.01, 3
        row.workload = "rag" if rng.random() < 0.3 else "chat"

    path = synthetic.write(tmp_path / "r", synthetic.Recipe(n=300, change=vary))
    nullable, plain = digest.of(judge(rundir.load(path))), digest.of(judge(campaign.runs_of(path)[0]))

    assert nullable == plain
    assert {place.group for place in plain.numbers if place.by == "workload"} == {"chat", "rag"}


def test_arms_read_both_ways_are_the_same_too(tmp_path: Path) -> None:
    recipe = synthetic.Recipe(n=80, tokens=5)
    path = synthetic.write_arms(tmp_path / "r", {"a": recipe, "b": recipe}, blocks=4)
    nullable = [digest.of(judge(one)) for one in arms.arms(rundir.load(path))]

    assert nullable == [digest.of(judge(one)) for one in campaign.runs_of(path)]


def test_each_block_has_numbers_of_its_own(tmp_path: Path) -> None:
    """
    Four blocks of 5 s at 8/s, each 50 % slower than the one before; of 40 streams p95 is taken and p99 is not.

    Arrivals at 0.125, 0.25, ...: the window begins at the first of them, so the first block has 39 in 4.875 s: 8/s. The
    last block has that at 20 s too: 41 in 5 s.
    """
    recipe = synthetic.Recipe(stream_share=1.0, poisson=False, spread=0.01, warm=lambda t: 1.5 ** min(int(t / 5), 3))
    path = synthetic.write_arms(tmp_path / "r", {"a": recipe, "b": recipe}, blocks=4)
    for run in arms.arms(rundir.load(path)):
        found = digest.of(judge(run)).blocks

        assert list(found) == [0, 1, 2, 3]
        assert [found[k][TTFT] for k in range(4)] == pytest.approx([0.2, 0.3, 0.45, 0.675], rel=0.02)
        assert [found[k][ARRIVALS] for k in range(4)] == pytest.approx([8.0, 8.0, 8.0, 8.2])
        assert all(TTFT95 in found[k] and TTFT._replace(what="p99") not in found[k] for k in found)


def test_a_campaign_is_one_session(tmp_path: Path) -> None:
    found = of(tmp_path / "r", synthetic.Recipe(n=5, manifest={"campaign_id": "c", "round": 3, "run_id": "c/04"}))

    assert (found.session, found.round, found.facts.run_id) == ("c", 3, "c/04")
