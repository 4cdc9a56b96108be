"""`firsttoken run`: options to a plan, the plan to a run, the run to a table, a report and an exit code."""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from loadtests.cli.params import PerSecond, Seconds

EXAMPLES = """\b
Examples:
  firsttoken run
      the demo: embedded provider, Poisson arrivals at 8/s for 20 s, 80 % streaming
  firsttoken run --profile llamacpp --model gemma --rate 1 --output-tokens 32 --duration 60s
      open loop against a server of one's own
  firsttoken run --profile vllm --concurrency 16 --requests 500 --param temperature=0
      closed loop: 16 users, each waits for its answer
  firsttoken run --profile openai --model gpt-4o-mini
      remote: one user, 10 requests, 64 output tokens, unless asked for more (--yes)
  firsttoken run --profile openai --rate 2 --duration 5m --budget-tokens 200000 --dry-run
      what that would send and spend at most; nothing is sent

\b
Exit codes:
  0 fine   2 usage, configuration, nothing reached, or refused (401, 402, 403)
  3 finished but not valid, provider gone, disk full   130 Ctrl-C, data kept"""


MOST = 2**31 - 1


@click.command(epilog=EXAMPLES)
@click.option(
    "--profile",
    default="mock",
    show_default=True,
    metavar="NAME|FILE",
    help="The provider: a shipped profile or a TOML file.",
)
@click.option("--base-url", metavar="URL", help="Instead of the profile's.")
@click.option("--proxy", metavar="URL", help="Go through this proxy.  [default: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY]")
@click.option("--http2", is_flag=True, help="Speak HTTP/2 (needs the extra http2).")
@click.option("--model", metavar="NAME", help="The model to ask for.  [default: the profile's]")
@click.option(
    "--param", "params", multiple=True, metavar="KEY=JSON", help="A request parameter, e.g. temperature=0; repeatable."
)
@click.option("--workload", default="chat", show_default=True, metavar="NAME", help="What is asked.")
@click.option(
    "--output-tokens",
    type=click.IntRange(1, MOST),
    metavar="N",
    help="The output cap sent.  [default: drawn per request; remote: 64]",
)
@click.option("--stream/--no-stream", default=None, help="Ask for streamed answers only, or for whole ones only.")
@click.option(
    "--stream-share",
    type=click.FloatRange(0, 1),
    metavar="F",
    help="Share of streamed answers.  [default: 1.0; mock: 0.8]",
)
@click.option(
    "--rate", type=PerSecond(), metavar="R", help="Open loop: arrivals per second (8, 8/s, 90/m).  [default: mock 8/s]"
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 1_000_000),
    metavar="N",
    help="Closed loop: users that each wait for their answer.",
)
@click.option("--arrivals", metavar="LAW", help="Open loop: poisson or constant.  [default: poisson]")
@click.option(
    "--duration",
    type=Seconds(),
    metavar="D",
    help="Length of the schedule (90, 90s, 5m).  [default: mock 20s, local 60s, remote 120s]",
)
@click.option(
    "--requests", type=click.IntRange(1, MOST), metavar="N", help="At most so many requests.  [default: remote 10]"
)
@click.option(
    "--warmup", type=Seconds(), metavar="D", help="Mark arrivals before this moment as warm-up; they are not judged."
)
@click.option(
    "--seed", type=click.IntRange(0, MOST), default=1, show_default=True, help="Of the schedule and the prompts."
)
@click.option(
    "--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes that make the load."
)
@click.option("--new-connections", is_flag=True, help="Open a connection for every request instead of reusing.")
@click.option("--var", "variables", multiple=True, metavar="NAME=VALUE", help="Fills {NAME} in the profile's URL.")
@click.option("--budget-requests", type=click.IntRange(1, MOST), metavar="N", help="Send at most so many requests.")
@click.option(
    "--budget-tokens",
    type=click.IntRange(1, 2**53),
    metavar="N",
    help="Spend at most so many tokens, input and output; a request reserves its worst case.",
)
@click.option(
    "--budget-cost",
    type=click.FloatRange(0, min_open=True),
    metavar="AMOUNT",
    help="The same, by the profile's prices.",
)
@click.option(
    "--budget-time",
    type=Seconds(),
    metavar="D",
    help="Cancel what is under way then.  [default: remote duration + 60s]",
)
@click.option("--accept-throttling", is_flag=True, help="Go on where the provider throttles again and again.")
@click.option("--accept-errors", is_flag=True, help="Go on where most requests fail.")
@click.option("--tokenizer", metavar="FILE", help="tokenizer.json to count answers with (needs the extra tokenizers).")
@click.option(
    "--keep-bodies",
    type=click.FloatRange(0, 1),
    default=0.0,
    metavar="F",
    help="Keep the redacted bodies of this share of the requests in bodies.jsonl.",
)
@click.option("--allow-insecure-http", is_flag=True, help="Let plain http leave this machine and private networks.")
@click.option("--dry-run", is_flag=True, help="Show the plan, its worst case and example requests; send nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before more than the careful defaults goes to a remote provider.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Where run directories are made.",
)
@click.option("--label", multiple=True, metavar="KEY=VALUE", help="Kept in run.json; repeatable.")
@click.option("--no-report", is_flag=True, help="Skip report.html and the charts.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON; people's lines go to stderr.")
def run(**given: Any) -> int:
    """Offer load to a provider, record every request, print the numbers, draw the report.

    Without options this is the whole demo against the embedded provider. `--rate` makes an open loop: requests go out
    when the schedule says, however many are in flight, and latency counts from the scheduled moment. `--concurrency`
    makes a closed loop.
    """
    if sys.platform != "linux":
        raise click.UsageError("run needs Linux: its times come from the kernel's receive stamps, epoll and timerfd")
    from loadtests import run as runs
    from loadtests.cli.after import fail, judge
    from loadtests.cli.before import argv, confirm, labels_of, refuse_key, rehearse, stem
    from loadtests.cli.view import view_for
    from loadtests.forecast import check_budget
    from loadtests.options import Given, plan_of, warnings_of
    from loadtests.rundir import NoRoomError, Setup
    from loadtests.targets import is_local, profile_of
    from loadtests.watch import Interrupts, StoppedError

    profile = profile_of(
        given["profile"], given["base_url"], proxy=given["proxy"], http2=given["http2"], variables=given["variables"],
        allow_insecure_http=given["allow_insecure_http"],
    )  # fmt: skip
    words = {"--model": [given["model"]], "--base-url": [given["base_url"]], "--label": given["label"]}
    refuse_key(profile, words | {"--var": given["variables"], "--param": given["params"]})
    labels = labels_of(given["label"])
    plan = plan_of(profile, Given(**{field.name: given[field.name] for field in fields(Given)}))
    check_budget(profile, plan)
    for warning in warnings_of(profile, plan):
        click.echo(f"note: {warning}", err=True)
    if given["dry_run"]:
        rehearse(profile, plan, as_json=given["as_json"])
        return 0
    if not is_local(profile):
        confirm(profile, plan, yes=given["yes"])
    setup = Setup(plan, profile, given["out"], stem(profile.name), argv(), labels)
    with Interrupts() as interrupts:
        view = view_for(setup)
        with view:
            try:
                result = runs.execute(setup, view, interrupts)
            except StoppedError as error:
                return fail(str(error), 130)
            except NoRoomError as error:
                return fail(str(error), 3)
    return judge(setup, result, report=not given["no_report"], as_json=given["as_json"])
