"""
Objectives that others published, by name, each with where and when it was read.

MLPerf holds the 99th percentile of every query, counted from the moment it was scheduled, against these limits.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Preset(NamedTuple):
    """
    Published objectives.

    Attributes:
        objectives: As texts.
        source: Who published them, and where.
        date: Of the version read, ISO.
    """

    objectives: tuple[str, ...]
    source: str
    date: str


def _rules(ttft: str, tpot: str, scenario: str) -> Preset:
    source = f"MLPerf inference_rules.adoc (github.com/mlcommons/inference_policies), {scenario}"
    return Preset((f"ttft_p99<{ttft}", f"tpot_p99<{tpot}"), source, "2026-07-23")


def _server(ttft: str, tpot: str) -> Preset:
    return _rules(ttft, tpot, "Server scenario")


def _interactive(ttft: str, tpot: str) -> Preset:
    return _rules(ttft, tpot, "Interactive scenario")


PRESETS: Final = {
    "mlperf-llama2-70b": _server("2s", "200ms"),
    "mlperf-llama2-70b-interactive": _interactive("450ms", "40ms"),
    "mlperf-llama3.1-8b": _server("2s", "100ms"),
    "mlperf-llama3.1-8b-interactive": _interactive("500ms", "30ms"),
    "mlperf-llama3.1-405b": _server("6s", "175ms"),
    "mlperf-llama3.1-405b-interactive": _interactive("4.5s", "80ms"),
    "mlperf-mixtral-8x7b": _server("2s", "200ms"),
    "mlperf-deepseek-r1": _server("2s", "80ms"),
    "mlperf-deepseek-r1-interactive": _interactive("1.5s", "15ms"),
    "mlperf-gpt-oss-120b": _server("3s", "80ms"),
    "mlperf-gpt-oss-120b-interactive": _interactive("2s", "20ms"),
    "mlperf-gpt-oss-120b-interactive-loadgen": Preset(
        ("ttft_p99<2s", "tpot_p99<15ms"),
        "MLPerf mlperf.conf (github.com/mlcommons/inference, loadgen), which is stricter here than the rules",
        "2026-08-20",
    ),
    "mlperf-qwen3-vl-235b": Preset(
        ("latency_p99<12s",),
        "MLPerf inference_rules.adoc (github.com/mlcommons/inference_policies), Server scenario, end to end",
        "2026-07-23",
    ),
}
