"""
What AIPerf would have reported.

Source: ai-dynamo/aiperf 0.13.0, aiperf/metrics/types/*.py, metrics/metric_dicts.py, metrics/derived_latency.py (the
error-adjusted latencies), transports/aiohttp_client.py (stamps) and exporters/console_metrics_exporter.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from analysis.others import answers
from analysis.others.retold import Retold, RetoldLine, Wanted, against, many, one

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.others.answers import Answers
    from analysis.summary import Judged

    Array = NDArray[np.float64]

SOURCE: Final = "AIPerf 0.13.0: metrics/types, with --streaming and --use-server-token-count"
TAKEN: Final = {"no_finish": "first_token_ns"}
PERCENTILES: Final = {f"p{p}": float(p) for p in (1, 5, 10, 25, 50, 75, 90, 95, 99)}
WANTED: Final[Wanted] = {
    "avg": "mean",
    "min": "min",
    "max": "max",
    "sum": "sum",
    "std": "std",
    "count": "count",
    **PERCENTILES,
}
SHOWN: Final = ("avg", "min", "max", "p99", "p90", "p50", "std")
PER_USER: Final = "tokens/sec/user"


def retell(judged: Judged) -> Retold:
    """
    Its figures for a run.

    TTFT = first content - start, start = right before the request is handed to the HTTP client, content = text,
    reasoning or a tool call; TTST = second content - first; request latency = last content - start, of a whole answer
    its arrival; ITL = (request latency - TTFT) / (output tokens - 1), with 2 tokens or more.
    """
    told = answers.of(judged.run, TAKEN, streamed=False)
    events = answers.events_of(told)
    ttft, latency, itl = _ttft(told), _latency(told), _itl(told)
    decode = latency - ttft
    osl, isl = told.number("output_tokens"), told.number("input_tokens")
    with np.errstate(invalid="ignore", divide="ignore"):
        speed = np.where(itl > 0, 1 / itl, np.nan)
        whole_speed = np.where(latency > 0, osl / latency, np.nan)
        prefill = np.where(ttft > 0, isl / ttft, np.nan)
    lines = (
        _ms("time_to_first_token", "Time to First Token", ttft),
        _ms("time_to_second_token", "Time to Second Token", events.gap_s[events.place == 1]),
        _ms("time_to_first_output_token", "Time to First Output Token", told.since_start("first_answer")),
        _ms("request_latency", "Request Latency", latency),
        _ms("decode_duration", "Decode Duration", decode),
        _ms("inter_token_latency", "Inter Token Latency", itl),
        many("output_token_throughput_per_user", "Output Token Throughput Per User", PER_USER, speed, WANTED),
        many("e2e_output_token_throughput", "E2E Output Token Throughput", PER_USER, whole_speed, WANTED),
        many("output_sequence_length", "Output Sequence Length", "tokens", osl, WANTED),
        many("input_sequence_length", "Input Sequence Length", "tokens", isl, WANTED),
        many("prefill_throughput_per_user", "Prefill Throughput Per User", PER_USER, prefill, WANTED),
        _ms("inter_chunk_latency", "Inter Chunk Latency", events.later_gaps_s),
        *_adjusted(told.failed, ttft, latency, decode, itl),
        *_totals(told, latency),
    )
    notes = (*_notes(judged, told, ttft, itl), *told.notes)
    return Retold("aiperf", SOURCE, judged.run.name, judged.summary.validity.verdict, SHOWN, lines, notes)


def _ms(key: str, name: str, values: Array) -> RetoldLine:
    return many(key, name, "ms", values, WANTED, 1e3)


def _ttft(told: Answers) -> Array:
    return told.since_start("first_token")


def _latency(told: Answers) -> Array:
    """Of an answer that came whole, to its end."""
    whole = np.isnan(told.at("first_event")) & np.isnan(told.at("first_token"))
    return np.where(whole, told.since_start("end"), told.since_start("last_token"))


def _itl(told: Answers) -> Array:
    osl = told.number("output_tokens")
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(osl >= 2, (_latency(told) - _ttft(told)) / (osl - 1), np.nan)


def _adjusted(failed: int, ttft: Array, latency: Array, decode: Array, itl: Array) -> list[RetoldLine]:
    """Where requests failed: the same latencies with each failure as an endless one."""
    named = {
        "time_to_first_token": ("Time to First Token", ttft), "request_latency": ("Request Latency", latency),
        "decode_duration": ("Decode Duration", decode), "inter_token_latency": ("Inter Token Latency", itl),
    }  # fmt: skip
    if not failed:
        return []
    return [
        RetoldLine(f"adj_{key}", f"{name} (error-adjusted)", "ms", _with_failures(1e3 * values, failed))
        for key, (name, values) in named.items()
    ]


def _with_failures(values: Array, failed: int) -> dict[str, float | None]:
    """Percentiles are ranks, not interpolated; a mean and a sum with a failure in them are endless, a std has none."""
    known = values[~np.isnan(values)]
    if not known.size:
        return dict.fromkeys(WANTED)
    every = np.concatenate([np.sort(known), np.full(failed, np.inf)])
    ranks = {name: float(np.percentile(every, p, method="nearest")) for name, p in PERCENTILES.items()}
    ends = {
        "avg": np.inf,
        "min": float(every[0]),
        "max": np.inf,
        "sum": np.inf,
        "std": None,
        "count": float(every.size),
    }
    return {name: (ends | ranks)[name] for name in WANTED}


def _totals(told: Answers, latency: Array) -> list[RetoldLine]:
    """Over the benchmark's duration: from the first start to the last content, of the valid requests alone."""
    duration = _duration(told, latency)
    total_in, total_out = (float(np.nansum(told.number(name))) for name in ("input_tokens", "output_tokens"))
    valid, every = len(told.frame), len(told.offered)

    def rate(count: float) -> float | None:
        return count / duration if duration else None

    failed = 100 * told.failed / every if every else None
    return [
        one("output_token_throughput", "Output Token Throughput", rate(total_out), "tokens/sec"),
        one("input_token_throughput", "Input Token Throughput", rate(total_in), "tokens/sec"),
        one("total_token_throughput", "Total Token Throughput", rate(total_in + total_out), "tokens/sec"),
        one("request_throughput", "Request Throughput", rate(valid), "requests/sec"),
        one("completed_request_count", "Completed Requests (Success + Error)", every, "requests"),
        one("request_error_rate", "Request Error Rate", failed, "%"),
        one("request_count", "Request Count", valid, "requests"),
        one("benchmark_duration", "Benchmark Duration", duration, "sec"),
    ]


def _duration(told: Answers, latency: Array) -> float | None:
    if not len(told.frame):
        return None
    start = told.at("started")
    return float(np.nanmax(start + latency) - np.nanmin(start))


def _notes(judged: Judged, told: Answers, ttft: Array, itl: Array) -> list[str]:
    notes = [
        "TTFT and request latency count from the pick-up, not the schedule: TTFT "
        + against(ttft, told.number("ttft_s")),
        "Inter Token Latency is our TPOT, a mean of each answer, but divides by all tokens but one, however many the "
        "first chunk had: " + against(itl, told.number("tpot_s")),
        "tokens are the server's counts; without --use-server-token-count it counts with the model's tokenizer",
    ]
    notes += answers.pace(judged, told, _duration(told, _latency(told)))
    streamed = np.isfinite(told.at("first_event"))
    if streamed.any() and not streamed.all():
        notes.append(
            f"it streams all requests or none; here {int((~streamed).sum()):,} whole answers are in Request Latency "
            "and the totals, not in what only streams have"
        )
    return notes
