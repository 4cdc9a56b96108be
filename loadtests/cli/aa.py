"""`firsttoken aa`: how often the gate raises a false alarm on runs of one and the same thing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loadtests.cli.judged import digests_of
from loadtests.cli.output import dump
from loadtests.cli.shares import Share
from loadtests.cli.stored import RunArgument

if TYPE_CHECKING:
    from rich.table import Table

    from analysis.replicates.aa import Calibration

EXAMPLES = """\b
Examples:
  firsttoken run --repeats 20 --rate 8 --duration 60s --no-report
  firsttoken aa
      halve these 20 runs 100 times, let the gate compare the halves, count its regressions
  firsttoken aa results/20261123-*-nightly --splits 1000 --sizes 5
      as a gate of 5 runs a side would meet them
  firsttoken aa results/latest --arm main
      of a campaign of several arms, the runs of one
  firsttoken aa baseline/ --json
      from the quantiles.parquet files that a repository keeps"""


@click.command(epilog=EXAMPLES)
@click.argument("runs", nargs=-1, type=RunArgument(), metavar="[RUN]...")
@click.option(
    "--metric", "metrics", multiple=True, metavar="NAME",
    help="A metric that the gate decides by, like ttft_p99 (default: its primary ones). Repeatable.",
)  # fmt: skip
@click.option(
    "--splits", type=click.IntRange(1, 100_000), default=100, show_default=True, metavar="N",
    help="Distinct random splits to judge; at most all there are.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, metavar="N", help="Seed of the splits.")
@click.option(
    "--sizes", type=click.IntRange(2), metavar="N", help="Runs a side in each split (default: half of the runs)."
)
@click.option(
    "--alpha", type=Share(0.5), default="5%", show_default=True, metavar="SHARE",
    help="The gate's alpha: how often it may be wrong at most.",
)  # fmt: skip
@click.option(
    "--across", multiple=True, metavar="WORDS", help="Settings that may differ between the runs, as in `compare`."
)
@click.option("--arm", metavar="NAME", help="Arm to take, if the runs have several.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, one object.")
def aa(
    runs: tuple[Path, ...], *, metrics: tuple[str, ...], splits: int, seed: int, sizes: int | None, alpha: float,
    across: tuple[str, ...], arm: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Measure the gate's own false-positive rate on runs of one and the same thing (default: results/latest).

    RUN is a run, a campaign, a folder of runs or of quantiles.parquet files. The runs are split at random into two
    sides, which the gate compares by its own rules: every regression is a false one. Besides that rate, each number is
    shown with how far runs differ, the smallest effect that so many runs find, and whether it drifts over the runs.

    A gate is called calibrated if the upper end of the rate's 95 % interval is below twice alpha, on 100 splits or more
    with at least 5 runs a side. Splits share runs, so the interval is narrower than that of as many fresh runs.

    The exit code is 0 if it is calibrated, 4 if that is not shown.
    """
    from analysis.compare import judge
    from analysis.compare.rules import PRIMARY, Rules, words
    from analysis.replicates import sameness
    from analysis.replicates.aa import Asked, calibrate
    from analysis.replicates.spread import pick
    from loadtests.units import not_one_of

    digests = sameness.of_arm(digests_of(runs or (Path("results/latest"),)), arm)
    meant = frozenset(word.strip() for text in across for word in text.split(",") if word.strip())
    metrics = tuple(dict.fromkeys(metrics))
    sameness.refuse_arms(digests)
    sameness.check(digests, meant)
    for name in metrics:
        if name not in words():
            raise click.UsageError(f'--metric "{name}" {not_one_of(name, words())}')
    pick(digests, metrics, asked=True)
    rules = Rules(alpha=alpha, primary=metrics or PRIMARY, across=meant | {"seed"}, only_primary=True)
    asked = Asked(rules.primary, splits, seed, sizes, alpha)
    found = calibrate(digests, asked, lambda a, b: judge.compare(a, b, rules))
    if as_json:
        dump(found.to_json())
    else:
        _show(found)
    return 0 if found.verdict == "calibrated" else 4


def _show(found: Calibration) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 110)
    word, colour = {
        "calibrated": ("CALIBRATED", "bold green"),
        "not_calibrated": ("NOT CALIBRATED", "bold red"),
        "not_known": ("NOT KNOWN", "bold yellow"),
    }[found.verdict]
    console.print(Text.assemble((word, colour), f"  {_headline(found)}"))
    for why in found.missing:
        console.print(Text(f"  {why}"))
    if found.invalid:
        console.print(Text(f"  left out, not valid: {', '.join(found.invalid)}", style="yellow"))
    console.print()
    console.print(_table(found))
    console.print(
        Text(
            f"detectable: by {found.size} runs a side with power 0.8, alpha shared by the primary numbers. "
            "Splits share runs: fresh runs would give the rate less precisely than its interval says.",
            style="dim",
        )
    )


def _headline(found: Calibration) -> str:
    what = f"{found.runs} runs, {found.splits} splits of {found.size} + {found.size} ({found.possible:,} possible)"
    if found.rate is None:
        return what
    share, lo, hi = (100 * one for one in (found.rate, found.lo, found.hi))
    return f"{what}: {found.regressions} false regressions, {share:.1f} % [{lo:.1f}, {hi:.1f}]"


def _table(found: Calibration) -> Table:
    from rich.table import Table

    from analysis.replicates.spread import told, unit_of
    from analysis.units import NONE, SHOWN_UNIT, shown

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("")
    for title in ("runs", "mean", "sd [95 %]", "detectable", "regressions", "drift"):
        table.add_column(title, justify="right", no_wrap=True)
    for line in found.lines:
        unit = unit_of(line.place)
        ends = f"{told(line.sd_lo, line.scale).split()[0]}{NONE}{told(line.sd_hi, line.scale).split()[0]}"
        drift = NONE if line.drift is None else told(line.drift.change, line.scale, sign=True)
        mark = "" if line.drift is None or not line.drift.certain else f" (p {line.drift.p:.2g})"
        table.add_row(
            line.place.words, str(line.runs), f"{shown(line.mean, unit)} {SHOWN_UNIT[unit]}",
            f"{told(line.sd, line.scale)} {ends}",
            NONE if line.detectable is None else told(line.detectable, line.scale, sign=True),
            str(line.regressions), drift + mark,
        )  # fmt: skip
    return table
