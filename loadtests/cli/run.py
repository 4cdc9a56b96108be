"""`firsttoken run`: options to a plan, the plan to a run, the run to a table, a report and an exit code."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loadtests.cli.params import PerSecond, Seconds

if TYPE_CHECKING:
    from loadtests.profiles import Profile
    from loadtests.run import Result
    from loadtests.rundir import Setup

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

\b
Exit codes:
  0 fine   2 usage, configuration, nothing reached, or refused (401, 402, 403)
  3 finished but not valid, provider gone, disk full   130 Ctrl-C, data kept"""


GONE = ["connect", "reset", "timeout_connect", "dns", "tls"]
GONE_AFTER = 5
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
    from loadtests.cli.view import view_for
    from loadtests.options import Given, beyond_defaults, is_local, plan_of, profile_of, warnings_of
    from loadtests.rundir import NoRoomError, Setup
    from loadtests.watch import Interrupts, StoppedError

    profile = profile_of(given["profile"], given["base_url"], proxy=given["proxy"], http2=given["http2"])
    asked = {field.name: given[field.name] for field in fields(Given)}
    plan = plan_of(profile, Given(**asked))
    for warning in warnings_of(profile, plan):
        click.echo(f"note: {warning}", err=True)
    if not is_local(profile):
        _confirm(profile, beyond_defaults(plan), yes=given["yes"])
    setup = Setup(plan, profile, given["out"], _stem(profile.name), _argv(), _labels(given["label"]))
    with Interrupts() as interrupts:
        view = view_for(setup)
        with view:
            try:
                result = runs.execute(setup, view, interrupts)
            except StoppedError as error:
                return _fail(str(error), 130)
            except NoRoomError as error:
                return _fail(str(error), 3)
    return _judge(setup, result, report=not given["no_report"], as_json=given["as_json"])


def _confirm(profile: Profile, more: list[str], *, yes: bool) -> None:
    """Ask before more than the careful defaults goes to somebody else's machine."""
    if not more or yes:
        return
    text = f"{profile.base_url} is remote, and this asks for {', '.join(more)}"
    if not sys.stdin.isatty():
        raise click.UsageError(f"{text}; add --yes if that is meant")
    click.echo(text, err=True)
    click.confirm("Send it?", abort=True, err=True)


def _argv() -> list[str]:
    from loadtests.redact import redact

    return ["firsttoken", *(redact(word, ()) for word in sys.argv[1:])]


def _stem(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "run"


def _labels(pairs: tuple[str, ...]) -> dict[str, str]:
    from loadtests.redact import looks_secret

    labels = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise click.UsageError(f"--label {pair!r}: write KEY=VALUE, for example --label build=1234")
        if looks_secret(value):
            raise click.UsageError(
                f"--label {key}=...: looks like a key, and labels are kept in run.json; leave it out"
            )
        labels[key] = value
    return labels


# After the run.


def _judge(setup: Setup, result: Result, *, report: bool, as_json: bool) -> int:
    """Summary, report and the exit code; a run with nothing in it is said in one line."""
    if result.stop == "refused" and result.ok == 0:
        return _fail(
            f"{setup.profile.name} refused the first request: {result.text}{_key_hint(setup.profile)}; {_kept(result)}",
            2,
        )
    if result.finished is None:
        return _fail(result.text, 3)
    if result.stop == "" and result.issued and result.answered == 0:
        return _fail(f"nothing reached at {setup.profile.base_url}: {_first_error(result.path)}; {_kept(result)}", 2)
    code = _show(result.path, report=report, as_json=as_json)
    if text := result.text or _gone(result.path):
        click.echo(f"firsttoken: {text}", err=True)
        code = 3
    if result.stop == "interrupt":
        return 130
    if result.stop:
        return 3
    return code


def _gone(path: Path) -> str:
    """Since when the provider has been gone; "" where it hasn't: the last requests did not even get a connection."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from loadtests.record import REQUESTS

    table = pq.read_table(path / REQUESTS, columns=["scheduled_ns", "outcome", "error_kind", "headers_ns"])
    table = table.filter(pc.is_in(table["outcome"].cast("string"), pa.array(["ok", "error"])))
    answered = pc.or_(
        pc.is_valid(table["headers_ns"]), pc.invert(pc.is_in(table["error_kind"].cast("string"), pa.array(GONE)))
    ).to_numpy()
    silent = len(answered) if not answered.any() else int(answered[::-1].argmax())
    if silent < GONE_AFTER:
        return ""
    since_s = table["scheduled_ns"][len(answered) - silent].as_py() / 1e9
    return f"provider gone since {since_s:.1f} s: the last {silent} requests got no answer at all"


def _key_hint(profile: Profile) -> str:
    return f" (key from ${profile.auth.env})" if profile.auth.env else ""


def _kept(result: Result) -> str:
    return f"the rows are in {result.path}"


def _first_error(path: Path) -> str:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from loadtests.record import REQUESTS

    table = pq.read_table(path / REQUESTS, columns=["error_kind", "error"])
    told = table.filter(pc.is_valid(table["error"])).slice(0, 1).to_pylist()
    return f"{told[0]['error_kind']}: {told[0]['error']}" if told else "no request was answered"


def _show(path: Path, *, report: bool, as_json: bool) -> int:
    """Print the summary and write what analysis writes; 3 where the run is not valid."""
    from analysis.runs import load
    from analysis.summary import summarise
    from loadtests.cli.judge import dump, show, write_all

    run_ = load(path, chunks=report)
    summary = summarise(run_)
    try:
        written = write_all(run_, summary, report=report)
    except OSError as error:
        safe = f"the rows are safe, write the report later: `firsttoken report {path}`"
        return _fail(f"{path}: {error.strerror or error}; {safe}", 3)
    if as_json:
        dump(summary.to_json())
    else:
        show(summary)
    click.echo(f"{'report' if report else 'run'}: {os.path.relpath(written)}", err=as_json)
    return 3 if summary.validity.verdict == "invalid" else 0


def _fail(text: str, code: int) -> int:
    click.echo(f"firsttoken: {text}", err=True)
    return code
