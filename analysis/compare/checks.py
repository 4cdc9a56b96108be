"""
The checks of two sides against each other: did both do the same work, in an order that decides nothing?

A difference is judged by its size only where it is beyond three standard errors of the runs, or of the one run's own
interval: answers of a few hundred requests differ by chance too.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from scipy import special

from analysis import stats
from analysis.checks.rule import Check, Rule
from analysis.compare import pairing
from analysis.compare.rules import LEAST_RUNS, PRIMARY, bare
from analysis.places import RUN
from analysis.units import digits

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from numpy.typing import NDArray

    from analysis.checks.rule import Status
    from analysis.digest import Digest, Number
    from analysis.places import Place

CHANCE: Final = 3.0
"""Standard errors within which a difference is chance."""
TAIL: Final = 1.96
CERTAIN: Final = 0.01
"""Level, after Holm, at which a drift from run to run is certain."""


def examine(a: Sequence[Digest], b: Sequence[Digest], across: Collection[str]) -> tuple[Check, ...]:
    """
    Every check of two sides, in order of number.

    Args:
        a: The baseline's runs.
        b: Those of the other side.
        across: What may differ, since it is meant: `cache`, `output`, ...
    """
    return (cached(a, b, across), lengths(a, b, across), makers(a, b), enough(a, b), order(a, b))


# The same work.


class Gap(NamedTuple):
    """What two sides have of a metric, and how far they are apart beyond chance; 0 where it may be chance."""

    a: float
    b: float
    beyond: float


def cached(a: Sequence[Digest], b: Sequence[Digest], across: Collection[str]) -> Check:
    """17: the shares of prompt tokens that the servers had already."""
    rule = Rule(17, "cached prompt tokens of the sides", "", 2.0, 2.0, " points")
    gap = _gap(a, b, "cached_share")
    if gap is None:
        return rule.skip("one side's provider doesn't report it")
    points, value = 100 * abs(gap.b - gap.a), f"{_percent(gap.a)} against {_percent(gap.b)}"
    advice = "One side's prompts were cached, so its TTFT says nothing about the other's: use cold prompts for both."
    check = rule.state(value, "invalid", advice) if gap.beyond and points > 2 else rule.state(value, "ok")
    return _unless_meant(check, "cache", across)


def lengths(a: Sequence[Digest], b: Sequence[Digest], across: Collection[str]) -> Check:
    """20: the lengths of the answers, and how many were cut at the cap."""
    rule = Rule(20, "output length of the sides", "", 3.0, 10.0, limit="≤ 3 % or points, fails above 10")
    mean, cut = _gap(a, b, "mean_output_tokens"), _gap(a, b, "length_share")
    worst, parts = 0.0, []
    if mean is not None:
        worst = 100 * abs(mean.b / mean.a - 1) if mean.beyond and mean.a > 0 else 0.0
        parts.append(f"{digits(mean.a)} against {digits(mean.b)} tokens")
    if cut is not None:
        worst = max(worst, 100 * abs(cut.b - cut.a) if cut.beyond else 0.0)
        parts.append(f"{_percent(cut.a)} against {_percent(cut.b)} cut at the cap")
    if not parts:
        return rule.skip("no token counts from one source on both sides, nor finish reasons")
    advice = (
        "The sides did not answer alike: latency and tokens/s compare different work. Give both the same cap "
        "(--output-tokens), or compare TTFT and TPOT alone."
    )
    value = ", ".join(parts)
    status: Status = "invalid" if worst > 10 else "doubtful" if worst > 3 else "ok"
    return _unless_meant(rule.state(value, status, advice if status != "ok" else ""), "output", across)


def _unless_meant(check: Check, word: str, across: Collection[str]) -> Check:
    """What was said to be meant is no fault, and is told."""
    if check.status == "ok":
        return check
    if word in across:
        return replace(check, status="ok", why=f"They differ, as intended (--across {word}).")
    return replace(check, why=f"{check.why} Add --across {word} if that is intended.")


def _gap(a: Sequence[Digest], b: Sequence[Digest], metric: str) -> Gap | None:
    """The means over the runs of each side; None where a side has none by the same token counts."""
    left, right = _numbers(a, metric), _numbers(b, metric)
    for tokens in left:
        if tokens in right:
            x, y = (np.array([one.value for one in side[tokens]]) for side in (left, right))
            error = math.hypot(_error(left[tokens], right[tokens]), _error(right[tokens], left[tokens]))
            apart = float(y.mean() - x.mean())
            return Gap(float(x.mean()), float(y.mean()), apart if abs(apart) > CHANCE * error else 0.0)
    return None


def _numbers(side: Sequence[Digest], metric: str) -> dict[str | None, list[Number]]:
    """A metric's number of each run that has it, by the source of the token counts."""
    found: dict[str | None, list[Number]] = {}
    for one in side:
        for place, number in one.numbers.items():
            if place.metric == metric and place.group == RUN:
                found.setdefault(place.tokens, []).append(number)
    return found


def _error(mine: Sequence[Number], others: Sequence[Number]) -> float:
    """
    Standard error of a side's mean: from its runs, of one run from its own interval, else from the other side's runs.

    0 where nothing tells.
    """
    if len(mine) > 1:
        return float(np.std([one.value for one in mine], ddof=1)) / math.sqrt(len(mine))
    only = mine[0]
    if only.lo is not None and only.hi is not None:
        return (only.hi - only.lo) / (2 * TAIL)
    return float(np.std([one.value for one in others], ddof=1)) if len(others) > 1 else 0.0


def _percent(share: float) -> str:
    return f"{digits(100 * share)} %"


# The same hands.


def makers(a: Sequence[Digest], b: Sequence[Digest]) -> Check:
    """26: who measured, and who answered, by name and version."""
    rule = Rule(26, "firsttoken and models of the sides", "", 0.0, None, limit="one of each")
    left, right = (sorted({_version(one) for one in side}) for side in (a, b))
    if left != right:
        told = [", ".join(word or "unknown" for word in side) for side in (left, right)]
        why = "Another version may measure differently, and its embedded provider may answer differently: use one."
        return rule.state(" against ".join(told), "doubtful", why)
    if other := _other_answers(a, b):
        return rule.state(
            other, "doubtful", "The same model was asked for, but different ones answered: a new build or an alias."
        )
    return rule.skip("the runs don't say") if left == [""] else rule.state(left[0], "ok")


def _other_answers(a: Sequence[Digest], b: Sequence[Digest]) -> str:
    """The models that answered, where the same one was asked of both sides and the answers differ; else empty."""
    if {one.facts.model for one in a} != {one.facts.model for one in b}:
        return ""
    left, right = ({name for one in side for name in one.facts.answered} for side in (a, b))
    differ = left and right and left != right
    return " against ".join(", ".join(sorted(side)) for side in (left, right)) if differ else ""


def _version(one: Digest) -> str:
    return str(one.facts.settings.get("versions.firsttoken") or "")


# Enough, and in what order.


def enough(a: Sequence[Digest], b: Sequence[Digest]) -> Check:
    """27: runs a side, or pairs."""
    rule = Rule(27, "runs a side", "", 0.0, None, limit=f"≥ {LEAST_RUNS}")
    found = pairing.design(a, b)
    n, of = min(len(found.a), len(found.b)), found.of if found.is_paired else "runs"
    value = f"{n} pairs ({of})" if found.is_paired else f"{len(a)} and {len(b)}"
    if found.of == "blocks":
        value, n = f"1 ({value})", 1
    if n >= LEAST_RUNS:
        return rule.state(value, "ok")
    more = LEAST_RUNS - n
    fix = f"make {more} more a side (firsttoken run --repeats {LEAST_RUNS})"
    why = f"With fewer than {LEAST_RUNS} a side nothing can fail; {fix}."
    return rule.state(value, "doubtful", why)


def order(a: Sequence[Digest], b: Sequence[Digest]) -> Check:
    """30: the sides took turns, or nothing drifted while they did not."""
    rule = Rule(30, "order of the sides in time", "", 0.0, None, limit="interleaved, or no drift")
    if pairing.design(a, b).of in {"blocks", "rounds"} or _shared(a, b):
        return rule.state("interleaved", "ok")
    left, right = ([one.started_unix_ns for one in side] for side in (a, b))
    if not all((*left, *right)):
        return rule.skip("the runs don't say when they began")
    if max(left) > min(right) and max(right) > min(left):
        return rule.state("mixed", "ok")
    first = "A before B" if max(left) <= min(right) else "B before A"
    drifting = _drifting(a, b)
    if not drifting:
        return rule.state(first, "ok", "What changed over time shows as a difference: let the sides take turns.")
    why = f"{', '.join(drifting)} drifted from run to run, which may be the difference: let the sides take turns."
    return rule.state(first, "doubtful", why)


def _shared(a: Sequence[Digest], b: Sequence[Digest]) -> bool:
    """Both sides are arms of one and the same run."""
    return bool({one.facts.run_id for one in a} & {one.facts.run_id for one in b})


def _drifting(a: Sequence[Digest], b: Sequence[Digest]) -> list[str]:
    """The primary metrics that follow a line over the runs of a side, certainly among all that were looked at."""
    lines = list(_lines(a, b))
    adjusted = stats.holm([p for _, p in lines])
    return list(dict.fromkeys(name for (name, _), p in zip(lines, adjusted, strict=True) if p < CERTAIN))


def _lines(a: Sequence[Digest], b: Sequence[Digest]) -> Iterator[tuple[str, float]]:
    """Of each side and primary metric its name and the two-sided p of a slope over time."""
    for side in (a, b):
        runs = sorted(side, key=lambda one: one.started_unix_ns)
        hours = np.array([one.started_unix_ns - runs[0].started_unix_ns for one in runs], dtype=np.float64) / 3.6e12
        for place in _primary(runs[0]):
            values = [one.numbers[place].value for one in runs if place in one.numbers]
            line = stats.trend_plain(hours, _scaled(np.array(values))) if len(values) == len(runs) else None
            if line is not None and len(runs) >= LEAST_RUNS:
                yield place.words, 2 * float(special.stdtr(len(runs) - 2, -abs(line.t)))


def _primary(one: Digest) -> list[Place]:
    """The place that each primary metric means: streams before whole answers."""
    found: dict[str, Place] = {}
    for place in sorted(one.numbers, key=lambda place: place.group == "whole"):
        if place.by is None and bare(place) in PRIMARY:
            found.setdefault(bare(place), place)
    return list(found.values())


def _scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logs, as effects multiply; a share, which may be 0, as it is."""
    return np.log(values) if np.all(values > 0) else values
