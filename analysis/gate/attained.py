"""
An objective over several runs of a candidate: each run is judged by itself, and more than half of them decide.

Requests of one run share what happened to that run, so pooling them would count one unlucky run many times. A run's own
verdict errs in at most one of 20 cases; more than half of several runs err together less often than that. With two runs
both have to miss. A single run that misses keeps an objective from being met.

What that leaves open is judged by the requests of all runs together where there are five runs or more, each request
worth less by as much as the runs differ beyond chance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from scipy import special

from analysis import stats
from analysis.compare.rules import LEAST_RUNS
from analysis.metrics import BY_NAME
from analysis.objectives import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.objectives import Objective, Outcome

Found = Literal["met", "missed", "undecided"]
ONE_SIDED: Final = 0.95


@dataclass(frozen=True, slots=True)
class Attained:
    """
    One objective over the candidate's runs.

    Attributes:
        verdict: `missed` in more than half of the runs; `met` in more than half and missed in none; else what the
            requests of five runs and more say together, unless a run says the opposite; else `undecided`.
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
    found = [one.verdict for one in outcomes]
    verdict = _majority(found)
    if verdict == "undecided":
        opposite = {"met": "missed", "missed": "met"}
        together = _together(outcomes)
        verdict = together if opposite.get(together) not in found else verdict
    return Attained(first.text, first.metric, verdict, _reason(outcomes, verdict), outcomes)


def _majority(found: Sequence[Found]) -> Found:
    if 2 * found.count("missed") > len(found):
        return "missed"
    if 2 * found.count("met") > len(found) and "missed" not in found:
        return "met"
    return "undecided"


def _together(outcomes: tuple[Outcome, ...]) -> Found:
    """
    By all requests together; undecided with fewer than five runs, and for a number of the run that is no share.

    With shares s_i of n_i effective requests and their mean s, the requests are worth sum(n_i) / D, where
    D = sum(n_i (s_i - s)^2) / (s (1 - s)) / (k - 1); where D is above 1, times (t(k - 1) / z)^2, as k runs tell it only
    roughly.

    Source: quasi-binomial dispersion; McCullagh & Nelder, Generalized Linear Models, section 4.5.
    """
    term = parse(outcomes[0].text)
    known = [found for one in outcomes if (found := _counted(one, term)) is not None]
    if len(known) < max(LEAST_RUNS, len(outcomes)):
        return "undecided"
    shares, worth = np.array(known).T
    share = float(np.average(shares, weights=worth))
    spread = float(np.sum(worth * (shares - share) ** 2)) / (len(known) - 1)
    dispersion = spread / (share * (1 - share)) if 0 < share < 1 else 1.0
    if dispersion > 1:
        dispersion *= float(special.stdtrit(len(known) - 1, ONE_SIDED) / special.ndtri(ONE_SIDED)) ** 2
    n = float(worth.sum()) / max(1.0, dispersion)
    return _of_run(term, share, n) if term.p is None else stats.attains(share * n, n, term.p)


def _of_run(term: Objective, share: float, n: float) -> Found:
    """A share of the run: met or missed where its whole interval is on one side of the limit."""
    lo, hi = stats.wilson(share * n, n)
    below, above = hi < term.limit, lo > term.limit
    met, missed = (below, above) if term.op == "<" else (above, below)
    return "met" if met else "missed" if missed else "undecided"


def _counted(one: Outcome, term: Objective) -> tuple[float, float] | None:
    """A run's share and the effective count behind it; None where it has none."""
    if term.p is None and BY_NAME[term.metric].unit != "share":
        return None
    share = one.value if term.p is None else one.share
    if share is None or one.lo is None or one.hi is None or not one.n:
        return None
    return share, _worth(share, one.lo, one.hi, one.n)


def _worth(share: float, lo: float, hi: float, n: int) -> float:
    """
    The effective count behind a share s, at most n, from the width of its interval, as if that were Wilson's.

    With h half the width and t = z^2 / effective count, h (1 + t) = sqrt(t s (1 - s) + t^2 / 4).
    """
    z, half = float(special.ndtri((1 + stats.CONFIDENCE) / 2)), min((hi - lo) / 2, 0.5 - 1e-9)
    a, b = 0.25 - half**2, share * (1 - share) - 2 * half**2
    t = (math.sqrt(b * b + 4 * a * half**2) - b) / (2 * a)
    return min(float(n), z * z / t) if t > 0 else float(n)


def _reason(outcomes: tuple[Outcome, ...], verdict: Found) -> str:
    if verdict == "met":
        return ""
    deciding = next((one for one in outcomes if one.verdict == verdict), None)
    if len(outcomes) == 1:
        return outcomes[0].reason
    kinds = [one.verdict for one in outcomes]
    told = ", ".join(f"{kind} in {kinds.count(kind)}" for kind in ("met", "missed", "undecided") if kind in kinds)
    if deciding is None:
        return f"{told} of {len(outcomes)} runs, {verdict} by all requests together"
    return f"{told} of {len(outcomes)} runs" + (f"; {deciding.reason}" if deciding.reason else "")
