"""What a ranking says: of each metric between which places each side stands, and every two sides against each other."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analysis.compare.comparison import Comparison, Line
    from analysis.metrics import Metric
    from analysis.places import Place

Relation = Literal["better", "worse", "alike", "slight", "open", "none"]


@dataclass(frozen=True, slots=True)
class Standing:
    """
    A side by one metric.

    Attributes:
        value: Over its runs, geometric where ratios are compared.
        lo, hi: Its 95 % interval, of the t distribution over runs; of one run the run's own. None: unbounded.
        first, last: The places it may have, from 1, the best.
        supported: False where one run alone has it, with too few requests for it to be printed.
        of: What its number is of, where that of another side is of something else: `whole answers`; else empty.
    """

    name: str
    value: float
    lo: float | None
    hi: float | None
    runs: int
    first: int
    last: int
    supported: bool = True
    of: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """
    Two sides by one metric.

    Attributes:
        line: B against A.
        relation: Of A to B: surely `better` or `worse`; `alike`: surely within the margin; `slight`: certain, but too
            small to matter; `open`: not distinguishable; `none`: not to be ranked, for the `reason`.
        p: Adjusted by Holm over all pairs of the metric; None where there was no test.
        reason: With both sides by their names.
        advice: What to do about the reason.
    """

    a: str
    b: str
    line: Line
    relation: Relation
    design: str
    p: float | None = None
    reason: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """
    The sides by one metric.

    Attributes:
        standings: The best first; by value where places are shared.
        pairs: Of those sides, every two.
        outside: Sides that stand in no order, their places 0.
        reason: Why nobody stands before anybody; empty where somebody does, or could.
    """

    metric: Metric
    place: Place
    standings: tuple[Standing, ...]
    pairs: tuple[Pair, ...]
    reason: str = ""
    outside: tuple[Standing, ...] = ()

    @property
    def label(self) -> str:
        """As people call it: `TTFT p95`."""
        return f"{self.metric.label} {self.place.what}".strip()

    def of(self, name: str) -> Standing | None:
        """A side's numbers and place; None where it has none."""
        return next((one for one in (*self.standings, *self.outside) if one.name == name), None)


@dataclass(frozen=True, slots=True)
class Ranking:
    """
    Several sides.

    Attributes:
        comparisons: By the names of both, every two sides that may stand beside each other.
        refused: The others, with the reason.
        unranked: Sides that stand in no order, with the reason.
    """

    names: tuple[str, ...]
    orders: tuple[Order, ...]
    comparisons: Mapping[tuple[str, str], Comparison]
    refused: Mapping[tuple[str, str], str] = field(default_factory=dict)
    unranked: Mapping[str, str] = field(default_factory=dict)


def named(reason: str, a: str, b: str) -> str:
    """A comparison's reason with A and B by their names."""
    return re.sub(r"\b[AB]\b", lambda found: a if found[0] == "A" else b, reason)
