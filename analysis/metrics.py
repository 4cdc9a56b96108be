"""
The metrics: one entry each with name, unit, better direction, formula, source. README, table, charts and gate read it.

Names collide in this field (four formulas go by TPOT), so the formula stands beside every number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from analysis import series
from analysis.runs import is_later_turn, numbers, seconds, truths, where

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

    from analysis.window import Window

Unit = Literal["s", "1/s", "share"]


@dataclass(frozen=True, slots=True)
class Metric:
    """
    One thing that is measured.

    Attributes:
        unit: `s`, `1/s` or `share` (0 to 1): base units, converted only where they are shown.
        formula: In the record's column names without their units.
        column: Of requests.parquet, for a metric of each request.
        of_run: From all rows and the window, for a metric of the whole run.
        rows: Which requests have it: `stream` answers, `split` (streams and whole answers apart), or `all`.
        of_sent: Every request that was sent counts, not only those answered in full.
        of_tokens: Rests on counts of tokens, so that counts of different sources are kept apart.
    """

    name: str
    label: str
    unit: Unit
    better: Literal["lower", "higher"]
    formula: str
    source: str
    column: str | None = None
    of_run: Callable[[pd.DataFrame, Window], float | None] | None = None
    rows: Literal["stream", "split", "all"] = "all"
    of_sent: bool = False
    of_tokens: bool = False


def is_stream(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Where a streamed answer was asked for."""
    return truths(frame, "stream")


def is_ok(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Where the request was answered in full."""
    return where(frame, "outcome", "ok")


def _ok_ends(frame: pd.DataFrame, window: Window) -> float:
    ends = seconds(frame, "end_ns")[is_ok(frame)]
    return float(np.count_nonzero((ends >= window.start_s) & (ends <= window.end_s)))


def arrivals_per_s(frame: pd.DataFrame, window: Window) -> float | None:
    """
    Arrivals meant for the window, per second of it; None where it has no length, or all came at one instant.

    A conversation arrives once: its later turns follow its answers.
    """
    rows = window.rows(frame)
    scheduled = seconds(rows, "scheduled_ns")[~is_later_turn(rows)]
    if window.length_s <= 0 or (scheduled.size > 1 and np.ptp(scheduled) == 0):
        return None
    return scheduled.size / window.length_s


def requests_per_s(frame: pd.DataFrame, window: Window) -> float | None:
    """Requests answered in full while the window was open, per second of it; None where it has no length."""
    return _ok_ends(frame, window) / window.length_s if window.length_s > 0 else None


def tokens_per_s(frame: pd.DataFrame, window: Window) -> float | None:
    """Output tokens that came while the window was open, per second of it; None without token counts."""
    if window.length_s <= 0 or not np.any(numbers(frame, "output_tokens") > 0):
        return None
    return float(series.output_tokens(frame, np.array([window.start_s, window.end_s]))[0]) / window.length_s


def error_rate(frame: pd.DataFrame, window: Window) -> float | None:
    """Failed and lost requests over those that went out; None where none did. Cancelled ones are in neither."""
    counted = window.rows(frame)
    failed = int(where(counted, "outcome", "error", "lost").sum())
    sent = failed + int(is_ok(counted).sum())
    return failed / sent if sent else None


MLPERF: Final = "MLPerf inference_rules.adoc, Server scenario: latency counts from the scheduled moment"

METRICS: Final[tuple[Metric, ...]] = (
    Metric(
        "ttft_s", "TTFT", "s", "lower", "first token - scheduled", MLPERF, column="ttft_s", rows="stream",
    ),
    Metric(
        "ttft_from_send_s", "TTFT from send", "s", "lower", "first token - sent",
        "what most tools call TTFT; beside ttft_s it shows what waiting to be sent cost",
        column="ttft_from_send_s", rows="stream",
    ),
    Metric(
        "latency_s", "latency", "s", "lower", "last token (streamed) or end (not) - scheduled", MLPERF,
        column="latency_s", rows="split",
    ),
    Metric(
        "latency_from_send_s", "latency from send", "s", "lower", "last token (streamed) or end (not) - sent",
        "service time: wrk2's uncorrected latency", column="latency_from_send_s", rows="split",
    ),
    Metric(
        "tpot_s", "TPOT", "s", "lower",
        "(last token - first token) / (output tokens - tokens in the first chunk), with 2 chunks or more",
        "Artificial Analysis, output speed: the one form that holds when the first chunk has several tokens",
        column="tpot_s", rows="stream", of_tokens=True,
    ),
    Metric(
        "output_tokens_per_s", "tokens/s", "1/s", "higher", "output tokens / latency from send",
        "both kinds of answer; waiting included", column="output_tokens_per_s", rows="split", of_tokens=True,
    ),
    Metric(
        "max_gap_s", "longest gap", "s", "lower", "longest silence between two tokens of an answer",
        "Etalon (arXiv 2407.07000): stalls that a mean hides", column="max_gap_s", rows="stream",
    ),
    Metric(
        "send_lag_s", "send lag", "s", "lower", "sent - scheduled",
        "the client's own lateness, connecting included; part of TTFT and latency", column="send_lag_s", of_sent=True,
    ),
    Metric(
        "arrivals_per_s", "arrivals/s", "1/s", "higher", "arrivals of the window / its length", "the load offered",
        of_run=arrivals_per_s,
    ),
    Metric(
        "requests_per_s", "requests/s", "1/s", "higher", "answers completed inside the window / its length",
        "the load carried", of_run=requests_per_s,
    ),
    Metric(
        "tokens_per_s", "output tokens/s", "1/s", "higher", "output tokens received inside the window / its length",
        "all requests together; a streamed answer's tokens spread evenly from first to last token", of_run=tokens_per_s,
        of_tokens=True,
    ),
    Metric(
        "error_rate", "error rate", "share", "lower", "(error + lost) / (ok + error + lost)",
        "arrivals of the window; unsent and cancelled ones are shown apart", of_run=error_rate,
    ),
)  # fmt: skip

BY_NAME: Final = {metric.name: metric for metric in METRICS}
