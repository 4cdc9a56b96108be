"""Metrics of a whole run, from rows by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import synthetic

from analysis import measured, metrics, objectives, rundir
from analysis.measured import Measured
from analysis.window import Window
from loadtests import record

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.sums import Sums

S = 1_000_000_000


def row(seq: int, at_s: float, took_s: float = 1.0, outcome: str = "ok", **more: Any) -> record.Record:
    """A whole answer."""
    ok = outcome == "ok"
    return record.Record(
        arm="", workload="w", worker=0, seq=seq, phase="measure", stream=False, scheduled_ns=int(at_s * S),
        outcome=outcome, sent_ns=int(at_s * S), headers_ns=int((at_s + took_s) * S) if ok else None,
        end_ns=int((at_s + took_s) * S), **more,
    )  # fmt: skip


def found(folder: Path, rows: list[record.Record], metric: str, *promised: str, end_s: float = 10.0) -> Sums | None:
    run = rundir.load(synthetic.write(folder / "r", rows=rows))
    window = Window(0.0, end_s, cut=False, reason="")
    of_run = metrics.BY_NAME[metric].of_run
    assert of_run is not None
    return of_run(Measured(run, window, window.rows(run.requests), objectives.read(promised), None))


def value(folder: Path, rows: list[record.Record], metric: str, *promised: str) -> float | None:
    told = found(folder, rows, metric, *promised)
    return None if told is None else told.value


def test_a_conversation_arrives_once(tmp_path: Path) -> None:
    """Two conversations of three turns each within 10 s: 0.2 arrivals/s, and 0.6 requests."""
    rows = [row(i, 1.0 + i, conversation=i // 3, turn=i % 3) for i in range(6)]

    assert value(tmp_path, rows, "arrivals_per_s") == pytest.approx(0.2)
    assert value(tmp_path, rows, "requests_per_s") == pytest.approx(0.6)


def test_a_burst_has_no_rate_of_arrivals(tmp_path: Path) -> None:
    assert found(tmp_path, [row(i, 1.0) for i in range(5)], "arrivals_per_s") is None


def test_what_ends_inside_was_carried_wherever_it_began(tmp_path: Path) -> None:
    """Of four one ends behind the window, one failed, and one of the warm-up ends inside: 2 and 1 of 10 s."""
    rows = [row(0, 1), row(1, 2), row(2, 9.5), row(3, 3, outcome="error", error_kind="reset"), row(4, 0.1)]
    rows[4].phase = "warmup"

    assert value(tmp_path, rows, "requests_per_s") == pytest.approx(0.3)


def test_what_was_lost_is_an_error_and_what_was_never_sent_is_none(tmp_path: Path) -> None:
    """Two ok, an error and one lost: 2 of 4; unsent and cancelled are in neither, but none of them was good: 2 of 6."""
    kinds = ["ok", "ok", "error", "lost", "unsent", "cancelled"]
    rows = [
        row(i, float(i), outcome=kind, error_kind="reset" if kind == "error" else None) for i, kind in enumerate(kinds)
    ]

    assert value(tmp_path, rows, "error_rate") == 0.5
    assert value(tmp_path, rows, "attainment") == pytest.approx(2 / 6)


def test_shares_are_of_those_that_say(tmp_path: Path) -> None:
    """
    Three answers tell why they ended, one of them for length: a third; one does not tell.

    Of 100 + 300 prompt tokens that were told of 20 + 60 were cached: a fifth; the third answer tells nothing.
    """
    rows = [
        row(0, 1, finish_reason="stop", input_tokens=100, cached_tokens=20),
        row(1, 2, finish_reason="length", input_tokens=300, cached_tokens=60),
        row(2, 3, finish_reason="stop", input_tokens=900),
        row(3, 4),
    ]

    assert value(tmp_path, rows, "length_share") == pytest.approx(1 / 3)
    # The client ended the fourth at the cap, which is known too: 2 of 4.
    rows[3] = row(3, 4, flags=["cut_at_cap"])
    assert value(tmp_path / "ours", rows, "length_share") == pytest.approx(1 / 2)
    assert value(tmp_path, rows, "cached_share") == pytest.approx(0.2)


def test_cost_counts_all_requests_and_good_ones(tmp_path: Path) -> None:
    """
    4 requests at 0.01 USD, one a failure with 5 tokens and one too slow: 2 good.

    1,000 x 0.04 / 2 = 20 USD for 1,000 good ones; 0.04 USD for 10 + 10 + 10 + 5 tokens: 1,143 USD a million.
    """
    rows = [row(i, float(i), cost_usd=0.01, output_tokens=10) for i in range(4)]
    rows[1].end_ns = int(6 * S)
    rows[2] = row(2, 2, outcome="error", error_kind="reset", cost_usd=0.01, output_tokens=5)

    assert value(tmp_path / "a", rows, "cost_per_1k_good", "latency_p95<2s") == pytest.approx(20)
    assert value(tmp_path / "b", rows, "cost_per_m_output") == pytest.approx(0.04 / 35 * 1e6)
    assert value(tmp_path / "c", rows, "mean_output_tokens") == 10
    assert found(tmp_path / "d", [row(0, 1)], "cost_per_1k_good") is None
    # An answer without usage is not for nothing: 0.04 USD for the 2 good ones of which it is known, as before.
    rows.append(row(4, 4.0))
    assert value(tmp_path / "e", rows, "cost_per_1k_good", "latency_p95<2s") == pytest.approx(20)


def test_no_good_request_has_no_cost_and_a_goodput_of_nothing(tmp_path: Path) -> None:
    rows = [row(i, float(i), cost_usd=0.01) for i in range(4)]

    assert found(tmp_path / "a", rows, "cost_per_1k_good", "latency_p95<10ms") is None
    assert value(tmp_path / "b", rows, "goodput_per_s", "latency_p95<10ms") == 0.0


def test_stalled_answers_are_of_streams_whose_chunks_are_known(tmp_path: Path) -> None:
    """Every fourth stream stands still for 2 s once; without chunk lists nobody knows."""

    def stall(one: record.Record, _: Any) -> None:
        if one.seq % 4 == 0:
            assert one.chunk_ns is not None
            assert one.last_token_ns is not None
            assert one.end_ns is not None
            one.chunk_ns[5:] = [stamp + 2 * S for stamp in one.chunk_ns[5:]]
            one.last_token_ns += 2 * S
            one.end_ns += 2 * S

    run = rundir.load(synthetic.write(tmp_path / "r", synthetic.Recipe(n=80, stream_share=1.0, change=stall)))
    seen = measured.of(run, objectives.read(()))
    of_run = metrics.BY_NAME["stalled_share"].of_run
    assert of_run is not None
    told = of_run(seen)

    assert told is not None
    assert (told.value, told.n, told.is_share) == (0.25, 80, True)
