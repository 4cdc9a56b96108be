"""Sides of a comparison made by hand: a digest a run, of no more than the numbers that matter."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import manyruns
from manyruns import ERRORS, GOODPUT, LATENCY, TTFT, TTFT95

from analysis.compare.judge import compare
from analysis.compare.rules import Rules
from analysis.places import Place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis.compare.comparison import Comparison, Line
    from analysis.digest import Digest, Number

    Values = Mapping[Place, Sequence[float | Number]]

TPOT: Final = Place("tpot_s", None, "stream", "usage", "p50")
ALL: Final = (TTFT, TTFT95, TPOT, LATENCY, GOODPUT, ERRORS)
"""The primary metrics."""


def side(values: Values, at: int = 0, seeds: Sequence[int] | None = None, **more: Any) -> list[Digest]:
    """
    Runs of these numbers each.

    Args:
        values: Of each place one number a run.
        at: Hours from the first side's first run to this side's.
        seeds: Of the runs; unless given others than those of any other side, so that nothing is paired.
        more: Of every digest: fields of its own (`session`, `blocks`, ...) or what `manyruns.run` takes.
    """
    own = {key: more.pop(key) for key in ("session", "blocks", "verdict", "faults") if key in more}
    found = []
    for place, one in enumerate(zip(*values.values(), strict=True)):
        settings = more.get("settings", {}) | {"seed": at + place if seeds is None else seeds[place]}
        told = dict(zip(values, one, strict=True))
        made = manyruns.run(at + place, told, **(more | {"settings": settings}))
        found.append(replace(made, **own))
    return found


def versus(a: Sequence[Digest], b: Sequence[Digest], **rules: Any) -> Comparison:
    """Compared, whatever their seeds."""
    rules["across"] = frozenset({"seed"}) | set(rules.get("across", ()))
    return compare(a, b, Rules(**rules))


def one(a: Sequence[float | Number], b: Sequence[float | Number], place: Place = TTFT, **rules: Any) -> Line:
    """The line of one number of two sides that nothing pairs; it is the only one they have, and primary."""
    rules.setdefault("primary", (place._replace(by=None, group="", tokens=None).words,))
    (line,) = versus(side({place: a}), side({place: b}, at=100), **rules).lines
    return line
