"""`firsttoken summary` and `compare`: judge what is on disk."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import orjson

from loadtests.cli.drafts import drafts
from loadtests.cli.stored import RunArgument

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from rich.console import Console

    from analysis.compare.comparison import Comparison
    from analysis.compare.rules import Rules
    from analysis.digest import Digest
    from analysis.objectives import Objectives
    from analysis.summary import Judged

Verb = TypeVar("Verb", bound="Callable[..., Any]")
RUN = click.argument("run", type=RunArgument(), default=Path("results/latest"), metavar="[RUN]")


def judged_of(
    path: Path, *, chunks: bool = False, objectives: Objectives | None = None, by: Collection[str] = ()
) -> list[Judged]:
    """Everything that a RUN argument stands for, judged: a run, each of its arms, each run of a campaign."""
    from analysis.campaign import runs_of
    from analysis.groups import USUAL
    from analysis.summary import judge

    with drafts([path]) as kept:
        return [judge(run, objectives, (*USUAL, *by)) for run in runs_of(path, chunks, kept)]


def digests_of(paths: Iterable[Path], objectives: Objectives | None = None) -> list[Digest]:
    """The digests of everything that RUN arguments stand for."""
    from analysis.compare import sides

    paths = list(paths)
    with drafts(paths) as kept:
        return sides.read(paths, objectives, kept)


def show(judged: list[Judged], *, whole: bool = False) -> None:
    """Print tables on stdout, one after another, and how arms compare; colours only on a terminal."""
    from analysis import digest
    from analysis.campaign import arms_of
    from analysis.compare import sides
    from analysis.compare import table as compared
    from analysis.compare.rules import Rules
    from analysis.table import render

    console = console_of()
    for place, one in enumerate(judged):
        if place:
            console.print()
        render(one.summary, console, whole=whole)
    if len({one.run.arm for one in judged}) < 2:
        return
    named = arms_of(judged[0].run.path)
    for comparison in sides.within([digest.of(one) for one in judged], Rules(), named):
        console.print()
        compared.render(comparison, console, whole=whole)


def console_of() -> Console:
    """Where tables are printed: as wide as the terminal, 100 columns elsewhere."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 100)


def write_all(judged: list[Judged], *, report: bool) -> list[Path]:
    """Write what analysis keeps in each run directory; returns the reports' paths, or the directories' without."""
    from itertools import groupby

    return [_write(list(arms), report=report) for _, arms in groupby(judged, key=lambda one: one.run.path)]


def _write(arms: list[Judged], *, report: bool) -> Path:
    if report:
        from analysis.report import write

        return write(arms)
    from analysis.files import write_judgement

    write_judgement(arms)
    return arms[0].run.path


def plain(values: list[Any]) -> Any:
    """As JSON has it: one object for one run, a list for several."""
    return values[0] if len(values) == 1 else values


def is_invalid(judged: list[Judged]) -> bool:
    """Whether a run among them is not valid."""
    return any(one.summary.validity.verdict == "invalid" for one in judged)


def dump(value: Any) -> None:
    """Print JSON for machines."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


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
    help="Hold the runs against this, not what they were planned with: ttft_p95<2s, a preset's name, a TOML file.",
)  # fmt: skip
@click.option(
    "--by", "by", multiple=True, type=click.Choice(("prompt", "time")),
    help="Tell TTFT and latency by length of prompt or by slice of time too.",
)  # fmt: skip
@click.option("--all", "whole", is_flag=True, help="Every metric, those that follow from others too.")
@click.option(
    "--as", "tool", type=click.Choice(("vllm", "aiperf", "genai-bench")),
    help="What `vllm bench serve`, AIPerf or genai-bench would have reported for the same requests.",
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

    A run of several arms and a campaign give one table after another, and then how the arms compare; a sweep its table
    of loads and a search its answer, as long as neither --by nor --all asks for each run. Of a run that is on or was
    killed, what is there so far is judged. Exit code 3 where a run is not valid; its numbers are printed all the same.
    Exit code 1 where an objective was missed. Of sweeps and searches the exit code is that of their verb.
    """
    from analysis.objectives import read
    from loadtests.cli.found import summed

    if tool is not None and (by or whole):
        raise click.UsageError("--as prints the other tool's own table; leave --by and --all away")
    promised, paths = read(objectives) if objectives else None, each_of(runs or (Path("results/latest"),))
    if tool is not None:
        from loadtests.cli.retold import tell

        judged = [one for path in paths for one in judged_of(path, chunks=True, objectives=promised)]
        tell(judged, tool, as_json=as_json)
        return exit_code(judged)
    return summed(paths, promised, by, whole=whole, as_json=as_json)


def each_of(paths: Iterable[Path]) -> list[Path]:
    """Runs and campaigns; of a folder of these, each that is in it and has rows."""
    from analysis.campaign import is_campaign
    from analysis.compare.sides import run_folders
    from analysis.rundir import is_unfinished
    from loadtests.record import REQUESTS

    found: list[Path] = []
    for path in paths:
        inside = run_folders(path)
        is_folder = inside and not is_campaign(path) and path not in inside
        rowed = [run for run in inside if (run / REQUESTS).is_file() or is_unfinished(run)]
        found += (rowed or inside) if is_folder else [path]
    return found


def exit_code(judged: list[Judged]) -> int:
    """3 where a run is not valid, 1 where an objective was missed."""
    missed = any(one.verdict == "missed" for judgement in judged for one in judgement.summary.objectives)
    return 3 if is_invalid(judged) else 1 if missed else 0


def comparing(command: Verb) -> Verb:
    """The options of a comparison, for each verb that makes one."""
    options = (
        click.option(
            "--across", multiple=True, metavar="WORDS",
            help="Compare though the runs differ in this: host, seed, load, workload, objectives, output, cache.",
        ),
        click.option(
            "--objective", "objectives", multiple=True, metavar="TEXT",
            help="What goodput counts by: ttft_p95<2s, a preset, a TOML file; else what the runs were planned with.",
        ),
        click.option(
            "--margin", "margins", multiple=True, metavar="NAME=SHARE",
            help="What change is no matter, like ttft_p95=15%; repeatable. [default: p95, p99 10%; shares 1%; else 5%]",
        ),
        click.option(
            "--alpha", type=float, default=0.05, show_default=True, metavar="SHARE",
            help="How often, at the most, the same thing against itself is called different, for each pair.",
        ),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.command(
    epilog="""\b
Examples:
  firsttoken compare results/A results/B
  firsttoken compare results/main results/fast results/cheap --across host
  firsttoken compare results/20260101-120000-arms"""
)
@click.argument("runs", nargs=-1, required=True, type=RunArgument(), metavar="RUN [RUN]...")
@comparing
@click.option("--all", "whole", is_flag=True, help="Every number, those of workloads and turns too.")
@click.option("--json", "as_json", is_flag=True, help="As JSON: one object, or a list where there are several pairs.")
def compare(
    runs: tuple[Path, ...], *, across: tuple[str, ...], objectives: tuple[str, ...], margins: tuple[str, ...],
    alpha: float, whole: bool, as_json: bool,
) -> int:  # fmt: skip
    """Put runs beside a baseline, the first one: the ratio of each number, its interval, p, and a verdict.

    Each RUN may be a run, a campaign or a folder of runs. With one alone of several arms, its first arm is the
    baseline. Where blocks, rounds or seeds were played by both sides they are paired. Runs of different load, seed or
    machine are refused unless --across says that it is meant. Exit code 3 where a run is not valid; `firsttoken gate`
    is the one whose exit code tells the verdict.
    """
    from analysis.compare import table as compared
    from analysis.gate.asked import rules
    from analysis.objectives import read

    promised = read(objectives) if objectives else None
    words = [word.strip() for text in across for word in text.split(",") if word.strip()]
    comparisons = _compared(runs, promised, rules(margins, (), alpha, words))
    if as_json:
        dump(plain([one.to_json() for one in comparisons]))
    else:
        console = console_of()
        for place, comparison in enumerate(comparisons):
            if place:
                console.print()
            compared.render(comparison, console, whole=whole)
    return 3 if any(one.verdict == "invalid" for one in comparisons) else 0


def _compared(runs: tuple[Path, ...], objectives: Objectives | None, rules: Rules) -> list[Comparison]:
    """The first against each other, or the arms of one."""
    from analysis.campaign import arms_of
    from analysis.compare import sides
    from analysis.rundir import RunError

    baseline, *others = (digests_of([path], objectives) for path in runs)
    for path, side in zip(runs, (baseline, *others), strict=True):
        if objectives and any(one.objectives != objectives.texts for one in side):
            kept = ", ".join(side[0].objectives) or "none"
            raise RunError(f"{path}: kept without its rows, so --objective cannot be counted there; kept by: {kept}")
    if others:
        return [
            one
            for path, other in zip(runs[1:], others, strict=True)
            for one in sides.between(baseline, other, rules, (str(runs[0]), str(path)))
        ]
    if not (found := sides.within(baseline, rules, arms_of(runs[0]))):
        raise RunError(f"{runs[0]}: one arm alone; name a second run to put beside it")
    return found
