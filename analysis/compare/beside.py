"""
Two sides beside each other: every percentile of both, their ratio, and the settings in which they differ.

Where blocks or rounds were played by both sides the ratio is that of the pairs, with its interval. A table, no verdict:
what difference matters is not decided here, and with one run a side nobody can tell a change of the server from the
luck of the hour.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from analysis import sources
from analysis.paired import LEAST
from analysis.replicates import PS, RUN, Pairs, Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analysis.metrics import Unit
    from analysis.paired import Paired
    from analysis.summary import Rate, Row, Summary

T = TypeVar("T", "Row", "Rate")

SCHEMA_VERSION: Final = 1
NO_PAIRS: Final = Pairs({})
NOTE: Final = (
    "One run a side: no verdict. Runs of the same thing differ too, often by more than these intervals; "
    "5 runs a side or more can tell."
)
OF_PAIRS: Final = (
    "B / A is paired over {n} {of}: the mean ratio of each with its 95 % t interval. "
    "An interval, no verdict: whether the difference matters is not judged here."
)
OF_MEANS: Final = (
    "{a} and {b} runs: A and B are means over the runs, B / A is their ratio, not paired and without an interval: "
    "no verdict."
)
UNSET: Final[tuple[Any, ...]] = (None, False, 0, "", [], {})
UNCOMPARED: Final = ("versions.", "hashes.schedule")
"""Settings named last if at all: a schedule's hash follows from rate, arrivals and seed."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two runs, or as many as stand for it; `unfinished` says how far one is that is on or was killed."""

    name: str
    run_id: str
    verdict: str
    runs: int = 1
    unfinished: str = ""


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
        ratio: B / A; None where one is missing, A is 0 or, for the `reason` given, they are not of one unit.
        paired: Where the ratio is the mean over replicates: that with its interval and their number.
        by: What the group is one of, as of a summary's row.
        tokens_a, tokens_b: The sources of the token counts they rest on; None where they rest on none.
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
    tokens_a: str | None = None
    tokens_b: str | None = None
    reason: str | None = None
    paired: Paired | None = None
    by: str | None = None

    @property
    def source(self) -> str:
        """What has to be said about the token counts of both sides; empty where nothing has to be."""
        named = self.tokens_a or self.tokens_b
        alike = self.tokens_b in {None, named}
        return sources.phrase(named) if named and alike and named != sources.USAGE else ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    Two sides beside each other.

    Attributes:
        replicates: What the ratios are paired over: `blocks` or `rounds`; empty where nothing is.
    """

    a: Side
    b: Side
    settings: tuple[Difference, ...]
    lines: tuple[Line, ...]
    note: str = NOTE
    replicates: str = ""

    def to_json(self) -> dict[str, Any]:
        """The comparison as plain values; keys are stable within a schema version."""
        return {"schema_version": SCHEMA_VERSION, "verdict": None, **asdict(self)}


def compare(a: Summary, b: Summary, pairs: Pairs = NO_PAIRS, runs: tuple[int, int] = (1, 1)) -> Comparison:
    """
    Put two summaries side by side; what only one of them has is shown with the other empty.

    Args:
        a: Of a run, or the mean of several.
        b: The other side.
        pairs: The ratios that replicates give, in place of those of the two summaries.
        runs: How many runs each side stands for.
    """
    rows = [line for left, right in _together(a.rows, b.rows) for line in _lines(left, right)]
    rates = [_line(left, right, a, b) for left, right in _together(a.rates, b.rates)]
    lines = tuple(_with_pairs(line, pairs) for line in (*rates, *rows))
    sides = _side(a, runs[0]), _side(b, runs[1])
    note = NOTE if max(runs) == 1 else OF_MEANS.format(a=runs[0], b=runs[1])
    if most := max((line.paired.n for line in lines if line.paired), default=0):
        return Comparison(*sides, differences(a, b), lines, OF_PAIRS.format(n=most, of=pairs.of), pairs.of)
    return Comparison(*sides, differences(a, b), lines, note)


def _with_pairs(line: Line, pairs: Pairs) -> Line:
    """The line with the ratio of the pairs; where others have theirs and this one has none, it says so."""
    if not pairs.ratios or line.ratio is None:
        return line
    found = pairs.ratios.get(Place(line.metric, line.by, line.group, line.tokens_a, line.what))
    if found is None:
        return replace(line, reason=f"not paired: under {LEAST} {pairs.of} with enough requests for it, or a 0 in one")
    return replace(line, ratio=found.ratio, paired=found)


def _together(a: Sequence[T], b: Sequence[T]) -> Iterator[tuple[T | None, T | None]]:
    """
    What belongs together, in A's order, then what only B has.

    Of a metric of tokens those of the same source do; where the sides have one source each, these stand together too,
    though they are not to be compared.
    """
    for place in dict.fromkeys(_place(one) for one in (*a, *b)):
        left: dict[str | None, T] = {one.tokens: one for one in a if _place(one) == place}
        right: dict[str | None, T] = {one.tokens: one for one in b if _place(one) == place}
        if len(left) == len(right) == 1:
            yield next(iter(left.values())), next(iter(right.values()))
        else:
            yield from ((left.get(source), right.get(source)) for source in dict.fromkeys([*left, *right]))


def _place(one: Row | Rate) -> tuple[str, str | None, str]:
    return one.metric, getattr(one, "by", None), getattr(one, "group", RUN)


def _side(summary: Summary, runs: int) -> Side:
    about = summary.facts
    return Side(about.name, about.run_id, summary.validity.verdict, runs, about.unfinished)


def _lines(a: Row | None, b: Row | None) -> list[Line]:
    like = a or b
    assert like is not None
    label = f"{like.label}, {like.group}" if like.group == "whole" and "," not in like.label else like.label
    n = 0 if a is None else a.n, 0 if b is None else b.n
    lines = []
    for p in PS:
        left, right = (None if row is None else row.cell(p).value for row in (a, b))
        what = f"p{100 * p:g}"
        line = Line(like.metric, label, like.group, like.unit, what, left, right, None, *n, *_tokens(a, b), by=like.by)
        lines.append(line)
    return [_with_ratio(line) for line in lines]


def _line(x: Rate | None, y: Rate | None, a: Summary, b: Summary) -> Line:
    like = x or y
    assert like is not None
    left, right = (None if rate is None else rate.value for rate in (x, y))
    n = a.counts.in_window, b.counts.in_window
    line = Line(like.metric, like.label, RUN, like.unit, "", left, right, None, *n, *_tokens(x, y))
    return _with_ratio(line)


def _tokens(a: Row | Rate | None, b: Row | Rate | None) -> tuple[str | None, str | None]:
    return None if a is None else a.tokens, None if b is None else b.tokens


def _with_ratio(line: Line) -> Line:
    """The line with its ratio, or with the reason why there cannot be one."""
    a, b = line.tokens_a, line.tokens_b
    if a == b:
        return replace(line, ratio=_ratio(line.a, line.b))
    if a and b:
        return replace(line, reason=f"not compared: tokens of A by {a}, of B by {b}")
    return replace(line, reason=f"not compared: {'B' if a else 'A'} has no tokens by {a or b}")


def _ratio(a: float | None, b: float | None) -> float | None:
    return b / a if a and b is not None else None


def differences(a: Summary, b: Summary) -> tuple[Difference, ...]:
    """The settings in which two runs differ, those that matter most first."""
    left, right = a.facts.settings, b.facts.settings
    names = [name for name in dict.fromkeys([*left, *right]) if not _alike(name, left.get(name), right.get(name))]
    names.sort(key=lambda name: name.startswith(UNCOMPARED))
    return tuple(Difference(name, left.get(name), right.get(name)) for name in names)


def _alike(name: str, a: Any, b: Any) -> bool:
    """Equal, or neither set: what one run's version did not know is not set there. A parameter of 0 is set."""
    return bool(a == b) or (not name.startswith("plan.params.") and a in UNSET and b in UNSET)
