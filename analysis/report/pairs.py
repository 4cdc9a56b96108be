"""Two sides in full, as pages tell them: every number with its difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from analysis.compare.likeness import short
from analysis.compare.rules import LEAST_RUNS
from analysis.units import NONE, SHOWN_UNIT, shown

if TYPE_CHECKING:
    from analysis.compare.comparison import Comparison, Line


VERDICTS: Final = {
    "regression": "worse", "pass": "not worse", "inconclusive": "not distinguishable", "not_compared": "not compared",
    "invalid": "invalid",
}  # fmt: skip
"""A gate's words as those of sides that are no versions of one another."""


def shown_pair(names: tuple[str, str], comparison: Comparison) -> dict[str, Any]:
    """A comparison of two sides: its verdict, what is wrong with it, the primary lines and the others."""
    return {
        "a": names[0], "b": names[1], "words": _words(comparison), "notes": comparison.notes,
        "checks": [check for check in comparison.checks if check.status in {"doubtful", "invalid"}],
        "settings": [(one.name, short(one.a), short(one.b)) for one in comparison.settings],
        "primary": [_line(line) for line in comparison.lines if line.primary],
        "others": [_line(line) for line in comparison.lines if not line.primary and _is_told(line)],
    }  # fmt: skip


def _words(comparison: Comparison) -> str:
    """What B certainly is, by the primary lines, with how little that rests on; without any, the verdict."""
    primary = comparison.primary
    found = {
        "better": [line.place.words for line in primary if line.better],
        "worse": [line.place.words for line in primary if line.worse],
    }
    told = [f"{word} in {', '.join(names)}" for word, names in found.items() if names]
    if not told:
        return VERDICTS[comparison.verdict]
    n = min(min(line.runs_a, line.runs_b) for line in primary if line.better or line.worse)
    within = "within one run" if comparison.design == "blocks" else f"under {LEAST_RUNS} runs" if n < LEAST_RUNS else ""
    broken = "invalid, " if comparison.verdict == "invalid" else ""
    return broken + "; ".join(told) + (f" ({within})" if within else "")


def _is_told(line: Line) -> bool:
    """What one side has at the least; groups only where they certainly differ."""
    return (line.place.by is None and not (line.a is None and line.b is None)) or line.worse or line.better


def _line(line: Line) -> dict[str, str]:
    a, b = (NONE if value is None else shown(value, line.unit) for value in (line.a, line.b))
    effect = [_effect(line, value) for value in (line.effect, line.lo, line.hi) if value is not None]
    around = f"{effect[1]} to {effect[2]}" if len(effect) == 3 else line.reason if line.effect is None else ""
    group = f", {line.place.group}" if line.place.by or line.place.group == "whole" else ""
    return {
        "label": f"{line.label}{group} {line.place.what}".strip(), "unit": SHOWN_UNIT[line.unit], "a": a, "b": b,
        "effect": effect[0] if effect else NONE, "around": around, "verdict": _verdict(line),
        "p": "" if line.p_adjusted is None else "< 0.0001" if line.p_adjusted < 0.0001 else f"{line.p_adjusted:.2g}",
    }  # fmt: skip


def _verdict(line: Line) -> str:
    """What B certainly is; by a primary number that is worse, and yet no regression, also why it is none."""
    certain = "worse" if line.worse else "better" if line.better else ""
    if not line.primary:
        return certain
    if line.effect is None:
        return VERDICTS["not_compared"]
    if line.worse and line.verdict == "pass":
        return "worse, within the margin"
    if certain and line.verdict == "inconclusive":
        return line.reason if line.reason.startswith(certain) else f"{certain}, but {line.reason}"
    return certain or VERDICTS[line.verdict]


def _effect(line: Line, value: float) -> str:
    return f"{100 * value:+.2f} pt" if line.scale == "difference" else f"{value:.3f}"
