"""
What genai-bench would have reported.

Source: sgl-project/genai-bench 0.0.5, genai_bench/metrics/request_metrics_collector.py and
aggregated_metrics_collector.py, user/openai_user.py (stamps), cli/cli.py (the run's duration).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from analysis.others import answers
from analysis.others.retold import Retold, Wanted, against, many, one
from analysis.rundir import truths, where
from analysis.units import digits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.others.answers import Answers
    from analysis.others.retold import RetoldLine
    from analysis.summary import Judged

    Array = NDArray[np.float64]

SOURCE: Final = (
    "genai-bench 0.0.5: genai_bench/metrics, with --metrics-time-unit ms, no --warmup-ratio or --cooldown-ratio"
)
TAKEN: Final = {"no_finish": "first_token_ns"}
VANISHED: Final = ("empty", "bad_body")
"""Its parser raises what nothing catches, so that the request is in no figure at all."""
WANTED: Final[Wanted] = {
    "min": "min", "max": "max", "mean": "mean", "stddev": "std", "sum": "sum",
    **{f"p{p}": float(p) for p in (25, 50, 75, 90, 95, 99)},
}  # fmt: skip
SHOWN: Final = ("min", "max", "mean", "stddev", "p50", "p90", "p95", "p99")
SHORTEST_S: Final = 0.001
"""An answer whose output took less has no TPOT and no speed."""


def retell(judged: Judged) -> Retold:
    """
    Its figures for a run.

    ttft = first content or reasoning - start, start = before the connection is made; e2e_latency = event with the
    usage, else [DONE], - start; output_latency = e2e_latency - ttft; tpot = output_latency / (output tokens - 1), with
    2 tokens or more and an output_latency of 1 ms or more; output_inference_speed = 1 / tpot.
    """
    told = answers.of(judged.run, TAKEN, streamed=True)
    e2e = told.since_start("end")
    ttft = _ttft(told, e2e)
    rest = e2e - ttft
    output, given = told.number("output_tokens"), told.number("input_tokens")
    with np.errstate(invalid="ignore", divide="ignore"):
        several = np.where(output > 1, output - 1, np.nan)
        tpot = np.where(rest >= SHORTEST_S, rest / several, np.nan)
        speed = np.where(rest > 0, several / rest, np.nan)
        prefill = np.where(ttft > 0, given / ttft, 0.0)
    lines = (
        *_totals(told),
        _ms("ttft", ttft), _ms("tpot", tpot), _ms("e2e_latency", e2e), _ms("output_latency", rest),
        _plain("output_inference_speed", "tokens/s", 1 / tpot),
        _plain("num_input_tokens", "", given), _plain("num_output_tokens", "", output),
        _plain("num_reasoning_tokens", "", np.nan_to_num(told.number("reasoning_tokens"))),
        _plain("total_tokens", "", given + output),
        _plain("input_throughput", "tokens/s", prefill), _plain("output_throughput", "tokens/s", speed),
    )  # fmt: skip
    notes = (*_notes(judged, told, ttft, tpot), *told.notes)
    return Retold("genai-bench", SOURCE, judged.run.name, judged.summary.validity.verdict, SHOWN, lines, notes)


def _ms(key: str, values: Array) -> RetoldLine:
    return many(key, key, "ms", values, WANTED, 1e3)


def _plain(key: str, unit: str, values: Array) -> RetoldLine:
    return many(key, key, unit, values, WANTED)


def _ttft(told: Answers, e2e: Array) -> Array:
    """Tool calls are no content to it: of an answer of these alone it takes the usage's moment for the first token."""
    first = answers.first_of_kind(told, answers.events_of(told), answers.TEXT)
    return np.where(np.isnan(first), e2e, first - told.at("started"))


def _vanished(told: Answers) -> int:
    """Requests that end in no figure at all: those, and answers that came whole where a stream was asked for."""
    whole = where(told.offered, "outcome", "ok").sum() - where(told.frame, "outcome", "ok").sum()
    return int(where(told.offered, "error_kind", *VANISHED).sum() + whole)


def _totals(told: Answers) -> list[RetoldLine]:
    duration, done = told.whole_s, len(told.frame)
    total_in, total_out = (float(np.nansum(told.number(name))) for name in ("input_tokens", "output_tokens"))
    failed = told.failed - _vanished(told)

    def rate(count: float) -> float | None:
        return count / duration if duration else None

    return [
        one("run_duration", "run_duration", duration, "s"),
        one("mean_output_throughput_tokens_per_s", "mean_output_throughput_tokens_per_s", rate(total_out)),
        one("mean_input_throughput_tokens_per_s", "mean_input_throughput_tokens_per_s", rate(total_in)),
        one(
            "mean_total_tokens_throughput_tokens_per_s", "mean_total_tokens_throughput_tokens_per_s",
            rate(total_in + total_out),
        ),
        one("requests_per_second", "requests_per_second", rate(done)),
        one("error_rate", "error_rate", 0.0),
        one("num_error_requests", "num_error_requests", failed),
        one("num_completed_requests", "num_completed_requests", done),
        one("num_requests", "num_requests", done + failed),
    ]  # fmt: skip


def _notes(judged: Judged, told: Answers, ttft: Array, tpot: Array) -> list[str]:
    notes = [
        "ttft counts from the pick-up, its new connection included, not from the schedule: "
        + against(ttft, told.number("ttft_s")),
        "tpot runs to the end of the stream and divides by all tokens but one, however many the first chunk had: "
        + against(tpot, told.number("tpot_s")),
    ]
    rest = told.at("end") - told.at("last_token")
    if np.isfinite(rest).any():
        last = digits(1000 * float(np.nanmedian(rest)))
        notes.append(
            f"e2e_latency ends at the usage event or [DONE]; here the end of the response, {last} ms behind the last "
            "token (median)"
        )
    notes += answers.pace(judged, told, told.whole_s)
    notes.append("its own runs end on a whole second and drop what is in flight then")
    if told.failed:
        notes.append(
            "error_rate is computed before the requests are counted, so it is 0 whatever failed; "
            f"{digits(100 * told.failed / len(told.offered))} % of these did"
        )
    if vanished := _vanished(told):
        notes.append(f"in none of its figures, as its parser breaks on them: {vanished:,} empty or unreadable answers")
    if reused := int(truths(told.frame, "conn_reused").sum()):
        notes.append(f"it opens a connection for each request; {reused:,} of these reused one")
    return notes
