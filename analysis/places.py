"""Which number of a run: the one key that summary, digest, comparison, gate, history and charts share."""

from __future__ import annotations

from typing import Final, NamedTuple

RUN: Final = "run"
"""The group of a metric of the whole run."""


WORDS: Final = {"goodput_per_s": "goodput"}
"""Names in options where the metric's own would be clumsy."""


def word_of(metric: str) -> str:
    """A metric's name as options have it: `ttft`, `goodput`, `requests_per_s`."""
    return WORDS.get(metric, metric if metric.endswith("_per_s") else metric.removesuffix("_s"))


class Place(NamedTuple):
    """
    Which number of a run.

    Attributes:
        metric: Its name in `METRICS`.
        by: What the group is one of: `workload`, `turn`, `prompt`, `time`; None for the groups that every run has.
        group: `stream`, `whole`, `all`, `run`, or one of those of `by`.
        tokens: The source of the token counts it rests on; None where it rests on none.
        what: A percentile's name, `p50`; empty for a metric of the run.
    """

    metric: str
    by: str | None
    group: str
    tokens: str | None
    what: str

    @property
    def words(self) -> str:
        """As options and files name it: `ttft_p95`, `goodput`; group and source follow in brackets."""
        name = word_of(self.metric) + (f"_{self.what}" if self.what else "")
        beside = [part for part in (self.group if self.by or self.group == "whole" else "", self.tokens) if part]
        beside = [part for part in beside if part != "usage"]
        return name + (f" ({', '.join(beside)})" if beside else "")


def percentile(p: float) -> str:
    """p95, p99.9."""
    return f"p{100 * p:.4g}"
