"""A sweep while it is played, and what it ends in: the table over its loads, the report, the exit code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from loadtests import clock
from loadtests.cli.foretold import OVERHEAD_S, load_words, seconds, time_words
from loadtests.cli.found import draw, meanings_of, swept_code, told_of
from loadtests.cli.judged import judged_of
from loadtests.cli.output import console_of, dump
from loadtests.cli.stepping import Playing
from loadtests.cli.stored import url_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from analysis.capacity.curve import Curve
    from analysis.capacity.point import Point
    from loadtests.campaign import Campaign, Entry
    from loadtests.exposed import Endpoint


def play(campaign: Campaign, endpoint: Endpoint | None = None, *, report: bool, as_json: bool) -> int:
    """
    Play what is left of a sweep and show its curve.

    Returns:
        130 where it was stopped, 2 where it cannot go on, 3 where it ended early or tells nothing, else 0.
    """
    from analysis.capacity import point
    from loadtests.watch import Interrupts

    points: dict[str, list[Point]] = {}
    with campaign, Interrupts() as interrupts:
        playing, pace, code = Playing(campaign, interrupts, endpoint), Pace(campaign), 0
        for entry in campaign.planned():
            click.echo(pace.line(entry), err=True)
            found = playing.play(entry)
            if isinstance(found, int):
                code = found
                break
            pace.over(entry)
            points[entry.folder] = [point.of(one) for one in found]
            for one in points[entry.folder]:
                click.echo(line_of(one), err=True)
        interrupts.over = True
        done = [entry for entry in campaign.entries if entry.state == "done"]
        every = [one for entry in done for one in points.get(entry.folder) or _read(campaign, entry)]
        _show(campaign, every, report=report, as_json=as_json)
    if code:
        go_on = f"`firsttoken sweep --resume {campaign.path}`"
        click.echo(f"firsttoken: the sweep is not over; continue: {go_on}", err=True)
    return code or swept_code(every)


class Pace:
    """How far a sweep has come and how long it will take, by how long its runs have taken."""

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign
        self._beside_s, self._runs = OVERHEAD_S, 0
        self._since_ns = clock.monotonic_ns()

    def line(self, entry: Entry) -> str:
        """Which run of how many, and how long they all take from here on."""
        left = list(self._campaign.planned())
        several = f", arm {entry.arm}" if len(self._campaign.setup.plan.arms) > 1 else ""
        what = f"{load_words(entry.step or {})}, round {entry.round + 1}{several}"
        return f"run {self._campaign.place(entry)}: {what}; about {time_words(self._takes_s(left))} left"

    def over(self, entry: Entry) -> None:
        """A run is over: what it took beside its schedule and its rest."""
        now_ns = clock.monotonic_ns()
        beside_s = (now_ns - self._since_ns) / 1e9 - seconds(self._campaign.setup, [entry], self._campaign.rest_s, 0.0)
        self._since_ns, self._runs = now_ns, self._runs + 1
        self._beside_s += (max(0.0, beside_s) - self._beside_s) / self._runs

    def _takes_s(self, left: Iterable[Entry]) -> float:
        return seconds(self._campaign.setup, left, self._campaign.rest_s, self._beside_s)


def line_of(one: Point) -> str:
    """A run in one line."""
    shown = (("achieved", one.achieved_per_s, 1, "/s"), ("TTFT p50", one.ttft_s[0], 1000, " ms"))
    told = ", ".join(f"{name} {scale * value:,.4g}{unit}" for name, value, scale, unit in shown if value is not None)
    why = f": {one.why}" if one.why else ""
    return f"  {one.state}{why}; {one.requests:,} requests in {one.length_s:.3g} s{told and ', '}{told}"


def _read(campaign: Campaign, entry: Entry) -> list[Point]:
    """The points of a run that was over before."""
    from analysis.capacity import point

    return [point.of(one) for one in judged_of(campaign.path / entry.folder)]


def _show(campaign: Campaign, points: list[Point], *, report: bool, as_json: bool) -> None:
    """The table over the loads, the report, and where all that is."""
    from analysis.capacity import sweep

    arms = [arm.name for arm in campaign.setup.plan.arms]
    if as_json:
        told = {name: sweep.to_json(curve) for name, curve in _curves(points, arms).items()}
        dump({"campaign": str(campaign.path), "kind": campaign.kind, "curves": told})
    elif points:
        show_loads(points, arms, console_of())
        sys.stdout.flush()
    if report and (told_again := told_of(campaign.path)) is not None:
        draw(told_again, meanings_of(told_again))
    click.echo(f"campaign: {url_of(campaign.path) or campaign.path}", err=True)


def show_loads(points: list[Point], arms: Sequence[str], console: Console) -> None:
    """The table of runs at several loads, arm by arm in this order."""
    from analysis.capacity import table

    table.render_sweep(_curves(points, arms), console)


def _curves(points: list[Point], arms: Sequence[str]) -> dict[str, Curve]:
    from analysis.capacity.curve import curves

    places = {name: place for place, name in enumerate(arms)}
    return curves(sorted(points, key=lambda one: places.get(one.arm, len(places))))
