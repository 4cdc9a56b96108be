"""The table of metrics: complete, and its run-level formulas by hand."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import pytest
import synthetic

from analysis import metrics, objectives, rundir
from analysis.inside.chunks import Chunks
from analysis.measured import Measured
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
def run(tmp_path: Path) -> rundir.Run:
    rows = [row(0, 0, 1), row(1, 1, 3, "error"), row(2, 2, 5), row(3, 3, 4), row(4, 3.5, 3.6, "cancelled")]
    return rundir.load(synthetic.write(tmp_path / "r", rows=rows))


def measured(run: rundir.Run, window: Window, *promised: str) -> Measured:
    return Measured(run, window, window.rows(run.requests), objectives.read(promised), None)


def told(run: rundir.Run, window: Window, *promised: str) -> dict[str, float | None]:
    """The value of every run-level metric."""
    found = {m.name: m.of_run(measured(run, window, *promised)) for m in metrics.METRICS if m.of_run}
    return {name: None if one is None else one.value for name, one in found.items()}


def test_every_metric_is_of_a_request_or_of_the_run_or_pooled() -> None:
    columns = {column.name for column in record.REQUEST_COLUMNS}
    pooled = {field.name for field in fields(Chunks)}

    for metric in metrics.METRICS:
        assert sum(one is not None for one in (metric.of_request, metric.of_run, metric.pooled)) == 1, metric.name
        assert not isinstance(metric.of_request, str) or metric.of_request in columns
        assert metric.pooled is None or metric.pooled in pooled
        assert metric.formula
        assert metric.source
    assert len(metrics.BY_NAME) == len({metric.words for metric in metrics.METRICS}) == len(metrics.METRICS)


def test_run_level_metrics_count_what_their_formulas_say(run: rundir.Run) -> None:
    """
    Window 0 to 4 s.

    Ends of ok at 1 and 4 (the one at 5 is too late): 2 / 4 s; 5 arrivals / 4 s; tokens of an answer in one piece come
    at its end, and an end at exactly 4 s is the next bin's: 10 / 4 s; errors 1 of 4, the cancelled one in neither. With
    nothing promised every answer is good: 3 / 4 s, and 3 of the 5 arrivals.
    """
    assert told(run, Window(0.0, 4.0, cut=False, reason="")) == {
        "arrivals_per_s": 1.25, "requests_per_s": 0.5, "tokens_per_s": 2.5, "error_rate": 0.25, "goodput_per_s": 0.75,
        "attainment": 0.6, "mean_output_tokens": 10.0, "stalled_share": None, "length_share": None,
        "cached_share": None, "cost_per_1k_good": None, "cost_per_m_output": None,
    }  # fmt: skip


def test_goodput_and_attainment_go_by_what_was_promised(run: rundir.Run) -> None:
    """Latencies of the three answers are 1, 3 and 1 s: under 2 s are two, 2 / 4 s, and 2 of the 5 arrivals."""
    found = told(run, Window(0.0, 4.0, cut=False, reason=""), "latency_p95<2s")

    assert (found["goodput_per_s"], found["attainment"]) == (0.5, 0.4)


def test_a_window_without_length_has_no_rates(run: rundir.Run) -> None:
    assert set(told(run, Window(9.0, 9.0, cut=False, reason="")).values()) == {None}
