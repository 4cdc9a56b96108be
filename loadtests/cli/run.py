"""`firsttoken run`: options to a plan, the plan to a run, the run to a table, a report and an exit code."""

from __future__ import annotations

import sys
from dataclasses import fields
from typing import Any

import click

from loadtests.cli.params import Address, OutputCap, PerSecond, Seconds, WarmUp
from loadtests.units import MOST

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
  firsttoken run --profile vllm --model m --rate 4 --duration 10m \\
      --arm name=a,base_url=http://gpu1:8000/v1 --arm name=b,base_url=http://gpu2:8000/v1
      two servers by turns, the same prompts for both
  firsttoken run --profile vllm --base-url http://gpu1:8000/v1 --model m --rate 900 --duration 5m --expect-workers 4
      four machines make the load; on each: firsttoken worker --master THIS_HOST
  firsttoken run --stages stages.toml --arrivals gamma:2 --workload chat=70,rag=30 --dry-run
      a load that changes over time, drawn and not sent
  firsttoken run --profile openai --rate 2 --duration 5m --budget-tokens 200000 --dry-run
      what that would send and spend at most; nothing is sent
  firsttoken run --profile vllm --model m --rate 4 --duration 5m \\
      --objective 'ttft_p95<2s' --objective 'error_rate<1%'
      exit code 1 where one of them is missed; also a preset such as mlperf-llama2-70b, or a TOML file

\b
Exit codes:
  0 fine   1 an objective is missed   2 usage, configuration, nothing reached, or refused (401, 402, 403)
  3 finished but not valid, a worker lost, provider gone, disk full   130 Ctrl-C, data kept"""


REST_S = 5.0


@click.command(epilog=EXAMPLES)
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    metavar="NAME|FILE",
    help="The provider: a shipped profile or a TOML file; several are arms to compare.  [default: mock]",
)
@click.option(
    "--arm",
    "arms",
    multiple=True,
    metavar="KEY=VALUE,...",
    help="A side to compare: name, profile, base_url, model, param.KEY, var.NAME, ...; repeatable.",
)
@click.option("--together", is_flag=True, help="Send each arrival to all arms at once, instead of by turns.")
@click.option("--blocks", type=click.IntRange(1, 10_000), metavar="N", help="How often arms take turns.  [default: 8]")
@click.option(
    "--repeats",
    type=click.IntRange(1, 1000),
    metavar="N",
    help="A campaign: so many runs of each arm, in random order.",
)
@click.option("--rest", type=Seconds(zero=True), metavar="D", help="Pause between a campaign's runs.  [default: 5s]")
@click.option("--base-url", metavar="URL", help="Instead of the profile's.")
@click.option("--proxy", metavar="URL", help="Go through this proxy.  [default: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY]")
@click.option("--http2", is_flag=True, help="Speak HTTP/2 (needs the extra http2).")
@click.option("--model", metavar="NAME", help="The model to ask for.  [default: the profile's]")
@click.option(
    "--param", "params", multiple=True, metavar="KEY=JSON", help="A request parameter, e.g. temperature=0; repeatable."
)
@click.option(
    "--workload",
    default="chat",
    show_default=True,
    metavar="NAME|FILE|MIX",
    help="What is asked: a preset, a TOML file, or a mix like chat=70,rag=20,tools=10.",
)
@click.option(
    "--output-tokens",
    type=OutputCap(),
    metavar="N|workload",
    help="The output cap sent; workload: each answer's own, by its law, dataset or trace.  [default: workload; remote:"
    " 64]",
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
@click.option("--think", metavar="LAW", help="Closed loop: a user's pause, like 2s, exponential:2s, uniform:1s:5s.")
@click.option("--ramp", type=Seconds(), metavar="D", help="Closed loop: users come one by one within this time.")
@click.option(
    "--arrivals",
    metavar="LAW",
    help="Open loop: poisson, constant, gamma:CV, burst:N or trace:FILE.  [default: poisson]",
)
@click.option("--stages", metavar="FILE", help="The load over time: TOML stages of rate or of concurrency.")
@click.option("--trace-speed", type=click.FloatRange(1e-6, 1e6), metavar="F", help="Play a trace F times as fast.")
@click.option("--trace-start", type=Seconds(), metavar="D", help="Leave out so much of a trace's beginning.")
@click.option(
    "--max-in-flight",
    type=click.IntRange(1, 1_000_000),
    metavar="N",
    help="Open loop: who would be more waits, and its waiting counts.  [default: no cap]",
)
@click.option("--hold", is_flag=True, help="Keep the load on behind the end until all that is measured is over.")
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
    "--warmup",
    type=WarmUp(),
    metavar="auto|D",
    help="Arrivals before this moment are not judged; auto: analysis finds the steady part.  [default: auto]",
)
@click.option(
    "--seed", type=click.IntRange(0, MOST), default=1, show_default=True, help="Of the schedule and the prompts."
)
@click.option(
    "--workers", type=click.IntRange(1, 256), metavar="N", help="Processes here that make the load.  [default: 1]"
)
@click.option(
    "--expect-workers",
    type=click.IntRange(1, 4096),
    metavar="N",
    help="Other machines make the load: wait for so many `firsttoken worker`.",
)
@click.option("--bind", type=Address(), help="Where the master listens for them.  [default: *:5558]")
@click.option("--join-within", type=Seconds(), metavar="D", help="How long it waits for them.  [default: 5m]")
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
@click.option(
    "--objective",
    "objectives",
    multiple=True,
    metavar="TERM|PRESET|FILE",
    help="A promise to judge the run by, like 'ttft_p95<2s', 'error_rate<1%' or mlperf-llama2-70b; repeatable.",
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
    metavar="DIR|URL",
    default="results",
    show_default=True,
    help="Where run directories are made; or a store that they go to, like s3://bucket/prefix.",
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
    from loadtests.arms import Asked, asked, provider
    from loadtests.cli.before import argv, confirm, labels_of, objectives_of, refuse_key, rehearse, remote_of, stem
    from loadtests.cli.campaign import play, played
    from loadtests.cli.stored import drawn_in, outlet
    from loadtests.forecast import check_budget
    from loadtests.given import Given
    from loadtests.options import arm_of, plan_of, warnings_of
    from loadtests.rundir import Setup
    from loadtests.targets import is_local

    remote = remote_of(given)
    given["objectives"] = objectives_of(given["objectives"])
    given["workers"] = given["expect_workers"] or given["workers"] or 1
    common = Asked(
        base_url=given["base_url"], proxy=given["proxy"], http2=given["http2"], model=given["model"],
        params=given["params"], variables=given["variables"], new_connections=given["new_connections"],
    )  # fmt: skip
    sides = asked(given["profiles"], given["arms"], common)
    profiles = [provider(side, allow_insecure_http=given["allow_insecure_http"]) for side in sides]
    words = {"--model": [given["model"]], "--base-url": [given["base_url"]], "--label": given["label"]}
    refuse_key(profiles, words | {"--var": given["variables"], "--param": given["params"], "--arm": given["arms"]})
    labels = labels_of(given["label"])
    arms = [arm_of(side, profile) for side, profile in zip(sides, profiles, strict=True)]
    plan = plan_of(arms, profiles, Given(**{field.name: given[field.name] for field in fields(Given)}))
    check_budget(profiles, plan)
    for warning in warnings_of(profiles, plan, 0 if given["expect_workers"] else None):
        click.echo(f"note: {warning}", err=True)
    if given["dry_run"]:
        rehearse(profiles, plan, drawn_in(given["out"]), given["repeats"] or 0, as_json=given["as_json"])
        return 0
    if not all(map(is_local, profiles)):
        confirm(profiles, plan, yes=given["yes"], rounds=given["repeats"] or 0)
    name = stem("-vs-".join(dict.fromkeys(profile.name for profile in profiles)))
    report, as_json = not given["no_report"], given["as_json"]
    rest_s = REST_S if given["rest"] is None else given["rest"]
    with outlet(given["out"]) as out:
        setup = Setup(plan, profiles, out.path, name + out.suffix, argv(), labels, remote=remote)
        if given["repeats"] is None:
            out.code = played(setup, report=report, as_json=as_json)
        else:
            out.code = play(setup, given["repeats"], rest_s, report=report, as_json=as_json)
    return out.code
