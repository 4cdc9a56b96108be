"""
What a build server gets: regression, pass, inconclusive or invalid, the exit code, and why.

Runs that are not valid decide nothing, so `invalid` goes first, but for a candidate that is so since its requests fail:
that is a regression where what counts failures says so. Then a regression or a missed objective; then what is not
decided; `pass` is what is left.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from analysis.compare.rules import bare
from analysis.gate import failing, reasons, words
from analysis.gate.attained import over_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.checks.rule import Check
    from analysis.compare.comparison import Comparison, Overall
    from analysis.digest import Digest
    from analysis.gate.attained import Attained
    from analysis.gate.interrupted import Interrupted
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
        lost: What that was to decide is not there, a sentence each: no noise, so nobody may take it for a pass.
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
    lost: tuple[str, ...] = ()

    @property
    def taken_as(self) -> OnInconclusive | None:
        """What `inconclusive` is taken as; None for itself, and for every other verdict."""
        if self.verdict != "inconclusive" or (self.on_inconclusive == "pass" and self.lost):
            return None
        return self.on_inconclusive

    @property
    def exit_code(self) -> int:
        """Of the process: 0 pass, 1 regression or objective missed, 3 invalid, 4 inconclusive unless chosen."""
        if self.taken_as:
            return EXIT["pass" if self.taken_as == "pass" else "regression"]
        return EXIT[self.verdict]

    @property
    def is_failing(self) -> bool:
        """It is a regression since requests of the candidate fail; percentiles of the others decide nothing."""
        return self.verdict == "regression" and any(run.verdict == "invalid" for run in self.candidate)

    def counts(self, metric: str) -> bool:
        """Whether a metric may decide."""
        return self.verdict != "invalid" and (not self.is_failing or metric in failing.COUNTED)

    @property
    def doubts(self) -> tuple[str, ...]:
        """What is to be known about the validity of either side and of the comparison, the worst first."""
        return (*reasons.faults(self, "invalid"), *reasons.faults(self, "doubtful"))

    def to_json(self) -> dict[str, Any]:
        """What verdict.json holds; keys are stable within a schema version."""
        plain = asdict(replace(self, comparison=None))
        del plain["lost"]  # the reasons have it
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
        interrupted: The sides whose campaigns lack planned runs.
    """

    baseline: Sequence[Digest]
    candidate: Sequence[Digest]
    comparison: Comparison | None
    outcomes: Sequence[Sequence[Outcome]] = ()
    wanted: Sequence[str] = ()
    interrupted: Sequence[Interrupted] = ()

    @property
    def lacking(self) -> list[str]:
        """Which of the wanted numbers cannot be compared, and why: a pass without them would be none."""
        lines = {} if self.comparison is None else {bare(line.place): line for line in self.comparison.primary}
        there = {name: lines.get(name) for name in self.wanted}
        blank = {name: line for name, line in there.items() if line is None or line.verdict == "not_compared"}
        return [
            f"{name} is not compared: {line.reason if line else 'neither side has it'}" for name, line in blank.items()
        ]

    @property
    def lost(self) -> list[str]:
        """What was to decide and cannot be compared, however many runs there are, a sentence each."""
        lines = () if self.comparison is None else self.comparison.primary
        found = [words.sentence(line) for line in lines if line.verdict == "inconclusive" and line.effect is None]
        if self.comparison is not None and all(line.verdict == "not_compared" for line in lines):
            found.append("no primary metric could be compared")
        return [*found, *self.lacking]


def decide(seen: Evidence, name: str = "", on_inconclusive: OnInconclusive | None = None) -> Verdict:
    """The verdict that follows from a comparison, objectives, or both."""
    objectives = over_runs(seen.outcomes)
    assert seen.comparison is not None or objectives
    found = Verdict(
        name, _worst(seen, objectives), on_inconclusive, (), "", _played(seen.baseline), _played(seen.candidate),
        seen.comparison, objectives, tuple(seen.lost),
    )  # fmt: skip
    why = [*reasons.reasons(found, seen.lacking), *(one.text for one in seen.interrupted)]
    return replace(found, reasons=tuple(why), next_step=reasons.next_step(found, seen.lacking))


def _worst(seen: Evidence, objectives: Sequence[Attained]) -> Overall:
    found: set[str] = {one.verdict for one in objectives} | {one.verdict for one in seen.candidate}
    if seen.comparison is not None:
        found |= {seen.comparison.verdict, *(["inconclusive"] if seen.lacking else [])}
    if "invalid" in found:
        is_worse = failing.is_worse(seen.baseline, seen.candidate, seen.comparison, objectives)
        return "regression" if is_worse else "invalid"
    if found & {"regression", "missed"}:
        return "regression"
    if objectives and any(one.side == "candidate" for one in seen.interrupted):
        return "inconclusive"
    return "inconclusive" if found & {"inconclusive", "undecided"} else "pass"


def _played(digests: Sequence[Digest]) -> tuple[Played, ...]:
    return tuple(
        Played(
            one.facts.name, one.facts.run_id, one.facts.arm, one.started_unix_ns, one.verdict, one.faults,
            dict(one.facts.labels),
        )
        for one in digests
    )  # fmt: skip
