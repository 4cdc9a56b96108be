"""Reports as markdown: what a page says, without its charts, for a wiki or a comment."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def of_run(title: str, arms: Sequence[dict[str, Any]]) -> str:
    """A run: verdict, what is wrong with it, the numbers, how to reproduce it."""
    lines = [f"# {text(title)}"]
    for arm in arms:
        lines += ["", *_arm(arm, named=len(arms) > 1)]
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
    rates = [(f"{one['label']}, {one['unit']}", one["n"], one["value"], one["note"]) for one in arm["rates"]]
    lines += [*table(("of the run", "n", "value", "95 %"), rates), ""]
    names = [f"p{100 * cell.p:g}" for cell in s.rows[0].cells] if s.rows else []
    rows = [
        (f"{row['label']}, {row['unit']}", row["n"], *(f"{cell['value']} ({cell['note']})" for cell in row["cells"]))
        for row in arm["table"]
    ]
    return lines + table(("metric", "n", *names), rows)


def of_loads(title: str, shown: dict[str, Any]) -> str:
    """A sweep or a search: what was found, the tables, what limits it, how to reproduce it."""
    lines = [f"# {text(title)}"]
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
    lines += ["", "## What limits this statement", "", *(f"- {text(one)}" for one in shown["limits"])]
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
