"""Why the gate says what it says, and what to do about it: sentences, made of nothing but the verdict's own parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.compare.rules import LEAST_RUNS, bare
from analysis.gate import failing, words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analysis.checks.rule import Check, Status
    from analysis.compare.comparison import Line
    from analysis.gate.attained import Attained
    from analysis.gate.verdict import Played, Verdict


def reasons(verdict: Verdict, lacking: Sequence[str]) -> list[str]:
    """
    What decided, a sentence each; never empty.

    Args:
        verdict: All of it but for these.
        lacking: Which numbers that were to decide cannot be compared.
    """
    if verdict.verdict == "invalid":
        return faults(verdict, "invalid") or ["a run is not valid"]
    if verdict.verdict == "pass":
        return list(_passed(verdict))
    if verdict.verdict == "regression":
        return list(_worse(verdict))
    told = [words.sentence(line) for line in _primary(verdict) if line.verdict == "inconclusive"]
    told += [*lacking, *_only_of_candidate(verdict, lacking)]
    told += [words.promise(one) for one in verdict.objectives if one.verdict == "undecided"]
    told += [one for one in verdict.lost if one not in told]
    if told:
        return told
    if verdict.comparison is None or verdict.comparison.verdict == "pass":
        return list(_passed(verdict))  # of runs that are not all of those planned
    return list(verdict.comparison.notes) or ["the comparison cannot tell"]


def _worse(verdict: Verdict) -> Iterator[str]:
    lines = [line for line in _primary(verdict) if verdict.counts(line.place.metric)]
    yield from (words.sentence(line) for line in lines if line.verdict == "regression")
    promised = [one for one in verdict.objectives if verdict.counts(one.metric)]
    yield from (words.promise(one) for one in promised if one.verdict == "missed")
    if verdict.is_failing:
        yield "candidate: its runs are not valid because so many requests failed; that is the regression"


def _only_of_candidate(verdict: Verdict, lacking: Sequence[str]) -> Iterator[str]:
    """The numbers that the baseline lacks, but for those that are told already."""
    for line in _primary(verdict):
        if line.verdict == "not_compared" and line.a is None and not any(bare(line.place) in one for one in lacking):
            yield f"not compared: {words.title(line)} ({line.reason})"


def _passed(verdict: Verdict) -> Iterator[str]:
    lines = _primary(verdict)
    if verdict.comparison is not None:
        judged = sum(line.verdict == "pass" for line in lines)
        yield f"no primary metric is worse by more than its margin ({judged} judged)"
    yield from (
        f"not compared: {words.title(line)} ({line.reason})" for line in lines if line.verdict == "not_compared"
    )
    if verdict.objectives:
        yield f"every objective is met ({len(verdict.objectives)})"


def _primary(verdict: Verdict) -> Sequence[Line]:
    return () if verdict.comparison is None else verdict.comparison.primary


def next_step(verdict: Verdict, lacking: Sequence[str]) -> str:
    """What to do about it; empty for a pass."""
    if verdict.verdict == "pass":
        return ""
    if verdict.verdict == "invalid":
        again = "fix what the checks name and make these runs again"
        return again if failing.has_failed([*verdict.baseline, *verdict.candidate]) else f"{again}, or leave them out"
    if verdict.is_failing:
        return "see the errors by kind in the candidate's reports; latencies of what was still answered decide nothing"
    if verdict.verdict == "regression":
        return "look at the candidate's reports; if the change is intended, make its runs the baseline"
    return _to_decide(verdict, lacking)


def _to_decide(verdict: Verdict, lacking: Sequence[str]) -> str:
    """What would decide what is not decided; more runs only where these tell something."""
    undecided = [line for line in _primary(verdict) if line.verdict == "inconclusive"]
    if noisy := [line for line in undecided if line.effect is not None]:
        return f"make {_runs_needed(noisy)} runs a side (`firsttoken run --repeats N`)"
    if undecided:
        first = undecided[0]
        return f"see why {words.title(first)} cannot be compared ({first.reason}); more runs will not help"
    if lacking:
        return "name metrics that both sides have"
    if verdict.lost:
        return "use a baseline whose runs have the primary metrics, or name metrics that both sides have with --metric"
    if all(one.verdict == "met" for one in verdict.objectives):
        return "make the runs that are still planned"
    blank = [one.text for one in verdict.objectives if one.verdict == "undecided" and _is_blank(one)]
    return f"leave {', '.join(blank)} out: these runs do not have it" if blank else "make longer runs, or more of them"


def _is_blank(objective: Attained) -> bool:
    """No run has anything to judge it by."""
    return all(one.share is None and one.value is None for one in objective.outcomes)


def _runs_needed(lines: Sequence[Line]) -> str:
    """As many as the worst of them needs; more than there are, and never fewer than can tell."""
    there = min(min(line.runs_a, line.runs_b) for line in lines)
    known = [line.runs_needed for line in lines if line.runs_needed is not None]
    needed = max([LEAST_RUNS, *known])
    least = needed if needed > there else 2 * there
    return f"{least}" if len(known) == len(lines) else f"{least} or more"


# What is wrong with the runs.


def faults(verdict: Verdict, status: Status) -> list[str]:
    """The checks that ended so, a sentence each: those of the runs, then those of the sides against each other."""
    checks = () if verdict.comparison is None else verdict.comparison.checks
    runs = [*_of_runs("baseline", verdict.baseline, status), *_of_runs("candidate", verdict.candidate, status)]
    return runs + [sentence(check) for check in checks if check.status == status]


def sentence(check: Check) -> str:
    """A check in a sentence."""
    return f"{check.name} {check.value}: {check.why}" if check.why else f"{check.name} {check.value}"


def _of_runs(side: str, runs: Sequence[Played], status: Status) -> Iterator[str]:
    """Each check once for all runs of a side, as the first run has it."""
    found = [(run.name, check) for run in runs for check in run.faults if check.status == status]
    names = [check.name for _, check in found]
    for place, (run, check) in enumerate(found):
        if check.name in names[:place]:
            continue
        many = f" (in {names.count(check.name)} of {len(runs)} runs)" if len(runs) > 1 else ""
        yield f"{side} {run}: {sentence(check)}{many}"
