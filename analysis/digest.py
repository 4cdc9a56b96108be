"""
A run as the few numbers that judge it beside others: what comparison, gate, plan and history read, never the rows.

It is written into the run directory as quantiles.parquet, kilobytes a run, so that a repository can keep many.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from analysis import arms
from analysis.rows import rates_of, rows_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from analysis.checks.rule import Check
    from analysis.facts import Facts
    from analysis.measured import Measured
    from analysis.places import Place
    from analysis.rows import Row
    from analysis.summary import Judged, Summary

STORED: Final = (*(p / 100 for p in range(5, 100, 5)), 0.99, 0.999)
COMPARED: Final = (0.5, 0.95, 0.99)


class Number(NamedTuple):
    """
    One number of one run, base units.

    Attributes:
        n: Requests it rests on.
        lo, hi: Its 95 % interval within the run; None: unbounded at this n, or none.
        supported: The requests are enough for it to be printed by itself; a comparison of several runs takes it anyway.
    """

    value: float
    n: int
    lo: float | None = None
    hi: float | None = None
    supported: bool = True


@dataclass(frozen=True, slots=True)
class Digest:
    """
    One run of one arm.

    Attributes:
        facts: Its circumstances, settings and labels among them.
        started_unix_ns: CLOCK_REALTIME at its start; 0: not known.
        session: What it was run together with: its campaign, else itself.
        round: Its round in the campaign; None outside of one.
        verdict: valid, doubtful or invalid; `faults` are the checks that say why.
        objectives: What goodput and attainment count by, as texts.
        numbers: Every number of the run.
        blocks: Where it was played in blocks, the numbers of each.
    """

    facts: Facts
    started_unix_ns: int
    session: str
    round: int | None
    verdict: str
    faults: tuple[Check, ...]
    objectives: tuple[str, ...]
    numbers: Mapping[Place, Number]
    blocks: Mapping[int, Mapping[Place, float]]


def of(judged: Judged) -> Digest:
    """Make the digest of a run that was judged."""
    run, told = judged.run, judged.summary
    manifest = run.manifest
    campaign = manifest.get("campaign_id")
    return Digest(
        facts=told.facts,
        started_unix_ns=int(manifest.get("started_unix_ns") or 0),
        session=str(campaign or told.facts.run_id),
        round=manifest.get("round"),
        verdict=told.validity.verdict,
        faults=told.validity.faults,
        objectives=judged.measured.objectives.texts,
        numbers=dict(_numbers(judged.measured, told)),
        blocks=_blocks(judged.measured),
    )


def _numbers(seen: Measured, told: Summary) -> Iterator[tuple[Place, Number]]:
    for rate in told.rates:
        if rate.value is not None:
            yield rate.place, Number(rate.value, rate.n, rate.lo, rate.hi)
    rows = told.rows if all(has(row, STORED) for row in told.rows) else rows_of(seen, STORED)
    for row in rows:
        yield from _percentiles(row)


def has(row: Row, ps: Collection[float]) -> bool:
    """Whether a row has cells of all these percentiles."""
    return set(ps) <= {cell.p for cell in row.cells}


def _percentiles(row: Row) -> Iterator[tuple[Place, Number]]:
    for cell in row.cells:
        if cell.value is not None:
            yield row.place(cell), Number(cell.value, row.n, cell.lo, cell.hi)
        elif cell.loose is not None:
            yield row.place(cell), Number(cell.loose, row.n, supported=False)


# Blocks of one run, which several arms played in turn.


def _blocks(seen: Measured) -> dict[int, dict[Place, float]]:
    """
    The numbers of each block inside the window.

    Later turns of its conversations lie behind a block, in the next one's time: they count, but in no rate.
    """
    run, window = seen.run, seen.window
    if len(run.manifest.get("slots") or ()) < 2:
        return {}
    found = {}
    for block, (mine, first, last) in arms.blocks(run).items():
        start, end = max(first, window.start_s), min(last, window.end_s)
        if end > start:
            found[block] = _of_block(replace(seen, run=mine), start, end, window.end_s)
    return found


def _of_block(seen: Measured, start: float, end: float, whole: float) -> dict[Place, float]:
    block = replace(seen.window, start_s=start, end_s=end)
    turns = replace(block, end_s=whole)
    rates = rates_of(replace(seen, window=block, rows=block.rows(seen.run.requests), chunks=None), intervals=False)
    rows = rows_of(replace(seen, window=turns, rows=turns.rows(seen.run.requests), chunks=None), COMPARED)
    found = {rate.place: rate.value for rate in rates if rate.value is not None}
    return found | {place: number.value for row in rows for place, number in _percentiles(row)}
