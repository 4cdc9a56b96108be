"""
Why a run at some load says what it says: the server itself, its queue, its quota, the client, or failure.

Only a `steady` run tells what the server does at that load. The first of these that holds is the cause: a provider that
throttles makes arrivals unsent and answers fail, and a client that sends late fills its own queue, which looks like the
server's; so a quota is looked for first, a client that did not send what was planned second. A client that only reads
late is asked after the server's queue, since kernel stamps leave moments right, and a flood of answers that stay makes
it late.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from analysis.capacity import quota
from analysis.checks import steady
from analysis.derived import is_ok
from analysis.rundir import flagged, is_later_turn, seconds, where
from analysis.window import changes, held_back_by_stop

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analysis.capacity.point import State
    from analysis.capacity.quota import Quota
    from analysis.checks.rule import Check
    from analysis.rundir import Run
    from analysis.summary import Judged
    from analysis.window import Window

SENDING: Final = (1, 2, 4)
"""Checks of whether what was planned went out: send lag, late sends, the rate."""
READING: Final = (5, 6, 7, 8, 24)
"""Checks of whether the client could keep up: wake lag, event loop, CPU, CPU time withheld, calibrated limit."""
ROWS, ERRORS = 28, 14
OF_CLIENT: Final = ("worker_lost", "disk_full", "no_descriptors", "orphaned", "incomplete")
"""Reasons of an early end that are the load generator's own."""
OF_PROVIDER: Final = ("refused", "failing")
UNSENT: Final = 0.001
PAUSED: Final = 0.05
SERVED: Final = 0.98
"""What a server has to be done with, of what came, so that its queue holds still."""
CERTAIN: Final = 1.5
"""Standard deviations that it has to be behind the plan."""


@dataclass(frozen=True, slots=True)
class Cause:
    """
    What a run's figures are due to.

    Attributes:
        why: Why they are not the server's at a load that it carries, as a clause; empty where they are.
        quota: What was met of a quota; None where none was.
        decided: Why it ended before its time with its promise broken for certain; empty where it did not.
    """

    state: State
    why: str
    quota: Quota | None = None
    decided: str = ""


def cause(judged: Judged) -> Cause:
    """What a run of one arm at one load is due to."""
    run = judged.run
    reason, text = _stop(run)
    decided = text if reason == "decided" else ""
    met = quota.of_run(run.requests, stopped=reason == "throttled")
    if met is not None:
        return Cause("quota", met.words, met, decided)
    checks = {check.number: check for check in judged.summary.validity.checks}
    if why := _did_not_send(judged, checks):
        return Cause("client", why, decided=decided)
    if not is_ok(judged.measured.rows).any():
        return Cause("failed", text or "nothing was answered", decided=decided)
    if why := grew(run, judged.summary.window, decided):
        return Cause("unstable", why, decided=decided)
    if why := _invalid(checks, READING):
        return Cause("client", why, decided=decided)
    if (met := _all_throttled(run, checks)) is not None:
        return Cause("quota", met.words, met, decided)
    if why := _failed(run, checks, (reason, text)):
        return Cause("failed", why, decided=decided)
    return Cause("steady", "", decided=decided)


def _stop(run: Run) -> tuple[str, str]:
    """Why it ended before its plan did, as a word and in words; both empty where it did not."""
    stop: Any = run.manifest.get("stop")
    if not isinstance(stop, dict):
        return "", ""
    return str(stop.get("reason") or ""), str(stop.get("text") or "")


# The client.


def _did_not_send(judged: Judged, checks: dict[int, Check]) -> str:
    """Why what was planned did not go out, or is not on record, where that is the load generator's own doing."""
    run = judged.run
    reason, text = _stop(run)
    if reason in OF_CLIENT:
        return _of_client(text or reason)
    rows = checks.get(ROWS)
    if rows is not None and rows.status == "invalid" and len(judged.measured.rows):
        return _of_client(f"{rows.name} {rows.value}")
    frame = run.requests
    measured = where(frame, "phase", "measure")
    kept = flagged(frame, "paused", "budget", "turn_failed", "in_flight_cap") | held_back_by_stop(run, frame)
    unsent = int((measured & where(frame, "outcome", "unsent") & ~kept).sum())
    if unsent > UNSENT * int(measured.sum()):
        return _of_client(f"{unsent:,} of {int(measured.sum()):,} arrivals were never sent")
    held = bool(flagged(frame, "paused", "budget").any())  # then the rate is off, and not by the client
    return _invalid(checks, (number for number in SENDING if number != 4 or not held))


def _invalid(checks: dict[int, Check], numbers: Iterable[int]) -> str:
    """The first of these checks that failed, as a clause."""
    found = (checks[number] for number in numbers if number in checks)
    return next((_of_client(f"{one.name} {one.value}") for one in found if one.status == "invalid"), "")


def _of_client(what: str) -> str:
    return f"the client, not the server: {what}"


# The server.


def grew(run: Run, window: Window, decided: str = "") -> str:
    """
    How the server's queue grew over the window, as a clause; "" where it did not for certain, or in closed loop.

    Requests in flight rise (`steady`), fewer left than 98 % of those that came, and fewer by 1.5 standard deviations
    than were planned: by chance a queue grows where more came than planned, and then the server does more than that,
    too. In a run that its limits ended the last is not asked.

    Of 100 simulated M/M/c queues that begin empty, 60 mean services long, are called unstable with 4, 10, 32 servers
    at 90 % load 0, 1, 0; at 95 % 3, 2, 1; at 110 % 37, 68, 91; at 120 % 63, 97, 100 (without the last condition at 95 %
    28, 20, 5). At 95 % over up to 5,000 arrivals 4, 0, 0.
    """
    if not run.is_open or changes(run.plan):
        return ""
    if decided and "in flight" in decided:
        return decided
    drift = next((one for one in steady.drifts(run, window) if one.name == "in flight"), None)
    if drift is None or not drift.grows:
        return ""
    came, left, planned = _flow(run, window)
    spread = CERTAIN * _burstiness(run.plan) * math.sqrt(planned)
    if left >= SERVED * came or (not decided and left > planned - spread):
        return ""
    what = f"{came:,} came and {left:,} finished"
    return f"more is offered than served: {what}, in flight {100 * drift.change:+.0f} % over the window"


def _flow(run: Run, window: Window) -> tuple[int, int, float]:
    """Once the first arrivals have filled the server: how many came, how many were over, how many were to come."""
    frame = run.requests
    came, over = seconds(frame, "scheduled_ns"), seconds(frame, "end_ns")
    sent = ~np.isnan(seconds(frame, "sent_ns"))
    early = sent & (came >= window.start_s) & (came <= window.start_s + window.length_s / 3) & ~np.isnan(over)
    fill = float(np.quantile((over - came)[early], 0.75)) if early.any() else 0.0
    start = window.start_s + min(fill, window.length_s / 3)
    arrived = int((sent & (came >= start) & (came < window.end_s)).sum())
    left = int((sent & (over >= start) & (over < window.end_s)).sum())
    rate = float(run.plan.get("rate") or 0.0)
    by_plan = rate > 0 and not is_later_turn(frame).any()
    return arrived, left, rate * (window.end_s - start) if by_plan else float(arrived)


def _burstiness(plan: dict[str, Any]) -> float:
    """The coefficient of variation of the gaps between arrivals, at least 1."""
    kind, _, value = str(plan.get("arrivals") or "").partition(":")
    return max(1.0, float(value)) if kind == "gamma" and value else 1.0


# Failure.


def _all_throttled(run: Run, checks: dict[int, Check]) -> Quota | None:
    """The quota that a short run met: too few answers to see it by their number, but all that failed were throttled."""
    errors = checks.get(ERRORS)
    failed = where(run.requests, "outcome", "error")
    if (
        errors is None
        or errors.status != "invalid"
        or not np.all(where(run.requests, "error_kind", "throttled")[failed])
    ):
        return None
    return quota.of_run(run.requests, stopped=True)


def _failed(run: Run, checks: dict[int, Check], stop: tuple[str, str]) -> str:
    """Why the answers say nothing: too many failed, or the provider would have no more."""
    reason, text = stop
    if n := quota.busy(run.requests) if reason == "throttled" else 0:
        return f"the server said it was too busy, {n:,} times: {text}"
    if reason in (*OF_PROVIDER, "throttled"):
        return text or reason
    errors = checks.get(ERRORS)
    if errors is not None and errors.status == "invalid":
        return f"{errors.name}: {errors.value}"
    measured = where(run.requests, "phase", "measure")
    paused = int((measured & flagged(run.requests, "paused")).sum())
    if paused > PAUSED * int(measured.sum()):
        return f"the provider asked for pauses, and {paused:,} arrivals were not sent"
    return ""
