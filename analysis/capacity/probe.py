"""What the runs at one load decide: does a server keep its promises there, does it not, or is that not known yet."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from analysis import stats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.capacity.point import Mode, Point, State
    from analysis.objectives import Outcome

Kind = Literal["base", "ramp", "bisect", "confirm"]
Decision = Literal["pass", "fail", "undecided"]


@dataclass(frozen=True, slots=True)
class Step:
    """
    One load to be tried.

    Attributes:
        number: From 1; runs of the same number are one probe.
        load: Arrivals per second, or users.
        kind: What for: one request at a time, to find a load that fails, to close in on the edge, to make sure of it.
        length_s: How long a run of it takes.
    """

    number: int
    mode: Mode
    load: float
    kind: Kind
    length_s: float


@dataclass(frozen=True, slots=True)
class Term:
    """
    One promise over all runs of a probe.

    Attributes:
        share: Of the requests, those that kept it; None for a promise of the whole run.
        needed: The share that was promised.
        n_eff: Independent requests that the n are worth.
    """

    text: str
    share: float | None
    needed: float | None
    n: int
    n_eff: float
    verdict: stats.Attainment


@dataclass(frozen=True, slots=True)
class Probe:
    """One load, tried in one run or more."""

    step: Step
    points: tuple[Point, ...]
    terms: tuple[Term, ...]

    @property
    def load(self) -> float:
        """What was tried."""
        return self.step.load

    @property
    def used(self) -> tuple[Point, ...]:
        """Its runs but those that the client spoiled, where there are others; alone: the last one."""
        return used(self.step, self.points)

    @property
    def state(self) -> State:
        """The first that is not steady."""
        return next((point.state for point in self.used if point.state != "steady"), "steady")

    @property
    def why(self) -> str:
        """Why it is not steady."""
        return next((point.why for point in self.used if point.state != "steady"), "")

    @property
    def decision(self) -> Decision:
        """What follows for the load; a queue that grows, and answers that fail, keep no promise."""
        verdicts = {term.verdict for term in self.terms}
        if self.state in ("unstable", "failed") or "missed" in verdicts or any(point.decided for point in self.used):
            return "fail"
        return "pass" if verdicts == {"met"} and self.state == "steady" else "undecided"

    @property
    def leans_to_pass(self) -> bool:
        """Where it is undecided: what the shares say as they are."""
        if self.decision != "undecided":
            return self.decision == "pass"
        return all(term.share is None or term.needed is None or term.share >= term.needed for term in self.terms)

    @property
    def reason(self) -> str:
        """What decided, as a clause."""
        if self.state != "steady":
            return self.why
        if early := next((point.decided for point in self.used if point.decided), ""):
            return f"ended early, {early}"
        worst = [term for term in self.terms if term.verdict == "missed"]
        worst = worst or [term for term in self.terms if term.verdict == "undecided"]
        return "; ".join(_told(term) for term in worst or self.terms)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        told = {"state": self.state, "decision": self.decision, "reason": self.reason}
        points = [point.to_json() for point in self.points]
        return {**asdict(self.step), **told, "terms": [asdict(term) for term in self.terms], "points": points}


def used(step: Step, points: Sequence[Point]) -> tuple[Point, ...]:
    """
    The runs that say something of a load: not those that the client spoiled, where there are others.

    One request at a time is tried again where it broke a promise: the server may have been cold. The last one counts.
    """
    found = tuple(point for point in points if point.state != "client") or tuple(points)
    return found[-1:] if step.kind == "base" else found


def of(step: Step, points: Sequence[Point]) -> Probe:
    """The probe that these runs of a step are together."""
    outcomes: dict[str, list[Outcome]] = {}
    for point in used(step, points):
        for outcome in point.outcomes:
            outcomes.setdefault(outcome.text, []).append(outcome)
    return Probe(step, tuple(points), tuple(_term(text, told) for text, told in outcomes.items()))


def _term(text: str, told: list[Outcome]) -> Term:
    n, needed = sum(one.n for one in told), told[0].needed
    known = [(one.share, one.n_eff) for one in told if one.share is not None and one.n_eff is not None]
    if needed is None or not known:
        return Term(text, None, None, n, 0.0, _of_runs([one.verdict for one in told]))
    size = sum(worth for _, worth in known)
    share = sum(share * worth for share, worth in known) / size
    return Term(text, share, needed, n, size, stats.attains(share * size, size, needed))


def _of_runs(verdicts: list[stats.Attainment]) -> stats.Attainment:
    """A promise of whole runs over several of them: what any of them is certain of, if none is of the contrary."""
    if "met" in verdicts and "missed" in verdicts:
        return "undecided"
    return next((verdict for verdict in verdicts if verdict != "undecided"), "undecided")


def _told(term: Term) -> str:
    if term.share is None or term.needed is None:
        return f"{term.text} {term.verdict}"
    return f"{term.text} kept by {100 * term.share:.1f} % of {term.n:,}"
