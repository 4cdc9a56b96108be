"""What the probes of a search say together: the capacity, its interval, and what limits it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from analysis.capacity import fit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.capacity.fit import Crossing
    from analysis.capacity.point import Mode, Point
    from analysis.capacity.probe import Probe, Term


FAR: Final = 1.6
"""Beyond a load that was surely decided, as a ratio: one step of the ramp."""


class Bracket(NamedTuple):
    """The highest load below every failure that kept the promises, and the lowest that did not; None: not seen."""

    lo: float | None
    hi: float | None


@dataclass(frozen=True, slots=True)
class Answer:
    """
    The highest load that keeps the promises.

    Attributes:
        value: Where the fit crosses, arrivals per second or users; the highest load that kept them where nothing
            failed; 0 where nothing kept them; None where it could not be told.
        lo, hi: Its 95 % interval; None for hi: nothing says how far it goes.
        limited_by: The promise that breaks first, or `stability`, `quota`, `client`, `most`, `failures`.
        reason: How that was found, as a sentence.
        is_confirmed: There were fresh runs on both sides, and none is certain that it is otherwise.
        crossing: The fit that the value comes from; None where it comes from none.
        best: The steady run of the highest load at or below the answer; what is asked for at that load is told from it.
        service_s: Mean time that a request takes alone.
    """

    arm: str
    mode: Mode
    value: float | None
    lo: float | None
    hi: float | None
    limited_by: str
    reason: str
    is_confirmed: bool
    objectives: tuple[str, ...]
    probes: tuple[Probe, ...]
    crossing: Crossing | None
    best: Point | None
    service_s: float | None

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        kept = ("arm", "mode", "value", "lo", "hi", "limited_by", "reason", "is_confirmed", "service_s")
        told = {name: getattr(self, name) for name in kept}
        return {
            **told,
            "objectives": list(self.objectives),
            "crossing": None if self.crossing is None else self.crossing._asdict(),
            "best": None if self.best is None else self.best.to_json(),
            "probes": [probe.to_json() for probe in self.probes],
        }


# Where it is.


def bounds(probes: Sequence[Probe], mode: Mode) -> Bracket:
    """
    The bracket that the probes leave.

    An undecided probe counts for the side to which its share leans. Where a load passed above one that failed, most of
    what was seen at both decides: the bracket is the one that disagrees with the fewest probes.
    """
    tried = sorted((probe.load, probe.leans_to_pass) for probe in probes if probe.step.mode == mode)
    if not tried:
        return Bracket(None, None)
    wrong = [
        sum(not ok for load, ok in tried[:cut]) + sum(ok for load, ok in tried[cut:]) for cut in range(len(tried) + 1)
    ]
    cut = min(range(len(wrong)), key=wrong.__getitem__)
    lo = max((load for load, ok in tried[:cut] if ok), default=None)
    hi = min((load for load, ok in tried[cut:] if not ok), default=None)
    return Bracket(lo, hi)


def estimate(probes: Sequence[Probe], mode: Mode) -> Crossing | None:
    """The lowest crossing of all promises; None where none can be fitted, or something else breaks below it."""
    fitted = crossings(probes, mode)
    other = _other(probes, mode, fitted)
    return fitted[0][1] if fitted and (other is None or fitted[0][1].load <= other.load) else None


def crossings(probes: Sequence[Probe], mode: Mode) -> list[tuple[str, Crossing]]:
    """Each promise of requests with where it crosses, the lowest first."""
    told: dict[str, list[tuple[float, Term]]] = {}
    for probe in probes:
        if probe.step.mode == mode and probe.state not in ("quota", "client"):
            for term in probe.terms:
                told.setdefault(term.text, []).append((probe.load, term))
    fitted = [(text, _fitted(terms)) for text, terms in told.items()]
    known = [(text, crossing) for text, crossing in fitted if crossing is not None]
    return sorted(known, key=lambda pair: pair[1].load)


def _other(probes: Sequence[Probe], mode: Mode, fitted: list[tuple[str, Crossing]]) -> Probe | None:
    """The lowest load above the bracket that broke what no fit tells of: a queue that grew, failures, a whole run's."""
    lo, names = bounds(probes, mode).lo or 0.0, {text for text, _ in fitted}
    broke = [probe for probe in probes if probe.step.mode == mode and probe.load > lo and not probe.leans_to_pass]
    return min((probe for probe in broke if _broken(probe) not in names), key=lambda probe: probe.load, default=None)


def _fitted(told: list[tuple[float, Term]]) -> Crossing | None:
    rows = [(load, t.share, t.n, t.n_eff, t.needed) for load, t in told if t.share is not None and t.n_eff > 0]
    if len(rows) < 2 or rows[0][4] is None:
        return None
    loads, shares, counts, sizes = (np.array([row[place] for row in rows], dtype=float) for place in range(4))
    return fit.crossing(loads, shares, counts, sizes, float(rows[0][4]))


# What is said of it.


class Found(NamedTuple):
    """A value with its interval, what limits it, and how it was found."""

    value: float | None
    lo: float | None
    hi: float | None
    limited_by: str
    reason: str


def conclude(probes: Sequence[Probe], mode: Mode, arm: str = "", objectives: tuple[str, ...] = ()) -> Answer:
    """What a search says that has come so far, or to its end."""
    fitted = crossings(probes, mode)
    found = _stopped(probes, mode) or _one_sided(probes, mode) or _crossed(probes, mode, fitted)
    crossing = next((crossing for text, crossing in fitted[:1] if text == found.limited_by), None)
    found, is_confirmed = _confirmed(found, probes)
    if mode == "concurrency":
        found = _whole(found, probes)
    service_s = next((point.stay_s for probe in probes if probe.step.kind == "base" for point in probe.used), None)
    return Answer(
        arm,
        mode,
        *found,
        is_confirmed,
        objectives,
        tuple(probes),
        crossing,
        _best(probes, mode, found.value),
        service_s,
    )


def _stopped(probes: Sequence[Probe], mode: Mode) -> Found | None:
    """Where a quota or the client ended the search: what was seen below it is all there is."""
    last = probes[-1] if probes else None
    if last is None or last.state not in ("quota", "client"):
        return None
    lo = _sure(probes[:-1], mode)
    return Found(lo, lo, None, last.state, last.why)


def _sure(probes: Sequence[Probe], mode: Mode) -> float | None:
    """The highest load below every failure that kept the promises for certain; None: none had the requests to."""
    lo = bounds(probes, mode).lo or 0.0
    tried = [probe for probe in probes if probe.step.mode == mode and probe.load <= lo]
    return max((probe.load for probe in tried if probe.decision == "pass"), default=None)


def _one_sided(probes: Sequence[Probe], mode: Mode) -> Found | None:
    """Where everything passed, or nothing did."""
    lo, hi = bounds(probes, mode)
    base = probes[0] if probes else None
    if base is not None and base.state == "failed":
        return Found(None, None, None, "failures", base.reason)
    if base is not None and base.step.kind == "base" and not base.leans_to_pass:
        return Found(0.0, 0.0, 0.0, _broken(base), f"even one request at a time breaks it: {base.reason}")
    if hi is None:
        sure = _sure(probes, mode)
        if sure is None:
            text = "nothing broke, and no load tried had enough requests to be decided; raise --duration"
            return Found(None, None, None, "most", text)
        return Found(
            sure, sure, None, "most", "nothing broke up to there; loads above it were not tried or not decided"
        )
    if lo is None:
        return Found(None, 0.0, hi, _broken(_at(probes, mode, hi)), "every load tried broke it")
    return None


def _crossed(probes: Sequence[Probe], mode: Mode, fitted: list[tuple[str, Crossing]]) -> Found:
    """Where the lowest fit crosses, or what no fit tells of breaks: the queue begins to grow, a run's own number."""
    lo, other = bounds(probes, mode).lo, _other(probes, mode, fitted)
    assert lo is not None
    if other is not None and (not fitted or fitted[0][1].load > other.load):
        word = _broken(other)
        text = "between the highest load that met the objectives and the lowest that did not"
        if word == "stability":
            text = "the queue grows without end from there on; no objective breaks before that"
        return Found(math.sqrt(lo * other.load), lo, other.load, word, text)
    text, crossing = fitted[0]
    many = sum(probe.step.mode == mode for probe in probes)
    how = f"where the share that meets {text} falls below {100 * crossing.needed:g} %, by a fit over {many} probes"
    lo, hi = _within(crossing, probes, mode)
    hi = hi if other is None else min(hi, other.load)  # no queue that grows keeps a promise
    return Found(crossing.load, lo, hi, text, how)


def _within(crossing: Crossing, probes: Sequence[Probe], mode: Mode) -> tuple[float, float]:
    """
    The interval of a fit, no farther than `FAR` beyond loads that surely kept or broke the promise.

    Where few requests were seen a fit knows next to nothing of how steep the share falls, and its ends lie anywhere.
    """
    tried = [probe for probe in probes if probe.step.mode == mode]
    kept = [probe.load for probe in tried if probe.decision == "pass" and probe.load <= crossing.load]
    broke = [probe.load for probe in tried if probe.decision == "fail" and probe.load >= crossing.load]
    return max([crossing.lo, *(load / FAR for load in kept)]), min([crossing.hi, *(FAR * load for load in broke)])


def _confirmed(found: Found, probes: Sequence[Probe]) -> tuple[Found, bool]:
    """Whether fresh runs on both sides agree; where they surely do not, the interval goes as far as they lie."""
    if found.value is None or found.lo is None or found.hi is None:
        return found, False
    fresh = [probe for probe in probes if probe.step.kind == "confirm"]
    below = [probe for probe in fresh if probe.load <= found.value]
    above = [probe for probe in fresh if probe.load > found.value]
    lo = min([found.lo, *(probe.load for probe in below if probe.decision == "fail")])
    hi = max([found.hi, *(probe.load for probe in above if probe.decision == "pass")])
    agree = bool(below and above) and (lo, hi) == (found.lo, found.hi)
    return found._replace(lo=lo, hi=hi), agree


def _whole(found: Found, probes: Sequence[Probe]) -> Found:
    """Users are whole, and the interval lies between a number that surely kept it and one that surely broke it."""
    value, lo, hi = (None if x is None else float(math.floor(x + 1e-9)) for x in found[:3])
    if value is None or lo is None or hi is None:
        return found._replace(value=value, lo=lo, hi=hi)
    tried = [probe for probe in probes if probe.step.mode == "concurrency"]
    kept = {probe.load for probe in tried if probe.decision == "pass"}
    broke = {probe.load for probe in tried if probe.decision == "fail"}
    below = [load for load in kept if load <= value and load < min(broke, default=math.inf)]
    above = [load - 1 for load in broke if load > value and load > max(kept, default=0.0)]
    return found._replace(value=value, lo=max([lo, *below]), hi=min([hi, *above]))


def _best(probes: Sequence[Probe], mode: Mode, value: float | None) -> Point | None:
    """The steady run of the highest load at or below the answer; else of the lowest above it."""
    steady = [point for probe in probes for point in probe.used if probe.step.mode == mode and point.state == "steady"]
    below = [point for point in steady if value is not None and point.load <= value]
    return max(below, key=lambda p: (p.load, p.requests)) if below else min(steady, key=lambda p: p.load, default=None)


def _at(probes: Sequence[Probe], mode: Mode, load: float) -> Probe:
    """The first probe of a load."""
    return next(probe for probe in probes if probe.step.mode == mode and probe.load == load)


def _broken(probe: Probe) -> str:
    """What a probe broke: a promise, or the state that it was in."""
    if probe.state == "unstable":
        return "stability"
    missed = [t.text for t in probe.terms if t.verdict == "missed"]
    missed += [t.text for t in probe.terms if t.share is not None and t.needed is not None and t.share < t.needed]
    return missed[0] if missed else "failures"
