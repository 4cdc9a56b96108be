"""
The metrics: one entry each with name, unit, better direction, formula, source. README, table, charts and gate read it.

Names collide in this field (four formulas go by TPOT), so the formula stands beside every number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from analysis import derived, sums
from analysis.places import word_of
from analysis.rundir import numbers

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from analysis.measured import Measured
    from analysis.sums import Sums

Unit = Literal["s", "1/s", "share", "tokens", "USD"]


@dataclass(frozen=True, slots=True)
class Metric:
    """
    One thing that is measured.

    Attributes:
        unit: `s`, `1/s`, `share` (0 to 1), `tokens` or `USD`: base units, converted only where they are shown.
        better: Which way is better; `neither` for what only describes the load.
        formula: In the record's column names without their units.
        of_request: From the rows to a value of each, NaN for none; or the name of a column.
        of_run: From the run and its window, for a metric of the whole run.
        pooled: Of every token event of the window: `gaps` or `itl`, an attribute of `Chunks`.
        rows: Which requests have it: `stream` answers, `split` (streams and whole answers apart), or `all`.
        of_sent: Every request that was sent counts, not only those answered in full.
        of_tokens: Rests on counts of tokens, so that counts of different sources are kept apart.
        aside: Follows from others or is seldom asked for: not in the first table.
        rare: Left out where no request has it.
    """

    name: str
    label: str
    unit: Unit
    better: Literal["lower", "higher", "neither"]
    formula: str
    source: str
    of_request: str | Callable[[pd.DataFrame], NDArray[np.float64]] | None = None
    of_run: Callable[[Measured], Sums | None] | None = None
    pooled: Literal["gaps", "itl"] | None = None
    rows: Literal["stream", "split", "all"] = "all"
    of_sent: bool = False
    of_tokens: bool = False
    aside: bool = False
    rare: bool = False

    def values(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Its value of each row, shape (n,), NaN for none."""
        assert self.of_request is not None
        return numbers(rows, self.of_request) if isinstance(self.of_request, str) else self.of_request(rows)

    @property
    def words(self) -> str:
        """As options name it: `ttft`, `goodput`."""
        return word_of(self.name)


MLPERF: Final = "MLPerf inference_rules.adoc, Server scenario: latency counts from the scheduled moment"
ARTIFICIAL_ANALYSIS: Final = "Artificial Analysis, output speed: correct where the first chunk has several tokens"
ETALON: Final = "Etalon (arXiv 2407.07000): stalls that a mean hides"
DISTSERVE: Final = "DistServe (arXiv 2401.09670), over all arrivals, not only those answered"
SPENT: Final = "the profile's prices, input, cached, output and reasoning tokens of every request"

METRICS: Final[tuple[Metric, ...]] = (
    Metric(
        "ttft_s", "TTFT", "s", "lower", "first token (content, reasoning, tool or refusal) - scheduled", MLPERF,
        of_request="ttft_s", rows="stream",
    ),
    Metric(
        "ttft_from_send_s", "TTFT from send", "s", "lower", "first token - sent",
        "what most tools call TTFT; compared with ttft_s it shows the wait before sending",
        of_request="ttft_from_send_s", rows="stream",
    ),
    Metric(
        "ttfa_s", "TTFT, answer", "s", "lower",
        "first token that is not reasoning - scheduled, in answers with reasoning",
        "Artificial Analysis, time to first answer token", of_request=derived.ttfa_s, rows="stream",
        rare=True,
    ),
    Metric(
        "reasoning_s", "reasoning", "s", "lower", "first token that is not reasoning - first token",
        "the part of TTFT, answer that the model spent on reasoning", of_request=derived.reasoning_s, rows="stream",
        rare=True,
    ),
    Metric(
        "latency_s", "latency", "s", "lower", "last token (streamed) or end (whole) - scheduled", MLPERF,
        of_request="latency_s", rows="split",
    ),
    Metric(
        "latency_from_send_s", "latency from send", "s", "lower", "last token (streamed) or end (whole) - sent",
        "service time: wrk2's uncorrected latency", of_request="latency_from_send_s", rows="split",
    ),
    Metric(
        "tpot_s", "TPOT", "s", "lower",
        "(last token - first token) / (output tokens - tokens in the first chunk), with 2 chunks or more",
        ARTIFICIAL_ANALYSIS, of_request="tpot_s", rows="stream", of_tokens=True,
    ),
    Metric(
        "output_speed", "output speed", "1/s", "higher", "1 / TPOT of each answer: its tokens per second once it flows",
        ARTIFICIAL_ANALYSIS, of_request=derived.output_speed, rows="stream", of_tokens=True, aside=True,
    ),
    Metric(
        "output_tokens_per_s", "tokens/s", "1/s", "higher", "output tokens / latency from send",
        "both kinds of answer; waiting included", of_request="output_tokens_per_s", rows="split", of_tokens=True,
    ),
    Metric(
        "output_chars_per_s", "characters/s", "1/s", "higher",
        "(characters - those of the first chunk) / (last token - first token)",
        "independent of tokenizers: models differ by 15 % and more in tokens for the same text",
        of_request=derived.output_chars_per_s, rows="stream", aside=True,
    ),
    Metric(
        "chunk_gap_s", "inter-chunk gap", "s", "lower", "from one token event to the next, pooled over all answers",
        "what a reader sees; vLLM bench calls it ITL", pooled="gaps", rows="stream",
    ),
    Metric(
        "itl_s", "ITL", "s", "lower", "inter-chunk gap / tokens of the chunk that ends it, each token counted once",
        "weighted by tokens, so that chunks of several tokens do not pass for slow ones (sglang PR 33193)",
        pooled="itl", rows="stream", of_tokens=True,
    ),
    Metric(
        "max_gap_s", "longest gap", "s", "lower", "longest silence between two tokens of an answer", ETALON,
        of_request="max_gap_s", rows="stream",
    ),
    Metric(
        "send_lag_s", "send lag", "s", "lower", "sent - scheduled",
        "the client's own lateness, connecting included; part of TTFT and latency",
        of_request="send_lag_s", of_sent=True,
    ),
    Metric(
        "arrivals_per_s", "arrivals/s", "1/s", "neither", "arrivals of the window / its length", "the load offered",
        of_run=sums.arrivals_per_s,
    ),
    Metric(
        "requests_per_s", "requests/s", "1/s", "higher", "answers completed inside the window / its length",
        "the load carried", of_run=sums.requests_per_s,
    ),
    Metric(
        "tokens_per_s", "output tokens/s", "1/s", "higher", "output tokens received inside the window / its length",
        "all requests together, each token at its chunk's timestamp", of_run=sums.tokens_per_s, of_tokens=True,
    ),
    Metric(
        "goodput_per_s", "goodput", "1/s", "higher", "arrivals of the window that met every objective / its length",
        DISTSERVE, of_run=sums.goodput_per_s,
    ),
    Metric(
        "attainment", "attainment", "share", "higher", "arrivals that met every objective / all arrivals of the window",
        DISTSERVE, of_run=sums.attainment,
    ),
    Metric(
        "error_rate", "error rate", "share", "lower", "(error + lost) / (ok + error + lost)",
        "arrivals of the window; unsent and cancelled ones are shown separately", of_run=sums.error_rate,
    ),
    Metric(
        "stalled_share", "stalled answers", "share", "lower",
        "answers with a gap above 500 ms and 5 x their own median gap / streamed answers", ETALON,
        of_run=sums.stalled_share,
    ),
    Metric(
        "length_share", "cut at the cap", "share", "neither",
        "answers ended by length, or by the client at the cap / these and those with a finish reason",
        "cut answers are not comparable with complete ones", of_run=sums.length_share, aside=True,
    ),
    Metric(
        "cached_share", "cached prompt tokens", "share", "neither", "cached_tokens / input_tokens",
        "prefix caches shorten TTFT", of_run=sums.cached_share, aside=True,
    ),
    Metric(
        "mean_output_tokens", "output length", "tokens", "neither", "output_tokens / answers",
        "latencies of answers of different lengths are not comparable", of_run=sums.mean_output_tokens, of_tokens=True,
        aside=True,
    ),
    Metric(
        "cost_per_1k_good", "cost of 1,000 good requests", "USD", "lower",
        "1,000 x cost_usd of all requests / arrivals that met every objective; answers of unknown cost in neither sum",
        SPENT, of_run=sums.cost_per_1k_good,
    ),
    Metric(
        "cost_per_m_output", "cost of 1 M output tokens", "USD", "lower",
        "1,000,000 x cost_usd, input included, / output_tokens", SPENT, of_run=sums.cost_per_m_output, aside=True,
    ),
)  # fmt: skip

BY_NAME: Final = {metric.name: metric for metric in METRICS}
