"""What the charts of a run count: stalls, places in an answer, failures, the client's lateness; known answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import synthetic

from analysis import charts, rundir, summary
from analysis.charts import client, ecdf, position, stalls, timeline
from analysis.charts.frame import draw_one
from analysis.charts.grid import Grid
from loadtests import record

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.rundir import Run
    from analysis.summary import Summary

MS = 1_000_000


def judged(path: Path) -> tuple[Run, Summary]:
    """As reports have it: the rows know of stalls."""
    found = summary.judge(rundir.load(path, columns=rundir.JUDGED))
    return found.run, found.summary


def planned(recipe: synthetic.Recipe, *objectives: str) -> dict[str, Any]:
    return {"plan": synthetic.manifest_of(recipe, recipe.n)["plan"] | {"objectives": list(objectives)}}


# Gaps on a grid.


def test_a_quantile_of_a_grid_is_right_to_its_step() -> None:
    """Steps are 0.5 % wide; the most is exact; a column without values has none."""
    rng = np.random.default_rng(1)
    us = np.rint(rng.lognormal(9.9, 1.0, (3, 4000))).astype(np.int64)
    grid = Grid(4)
    for column, values in enumerate(us):
        grid.add(np.full(values.size, column), values)

    for p in (0.05, 0.5, 0.99):
        found = grid.quantile_ms(p)
        assert found[:3] == pytest.approx(np.quantile(us, p, axis=1) / 1e3, rel=0.006)
        assert np.isnan(found[3])
    assert grid.most_us.tolist() == [*us.max(axis=1), 0]


def test_weights_count_and_columns_go_together() -> None:
    """1 ms of weight 3 beside 100 ms of weight 1: the median is 1 ms; both columns together 100 ms, by 8 to 3."""
    grid = Grid(2)
    grid.add(np.array([0, 0, 1]), np.array([1000, 100_000, 100_000]), np.array([3.0, 1.0, 7.0]))

    assert grid.quantile_ms(0.5) == pytest.approx([1, 100])
    assert grid.together(2).quantile_ms(0.5) == pytest.approx([100])
    assert grid.together(2).n.tolist() == [3]


# Stalls.


def stall(row: record.Record, _: np.random.Generator) -> None:
    """Every eighth answer stands still for a second, all others have gaps of 20 ms."""
    gaps = np.full(29, 20 * MS)
    gaps[10] = 1000 * MS if row.seq % 8 == 0 else gaps[10]
    synthetic.give_stream(row, (row.sent_ns or 0) + 100 * MS + np.concatenate([[0], np.cumsum(gaps)]))


def test_the_share_that_stalled_is_told_with_its_interval(tmp_path: Path) -> None:
    """20 of 160, evenly spread: Wilson's interval is 8.24 to 18.5 %; a limit of 700 ms is kept by 140 of 160."""
    recipe = synthetic.Recipe(n=160, stream_share=1.0, poisson=False, change=stall)
    recipe.manifest = planned(recipe, "max_gap_p90<700ms", "ttft_p95<2min", "ttft<150ms")
    run, told = judged(synthetic.write(tmp_path / "r", recipe))
    drawn = draw_one("stalls", stalls.stalls, run, told)

    assert "20 of 160 answers stalled: 12.5 % [8.24, 18.5] %" in drawn.alt
    assert "at most 1,000 ms" in drawn.alt
    assert "max_gap_p90&lt;700ms: undecided" in drawn.svg
    assert ("p50", "20.0", "[20.0, 20.0]") in drawn.table.rows
    # A limit far off has no line; one of each request has no verdict.
    (near,) = ecdf.span(np.array([100.0]), ecdf.limits(run, told, "ttft")).near
    assert near == ecdf.Limit(150.0, None, "ttft<150ms", "")
    assert "ttft_p95&lt;120s: met, off the axis" in draw_one("ttft", charts.ALL["ttft"], run, told).svg


def test_fluidity_stands_beside_it_where_deadlines_were_named(tmp_path: Path) -> None:
    """
    First token after 100 ms, due at 110; then 29 gaps of 20 ms, due 21 ms apart: all in time but one.

    Rows as they were stored, without what judging adds, say the same: the file is read anew.
    """
    recipe = synthetic.Recipe(n=16, stream_share=1.0, poisson=False, lag_us=0.0, tokens=30, change=stall)
    recipe.manifest = planned(recipe, "fluidity(110ms,21ms)_p90>0.9")
    path = synthetic.write(tmp_path / "r", recipe)
    run, told = judged(path)
    drawn = draw_one("stalls", stalls.stalls, run, told)

    assert "median fluidity index 1.000" in drawn.alt
    assert drawn.table.columns[-1] == "fluidity reached by as many"
    some = np.ones(16, dtype=bool)
    assert stalls.smoothness(run, told, some).stalled.sum() == 2
    for one, other in zip(
        stalls.smoothness(run, told, some), stalls.smoothness(rundir.load(path), told, some), strict=True
    ):
        np.testing.assert_array_equal(one, other)


# Places in an answer.


def slower(row: record.Record, _: np.random.Generator) -> None:
    """The gap before the k-th token is 10 ms + k ms."""
    gaps = (10 + np.arange(1, 30)) * MS
    synthetic.give_stream(row, (row.sent_ns or 0) + 100 * MS + np.concatenate([[0], np.cumsum(gaps)]))
    row.output_tokens = 30


def test_answers_that_slow_down_are_seen_to(tmp_path: Path) -> None:
    """Up to 40 tokens a column is one place: the first token has no gap, before the k-th lie 10 + k ms."""
    path = synthetic.write(tmp_path / "r", synthetic.Recipe(n=80, stream_share=1.0, change=slower))
    run, told = judged(path)
    found = position.course(run, np.ones(80, dtype=bool))
    drawn = draw_one("position", position.position, run, told)

    assert (found.unit, found.width) == ("token", 1)
    assert found.grid.quantile_ms(0.5)[1:30] == pytest.approx(10 + np.arange(1, 30))
    assert found.answers[:31].tolist() == [80] * 30 + [0]
    assert drawn.alt == (
        "Median gap per token by position in 80 answers: 11.0 ms at the start, 39.0 ms from token 29 on."
    )
    assert [row[1] for row in drawn.table.rows] == ["80"] * 29


def test_a_chunk_of_several_tokens_counts_for_each(tmp_path: Path) -> None:
    """30 chunks of 4 characters and 120 tokens: gaps of 20 ms are 5 ms a token, and places go up to 116."""

    def four(row: record.Record, _: np.random.Generator) -> None:
        synthetic.give_stream(row, (row.sent_ns or 0) + 100 * MS + 20 * MS * np.arange(30))
        row.output_tokens = 120

    run = rundir.load(synthetic.write(tmp_path / "r", synthetic.Recipe(n=8, stream_share=1.0, change=four)))
    found = position.course(run, np.ones(8, dtype=bool))

    assert found.width == 5
    assert np.flatnonzero(found.grid.n).tolist() == sorted({4 * k // 5 for k in range(1, 30)})
    assert np.nanmax(found.grid.quantile_ms(0.5)) == pytest.approx(5)
    assert found.grid.counts.sum() == pytest.approx(8 * 29 * 4)


# Failures.


def test_kinds_of_failure_and_the_rest_are_the_whole(tmp_path: Path) -> None:
    """Of 80: 8 throttled with 429, 2 reset, 2 cancelled; the others in full."""

    def fail(row: record.Record, _: np.random.Generator) -> None:
        row.first_token_ns = None
        if row.seq % 10 == 3:
            row.outcome, row.error_kind, row.status = "error", "throttled", 429
        elif row.seq % 40 == 5:
            row.outcome, row.error_kind, row.status = "error", "reset", None
        elif row.seq % 40 == 6:
            row.outcome = "cancelled"

    run, told = judged(synthetic.write(tmp_path / "r", synthetic.Recipe(n=80, stream_share=0.0, change=fail)))
    drawn = draw_one("failures", charts.ALL["failures"], run, told)
    rows = {row[0]: row[1:] for row in drawn.table.rows}

    assert rows["throttled"] == ("rate limit", "429", "8", "10.0", "[5.15, 18.5]")
    assert rows["reset"][0] == "network"
    assert rows["answered in full"][2:4] == ("68", "85.0")
    assert sum(int(row[2]) for name, row in rows.items() if name != "all") == int(rows["all"][2]) == 80
    assert sum(float(row[3]) for name, row in rows.items() if name != "all") == pytest.approx(100)
    assert drawn.alt.endswith("the rest: throttled 10.0 %, reset 2.50 %, cancelled 2.50 %.")


# The client.


def test_the_worst_worker_is_drawn_and_late_spans_are_found(tmp_path: Path) -> None:
    """Worker 1 sends 25 ms late in the third second: above 10 ms, a twentieth of the TTFT; worker 0 is on time."""

    def late(row: record.Record, _: np.random.Generator) -> None:
        row.worker = row.seq % 2
        if row.worker and 2 <= row.scheduled_ns / 1e9 < 3:
            synthetic.move(row, 25 * MS)
            row.scheduled_ns -= 25 * MS
        row.conn_reused = True

    recipe = synthetic.Recipe(n=80, rate=10, poisson=False, lag_us=0.0, ttft_s=0.1, change=late)
    path = synthetic.write(tmp_path / "r", recipe)
    samples = [synthetic.client(8, wake_lag_p99_us=60.0 + 1000 * worker).to_pandas() for worker in (0, 1)]
    for worker, one in enumerate(samples):
        one["worker"] = worker
    table = pa.concat_tables([pa.Table.from_pandas(one, schema=record.client_schema()) for one in samples])
    pq.write_table(table, path / record.CLIENT)
    run, told = judged(path)
    sends, reads = client.lags(run, told, np.arange(9.0))

    assert sends.lines["max"] == pytest.approx([0, 0, 25, 0, 0, 0, 0, 0], abs=1e-3)
    assert np.flatnonzero(sends.beyond()[1]).tolist() == [2]
    assert reads.lines["p99"] == pytest.approx(np.full(8, 1.06))
    assert reads.beyond()[0].all()
    assert reads.invalid is None
    assert "8 of 9 bins beyond the limit." in draw_one("client", client.client, run, told).alt


def test_without_samples_only_sends_are_told(tmp_path: Path) -> None:
    run, told = judged(synthetic.write(tmp_path / "r", synthetic.Recipe(n=20, with_client=False)))
    drawn = draw_one("client", client.client, run, told)

    assert drawn.alt.startswith("Send lag: p50")
    assert drawn.alt.endswith("is not known: the run has no client.parquet.")


# Time.


@pytest.mark.parametrize(
    ("length_s", "last_two"), [(20.8, (20.0, 20.8)), (20.3, (19.0, 20.3)), (0.2, (0.0, 0.2)), (240.0, (238.0, 240.0))]
)
def test_the_last_bin_ends_with_the_run_and_is_half_as_wide_or_wider(
    length_s: float, last_two: tuple[float, float]
) -> None:
    edges = timeline.bins(length_s)

    assert edges[-2:] == pytest.approx(last_two)
    assert edges.size <= timeline.BINS + 1


def test_a_run_whose_moments_nobody_knows_is_drawn_as_far_as_it_goes(tmp_path: Path) -> None:
    """As one imported from a file without them: only values of each request."""
    path = synthetic.write(
        tmp_path / "r",
        synthetic.Recipe(
            n=60,
            with_client=False,
            manifest={"imported": {"tool": "other", "latency_counts_from": "send", "notes": []}},
        ),
    )
    table = pq.read_table(path / record.REQUESTS)
    for name in (one for one in table.column_names if one.endswith("_ns") or one in rundir.CHUNK_LISTS):
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(name), pa.nulls(60, table.schema.field(name).type))
    pq.write_table(table, path / record.REQUESTS)
    run, told = judged(path)
    drawn = {chart.name: chart for chart in charts.draw(run, told)}

    assert {name for name, one in drawn.items() if one.is_empty} == {
        "timeline", "gaps", "position", "tokens", "failures", "client",
    }  # fmt: skip
    assert drawn["percentiles"].table.columns == ("percentile", "from send (ms)")
    assert "stalled" not in drawn["stalls"].alt
