"""`firsttoken sweep`: the same run at several loads, each several times in random order, as one campaign."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from loadtests import loads
from loadtests.cli.asked import options
from loadtests.cli.exposing import exposed
from loadtests.cli.params import Loads, PerSecond, Seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.campaign import Campaign, Entry, Step
    from loadtests.rundir import Setup

EXAMPLES: Final = """\b
Examples:
  firsttoken sweep
      the embedded mock at 2, 4, 8 and 16/s, three times each
  firsttoken sweep --profile vllm --model m --rates 1..16:6 --duration 2m --objective 'ttft_p95<2s'
      six rates in equal ratios
  firsttoken sweep --profile vllm --model m --concurrencies 1,2,4,8,16,32
      closed loop
  firsttoken sweep --profile vllm --model m --around 12 --repeats 5
      rates from 0.2 to 1.1 times 12/s, closest where curves bend
  firsttoken sweep --resume results/latest --repeats 5
      go on with one that was interrupted, up to five rounds in all

\b
Exit codes:
  0 fine, unstable loads included   2 usage, configuration, nothing reached, or refused (401, 402, 403)
  3 the client was a run's limit, no load gave a result, budget spent, disk full   130 Ctrl-C, data kept"""

REST_S: Final = 5.0
REPEATS: Final = 3
EMBEDDED_S: Final = 10.0
EMBEDDED_RATES: Final = (2.0, 4.0, 8.0, 16.0)
OWN: Final = ("rate", "concurrency", "stages", "trace_speed", "trace_start", "blocks", "repeats", "rest", "duration")
"""Options of a run that a sweep has in its own way, or not at all."""


@click.command(epilog=EXAMPLES)
@click.option(
    "--rates", type=Loads(loads.rates), metavar="LOADS", help="Open loop: 1,2,4,8 or 1..16:6 (six in equal ratios)."
)
@click.option("--concurrencies", type=Loads(loads.users), metavar="LOADS", help="Closed loop: users, 1,2,4 or 1..64:7.")
@click.option("--around", type=PerSecond(), metavar="R", help="Open loop: rates from 0.2 to 1.1 times this one.")
@click.option(
    "--repeats", type=click.IntRange(1, 1000), metavar="N", help="Rounds; each plays every load once.  [default: 3]"
)
@click.option(
    "--rest",
    type=Seconds(zero=True),
    metavar="D",
    help="Pause between runs; at least the last run's p95 latency, at most 60 s.  [default: 5s]",
)
@click.option(
    "--duration",
    type=Seconds(),
    metavar="D",
    help="Length of each run.  [default: mock 10s, local 60s, remote 120s or 10 requests]",
)
@click.option("--resume", metavar="DIR", help="Go on with a sweep; a higher --repeats and further loads are added.")
@options(but=OWN)
@click.pass_context
def sweep(ctx: click.Context, /, **given: Any) -> int:
    """Offer several loads, each several times in random order, and show what changes with the load.

    Between two runs everything drains. A load that the server did not keep up with is marked unstable: its latencies
    measure the length of the run, not the server. With several --profile or --arm, each plays every load. The runs are
    one campaign; every command that takes a run takes it.
    """
    if sys.platform != "linux":
        raise click.UsageError("sweep needs Linux: its times come from the kernel's receive stamps, epoll and timerfd")
    if given["resume"] is not None:
        return _go_on(ctx, given)
    return _begin(given)


def steps_of(given: dict[str, Any]) -> list[Step]:
    """
    The loads that were asked for, ascending; none where none were.

    Raises:
        click.UsageError: More than one way of saying it.
    """
    said = [f"--{name}" for name in ("rates", "concurrencies", "around") if given[name] is not None]
    if len(said) > 1:
        raise click.UsageError(f"{' and '.join(said)} exclude each other; give one")
    mode = "concurrency" if given["concurrencies"] is not None else "rate"
    found = given["rates"] or given["concurrencies"] or (given["around"] and loads.around(given["around"])) or ()
    return [{"mode": mode, "load": load} for load in found]


# A new one.


def _begin(given: dict[str, Any]) -> int:
    from loadtests.campaign import Campaign, entries
    from loadtests.cli import foretold
    from loadtests.cli.planned import placed
    from loadtests.cli.stored import outlet
    from loadtests.cli.sweeping import play

    setup, steps = _planned(given)
    repeats = given["repeats"] or REPEATS
    rest_s = REST_S if given["rest"] is None else given["rest"]
    runs = list(entries(setup.plan, steps, range(repeats)))
    if given["dry_run"]:
        foretold.rehearse(setup, runs, rest_s, as_json=given["as_json"])
        return 0
    foretold.confirm(setup, runs, rest_s, yes=given["yes"])
    with exposed(given) as endpoint, outlet(given["out"]) as out:
        campaign = Campaign.begin(placed(setup, out), repeats, rest_s, kind="sweep", steps=steps)
        out.code = play(campaign, endpoint, report=not given["no_report"], as_json=given["as_json"])
    return out.code


def _planned(given: dict[str, Any]) -> tuple[Setup, list[Step]]:
    """The setup of its greatest load, and all loads."""
    from loadtests.cli.planned import setup_of

    steps = steps_of(given) or [{"mode": "rate", "load": rate} for rate in EMBEDDED_RATES]
    is_rate, most = steps[-1]["mode"] == "rate", steps[-1]["load"]
    given["repeats"] = given["repeats"] or REPEATS
    setup = setup_of(given | ({"rate": most} if is_rate else {"concurrency": int(most)}))
    embedded = all(profile.embedded for profile in setup.profiles)
    if not embedded and not steps_of(given):
        raise click.UsageError("no loads; name them with --rates 1,2,4,8, --concurrencies 1,2,4,8 or --around R")
    if embedded and given["duration"] is None and given["requests"] is None:
        setup = replace(setup, plan=replace(setup.plan, duration_s=EMBEDDED_S))
    _check(setup, steps)
    return setup, steps


def _check(setup: Setup, steps: Sequence[Step]) -> None:
    """Build the plan of each load once, so that a bad one is said before anything is made."""
    from loadtests.campaign import entries, parts_of
    from loadtests.contradictions import check
    from loadtests.given import Given

    for entry in entries(setup.plan, steps, [0]):
        plan, profiles = parts_of(setup, entry)
        check(plan, Given(), profiles)


# One that is there.


def _go_on(ctx: click.Context, given: dict[str, Any]) -> int:
    from loadtests.campaign import Campaign
    from loadtests.cli import foretold
    from loadtests.cli.planned import GOES_ON, refuse_changes
    from loadtests.cli.sweeping import play

    refuse_changes(ctx, GOES_ON | {"rates", "concurrencies", "around"})
    with exposed(given) as endpoint, Campaign.resume(Path(given["resume"]), "sweep") as campaign:
        runs = _more(campaign, given)
        if given["dry_run"]:
            left = [*campaign.planned(), *runs]
            foretold.rehearse(campaign.setup, left, campaign.rest_s, as_json=given["as_json"])
            return 0
        foretold.confirm(campaign.setup, runs, campaign.rest_s, yes=given["yes"])
        campaign.extend(runs)
        return play(campaign, endpoint, report=not given["no_report"], as_json=given["as_json"])


def _more(campaign: Campaign, given: dict[str, Any]) -> list[Entry]:
    """What is asked for beyond what is planned: loads, rounds, room in the budgets, another rest."""
    from loadtests.campaign import entries
    from loadtests.cli.planned import roomier

    asked, known = steps_of(given), campaign.steps
    if asked and known and asked[0]["mode"] != known[0]["mode"]:
        others = {"rate": "rates", "concurrency": "users"}
        raise click.UsageError(f"{campaign.path} sweeps {others[known[0]['mode']]}; leave the others to another sweep")
    roomier(campaign, given)
    _check(campaign.setup, asked)
    steps = [*known, *(step for step in asked if step not in known)]
    rounds = max(given["repeats"] or 0, campaign.repeats)
    return list(entries(campaign.setup.plan, steps, range(rounds), known=campaign.entries))
