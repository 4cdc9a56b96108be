"""
The load-making workers of a run, as people know them: by number, and by machine where there are several.

`Rule` judges a run as a whole; where that is no good, `located` says whose doing it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from analysis.checks.rule import Check, Rule
    from analysis.rundir import Run

T = TypeVar("T")
NAMED: Final = 3
"""So many workers are named; of more, their number is told."""


def told(run: Run) -> list[dict[str, Any]]:
    """What the manifest tells of each worker; empty where it tells of none."""
    return [one for one in run.manifest.get("workers") or () if isinstance(one, dict)]


def count(run: Run) -> int:
    """How many workers the run had."""
    return max(len(told(run)), int(run.plan.get("workers") or 1))


def are_elsewhere(run: Run) -> bool:
    """Whether other machines than the one that keeps the run made load."""
    here = (run.manifest.get("host") or {}).get("node")
    return any(one.get("host") not in (None, here) for one in told(run))


def name(run: Run, number: int) -> str:
    """`worker 2 (host-b)`, or `worker 2` where nobody told its machine."""
    host = next((one.get("host") for one in told(run) if one.get("number") == number), None)
    return f"worker {number} ({host})" if host else f"worker {number}"


def names(run: Run, numbers: Sequence[int]) -> str:
    """Several workers in a sentence; the first few of many."""
    words = [name(run, number) for number in numbers[:NAMED]]
    if len(numbers) > NAMED:
        words.append(f"{len(numbers) - NAMED} more")
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def each(values: NDArray[Any], workers: NDArray[np.float64], of: Callable[[NDArray[Any]], T]) -> dict[int, T]:
    """
    A figure of each worker's own values.

    Args:
        values: Shape (n,); NaN is left out, and so is a worker with nothing else.
        workers: Whose each is, shape (n,).
        of: From the values of one worker to its figure.
    """
    known = ~np.isnan(values) & ~np.isnan(workers)
    return {int(number): of(values[known & (workers == number)]) for number in np.unique(workers[known])}


def located(check: Check, rule: Rule, run: Run, found: Mapping[int, float]) -> Check:
    """
    A check that is no good with the workers named whose own figure is beyond the limit that decided it.

    Args:
        check: As the rule judged the run.
        rule: Of the check.
        run: Of one worker: the check stays as it is.
        found: By worker, the figure that the rule judges.
    """
    limit = {"doubtful": rule.warn, "invalid": rule.fail}.get(check.status)
    beyond = [number for number, figure in found.items() if limit is not None and figure > limit]
    if not beyond or count(run) < 2:
        return check
    everybody = len(beyond) == len(found) > 1
    where = f"all {len(found)} workers" if everybody else names(run, beyond)
    return replace(check, why=f"In {where}. {check.why}")
