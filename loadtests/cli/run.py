"""`firsttoken run`: options to a plan, the plan to a run, the run to a table, a report and an exit code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from loadtests.cli.asked import options
from loadtests.cli.exposing import exposed
from loadtests.cli.planned import placed, setup_of

EXAMPLES = """\b
Examples:
  firsttoken run
      the demo: embedded mock, Poisson arrivals at 8/s for 20 s, 80 % streaming
  firsttoken run --profile llamacpp --model gemma --rate 1 --output-tokens 32 --duration 60s
      open loop against your own server
  firsttoken run --profile vllm --concurrency 16 --requests 500 --param temperature=0
      closed loop: 16 users, who each wait for their answer
  firsttoken run --profile openai --model gpt-4o-mini
      remote: one user, 10 requests, 64 output tokens, unless you ask for more (--yes)
  firsttoken run --profile vllm --model m --rate 4 --duration 10m \\
      --arm name=a,base_url=http://gpu1:8000/v1 --arm name=b,base_url=http://gpu2:8000/v1
      two servers in turn, the same prompts for both
  firsttoken run --profile vllm --base-url http://gpu1:8000/v1 --model m --rate 900 --duration 5m --expect-workers 4
      four machines make the load; on each: firsttoken worker --master THIS_HOST
  firsttoken run --stages stages.toml --arrivals gamma:2 --workload chat=70,rag=30 --dry-run
      a load that changes over time, drawn and not sent
  firsttoken run --profile openai --rate 2 --duration 5m --budget-tokens 200000 --dry-run
      the most that this would send and spend; nothing is sent
  firsttoken run --profile vllm --model m --rate 4 --duration 5m \\
      --objective 'ttft_p95<2s' --objective 'error_rate<1%'
      exit code 1 if one of them is missed; a preset such as mlperf-llama2-70b or a TOML file works too

\b
Exit codes:
  0 fine   1 an objective is missed   2 usage, configuration, nothing reached, or refused (401, 402, 403)
  3 not valid, or ended early: budget, throttling, failures, a worker lost, provider gone, disk full
  130 Ctrl-C, data kept"""


REST_S = 5.0


@click.command(epilog=EXAMPLES)
@options()
@click.option("--resume", metavar="DIR", help="Go on with a campaign of --repeats; a higher --repeats adds rounds.")
@click.pass_context
def run(ctx: click.Context, /, **given: Any) -> int:
    """Offer load to a provider, record every request, print the numbers, draw the report.

    Without options, this is the demo against the embedded mock. `--rate` makes an open loop: requests go out when the
    schedule says so, however many are in flight, and latency counts from the scheduled moment. `--concurrency` makes a
    closed loop.
    """
    if sys.platform != "linux":
        raise click.UsageError("run needs Linux: its times come from the kernel's receive stamps, epoll and timerfd")
    if given["resume"] is not None:
        return _go_on(ctx, given)
    return _begin(given)


def _begin(given: dict[str, Any]) -> int:
    from loadtests.campaign import Campaign
    from loadtests.cli.before import confirm, rehearse
    from loadtests.cli.campaign import play, played
    from loadtests.cli.stored import drawn_in, outlet
    from loadtests.targets import is_local

    setup = setup_of(given)
    profiles, plan = setup.profiles, setup.plan
    if given["dry_run"]:
        rehearse(profiles, plan, drawn_in(given["out"]), given["repeats"] or 0, as_json=given["as_json"])
        return 0
    if not all(map(is_local, profiles)):
        confirm(profiles, plan, yes=given["yes"], rounds=given["repeats"] or 0)
    report, as_json = not given["no_report"], given["as_json"]
    rest_s = REST_S if given["rest"] is None else given["rest"]
    with exposed(given) as endpoint, outlet(given["out"]) as out:
        here = placed(setup, out)
        if given["repeats"] is None:
            out.code = played(here, endpoint, report=report, as_json=as_json)
        else:
            out.code = play(Campaign.begin(here, given["repeats"], rest_s), endpoint, report=report, as_json=as_json)
    return out.code


def _go_on(ctx: click.Context, given: dict[str, Any]) -> int:
    from loadtests.campaign import Campaign, entries
    from loadtests.cli.campaign import play
    from loadtests.cli.foretold import confirm
    from loadtests.cli.planned import GOES_ON, refuse_changes, roomier

    refuse_changes(ctx, GOES_ON - {"dry_run"})
    with exposed(given) as endpoint, Campaign.resume(Path(given["resume"]), "repeats") as campaign:
        roomier(campaign, given)
        rounds = range(max(given["repeats"] or 0, campaign.repeats))
        more = list(entries(campaign.setup.plan, [None], rounds, known=campaign.entries))
        confirm(campaign.setup, more, campaign.rest_s, yes=given["yes"])
        campaign.extend(more)
        return play(campaign, endpoint, report=not given["no_report"], as_json=given["as_json"])
