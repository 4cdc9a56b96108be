"""How a sweep or a search came to what it says, and what its statement does not cover, in sentences for a reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analysis.capacity import search
from analysis.capacity.figures import percent
from analysis.capacity.reconcile import CLOSES
from analysis.units import span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis.capacity.answer import Answer
    from analysis.capacity.point import Point
    from analysis.capacity.told import Told

UNSTABLE = (
    "A load is unstable where requests come faster than they are answered: in flight grows over the window and less is "
    "done than arrives. What latency is measured there grows with the length of the run, so it is drawn hollow and "
    "enters no fit, no knee and no average."
)
LATENCY = (
    "Latency counts from the moment at which a request was due, not from when it could be sent, so that waiting for a "
    "slow server is not left out; failed and unanswered requests count as missing every objective."
)
CHANCE = (
    "Neighbouring requests are alike, so n of them are worth fewer independent ones (n_eff); every interval "
    "and decision rests on these."
)


def of_sweep(told: Told, about: Mapping[str, Any]) -> list[str]:
    """How a sweep was played and is read."""
    loads = len({(point.mode, point.load) for point in told.points})
    rounds = about.get("repeats")
    times = f", each load once in each of {rounds} rounds" if rounds and rounds > 1 else ""
    return [
        (
            f"{len(told.points)} runs at {loads} loads{times}; within a round the loads come in random order, so that "
            "a drift of the server is not taken for an effect of the load."
        ),
        _rest(about),
        (
            "A number at a load is the mean over its runs, its interval by Student's t over so many runs; of latencies "
            "on the log scale. One run has no interval."
        ),
        UNSTABLE,
        LATENCY,
    ]


def of_search(about: Mapping[str, Any]) -> list[str]:
    """How a search goes and what its answer is."""
    options = about.get("options") or {}
    precision, most = options.get("precision"), options.get("probes")
    enough = f", or once the interval is within {percent(precision)} on each side" if precision else ""
    limit = f" At most {most} probes for each search." if most else ""
    return [
        (
            "First one request at a time tells how long an answer takes alone (base). Then the load is raised in steps "
            f"until it misses an objective (ramp), by {search.LEAP:g} times while the server is not strained at all, "
            f"by {search.GROWTH:g} times from then on. Then the gap between the highest load that held and the lowest "
            "that did not is halved on the log scale (bisect). Fresh runs on both sides make sure (confirm): up to "
            f"{search.CONFIRM_LO} below and {search.CONFIRM_HI} above{enough}.{limit}"
        ),
        _rest(about),
        (
            "Each probe passes where a share of requests as high as the objective asks is certain, fails where a "
            "lower one is, each with 95 % confidence; else it is undecided, and extended by more runs where that would "
            "probably decide it. A probe that can no longer meet its objective ends early, which changes no decision."
        ),
        (
            "The capacity is not the last probe that passed: it is where a curve through all probes crosses the "
            "objective, logit(share) = logit(its share) - b ln(load / capacity), by maximum likelihood, near probes "
            "counting for more. Its interval is the wider of the profile likelihood's and the jackknife's over probes."
        ),
        CHANCE,
        UNSTABLE,
        LATENCY,
    ]


def _rest(about: Mapping[str, Any]) -> str:
    rest_s = about.get("rest_s")
    then = f", then {span(rest_s)} pass, or the p95 latency of the run before where that is longer," if rest_s else ""
    return (
        f"Between two runs everything drains: nothing is in flight any more{then} before the next one begins, for a "
        "server that was once overloaded may stay slow under any load."
    )


def limits(told: Told) -> list[str]:
    """What the statement does not cover, and what is wrong with what it rests on."""
    said = [
        (
            "It holds for the mix of requests, the model, the settings and the machines below, at the time of the "
            "test; not for longer texts, other models or another day's neighbours."
        ),
    ]
    modes = {point.mode for point in told.points if point.mode == "rate"}
    if modes:
        said.append(
            "By rate, requests come independently of each other (see the load below); where they come in bunches, "
            "fewer are carried."
        )
    points = told.points
    aside = {"client": "the load generator was at its limit", "quota": "the provider's quota was met"}
    for state, why in aside.items():
        if many := sum(point.state == state for point in points):
            said.append(f"{many} of {len(points)} runs say nothing of the server: {why}.")
    for verdict in ("doubtful", "invalid"):
        runs = [point.run for point in points if point.verdict == verdict]
        said += [f"{_count(len(runs), len(points))} {verdict} by their own checks: {_some(runs)}."] if runs else []
    if wide := [point.run for point in points if point.state == "steady" and (point.little or 0.0) > CLOSES]:
        said.append(f"In {_some(wide)} in flight is more than {percent(CLOSES)} off from rate x time (Little's law).")
    return [*said, *_unsure(told.answers, points)]


def _unsure(answers: Sequence[Answer], points: Sequence[Point]) -> list[str]:
    several = len({(answer.arm, answer.mode) for answer in answers}) > 1
    said = []
    for answer in answers:
        whose = f"{answer.arm or 'server'} by {'rate' if answer.mode == 'rate' else 'users'}: " if several else ""
        if answer.value and not answer.is_confirmed:
            said.append(f"{whose}fresh runs on both sides of the capacity did not both confirm it.")
        if answer.crossing is not None and answer.crossing.dispersion > 2:
            times = f"{answer.crossing.dispersion:.1f} times"
            said.append(f"{whose}probes scatter {times} as much as by chance alone; the interval is the wider for it.")
    if answers and points:
        said.append("It is one search on one occasion: a search on another day tells how much days differ.")
    return said


def _count(some: int, every: int) -> str:
    return f"{some} of {every} runs {'is' if some == 1 else 'are'}"


def _some(runs: Sequence[str]) -> str:
    few = ", ".join(runs[:6])
    return f"run{'' if len(runs) == 1 else 's'} {few}" + (f" and {len(runs) - 6} more" if len(runs) > 6 else "")
