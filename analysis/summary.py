"""
What one run says: facts, counts, the window, every metric with its intervals, and whether it may be believed.

Plain values with stable keys: the table, the report, the comparison and `--json` all read this and nothing else.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from analysis import facts, groups, sources, stats, validity, window
from analysis.metrics import METRICS
from analysis.runs import flagged, where
from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from numpy.typing import NDArray

    from analysis.metrics import Metric, Unit
    from analysis.runs import Run
    from analysis.validity import Validity
    from analysis.window import Window

SCHEMA_VERSION: Final = 1
SHOWN: Final = (0.5, 0.9, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Cell:
    """
    One percentile of one row, in the metric's base unit.

    Attributes:
        value: None where it is not printed; `reason` says why.
        lo: Lower end of the 95 % interval; None: unbounded at this n, or no value.
        hi: Upper end.
        mark: `~` where the value rests on the few largest, else empty.
    """

    p: float
    value: float | None
    lo: float | None
    hi: float | None
    mark: str = ""
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """
    A metric over one group of requests: `stream`, `whole` (not streamed) or `all`.

    Attributes:
        tokens: The source of the token counts it rests on; None for a metric that rests on none.
        partial: How many of the n rest on a count of an answer that was cut short.
        by: None; or what the group is one of: `workload` (its name) or `turn` (`turn 1` to `turn 8`, `turn 9+`).
        mean: Of all n; None without any.
        worst: The greatest of them, the least where more is better.
    """

    metric: str
    label: str
    unit: Unit
    group: str
    by: str | None
    tokens: str | None
    partial: int
    n: int
    cells: tuple[Cell, ...]
    mean: float | None = None
    worst: float | None = None

    def cell(self, p: float) -> Cell:
        """The cell of a percentile."""
        return next(cell for cell in self.cells if cell.p == p)


@dataclass(frozen=True, slots=True)
class Rate:
    """A metric of the whole run; None where it cannot be told. `tokens` and `partial` as of a `Row`."""

    metric: str
    label: str
    unit: Unit
    value: float | None
    tokens: str | None = None
    partial: int = 0


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
    """Everything there is to say about one run."""

    facts: facts.Facts
    counts: Counts
    window: Window
    rates: tuple[Rate, ...]
    rows: tuple[Row, ...]
    validity: Validity

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
            "validity": self.validity.to_json(),
        }

    def _rate_to_json(self, like: Rate) -> dict[str, Any]:
        plain = {"value": self.rate(like.metric), "unit": like.unit}
        by = {rate.tokens: rate.value for rate in self.rates if rate.metric == like.metric and rate.tokens is not None}
        return plain | ({"by_source": by} if by else {})


def summarise(run: Run) -> Summary:
    """Judge a run."""
    found = window.find(run)
    rows = found.rows(run.requests)
    return Summary(
        facts=facts.of(run),
        counts=_counts(run, rows),
        window=found,
        rates=rates_of(run, found),
        rows=_ordered(row_of(group, SHOWN) for metric in METRICS for group in groups.of(metric, run, rows)),
        validity=validity.examine(run, found),
    )


class Judged(NamedTuple):
    """A run of one arm, and what it says."""

    run: Run
    summary: Summary


def judge(run: Run) -> Judged:
    """Judge a run and keep it beside the judgement."""
    return Judged(run, summarise(run))


def rates_of(run: Run, found: Window) -> tuple[Rate, ...]:
    """Every metric of the whole run over a window."""
    return tuple(rate for metric in METRICS if metric.of_run for rate in _rates(metric, run, found))


def _counts(run: Run, rows: pd.DataFrame) -> Counts:
    frame = run.requests
    counts = {outcome: int(where(frame, "outcome", outcome).sum()) for outcome in record.OUTCOMES}
    kinds = frame["error_kind"].value_counts()
    errors = {str(kind): int(count) for kind, count in kinds.items() if count}
    planned = run.manifest.get("planned")
    drain = int(where(frame, "phase", "drain").sum())
    gave_up = int((where(frame, "outcome", "cancelled") & flagged(frame, "gave_up")).sum())
    return Counts(planned, len(frame), len(rows), drain=drain, gave_up=gave_up, errors=errors, **counts)


def _rates(metric: Metric, run: Run, found: Window) -> list[Rate]:
    """A run-level metric's value, one per source of tokens where it rests on these."""
    assert metric.of_run is not None
    frame = run.requests
    source = sources.of(run, frame) if metric.of_tokens else np.full(len(frame), "", dtype=object)
    cut = sources.partial(frame)
    rates = []
    for name in sorted(set(source) - {""}):
        mine = source == name
        value = metric.of_run(frame[mine], found)
        rates.append(Rate(metric.name, metric.label, metric.unit, value, name, int((mine & cut).sum())))
    return rates or [Rate(metric.name, metric.label, metric.unit, metric.of_run(frame, found))]


# The rows of the table.


def _ordered(rows: Iterable[Row]) -> tuple[Row, ...]:
    """
    In order of METRICS, each from-send row right after its own group's from-schedule row.

    What every run has comes first, then workloads, then turns.
    """
    place = {metric.name: i for i, metric in enumerate(METRICS)}
    by = {None: 0, "workload": 1, "turn": 2}
    return tuple(sorted(rows, key=lambda row: (place[row.metric.replace("_from_send", "")], by[row.by], row.group)))


def row_of(group: groups.Group, ps: tuple[float, ...]) -> Row:
    """A group's row with these percentiles."""
    metric, values = group.metric, group.known
    if metric.better == "higher":
        # Of a metric where more is better the slow end is the low one: p95 is what 95 % of the requests reach.
        found = tuple(_mirrored(q) for q in stats.quantiles(-values, ps))
    else:
        found = stats.quantiles(values, ps)
    return Row(
        metric.name, group.label, metric.unit, group.name, group.by, group.tokens, group.partial, values.size,
        _cells(found), *_ends(metric, values),
    )  # fmt: skip


def _ends(metric: Metric, values: NDArray[np.float64]) -> tuple[float, float] | tuple[None, None]:
    """The mean and the worst."""
    if not values.size:
        return None, None
    return float(values.mean()), float(values.min() if metric.better == "higher" else values.max())


def _mirrored(q: stats.Quantile) -> stats.Quantile:
    value, lo, hi = (None if x is None else -x for x in (q.value, q.hi, q.lo))
    return stats.Quantile(q.p, q.n, value, lo, hi, q.is_rough)


def _cells(found: tuple[stats.Quantile, ...]) -> tuple[Cell, ...]:
    return tuple(Cell(q.p, q.value, q.lo, q.hi, "~" if q.is_rough else "", _reason(q)) for q in found)


def _reason(q: stats.Quantile) -> str | None:
    if q.value is not None:
        return None
    return "no request has it" if q.n == 0 else f"{q.n:,} requests, need ≥ {q.needed:,}"
