"""The searches of a campaign: what each looks for, what it has found, and the run that it wants next."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from analysis.capacity.point import Mode, Point
    from analysis.capacity.probe import Probe, Step
    from analysis.capacity.search import Asked
    from analysis.objectives import Objective, Objectives
    from loadtests.campaign import Entry
    from loadtests.rundir import Setup

HOPELESS: Final = 2.0
"""Times the misses that a promise allows over a whole run: with so many of them no rest of the run makes it a pass."""
LEAST_MISSES: Final = 10
FLOOD: Final = 20.0
"""Times what would be in flight if every answer took as long as one alone, from which on the queue is held to run away:
the client and the server are spared the rest, whatever it would have shown."""
LEAST_FLOOD: Final = 256


@dataclass(slots=True)
class Search:
    """
    One search: of one arm, loaded in one way.

    Attributes:
        runs: Its runs that are over, each with its step as campaign.json keeps it.
        turns: Runs of it that were planned, those that were cut short among them.
    """

    arm: str
    mode: Mode
    asked: Asked
    runs: list[tuple[Mapping[str, Any], Point]] = field(default_factory=list)
    turns: int = 0

    @property
    def probes(self) -> list[Probe]:
        """What is known so far."""
        from analysis.capacity.told import probes_of

        return probes_of(self.runs)

    def following(self) -> Step | None:
        """What is to be tried next; None where it is over."""
        from analysis.capacity.search import following

        return following(self.probes, self.asked)

    def holds(self, entry: Entry) -> bool:
        """Whether a run of the campaign is one of its own."""
        return entry.step is not None and (entry.arm, entry.step["search"]) == (self.arm, self.mode)


def searches_of(setup: Setup, options: Mapping[str, Any]) -> list[Search]:
    """One for each arm and each way of loading it."""
    from analysis.capacity.search import Asked

    modes: Sequence[Mode] = ("rate", "concurrency") if options["by"] == "both" else (options["by"],)
    terms = promised(setup.plan.objectives).terms
    return [
        Search(arm.name, mode, Asked(
            mode, options["precision"], options["probes"], options["start"], options["most"], options["duration"],
            _enough(terms),
        ))
        for arm in setup.plan.arms
        for mode in modes
    ]  # fmt: skip


def _enough(terms: Sequence[Objective]) -> int:
    """The requests that the strictest promise needs to be kept for certain, if none breaks it."""
    from analysis import stats

    return max((stats.least_count(term.p) for term in terms if term.p is not None), default=stats.least_count(0.95))


def promised(texts: Iterable[str]) -> Objectives:
    """Objectives from their texts."""
    from analysis.objectives import read

    return read(tuple(texts))


def plain(search: Search, step: Step, objectives: Iterable[str]) -> dict[str, Any]:
    """A step as campaign.json keeps it, and what ends its run early where its promise cannot be kept any more."""
    return {
        "mode": step.mode, "load": step.load, "length_s": step.length_s, "search": search.mode, "number": step.number,
        "kind": step.kind, "live_limits": limits_of(step, search.probes, promised(objectives).terms),
    }  # fmt: skip


def limits_of(step: Step, probes: Sequence[Probe], terms: Sequence[Objective]) -> list[dict[str, Any]]:
    """What ends a run of a rate early: more misses than any rest of it could make up for, or a queue that runs away."""
    from analysis.capacity.search import service
    from loadtests.hopeless import at_most, most_in_flight

    if step.mode != "rate":
        return []
    arrivals = step.load * step.length_s
    alone_s = service(probes) or 1.0
    found = [most_in_flight(max(LEAST_FLOOD, math.ceil(FLOOD * step.load * alone_s)))]
    for term in terms:
        if term.p is not None and term.op == "<" and term.metric in ("ttft_s", "tpot_s", "latency_s"):
            most = max(LEAST_MISSES, round(HOPELESS * (1 - term.p) * arrivals))
            found.append(at_most(most, term.metric, term.limit))
    return found
