"""
What a build server gets: regression, pass, inconclusive or invalid, the exit code, and why.

Runs that are not valid decide nothing, so `invalid` goes first; then a regression or a missed objective; then what is
not decided; `pass` is what is left.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from analysis.compare.rules import LEAST_RUNS, bare
from analysis.gate import words
from analysis.gate.attained import over_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.compare.comparison import Comparison, Line, Overall
    from analysis.digest import Digest
    from analysis.gate.attained import Attained
    from analysis.objectives import Outcome

SCHEMA_VERSION: Final = 1
"""Of verdict.json. 1: the first."""

EXIT: Final[dict[Overall, int]] = {"pass": 0, "regression": 1, "invalid": 3, "inconclusive": 4}
OnInconclusive = Literal["pass", "fail"]


@dataclass(frozen=True, slots=True)
class Played:
    """
    A run that was judged.

    Attributes:
        started_unix_ns: 0: not known.
        verdict: Its validity; `faults` say what keeps it from being valid, a sentence each.
    """

    name: str
    run_id: str
    arm: str
    started_unix_ns: int
    verdict: str
    faults: tuple[str, ...]
    labels: dict[str, str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    The gate's word.

    Attributes:
        name: Of this gate, so that several in one pull request keep apart; may be empty.
        on_inconclusive: What exit code the user chose for `inconclusive`; None: its own, 4.
        reasons: What decided, a sentence each; never empty.
        next_step: What to do about it; empty for `pass`.
        baseline, candidate: The runs of either side; no baseline where objectives were judged alone.
        comparison: Of the two sides; None without a baseline.
        objectives: Over the candidate's runs.
    """

    name: str
    verdict: Overall
    on_inconclusive: OnInconclusive | None
    reasons: tuple[str, ...]
    next_step: str
    baseline: tuple[Played, ...]
    candidate: tuple[Played, ...]
    comparison: Comparison | None
    objectives: tuple[Attained, ...]

    @property
    def exit_code(self) -> int:
        """Of the process: 0 pass, 1 regression or objective missed, 3 invalid, 4 inconclusive unless chosen."""
        if self.verdict == "inconclusive" and self.on_inconclusive:
            return EXIT["pass" if self.on_inconclusive == "pass" else "regression"]
        return EXIT[self.verdict]

    @property
    def doubts(self) -> tuple[str, ...]:
        """What is to be known about the validity of either side and of the comparison, a sentence each."""
        sides = (("baseline", self.baseline), ("candidate", self.candidate))
        runs = [f"{side} {run.name}: {fault}" for side, played in sides for run in played for fault in run.faults]
        return (*runs, *_faults(self.comparison, "invalid"), *_faults(self.comparison, "doubtful"))

    def to_json(self) -> dict[str, Any]:
        """What verdict.json holds; keys are stable within a schema version."""
        plain = asdict(replace(self, comparison=None))
        comparison = None if self.comparison is None else self.comparison.to_json()
        return {"schema_version": SCHEMA_VERSION, **plain, "comparison": comparison, "exit_code": self.exit_code}


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    What the gate judges.

    Attributes:
        candidate: At least one run.
        comparison: Of the two sides; None without a baseline.
        outcomes: Of each run of the candidate, those of the objectives; empty without any.
        wanted: The numbers that the user named to decide, in words; empty: the usual ones, as far as they are there.
    """

    baseline: Sequence[Digest]
    candidate: Sequence[Digest]
    comparison: Comparison | None
    outcomes: Sequence[Sequence[Outcome]] = ()
    wanted: Sequence[str] = ()

    @property
    def lacking(self) -> list[str]:
        """Which of the wanted numbers cannot be compared, and why: a pass without them would be none."""
        lines = {} if self.comparison is None else {bare(line.place): line for line in self.comparison.primary}
        there = {name: lines.get(name) for name in self.wanted}
        blank = {name: line for name, line in there.items() if line is None or line.verdict == "not_compared"}
        return [
            f"{name} is not compared: {line.reason if line else 'neither side has it'}" for name, line in blank.items()
        ]


def decide(seen: Evidence, name: str = "", on_inconclusive: OnInconclusive | None = None) -> Verdict:
    """The verdict that follows from a comparison, objectives, or both."""
    objectives = over_runs(seen.outcomes)
    assert seen.comparison is not None or objectives
    verdict = _worst(seen, objectives)
    return Verdict(
        name, verdict, on_inconclusive, tuple(_reasons(verdict, seen, objectives)),
        _next_step(verdict, seen.comparison), _played(seen.baseline), _played(seen.candidate), seen.comparison,
        objectives,
    )  # fmt: skip


def _worst(seen: Evidence, objectives: Sequence[Attained]) -> Overall:
    found: set[str] = {one.verdict for one in objectives} | {one.verdict for one in seen.candidate}
    if seen.comparison is not None:
        found |= {seen.comparison.verdict, *(["inconclusive"] if seen.lacking else [])}
    if "invalid" in found:
        return "invalid"
    if found & {"regression", "missed"}:
        return "regression"
    return "inconclusive" if found & {"inconclusive", "undecided"} else "pass"


def _played(digests: Sequence[Digest]) -> tuple[Played, ...]:
    return tuple(
        Played(
            one.facts.name, one.facts.run_id, one.facts.arm, one.started_unix_ns, one.verdict,
            tuple(f"{check.name} {check.value}: {check.why}" for check in one.faults), dict(one.facts.labels),
        )
        for one in digests
    )  # fmt: skip


# Why, and what to do about it.


def _reasons(verdict: Overall, seen: Evidence, objectives: Sequence[Attained]) -> list[str]:
    if verdict == "invalid":
        return _invalid(seen)
    wanted = {"regression": "missed", "inconclusive": "undecided", "pass": ""}[verdict]
    lines = () if seen.comparison is None else seen.comparison.primary
    told = [words.sentence(line) for line in lines if line.verdict == verdict] if wanted else []
    told += seen.lacking if verdict == "inconclusive" else []
    told += [words.promise(one) for one in objectives if one.verdict == wanted]
    return told or _in_all(verdict, seen, objectives)


def _invalid(seen: Evidence) -> list[str]:
    """What makes it so: the checks of the runs, then those of the sides against each other."""
    sides = (("baseline", seen.baseline), ("candidate", seen.candidate))
    runs = [
        f"{side} {one.facts.name}: {check.name} {check.value}: {check.why}"
        for side, digests in sides
        for one in digests
        for check in one.faults
        if check.status == "invalid"
    ]
    return [*runs, *_faults(seen.comparison, "invalid")] or ["a run is not valid"]


def _faults(comparison: Comparison | None, status: str) -> list[str]:
    checks = () if comparison is None else comparison.checks
    return [f"{check.name} {check.value}: {check.why}" for check in checks if check.status == status]


def _in_all(verdict: Overall, seen: Evidence, objectives: Sequence[Attained]) -> list[str]:
    """Where no single number decided."""
    told = []
    if seen.comparison is not None and verdict == "pass":
        lines = seen.comparison.primary
        passed = [line for line in lines if line.verdict == "pass"]
        told.append(f"no primary metric is worse than its margin ({len(passed)} judged)")
        others = [line for line in lines if line.verdict == "not_compared"]
        told += [f"not compared: {words.title(line)} ({line.reason})" for line in others]
    elif seen.comparison is not None:
        told += seen.comparison.notes or ["the comparison cannot tell"]
    if objectives:
        told.append(f"every objective is met ({len(objectives)})")
    return told


def _next_step(verdict: Overall, comparison: Comparison | None) -> str:
    if verdict == "pass":
        return ""
    if verdict == "invalid":
        return "mend what the checks name, and run again"
    if verdict == "regression":
        return "look at the candidate's reports; where the change is meant, make its runs the baseline"
    undecided = [] if comparison is None else [line for line in comparison.primary if line.verdict == "inconclusive"]
    if not undecided:
        return "play longer runs, or more of them"
    return f"play {_runs_needed(undecided)} runs a side (`firsttoken run --repeats N`)"


def _runs_needed(lines: Sequence[Line]) -> str:
    """As many as the worst of them needs; more than there are, and never fewer than can tell."""
    there = min(min(line.runs_a, line.runs_b) for line in lines)
    known = [line.runs_needed for line in lines if line.runs_needed is not None]
    needed = max([LEAST_RUNS, *known])
    least = needed if needed > there else 2 * there
    return f"{least}" if len(known) == len(lines) else f"{least} or more"
