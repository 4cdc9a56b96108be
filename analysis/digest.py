"""
A run as the few numbers that judge it beside others: what comparison, gate, plan and history read, never the rows.

It is written into the run directory as quantiles.parquet, kilobytes a run, so that a repository can keep many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analysis.checks.rule import Check
    from analysis.facts import Facts
    from analysis.places import Place

STORED: Final = (*(p / 100 for p in range(5, 100, 5)), 0.99, 0.999)


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
