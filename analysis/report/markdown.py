"""Reports as markdown: what a page says, without its charts, for a wiki or a comment."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from analysis.units import NONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from analysis.failures import Failure


def of_run(
    title: str, arms: Sequence[dict[str, Any]], pairs: Sequence[dict[str, Any]], sheet: dict[str, Any]
) -> str:  # fmt: skip
    """A run: its arms beside each other, of each verdict, faults and numbers, the fairness sheet, the command."""
    lines = [f"# {text(title)}"]
    for pair in pairs:
        lines += ["", *_pair(pair)]
    for arm in arms:
        lines += ["", *_arm(arm, named=len(arms) > 1)]
    lines += fairness(sheet)
    command = arms[0]["s"].facts.argv
    return "\n".join([*lines, "", "## How to reproduce", "", "```sh", shlex.join(command) or "not recorded", "```", ""])


def _arm(arm: dict[str, Any], *, named: bool) -> list[str]:
    s = arm["s"]
    f = s.facts
    lines = [f"## {text(f.arm)}", ""] if named else []
    lines.append(f"**{s.validity.verdict.upper()}** · {text(f.profile)} · model {text(f.model)} · {text(f.load)}")
    lines += [f"- unfinished: {text(f.unfinished)}"] if f.unfinished else []
    lines += [f"- {check.status}: {text(f'{check.name} {check.value}: {check.why}')}" for check in s.validity.faults]
    lines += [f"- {one.verdict}: {text(one.text)} {text(one.reason)}".rstrip() for one in s.objectives]
    lines += ["", text(arm["counts"]), ""]
    lines += [f"Window {s.window.start_s:.1f} to {s.window.end_s:.1f} s: {text(s.window.reason)}.", ""]
    rates = [(f"{one['label']}, {one['unit']}", one["n"], one["value"], one["note"]) for one in arm["rates"]]
    rates += [_failure(one) for one in s.failures]
    lines += [*table(("whole run", "n", "value", "95 %"), rates), ""]
    names = [f"p{100 * cell.p:g}" for cell in s.rows[0].cells] if s.rows else []
    rows = [
        (f"{row['label']}, {row['unit']}", row["n"], *(f"{cell['value']} ({cell['note']})" for cell in row["cells"]))
        for row in arm["table"]
    ]
    return lines + table(("metric", "n", *names), rows)


def _failure(one: Failure) -> tuple[str, str, str, str]:
    """A kind of failure as a row of the run's figures."""
    status = f", status {one.status}" if one.status else ""
    around = f"{100 * one.lo:.3g}{NONE}{100 * one.hi:.3g}"
    return f"{one.kind} ({one.family}{status}), %", f"{one.n:,}", f"{100 * one.share:.3g}", around


def _pair(pair: dict[str, Any]) -> Iterator[str]:
    """Two arms: what B certainly is, what is wrong with that, and the primary metrics."""
    yield from (f"## {text(pair['b'])} against {text(pair['a'])}: {text(pair['words'])}", "")
    yield from (f"- {one.status}: {text(f'{one.name} {one.value}: {one.why}')}" for one in pair["checks"])
    yield ""
    columns = ("metric", f"A: {pair['a']}", f"B: {pair['b']}", "B / A", "95 %", "p", "verdict")
    names = ("a", "b", "effect", "around", "p", "verdict")
    yield from table(
        columns, [(f"{one['label']}, {one['unit']}", *(one[name] for name in names)) for one in pair["primary"]]
    )
    yield ""
    yield from (text(note) for note in pair["notes"])


def fairness(sheet: dict[str, Any]) -> Iterator[str]:
    """The fairness sheet; nothing where nobody tells anything."""
    if sheet["entries"]:
        yield from ("", "## Fairness sheet", "")
        yield from (f"- {text(sentence)}" for sentence in sheet["biases"])
        yield ""
        yield from table(("circumstance", *sheet["names"]), ((one.label, *one.cells) for one in sheet["entries"]))


def of_loads(title: str, shown: dict[str, Any]) -> str:
    """A sweep or a search: what was found, the tables, what limits it, how to reproduce it."""
    lines = [f"# {text(title)}", *(["", f"**{text(shown['so_far'])}**"] if shown["so_far"] else [])]
    for answer in shown["answers"]:
        lines += ["", f"**{text(answer['stamp'])}** {text(answer['headline'])}", ""]
        lines += [f"- **{text(one['about'])}.** {text(one['text'])}" for one in answer["paragraphs"]]
        for one in answer["tables"]:
            lines += ["", f"## {text(one['title'])}", "", *table(("", "value"), one["rows"])]
    for arm in shown["arms"]:
        lines += ["", f"**{text(arm['headline'])}**", "", *(f"- {text(one)}" for one in arm["sentences"]), ""]
        rows = [(row["load"], *(_cell(cell) for cell in row["cells"]), row["state"]) for row in arm["rows"]]
        lines += table((arm["unit"], *arm["columns"], "state"), rows)
    if shown["beside"]:
        lines += ["", "## Side by side", "", *table(shown["beside"]["columns"], shown["beside"]["rows"]), ""]
        lines += [f"- {text(one)}" for one in shown["beside"]["said"]]
    lines += ["", "## Limits of this result", "", *(f"- {text(one)}" for one in shown["limits"])]
    return "\n".join([*lines, "", "## How to reproduce", "", "```sh", shown["command"], "```", ""])


def _cell(cell: dict[str, str]) -> str:
    return f"{cell['value']} ({cell['note']})" if cell["note"] else cell["value"]


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table's lines; the first column is a name, the others are to the right."""
    head = [_row(columns), "|" + "|".join("---" if i == 0 else "--:" for i in range(len(columns))) + "|"]
    return head + [_row(row) for row in rows]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(text(cell) for cell in cells) + " |"


def text(value: str) -> str:
    """Words that cannot be taken for markup, whatever a server said."""
    plain = " ".join(str(value).split())
    for sign in "\\`*_[]|<>#":
        plain = plain.replace(sign, f"\\{sign}")
    return plain
