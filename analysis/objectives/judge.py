"""
A run against its objectives: which requests were good, and which promises were kept, broken, or cannot be decided yet.

A promise of requests counts all arrivals that it applies to: failed, timed out, unsent and lost ones broke it. Only a
person or the run's end takes an arrival back. Of a request that asked for no stream nothing is promised about streams.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

import numpy as np

from analysis import stats
from analysis.derived import is_ok, is_stream
from analysis.objectives.text import ObjectiveError
from analysis.rundir import flagged, where

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from analysis.measured import Measured
    from analysis.objectives.text import Objective, Objectives

    Mask = NDArray[np.bool_]

Verdict = Literal["met", "missed", "undecided"]
Rate: TypeAlias = "tuple[float | None, float | None, float | None]"
"""A number of the run with the ends of its interval; None for an end: nobody knows how far out it is."""

NEVER: Final = 1e300
"""Stands for the value of a request that never had one; infinity would make NaN between two order statistics."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What became of one objective. Base units.

    Attributes:
        share: Of the requests that it applies to, those that kept it; None for a number of the run.
        needed: The share that was promised.
        value: The percentile it names, requests without a value counted as beyond all others; or the run's number.
            None where it is not known, or lies among those that never had one.
        lo, hi: The 95 % interval of the share; of a number of the run that of its value.
        n: The requests that it applies to; of a number of the run the window's arrivals.
        reason: Why it is not `met`, in words; empty where it is.
        value_lo, value_hi: The 95 % interval of a percentile.
        n_eff: Independent requests that the n are worth; None for a number of the run.
    """

    text: str
    metric: str
    share: float | None
    needed: float | None
    value: float | None
    lo: float | None
    hi: float | None
    n: int
    verdict: Verdict
    reason: str
    value_lo: float | None = None
    value_hi: float | None = None
    n_eff: float | None = None


def counted(rows: pd.DataFrame) -> Mask:
    """All arrivals but those that a person or the run's end took back, shape (n,)."""
    taken = where(rows, "outcome", "cancelled", "unsent").copy()
    taken[taken] = flagged(rows[taken], "user_cancel", "run_end")
    return ~taken


def good(rows: pd.DataFrame, objectives: Objectives) -> Mask:
    """
    Which requests were answered in full and met every term of a request that applies to them, shape (n,).

    Raises:
        ObjectiveError: A term rests on chunk times, and the rows have none.
    """
    found = is_ok(rows)
    for term in objectives.of_requests:
        if (missing := _missing(term, rows)) is not None:
            raise ObjectiveError(f"objective {term.text!r}: {missing}; leave it out")
        kept = _kept(term, rows, found, is_stream(rows))
        found = found & (kept.met | ~kept.applies)
    return found


class _Kept(NamedTuple):
    """A term over rows: to which it applies, which met it, and what each had, NaN for nothing; shapes (n,)."""

    applies: Mask
    met: Mask
    amount: NDArray[np.float64]


def _kept(term: Objective, rows: pd.DataFrame, ok: Mask, stream: Mask) -> _Kept:
    """One term over rows, whether or not these are counted."""
    values = term.about.of_rows(rows)
    with np.errstate(invalid="ignore"):
        met = ok & (values < term.limit if term.op == "<" else values > term.limit)
    applies = stream.copy() if term.about.of == "stream" else np.ones(len(rows), dtype=np.bool_)
    if term.about.may_lack:
        applies &= ~(ok & np.isnan(values))
    return _Kept(applies, met, values)


def _missing(term: Objective, rows: pd.DataFrame) -> str | None:
    if term.about.of_chunks and term.about.source not in rows.columns:
        return "needs the times of the chunks, which this run does not hold"
    return None


def judge(measured: Measured, rates: Mapping[str, Rate], confidence: float = stats.CONFIDENCE) -> tuple[Outcome, ...]:
    """
    What became of the objectives of a run, but for terms that have no share of their own.

    Args:
        measured: The run, its rows in the order of their arrival.
        rates: The run's own numbers, by the names of `METRICS`; one that is missing decides nothing.
        confidence: Of each verdict, one-sided.
    """
    rows = measured.rows
    ok, stream, asked = is_ok(rows), is_stream(rows), counted(rows)
    found = []
    for term in measured.objectives.terms:
        if term.of_run:
            found.append(_of_run(term, rates.get(term.metric), int(asked.sum())))
        elif term.p is not None:
            missing = _missing(term, rows)
            if missing is not None:
                found.append(_undecided(term, missing))
                continue
            kept = _kept(term, rows, ok, stream)
            found.append(_of_requests(term, kept, kept.applies & asked, ok, confidence))
    return tuple(found)


# Of requests.


def _of_requests(term: Objective, kept: _Kept, of: Mask, ok: Mask, confidence: float) -> Outcome:
    """
    A percentile's verdict by the share that kept it, of as many requests as they are worth where neighbours are alike.

    Source: MLPerf LoadGen, early stopping.
    """
    assert term.p is not None
    hits, answered = kept.met[of], ok[of]
    n = int(hits.size)
    if n == 0 or (term.about.may_lack and not answered.any() and ok.any()):
        return _undecided(term, "no request has it", n)
    share, worth = float(hits.mean()), stats.effective_count(hits)
    lo, hi = stats.wilson(share * worth, worth)
    verdict = stats.attains(share * worth, worth, term.p, confidence)
    reason = ""
    if verdict == "missed":
        reason = f"{_percent(share)} of {n:,} met it, {_percent(term.p)} are needed" + _failed(n - int(answered.sum()))
    elif verdict == "undecided":
        reason = f"{_percent(share)} of {n:,} met it" + _would_decide(share, term.p, n / worth, confidence)
    value, value_lo, value_hi = _percentile(term, kept.amount[of], answered)
    return Outcome(
        term.text, term.metric, share, term.p, value, lo, hi, n, verdict, reason, value_lo, value_hi, worth
    )  # fmt: skip


def _percentile(term: Objective, values: NDArray[np.float64], answered: Mask) -> Rate:
    """The percentile that a term names, with its interval; what never was is beyond all, and named by None."""
    assert term.p is not None
    sign = 1.0 if term.op == "<" else -1.0
    q = stats.quantiles(np.where(answered & ~np.isnan(values), sign * values, NEVER), (term.p,))[0]
    value, *ends = (None if x is None or x > NEVER / 1e9 else sign * x for x in (q.value, q.lo, q.hi))
    lo, hi = ends if sign > 0 else ends[::-1]
    return value, lo, hi


def _would_decide(share: float, p: float, dilution: float, confidence: float) -> str:
    needed = stats.attains_needs(share, p, confidence)
    if needed is None:
        return f", too near to {_percent(p)} for any number of requests to decide"
    return f"; about {math.ceil(needed * dilution):,} requests would decide"


def _failed(count: int) -> str:
    return f"; {count:,} never had an answer" if count else ""


def _percent(share: float) -> str:
    """Rounded down, so that a share that misses never reads like the one needed."""
    return f"{math.floor(1e4 * share + 1e-9) / 100:g} %"


def _undecided(term: Objective, reason: str, n: int = 0) -> Outcome:
    return Outcome(term.text, term.metric, None, term.p, None, None, None, n, "undecided", reason)


# Of the run.


def _of_run(term: Objective, rate: Rate | None, n: int) -> Outcome:
    """A number's verdict: met or missed where its whole interval is on one side of the limit."""
    value, lo, hi = rate or (None, None, None)
    near, far = (hi, lo) if term.op == "<" else (lo, hi)
    verdict: Verdict = "undecided"
    if value is None:
        reason = "the run does not have it"
    elif near is not None and _keeps(near, term):
        verdict, reason = "met", ""
    elif far is not None and not _keeps(far, term):
        verdict, reason = "missed", "all of its interval is beyond the limit"
    elif near is None and far is None:
        reason = "the run is too short for an interval"
    else:
        reason = "the limit is inside its interval; a longer run would decide"
    return Outcome(term.text, term.metric, None, None, value, lo, hi, n, verdict, reason)


def _keeps(value: float, term: Objective) -> bool:
    return value < term.limit if term.op == "<" else value > term.limit
