"""
An objective over several runs of a candidate: each run is judged by itself, and more than half of them decide.

Requests of one run share what happened to that run, so pooling them would count one unlucky run many times. A run's own
verdict errs in at most one of 20 cases; more than half of several runs err together less often than that. With two runs
both have to miss. A single run that misses keeps an objective from being met, and leaves it undecided.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.objectives import Outcome

Found = Literal["met", "missed", "undecided"]


@dataclass(frozen=True, slots=True)
class Attained:
    """
    One objective over the candidate's runs.

    Attributes:
        verdict: `missed` in more than half of the runs; `met` in more than half and missed in none; else `undecided`.
        reason: In how many runs it is what, and what is missing; empty where it is met.
        outcomes: Of each run, in their order.
    """

    text: str
    metric: str
    verdict: Found
    reason: str
    outcomes: tuple[Outcome, ...]


def over_runs(runs: Sequence[Sequence[Outcome]]) -> tuple[Attained, ...]:
    """
    Each objective over all runs, in the order of the objectives.

    Args:
        runs: Of each run the outcomes of the same objectives, in the same order; none where there are no objectives.
    """
    return tuple(_over(outcomes) for outcomes in zip(*runs, strict=True))


def _over(outcomes: tuple[Outcome, ...]) -> Attained:
    first = outcomes[0]
    assert all(one.text == first.text for one in outcomes)
    verdict = _majority([one.verdict for one in outcomes])
    return Attained(first.text, first.metric, verdict, _reason(outcomes, verdict), outcomes)


def _majority(found: Sequence[Found]) -> Found:
    if 2 * found.count("missed") > len(found):
        return "missed"
    if 2 * found.count("met") > len(found) and "missed" not in found:
        return "met"
    return "undecided"


def _reason(outcomes: tuple[Outcome, ...], verdict: Found) -> str:
    if verdict == "met":
        return ""
    deciding = next((one for one in outcomes if one.verdict == verdict), outcomes[0])
    if len(outcomes) == 1:
        return deciding.reason
    kinds = [one.verdict for one in outcomes]
    told = ", ".join(f"{kind} in {kinds.count(kind)}" for kind in ("met", "missed", "undecided") if kind in kinds)
    return f"{told} of {len(outcomes)} runs" + (f"; {deciding.reason}" if deciding.verdict == verdict else "")
