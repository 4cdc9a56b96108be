"""
What is asked of a provider, and when: the options that run, sweep and capacity have in common.

One table, in the order in which help shows them, so that the verbs cannot differ; each leaves out what is its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from loadtests.cli.params import Address, OutputCap, PerSecond, Seconds, WarmUp
from loadtests.units import MOST

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

F = TypeVar("F", bound="Callable[..., Any]")

OPTIONS: Final[dict[str, Callable[[F], F]]] = {
    "profiles": click.option(
        "--profile",
        "profiles",
        multiple=True,
        metavar="NAME|FILE",
        help="The provider: a shipped profile or a TOML file; several are arms to compare.  [default: mock]",
    ),
    "arms": click.option(
        "--arm",
        "arms",
        multiple=True,
        metavar="KEY=VALUE,...",
        help="A side to compare: name, profile, base_url, model, param.KEY, var.NAME, ...; repeatable.",
    ),
    "together": click.option(
        "--together", is_flag=True, help="Send each arrival to all arms at once instead of in turn."
    ),
    "blocks": click.option(
        "--blocks", type=click.IntRange(1, 10_000), metavar="N", help="How often the arms take turns.  [default: 8]"
    ),
    "repeats": click.option(
        "--repeats",
        type=click.IntRange(1, 1000),
        metavar="N",
        help="A campaign: this many runs of each arm, in random order.",
    ),
    "rest": click.option(
        "--rest", type=Seconds(zero=True), metavar="D", help="Pause between a campaign's runs.  [default: 5s]"
    ),
    "base_url": click.option("--base-url", metavar="URL", help="Base URL, instead of the profile's."),
    "proxy": click.option(
        "--proxy", metavar="URL", help="Go through this proxy.  [default: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY]"
    ),
    "http2": click.option("--http2", is_flag=True, help="Speak HTTP/2 (extra http2)."),
    "model": click.option("--model", metavar="NAME", help="The model to ask for.  [default: the profile's]"),
    "params": click.option(
        "--param",
        "params",
        multiple=True,
        metavar="KEY=JSON",
        help="A request parameter, e.g. temperature=0; repeatable.",
    ),
    "workload": click.option(
        "--workload",
        default="chat",
        show_default=True,
        metavar="NAME|FILE|MIX",
        help="What is asked: a preset, a TOML file, or a mix like chat=70,rag=20,tools=10.",
    ),
    "output_tokens": click.option(
        "--output-tokens",
        type=OutputCap(),
        metavar="N|workload",
        help="The output cap to send; workload: each answer's own, from its law, dataset or trace."
        "  [default: workload; remote: 64]",
    ),
    "stream": click.option(
        "--stream/--no-stream", default=None, help="Ask only for streamed answers, or only for whole ones."
    ),
    "stream_share": click.option(
        "--stream-share",
        type=click.FloatRange(0, 1),
        metavar="F",
        help="Share of streamed answers.  [default: 1.0; mock: 0.8]",
    ),
    "rate": click.option(
        "--rate",
        type=PerSecond(),
        metavar="R",
        help="Open loop: arrivals per second (8, 8/s, 90/m).  [default: mock 8/s]",
    ),
    "concurrency": click.option(
        "--concurrency",
        type=click.IntRange(1, 1_000_000),
        metavar="N",
        help="Closed loop: this many users, who each wait for their answer.",
    ),
    "think": click.option(
        "--think", metavar="LAW", help="Closed loop: a user's pause, like 2s, exponential:2s, uniform:1s:5s."
    ),
    "ramp": click.option(
        "--ramp", type=Seconds(), metavar="D", help="Closed loop: users start one by one within this time."
    ),
    "arrivals": click.option(
        "--arrivals",
        metavar="LAW",
        help="Open loop: poisson, constant, gamma:CV, burst:N or trace:FILE.  [default: poisson]",
    ),
    "stages": click.option(
        "--stages", metavar="FILE", help="The load over time: TOML stages of rate or of concurrency."
    ),
    "trace_speed": click.option(
        "--trace-speed", type=click.FloatRange(1e-6, 1e6), metavar="F", help="Play a trace F times as fast."
    ),
    "trace_start": click.option(
        "--trace-start", type=Seconds(), metavar="D", help="Skip this much of a trace's beginning."
    ),
    "max_in_flight": click.option(
        "--max-in-flight",
        type=click.IntRange(1, 1_000_000),
        metavar="N",
        help="Open loop: at most this many at once; others wait, and the wait counts.  [default: no cap]",
    ),
    "hold": click.option(
        "--hold", is_flag=True, help="Keep the load up after the end until everything measured has finished."
    ),
    "duration": click.option(
        "--duration",
        type=Seconds(),
        metavar="D",
        help="Length of the schedule (90, 90s, 5m).  [default: mock 20s, local 60s, remote 120s]",
    ),
    "requests": click.option(
        "--requests", type=click.IntRange(1, MOST), metavar="N", help="Most requests to send.  [default: remote 10]"
    ),
    "warmup": click.option(
        "--warmup",
        type=WarmUp(),
        metavar="auto|D",
        help="Arrivals before this moment are not judged; auto: analysis finds the steady part.  [default: auto]",
    ),
    "seed": click.option(
        "--seed", type=click.IntRange(0, MOST), default=1, show_default=True, help="Seed of schedule and prompts."
    ),
    "workers": click.option(
        "--workers", type=click.IntRange(1, 256), metavar="N", help="Processes here that make the load.  [default: 1]"
    ),
    "expect_workers": click.option(
        "--expect-workers",
        type=click.IntRange(1, 4096),
        metavar="N",
        help="Other machines make the load: wait for this many `firsttoken worker`.",
    ),
    "bind": click.option("--bind", type=Address(), help="Where the master listens for them.  [default: *:5558]"),
    "join_within": click.option(
        "--join-within", type=Seconds(), metavar="D", help="How long the master waits for them.  [default: 5m]"
    ),
    "new_connections": click.option("--new-connections", is_flag=True, help="Open a new connection for every request."),
    "variables": click.option(
        "--var", "variables", multiple=True, metavar="NAME=VALUE", help="Fills {NAME} in the profile's URL."
    ),
    "budget_requests": click.option(
        "--budget-requests", type=click.IntRange(1, MOST), metavar="N", help="Send at most this many requests."
    ),
    "budget_tokens": click.option(
        "--budget-tokens",
        type=click.IntRange(1, 2**53),
        metavar="N",
        help="Spend at most this many tokens, input and output; a request reserves its worst case.",
    ),
    "budget_cost": click.option(
        "--budget-cost",
        type=click.FloatRange(0, min_open=True),
        metavar="AMOUNT",
        help="Spend at most this much, by the profile's prices.",
    ),
    "budget_time": click.option(
        "--budget-time",
        type=Seconds(),
        metavar="D",
        help="Cancel what is still in flight after this time.  [default: remote duration + 60s]",
    ),
    "objectives": click.option(
        "--objective",
        "objectives",
        multiple=True,
        metavar="TERM|PRESET|FILE",
        help="An objective to judge the run by, like 'ttft_p95<2s', 'error_rate<1%' or mlperf-llama2-70b; repeatable.",
    ),
    "server_metrics": click.option(
        "--server-metrics",
        "server_metrics",
        multiple=True,
        metavar="URL|auto",
        help="Scrape this Prometheus endpoint each second into server.parquet; auto: /metrics beside the base URL;"
        " repeatable.",
    ),
    "metrics_port": click.option(
        "--metrics-port",
        type=click.IntRange(0, 65535),
        metavar="PORT",
        help="Serve Prometheus metrics on this port while a run is on (0: any free port, which is printed); later its"
        " figures are in the run directory.",
    ),
    "metrics_host": click.option(
        "--metrics-host", metavar="HOST", help="Where --metrics-port listens.  [default: 127.0.0.1]"
    ),
    "accept_throttling": click.option(
        "--accept-throttling", is_flag=True, help="Go on even if the provider throttles again and again."
    ),
    "accept_errors": click.option("--accept-errors", is_flag=True, help="Go on even if most requests fail."),
    "tokenizer": click.option(
        "--tokenizer", metavar="FILE", help="tokenizer.json to size prompts and count answers with (extra tokenizers)."
    ),
    "keep_bodies": click.option(
        "--keep-bodies",
        type=click.FloatRange(0, 1),
        default=0.0,
        metavar="F",
        help="Keep the redacted bodies of this share of the requests in bodies.jsonl.",
    ),
    "allow_insecure_http": click.option(
        "--allow-insecure-http", is_flag=True, help="Let plain http leave this machine and private networks."
    ),
    "dry_run": click.option(
        "--dry-run", is_flag=True, help="Show the plan, its worst case and example requests; send nothing."
    ),
    "yes": click.option(
        "--yes", is_flag=True, help="Do not ask before sending a remote provider more than the careful defaults."
    ),
    "out": click.option(
        "--out",
        metavar="DIR|URL",
        default="results",
        show_default=True,
        help="Where run directories go: a directory, or an object store like s3://bucket/prefix.",
    ),
    "label": click.option("--label", multiple=True, metavar="KEY=VALUE", help="A label, kept in run.json; repeatable."),
    "no_report": click.option("--no-report", is_flag=True, help="Skip report.html and the charts."),
    "as_json": click.option(
        "--json", "as_json", is_flag=True, help="Print the summary as JSON; messages go to stderr."
    ),
}


def options(*, but: Collection[str] = ()) -> Callable[[F], F]:
    """A decorator that gives a verb all of these options but those of the names given."""

    def decorate(verb: F) -> F:
        for name in reversed(OPTIONS):
            if name not in but:
                verb = OPTIONS[name](verb)
        return verb

    return decorate
