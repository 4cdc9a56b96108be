"""`firsttoken compare`: runs beside a baseline; and the options of every verb that compares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from loadtests.cli.judged import digests_of
from loadtests.cli.output import console_of, dump, plain
from loadtests.cli.stored import RunArgument

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from analysis.compare.comparison import Comparison
    from analysis.compare.rules import Rules
    from analysis.objectives import Objectives

Verb = TypeVar("Verb", bound="Callable[..., Any]")


def comparing(command: Verb) -> Verb:
    """The options of a comparison, for each verb that makes one."""
    options = (
        click.option(
            "--across", multiple=True, metavar="WORDS",
            help="What the runs may differ in: host, seed, load, workload, objectives, output, cache; comma-separated.",
        ),
        click.option(
            "--objective", "objectives", multiple=True, metavar="TEXT",
            help="What goodput counts by: ttft_p95<2s, a preset, a TOML file; default: as the runs were planned.",
        ),
        click.option(
            "--margin", "margins", multiple=True, metavar="NAME=SHARE",
            help="Acceptable change, like ttft_p95=15%; repeatable.  [default: p95, p99 10%; shares 1%; else 5%]",
        ),
        click.option(
            "--alpha", type=float, default=0.05, show_default=True, metavar="SHARE",
            help="For each pair, how often the same thing may at most be called different from itself.",
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
@click.option("--all", "whole", is_flag=True, help="Show every number, those of workloads and turns too.")
@click.option("--json", "as_json", is_flag=True, help="As JSON: one object, or a list where there are several pairs.")
def compare(
    runs: tuple[Path, ...], *, across: tuple[str, ...], objectives: tuple[str, ...], margins: tuple[str, ...],
    alpha: float, whole: bool, as_json: bool,
) -> int:  # fmt: skip
    """Compare runs with a baseline, the first one: the ratio of each number, its interval, p, and a verdict.

    Each RUN may be a run, a campaign or a folder of runs. Of a single RUN with several arms, the first arm is the
    baseline. Blocks, rounds or seeds that both sides played are paired. Runs of different load, seed or machine are
    refused unless --across says that you mean it. The exit code is 3 if a run is not valid; for an exit code by the
    verdict, see `firsttoken gate`.
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
