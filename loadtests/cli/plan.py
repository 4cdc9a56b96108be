"""`firsttoken plan`: how many runs, of how many requests, would find an effect."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, NamedTuple

import click

from loadtests.cli.judged import digests_of
from loadtests.cli.output import dump
from loadtests.cli.shares import Named, Share
from loadtests.cli.stored import RunArgument

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table

    from analysis.replicates.noise import Noise
    from analysis.replicates.planning import Choice, Plan

GUESSED = ("ttft_p50", "ttft_p95", "tpot_p50", "latency_p95")
"""Of the primary numbers, the percentiles: what is planned for where no runs are there to learn from."""

EXAMPLES = """\b
Examples:
  firsttoken plan --effect 5% results/20261123-nightly
      learn from a campaign how far runs differ, and plan for 5 %
  firsttoken plan --effect 5% --effect ttft_p95=10% --effect error_rate=1% baseline/
      other effects for some; for an error rate, points
  firsttoken plan --effect 10% --metric ttft_p99 --sd 3% --spread 0.5 --requests 1000
      without runs: runs differ by 3 %, requests by a log-sd of 0.5"""


@click.command(epilog=EXAMPLES)
@click.argument("runs", nargs=-1, type=RunArgument(), metavar="[RUN]...")
@click.option(
    "--effect", "effects", type=Named(), multiple=True, required=True, metavar="SHARE|NAME=SHARE",
    help="What to find: 5% of a number, or 5 points of a share like the error rate. Repeatable.",
)  # fmt: skip
@click.option(
    "--metric", "metrics", multiple=True, metavar="NAME",
    help="A number to plan for, like ttft_p50 or goodput (default: the gate's primary ones). Repeatable.",
)  # fmt: skip
@click.option("--power", type=Share(1), default="90%", show_default=True, metavar="SHARE", help="Chance of finding it.")
@click.option("--alpha", type=Share(1), default="5%", show_default=True, metavar="SHARE", help="The gate's alpha.")
@click.option(
    "--family", type=click.IntRange(1), default=6, show_default=True, metavar="N",
    help="Numbers that share alpha; each is tested at alpha / N, the first step of Holm.",
)  # fmt: skip
@click.option("--sd", type=Share(), metavar="SHARE", help="Without runs: how far runs differ, as standard deviation.")
@click.option(
    "--spread", type=click.FloatRange(0, 10, min_open=True), metavar="F",
    help="Without runs: log-sd of the requests within a run; 0.5 is usual.",
)  # fmt: skip
@click.option("--requests", type=click.IntRange(1), metavar="N", help="Without runs: requests of a run.")
@click.option(
    "--dependence", type=click.FloatRange(1), metavar="F",
    help="Without runs: requests per independent one, n / n_eff (default: 1).",
)  # fmt: skip
@click.option("--arm", metavar="NAME", help="Arm to learn from (default: how far runs differ within each arm).")
@click.option("--paired", is_flag=True, help="The sides are paired: arms of one campaign, round by round.")
@click.option(
    "--correlation", type=click.FloatRange(-1, 1, max_open=True), metavar="F",
    help="With --paired: correlation of the two runs of a round (default: 0.5).",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="As JSON, one object.")
def plan(
    runs: tuple[Path, ...], *, effects: tuple[tuple[str, float], ...], metrics: tuple[str, ...], power: float,
    alpha: float, family: int, sd: float | None, spread: float | None, requests: int | None, dependence: float | None,
    arm: str | None, paired: bool, correlation: float | None, as_json: bool,
) -> int:  # fmt: skip
    """Say how many runs a side, of how many requests, would find an effect.

    How far runs of the same thing differ is learned from RUN (runs, campaigns, folders of runs or of quantiles.parquet
    files, all of one thing), or given by --sd, --spread and --requests. Of several arms it is learned within each: what
    the arms differ by is an effect and no noise. Power is exact, at the level that Holm's correction leaves. A gate
    needs at least 5 runs a side to fail.
    """
    from analysis.replicates import planning

    if correlation is not None and not paired:
        raise click.UsageError("--correlation says how alike the two runs of a pair are: add --paired")
    if arm is not None and not runs:
        raise click.UsageError("--arm says which of the runs to learn from: name RUNs")
    named = dict(effects)
    metrics = tuple(dict.fromkeys(metrics)) or (() if "" in named else tuple(named))
    rho = (0.5 if correlation is None else correlation) if paired else None
    guess = Guess(sd, spread, requests, dependence)
    noises, length = _learned(runs, arm, metrics, guess) if runs else _given(metrics or GUESSED, guess)
    design = planning.Design(_effects(named, noises), power, alpha, family, rho)
    found = planning.plan(design, noises, *length)
    if as_json:
        dump(found.to_json())
    else:
        _show(found)
    return 0


class Guess(NamedTuple):
    """What somebody knows without runs; None: not given."""

    sd: float | None
    spread: float | None
    requests: int | None
    dependence: float | None


def _learned(
    runs: tuple[Path, ...], arm: str | None, metrics: tuple[str, ...], guess: Guess
) -> tuple[list[Noise], tuple[float, float | None]]:
    """The noise of runs on disk; arrivals and seconds of one of them."""
    from analysis.compare.rules import PRIMARY
    from analysis.replicates import noise, sameness
    from analysis.replicates.spread import sound

    if any(one is not None for one in guess):
        raise click.UsageError(
            "--sd, --spread, --requests and --dependence are for planning without runs: leave out these, or the runs"
        )
    digests, invalid = sound(sameness.of_arm(digests_of(runs), arm))
    sameness.check_arms(digests)
    if invalid:
        click.echo(f"left out, not valid: {', '.join(invalid)}", err=True)
    if len(names := sameness.arms(digests)) > 1:
        how = "how far runs differ is learned within each, and pooled; --arm NAME learns from one alone"
        click.echo(f"note: the runs have the arms {', '.join(names)}: {how}", err=True)
    noises = noise.learned(digests, metrics or PRIMARY, asked=bool(metrics))
    return noises, noise.run_length(digests) or (noises[0].requests, None)


def _given(metrics: tuple[str, ...], guess: Guess) -> tuple[list[Noise], tuple[float, None]]:
    """The noise that somebody assumes."""
    from analysis.compare.rules import words
    from analysis.replicates import noise
    from loadtests.units import not_one_of

    for name in metrics:
        if name not in words():
            raise click.UsageError(f'--metric "{name}" {not_one_of(name, words())}')
    sd, spread, requests, dependence = guess
    if sd is None or spread is None or requests is None:
        fix = "name RUNs to learn from, or give --sd 3% --spread 0.5 --requests 1000"
        raise click.UsageError(f"how far runs differ is not known: {fix}")
    return noise.assumed(metrics, sd, spread, requests, dependence or 1.0), (float(requests), None)


def _effects(named: dict[str, float], noises: list[Noise]) -> dict[str, float]:
    """By number what is to be found; the one without a name for those that have none of their own."""
    from loadtests.units import not_one_of

    planned = [word for noise in noises for word in (noise.name, noise.name.partition(" (")[0])]
    for name in named:
        if name and name not in planned:
            raise click.UsageError(f'--effect "{name}" {not_one_of(name, dict.fromkeys(planned))}')
    bare = next(
        (noise.name for noise in noises if not {noise.name, noise.name.partition(" (")[0]} & named.keys()), None
    )
    if "" not in named and bare is not None:
        raise click.UsageError(f"--effect: none for {bare}; one without a name, like 5%, covers all that have none")
    return {"": math.nan, **named}


def _show(found: Plan) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 110)
    design = found.design
    how = "two independent sides" if design.rho is None else f"pairs with correlation {design.rho:g}"
    level = f"level {100 * design.level:.3g} % ({100 * design.alpha:g} % over {design.family})"
    console.print(Text(f"power {100 * design.power:g} %, {level}, {how}", style="dim"))
    console.print()
    console.print(_needs(found))
    console.print()
    console.print(_choices(found))
    console.print()
    console.print(Text(_advice(found), style="bold"))
    for note in _notes(found):
        console.print(Text(note, style="dim"))


def _needs(found: Plan) -> Table:
    from rich.table import Table

    from analysis.replicates.spread import told
    from analysis.units import NONE

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("")
    learned = any(need.sd_upper is not None for need in found.needs)
    for title in ("effect", "sd of runs", *["up to"] * learned, "runs a side", *["up to"] * learned, "power"):
        table.add_column(title, justify="right", no_wrap=True)
    for need in found.needs:
        sds = [told(sd, need.scale) for sd in (need.sd, need.sd_upper) if sd is not None]
        runs = [_runs(need.runs), *[_runs(need.runs_upper)] * learned]
        power = NONE if need.power is None else f"{100 * need.power:.0f} %"
        table.add_row(need.name, told(need.effect, need.scale), *sds, *runs, power)
    return table


def _runs(count: int | None) -> str:
    from analysis.replicates.planning import MOST_RUNS

    return f"> {MOST_RUNS:,}" if count is None else f"{count:,}"


def _choices(found: Plan) -> Table:
    from rich.table import Table

    from analysis.units import NONE, span

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("requests a run", justify="right")
    for need in found.needs:
        table.add_column(need.name, justify="right")
    for title in ("runs a side", "requests in all", "time"):
        table.add_column(title, justify="right", no_wrap=True)
    for one in found.choices:
        time = NONE if one.time_s is None else span(one.time_s)
        total = NONE if one.total is None else f"{one.total:,}"
        table.add_row(
            f"{one.requests:,}", *map(_runs, one.runs), _runs(one.most), total, time,
            style="bold" if one is found.cheapest else None,
        )  # fmt: skip
    return table


def _advice(found: Plan) -> str:
    best: Choice | None = found.cheapest
    if best is None:
        return "None of these lengths serves all numbers: ask for a larger effect, or drop the noisiest with --metric."
    where = "on each side" if found.design.rho is None else "with both arms in one campaign"
    return f"Fewest requests: --repeats {best.most} {where}, about {best.requests:,} requests a run."


def _notes(found: Plan) -> list[str]:
    notes = ["Fewer than 5 runs a side cannot fail a gate; time is that of the runs alone, one after another."]
    if any(need.sd_upper is not None for need in found.needs):
        few = min(need.learned_from for need in found.needs)
        notes.append(
            f"up to: at the upper end of the sd's 80 % interval, learned from {few} runs; more runs narrow it."
        )
    if len(found.choices) == 1:
        notes.append("No other lengths are given: the intervals within these runs are open at this number of requests.")
    return notes
