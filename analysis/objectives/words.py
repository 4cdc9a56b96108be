"""
What an objective can be about: each word with its metric, unit and better direction, and which requests have it.

A word of a request may carry a percentile; a word of the whole run never does. The values of a request are shape (n,),
base units, NaN where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from analysis import derived
from analysis.rundir import numbers, seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

Op = Literal["<", ">"]
Unit = Literal["s", "1/s", "share", "index", "count", "money"]


@dataclass(frozen=True, slots=True)
class Word:
    """
    One thing that can be promised.

    Attributes:
        metric: Its name in the table of metrics, or a column.
        unit: Of its limit: `s`, `1/s`, `share` (0 to 1, written in %), `index` (0 to 1), `count`, or `money`, that of
            the profile's prices.
        op: Whether it is to stay below or above its limit; None: either can be meant.
        of: Every `request`, only a `stream` that was asked for, or the `run` as a whole.
        source: Of a request's word: from rows to values; or the column's name.
        may_lack: A whole answer need not have one: it has nothing between its tokens, or nobody counted these.
        of_chunks: Rests on the per-chunk times.
    """

    metric: str
    unit: Unit
    op: Op | None
    of: Literal["request", "stream", "run"]
    source: str | Callable[[pd.DataFrame], NDArray[np.float64]] = ""
    may_lack: bool = False
    of_chunks: bool = False

    def of_rows(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """The value of each row."""
        return numbers(rows, self.source) if isinstance(self.source, str) else self.source(rows)


def _answer_s(rows: pd.DataFrame) -> NDArray[np.float64]:
    """First token that is no reasoning - scheduled, whether or not there was any reasoning."""
    return seconds(rows, "first_answer_ns") - seconds(rows, "scheduled_ns")


WORDS: Final = {
    "ttft": Word("ttft_s", "s", "<", "stream", "ttft_s"),
    "ttft_from_send": Word("ttft_from_send_s", "s", "<", "stream", "ttft_from_send_s"),
    "ttfa": Word("ttfa_s", "s", "<", "stream", _answer_s),
    "latency": Word("latency_s", "s", "<", "request", "latency_s"),
    "latency_from_send": Word("latency_from_send_s", "s", "<", "request", "latency_from_send_s"),
    "tpot": Word("tpot_s", "s", "<", "stream", "tpot_s", may_lack=True),
    "output_speed": Word("output_speed", "1/s", ">", "stream", derived.output_speed, may_lack=True),
    "output_chars_per_s": Word(
        "output_chars_per_s", "1/s", ">", "stream", derived.output_chars_per_s, may_lack=True
    ),
    "output_tokens_per_s": Word(
        "output_tokens_per_s", "1/s", ">", "request", "output_tokens_per_s", may_lack=True
    ),
    "max_gap": Word("max_gap_s", "s", "<", "stream", "max_gap_s", may_lack=True),
    "request_itl": Word("itl_p99_s", "s", "<", "stream", "itl_p99_s", may_lack=True, of_chunks=True),
    "stalls": Word("stalls", "count", "<", "stream", "stalls", may_lack=True, of_chunks=True),
    "stall_time": Word("stall_s", "s", "<", "stream", "stall_s", may_lack=True, of_chunks=True),
    "fluidity": Word("fluidity", "index", ">", "stream", "fluidity", of_chunks=True),
    "error_rate": Word("error_rate", "share", "<", "run"),
    "attainment": Word("attainment", "share", ">", "run"),
    "goodput": Word("goodput_per_s", "1/s", ">", "run"),
    "requests_per_s": Word("requests_per_s", "1/s", ">", "run"),
    "tokens_per_s": Word("tokens_per_s", "1/s", ">", "run"),
    "stalled_share": Word("stalled_share", "share", "<", "run"),
    "length_share": Word("length_share", "share", None, "run"),
    "cached_share": Word("cached_share", "share", None, "run"),
    "cost_per_1k_good": Word("cost_per_1k_good", "money", "<", "run"),
    "cost_per_m_output": Word("cost_per_m_output", "money", "<", "run"),
}  # fmt: skip
"""`request_itl` is the p99 of the times between the tokens of one answer; its own percentile is over answers."""

ELSEWHERE: Final = {
    "e2e": "latency", "e2el": "latency", "itl": "request_itl", "tbt": "request_itl", "rps": "requests_per_s",
    "throughput": "tokens_per_s", "ttfat": "ttfa", "errors": "error_rate",
}  # fmt: skip
"""What other tools call some of these."""
