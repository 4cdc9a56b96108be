"""Two runs side by side."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
import synthetic
from rich.console import Console

from analysis import arms, runs, sides, summary, table
from analysis.compare.beside import Comparison, Line, compare

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from loadtests import record


def judge(path: Path, recipe: synthetic.Recipe) -> summary.Summary:
    return summary.summarise(runs.load(synthetic.write(path, recipe)))


def line(lines: tuple[Line, ...], metric: str, what: str, group: str = "stream") -> Line:
    return next(x for x in lines if (x.metric, x.what, x.group) == (metric, what, group))


def test_a_run_against_itself_has_ratios_of_one_and_no_difference(tmp_path: Path) -> None:
    found = judge(tmp_path / "a", synthetic.Recipe())
    comparison = compare(found, found)

    assert comparison.settings == ()
    assert {x.ratio for x in comparison.lines if x.ratio is not None} == {1.0}


def test_the_ratio_is_b_over_a(tmp_path: Path) -> None:
    """The same draws with twice the TTFT: from the send it is 2 exactly, to the stamps' nanosecond."""
    a = judge(tmp_path / "a", synthetic.Recipe(ttft_s=0.2))
    b = judge(tmp_path / "b", synthetic.Recipe(ttft_s=0.4))
    found = line(compare(a, b).lines, "ttft_from_send_s", "p50")

    assert found.ratio == pytest.approx(2.0, rel=1e-6)
    assert (found.n_a, found.n_b) == (131, 131)


def test_settings_that_differ_are_named(tmp_path: Path) -> None:
    a = judge(tmp_path / "a", synthetic.Recipe(rate=8, seed=1))
    b = judge(tmp_path / "b", synthetic.Recipe(rate=9, seed=2, manifest={"model": "tiny-2"}))
    names = [difference.name for difference in compare(a, b).settings]

    assert {"model", "seed", "plan.rate", "hashes.schedule"} <= set(names)
    assert names[-1] == "hashes.schedule"
    assert "profile.name" not in names


def test_a_row_that_one_side_lacks_has_no_ratio(tmp_path: Path) -> None:
    a = judge(tmp_path / "a", synthetic.Recipe(n=60, stream_share=1.0))
    b = judge(tmp_path / "b", synthetic.Recipe(n=60, stream_share=0.0))
    found = line(compare(a, b).lines, "ttft_s", "p50")

    assert found.a is not None
    assert (found.b, found.ratio, found.n_b) == (None, None, 0)


def counted_by(source: str, share: float = 1.0) -> synthetic.Recipe:
    """Streams whose tokens are counted so, or as many of each ten of them."""

    def change(row: record.Record, _: np.random.Generator) -> None:
        row.tokens_from = source if row.seq % 10 < 10 * share else "usage"

    return synthetic.Recipe(n=60, stream_share=1.0, change=change)


TOKENS = {"tpot_s", "output_tokens_per_s", "tokens_per_s"}


def test_tokens_of_different_sources_are_not_compared(tmp_path: Path) -> None:
    a, b = judge(tmp_path / "a", counted_by("usage")), judge(tmp_path / "b", counted_by("estimate"))
    comparison = compare(a, b)
    refused = [x for x in comparison.lines if x.metric in TOKENS]
    out = io.StringIO()
    table.render_comparison(comparison, Console(file=out, width=100))

    assert {x.metric for x in refused} == TOKENS
    assert {(x.ratio, x.reason) for x in refused} == {(None, "not compared: tokens of A by usage, of B by estimate")}
    assert line(comparison.lines, "tpot_s", "p50").a is not None
    assert line(comparison.lines, "ttft_s", "p50").ratio == pytest.approx(1.0)
    assert "not compared: tokens of A by usage, of B by estimate" in out.getvalue()
    assert all(len(text) <= 100 for text in out.getvalue().splitlines())


def test_tokens_of_the_same_source_are_compared_with_each_other(tmp_path: Path) -> None:
    """B has usage for half its streams: these stand against A's, and its estimates against nothing."""
    a, b = judge(tmp_path / "a", counted_by("usage")), judge(tmp_path / "b", counted_by("estimate", 0.5))
    lines = [x for x in compare(a, b).lines if x.metric == "tpot_s" and x.what == "p50"]

    assert [(x.tokens_a, x.tokens_b, x.n_a, x.n_b) for x in lines] == [
        ("usage", "usage", 60, 30), (None, "estimate", 0, 30),
    ]  # fmt: skip
    assert lines[0].ratio is not None
    assert lines[1].reason == "not compared: A has no tokens by estimate"


def test_two_runs_that_both_estimate_are_compared_and_labelled(tmp_path: Path) -> None:
    found = judge(tmp_path / "a", counted_by("estimate"))
    lines = [x for x in compare(found, found).lines if x.metric in TOKENS]

    assert {(x.ratio, x.source) for x in lines if x.a} == {(1.0, "tokens by estimate")}


def test_one_run_a_side_gives_no_verdict_and_says_so(tmp_path: Path) -> None:
    found = judge(tmp_path / "a", synthetic.Recipe())
    comparison = compare(found, found)
    out = io.StringIO()
    table.render_comparison(comparison, Console(file=out, width=100))
    plain = json.loads(json.dumps(comparison.to_json(), allow_nan=False))

    assert plain["verdict"] is None
    assert "no verdict" in plain["note"]
    assert "no verdict" in out.getvalue()
    assert all(len(text) <= 100 for text in out.getvalue().splitlines())


# Arms whose blocks are paired.

BLOCKS = 8


def drifting(factor: float, seed: int, start: int = 0) -> synthetic.Recipe:
    """20 s at 8/s, every 2.5 s slower by 3 %; 1 % of noise in each request, of its own seed."""
    return synthetic.Recipe(
        seed=seed, stream_share=1.0, ttft_s=0.2 * factor, spread=0.01, poisson=False, tokens=5,
        warm=lambda t: 1.03 ** (start + min(int(t / 2.5), BLOCKS - 1)),
    )  # fmt: skip


def paired_arms(path: Path, *recipes: synthetic.Recipe, blocks: int = BLOCKS) -> Comparison:
    named = dict(zip("abc", recipes, strict=False))
    return sides.within(map(summary.judge, arms.arms(runs.load(synthetic.write_arms(path, named, blocks)))))[0]


def test_interleaved_arms_find_what_two_runs_one_after_the_other_do_not(tmp_path: Path) -> None:
    """
    B is 5 % slower, and everything gets 3 % slower every block.

    Paired: 1.05 within 0.01. In two runs B plays the blocks 9 to 16 of the drift: 1.05 * 1.03 ** 8 = 1.33.
    """
    found = paired_arms(tmp_path / "r", drifting(1.0, 1), drifting(1.05, 2))
    interleaved = line(found.lines, "ttft_s", "p50")
    a, b = judge(tmp_path / "a", drifting(1.0, 1)), judge(tmp_path / "b", drifting(1.05, 2, start=BLOCKS))
    one_after_the_other = line(compare(a, b).lines, "ttft_s", "p50")

    assert interleaved.paired is not None
    assert interleaved.paired.n == BLOCKS
    assert interleaved.ratio == pytest.approx(1.05, abs=0.01)
    assert 1.04 < interleaved.paired.lo < interleaved.paired.hi < 1.06
    assert one_after_the_other.paired is None
    assert one_after_the_other.ratio == pytest.approx(1.33, abs=0.02)


def test_the_table_says_what_is_paired_over_what(tmp_path: Path) -> None:
    """
    Of 20 requests a block p95 can be told and p99 cannot; nobody failed, so errors have no ratio.

    The first block has 19: arrivals are at 0.125, 0.25, ... 2.375 s, and that at 2.5 is the next one's.
    """
    found = paired_arms(tmp_path / "r", drifting(1.0, 1), drifting(1.05, 2))
    out = io.StringIO()
    table.render_comparison(found, Console(file=out, width=100))
    lines = out.getvalue().splitlines()
    plain = json.loads(json.dumps(found.to_json(), allow_nan=False))

    assert (found.a.name, found.b.name, found.replicates) == ("r · a", "r · b", "blocks")
    assert line(found.lines, "ttft_s", "p95").paired is not None
    assert line(found.lines, "ttft_s", "p99").paired is None
    assert line(found.lines, "error_rate", "", "run").ratio is None
    assert any("paired over 8 blocks" in text for text in lines)
    assert any("paired over 7 blocks" in text for text in lines)
    assert any("TTFT" in text and "1.05" in text and "\N{EN DASH}" in text for text in lines)
    assert all(len(text) <= 100 for text in lines)
    assert plain["replicates"] == "blocks"
    assert plain["verdict"] is None
    assert {d["name"] for d in plain["settings"]} == {"model"}


def test_two_blocks_are_not_paired(tmp_path: Path) -> None:
    found = paired_arms(tmp_path / "r", drifting(1.0, 1), drifting(1.05, 2), blocks=2)

    assert found.replicates == ""
    assert all(x.paired is None for x in found.lines)


def test_an_arm_that_lacks_a_block_is_paired_over_the_others(tmp_path: Path) -> None:
    """B's last block never began."""
    path = synthetic.write_arms(tmp_path / "r", {"a": drifting(1.0, 1), "b": drifting(1.05, 2)})
    manifest = json.loads((path / "run.json").read_text())
    gone = next(slot for slot in manifest["slots"] if (slot["arms"], slot["block"]) == (["b"], BLOCKS - 1))
    gone["start_ns"] = None
    (path / "run.json").write_text(json.dumps(manifest))
    found = sides.within(map(summary.judge, arms.arms(runs.load(path))))[0]

    pair = line(found.lines, "ttft_from_send_s", "p50").paired

    assert pair is not None
    assert pair.n == BLOCKS - 1
