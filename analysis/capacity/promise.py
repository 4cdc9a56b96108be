"""A promise in the words of those who wait for it: what a percentile of a token time means to a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from analysis.capacity.figures import percent
from analysis.objectives import ObjectiveError, parse

if TYPE_CHECKING:
    from analysis.objectives import Objective

OF_REQUESTS: Final = {
    "ttft": "begin within {limit}",
    "ttft_from_send": "begin within {limit} of being sent",
    "ttfa": "show the first word that is not reasoning within {limit}",
    "latency": "are complete within {limit}",
    "latency_from_send": "are complete within {limit} of being sent",
    "tpot": "go on with less than {limit} for each further token (a piece of a word)",
    "max_gap": "never stand still for {limit}",
    "output_speed": "go on with more than {limit} tokens (pieces of words) a second",
    "output_chars_per_s": "go on with more than {limit} characters a second",
}
OF_RUN: Final = {
    "error_rate": "less than {limit} of the requests fail",
    "attainment": "more than {limit} of the requests are good ones",
    "goodput": "more than {limit} good requests are answered a second",
    "cost_per_1k_good": "1,000 good requests cost less than {limit} USD",
}


def in_words(text: str) -> str:
    """
    An objective as a clause: 95 of 100 answers begin within 2 s. What has no such clause is told as it is written.

    Args:
        text: `ttft_p95<2s`; texts that are no objective come back as they are.
    """
    try:
        found = parse(text)
    except ObjectiveError:
        return text
    if found.word in OF_REQUESTS:
        return f"{_many(found)} {OF_REQUESTS[found.word].format(limit=_limit(found))}"
    if found.word in OF_RUN:
        return OF_RUN[found.word].format(limit=_limit(found))
    return f"{found.text} holds"


def _many(found: Objective) -> str:
    """95 of 100 answers; 999 of 1,000; each, where no share was promised."""
    if found.p is None:
        return "good answers"
    whole = next((n for n in (100, 1000, 10_000, 100_000) if abs(found.p * n - round(found.p * n)) < 1e-6), 1_000_000)
    return f"{round(found.p * whole):,} of {whole:,} answers"


def _limit(found: Objective) -> str:
    unit, limit = found.about.unit, found.limit
    if unit == "s":
        return f"{limit:g} s" if limit >= 1 else f"{1000 * limit:g} ms"
    return percent(limit) if unit in {"share", "index"} else f"{limit:g}"
