"""One run, or rounds of the same runs, from the command line: played, shown, judged."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from loadtests.cli.after import judge
from loadtests.cli.output import worst
from loadtests.cli.stepping import Playing, execute
from loadtests.cli.stored import url_of

if TYPE_CHECKING:
    from loadtests.campaign import Campaign
    from loadtests.exposed import Endpoint
    from loadtests.rundir import Setup


def played(setup: Setup, endpoint: Endpoint | None = None, *, report: bool, as_json: bool) -> int:
    """Play one run and judge it; the exit code."""
    from loadtests.watch import Interrupts

    with Interrupts() as interrupts:
        result = execute(setup, interrupts, endpoint)
        interrupts.over = True
        return result if isinstance(result, int) else judge(setup, result, report=report, as_json=as_json)


def play(campaign: Campaign, endpoint: Endpoint | None = None, *, report: bool, as_json: bool) -> int:
    """
    Play what is left of a campaign, run by run, and put its arms side by side.

    Returns:
        130 where it was stopped; else the worst exit code of its runs. A run that cannot begin ends it.
    """
    from loadtests.watch import Interrupts

    with campaign, Interrupts() as interrupts:
        playing = Playing(campaign, interrupts, endpoint, report=report, terse=False)
        for entry in campaign.planned():
            click.echo(f"run {campaign.place(entry)}: {entry.arm}, round {entry.round + 1}", err=True)
            if isinstance(playing.play(entry), int):
                break
    _show(campaign, report=report, as_json=as_json)
    return worst(playing.codes)


def _show(campaign: Campaign, *, report: bool, as_json: bool) -> None:
    """The comparison of its arms, or the summaries of its runs where one arm alone has any; and where all that is."""
    from loadtests.cli.compare import compare
    from loadtests.cli.report import draw
    from loadtests.cli.summary import summary

    if any(entry.state == "done" for entry in campaign.entries):
        verb = compare if _sides(campaign) > 1 else summary
        words = [str(campaign.path), *(["--json"] if as_json else [])]
        verb.main(words, standalone_mode=False)
        sys.stdout.flush()
        if report:
            draw(campaign.path)
    click.echo(f"campaign: {url_of(campaign.path) or campaign.path}", err=True)


def _sides(campaign: Campaign) -> int:
    """How many arms have a run that is over."""
    plan = campaign.setup.plan
    return len(plan.arms) if plan.together else len({entry.arm for entry in campaign.entries if entry.state == "done"})
