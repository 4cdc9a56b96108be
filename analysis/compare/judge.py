"""
From two sides of digests to a comparison: every number's difference, and the verdict by interval against a margin.

REGRESSION needs five runs a side, an interval beyond nothing in the worse direction, an effect that matters at all, and
certainty after Holm's correction over the primary family. PASS needs an interval that ends before the margin. All else
is INCONCLUSIVE, and says what it would take; "not significant" is never taken for "no difference".
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from analysis.compare import checks, likeness, pairing
from analysis.compare.comparison import Comparison, Side
from analysis.compare.lines import Sides, harm_of, lines_of
from analysis.compare.rules import LEAST_RUNS, Rules, sign
from analysis.validity import worst_word

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analysis.compare.comparison import Line, Overall, Verdict
    from analysis.digest import Digest


def compare(a: Sequence[Digest], b: Sequence[Digest], rules: Rules, names: tuple[str, str] | None = None) -> Comparison:
    """
    Compare two sides.

    Args:
        a: The baseline's runs, one or more.
        b: Those of the other side.
        rules: Level, margins, primary metrics, what may differ.
        names: What the sides are called; None: after their runs.

    Raises:
        UnlikeError: They differ in what was to be held constant.
    """
    likeness.refuse(a, b, rules.across)
    sides = Sides(a, b, pairing.design(a, b), rules)
    lines = [_judged(line, sides) for line in lines_of(sides)]
    told = checks.examine(a, b, rules.across)
    called = names or (name_of(a), name_of(b))
    ends = _side(a, called[0]), _side(b, called[1])
    broken = any(end.verdict == "invalid" for end in ends) or any(check.status == "invalid" for check in told)
    primary = [line for line in lines if line.primary and line.verdict != "not_compared"]
    verdict: Overall = "invalid" if broken else overall(primary)
    notes = tuple(_notes(sides, lines))
    settings = likeness.differences(a, b)
    across = tuple(sorted(rules.across))
    return Comparison(*ends, verdict, sides.design.of, rules.alpha, settings, across, tuple(lines), told, notes)


def overall(primary: Sequence[Line]) -> Overall:
    """The worst of the primary lines; without any nobody can tell."""
    found = {line.verdict for line in primary}
    if "regression" in found:
        return "regression"
    return "pass" if found == {"pass"} else "inconclusive"


# The sides.


def name_of(side: Sequence[Digest]) -> str:
    """The run's name; of several what they have in common and their number."""
    if len(side) == 1:
        return side[0].facts.name
    folders = {one.facts.name.partition(" · ")[0].rpartition("/")[0] for one in side}
    arms = {one.facts.arm for one in side} - {"default", ""}
    common = sorted(folders - {""}) if len(folders) < 3 else []
    return " · ".join([*common, *(arms if len(arms) == 1 else ()), f"{len(side)} runs"])


def _side(side: Sequence[Digest], name: str) -> Side:
    worst = worst_word(one.verdict for one in side)
    several = len(side) > 1
    unfinished = "; ".join(
        f"{one.facts.name}: {one.facts.unfinished}" if several else one.facts.unfinished
        for one in side
        if one.facts.unfinished
    )
    return Side(name, tuple(one.facts.name for one in side), worst, unfinished, tuple(_faults(side)))


def _faults(side: Sequence[Digest]) -> Iterable[str]:
    """What keeps runs from being valid, the worst first, each once with one run's words for it."""
    found: dict[tuple[str, str], list[str]] = {}
    for fault in (fault for one in side for fault in one.faults):
        found.setdefault((fault.status, fault.name), []).append(f"{fault.value}: {fault.why}")
    for (status, name), told in sorted(found.items(), key=lambda one: one[0][0] != "invalid"):
        many = f"in {len(told)} of {len(side)} runs, " if len(side) > 1 else ""
        yield f"{status}: {name} {many}{told[0]}"


# The verdict.


def _judged(line: Line, sides: Sides) -> Line:
    if line.reason:
        return line
    if sign(line.place) == 0:
        return replace(line, reason="describes the load")
    verdict, reason = _verdict(line, sides)
    return replace(line, verdict=verdict, reason=reason)


def _verdict(line: Line, sides: Sides) -> tuple[Verdict, str]:
    harm, ends = harm_of(line, line.effect), [harm_of(line, line.lo), harm_of(line, line.hi)]
    assert harm is not None
    least, margin = sides.rules.least(line.place), line.margin
    if line.scale == "ratio":
        least, margin = math.log1p(least), math.log1p(margin)
    if sides.design.of == "one run":
        return "inconclusive", "one run a side"
    if line.worse and harm >= least:
        held_back = _held_back(line, sides, harm)
        return ("inconclusive", held_back) if held_back else ("regression", "")
    worst = max(end for end in ends if end is not None) if None not in ends else math.inf
    if worst < margin:
        lost = _lost(line, sides)
        return ("inconclusive", f"B lacks it in {lost}") if lost else ("pass", "better" if line.better else "")
    return "inconclusive", _lacking(line, sides)


def _held_back(line: Line, sides: Sides, harm: float) -> str:
    """Why what looks like a regression is not called one; empty where it is."""
    if sides.design.of == "blocks":
        return "worse, but blocks of one run share its luck; 5 runs a side would tell"
    if min(line.runs_a, line.runs_b) < LEAST_RUNS:
        return f"worse, but under {LEAST_RUNS} runs a side"
    if line.band is not None:
        ends = [harm_of(line, end) for end in line.band]
        if harm <= max(end for end in ends if end is not None):
            return "worse, but past sessions of the baseline differ by as much"
    return ""


def _lost(line: Line, sides: Sides) -> str:
    """How many of B's runs lack a number, perhaps since too little was answered in them to have one; empty for none."""
    mine = line.place._replace(tokens=line.tokens_b)
    lost = sum(mine not in numbers for numbers in sides.design.b)
    unit = sides.design.of if sides.design.is_paired else "runs"
    return f"{lost} of {len(sides.design.b)} {unit}" if lost else ""


def _lacking(line: Line, sides: Sides) -> str:
    """What it would take to know."""
    if line.lo is None:
        few = min(line.runs_a, line.runs_b) < min(len(sides.design.a), len(sides.design.b))
        return "too few requests a run for it" if few else "too few runs for an interval"
    if line.runs_needed is None:
        return "too noisy to tell"
    unit = sides.design.of if sides.design.is_paired else "runs"
    if line.runs_needed <= min(line.runs_a, line.runs_b):
        return f"too near the margin of {line.margin_words} for these {unit}"
    return f"needs about {line.runs_needed:,} {unit} a side to tell {line.margin_words}"


def _notes(sides: Sides, lines: Sequence[Line]) -> Iterable[str]:
    """What the comparison cannot say, and what would help."""
    of, n = sides.design.of, min(len(sides.design.a), len(sides.design.b))
    if same := {(one.facts.run_id, one.facts.arm) for one in sides.a} & {
        (one.facts.run_id, one.facts.arm) for one in sides.b
    }:
        yield f"{len(same)} runs are on both sides: that they are alike says nothing."
    if of == "one run":
        yield (
            "One run a side: the intervals are those of these two runs. Runs of the same thing differ too, often by "
            "more: `firsttoken run --repeats 5` a side can tell."
        )
    elif sides.design.is_paired:
        yield f"Paired over {n} {of}: B / A is the mean ratio of the pairs with its 95 % t interval."
    elif len(sides.a) == 1:
        yield f"1 and {len(sides.b)} runs: no test without a spread of the baseline."
    elif len(sides.b) == 1:
        yield f"{len(sides.a)} and 1 run, not paired: a t test with the spread of the baseline's runs, from 10 on."
    else:
        yield f"{len(sides.a)} and {len(sides.b)} runs, not paired: Welch's t test on logs of the runs' numbers."
    primary = [line for line in lines if line.primary and line.verdict == "inconclusive" and line.runs_needed]
    most = max(primary, key=lambda line: line.runs_needed or 0, default=None)
    if most is not None and (most.runs_needed or 0) > n:
        yield (
            f"To tell every margin of the primary metrics: about {most.runs_needed:,} "
            f"{of if sides.design.is_paired else 'runs'} a side ({most.place.words})."
        )
