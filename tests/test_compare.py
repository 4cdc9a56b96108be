"""Two sides beside each other, from rows on disk to the table."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING

import pytest
import synthetic
from rich.console import Console

from analysis import arms, digest, rundir
from analysis.compare import sides, table
from analysis.compare.judge import compare
from analysis.compare.rules import PRIMARY, Rules
from analysis.summary import judge

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from analysis.compare.comparison import Comparison, Line
    from analysis.digest import Digest
    from loadtests import record


def digested(path: Path, recipe: synthetic.Recipe | None = None) -> Digest:
    return digest.of(judge(rundir.load(synthetic.write(path, recipe))))


def versus(a: Digest, b: Digest, *across: str) -> Comparison:
    return compare([a], [b], Rules(across=frozenset(across)))


def line(found: Comparison, words: str) -> Line:
    return next(x for x in found.lines if x.place.words == words)


def told(found: Comparison) -> str:
    """The table, as wide as it is where there is no terminal."""
    out = io.StringIO()
    table.render(found, Console(file=out, width=100))
    assert all(len(text) <= 100 for text in out.getvalue().splitlines())
    return out.getvalue()


def test_a_run_against_itself_has_ratios_of_one_and_no_difference(tmp_path: Path) -> None:
    one = digested(tmp_path / "a")
    found = versus(one, one)

    assert found.settings == ()
    assert {x.effect for x in found.lines if x.scale == "ratio" and x.effect is not None} == {1.0}
    assert {x.effect for x in found.lines if x.scale == "difference" and x.effect is not None} == {0.0}
    assert {x.place.words for x in found.primary} == set(Rules().primary)


def test_the_ratio_is_b_over_a(tmp_path: Path) -> None:
    """The same draws with twice the TTFT: from the send it is 2 exactly, to the stamps' nanosecond."""
    a = digested(tmp_path / "a", synthetic.Recipe(ttft_s=0.2))
    b = digested(tmp_path / "b", synthetic.Recipe(ttft_s=0.4))
    found = line(versus(a, b), "ttft_from_send_p50")

    assert found.effect == pytest.approx(2.0, rel=1e-6)
    assert (found.n_a, found.n_b) == (131, 131)


def test_settings_that_differ_are_named_those_that_matter_first(tmp_path: Path) -> None:
    a = digested(tmp_path / "a", synthetic.Recipe(rate=8, seed=1))
    b = digested(tmp_path / "b", synthetic.Recipe(rate=9, seed=2, manifest={"model": "tiny-2"}))
    names = [difference.name for difference in versus(a, b, "load", "seed").settings]

    assert names[0] == "model"
    assert {"seed", "plan.rate"} <= set(names[:-1])
    assert names[-1] == "hashes.schedule"
    assert "profile.name" not in names


def test_what_one_side_lacks_has_no_ratio(tmp_path: Path) -> None:
    a = digested(tmp_path / "a", synthetic.Recipe(n=60, stream_share=1.0))
    b = digested(tmp_path / "b", synthetic.Recipe(n=60, stream_share=0.0))
    found = line(versus(a, b, "workload"), "ttft_p50")

    assert found.a is not None
    assert (found.b, found.effect, found.runs_b, found.n_b) == (None, None, 0, 0)
    assert (found.verdict, found.reason) == ("inconclusive", "B has none")


def counted_by(source: str, share: float = 1.0) -> synthetic.Recipe:
    """Streams whose tokens are counted so, or as many of each ten of them."""

    def change(row: record.Record, _: np.random.Generator) -> None:
        row.tokens_from = source if row.seq % 10 < 10 * share else "usage"

    return synthetic.Recipe(n=60, stream_share=1.0, change=change)


TOKENS = {"tpot_s", "output_speed", "output_tokens_per_s", "tokens_per_s", "itl_s"}


def test_tokens_of_different_sources_are_not_compared(tmp_path: Path) -> None:
    a, b = digested(tmp_path / "a", counted_by("usage")), digested(tmp_path / "b", counted_by("estimate"))
    found = versus(a, b)
    refused = [x for x in found.lines if x.place.metric in TOKENS]

    assert {x.place.metric for x in refused} == TOKENS
    assert {(x.effect, x.reason) for x in refused} == {(None, "tokens of A by usage, of B by estimate")}
    assert line(found, "tpot_p50").a is not None
    assert line(found, "ttft_p50").effect == pytest.approx(1.0)
    assert "tokens of A by usage, of B by estimate" in told(found)


def test_tokens_of_the_same_source_are_compared_with_each_other(tmp_path: Path) -> None:
    """B has usage for half its streams: these stand against A's, and its estimates against nothing."""
    a, b = digested(tmp_path / "a", counted_by("usage")), digested(tmp_path / "b", counted_by("estimate", 0.5))
    lines = [x for x in versus(a, b).lines if x.place.metric == "tpot_s" and x.place.what == "p50"]

    assert [(x.place.words, x.n_a, x.n_b) for x in lines] == [("tpot_p50", 60, 30), ("tpot_p50 (estimate)", 0, 30)]
    assert lines[0].effect is not None
    assert (lines[1].effect, lines[1].reason) == (None, "A has none")
    assert [x.primary for x in lines] == [True, False]


def test_two_runs_that_both_estimate_are_compared_and_labelled(tmp_path: Path) -> None:
    one = digested(tmp_path / "a", counted_by("estimate"))
    found = versus(one, one)

    assert {x.effect for x in found.lines if x.place.metric in TOKENS and x.a} == {1.0}
    assert "tokens by estimate" in told(found)


def test_one_run_a_side_is_inconclusive_and_says_what_could_tell(tmp_path: Path) -> None:
    a, b = digested(tmp_path / "a"), digested(tmp_path / "b", synthetic.Recipe(ttft_s=2.0))
    found = versus(a, b)
    plain = json.loads(json.dumps(found.to_json(), allow_nan=False))

    assert (plain["verdict"], plain["design"]) == ("inconclusive", "one run")
    assert line(found, "ttft_p50").effect == pytest.approx(10, rel=0.01)
    assert "`firsttoken run --repeats 5` a side can tell" in " ".join(told(found).split())
    assert {one["verdict"] for one in plain["lines"]} == {"inconclusive", "not_compared"}


# Arms whose blocks are paired.

BLOCKS = 8


def drifting(factor: float, seed: int, start: int = 0) -> synthetic.Recipe:
    """20 s at 8/s, every 2.5 s slower by 3 %; 1 % of noise in each request, of its own seed."""
    return synthetic.Recipe(
        seed=seed, stream_share=1.0, ttft_s=0.2 * factor, spread=0.01, poisson=False, tokens=5,
        warm=lambda t: 1.03 ** (start + min(int(t / 2.5), BLOCKS - 1)),
    )  # fmt: skip


def within(path: Path) -> Comparison:
    return sides.within([digest.of(judge(run)) for run in arms.arms(rundir.load(path))], Rules())[0]


def paired_arms(path: Path, *recipes: synthetic.Recipe, blocks: int = BLOCKS) -> Comparison:
    return within(synthetic.write_arms(path, dict(zip("abc", recipes, strict=False)), blocks))


def test_interleaved_arms_find_what_two_runs_one_after_the_other_do_not(tmp_path: Path) -> None:
    """
    B is 5 % slower, and everything gets 3 % slower every block.

    Paired: 1.05 within 0.01. In two runs B plays the blocks 9 to 16 of the drift: 1.05 * 1.03 ** 8 = 1.33.
    """
    interleaved = line(paired_arms(tmp_path / "r", drifting(1.0, 1), drifting(1.05, 2)), "ttft_p50")
    a, b = digested(tmp_path / "a", drifting(1.0, 1)), digested(tmp_path / "b", drifting(1.05, 2, start=BLOCKS))
    one_after_the_other = line(versus(a, b, "seed"), "ttft_p50")

    assert (interleaved.runs_a, interleaved.runs_b) == (BLOCKS, BLOCKS)
    assert interleaved.effect == pytest.approx(1.05, abs=0.01)
    assert interleaved.lo is not None
    assert interleaved.hi is not None
    assert 1.04 < interleaved.lo < interleaved.hi < 1.06
    assert one_after_the_other.effect == pytest.approx(1.33, abs=0.02)


def test_the_table_says_what_is_paired_over_what(tmp_path: Path) -> None:
    """
    Of 20 requests a block p95 can be told and p99 cannot.

    The first block has 19: arrivals are at 0.125, 0.25, ... 2.375 s, and that at 2.5 is the next one's; it has no p95.
    """
    found = paired_arms(tmp_path / "r", drifting(1.0, 1), drifting(1.05, 2))
    text = told(found)

    assert (found.a.name, found.b.name, found.design) == ("r · a", "r · b", "blocks")
    assert line(found, "ttft_p95").runs_a == BLOCKS - 1
    assert not [x for x in found.lines if x.place.words == "ttft_p99"]
    assert (line(found, "error_rate").effect, line(found, "error_rate").scale) == (0.0, "difference")
    assert "Paired over 8 blocks" in text
    assert any("TTFT" in row and "1.05" in row and "\N{EN DASH}" in row for row in text.splitlines())
    assert {one.name for one in found.settings} == {"model"}


def test_blocks_of_one_run_are_no_regression_however_certain(tmp_path: Path) -> None:
    """B takes twice as long in each of 8 blocks; yet both arms are one run."""
    found = paired_arms(tmp_path / "r", drifting(1.0, 1), drifting(2.0, 2))
    ttft = line(found, "ttft_p50")

    assert (ttft.worse, ttft.verdict) == (True, "inconclusive")
    assert "5 runs a side would tell" in ttft.reason
    assert found.verdict != "regression"


def test_two_blocks_have_no_interval(tmp_path: Path) -> None:
    found = paired_arms(tmp_path / "r", drifting(1.0, 1), drifting(1.05, 2), blocks=2)

    assert found.design == "blocks"
    assert {(x.lo, x.p) for x in found.lines} == {(None, None)}
    assert line(found, "ttft_p50").reason == "too few runs for an interval"


def test_what_no_block_has_stands_in_the_table_with_the_reason(tmp_path: Path) -> None:
    """20 blocks of 1 s have 8 requests each, too few for a p95, which each arm as a whole has: of 100 and more."""
    found = paired_arms(tmp_path / "r", drifting(1.0, 1), drifting(1.05, 2), blocks=20)
    ttft = line(found, "ttft_p95")
    text = told(found)

    assert (ttft.primary, ttft.verdict, ttft.reason) == (True, "not_compared", "no pair of blocks has it")
    assert ttft.a is not None
    assert [x.place.words for x in found.primary] == list(PRIMARY)
    assert re.search(r"^TTFT p95, ms +\d+ +\d+ .* not compared", text, re.MULTILINE)
    assert "no pair of blocks has it" in text


def test_an_arm_that_lacks_a_block_is_paired_over_the_others(tmp_path: Path) -> None:
    """B's last block never began."""
    path = synthetic.write_arms(tmp_path / "r", {"a": drifting(1.0, 1), "b": drifting(1.05, 2)})
    manifest = json.loads((path / "run.json").read_text())
    gone = next(slot for slot in manifest["slots"] if (slot["arms"], slot["block"]) == (["b"], BLOCKS - 1))
    gone["start_ns"] = None
    (path / "run.json").write_text(json.dumps(manifest))
    pair = line(within(path), "ttft_from_send_p50")

    assert (pair.runs_a, pair.runs_b) == (BLOCKS - 1, BLOCKS - 1)
    assert pair.lo is not None
