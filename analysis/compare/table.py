"""A comparison as text: the verdict, the primary metrics, then the others. Colours only on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from analysis import sources
from analysis.compare.likeness import short
from analysis.table import COLOURS, footnote
from analysis.units import NONE, SHOWN_UNIT, digits, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from analysis.compare.comparison import Comparison, Line

VERDICTS: Final = {
    "regression": "bold red", "pass": "bold green", "inconclusive": "bold yellow", "invalid": "bold red",
    "not_compared": "dim",
}  # fmt: skip
FAULT: Final = 95
"""Characters of a fault that are shown; `--json` has all."""

FEW: Final = 6
"""Settings that differ and are shown; of more, their number is told."""


def render(comparison: Comparison, console: Console, *, whole: bool = False, brief: bool = False) -> None:
    """
    Print a comparison.

    Args:
        comparison: Of two sides.
        console: Where to.
        whole: With every exploratory line; else those of whole runs and groups that every run has.
        brief: Of the exploratory lines only those that certainly differ.
    """
    for line in _header(comparison):
        console.print(line)
    console.print()
    notes: list[str] = []
    console.print(_table(comparison.primary, notes, verdicts=True))
    others = [line for line in comparison.lines if not line.primary and (whole or _is_usual(line))]
    shown_ones = [line for line in others if line.worse or line.better] if brief else others
    if shown_ones:
        console.print()
        of = f"{len(shown_ones)} of {len(others)} that certainly differ, " if brief else ""
        console.print(Text(f"exploratory: {of}p corrected for their number (Benjamini and Hochberg)", style="dim"))
        console.print(_table(shown_ones, notes, verdicts=False))
    for note in notes:
        console.print(Text(f"{footnote(note, notes)} {note}", style="dim"))
    for note in comparison.notes:
        console.print(Text(note, style="dim"))


def _header(comparison: Comparison) -> Iterator[Text]:
    """The verdict, the sides and what is wrong with them, what differs between them."""
    yield Text.assemble(
        (comparison.verdict.upper(), VERDICTS[comparison.verdict]), f"  B against A: {_why(comparison)}"
    )
    for name, side in (("A", comparison.a), ("B", comparison.b)):
        n = len(side.runs)
        several = f", {n} runs" if n > 1 and "runs" not in side.name else ""
        yield Text.assemble((f"{name}  ", "bold"), f"{side.name}{several}  ", (side.verdict, COLOURS[side.verdict]))
        if side.unfinished:
            yield Text.assemble(("   unfinished", COLOURS["doubtful"]), f": {side.unfinished}")
        for fault in side.faults[:3]:
            yield Text(f"   {fault}" if len(fault) < FAULT else f"   {fault[:FAULT]}…", style="dim")
    for check in comparison.checks:
        if check.status in {"doubtful", "invalid"}:
            yield Text.assemble((f"   {check.name}", COLOURS[check.status]), f" {check.value}: {check.why}")
    for difference in comparison.settings[:FEW]:
        yield Text(f"   {difference.name}: {short(difference.a)} → {short(difference.b)}", style="dim")
    if len(comparison.settings) > FEW:
        yield Text(f"   and {len(comparison.settings) - FEW} more settings (--json has all)", style="dim")


def _why(comparison: Comparison) -> str:
    """The verdict in a few words."""
    if comparison.verdict == "invalid":
        broken = [name for name, side in (("A", comparison.a), ("B", comparison.b)) if side.verdict == "invalid"]
        return f"runs of {' and '.join(broken)} are not valid" if broken else "the sides cannot be compared, see below"
    of = [line.place.words for line in comparison.primary if line.verdict == comparison.verdict]
    if comparison.verdict == "pass":
        better = [line.place.words for line in comparison.primary if line.better]
        found = "no primary metric is worse by more than its margin"
        return found + (f"; better: {', '.join(better)}" if better else "")
    return ", ".join(of) or "no primary metric could be compared"


def _is_usual(line: Line) -> bool:
    return line.place.by is None and (line.a is not None or line.b is not None)


def _table(lines: Sequence[Line], notes: list[str], *, verdicts: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    names = ["", "A", "B", "B / A [95 %]", "p", "verdict" if verdicts else ""]
    for name in names:
        table.add_column(name, justify="left" if name in {"", "verdict"} else "right", no_wrap=name != "verdict")
    for line in lines:
        table.add_row(*_row(line, notes))
    return table


def _row(line: Line, notes: list[str]) -> tuple[Text | str, ...]:
    unit = SHOWN_UNIT[line.unit]
    named = f"{line.label}{_group(line)} {line.place.what}".strip()
    unit = "" if unit == "1/s" else f", {unit}"
    values = [NONE if value is None else shown(value, line.unit) for value in (line.a, line.b)]
    p = NONE if line.p_adjusted is None else f"{line.p_adjusted:.2g}"
    return f"{named}{unit}{_source(line, notes)}", *values, _effect(line, notes), p, _verdict(line)


def _group(line: Line) -> str:
    group = line.place.group
    return f", {group}" if line.place.by or group == "whole" else ""


def _source(line: Line, notes: list[str]) -> str:
    named = line.place.tokens
    told = named and named == line.tokens_b and named != sources.USAGE
    return footnote(sources.phrase(str(named)), notes) if told else ""


def _effect(line: Line, notes: list[str]) -> Text:
    """B / A, or B - A in points, with its interval."""
    if line.effect is None:
        return Text(NONE + footnote(line.reason, notes))
    show = _points if line.scale == "difference" else _ratio
    around = "" if line.lo is None or line.hi is None else f" {show(line.lo)}{NONE}{show(line.hi)}"
    return Text.assemble(show(line.effect), (around, "dim"))


def _ratio(value: float) -> str:
    return f"{value:.3f}"


def _points(value: float) -> str:
    return f"{100 * value:+.2f} pt"


def _verdict(line: Line) -> Text:
    """The verdict of a line in colour with its reason; of an exploratory one only what is certain."""
    if not line.primary:
        return Text("worse" if line.worse else "better" if line.better else "", style="dim")
    word = line.verdict.replace("_", " ")
    told = f" {line.reason}" if line.reason and line.effect is not None else ""
    if line.detectable is not None and line.verdict == "inconclusive":
        least = abs(line.detectable - 1) if line.scale == "ratio" else abs(line.detectable)
        told += f"; detectable: {digits(100 * least)} {'%' if line.scale == 'ratio' else 'points'}"
    return Text.assemble((word, VERDICTS[line.verdict]), (told, "dim"))
