"""The table: for people in columns, for machines as JSON. Pure but for the writing of the file."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Any, Final

import orjson

from benchmarks.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from benchmarks.cases import Case
    from benchmarks.figures import Seen

HEAD: Final = ("case", "load", "figure", "median", "min-max", "to reach", "")


def figures(case: Case, seen: Sequence[Seen]) -> Iterator[Figure]:
    """What the repeats of one load add up to."""
    for key in dict.fromkeys(key for one in seen for key in one):
        name, _, unit = key.rpartition(", ")
        values = tuple(one[key] for one in seen if key in one)
        yield Figure(case.name, case.load, name, unit, values, case.goals.get(key))


def text(done: Sequence[Figure]) -> str:
    """Columns; a case and a load are named where they begin."""
    lines, before = [HEAD], ("", "")
    for one in done:
        about = (one.case, one.load) if (one.case, one.load) != before else ("", "")
        before = (one.case, one.load)
        lines.append((*about, *_cells(one)))
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in padded)


def _cells(one: Figure) -> tuple[str, str, str, str, str]:
    unit = f" {one.unit}" if one.unit else ""
    least, most = _short(min(one.values)), _short(max(one.values))
    goal = f"{one.goal.sign} {one.goal.value:g}" if one.goal else ""
    verdict = {None: "", True: "reached", False: "NOT reached"}[one.reached]
    return one.name, f"{_short(one.median)}{unit}", f"{least}-{most}" if least != most else "", goal, verdict


def _short(value: float) -> str:
    """Three digits, thousands in full."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def write_json(path: Path, done: Sequence[Figure], asked: Mapping[str, Any]) -> None:
    """The same with every value, and what was asked on which machine."""
    rows = [
        {"case": one.case, "load": one.load, "figure": one.name, "unit": one.unit, "median": one.median,
         "values": one.values, "goal": one.goal and f"{one.goal.sign} {one.goal.value:g}", "reached": one.reached}
        for one in done
    ]  # fmt: skip
    machine = {"cores": len(os.sched_getaffinity(0)), "kernel": platform.release(), "python": platform.python_version()}
    about = {"asked": asked, "machine": machine, "figures": rows}
    path.write_bytes(orjson.dumps(about, option=orjson.OPT_INDENT_2, default=str))
