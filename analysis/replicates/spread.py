"""
One number over several runs: which numbers are meant, their values, and how far runs of the same thing lie apart.

Stands between digests and `aa`, `planning` and `history`: from here on there are plain arrays, one value a run.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np

from analysis import stats
from analysis.compare.rules import bare, is_share
from analysis.metrics import BY_NAME
from analysis.places import RUN
from analysis.rundir import RunError
from analysis.units import digits

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from analysis.digest import Digest
    from analysis.metrics import Unit
    from analysis.places import Place

    Array = NDArray[np.float64]

Scale = Literal["ratio", "difference"]
CONFIDENCE: Final = 0.95
GROUPS: Final = ("stream", "all", RUN, "whole")


class Spread(NamedTuple):
    """
    How far the runs lie apart in one number.

    Attributes:
        runs: How many have it.
        mean: Geometric on the ratio scale; base units.
        sd: Standard deviation from run to run: of logs on the ratio scale (0.03 is 3 %), else base units. Of several
            arms, each run's distance is that from its own arm's mean, with runs - arms degrees of freedom.
        lo, hi: Its interval (chi-square: runs independent and normal on that scale).
        arms: Of how many arms these runs are.
    """

    place: Place
    scale: Scale
    runs: int
    mean: float
    sd: float
    lo: float
    hi: float
    arms: int = 1


def unit_of(place: Place) -> Unit:
    """The base unit of a number."""
    return BY_NAME[place.metric].unit


def scale_of(place: Place) -> Scale:
    """Shares differ by points, everything else by a ratio."""
    return "difference" if is_share(place) else "ratio"


def pick(digests: Sequence[Digest], names: Sequence[str], *, asked: bool = False) -> tuple[Place, ...]:
    """
    The numbers that go by these names in any of the runs, one for each name, in their order.

    A name without brackets means what a gate takes it for: streams before whole answers, counts of the provider before
    others. With its brackets, `latency_p95 (whole)`, it means that one number.

    Args:
        digests: The runs.
        names: As options have them.
        asked: Somebody typed the names, so that one which no run has is a mistake.

    Raises:
        RunError: No run has a number of a name asked for.
    """
    there = tuple(dict.fromkeys(place for one in digests for place in one.numbers))
    found: list[Place] = []
    for name in names:
        like = [place for place in there if place.by is None and bare(place) == name]
        like.sort(key=lambda place: (GROUPS.index(place.group), place.tokens != "usage"))
        like = like or [place for place in there if place.words == name]
        if asked and not like:
            raise RunError(f'--metric "{name}" {_not_one_of(name, there)}')
        found += like[:1]
    return tuple(dict.fromkeys(found))


def _not_one_of(name: str, there: Iterable[Place]) -> str:
    shown = list(dict.fromkeys(bare(place) for place in there if place.what in {"", "p50", "p95", "p99"}))
    every = list(dict.fromkeys(word for place in there for word in (place.words, bare(place))))
    near = get_close_matches(name, every, n=1)
    hint = f'; did you mean "{near[0]}"?' if near else ""
    return f"isn't one of the runs' numbers [{', '.join(shown)}, and other percentiles]{hint}"


def values(digests: Sequence[Digest], place: Place) -> Array:
    """A number of each run, base units, shape (n,), NaN where a run has it not."""
    found = (one.numbers.get(place) for one in digests)
    return np.array([np.nan if number is None else number.value for number in found], dtype=np.float64)


def scaled(plain: Array, scale: Scale) -> Array:
    """On the scale on which runs are compared: logs, where 0 or less becomes NaN; differences as they are."""
    if scale == "difference":
        return plain
    return np.log(plain, out=np.full(plain.shape, np.nan), where=plain > 0)


def unscaled(value: float, scale: Scale) -> float:
    """Back to base units."""
    return float(np.exp(value)) if scale == "ratio" else float(value)


def spread(digests: Sequence[Digest], place: Place, confidence: float = CONFIDENCE) -> Spread | None:
    """How far runs of the same arm lie apart in one number; None where no arm has it in 2 runs."""
    scale = scale_of(place)
    plain = scaled(values(digests, place), scale)
    arms = np.array([one.facts.arm for one in digests])[~np.isnan(plain)]
    known = plain[~np.isnan(plain)]
    names = np.unique(arms)
    apart = known - sum(np.where(arms == name, known[arms == name].mean(), 0.0) for name in names)
    ends = stats.sd_interval(apart, confidence, names.size)
    if ends is None:
        return None
    mean = unscaled(float(known.mean()), scale)
    return Spread(place, scale, known.size, mean, float(apart.std(ddof=names.size)), *ends, names.size)


def sound(digests: Sequence[Digest]) -> tuple[list[Digest], tuple[str, ...]]:
    """The runs whose numbers may be believed, and the names of the others."""
    invalid = tuple(one.facts.name for one in digests if one.verdict == "invalid")
    return [one for one in digests if one.verdict != "invalid"], invalid


def in_order(digests: Iterable[Digest]) -> list[Digest]:
    """The runs in order of time; those that do not say when they were stand first, as given."""
    return sorted(digests, key=lambda one: one.started_unix_ns)


def told(effect: float, scale: Scale, *, sign: bool = False) -> str:
    """An effect or an sd as people read it: `3.2 %` of the value, `1.5 points` of a share."""
    text = ("+" if sign and effect > 0 else "") + digits(100 * effect)
    return text + (" %" if scale == "ratio" else " points")
