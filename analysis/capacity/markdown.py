"""What an answer means as Markdown: for a ticket, a wiki, a mail."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from analysis.capacity import words
from analysis.capacity.beside import COLUMNS, cells

if TYPE_CHECKING:
    from analysis.capacity.beside import Beside
    from analysis.capacity.meaning import Meaning
    from analysis.capacity.reconcile import Reconciled


def markdown(meaning: Meaning) -> str:
    """One answer: its headline, then a paragraph for each thing that was asked."""
    parts = [f"### {escape(words.headline(meaning))}"]
    parts += [f"**{p.about}.** {escape(' '.join(p.sentences))}" for p in words.paragraphs(meaning)]
    return "\n\n".join(parts) + "\n"


def several(beside: Beside) -> str:
    """Deployments side by side, and which of them certainly carries more."""
    table = [_line(COLUMNS), _line(("---",) * len(COLUMNS))]
    table += [_line([escape(cell) for cell in cells(row)]) for row in beside.rows]
    said = [f"- {escape(sentence)}" for sentence in (*beside.ranking, *beside.break_even, *beside.notes)]
    return "\n".join(table) + ("\n\n" + "\n".join(said) if said else "") + "\n"


def both(reconciled: Reconciled) -> str:
    """Why a rate and a number of users give different capacities."""
    sentences = (*reconciled.sentences, reconciled.use)
    return "**By rate and by users.** " + escape(" ".join(sentences)) + "\n"


def escape(text: str) -> str:
    """Text as Markdown shows it literally, on one line."""
    line = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~#])", r"\\\1", line)


def _line(row: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(row)} |"
