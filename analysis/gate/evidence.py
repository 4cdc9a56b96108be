"""From what was named on the command line to what the gate judges: both sides, their comparison, the outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.compare import sides
from analysis.compare.judge import compare
from analysis.compare.rules import PRIMARY
from analysis.gate.candidate import Held, held
from analysis.gate.interrupted import interrupted
from analysis.gate.verdict import Evidence
from analysis.rundir import RunError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from analysis.compare.rules import Rules
    from analysis.digest import Digest
    from analysis.objectives import Objectives


@dataclass(frozen=True, slots=True)
class Asked:
    """
    What a gate was asked to judge.

    Attributes:
        baseline, candidate: Where the runs of either side are; no baseline where objectives are judged alone.
        arms: Of runs with several arms the one of the baseline and that of the candidate; None: there is one arm.
    """

    baseline: Sequence[Path]
    candidate: Sequence[Path]
    objectives: Objectives
    rules: Rules
    arms: tuple[str | None, str | None] = (None, None)


def gather(asked: Asked) -> Evidence:
    """
    Read both sides, compare them, hold the candidate against the objectives.

    Raises:
        RunError: A side has no runs, several arms of which none is named, or runs of the other side.
        UnlikeError: The sides differ in what was to be held constant.
    """
    promised = asked.objectives if asked.objectives.terms else None
    both = held(asked.candidate, promised) if promised else [Held(one, ()) for one in sides.read(asked.candidate)]
    judged = {id(one.digest): one.outcomes for one in both}
    candidate = _of_arm([one.digest for one in both], asked.arms[1], "candidate")
    outcomes = [judged[id(one)] for one in candidate] if promised else []
    gaps = interrupted("candidate", asked.candidate, asked.arms[1])
    if not asked.baseline:
        return Evidence((), candidate, None, outcomes, interrupted=gaps)
    baseline = _of_arm(sides.read(asked.baseline, promised), asked.arms[0], "baseline")
    if promised and any(one.objectives != promised.texts for one in baseline):
        baseline, candidate = _as_planned(asked)
    _refuse_both(baseline, candidate)
    # By identity: somebody may have named the usual six.
    wanted = () if asked.rules.primary is PRIMARY else asked.rules.primary
    gaps = [*interrupted("baseline", asked.baseline, asked.arms[0]), *gaps]
    return Evidence(baseline, candidate, compare(baseline, candidate, asked.rules), outcomes, wanted, gaps)


def _as_planned(asked: Asked) -> tuple[list[Digest], list[Digest]]:
    """The sides by the objectives they were played with: a baseline kept without its rows is not counted anew."""
    baseline, candidate = (sides.read(paths) for paths in (asked.baseline, asked.candidate))
    return _of_arm(baseline, asked.arms[0], "baseline"), _of_arm(candidate, asked.arms[1], "candidate")


def _of_arm(digests: Sequence[Digest], arm: str | None, side: str) -> list[Digest]:
    names = list(dict.fromkeys(one.facts.arm for one in digests))
    if arm is None and len(names) > 1:
        raise RunError(f"--{side}: its runs have the arms {', '.join(names)}; name one with --{side}-arm")
    if arm is not None and arm not in names:
        raise RunError(f'--{side}-arm "{arm}": isn\'t one of [{", ".join(names)}]')
    return [one for one in digests if arm in {None, one.facts.arm}]


def _refuse_both(baseline: Sequence[Digest], candidate: Sequence[Digest]) -> None:
    """A run against itself says nothing, and hides what the others say."""
    there = {(one.facts.run_id, one.facts.arm) for one in baseline}
    if both := [one for one in candidate if (one.facts.run_id, one.facts.arm) in there]:
        more = f" and {len(both) - 1} more" if len(both) > 1 else ""
        raise RunError(f"{both[0].facts.name}{more}: on both sides; leave it out of --baseline")
