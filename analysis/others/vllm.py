"""
What `vllm bench serve` would have reported.

Source: vllm-project/vllm, vllm/benchmarks/serve.py at 009e6d4 (calculate_metrics and what benchmark prints of it) and
vllm/benchmarks/lib/endpoint_request_func.py at 02cfb53 (async_request_openai_chat_completions).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from analysis.others import answers
from analysis.others.retold import Retold, Wanted, against, many, one
from analysis.units import digits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.others.answers import Answers, Events
    from analysis.others.retold import RetoldLine
    from analysis.summary import Judged

    Array = NDArray[np.float64]

SOURCE: Final = "vllm bench serve: benchmarks/serve.py at 009e6d4, lib/endpoint_request_func.py at 02cfb53"
TAKEN: Final = {"no_finish": "first_token_ns", "stream_error": "first_token_ns", "empty": "first_event_ns"}
"""After one chunk with choices, only a broken connection or an event that is not JSON is a failure to it."""
WANTED: Final[Wanted] = {"mean": "mean", "median": 50.0, "std": "std", "p99": 99.0}
SHOWN: Final = ("mean", "median", "p99")


def retell(judged: Judged) -> Retold:
    """
    Its figures for a run.

    TTFT = first chunk with choices - start, start = right before the request is handed to the HTTP client;
    E2EL = last chunk with choices - start; TPOT = (E2EL - TTFT) / (output tokens - 1), with 2 tokens or more;
    ITL = every gap between two chunks with choices, all answers together.
    """
    told = answers.of(judged.run, TAKEN, streamed=True)
    events = answers.events_of(told)
    ttft, e2el = _ttft(told), _e2el(told)
    output = told.number("output_tokens")
    with np.errstate(invalid="ignore", divide="ignore"):
        tpot = np.where(output > 1, (e2el - ttft) / (output - 1), np.nan)
    series = {
        "ttft": ("TTFT", ttft), "tpot": ("TPOT", tpot), "itl": ("ITL", _itl(told, events)), "e2el": ("E2EL", e2el),
    }  # fmt: skip
    lines = (*_totals(told, events), *(many(key, name, "ms", v, WANTED, 1e3) for key, (name, v) in series.items()))
    notes = (*_notes(judged, told, ttft, tpot), *told.notes)
    return Retold("vllm", SOURCE, judged.run.name, judged.summary.validity.verdict, SHOWN, lines, notes)


def _ttft(told: Answers) -> Array:
    return told.since_start("first_event")


def _e2el(told: Answers) -> Array:
    """To the last token: of an answer without one, to the first event."""
    last = told.since_start("last_token")
    return np.where(np.isnan(last), _ttft(told), last)


def _itl(told: Answers, events: Events) -> Array:
    """The gap from a first chunk without a token to the first token is one of them."""
    lead = told.at("first_token") - told.at("first_event")
    return np.concatenate([events.later_gaps_s, lead[lead > 0]])


def _totals(told: Answers, events: Events) -> list[RetoldLine]:
    duration = told.whole_s
    total_in, total_out = (float(np.nansum(told.number(name))) for name in ("input_tokens", "output_tokens"))

    def rate(count: float) -> float | None:
        return count / duration if duration else None

    return [
        one("completed", "Successful requests", len(told.frame)),
        one("failed", "Failed requests", told.failed),
        one("duration", "Benchmark duration", duration, "s"),
        one("total_input_tokens", "Total input tokens", total_in),
        one("total_output_tokens", "Total generated tokens", total_out),
        one("request_throughput", "Request throughput", rate(len(told.frame)), "req/s"),
        one("output_throughput", "Output token throughput", rate(total_out), "tok/s"),
        one("max_output_tokens_per_s", "Peak output token throughput", peak_chunks(told, events), "tok/s"),
        one("max_concurrent_requests", "Peak concurrent requests", peak_in_flight(told)),
        one("total_token_throughput", "Total token throughput", rate(total_in + total_out), "tok/s"),
    ]


def peak_chunks(told: Answers, events: Events) -> float | None:
    """Chunks with choices in the fullest second; seconds are counted from the first start."""
    if not len(told.frame):
        return None
    first, token = told.at("first_event"), told.at("first_token")
    lead = first[np.isnan(token) | (first < token)]
    at = np.concatenate([events.at_s, lead]) - np.nanmin(told.at("started"))
    return float(np.bincount(np.maximum(at, 0.0).astype(np.int64)).max())


def peak_in_flight(told: Answers) -> float | None:
    """Most answers at one time, each from its start to its last chunk, the end excluded."""
    if not len(told.frame):
        return None
    start = told.at("started")
    at = np.concatenate([start + _e2el(told), start])
    step = np.concatenate([np.full(start.size, -1), np.full(start.size, 1)])
    return float(np.cumsum(step[np.lexsort((step, at))]).max())


def _notes(judged: Judged, told: Answers, ttft: Array, tpot: Array) -> list[str]:
    notes = [
        "TTFT counts from the pick-up, not the schedule, to the first event, even a role alone: "
        + against(ttft, told.number("ttft_s")),
        "TPOT divides by all tokens but one, however many the first chunk had: " + against(tpot, told.number("tpot_s")),
    ]
    chunks, tokens = float(np.nansum(told.number("chunks"))), float(np.nansum(told.number("output_tokens")))
    if chunks:
        per = digits(tokens / chunks)
        notes.append(f"ITL is between chunks, and the peak counts chunks, whatever they hold: here {per} tokens each")
    closing = told.at("end") - told.at("last_token")
    if np.isfinite(closing).any():
        most = digits(1000 * float(np.nanmedian(closing)))
        notes.append(
            "E2EL and ITL count a closing chunk without a token too; its time is not in the rows: "
            f"E2EL would be up to {most} ms later (median)"
        )
    return [*notes, *answers.pace(judged, told, told.whole_s)]
