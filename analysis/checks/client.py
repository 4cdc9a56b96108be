"""The checks of the client: did it send on time, read on time, and with a clock that held still?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from analysis import stats
from analysis.arms import SLOT
from analysis.checks import workers
from analysis.checks.rule import (
    NO_CLIENT,
    Check,
    Evidence,
    Rule,
    Told,
    imported_from,
    percentile,
    relief,
    send_lag,
    supported_quantile,
    unscheduled,
)
from analysis.derived import is_stream
from analysis.rundir import numbers, seconds, some
from analysis.window import is_burst

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

    from analysis.rundir import Run

WAKE_MS: Final = (1.0, 5.0)
"""Wake lag that makes a run doubtful, and one that makes it invalid where the reader's own stamps are used."""
HUB_MS: Final = (5.0, 20.0)
"""The same of the event loop's lag."""


def late_sends(seen: Evidence) -> Check:
    """1: the send lag against TTFT."""
    advice = f"The client sends late: use {relief(seen.run)}, a machine of its own, or a lower rate."
    rule = Rule(1, "send lag", advice, *late_above_ms(seen.rows), " ms")
    if why := unscheduled(seen.run):
        return rule.skip(why)
    lag_ms = 1e3 * send_lag(seen.rows)
    if np.all(np.isnan(lag_ms)):
        return rule.skip("nothing was sent outside a burst without waiting for --max-in-flight")
    found = supported_quantile(lag_ms)
    note = f"{found.name}; on new connections up to the pick-up, without the handshake"
    of_worker = workers.each(lag_ms, numbers(seen.rows, "worker"), _quantile(found.p))
    return workers.located(rule.judge(max(found.value, 0.0), note), rule, seen.run, of_worker)


def late_above_ms(rows: pd.DataFrame) -> tuple[float, float]:
    """From which send lag on a run is doubtful, and invalid: 1 and 5 % of TTFT, 1 and 10 ms at the least."""
    ttft = numbers(rows, "ttft_s")
    reference = ttft if np.any(~np.isnan(ttft)) else numbers(rows, "latency_s")
    typical_ms = 1e3 * float(np.nanmedian(reference)) if np.any(~np.isnan(reference)) else 0.0
    return max(1.0, 0.01 * typical_ms), max(10.0, 0.05 * typical_ms)


def missed_slots(seen: Evidence) -> Check:
    """2: sends so late that they fall into another arrival's place."""
    length, n = seen.window.length_s, len(seen.rows)
    limit_s = max(min(length / n, 0.05), 0.01) if n else 0.05
    advice = f"The arrivals no longer followed the plan: use {relief(seen.run)}, or a lower rate."
    rule = Rule(2, f"sent more than {1e3 * limit_s:.3g} ms late", advice, 0.1, 1.0, " %")
    if not seen.run.is_open:
        return rule.skip("closed loop: there is no schedule to miss")
    if is_burst(seen.run.plan):
        return rule.skip("a burst: all are due at one instant")
    if why := unscheduled(seen.run):
        return rule.skip(why)
    lag = send_lag(seen.rows)
    check = rule.judge_share(int(np.count_nonzero(lag > limit_s)), int(np.count_nonzero(~np.isnan(lag))))
    of_worker = workers.each(lag, numbers(seen.rows, "worker"), lambda own: 100 * float(np.mean(own > limit_s)))
    return workers.located(check, rule, seen.run, of_worker)


def wake_lag(seen: Evidence) -> Check:
    """5: from the kernel's stamp to the reader."""
    kernel = _clock(seen) == "kernel"
    advice = f"Reads queue up in the client: use {relief(seen.run)}."
    rule = Rule(5, "wake lag", advice, WAKE_MS[0], None if kernel else WAKE_MS[1], " ms")
    return _of_seconds(rule, seen, "wake_lag_p99_us", "p99 of each second")


def hub_lag(seen: Evidence) -> Check:
    """6: how late the event loop's own timers are."""
    advice = f"The event loop is held up: use {relief(seen.run)}, or a machine with nothing else on it."
    rule = Rule(6, "event loop lag", advice, *HUB_MS, " ms")
    return _of_seconds(rule, seen, "hub_lag_us", "worst of each second")


def _no_client(rule: Rule, run: Run) -> Check:
    """Nobody watched the client: whether it was in the way cannot be told."""
    if whose := imported_from(run):
        notes = "; ".join(
            [f"Imported from {whose}: its client's error is not known", *run.manifest["imported"]["notes"]]
        )
        return rule.state("not sampled", "doubtful", f"{notes}.")
    return rule.state(
        "not sampled", "doubtful", f"{NO_CLIENT}, so whether the load generator was in the way is unknown."
    )


def _of_seconds(rule: Rule, seen: Evidence, column: str, meaning: str) -> Check:
    """Judge a per-second worst in us: its p95 over the seconds from 59 on, else its median; one bad second is noise."""
    if seen.client is None:
        return rule.skip(NO_CLIENT)
    values = numbers(seen.client, column)
    if np.all(np.isnan(values)):
        return rule.skip("never sampled")
    found = _typical(values)
    of_worker = workers.each(values / 1e3, numbers(seen.client, "worker"), _quantile(found.p))
    return workers.located(rule.judge(found.value / 1e3, f"{meaning}: {found.name}"), rule, seen.run, of_worker)


def _typical(values: NDArray[np.float64]) -> Told:
    known = values[~np.isnan(values)]
    p = 0.95 if known.size >= stats.least_count(0.95) else 0.5
    return Told(p, float(np.quantile(known, p)), f"{percentile(p)} of {known.size} seconds")


def _quantile(p: float) -> Callable[[NDArray[np.float64]], float]:
    return lambda values: float(np.quantile(values, p))


def cpu(seen: Evidence) -> Check:
    """7: the busiest load-making process."""
    rule = Rule(
        7, "CPU of a worker", f"A worker's core is full: use {relief(seen.run)}, or a lower rate.", 80.0, 95.0, " %"
    )
    if seen.client is None:
        return _no_client(rule, seen.run)
    judged = workers.each(100 * numbers(seen.client, "cpu"), numbers(seen.client, "worker"), _typical)
    if not judged:
        return rule.skip("never sampled")
    worst = max(judged.values(), key=lambda one: one.value)
    of_worker = {number: one.value for number, one in judged.items()}
    return workers.located(rule.judge(worst.value, worst.name), rule, seen.run, of_worker)


def shared_reads(seen: Evidence) -> Check:
    """9: token events whose stamp is an upper bound because their reader came late."""
    late_client = "Reads merged as the client was late, so their TTFT and gaps are upper bounds"
    advice = f"{late_client}: use {relief(seen.run)}."
    rule = Rule(9, "streams with merged reads", advice, 5.0, None, " %")
    came = is_stream(seen.rows) & ~np.isnan(seconds(seen.rows, "first_token_ns"))
    streams = some(seen.rows, came, "wake_lag_max_us", "shared_reads", "worker")
    late = numbers(streams, "wake_lag_max_us")
    if len(streams) and np.all(np.isnan(late)):
        return rule.skip("user clock: cannot tell who merged them; event loop lag shows whether the client was late")
    merged = (numbers(streams, "shared_reads") > 0) & ~(late <= 1000)
    note = "Counted only where the reader was over 1 ms late: events that the server sent in one piece are exact"
    check = rule.judge_share(int(merged.sum()), len(streams), note=note)
    shares = workers.each(100.0 * merged, numbers(streams, "worker"), lambda own: float(own.mean()))
    return workers.located(check, rule, seen.run, shares)


def clock(seen: Evidence) -> Check:
    """10: the wall clock that kernel stamps are on, against the monotonic one."""
    advice = "The wall clock was set while measuring: let it settle before a run, or slew it (chrony, not ntpdate)."
    rule = Rule(10, "clock step", advice, 100.0, 5000.0, " us in a second")
    if _clock(seen) != "kernel":
        return rule.skip("user clock: the wall clock is not used")
    if seen.client is None:
        return rule.skip(NO_CLIENT)
    by = ["worker", *({SLOT} & set(seen.client.columns))]
    steps: dict[int, float] = {}
    for _, group in seen.client.groupby(by, observed=True):
        if len(group) > 1:
            number = int(numbers(group, "worker")[0])
            steps[number] = max(steps.get(number, 0.0), _clock_step_us(group))
    if not steps:
        return rule.skip("fewer than two samples")
    return workers.located(rule.judge(max(steps.values())), rule, seen.run, steps)


def _clock_step_us(samples: pd.DataFrame) -> float:
    """The largest change of the offset from one second to the next beyond the measurement's own width."""
    at, offset, error = (numbers(samples, name) for name in ("t_ns", "clock_offset_ns", "clock_error_ns"))
    order = np.argsort(at)
    at, offset, error = at[order], offset[order], np.nan_to_num(error[order])
    step = np.abs(np.diff(offset)) - error[1:] - error[:-1]
    return float(np.nanmax(np.append(np.maximum(step, 0) / np.maximum(np.diff(at) / 1e9, 1.0), 0.0))) / 1e3


def headroom(seen: Evidence) -> Check:
    """24: what was used of the limit that `firsttoken calibrate` found for this machine."""
    stamped = seen.run.manifest.get("headroom")
    found: dict[str, Any] = stamped if isinstance(stamped, dict) else {}
    used, limit, below = found.get("used"), found.get(f"limit_{found.get('by')}_per_s"), found.get("below")
    advice = f"The client was near or beyond its limit: use {relief(seen.run)}, or a lower rate."
    rule = Rule(24, "client's calibrated limit", advice, 60.0, _certainly_beyond(found, limit, below), " %")
    if whose := imported_from(seen.run):
        return rule.skip(f"the client was {whose}")
    if not found:
        return rule.skip("client not calibrated: `firsttoken calibrate`")
    if not isinstance(used, int | float):
        return rule.skip(NO_CLIENT if seen.client is None else "not sampled long enough")
    if not isinstance(limit, int | float):
        return rule.judge(100.0 * used)
    spoilt = f", not clean at {below:,.0f}" if found.get("at_least") and isinstance(below, int | float) else ""
    sign = "≥ " if found.get("at_least") else ""
    return rule.judge(100.0 * used, f"of {sign}{limit:,.0f} {found.get('by')}/s a process{spoilt}")


def _certainly_beyond(found: dict[str, Any], limit: Any, below: Any) -> float | None:
    """The share of the limit from which on the client is beyond what it can do; None where nobody knows."""
    if not found.get("at_least"):
        return 100.0
    known = isinstance(limit, int | float) and isinstance(below, int | float)
    return 100.0 * below / limit if known else None


def _clock(seen: Evidence) -> str:
    words = seen.rows["clock"].dropna().unique()
    return "kernel" if list(words) == ["kernel"] else "user"


CHECKS: Final[tuple[Callable[[Evidence], Check], ...]] = (
    late_sends, missed_slots, wake_lag, hub_lag, cpu, shared_reads, clock, headroom,
)  # fmt: skip
