"""
Many runs in order of time: series of like runs, and where in them a number changed for good.

A series holds runs of one profile, model, load and machine; another setting starts another series, since a step between
them would say nothing about the provider. Change points by E-divisive means with a t test, on logs.

Source: Matteson & James, arXiv 1306.4933; Fleming et al. (Hunter), arXiv 2301.03034.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from analysis import stats
from analysis.compare.rules import sign
from analysis.replicates import sameness, spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analysis.digest import Digest
    from analysis.places import Place
    from analysis.replicates.spread import Array, Scale

SCHEMA_VERSION: Final = 1
ALPHA: Final = 0.001
WINDOW: Final = 50
LEAST_POINTS: Final = 4
"""Two on each side: a single odd one is no change."""


@dataclass(frozen=True, slots=True)
class Point:
    """
    One place on the axis: a run, or all runs of one value of the label.

    Attributes:
        label: The label's value, else the run's name.
        started_unix_ns: Of its first run.
        runs: Their names.
    """

    label: str
    started_unix_ns: int
    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """
    A number changed between two points of a series.

    Attributes:
        index: Of the first point after it, in the series.
        label: Of that point: where to look for the cause.
        before, after: Means on both sides up to the next changes, base units, geometric on the ratio scale.
        size: after / before - 1, or after - before for shares.
        p: Of the t test of the points before against those after.
        worse: In the metric's worse direction; None for one that has none.
        beside: Settings outside of the key that changed at the same point, as `name: before → after`.
    """

    index: int
    label: str
    before: float
    after: float
    size: float
    p: float
    worse: bool | None
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Course:
    """
    One number over the points of a series.

    Attributes:
        values: Base units, one a point; None where no run of the point has it.
        steps: The change points, in order.
        intervals: Of each point's mean over its runs the 95 % interval (t, on the scale); None with fewer than 3 runs.
    """

    place: Place
    scale: Scale
    values: tuple[float | None, ...]
    steps: tuple[Step, ...]
    intervals: tuple[tuple[float, float] | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Series:
    """
    Runs that may stand on one axis.

    Attributes:
        name: Profile, model and load, in words.
        why: In which settings it differs from the series before it in time; empty for the first.
        invalid: Names of runs left out because they are not valid.
    """

    name: str
    why: tuple[str, ...]
    points: tuple[Point, ...]
    courses: tuple[Course, ...]
    invalid: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class History:
    """All series, in order of their first runs."""

    series: tuple[Series, ...]
    label: str | None
    least_effect: float

    def to_json(self) -> dict[str, Any]:
        """As plain values; keys are stable within a schema version."""
        found = {"schema_version": SCHEMA_VERSION, **asdict(self)}
        for series, told in zip(self.series, found["series"], strict=True):
            for course, one in zip(series.courses, told["courses"], strict=True):
                one |= {"place": course.place._asdict(), "name": course.place.words}
                one["unit"] = spread.unit_of(course.place)
        return found


def trace(
    digests: Iterable[Digest], names: Sequence[str], *, label: str | None = None, least_effect: float = 0.02,
    asked: bool = False,
) -> History:  # fmt: skip
    """
    Put runs in order, part them into series, and look for changes.

    Args:
        digests: Runs of whatever kind, in any order.
        names: Of the numbers, as `Place.words` has them.
        label: Runs of one value of this label are one point, where the first of them stands.
        least_effect: Changes below it are not told: 0.02 is 2 %, or 2 points of a share.
        asked: Somebody typed the names.

    Raises:
        RunError: No run has a number of a name asked for.
    """
    ordered = spread.in_order(digests)
    places = spread.pick(ordered, names, asked=asked)
    groups: dict[tuple[str, ...], list[Digest]] = {}
    for one in ordered:
        groups.setdefault(_key(one), []).append(one)
    found: list[Series] = []
    before: Digest | None = None
    for runs in groups.values():
        found.append(_series(runs, places, label, least_effect, _why(before, runs[0])))
        before = runs[0]
    return History(tuple(found), label, least_effect)


def _key(one: Digest) -> tuple[str, ...]:
    """Runs of one key may stand on one axis."""
    return one.facts.arm, *(f"{name}={value!r}" for name, value in sorted(sameness.thing(one).items()))


def _why(before: Digest | None, after: Digest) -> tuple[str, ...]:
    if before is None:
        return ()
    return sameness.differing(*({"arm": one.facts.arm} | sameness.thing(one) for one in (before, after)))


# One series.


def _series(
    runs: Sequence[Digest], places: Sequence[Place], label: str | None, least_effect: float, why: tuple[str, ...]
) -> Series:
    first = runs[0].facts
    arm = "" if first.arm == "default" else first.arm
    name = " · ".join(part for part in (arm, first.profile, first.model, first.load) if part)
    valid, invalid = spread.sound(runs)
    stacks = list(_stacks(valid, label).items())
    points = tuple(
        Point(word, stack[0].started_unix_ns, tuple(one.facts.name for one in stack)) for word, stack in stacks
    )
    courses = [_course([stack for _, stack in stacks], points, place, least_effect) for place in places]
    return Series(name, why, points, tuple(one for one in courses if one is not None), invalid)


def _stacks(runs: Iterable[Digest], label: str | None) -> dict[str, list[Digest]]:
    """The runs of each point, by its label, in order of first start; one without the label stands alone."""
    found: dict[str, list[Digest]] = {}
    for one in runs:
        value = one.facts.labels.get(label) if label is not None else None
        found.setdefault(value or _unlike(one.facts.name, found, alone=value is None), []).append(one)
    return found


def _unlike(name: str, taken: dict[str, list[Digest]], *, alone: bool) -> str:
    """A name that no other point has."""
    number = 2
    unlike = name
    while alone and unlike in taken:
        unlike, number = f"{name} ({number})", number + 1
    return unlike


def _course(
    stacks: Sequence[Sequence[Digest]], points: Sequence[Point], place: Place, least_effect: float
) -> Course | None:
    """One number over the points; None where none has it."""
    runs = [spread.values(stack, place) for stack in stacks]
    scale: Scale = spread.scale_of(place)
    if scale == "ratio" and any(np.any(one <= 0) for one in runs):
        scale = "difference"  # a 0 has no logarithm, and an outage is not to be left out
    means = np.array([_mean(spread.scaled(one, scale)) for one in runs], dtype=np.float64)
    there = np.flatnonzero(~np.isnan(means))
    if not there.size:
        return None
    least = _least(means[there], place, scale, least_effect)
    changes = stats.change_points(means[there], alpha=ALPHA, least_effect=least, window=WINDOW)
    steps = [_step(change, there, (stacks, points), place, scale) for change in changes]
    plain = tuple(None if np.isnan(mean) else spread.unscaled(mean, scale) for mean in means)
    intervals = tuple(_interval(spread.scaled(one, scale), scale) for one in runs)
    return Course(place, scale, plain, tuple(steps), intervals)


def _interval(known: Array, scale: Scale) -> tuple[float, float] | None:
    found = stats.paired(known[~np.isnan(known)])
    return None if found is None else (spread.unscaled(found.lo, scale), spread.unscaled(found.hi, scale))


def _mean(known: Array) -> float:
    known = known[~np.isnan(known)]
    return float(known.mean()) if known.size else np.nan


def _least(means: Array, place: Place, scale: Scale, least_effect: float) -> float:
    """The least effect on the scale of the means; a number that may be 0 takes its part of the median."""
    if scale == "ratio":
        return float(np.log1p(least_effect))
    return least_effect if spread.unit_of(place) == "share" else least_effect * float(abs(np.median(means)))


def _step(
    change: stats.Change,
    there: np.ndarray[Any, np.dtype[np.int64]],
    at: tuple[Sequence[Sequence[Digest]], Sequence[Point]],
    place: Place,
    scale: Scale,
) -> Step:
    stacks, points = at
    index, last = int(there[change.index]), int(there[change.index - 1])
    before, after = (spread.unscaled(value, scale) for value in (change.before, change.after))
    size = after / before - 1 if scale == "ratio" else after - before
    worse = None if sign(place) == 0 else sign(place) * size > 0
    beside = sameness.differing(sameness.causes(stacks[last][-1]), sameness.causes(stacks[index][0]))
    return Step(index, points[index].label, before, after, size, change.p, worse, beside)
