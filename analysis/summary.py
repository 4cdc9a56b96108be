"""
What one run says: facts, counts, the window, every metric with its intervals, and whether it may be believed.

Plain values with stable keys: the table, the report, the digest and `--json` all read this and nothing else.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from analysis import accounting, facts, failures, groups, measured, objectives, server, sources, validity
from analysis.rows import rates_of, rows_of
from analysis.rundir import LARGE, flagged, where
from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Collection

    from analysis.accounting import Accounting
    from analysis.failures import Failure
    from analysis.measured import Measured
    from analysis.objectives import Objectives, Outcome
    from analysis.rows import Rate, Row
    from analysis.rundir import Run
    from analysis.server import Told
    from analysis.validity import Validity
    from analysis.window import Window

SCHEMA_VERSION: Final = 2
SHOWN: Final = (0.5, 0.9, 0.95, 0.99)
MOST_AT_ONCE: Final = 6_000_000
"""Requests of a run up to which numbers and checks have room in memory beside each other."""


@dataclass(frozen=True, slots=True)
class Counts:
    """
    What became of the arrivals, all phases.

    Attributes:
        planned: Requests the schedule held; None where the plan was a duration in closed loop.
        recorded: Rows, those that only held the load (`drain`) among them.
        cancelled: Those that the workload's own clients `gave_up` among them.
    """

    planned: int | None
    recorded: int
    in_window: int
    ok: int
    error: int
    cancelled: int
    unsent: int
    lost: int
    drain: int
    gave_up: int
    errors: dict[str, int]


@dataclass(frozen=True, slots=True)
class Summary:
    """
    Everything there is to say about one run.

    Attributes:
        objectives: What was promised and what became of it; empty where nothing was.
        failures: The kinds of failure, the most frequent first.
        spent: Tokens and money of all requests.
        server: What the server said of itself; None where nobody asked it.
    """

    facts: facts.Facts
    counts: Counts
    window: Window
    rates: tuple[Rate, ...]
    rows: tuple[Row, ...]
    validity: Validity
    objectives: tuple[Outcome, ...]
    failures: tuple[Failure, ...]
    spent: Accounting
    server: Told | None = None

    def row(self, metric: str, group: str | None = None) -> Row | None:
        """A metric's row; without a group, its first."""
        return next((r for r in self.rows if r.metric == metric and group in {None, r.group}), None)

    def rate(self, metric: str) -> float | None:
        """A run-level metric's value; None where it is split by the source of its tokens: there is no sum of these."""
        found = [rate.value for rate in self.rates if rate.metric == metric]
        return found[0] if len(found) == 1 else None

    def source_of(self, one: Row | Rate) -> str:
        """What has to be said about whose token counts a number rests on; empty where nothing has to be."""
        every: tuple[Row | Rate, ...] = (*self.rows, *self.rates)
        beside = {other.tokens for other in every if other.metric == one.metric}
        usual = one.tokens in {None, sources.USAGE} and len(beside) == 1 and not one.partial
        return "" if usual else sources.phrase(str(one.tokens), one.partial)

    def footer(self) -> str:
        """One line that goes under every chart: n, run, window, load, clock, validity."""
        w, f = self.window, self.facts
        span = f"window {w.start_s:.3g}-{w.end_s:.3g} s"
        return (
            f"n = {self.counts.in_window:,} · {f.name} · {span} · {f.load} · {f.clock} clock · {self.validity.verdict}"
        )

    def to_json(self) -> dict[str, Any]:
        """The summary as plain values; keys are stable within a schema version."""
        return {
            "schema_version": SCHEMA_VERSION,
            "verdict": self.validity.verdict,
            "run": asdict(self.facts),
            "counts": asdict(self.counts),
            "window": {**asdict(self.window), "length_s": self.window.length_s},
            "rates": {rate.metric: self._rate_to_json(rate) for rate in self.rates},
            "metrics": [asdict(row) for row in self.rows],
            "objectives": [asdict(one) for one in self.objectives],
            "failures": [asdict(one) for one in self.failures],
            "spent": asdict(self.spent),
            "validity": self.validity.to_json(),
            "server": None if self.server is None else asdict(self.server),
        }

    def _rate_to_json(self, like: Rate) -> dict[str, Any]:
        same = [rate for rate in self.rates if rate.metric == like.metric]
        plain = {"value": self.rate(like.metric), "unit": like.unit, "reason": like.reason}
        if len(same) == 1:
            plain |= {"lo": like.lo, "hi": like.hi, "n": like.n}
        by = {rate.tokens: rate.value for rate in same if rate.tokens is not None}
        return plain | ({"by_source": by} if by else {})


class Judged(NamedTuple):
    """A run of one arm, what was measured of it, and what it says."""

    run: Run
    summary: Summary
    measured: Measured


def judge(
    run: Run,
    promised: Objectives | None = None,
    by: Collection[str] = groups.USUAL,
    ps: tuple[float, ...] = SHOWN,
) -> Judged:
    """
    Judge a run and keep it beside the judgement.

    Args:
        run: Of one arm.
        promised: What goodput and attainment count by; None: what the run was planned with.
        by: What TTFT and latency are told by beside the whole, of `groups.BY`.
        ps: Which percentiles.
    """
    if promised is None:
        promised = objectives.read(run.plan.get("objectives") or ())
    seen = measured.of(run, promised)
    return Judged(seen.run, summarise(seen, by, ps), seen)


def summarise(seen: Measured, by: Collection[str] = groups.USUAL, ps: tuple[float, ...] = SHOWN) -> Summary:
    """Say what was measured; of a large run numbers and checks at once: both are mostly sorting, outside of Python."""
    run = seen.run
    if not LARGE < len(run.requests) <= MOST_AT_ONCE:
        return _summary(seen, rates_of(seen), rows_of(seen, ps, by), validity.examine(run, seen.window))
    with ThreadPoolExecutor(1) as beside:
        checked = beside.submit(validity.examine, run, seen.window)
        rates, rows = rates_of(seen), rows_of(seen, ps, by)
        return _summary(seen, rates, rows, checked.result())


def _summary(seen: Measured, rates: tuple[Rate, ...], rows: tuple[Row, ...], checked: Validity) -> Summary:
    of_one_source = Counter(rate.metric for rate in rates)
    told = {rate.metric: (rate.value, rate.lo, rate.hi) for rate in rates if of_one_source[rate.metric] == 1}
    return Summary(
        facts=facts.of(seen.run),
        counts=_counts(seen.run, len(seen.rows)),
        window=seen.window,
        rates=rates,
        rows=rows,
        validity=checked,
        objectives=objectives.judge(seen, told),
        failures=failures.of(seen.rows),
        spent=accounting.of(seen.run),
        server=server.of(seen.run, seen.window),
    )


def _counts(run: Run, in_window: int) -> Counts:
    frame = run.requests
    counts = {outcome: int(where(frame, "outcome", outcome).sum()) for outcome in record.OUTCOMES}
    kinds = frame["error_kind"].value_counts()
    errors = {str(kind): int(count) for kind, count in kinds.items() if count}
    planned = run.manifest.get("planned")
    drain = int(where(frame, "phase", "drain").sum())
    gave_up = int((where(frame, "outcome", "cancelled") & flagged(frame, "gave_up")).sum())
    return Counts(planned, len(frame), in_window, drain=drain, gave_up=gave_up, errors=errors, **counts)
