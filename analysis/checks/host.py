"""The checks of the client's machine: did it get its CPU time, and did the network carry what was sent?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from analysis import stats
from analysis.checks import workers
from analysis.checks.answers import TIMEOUTS
from analysis.checks.rule import NO_CLIENT, Check, Evidence, Rule
from analysis.rundir import flagged, numbers, seconds, where

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SLACK: Final = 5
"""Segments sent again, or connections reset, that any network may have in a short run."""
NOT_TOLD: Final = "not recorded: an old run, or a kernel that doesn't report it"


def withheld(seen: Evidence) -> Check:
    """8: CPU time that the machine's host gave to others, or that a quota withheld."""
    advice = (
        "The load generator did not get the CPU time it asked for: raise its CPU quota, "
        "or use a machine that is not shared."
    )
    rule = Rule(8, "CPU time stolen or withheld", advice, 0.5, 5.0, " %")
    if seen.client is None:
        return rule.skip(NO_CLIENT)
    number = numbers(seen.client, "worker")
    of = {
        name: workers.each(100 * numbers(seen.client, column), number, _usual)
        for name, column in (("stolen by the host", "steal"), ("withheld by a quota", "throttled"))
    }
    of = {name: found for name, found in of.items() if found}
    if not of:
        return rule.skip(NOT_TOLD)
    which = max(of, key=lambda name: max(of[name].values()))
    worst = max(of[which].values())
    return workers.located(rule.judge(worst, which if worst else ""), rule, seen.run, of[which])


def _usual(seconds_of: NDArray[np.float64]) -> float:
    """The mean over the seconds; of fewer than 59 the median where that is less: a bad second or two are noise."""
    mean = float(seconds_of.mean())
    return mean if seconds_of.size >= stats.least_count(0.95) else min(mean, float(np.median(seconds_of)))


def network(seen: Evidence) -> Check:
    """22: TCP segments sent again and connections reset, of the machine, over all segments."""
    advice = "The network loses or refuses what is sent, which looks like a slow server: check the path to it."
    rule = Rule(22, "TCP segments sent again, and resets", advice, 0.1, 1.0, " %")
    if seen.client is None:
        return rule.skip(NO_CLIENT)
    number = numbers(seen.client, "worker")
    sent, again, resets = (
        workers.each(numbers(seen.client, column), number, lambda own: float(own.sum()))
        for column in ("tcp_sent", "tcp_again", "tcp_resets")
    )
    if not sent:
        return rule.skip(NOT_TOLD)
    own = _given_up(seen)
    bad = {one: again.get(one, 0.0) + max(resets.get(one, 0.0) - own, 0.0) for one in sent}
    share = {one: 100 * bad[one] / max(sent[one] + again.get(one, 0.0), 1.0) for one in sent}
    worst = max(share, key=lambda one: (bad[one] > SLACK, share[one]))
    check = rule.judge_share(
        int(bad[worst]), int(sent[worst] + again.get(worst, 0.0)), slack=SLACK, note="other programs' too"
    )
    return workers.located(check, rule, seen.run, {one: share[one] for one in share if bad[one] > SLACK})


def _given_up(seen: Evidence) -> int:
    """
    Resets that are the client's own doing: answers that it did not wait for.

    Each counts twice: where the server is on the same machine, its end of the connection is broken too.
    """
    went = ~np.isnan(seconds(seen.run.requests, "sent_ns"))
    left = flagged(seen.run.requests, "gave_up", "user_cancel", "run_end") | where(
        seen.run.requests, "error_kind", *TIMEOUTS
    )
    return 2 * int((went & left).sum())


CHECKS: Final[tuple[Callable[[Evidence], Check], ...]] = (withheld, network)
