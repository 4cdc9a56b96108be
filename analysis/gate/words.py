"""A comparison's lines as people read them, the same in terminal, comment, JUnit and annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.units import NONE, SHOWN_UNIT, digits, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.compare.comparison import Comparison, Line
    from analysis.gate.attained import Attained
    from analysis.metrics import Unit
    from analysis.objectives import Outcome


def title(line: Line) -> str:
    """TTFT p95; latency p95 (whole); TTFT p50 (workload rag); TPOT p50 (estimate)."""
    place = line.place
    group = f"{place.by} {place.group}" if place.by else "whole" if place.group == "whole" else ""
    beside = ", ".join(part for part in (group, "" if place.tokens == "usage" else place.tokens) if part)
    told = f"{line.label} {place.what}".rstrip()
    return f"{told} ({beside})" if beside else told


def value(number: float | None, unit: Unit) -> str:
    """A side's number with its unit; a dash where it has none."""
    return NONE if number is None else f"{shown(number, unit)} {SHOWN_UNIT.get(unit, unit)}"


def effect(line: Line, number: float | None) -> str:
    """How far B is from A: +4.1 %, or +0.30 points for a share; a dash where nobody can tell."""
    if number is None:
        return NONE
    change = 100 * (number - 1 if line.scale == "ratio" else number)
    size = digits(abs(change))
    sign = "" if size == "0" else "+" if change > 0 else "-"
    return f"{sign}{size} {'%' if line.scale == 'ratio' else 'points'}"


def interval(line: Line) -> str:
    """[+1.2, +7.0], in the unit of the effect; empty where there is none."""
    if line.lo is None or line.hi is None:
        return ""
    lo, hi = (effect(line, bound).rpartition(" ")[0] for bound in (line.lo, line.hi))
    return f"[{lo}, {hi}]"


def margin(line: Line) -> str:
    """What difference is still no matter: 5 %, 1 point."""
    size = f"{100 * line.margin:.3g}"
    return f"{size} %" if line.scale == "ratio" else f"{size} point" if size == "1" else f"{size} points"


def p_value(p: float | None) -> str:
    """Three digits; 0.0004 is < 0.001."""
    return NONE if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def sentence(line: Line) -> str:
    """TTFT p95 +12.3 % [+4.5, +20.1], p 0.002, margin 10 %, 5 + 5 runs; and why it is no more than that."""
    told = f"{title(line)} {effect(line, line.effect)} {interval(line)}".rstrip()
    if line.effect is None:
        told = f"{title(line)} has no effect to judge"
    if line.p_adjusted is not None:
        told += f", p {p_value(line.p_adjusted)}"
    told += f", margin {margin(line)}, {line.runs_a} + {line.runs_b} runs"
    return f"{told}: {line.reason}" if line.reason else told


def verdict(line: Line) -> str:
    """The line's verdict, and which way it certainly went; of an exploratory line the latter alone."""
    way = "worse" if line.worse else "better" if line.better else ""
    if not line.primary:
        return way or NONE
    told = line.verdict.replace("_", " ")
    return f"{told}, {way}" if way and line.verdict != "regression" else told


def design(comparison: Comparison) -> str:
    """What stood against what, and how it was tested."""
    return {
        "runs": "t test over runs", "one run": "one run a side, without a test",
        **{of: f"t test over pairs of {of}" for of in ("rounds", "blocks", "seeds")},
    }.get(comparison.design, comparison.design)  # fmt: skip


def promise(one: Attained) -> str:
    """An objective as a sentence: missed `ttft_p95<2s`, and why."""
    return f"objective {one.text} {one.verdict}" + (f": {one.reason}" if one.reason else "")


def shares(outcomes: Sequence[Outcome]) -> str:
    """
    What part of the requests attained it, from the least run to the best, and what had to: 97.1 to 99.0 % of 95.0 %.

    Empty for one of the whole run.
    """
    found = sorted(one.share for one in outcomes if one.share is not None and one.needed is not None)
    if not found:
        return ""
    ends = dict.fromkeys(digits(100 * share) for share in (found[0], found[-1]))
    return f"{' to '.join(ends)} % of {digits(100 * (outcomes[0].needed or 0.0))} %"
