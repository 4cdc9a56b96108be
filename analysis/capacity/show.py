"""A capacity on the terminal: the answer, its probes, deployments side by side; a line for each probe as it goes."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table
from rich.text import Text

from analysis.capacity import search, tried, words
from analysis.capacity.answer import bounds
from analysis.capacity.beside import COLUMNS, beside, cells
from analysis.capacity.ranout import paragraph
from analysis.capacity.reconcile import reconcile
from analysis.capacity.sweep import figure, to_json
from analysis.capacity.table import render_sweep
from analysis.capacity.told import meanings as all_of
from analysis.capacity.tried import line as probe_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from analysis.capacity.answer import Answer
    from analysis.capacity.beside import Beside
    from analysis.capacity.meaning import Meaning
    from analysis.capacity.probe import Probe
    from analysis.capacity.reconcile import Reconciled
    from analysis.capacity.told import Told
    from analysis.capacity.words import Paragraph

__all__ = [
    "are_several", "both", "meant", "named", "paragraphs_of", "plain", "probe_line", "progress", "render",
    "render_answer", "render_beside",
]  # fmt: skip

COLOURS: Final = {"pass": "green", "fail": "bold red", "undecided": "bold yellow"}
STATES: Final = {"unstable": "bold red", "failed": "bold red", "quota": "bold yellow", "client": "bold yellow"}
NARROW: Final = ("runs", "n_eff", "rate x time", "in flight")
"""Columns that a terminal of less than 100 columns goes without."""
WIDE: Final = 100


# As it goes.


def progress(probes: Sequence[Probe], asked: search.Asked) -> str:
    """
    Between which loads the capacity lies, and what the search will take from here on, at most.

    Minutes are those of the probes; pauses between them, and runs that extend one, come on top.
    """
    step = search.following(probes, asked)
    if step is None:
        return "the search is over"
    left = max(1, asked.most_probes - len({probe.step.number for probe in probes} - {step.number}))
    likely = _likely(probes, asked, left)
    whole_s = max(asked.least_s, search.STAYS * (search.service(probes) or 0.0))
    if step.mode == "rate" and step.kind != "ramp":
        whole_s = max(whole_s, asked.requests / step.load)
    many = f"{left} probe{'' if left == 1 else 's'}"
    known = [_between(probes, asked)] if len(probes) > 1 else []
    ahead = f"{many} at most" if likely in (None, left) else f"about {likely} of at most {many} left"
    return " · ".join([*known, ahead, f"about {_minutes(step.length_s + ((likely or left) - 1) * whole_s)}"])


def _likely(probes: Sequence[Probe], asked: search.Asked, left: int) -> int | None:
    """Halvings of the bracket that are left, and the runs that make sure; None before there is a bracket."""
    lo, hi = bounds(probes, asked.mode)
    if lo is None or hi is None or hi <= lo:
        return None
    halvings = math.ceil(max(0.0, math.log2(math.log(hi / lo) / math.log(search.EDGE))))
    sure = sum(probe.step.kind == "confirm" for probe in probes)
    return max(1, min(left, halvings + search.CONFIRM_LO + search.CONFIRM_HI - sure))


def _between(probes: Sequence[Probe], asked: search.Asked) -> str:
    lo, hi = bounds(probes, asked.mode)
    unit = "/s" if asked.mode == "rate" else " users"
    if lo is None and hi is None:
        return "no load tried yet"
    if lo is None or hi is None:
        return f"{'at least' if hi is None else 'below'} {figure(lo or hi or 0.0)}{unit}"
    return f"between {figure(lo)} and {figure(hi)}{unit}"


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


# At the end.


def render(told: Told, console: Console, meanings: Sequence[Meaning] = ()) -> None:
    """
    Print a sweep's curves, or what a search found: side by side too, where there are several deployments.

    Args:
        told: The campaign.
        console: Where to.
        meanings: Of each answer; without any, only the capacities are told.
    """
    if not told.answers:
        render_sweep(told.curves, console)
        return
    meanings = meant(told, meanings)
    for place, meaning in enumerate(meanings):
        if place:
            console.print()
        render_answer(meaning, told, console)
    for pair in both(told.answers):
        console.print()
        _paragraph("By rate and by users", (*pair.sentences, pair.use), console)
    if are_several(meanings):
        console.print()
        render_beside(beside(meanings), console)


def render_answer(meaning: Meaning, told: Told, console: Console) -> None:
    """One answer: its headline, what it means, its probes."""
    console.print(Text(words.headline(meaning), style="bold"))
    if meaning.answer.hi and not meaning.answer.is_confirmed:
        console.print(Text("Not confirmed: fresh runs on both sides are missing or disagree.", style="bold yellow"))
    console.print()
    if paragraphs := paragraphs_of(meaning, told):
        for about, sentences in paragraphs:
            _paragraph(about, sentences, console)
        console.print()
    console.print(_probes(meaning.answer, wide=console.width >= WIDE))
    if (text := tried.limiting(meaning.answer)) is not None:
        console.print(Text(f"kept: share of the requests that met {text}; gap: by how much Little's law", style="dim"))
        console.print(Text("(in flight = rate x time in the system) is off", style="dim"))


def paragraphs_of(meaning: Meaning, told: Told) -> tuple[Paragraph, ...]:
    """What an answer means beside its headline, and what its server says of the edge, right behind the capacity."""
    first, *others = words.paragraphs(meaning)
    more = [] if first.sentences == (words.headline(meaning),) else [first]
    own = paragraph(meaning.answer, told.said)
    return (*more, *([own] if own else []), *others)


def both(answers: Sequence[Answer]) -> list[Reconciled]:
    """The two answers of each arm that was searched both ways, held against each other."""
    by_rate = {answer.arm: answer for answer in answers if answer.mode == "rate"}
    by_users = {answer.arm: answer for answer in answers if answer.mode == "concurrency"}
    return [reconcile(by_rate[arm], by_users[arm]) for arm in by_rate if arm in by_users]


def render_beside(found: Beside, console: Console) -> None:
    """Several deployments, and who certainly carries more."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for place, heading in enumerate(COLUMNS):
        table.add_column(heading, overflow="fold", min_width=8 if place else 10)
    for row in found.rows:
        table.add_row(*map(Text, named(row, found)))
    console.print(table)
    for sentence in (*found.ranking, *found.break_even, *found.notes):
        console.print(Text(sentence))


def named(row: Meaning, found: Beside) -> list[str]:
    """A row of `COLUMNS`; where deployments were searched by rate and by users, which of them it is."""
    name, *others = cells(row)
    if len({one.answer.mode for one in found.rows}) < 2:
        return [name, *others]
    return [f"{name}, by {'rate' if row.answer.mode == 'rate' else 'users'}", *others]


def _paragraph(about: str, sentences: Sequence[str], console: Console) -> None:
    console.print(Text.assemble((f"{about}. ", "bold"), " ".join(sentences)))


def _probes(answer: Answer, *, wide: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    shown = [place for place, name in enumerate(tried.HEADINGS) if wide or name not in NARROW]
    for place in shown:
        name = tried.HEADINGS[place]
        justify: Any = "left" if name in {"kind", "decision", "state"} else "right"
        table.add_column(name, justify=justify, no_wrap=True)
    for one in tried.tried(answer):
        row = [Text(cell) for cell in tried.cells(one)]
        row[tried.HEADINGS.index("decision")].stylize(COLOURS[one.probe.decision])
        row[tried.HEADINGS.index("state")].stylize(STATES.get(one.probe.state, ""))
        table.add_row(*(row[place] for place in shown))
    return table


# For machines.


def plain(told: Told, meanings: Sequence[Meaning] = ()) -> dict[str, Any]:
    """The same as plain values; every key is always there."""
    known = meant(told, meanings)
    return {
        "kind": told.kind,
        "campaign": str(told.path),
        "is_over": told.is_over,
        "objectives": list(told.objectives),
        "answers": [answer.to_json() for answer in told.answers],
        "meanings": [one.to_json() for one in known],
        "beside": beside(known).to_json() if are_several(known) else None,
        "both": [pair.to_json() for pair in both(told.answers)],
        "curves": {name: to_json(curve) for name, curve in told.curves.items()},
        "server": {run: asdict(one) for run, one in told.said.items()},
    }


def meant(told: Told, meanings: Sequence[Meaning] = ()) -> list[Meaning]:
    """What each answer means; where nobody asked for more, the capacity alone."""
    return list(meanings) or all_of(told)


def are_several(meanings: Sequence[Meaning]) -> bool:
    """Whether there is more than one deployment to put side by side."""
    return len({meaning.arm for meaning in meanings}) > 1
