"""
How often the gate cries wolf: runs of one and the same thing, halved at random and compared by the gate's own rules.

Every REGRESSION among such halves is a false one. Splits share runs, so they are not independent: the interval of
their rate says how well these runs are known, not how the next ones will be.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from analysis import stats
from analysis.compare.rules import LEAST_RUNS, bare
from analysis.places import RUN
from analysis.replicates import spread
from analysis.replicates.drift import drifts
from analysis.rundir import RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from analysis.compare.comparison import Comparison
    from analysis.compare.comparison import Line as Compared
    from analysis.digest import Digest
    from analysis.places import Place
    from analysis.replicates.drift import Drift
    from analysis.replicates.spread import Scale

    Judge = Callable[[Sequence[Digest], Sequence[Digest]], Comparison]
    Split = tuple[tuple[int, ...], tuple[int, ...]]

SCHEMA_VERSION: Final = 1
LEAST: Final = 4
"""Runs without which there are no two halves that say anything."""

ENOUGH: Final = 100
"""Distinct splits without which no gate is called calibrated."""


@dataclass(frozen=True, slots=True)
class Line:
    """
    One number over the runs.

    Attributes:
        runs: How many have it.
        mean: Geometric on the ratio scale; base units.
        sd: From run to run: 0.03 is 3 % on the ratio scale, else base units; `sd_lo` and `sd_hi` its 95 % interval.
        detectable: The least effect that so many runs a side find with power 0.8 at the Holm-adjusted level; 0.05 is
            5 %, or 5 points of a share.
        regressions: In how many splits it was called a regression.
        drift: None with fewer than 3 runs, or where nothing varies.
    """

    place: Place
    scale: Scale
    runs: int
    mean: float
    sd: float
    sd_lo: float
    sd_hi: float
    detectable: float | None
    regressions: int
    drift: Drift | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """
    What the splits say about the gate.

    Attributes:
        size: Runs a side.
        splits: Distinct ones that were judged.
        possible: How many there are.
        regressions: Splits in which any number was called a regression.
        lo, hi: Wilson's 95 % interval of their share.
        unjudged: Splits of which the comparison is not valid, or has no number to judge.
        invalid: Names of runs left out because they are not valid.
        verdict: `calibrated` where hi < 2 alpha on 100 splits or more, `not_calibrated` where enough splits say
            otherwise, `not_known` where there are too few runs or splits.
        missing: What it would take, a sentence each; empty where it is calibrated.
    """

    runs: int
    size: int
    splits: int
    possible: int
    regressions: int
    lo: float
    hi: float
    unjudged: int
    invalid: tuple[str, ...]
    alpha: float
    seed: int
    verdict: Literal["calibrated", "not_calibrated", "not_known"]
    missing: tuple[str, ...]
    lines: tuple[Line, ...]

    @property
    def rate(self) -> float | None:
        """Share of the splits with a false regression; None without a split."""
        return self.regressions / self.splits if self.splits else None

    def to_json(self) -> dict[str, Any]:
        """As plain values; keys are stable within a schema version."""
        lines = [
            asdict(line) | {"place": line.place._asdict(), "name": line.place.words, "unit": spread.unit_of(line.place)}
            for line in self.lines
        ]
        return {"schema_version": SCHEMA_VERSION, **asdict(self), "rate": self.rate, "lines": lines}


@dataclass(frozen=True, slots=True)
class Asked:
    """
    How to split.

    Attributes:
        splits: As many as there are, at most.
        size: Runs a side; None: half of them.
        names: The primary family.
    """

    names: tuple[str, ...]
    splits: int = 100
    seed: int = 1
    size: int | None = None
    alpha: float = 0.05


def calibrate(digests: Sequence[Digest], asked: Asked, judge: Judge) -> Calibration:
    """
    Split and judge.

    Args:
        digests: Runs of one and the same thing.
        asked: How to split them.
        judge: The gate's own comparison of two sides.

    Raises:
        RunError: Fewer than 4 runs, or fewer than two sides of this size take.
    """
    valid, invalid = spread.sound(digests)
    size = _size(len(valid), len(invalid), asked)
    ordered = [_lone(one, asked.names) for one in spread.in_order(valid)]
    drawn = list(splits(len(ordered), size, asked.splits, asked.seed))
    found = [judge([ordered[i] for i in a], [ordered[i] for i in b]) for a, b in drawn]
    judged = [one for one in found if one.verdict != "invalid" and any(map(_is_compared, one.primary))]
    blamed = [{line.place for line in one.primary if line.verdict == "regression"} for one in judged]
    hits = sum(map(bool, blamed))
    lo, hi = stats.wilson(hits, len(judged)) if judged else (0.0, 1.0)
    result = Calibration(
        len(ordered), size, len(judged), possible(len(ordered), size), hits, lo, hi, len(found) - len(judged), invalid,
        asked.alpha, asked.seed, "not_known", (), _lines(ordered, asked, size, blamed),
    )  # fmt: skip
    return _with_verdict(result)


def _is_compared(line: Compared) -> bool:
    return line.verdict != "not_compared"


def _lone(one: Digest, names: tuple[str, ...]) -> Digest:
    """
    A run by itself, with what the gate reads of it.

    Rounds of arms would pair what happens to be on both sides of a split, and leave out the rest.
    """
    read = {place: number for place, number in one.numbers.items() if place.group == RUN or bare(place) in names}
    return replace(one, round=None, numbers=read)


def _size(runs: int, invalid: int, asked: Asked) -> int:
    more = "`firsttoken run --repeats 20 ...` makes them"
    if runs < LEAST:
        beside = f" beside {invalid} that {'is' if invalid == 1 else 'are'} not valid" if invalid else ""
        raise RunError(
            f"{runs} run{'s' * (runs != 1)}{beside} of one and the same thing, {LEAST} are the least: {more}"
        )
    size = asked.size or runs // 2
    if 2 * size > runs:
        fix = f"--sizes {runs // 2} at most with these, or {2 * size - runs} more: {more}"
        raise RunError(f"--sizes {size} takes {2 * size} runs, there are {runs}: {fix}")
    return size


def _with_verdict(found: Calibration) -> Calibration:
    missing = []
    if found.size < LEAST_RUNS:
        missing.append(
            f"{found.size} runs a side: with fewer than {LEAST_RUNS} the gate never says regression, "
            f"so this says nothing about it; {2 * LEAST_RUNS} runs are the least"
        )
    if found.splits < ENOUGH:
        missing.append(f"{found.splits} splits, {ENOUGH} are the least: {_more_splits(found)}")
    if missing:
        return replace(found, verdict="not_known", missing=tuple(missing))
    if found.hi < 2 * found.alpha:
        return replace(found, verdict="calibrated")
    return replace(found, verdict="not_calibrated", missing=(_too_often(found),))


def _more_splits(found: Calibration) -> str:
    if found.unjudged:
        why = "`firsttoken compare` of two of the runs says why"
        return f"{found.unjudged} were refused, for their sides do not compare: {why}"
    if found.possible < ENOUGH:
        return f"{found.runs} runs have {found.possible:,}, so more runs"
    return f"--splits {ENOUGH}"


def _too_often(found: Calibration) -> str:
    drifting = [line.place.words for line in found.lines if line.drift is not None and line.drift.certain]
    why = f"{', '.join(drifting)} drifts over the runs: let the server settle, and interleave" if drifting else (
        "runs in a row may be alike (caches, neighbours): rest between them with --rest, or give --splits more"
    )  # fmt: skip
    return f"the upper end of the rate, {100 * found.hi:.1f} %, is not below {200 * found.alpha:g} %: {why}"


# Which runs stand against which.


def possible(runs: int, size: int) -> int:
    """How many distinct splits there are; which side is the baseline matters, so a swap is another one."""
    return math.comb(runs, size) * math.comb(runs - size, size)


def splits(runs: int, size: int, wanted: int, seed: int) -> Iterator[Split]:
    """Distinct random splits of `runs` runs in two sides of `size`, each side ascending; all of them at most."""
    rng = np.random.default_rng(seed)
    wanted = min(wanted, possible(runs, size))
    seen: set[Split] = set()
    while len(seen) < wanted:
        order = rng.permutation(runs)[: 2 * size].tolist()
        split = tuple(sorted(order[:size])), tuple(sorted(order[size:]))
        if split not in seen:
            seen.add(split)
            yield split


# Number by number.


def _lines(ordered: Sequence[Digest], asked: Asked, size: int, blamed: Sequence[set[Place]]) -> tuple[Line, ...]:
    places = spread.pick(ordered, asked.names)
    spreads = [one for place in places if (one := spread.spread(ordered, place)) is not None]
    drifting = drifts(ordered, [one.place for one in spreads])
    level = asked.alpha / max(1, len(asked.names))
    return tuple(
        Line(*one[:-1], _detectable(one, size, level), sum(one.place in places for places in blamed), drift)
        for one, drift in zip(spreads, drifting, strict=True)
    )


def _detectable(one: spread.Spread, size: int, level: float) -> float | None:
    if size < 2 or one.sd <= 0:
        return None
    found = stats.detectable(size, size, one.sd, level)
    return math.expm1(found) if one.scale == "ratio" else found
