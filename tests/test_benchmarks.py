"""The benchmarks' own arithmetic: a figure that nobody checks is worth nothing."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from benchmarks import cases, figures, large, table, truth
from benchmarks.figures import Goal
from benchmarks.truth import Row, Sent

from analysis import rundir, summary
from loadtests.calibrate.play import Play

if TYPE_CHECKING:
    from pathlib import Path

MS = 1_000_000
ZERO = 1_700_000_000 * 1_000_000_000
"""Start of a run, CLOCK_REALTIME."""


def record(number: int, read_ns: int, *chunks_ns: int) -> bytes:
    return struct.pack(f"<IIq{len(chunks_ns)}q", number, len(chunks_ns), read_ns, *chunks_ns)


def sent(read_ms: int, *chunks_ms: float) -> Sent:
    return Sent(ZERO + read_ms * MS, np.array([ZERO + round(at * MS) for at in chunks_ms]))


def row(number: int, first_ms: float, *gaps_us: int, reused: bool = True) -> Row:
    end_ms = first_ms + sum(gaps_us) / 1000
    return Row(number, round(first_ms * MS), round(end_ms * MS), np.array(gaps_us, dtype=np.int64), reused)


def test_a_compiled_servers_log_is_read_up_to_a_cut_tail() -> None:
    data = record(7, 10, 100, 200) + record(8, 20) + record(9, 30, 300, 400)[:-1]
    log = truth.read_compiled(data)
    assert list(log) == [7, 8]
    assert log[7].read_ns == 10
    assert log[7].chunk_ns.tolist() == [100, 200]
    assert log[8].chunk_ns.tolist() == []


def test_errors_are_the_distances_from_the_servers_stamps() -> None:
    """Tokens written at 100, 110 and 120 ms and stamped at 100.5, 110 and 123 ms: gaps of 9.5 and 13 for 10 and 10."""
    found = truth.errors([row(1, 100.5, 9500, 13000)], {1: sent(0, 100, 110, 120)}, ZERO)
    assert found.first == pytest.approx([0.5])
    assert found.each == pytest.approx([0.5, 0, 3])
    assert found.gaps == pytest.approx([0.5, 3])
    assert (found.lost_rows, found.lost_events) == (0, 0)


def test_a_stamp_before_the_servers_is_an_error_too() -> None:
    assert truth.errors([row(1, 99)], {1: sent(0, 100)}, ZERO).first == pytest.approx([1])


def test_first_tokens_on_used_connections_are_told_apart() -> None:
    log = {1: sent(0, 100), 2: sent(0, 100)}
    found = truth.errors([row(1, 140, reused=False), row(2, 101)], log, ZERO)
    assert found.first == pytest.approx([40, 1])
    assert found.reused == pytest.approx([1])


def test_what_the_server_sent_and_nobody_has_is_lost() -> None:
    """Of five: one is whole, one lacks a token, one has no row; two were read before and after the run."""
    log = {n: sent(at, at + 10, at + 20) for n, at in ((1, 0), (2, 5), (3, 8), (4, -50), (5, 900))}
    found = truth.errors([row(1, 10, 10_000), row(2, 15)], log, ZERO)
    assert (found.lost_rows, found.lost_events) == (1, 1)


def test_a_row_that_the_server_does_not_know_is_lost_events() -> None:
    found = truth.errors([row(1, 10, 10_000)], {}, ZERO)
    assert (len(found.each), found.lost_events) == (0, 2)


def test_lateness_is_measured_from_the_servers_own_reading() -> None:
    late = truth.lateness([row(1, 0)], {1: sent(1000, 1100, 1112)}, Play(0.1, 0.01, 100))
    assert late == pytest.approx([0, 2])


def test_cpu_per_event_counts_tokens_and_what_ends_a_stream_after_the_start() -> None:
    """Seconds 3 and 4 at half a core: 1 s. In them lie 3 of 4 tokens of one row, and its end: 6 events."""
    client = {"t_ns": 1e9 * np.array([1.0, 2, 3, 4, 5]), "cpu": np.array([1.0, 1, 0.5, 0.5, 1])}
    rows = [row(1, 1900, *[500_000] * 3), row(2, 4500)]
    us, share = figures.cpu_per_event_us(client, rows, until_s=4.2)
    assert us == pytest.approx(1e6 / 6)
    assert share == pytest.approx(0.5)


def test_cpu_per_event_of_a_run_that_is_all_start_is_unknown() -> None:
    client = {"t_ns": 1e9 * np.array([1.0, 2]), "cpu": np.ones(2)}
    assert np.isnan(figures.cpu_per_event_us(client, [], until_s=10)).all()


def test_the_ratio_is_to_the_mean_of_before_and_after() -> None:
    assert figures.ratio(10.0, [4.0, 6.0]) == pytest.approx(2.0)


def test_a_steady_rate_leaves_out_the_first_two_seconds_and_the_last_and_counts_empty_ones() -> None:
    assert figures.steady_per_s({10: 900, 11: 900, 12: 30, 14: 30, 15: 900}) == pytest.approx(20)


def test_memory_growth_is_from_the_first_minute_on() -> None:
    end_s = np.arange(1.0, 201)
    client = {"t_ns": 1e9 * end_s, "rss_bytes": 1e6 * np.where(end_s < 60, 10, np.where(end_s > 190, 30, 20))}
    assert figures.memory_growth(client) == (20, 30)


@pytest.mark.parametrize(
    ("sign", "value", "holds"),
    [("<", 1.0, False), ("<", 0.9, True), ("≤", 1.0, True), ("≤", 1.1, False), ("≥", 1.0, True), ("≥", 0.9, False)],
)
def test_goals(sign: str, value: float, holds: bool) -> None:
    assert Goal(sign, 1.0).holds(value) is holds


def test_the_table_has_median_spread_and_verdict() -> None:
    case = cases.Case("a", "b", dict, {"x, ms": Goal("<", 2)})
    (figure,) = table.figures(case, [{"x, ms": 1.0}, {"x, ms": 9.0}, {"x, ms": 1.5}])
    assert (figure.name, figure.unit, figure.median, figure.reached) == ("x", "ms", 1.5, True)
    assert table.text([figure]).splitlines()[1].split() == ["a", "b", "x", "1.5", "ms", "1-9", "<", "2", "reached"]


@pytest.mark.parametrize("name", cases.CASES)
def test_every_case_has_a_load_and_its_own_name(name: str) -> None:
    assert {case.name for case in cases.select([name], cases.Options())} == {name}


@pytest.mark.parametrize("chunks", [0, 7])
def test_a_large_run_is_one_that_can_be_judged(tmp_path: Path, chunks: int) -> None:
    """Columns fit together: stamps in order, the derived ones what the stamps say, lists as long as they are told."""
    run = rundir.load(large.write(tmp_path / "r", large.Large(3000, chunks)), columns=rundir.JUDGED)
    frame = run.requests
    ttft = rundir.seconds(frame, "first_token_ns") - rundir.seconds(frame, "scheduled_ns")

    np.testing.assert_allclose(ttft, rundir.numbers(frame, "ttft_s"), atol=1e-6)
    assert (np.diff(rundir.seconds(frame, "scheduled_ns")) >= 0).all()
    told = summary.judge(run)
    assert told.summary.counts.recorded == 3000
    if chunks:
        assert told.measured.chunks is not None
        streams = int(((rundir.numbers(frame, "chunks") > 0) & rundir.where(frame, "outcome", "ok")).sum())
        assert told.measured.chunks.gaps.n == 6 * streams
        assert told.measured.chunks.gaps.quantile(0.5) == pytest.approx(0.02, rel=0.02)
    else:
        assert told.measured.chunks is None
