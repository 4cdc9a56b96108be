"""The table of metrics: complete, and its run-level formulas by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import synthetic

from analysis import metrics, runs
from analysis.window import Window
from loadtests import record

if TYPE_CHECKING:
    from pathlib import Path

S = 1_000_000_000


def row(seq: int, at_s: float, end_s: float, outcome: str = "ok") -> record.Record:
    answered = outcome == "ok"
    return record.Record(
        arm="", workload="w", worker=0, seq=seq, phase="measure", stream=False, scheduled_ns=int(at_s * S),
        outcome=outcome, sent_ns=int(at_s * S), headers_ns=int(end_s * S) if answered else None, end_ns=int(end_s * S),
        output_tokens=10 if answered else None,
    )  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> runs.Run:
    rows = [row(0, 0, 1), row(1, 1, 3, "error"), row(2, 2, 5), row(3, 3, 4), row(4, 3.5, 3.6, "cancelled")]
    return runs.load(synthetic.write(tmp_path / "r", rows=rows))


def test_every_metric_has_a_column_of_the_record_or_a_function() -> None:
    columns = {column.name for column in record.REQUEST_COLUMNS}

    for metric in metrics.METRICS:
        assert (metric.column is None) != (metric.of_run is None), metric.name
        assert metric.column is None or metric.column in columns
        assert metric.formula
        assert metric.source
    assert len(metrics.BY_NAME) == len(metrics.METRICS)


def test_run_level_metrics_count_what_their_formulas_say(run: runs.Run) -> None:
    """
    Window 0 to 4 s.

    Ends of ok at 1 and 4 (the one at 5 is too late): 2 / 4 s; 5 arrivals / 4 s; tokens of an answer in one piece come
    at its end, and an end at exactly 4 s is the next bin's: 10 / 4 s; errors 1 of 4, the cancelled one in neither.
    """
    window = Window(0.0, 4.0, cut=False, reason="")
    found = {m.name: m.of_run(run.requests, window) for m in metrics.METRICS if m.of_run}

    assert found == {
        "arrivals_per_s": 1.25,
        "requests_per_s": 0.5,
        "tokens_per_s": 2.5,
        "error_rate": 0.25,
    }


def test_a_window_without_length_has_no_rates(run: runs.Run) -> None:
    window = Window(9.0, 9.0, cut=False, reason="")

    assert all(m.of_run(run.requests, window) is None for m in metrics.METRICS if m.of_run)
