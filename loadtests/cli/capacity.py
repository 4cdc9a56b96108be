"""`firsttoken capacity`: search for the highest load that keeps the promises, and say what that means."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from loadtests.cli.asked import options
from loadtests.cli.exposing import exposed
from loadtests.cli.params import Seconds, Share
from loadtests.cli.planned import WATCHED
from loadtests.cli.sized import sizing
from loadtests.cli.stored import RunArgument

if TYPE_CHECKING:
    from loadtests.rundir import Setup

EXAMPLES: Final = """\b
Examples:
  firsttoken capacity --profile vllm --model m --objective 'ttft_p95<2s' --objective 'tpot_p95<50ms'
      the highest rate of arrivals at which both are met
  firsttoken capacity --profile vllm --model m --objective 'ttft_p95<2s' --by both --server-metrics auto
      by rate and by users, and what ran out by the server's own metrics
  firsttoken capacity --profile vllm --model m --objective 'ttft_p95<2s' --peak 40 --growth 30% --price-per-hour 2.5
      also how many machines carry a peak, and at what cost
  firsttoken capacity --model m --objective 'ttft_p95<2s' \\
      --arm name=a,profile=vllm,base_url=http://gpu1:8000/v1 --arm name=b,profile=vllm,base_url=http://gpu2:8000/v1
      two deployments, searched in turn, side by side
  firsttoken capacity --resume results/latest
      go on with a search that was interrupted
  firsttoken capacity results/20261123-090000-vllm --peak 60 --failures 2
      other questions to a finished search; nothing is sent

\b
Exit codes:
  0 found   1 even one request at a time misses an objective   2 usage, configuration, nothing reached, or refused
  3 the client was the limit, budget spent, disk full   4 a quota was met, or no load decided   130 Ctrl-C, data kept"""

REST_S: Final = 5.0
PROBE_S: Final = 60.0
OWN: Final = (
    "rate", "concurrency", "stages", "trace_speed", "trace_start", "blocks", "repeats", "rest", "duration", "requests",
    "together", "hold", "ramp", "max_in_flight", "accept_throttling", "accept_errors",
)  # fmt: skip
"""Options of a run that a search has in its own way, or not at all."""

GOES_ON: Final = {
    "resume", "probes", "precision", "rest", "budget_requests", "budget_tokens", "budget_cost", "yes", "no_report",
    "as_json", *WATCHED,
}  # fmt: skip
"""Options that may be given with --resume, beside those of sizing: all else stays as it was."""

TELLS: Final = {"runs", "objectives", "as_json"}
"""Options that may be given with existing campaigns, beside those of sizing."""

RISING: Final = ("arrivals_per_s", "requests_per_s", "goodput_per_s", "tokens_per_s")
"""Numbers of a run that grow with its load."""

KEPT: Final = ("by", "precision", "probes", "duration", "start", "most")
"""What the search itself is asked for, as campaign.json keeps it."""


@click.command(epilog=EXAMPLES)
@click.argument("runs", nargs=-1, type=RunArgument(), metavar="[RUN]...")
@click.option(
    "--by",
    type=click.Choice(("rate", "concurrency", "both")),
    default="rate",
    show_default=True,
    help="What to search for: arrivals per second (open loop), users who wait for their answers, or both.",
)
@click.option(
    "--precision",
    type=Share(0.005, 0.5),
    default=0.03,
    metavar="SHARE",
    help="Half-width of the interval that is good enough.  [default: 3%]",
)
@click.option(
    "--probes",
    type=click.IntRange(3, 100),
    default=14,
    show_default=True,
    metavar="N",
    help="The most loads to try, for each arm and each way of loading it.",
)
@click.option(
    "--duration",
    type=Seconds(),
    metavar="D",
    help="Least length of a probe; the first ones are shorter.  [default: 60s]",
)
@click.option("--start", type=click.FloatRange(0, min_open=True), metavar="LOAD", help="Begin the ramp with this load.")
@click.option("--most", type=click.FloatRange(0, min_open=True), metavar="LOAD", help="Try no load above this one.")
@click.option(
    "--rest",
    type=Seconds(zero=True),
    metavar="D",
    help="Pause between runs, so that the server recovers; at least the last run's p95 latency, at most 60 s."
    "  [default: 5s]",
)
@click.option("--resume", metavar="DIR", help="Go on with a search that was interrupted.")
@options(but=OWN)
@sizing
@click.pass_context
def capacity(ctx: click.Context, /, **given: Any) -> int:
    """Find the highest load at which every --objective is met, with its interval, and say what that means.

    One request at a time shows how long an answer takes, a ramp finds a load that misses an objective, bisection closes
    in, and fresh runs on both sides confirm. Between two runs everything drains. The answer is where a fit over all
    probes crosses the objective. With RUNs, searches that are over are shown again, side by side; nothing is sent.
    """
    if sys.platform != "linux":
        raise click.UsageError(
            "capacity needs Linux: its times come from the kernel's receive stamps, epoll and timerfd"
        )
    from loadtests.cli import searching, sized
    from loadtests.cli.planned import refuse_changes

    wanted = sized.asked(given)
    if given["runs"]:
        refuse_changes(ctx, TELLS | set(sized.NAMES), "existing campaigns")
        return searching.tell(given["runs"], given["objectives"], wanted, as_json=given["as_json"])
    if given["resume"] is not None:
        refuse_changes(ctx, GOES_ON | set(sized.NAMES), "an existing search")
        return _go_on(ctx, given, wanted)
    return _begin(given, wanted)


def _begin(given: dict[str, Any], wanted: Any) -> int:
    from loadtests.campaign import Campaign
    from loadtests.cli import searching
    from loadtests.cli.planned import placed
    from loadtests.cli.stored import outlet

    kept = {name: given[name] for name in KEPT} | {"duration": given["duration"] or PROBE_S}
    setup = _planned(given, kept)
    if given["dry_run"]:
        searching.rehearse(setup, kept, as_json=given["as_json"])
        return 0
    searching.confirm(setup, kept, yes=given["yes"])
    rest_s = REST_S if given["rest"] is None else given["rest"]
    with exposed(given) as endpoint, outlet(given["out"]) as out:
        campaign = Campaign.begin(placed(setup, out), 0, rest_s, kind="capacity", options=kept)
        out.code = searching.play(campaign, wanted, endpoint, report=not given["no_report"], as_json=given["as_json"])
    return out.code


def _go_on(ctx: click.Context, given: dict[str, Any], wanted: Any) -> int:
    from click.core import ParameterSource

    from loadtests.campaign import Campaign
    from loadtests.cli import searching
    from loadtests.cli.planned import roomier
    from loadtests.cli.sized import NAMES, asked_in

    with exposed(given) as endpoint, Campaign.resume(Path(given["resume"]), "capacity") as campaign:
        for name in ("probes", "precision"):
            if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
                campaign.options[name] = given[name]
        if not any(ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in NAMES):
            wanted = asked_in(campaign.setup.argv) or wanted
        roomier(campaign, given)
        campaign.keep()
        searching.confirm(campaign.setup, campaign.options, yes=given["yes"])
        return searching.play(campaign, wanted, endpoint, report=not given["no_report"], as_json=given["as_json"])


def _planned(given: dict[str, Any], kept: dict[str, Any]) -> Setup:
    """The setup that every probe follows from; its load is only a place for theirs."""
    from loadtests.cli.planned import setup_of

    if not given["objectives"]:
        raise click.UsageError("no objective to search by; give one or more, like --objective 'ttft_p95<2s'")
    law = (given["arrivals"] or "").partition(":")[0]
    if law in ("trace", "burst"):
        raise click.UsageError(f"--arrivals {law}: comes at rates of its own; use poisson, constant or gamma:CV")
    if kept["by"] != "rate":
        for option in ("start", "most"):
            if kept[option] is not None and kept[option] % 1:
                raise click.UsageError(f"--{option} {kept[option]:g} isn't a whole number of users")
    if None not in (kept["start"], kept["most"]) and kept["start"] > kept["most"]:
        raise click.UsageError(f"--start {kept['start']:g} is above --most {kept['most']:g}; begin below it")
    load = {"concurrency": 1} if kept["by"] == "concurrency" else {"rate": kept["start"] or 1.0}
    setup = setup_of(given | load | {"duration": kept["duration"], "repeats": 1})
    _check_objectives(setup.plan.objectives)
    return setup


def _check_objectives(texts: tuple[str, ...]) -> None:
    """Promises that no load decides, or that grow with the load, are no use here."""
    from analysis.objectives import read

    terms = read(texts).terms
    if not any(term.p is not None or term.of_run for term in terms):
        raise click.UsageError(
            f"--objective {' '.join(texts)}: decides nothing by itself; give each a share, like ttft_p95<2s"
        )
    for term in terms:
        if term.metric in RISING:
            raise click.UsageError(
                f"--objective {term.text}: grows with the load, so no load is the highest; give a latency, or"
                " attainment>95%"
            )
