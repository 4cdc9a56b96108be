"""`firsttoken summary`: the numbers of what is on disk."""

from __future__ import annotations

from pathlib import Path

import click

from loadtests.cli.found import summed
from loadtests.cli.judged import each_of, exit_code, judged_of
from loadtests.cli.retold import tell
from loadtests.cli.stored import RunArgument


@click.command(
    epilog="""\b
Examples:
  firsttoken summary results/latest --by prompt
  firsttoken summary results/latest --as vllm
  firsttoken summary results/latest --objective 'ttft_p95<2s' --objective 'tpot_p95<50ms'"""
)
@click.argument("runs", nargs=-1, type=RunArgument(), metavar="[RUN]...")
@click.option(
    "--objective", "objectives", multiple=True, metavar="TEXT",
    help="Judge by this, not by what the runs were planned with: ttft_p95<2s, a preset or a TOML file; repeatable.",
)  # fmt: skip
@click.option(
    "--by", "by", multiple=True, type=click.Choice(("prompt", "time")),
    help="Split TTFT and latency by length of prompt or by slice of time too.",
)  # fmt: skip
@click.option("--all", "whole", is_flag=True, help="Show every metric, those that follow from others too.")
@click.option(
    "--as", "tool", type=click.Choice(("vllm", "aiperf", "genai-bench")),
    help="Show what `vllm bench serve`, AIPerf or genai-bench would have reported for the same requests.",
)  # fmt: skip
@click.option(
    "--json", "as_json", is_flag=True,
    help="As JSON: one object for one run, a list for several runs or arms.",
)  # fmt: skip
def summary(
    runs: tuple[Path, ...], *, objectives: tuple[str, ...], by: tuple[str, ...], whole: bool, tool: str | None,
    as_json: bool,
) -> int:  # fmt: skip
    """Print the numbers of one or more runs (default: results/latest).

    A run of several arms, and a campaign, gives one table after another and then how the arms compare. A sweep gives
    its table of loads and a search its answer, unless --by or --all asks for each run. Of a run that is on or was
    killed, what is there so far is judged.

    The exit code is 3 if a run is not valid (its numbers are printed all the same) and 1 if an objective was missed.
    For sweeps and searches it is that of their verb.
    """
    from analysis.objectives import read

    if tool is not None and (by or whole):
        raise click.UsageError("--as prints the other tool's own table; leave --by and --all out")
    promised, paths = read(objectives) if objectives else None, each_of(runs or (Path("results/latest"),))
    if tool is not None:
        judged = [one for path in paths for one in judged_of(path, chunks=True, objectives=promised)]
        tell(judged, tool, as_json=as_json)
        return exit_code(judged)
    return summed(paths, promised, by, whole=whole, as_json=as_json)
