"""
What a build server gets: regression, pass, inconclusive or invalid, the exit code, and why.

Runs that are not valid decide nothing, so `invalid` goes first; then a regression or a missed objective; then what is
not decided; `pass` is what is left.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from analysis.compare.rules import bare
from analysis.gate import reasons
from analysis.gate.attained import over_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.checks.rule import Check
    from analysis.compare.comparison import Comparison, Overall
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
        verdict: Its validity; `faults` are the checks that keep it from being valid.
    """

    name: str
    run_id: str
    arm: str
    started_unix_ns: int
    verdict: str
    faults: tuple[Check, ...]
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
        """What is to be known about the validity of either side and of the comparison, the worst first."""
        return (*reasons.faults(self, "invalid"), *reasons.faults(self, "doubtful"))

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
    found = Verdict(
        name, _worst(seen, objectives), on_inconclusive, (), "", _played(seen.baseline), _played(seen.candidate),
        seen.comparison, objectives,
    )  # fmt: skip
    why = tuple(reasons.reasons(found, seen.lacking))
    return replace(found, reasons=why, next_step=reasons.next_step(found, seen.lacking))


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
            one.facts.name, one.facts.run_id, one.facts.arm, one.started_unix_ns, one.verdict, one.faults,
            dict(one.facts.labels),
        )
        for one in digests
    )  # fmt: skip
