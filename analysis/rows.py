"""One run's numbers with what is known about each: percentiles of groups of requests, and figures of the whole run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analysis import accounting, groups, sources, stats
from analysis.metrics import METRICS
from analysis.places import RUN, Place, percentile

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from numpy.typing import NDArray

    from analysis.inside.chunks import Distribution
    from analysis.measured import Measured
    from analysis.metrics import Metric, Unit
    from analysis.sums import Sums


@dataclass(frozen=True, slots=True)
class Cell:
    """
    One percentile of one row, in the metric's base unit.

    Attributes:
        value: None where it is not printed; `reason` says why.
        lo: Lower end of the 95 % interval; None: unbounded at this n, or no value.
        hi: Upper end.
        mark: `~` where the value rests on the few largest, else empty.
        reason: Why there is no value, or no interval.
        n_eff: Independent requests that would say as much; None where that was not counted.
        certified: What the percentile is at most (at least where more is better) with 99 % confidence, as MLPerf's
            early stopping has it; None with too few requests.
        loose: Where the value is not printed, though one request lies beyond it: for the mean over several runs.
    """

    p: float
    value: float | None
    lo: float | None
    hi: float | None
    mark: str = ""
    reason: str | None = None
    n_eff: float | None = None
    certified: float | None = None
    loose: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """
    A metric over one group of requests: `stream`, `whole` (not streamed) or `all`.

    Attributes:
        tokens: The source of the token counts it rests on; None for a metric that rests on none.
        partial: How many of the n rest on a count of an answer that was cut short.
        by: None; or what the group is one of: `workload`, `turn` (`turn 1` to `turn 8`, `turn 9+`), `prompt`, `time`.
        n: Requests; of a metric that is pooled, token events or tokens.
        mean: Of all n; None without any.
        worst: The greatest of them, the least where more is better.
        aside: Not in the first table.
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
    aside: bool = False

    def cell(self, p: float) -> Cell:
        """The cell of a percentile."""
        return next(cell for cell in self.cells if cell.p == p)

    def place(self, cell: Cell) -> Place:
        """The key of one of its numbers."""
        return Place(self.metric, self.by, self.group, self.tokens, percentile(cell.p))


@dataclass(frozen=True, slots=True)
class Rate:
    """
    A metric of the whole run; None where it cannot be told. `tokens` and `partial` as of a `Row`.

    Attributes:
        lo, hi: Its 95 % interval: Wilson's on the effective count for shares, block bootstrap for the others.
        n: Requests it rests on.
        reason: Why there is no value, or no interval.
        aside: Not in the first lines.
    """

    metric: str
    label: str
    unit: Unit
    value: float | None
    lo: float | None = None
    hi: float | None = None
    n: int = 0
    tokens: str | None = None
    partial: int = 0
    reason: str | None = None
    aside: bool = False

    @property
    def place(self) -> Place:
        """The key of its number."""
        return Place(self.metric, None, RUN, self.tokens, "")


def rows_of(measured: Measured, ps: tuple[float, ...], by: Collection[str] = groups.USUAL) -> tuple[Row, ...]:
    """
    Every row of a run, each from-send row right after its own group's from-schedule row.

    What every run has comes first, then what `by` parts it by.
    """
    rows = [row for metric in METRICS for row in _rows(metric, measured, ps, by)]
    place = {metric.name: i for i, metric in enumerate(METRICS)}
    order = {None: 0} | {kind: i for i, kind in enumerate(groups.BY, start=1)}
    rows.sort(key=lambda row: (place[row.metric.replace("_from_send", "")], order[row.by], _natural(row)))
    return tuple(rows)


def _natural(row: Row) -> str:
    """Groups of workloads and kinds by their names; lengths, slices and turns as they were made."""
    return row.group if row.by in {None, "workload"} else ""


def _rows(metric: Metric, measured: Measured, ps: tuple[float, ...], by: Collection[str]) -> Iterator[Row]:
    if metric.pooled and measured.chunks is not None:
        pool: Distribution = getattr(measured.chunks, metric.pooled)
        if pool.n:
            yield _pooled(metric, measured, pool, ps)
    for group in groups.of(metric, measured, by):
        if group.known.size or not (metric.aside or metric.rare):
            yield row_of(group, ps)


def row_of(group: groups.Group, ps: tuple[float, ...]) -> Row:
    """A group's row with these percentiles."""
    metric, values = group.metric, group.known
    if metric.better == "higher":
        # Of a metric where more is better the slow end is the low one: p95 is what 95 % of the requests reach.
        found = tuple(_mirrored(q) for q in stats.quantiles(-values, ps))
    else:
        found = stats.quantiles(values, ps)
    cells = tuple(_cell(q, values, metric) for q in found)
    mean, worst = _ends(metric, values)
    return Row(
        metric.name, group.label, metric.unit, group.name, group.by, group.tokens, group.partial, values.size,
        cells, mean, worst, metric.aside,
    )  # fmt: skip


def _pooled(metric: Metric, measured: Measured, pool: Distribution, ps: tuple[float, ...]) -> Row:
    """The row of all token events."""
    n = round(pool.n)
    few = {p: stats.least_count(p) for p in ps}
    cells = tuple(
        Cell(p, pool.quantile(p), *pool.interval(p))
        if n >= few[p]
        else Cell(p, None, None, None, reason=f"{n:,} gaps, need ≥ {few[p]:,}")
        for p in ps
    )
    tokens = None
    if metric.of_tokens:
        tokens = " and ".join(sources.parts(measured.run, measured.rows)) or None
    return Row(
        metric.name, metric.label, metric.unit, "stream", None, tokens, 0, n, cells, pool.mean, pool.most,
        aside=metric.aside,
    )  # fmt: skip


def _ends(metric: Metric, values: NDArray[np.float64]) -> tuple[float, float] | tuple[None, None]:
    """The mean and the worst."""
    if not values.size:
        return None, None
    return float(values.mean()), float(values.min() if metric.better == "higher" else values.max())


def _mirrored(q: stats.Quantile) -> stats.Quantile:
    value, lo, hi, certified = (None if x is None else -x for x in (q.value, q.hi, q.lo, q.certified))
    return replace(q, value=value, lo=lo, hi=hi, certified=certified)


def _cell(q: stats.Quantile, values: NDArray[np.float64], metric: Metric) -> Cell:
    loose = None
    if q.value is None and q.n >= stats.enough(q.p):
        loose = float(np.quantile(values, q.p if metric.better == "lower" else 1 - q.p))
    return Cell(q.p, q.value, q.lo, q.hi, "~" if q.is_rough else "", _reason(q), q.n_eff, q.certified, loose)


def _reason(q: stats.Quantile) -> str | None:
    if q.value is not None:
        return None
    if q.n == 0:
        return "no request has it"
    return f"{q.n:,} requests, need ≥ {q.needed:,}"


# The whole run.


def rates_of(measured: Measured, *, intervals: bool = True) -> tuple[Rate, ...]:
    """Every metric of the whole run; without intervals where only the values are wanted."""
    return tuple(rate for metric in METRICS if metric.of_run for rate in _rates(metric, measured, intervals))


def _rates(metric: Metric, measured: Measured, intervals: bool) -> Iterator[Rate]:
    """A run-level metric's value, one per source of tokens where it rests on these."""
    assert metric.of_run is not None
    every = measured.run.requests
    parts = sources.parts(measured.run, every) if metric.of_tokens else {}
    if not parts:
        told = _rate(metric, metric.of_run(measured), None, 0, intervals)
        why = accounting.why_no_cost(measured.run) if metric.unit == "USD" and told.value is None else None
        yield replace(told, reason=why or told.reason)
    for name, mine in parts.items():
        part = measured if len(parts) < 2 else _only(measured, mine)
        cut = int((sources.partial(every) & mine).sum())
        yield _rate(metric, metric.of_run(part), name, cut, intervals)


def _only(measured: Measured, mine: NDArray[np.bool_]) -> Measured:
    """The rows of one source; which chunks were theirs is not told apart."""
    run = replace(measured.run, requests=measured.run.requests[mine])
    return replace(measured, run=run, rows=measured.window.rows(run.requests), chunks=None)


def _rate(metric: Metric, found: Sums | None, tokens: str | None, partial: int, intervals: bool) -> Rate:
    told = Rate(metric.name, metric.label, metric.unit, None, tokens=tokens, partial=partial, aside=metric.aside)
    if found is None or found.value is None:
        return replace(told, reason="nothing to count it by")
    bounds = interval(found) if intervals else None
    reason = None if bounds else "too short for an interval"
    lo, hi = bounds or (None, None)
    return replace(told, value=found.value, lo=lo, hi=hi, n=found.n, reason=reason)


def interval(found: Sums) -> tuple[float, float] | None:
    """The 95 % interval of a run's figure."""
    if found.is_share:
        n = stats.effective_count(found.top > 0)  # as booleans: of few hits their crowding tells
        return stats.wilson(n * float(found.top.mean()), n)
    return stats.ratio_interval(found.top, found.bottom)
