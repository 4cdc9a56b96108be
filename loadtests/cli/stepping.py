"""The runs of a campaign one after another: each played, shown, judged; a pause between; Ctrl-C ends it, data kept."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

import click

from loadtests.cli.after import judged_and_told
from loadtests.cli.output import fail

if TYPE_CHECKING:
    from analysis.summary import Judged
    from loadtests.campaign import Campaign, Entry
    from loadtests.exposed import Endpoint
    from loadtests.run import Result
    from loadtests.rundir import Setup
    from loadtests.watch import Interrupts

POLL_S: Final = 0.1
MOST_REST_S: Final = 60.0


class Playing:
    """
    The runs of a campaign, each a real run.

    Args:
        campaign: Whose they are.
        interrupts: Entered; one of them ends the run that is on, and the campaign.
        report: Draw the report of each run.
        terse: Leave to others what a run says, and whether its objectives are kept.
        endpoint: Is told how each run stands; None: nobody asked for it.

    Between two runs it rests as long as the campaign does, and as the slowest requests of the run before took where
    that is more (not where it is not `terse`: rounds of one run are compared with those of other campaigns).

    Attributes:
        codes: The exit codes so far.
    """

    def __init__(
        self, campaign: Campaign, interrupts: Interrupts, endpoint: Endpoint | None = None, *, report: bool = False,
        terse: bool = True,
    ) -> None:  # fmt: skip
        self._campaign, self._interrupts, self._endpoint = campaign, interrupts, endpoint
        self._report, self._terse = report, terse
        self._rest_s = 0.0
        self.codes = [0]

    def play(self, entry: Entry) -> list[Judged] | int:
        """
        Rest, play one run and judge it quietly; nothing is in flight any more then.

        Returns:
            A judged run of each of its arms; else the exit code with which the campaign ends here, said in one line:
            130 stopped, 2 refused or nothing reached, 3 no budget, no room on the disk.
        """
        found = self._played(entry)
        if isinstance(found, int):
            self.codes.append(found)
        return found

    def _played(self, entry: Entry) -> list[Judged] | int:
        from loadtests.budget import BudgetError

        if not rested(self._rest_s, self._interrupts):
            return 130
        try:
            setup = self._campaign.setup_of(entry)
        except BudgetError as error:
            return fail(str(error), 3)
        result = begun(setup, self._interrupts, self._endpoint)
        return result if isinstance(result, int) else self._over(entry, setup, result)

    def _over(self, entry: Entry, setup: Setup, result: Result) -> list[Judged] | int:
        """What is made of a run that was played."""
        judged, code = judged_and_told(setup, result, report=self._report, terse=self._terse)
        if result.finished is None:  # the disk is full: the next one had no room either
            return code
        # Where nothing was reached, or all was refused, it is played again once that is mended; what the budget has
        # cut is no run at its load.
        spent = self._terse and result.stop is not None and result.stop.word == "budget"
        self._campaign.done(entry, stopped=bool(self._interrupts.count) or not judged or spent)
        self._rest_s = self._campaign.rest_s
        if self._terse:
            self._rest_s = max(self._rest_s, min(MOST_REST_S, slowest_s(judged)))
        self.codes.append(code)
        if self._interrupts.count:
            return 130
        return code if spent else judged or code


def execute(setup: Setup, interrupts: Interrupts, endpoint: Endpoint | None = None) -> Result | int:
    """The result of a run; an exit code where it did not begin."""
    from loadtests import run as runs
    from loadtests.cli.view import view_for
    from loadtests.rundir import NoRoomError
    from loadtests.watch import StoppedError

    with view_for(setup, endpoint) as view:
        try:
            return runs.execute(setup, view, interrupts)
        except StoppedError as error:
            return fail(str(error), 130)
        except NoRoomError as error:
            return fail(str(error), 3)


def begun(setup: Setup, interrupts: Interrupts, endpoint: Endpoint | None) -> Result | int:
    """The same for a campaign's run; what keeps it from beginning is said in one line, and those before it survive."""
    from loadtests.rundir import RunError
    from loadtests.targets import TargetError

    try:
        return execute(setup, interrupts, endpoint)
    except (RunError, TargetError) as error:
        return fail(str(error), 2)


def rested(rest_s: float, interrupts: Interrupts) -> bool:
    """Let the server settle, counted down on a terminal; False where somebody stops the campaign meanwhile."""
    from loadtests import clock

    shows, end_ns = rest_s >= 1 and sys.stderr.isatty(), clock.monotonic_ns() + int(rest_s * 1e9)
    while not interrupts.count and (left_s := (end_ns - clock.monotonic_ns()) / 1e9) > 0:
        if shows:
            click.echo(f"\rnext run in {left_s:.0f} s \x1b[K", nl=False, err=True)
        time.sleep(min(POLL_S, left_s))
    if shows:
        click.echo("\r\x1b[K", nl=False, err=True)
    return not interrupts.count


def slowest_s(judged: list[Judged]) -> float:
    """The p95 latency of the slowest arm, as far as it is known: so long an answer may still be on the server."""
    rows = (one.summary.row("latency_s") for one in judged)
    cells = (row.cell(0.95) for row in rows if row is not None)
    values = (cell.loose if cell.value is None else cell.value for cell in cells if cell is not None)
    return max((value for value in values if value is not None), default=0.0)
