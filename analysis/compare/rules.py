"""By which rules a difference is judged: the level, the margins, the family of primary metrics, what may differ."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Final

from analysis.metrics import BY_NAME, METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analysis.places import Place

PRIMARY: Final = ("ttft_p50", "ttft_p95", "tpot_p50", "latency_p95", "goodput", "error_rate")
"""The metrics that a verdict rests on, unless others are named."""

LEAST_RUNS: Final = 5
"""Runs a side below which nothing is called a regression."""

LEAST_PAST: Final = 10
"""Runs of a side whose spread may stand for that of one single run of the other."""

LEAST_SESSIONS: Final = 5
"""Past sessions of a baseline from which on they give a noise band."""

LEAST_EFFECT: Final = 0.02
"""What is no regression however certain it is, unless a margin was given."""

LEAST_POINTS: Final = 0.004
"""The same of shares: 0.4 points."""


@dataclass(frozen=True, slots=True)
class Rules:
    """
    What a comparison goes by.

    Attributes:
        alpha: How often, at the most, the same thing against itself is called different.
        margins: By a number's words (`ttft_p95`, `goodput`), what difference is no matter: 0.1 is 10 %, or 10 points.
        primary: The numbers that the verdict rests on, in words.
        across: The kinds of difference between the sides that are meant.
        only_primary: The primary lines alone, without what is only printed beside p: for many comparisons at once.
    """

    alpha: float = 0.05
    margins: Mapping[str, float] = field(default_factory=dict)
    primary: tuple[str, ...] = PRIMARY
    across: frozenset[str] = frozenset()
    only_primary: bool = False

    def margin(self, place: Place) -> float:
        """The margin of a number: 5 % of a median or a rate, 10 % of a higher percentile, 1 point of a share."""
        said = self.margins.get(bare(place))
        if said is not None:
            return said
        if is_share(place):
            return 0.01
        return 0.05 if place.what in {"", "p50"} else 0.10

    def least(self, place: Place) -> float:
        """The least effect that may be called a regression: the margin that somebody gave, else what is usual."""
        said = self.margins.get(bare(place))
        if said is not None:
            return said
        return min(self.margin(place), LEAST_POINTS if is_share(place) else LEAST_EFFECT)


@cache
def bare(place: Place) -> str:
    """A number's words without group and source: `latency_p95`."""
    return place._replace(by=None, group="", tokens=None).words


def is_share(place: Place) -> bool:
    """It is compared by its difference, as 0 is a usual value of it."""
    return BY_NAME[place.metric].unit == "share"


def sign(place: Place) -> int:
    """+1 where more is worse, -1 where less is, 0 where neither is."""
    return {"lower": 1, "higher": -1, "neither": 0}[BY_NAME[place.metric].better]


def words() -> list[str]:
    """Every number that may be named in an option."""
    found: list[str] = []
    for metric in METRICS:
        found += [metric.words] if metric.of_run else [f"{metric.words}_{what}" for what in ("p50", "p95", "p99")]
    return found
