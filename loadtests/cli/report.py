"""`firsttoken report`: a run, a comparison of several, a sweep or a search as one page that can be handed on."""

from __future__ import annotations

import os
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from loadtests.cli.compare import comparing
from loadtests.cli.drafts import drafts
from loadtests.cli.found import meanings_of, told_of
from loadtests.cli.judged import each_of
from loadtests.cli.output import dump, plain
from loadtests.cli.stored import RunArgument, url_of

if TYPE_CHECKING:
    from analysis.objectives import Objectives
    from analysis.report.made import Made
    from analysis.summary import Judged

LATEST = Path("results/latest")
APART = Path("report")
"""Where a report of several goes, unless --out says so: it is no single run's."""


class Asked(NamedTuple):
    """How a report is to be made: all that its page keeps of the command line, as texts; and to which runs it links."""

    title: str = ""
    objectives: tuple[str, ...] = ()
    across: tuple[str, ...] = ()
    margins: tuple[str, ...] = ()
    alpha: float = 0.05
    linked: tuple[str, ...] = ()


@click.command(
    epilog="""\b
Examples:
  firsttoken report                                        # results/latest
  firsttoken report results/20260101-120000-ab --title 'Two providers, one morning' --markdown
  firsttoken report results/A results/B results/C --out comparison --png
  firsttoken report ab/*-vllm --objective 'ttft_p95<1s'"""
)
@click.argument("runs", nargs=-1, type=RunArgument(), metavar="[RUN]...")
@click.option("--title", default="", metavar="TEXT", help="The headline.  [default: the name of the run or campaign]")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Where to write it.  [default: into the run or campaign; for several RUNs ./report]",
)  # fmt: skip
@click.option("--png", is_flag=True, help="Write the charts as PNG too, beside the SVG in charts/.")
@click.option("--markdown", is_flag=True, help="Write report.md too: the same words and numbers without the charts.")
@comparing
@click.option("--json", "as_json", is_flag=True, help="Print the report's path as JSON.")
def report(
    runs: tuple[Path, ...], *, title: str, out: Path | None, png: bool, markdown: bool, objectives: tuple[str, ...],
    across: tuple[str, ...], margins: tuple[str, ...], alpha: float, as_json: bool,
) -> int:  # fmt: skip
    """Draw one HTML file that opens from disk and needs nothing else (default: of results/latest).

    A run gives its numbers and charts. A campaign, or several RUNs, gives a comparison: who is ahead where the
    difference is real, what it costs, and what was not compared and why. A sweep or a search gives what it found, a run
    that is on or was killed what is there so far. charts/ beside it has each chart as SVG.
    """
    words = tuple(word.strip() for text in across for word in text.split(",") if word.strip())
    asked = Asked(title, objectives, words, margins, alpha)
    path = _written(each_of(runs or (LATEST,)), asked, out, png=png, markdown=markdown)
    shown = url_of(path) or (str(path.resolve()) if as_json else os.path.relpath(path))
    if as_json:
        dump(plain([{"report": shown}]))
    else:
        click.echo(shown)
    return 0


def draw(path: Path) -> None:
    """Draw the report of what has just been played and say where it is, or in a line why it cannot be drawn now."""
    from analysis.rundir import RunError

    try:
        page = _written([path], Asked(), None, png=False, markdown=False)
    except RunError as error:
        click.echo(f"firsttoken: {error}; draw it later: `firsttoken report {path}`", err=True)
    else:
        click.echo(f"report: {url_of(page) or os.path.relpath(page)}", err=True)


def _written(paths: list[Path], asked: Asked, out: Path | None, *, png: bool, markdown: bool) -> Path:
    """Make it and put it in its place."""
    from analysis.files import write_judgement
    from analysis.report.gathered import reported
    from analysis.report.made import put
    from analysis.rundir import RunError

    if len(paths) == 1 and out is None:
        asked = asked._replace(linked=reported(paths[0]))
    with drafts(paths) as kept:
        made, judged = made_of(paths, asked, kept)
    folder = out or (paths[0] if len(paths) == 1 else APART)
    try:
        # What others judge it by stays what it was planned with, whatever one page was asked for.
        if judged and not judged[0].run.unfinished and not asked.objectives:
            # A run that cannot be written into can still be drawn elsewhere.
            with suppress(OSError) if out else nullcontext():
                write_judgement(judged)
        return put(folder, made, png=png, markdown=markdown)
    except OSError as error:
        raise RunError(f"{folder}: {error.strerror or error}; name a directory that can be written: --out") from None


def made_of(paths: list[Path], asked: Asked, kept: dict[Path, Path]) -> tuple[Made, list[Judged]]:
    """
    The report of what RUN arguments stand for, not written yet; the same question gives the same report.

    Args:
        paths: One or more.
        asked: How.
        kept: By the directory of an unfinished run, links resolved, where the files of its state so far are.

    Returns:
        The report; and of a single run its judged arms, since its small files are due with it.

    Raises:
        RunError: The run cannot be read, or is one alone and was asked for how sides are compared.
    """
    from analysis.campaign import is_campaign, runs_of
    from analysis.objectives import read

    promised = read(asked.objectives) if asked.objectives else None
    if len(paths) == 1 and not _is_repeats(paths[0]):
        _refuse_rules(asked, paths[0])
    if len(paths) == 1 and (told := told_of(paths[0], promised)) is not None:
        from analysis.capacity.report import made

        return made(told, meanings_of(told), asked.title, asked.objectives), []
    if len(paths) == 1 and not is_campaign(paths[0]):
        from analysis.report import run
        from analysis.summary import judge

        judged = [judge(one, promised) for one in runs_of(paths[0], drafts=kept)]
        return run.made(judged, asked.title, asked.objectives), judged
    return _compared(paths, asked, promised, kept), []


def _is_repeats(path: Path) -> bool:
    """Whether a campaign lies there whose runs are repeats of each other, and no sweep or search."""
    from analysis import campaign
    from analysis.compare.sides import MANY_LOADS

    return campaign.is_campaign(path) and campaign.read(path).kind not in MANY_LOADS


def _refuse_rules(asked: Asked, path: Path) -> None:
    """Rules of a comparison say nothing about the page of one run, a sweep or a search."""
    from analysis.rundir import RunError

    usual, told = Asked(), {"--margin": "margins", "--alpha": "alpha", "--across": "across"}
    if given := [option for option, name in told.items() if getattr(asked, name) != getattr(usual, name)]:
        fix = f"name several RUNs, or `firsttoken compare {path}` for the arms of one"
        raise RunError(f"{path}: {given[0]} is for the report of a comparison, and this is not one; {fix}")


def _compared(paths: list[Path], asked: Asked, promised: Objectives | None, kept: dict[Path, Path]) -> Made:
    """Several runs, or the runs of a campaign, beside each other."""
    from analysis.gate.asked import rules
    from analysis.report import comparison
    from analysis.report.gathered import gather

    told = rules(asked.margins, (), asked.alpha, asked.across)
    return comparison.made(gather(paths, promised, kept, asked.linked), told, asked._asdict())
