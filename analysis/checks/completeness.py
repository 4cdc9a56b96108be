"""The checks of the record: is every arrival there, did the run and all its workers come to their end?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from analysis.checks import workers
from analysis.checks.rule import Check, Evidence, Rule
from analysis.rundir import numbers, where

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from analysis.checks.rule import Status
    from analysis.rundir import Run


def complete(seen: Evidence) -> Check:
    """28: every planned arrival has its row, and one, and the run and its workers came to their end."""
    rule = Rule(28, "rows of planned arrivals", "", 0.0, None, limit="all, and the run ended")
    recorded, manifest = int((~where(seen.run.requests, "phase", "drain")).sum()), seen.run.manifest
    planned = manifest.get("planned")
    value = f"{recorded:,} of {planned:,}" if isinstance(planned, int) else f"{recorded:,}"
    if (recorded == 0 and planned != 0) or seen.rows.empty:
        return rule.state(value, *_empty(seen.run, recorded))
    if isinstance(planned, int) and recorded < planned and manifest.get("ended", True):
        return rule.state(
            value, "invalid", "Rows are missing for no known reason: a bug in firsttoken, please report it."
        )
    if again := manifest.get("duplicates"):
        why = f"{again:,} requests were recorded more than once: a bug in firsttoken, please report it."
        return rule.state(value, "invalid", why)
    missing = " ".join([*_lost(seen.run), *_early_end(seen.run)])
    return rule.state(value, "doubtful" if missing else "ok", missing)


def _empty(run: Run, recorded: int) -> tuple[Status, str]:
    """What a run is that has nothing to judge."""
    if _is_on(run):
        return "doubtful", "Nothing was measured yet."
    if not recorded:
        return "invalid", "Nothing was recorded."
    return "invalid", "No request was measured: make the run longer than its warm-up."


def _lost(run: Run) -> Iterator[str]:
    """Requests that a worker had when it was lost, and workers that were."""
    rows = where(run.requests, "outcome", "lost")
    if n := int(rows.sum()):
        whose = [int(number) for number in np.unique(numbers(run.requests, "worker")[rows]) if not np.isnan(number)]
        who = workers.names(run, whose) if whose and workers.count(run) > 1 else "a worker"
        was = "were" if len(whose) > 1 and workers.count(run) > 1 else "was"
        told = f"{who} {was} lost with {n:,} requests in hand; what became of them is unknown."
        yield told[0].upper() + told[1:]
    for one in workers.told(run):
        if one.get("lost_ns") is not None:
            why = one.get("why") or "it went silent"
            yield f"Lost on the way: {workers.name(run, int(one.get('number', -1)))}, {why}."


def _early_end(run: Run) -> Iterator[str]:
    """Why the run is not whole."""
    stop = run.manifest.get("stop")
    if _is_on(run):
        yield "Requests in flight are left out, so of the latest ones only the quick answers are in."
    elif run.unfinished or not run.manifest.get("ended", True):
        yield "The run did not finish; these are the rows written until then."
    elif stop:
        yield f"The run was stopped early: {_reason(stop)}."


def _is_on(run: Run) -> bool:
    """Whether this is the state so far of a run that goes on."""
    stop = run.manifest.get("stop")
    return bool(run.unfinished and isinstance(stop, dict) and stop.get("on"))


def _reason(stop: Any) -> str:
    return str(stop.get("text") or stop.get("reason") or "no reason given") if isinstance(stop, dict) else str(stop)


APART_NS: Final = 1_000_000
"""Clocks of different machines that are known better than this are as good as one."""


def machines(seen: Evidence) -> Check:
    """32: how well moments of different machines are known to each other; a note, no fault."""
    rule = Rule(32, "clock offset between machines", "", 0.0, None, limit=f"said above ± {APART_NS / 1e6:g} ms")
    clocks = {int(one.get("number", -1)): one.get("clock") or {} for one in workers.told(seen.run)}
    errors = {number: clock["error_ns"] for number, clock in clocks.items() if clock.get("error_ns") is not None}
    if not errors:
        return rule.skip("never measured" if clocks else "one machine made the load")
    worst = max(errors, key=lambda number: errors[number])
    value = f"± {errors[worst] / 1e6:.3g} ms"
    if errors[worst] <= APART_NS:
        return rule.state(value, "ok")
    why = f"Times of different workers agree to {value}, by {workers.name(seen.run, worst)}"
    return rule.state(value, "ok", f"{why}; latencies within a request are not affected.")


CHECKS: Final[tuple[Callable[[Evidence], Check], ...]] = (complete, machines)
