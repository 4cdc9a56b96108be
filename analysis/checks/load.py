"""The checks of the load: was it the planned one, did it hold still, and did connections last?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from analysis import series, stats
from analysis.checks import steady
from analysis.checks.rule import CAPPED, Check, Evidence, Rule, is_new_connection, relief, unscheduled
from analysis.rundir import flagged, is_later_turn, numbers, seconds, some, where
from analysis.units import digits
from analysis.window import LEAST_S, changes, held_back_by_stop

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from analysis.checks.rule import Status

HANDSHAKE: Final = 0.01
"""Share of the wait below which opening a connection does not matter; check 21."""


def unsent(seen: Evidence) -> Check:
    """3: arrivals that never went out; turns behind one that failed or was given up are none."""
    advice = "The load was less than planned: the provider asked for a pause, a budget ran out, or the run was stopped."
    rule = Rule(3, "unsent arrivals", advice, 0.0, 0.1, " %")
    behind = flagged(seen.all, "turn_failed")
    meant = some(seen.all, ~held_back_by_stop(seen.run, seen.all) & ~behind, "outcome")
    n = int(behind.sum())
    note = f"Left out: {n:,} turn{'s' if n > 1 else ''} after one that failed or was given up." if n else ""
    return rule.judge_share(int(where(meant, "outcome", "unsent").sum()), len(meant), slack=0, note=note)


def rate(seen: Evidence) -> Check:
    """4: the rate that went out against the schedule's."""
    advice = f"The client did not keep the rate: use {relief(seen.run)}, or a lower rate."
    rule = Rule(4, "rate sent, off the plan by", advice, 1.0, 3.0, " %")
    if not seen.run.is_open:
        return rule.skip("closed loop: the answers set the rate")
    if why := unscheduled(seen.run):
        return rule.skip(why)
    columns = ("flags", "scheduled_ns", "started_ns", "sent_ns")
    meant = some(seen.all, ~held_back_by_stop(seen.run, seen.all) & ~is_later_turn(seen.all), *columns)
    if flagged(meant, CAPPED).any():
        return rule.skip("arrivals waited for --max-in-flight: see there")
    scheduled, sent = seconds(meant, "scheduled_ns"), seconds(meant, "sent_ns")
    # A request that could get no connection was still offered, at its moment.
    tried = seconds(meant, "started_ns")
    went = np.where(np.isnan(sent), tried, sent)
    went = went[~np.isnan(went)]
    if went.size < stats.least_count(0.9):
        return rule.skip(f"{went.size} requests, need ≥ {stats.least_count(0.9)}")
    if np.ptp(scheduled) == 0:
        return rule.skip("a burst: all are due at one instant")
    planned = len(meant) / max(np.ptp(scheduled), 1e-9)
    achieved = went.size / max(np.ptp(went), 1e-9)
    return rule.judge(100 * abs(achieved / planned - 1), f"{digits(achieved)}/s of {digits(planned)}/s")


START_UP: Final = 0.3
"""Share of a run that may be cut off as start-up; check 11."""


def still(seen: Evidence) -> Check:
    """11: requests in flight and TTFT hold still over the window, and little had to be cut off for it."""
    rule = Rule(11, "drift over the window", "", 0.0, None, limit="within ± 10 %, or not certain")
    if changes(seen.run.plan):
        return rule.skip("the load was planned to change")
    found = steady.drifts(seen.run, seen.window)
    if not found:
        return rule.skip("too few requests to see a trend")
    value = ", ".join(f"{one.name} {_signed(one.change)}" for one in found)
    status, why = _stillness(seen, found)
    return rule.state(value, status, why)


def _stillness(seen: Evidence, found: tuple[steady.Drift, ...]) -> tuple[Status, str]:
    """What the trends and the search for a start-up come to."""
    lost, grows = seen.window.steady is False, [one.grows for one in found]
    if (len(found) > 1 and all(grows)) or (lost and any(grows)):
        advice = "every latency depends on the length of the run: offer a lower rate."
        return "invalid", f"The queue kept growing: more was offered than served, so {advice}"
    moved = " and ".join(one.name for one in found if one.certain)
    if moved:
        return "doubtful", f"No steady state: {moved} kept changing. Run longer, with --warmup, or at a lower rate."
    if lost:
        reason = seen.window.reason.partition(";")[0]
        return "doubtful", f"{reason[0].upper()}{reason[1:]}. Run longer, or at a lower rate."
    share = steady.cut_was_start_up(seen.run, seen.window)
    if share > START_UP:
        advice = "run longer, or warm the server up first (--warmup)."
        return "doubtful", f"{100 * share:.0f} % of the run was start-up and is cut off: {advice}"
    return "ok", ""


def _signed(change: float) -> str:
    return f"{'+' if change > 0 else '-' if change < 0 else ''}{digits(100 * abs(change))} %"


def little(seen: Evidence) -> Check:
    """12: requests in flight = rate x time in the system, over a steady window."""
    advice = "The window is not steady, or rows are missing: run longer, or at a lower rate."
    rule = Rule(12, "Little's law gap", advice, 2.0, 5.0, " %")
    start, length = seen.window.start_s, seen.window.length_s
    if changes(seen.run.plan):
        return rule.skip("the load was planned to change")
    if length < LEAST_S or not seen.window.steady:
        return rule.skip(f"needs a steady window of ≥ {LEAST_S:.0f} s")
    sent, end = series.lifetimes(seen.run.requests)
    inside = (sent >= start) & (sent < seen.window.end_s) & np.isfinite(end)
    if not inside.any():
        return rule.skip("nothing was sent in the window")
    stay = float(np.mean(end[inside] - sent[inside]))
    if length < 20 * stay:
        return rule.skip(f"needs a window of 20 mean times in the system, {digits(20 * stay)} s")
    seen_in_flight = float(series.in_flight(seen.run.requests, np.array([start, seen.window.end_s]))[0])
    expected = inside.sum() / length * stay
    return rule.judge(100 * abs(seen_in_flight - expected) / max(seen_in_flight, 1e-9))


def caps(seen: Evidence) -> Check:
    """25: arrivals that a cap held back: kept from going out by a budget, or made to wait by --max-in-flight."""
    kept, waited = flagged(seen.all, "budget") & ~held_back_by_stop(seen.run, seen.all), flagged(seen.all, CAPPED)
    advice = "The load's peaks were cut, so the tail looks better than it is."
    if waited.any():
        advice = "--max-in-flight was reached: latency from the schedule includes the wait, latency from send does not."
    # A cap that was asked for and is told of spoils nothing: the wait is in the figures. A budget takes arrivals away.
    rule = Rule(25, "held back by a cap", advice, 0.0, 1.0 if kept.any() else None, " %")
    return rule.judge_share(int((kept | waited).sum()), len(seen.all), slack=0)


OPENING: Final = ("dns_s", "connect_s", "tls_s")
WAITS: Final = ("ttft_from_send_s", "latency_from_send_s")
OF_CONNECTIONS: Final = ("worker", "started_ns", "end_ns", "conn_reused", "flags", *OPENING, *WAITS)


def new_connections(seen: Evidence) -> Check:
    """21: connections opened beyond those the load needs at once."""
    advice = (
        "Connections don't last, so TTFT includes handshakes: see why the server closes them, or set --new-connections."
    )
    rule = Rule(21, "connections opened beyond the peak in flight", advice, 1.0, 20.0, " %")
    if seen.run.plan.get("new_connections"):
        return rule.skip("--new-connections asks for them")
    every = seen.run.requests
    sent = some(every, ~np.isnan(seconds(every, "sent_ns")), *OF_CONNECTIONS)
    whose = numbers(sent, "worker")
    each = np.unique(whose)
    surplus = sum(_surplus(sent[whose == number] if each.size > 1 else sent) for number in each)
    share = _handshake_share(sent)
    if share <= HANDSHAKE:
        small = f"a handshake takes {digits(100 * share)} % of the median wait, which is negligible"
        return rule.state(f"{surplus} of {len(sent)}", "ok", small if surplus else "")
    return rule.judge_share(surplus, len(sent), slack=2, note="the pool of each worker has to fill once")


def _handshake_share(sent: pd.DataFrame) -> float:
    """Median time to open a connection over the median wait for a first token, or for the answer where none streams."""
    fresh = sent[is_new_connection(sent)]
    opening = np.nan_to_num(np.stack([numbers(fresh, column) for column in OPENING])).sum(axis=0)
    for column in WAITS:
        waits = numbers(sent, column)
        if opening.size and (~np.isnan(waits)).any():
            return float(np.median(opening) / max(np.nanmedian(waits), 1e-9))
    return 0.0 if not opening.size else 1.0


def _surplus(sent: pd.DataFrame) -> int:
    """New connections beyond the peak in flight and those that were broken on purpose, by clients who gave up."""
    began, end = seconds(sent, "started_ns"), seconds(sent, "end_ns")
    peak = series.peak_in_flight(began, np.where(np.isnan(end), np.inf, end))
    return max(0, int(is_new_connection(sent).sum()) - peak - int(flagged(sent, "gave_up").sum()))


CHECKS: Final[tuple[Callable[[Evidence], Check], ...]] = (unsent, rate, still, little, new_connections, caps)
