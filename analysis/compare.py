"""
Two runs side by side: every percentile of both, their ratio, and the settings in which the runs differ.

A table, no verdict: with one run a side nobody can tell a change of the server from the luck of the hour.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from analysis.metrics import Unit
    from analysis.summary import Row, Summary

SCHEMA_VERSION: Final = 1
PS: Final = (0.5, 0.95, 0.99)
NOTE: Final = (
    "One run a side: no verdict. Runs of the same thing differ too, often by more than these intervals; "
    "5 runs a side or more can tell."
)
UNCOMPARED: Final = ("versions.", "hashes.schedule")
"""Settings named last if at all: a schedule's hash follows from rate, arrivals and seed."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two runs."""

    name: str
    run_id: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting in which the runs differ; None: not set."""

    name: str
    a: Any
    b: Any


@dataclass(frozen=True, slots=True)
class Line:
    """
    A metric's percentile, or a metric of the whole run, in both runs, base units.

    Attributes:
        what: `p50`, `p95`, `p99`, or empty for a metric of the run.
        ratio: B / A; None where one is missing or A is 0.
    """

    metric: str
    label: str
    group: str
    unit: Unit
    what: str
    a: float | None
    b: float | None
    ratio: float | None
    n_a: int
    n_b: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs side by side."""

    a: Side
    b: Side
    settings: tuple[Difference, ...]
    lines: tuple[Line, ...]
    note: str = NOTE

    def to_json(self) -> dict[str, Any]:
        """The comparison as plain values; keys are stable within a schema version."""
        return {"schema_version": SCHEMA_VERSION, "verdict": None, **asdict(self)}


def compare(a: Summary, b: Summary) -> Comparison:
    """Put two summaries side by side; a row that only one of them has is shown with the other empty."""
    keys = {(row.metric, row.group): row for side in (b, a) for row in side.rows}
    order = sorted(keys, key=lambda key: _place(key, a, b))
    lines = [line for key in order for line in _lines(keys[key], a.row(*key), b.row(*key))]
    return Comparison(_side(a), _side(b), differences(a, b), (*_rates(a, b), *lines))


def _place(key: tuple[str, str], a: Summary, b: Summary) -> int:
    rows = [(row.metric, row.group) for row in (*a.rows, *b.rows)]
    return rows.index(key)


def _side(summary: Summary) -> Side:
    return Side(summary.facts.name, summary.facts.run_id, summary.validity.verdict)


def _lines(like: Row, a: Row | None, b: Row | None) -> list[Line]:
    lines = []
    for p in PS:
        left, right = (None if row is None else row.cell(p).value for row in (a, b))
        n_a, n_b = (0 if row is None else row.n for row in (a, b))
        what = f"p{100 * p:g}"
        label = f"{like.label}, {like.group}" if like.group == "whole" and "," not in like.label else like.label
        lines.append(Line(like.metric, label, like.group, like.unit, what, left, right, _ratio(left, right), n_a, n_b))
    return lines


def _rates(a: Summary, b: Summary) -> list[Line]:
    n_a, n_b = a.counts.in_window, b.counts.in_window
    return [
        Line(x.metric, x.label, "run", x.unit, "", x.value, y.value, _ratio(x.value, y.value), n_a, n_b)
        for x, y in zip(a.rates, b.rates, strict=True)
    ]


def _ratio(a: float | None, b: float | None) -> float | None:
    return b / a if a and b is not None else None


def differences(a: Summary, b: Summary) -> tuple[Difference, ...]:
    """The settings in which two runs differ, those that matter most first."""
    left, right = a.facts.settings, b.facts.settings
    names = [name for name in dict.fromkeys([*left, *right]) if left.get(name) != right.get(name)]
    names.sort(key=lambda name: name.startswith(UNCOMPARED))
    return tuple(Difference(name, left.get(name), right.get(name)) for name in names)
