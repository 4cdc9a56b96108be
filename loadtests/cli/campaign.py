"""One run, or a campaign of them, from the command line: played, shown, judged."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from loadtests.cli.after import fail, judge
from loadtests.cli.stored import url_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.campaign import Campaign, Entry
    from loadtests.run import Result
    from loadtests.rundir import Setup
    from loadtests.watch import Interrupts

WORST_FIRST = (130, 2, 3, 1, 4, 0)
POLL_S = 0.1


def played(setup: Setup, *, report: bool, as_json: bool) -> int:
    """Play one run and judge it; the exit code."""
    from loadtests.watch import Interrupts

    with Interrupts() as interrupts:
        result = _execute(setup, interrupts)
        interrupts.over = True
        return result if isinstance(result, int) else judge(setup, result, report=report, as_json=as_json)


def _execute(setup: Setup, interrupts: Interrupts) -> Result | int:
    """The result of a run; an exit code where it did not begin."""
    from loadtests import run as runs
    from loadtests.cli.view import view_for
    from loadtests.rundir import NoRoomError
    from loadtests.watch import StoppedError

    with view_for(setup) as view:
        try:
            return runs.execute(setup, view, interrupts)
        except StoppedError as error:
            return fail(str(error), 130)
        except NoRoomError as error:
            return fail(str(error), 3)


def play(setup: Setup, repeats: int, rest_s: float, *, report: bool, as_json: bool) -> int:
    """
    Play a campaign, run by run, and put its arms side by side.

    Returns:
        130 where it was stopped; else the worst exit code of its runs. A run that cannot begin ends it.
    """
    from loadtests.campaign import Campaign
    from loadtests.watch import Interrupts

    campaign, codes = Campaign(setup, repeats, rest_s), [0]
    with Interrupts() as interrupts:
        for number, (entry, one) in enumerate(_affordable(campaign, codes)):
            if number and not _rested(rest_s, interrupts):
                codes.append(130)
                break
            click.echo(f"run {number + 1} of {len(campaign.entries)}: {entry.arm}, round {entry.round + 1}", err=True)
            result = _begun(one, interrupts)
            if isinstance(result, int):
                codes.append(result)
                break
            codes.append(judge(one, result, report=report, as_json=False, quiet=True))
            campaign.done(entry, stopped=bool(interrupts.count))
            if interrupts.count:
                codes.append(130)
            if interrupts.count or codes[-1] == 2:
                break
    _show(campaign, as_json=as_json)
    return min(codes, key=WORST_FIRST.index)


def _begun(setup: Setup, interrupts: Interrupts) -> Result | int:
    """The result of a campaign's run; an exit code where it did not begin, which those before it survive."""
    from loadtests.rundir import RunError
    from loadtests.targets import TargetError

    try:
        return _execute(setup, interrupts)
    except (RunError, TargetError) as error:
        return fail(str(error), 2)


def _affordable(campaign: Campaign, codes: list[int]) -> Iterator[tuple[Entry, Setup]]:
    """The runs of a campaign, as long as its budget has room for one; 3 among the codes where it has not."""
    from loadtests.budget import BudgetError

    try:
        yield from campaign.setups()
    except BudgetError as error:
        codes.append(fail(str(error), 3))


def _rested(rest_s: float, interrupts: Interrupts) -> bool:
    """Let the server settle; False where somebody stops the campaign meanwhile."""
    left_s = rest_s
    while left_s > 0 and not interrupts.count:
        time.sleep(min(POLL_S, left_s))
        left_s -= POLL_S
    return not interrupts.count


def _show(campaign: Campaign, *, as_json: bool) -> None:
    """The comparison of its arms, or the summaries of its runs where one arm alone has any; and where all that is."""
    from loadtests.cli import judge as judging

    if any(entry.state == "done" for entry in campaign.entries):
        verb = judging.compare if _sides(campaign) > 1 else judging.summary
        words = [str(campaign.path), *(["--json"] if as_json else [])]
        verb.main(words, standalone_mode=False)
        sys.stdout.flush()
    click.echo(f"campaign: {url_of(campaign.path) or campaign.path}", err=True)


def _sides(campaign: Campaign) -> int:
    """How many arms have a run that is over."""
    plan = campaign.setup.plan
    return len(plan.arms) if plan.together else len({entry.arm for entry in campaign.entries if entry.state == "done"})
