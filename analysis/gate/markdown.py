"""
The verdict as a comment for a pull request, which a step summary takes too.

A hidden marker in its first line lets a workflow find its comment again and replace it. It stays below what GitHub
takes for a comment, 65,536 characters: long texts are cut, tables end early, and both say so.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from analysis.gate import words
from analysis.units import NONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analysis.compare.comparison import Line
    from analysis.gate.attained import Attained
    from analysis.gate.verdict import Played, Verdict

MOST: Final = 65_000
"""UTF-8 bytes of a comment: fewer characters than GitHub takes, however it counts them."""

OF_TABLE: Final = 16_000
"""Bytes that a table above the details may take; the three of them leave room for the details."""

OF_LIST: Final = 6_000
CELL: Final = 160
"""Characters of a name or a sentence."""

SIGNS: Final = {
    "pass": "✅", "met": "✅", "regression": "❌", "missed": "❌", "invalid": "⛔",
    "inconclusive": "❔", "undecided": "❔", "not_compared": NONE,
}  # fmt: skip
COLUMNS: Final = ("metric", "baseline", "candidate", "change", "95 %", "p", "verdict")
FULL: Final = "verdict.json has all"


def marker(name: str) -> str:
    """The hidden first line of a gate's comments."""
    kept = re.sub(r"-{2,}", "-", re.sub(r"[^A-Za-z0-9 ._/-]", "-", name)).strip()
    return f"<!-- firsttoken gate{': ' if kept else ''}{kept[:CELL]} -->"


def markdown(verdict: Verdict) -> str:
    """The comment's text, always below `MOST` bytes."""
    parts = [_head(verdict), *_primary(verdict), *_promises(verdict), *_validity(verdict)]
    text = "\n\n".join(parts)
    room = MOST - len(text.encode()) - 100
    return "\n\n".join([text, *_details(verdict, room)]) + "\n"


def mistake(text: str, name: str) -> str:
    """The comment of a gate that could not judge, and why."""
    return f"{marker(name)}\n### {SIGNS['invalid']} could not judge: {escape(text, 1000)}\n"


def escape(text: str, most: int = CELL) -> str:
    """
    Text as markdown shows it literally, in one line: no markup, no HTML, nobody mentioned, no issue linked to.

    A mention is found after rendering, so no escape keeps it out: a zero-width space follows each `@` and `#`.
    """
    line = " ".join(text.split())
    line = line if len(line) <= most else line[: most - 1] + "…"
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([@#])", "\\1\u200b", re.sub(r"([\\`*_\[\]|~])", r"\\\1", line))


# Above the fold.


def _head(verdict: Verdict) -> str:
    named = f" · {escape(verdict.name)}" if verdict.name else ""
    lines = [marker(verdict.name), f"### {SIGNS[verdict.verdict]} {verdict.verdict.upper()}{named}", ""]
    lines += fitted([f"- {escape(reason, 2 * CELL)}" for reason in verdict.reasons], OF_LIST)
    if verdict.next_step:
        lines += ["", f"**Next:** {escape(verdict.next_step, 2 * CELL)}"]
    if verdict.taken_as:
        lines += ["", f"Taken as {verdict.taken_as}: `--on-inconclusive {verdict.taken_as}`."]
    elif verdict.verdict == "inconclusive" and verdict.on_inconclusive:
        lines += ["", "Not taken as pass: what was to decide is missing, and that is not noise."]
    return "\n".join(lines)


def _primary(verdict: Verdict) -> list[str]:
    comparison = verdict.comparison
    if comparison is None:
        return [f"candidate: {_side(verdict.candidate)}"]
    sides = f"baseline: {_side(verdict.baseline)}  \ncandidate: {_side(verdict.candidate)}"
    alpha = f"{100 * comparison.alpha:g} % over the family"
    told = f"Design: {escape(words.design(comparison))}; p after Holm's correction, false alarms {alpha}."
    table = _table(COLUMNS, [_row(line) for line in comparison.primary], OF_TABLE)
    notes = fitted([f"- {escape(note, 2 * CELL)}" for note in comparison.notes], OF_LIST)
    return [sides, table, told, *(["\n".join(notes)] if notes else [])]


def _side(runs: Sequence[Played]) -> str:
    """Their number and names, and the labels that they have in common."""
    names = ", ".join(run.name for run in runs[:3]) + (", …" if len(runs) > 3 else "")
    shared = dict(runs[0].labels.items() & _labels(runs)) if runs else {}
    labels = ", ".join(f"{key}={value}" for key, value in sorted(shared.items()))
    word = "run" if len(runs) == 1 else "runs"
    return f"{len(runs)} {word}: {escape(names)}" + (f" ({escape(labels)})" if labels else "")


def _labels(runs: Sequence[Played]) -> set[tuple[str, str]]:
    return set.intersection(*(set(run.labels.items()) for run in runs))


def _row(line: Line) -> list[str]:
    return [
        escape(words.title(line)),
        words.value(line.a, line.unit),
        words.value(line.b, line.unit),
        words.effect(line, line.effect),
        escape(words.interval(line)) or NONE,
        escape(words.p_value(line.p_adjusted)),
        f"{SIGNS[line.verdict]} {words.verdict(line)}" if line.primary else words.verdict(line),
    ]


def _promises(verdict: Verdict) -> list[str]:
    if not verdict.objectives:
        return []
    rows = [[escape(one.text), f"{SIGNS[one.verdict]} {one.verdict}", _attained(one)] for one in verdict.objectives]
    return [_table(("objective", "verdict", "why"), rows, OF_TABLE)]


def _attained(one: Attained) -> str:
    return escape("; ".join(told for told in (words.shares(one.outcomes), one.reason) if told), 2 * CELL) or NONE


def _validity(verdict: Verdict) -> list[str]:
    doubts = verdict.doubts
    if not doubts:
        return ["Every run is valid."]
    return ["\n".join(["**Validity**", "", *fitted([f"- {escape(doubt, 2 * CELL)}" for doubt in doubts], OF_LIST)])]


# Below it.


def _details(verdict: Verdict, room: int) -> list[str]:
    """The exploratory lines, folded; what differs in the settings goes before them."""
    comparison = verdict.comparison
    if comparison is None:
        return []
    differing = [[escape(one.name), escape(str(one.a)), escape(str(one.b))] for one in comparison.settings]
    folded = _folded(f"{len(differing)} settings differ", ("setting", "baseline", "candidate"), differing, room // 3)
    rows = [_row(line) for line in comparison.lines if not line.primary]
    rest = room - sum(len(part.encode()) + 2 for part in folded)
    return folded + _folded(f"{len(rows)} exploratory numbers, which decide nothing", COLUMNS, rows, rest)


def _folded(summary: str, columns: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> list[str]:
    if not rows:
        return []
    return [f"<details><summary>{summary}</summary>\n\n{_table(columns, rows, room - 300)}\n\n</details>"]


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], room: int) -> str:
    head = [_line(columns), _line(["---"] * len(columns))]
    return "\n".join([*head, *fitted([_line(row) for row in rows], room, _more(len(columns)))])


def _more(width: int) -> str:
    return _line(["… and {n} more: " + FULL, *[""] * (width - 1)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def fitted(lines: Sequence[str], room: int, more: str = "- … and {n} more: " + FULL) -> list[str]:
    """As many of the lines as have room, in bytes; the last one says how many have none."""
    kept: list[str] = []
    left = room - len(more.encode()) - 10
    for line in lines:
        left -= len(line.encode()) + 1
        if left < 0:
            return [*kept, more.format(n=len(lines) - len(kept))]
        kept.append(line)
    return kept
