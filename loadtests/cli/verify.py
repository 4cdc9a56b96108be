"""`firsttoken verify`: recompute every number of a report from its rows, and say what differs."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from loadtests.cli.judged import each_of
from loadtests.cli.output import dump
from loadtests.cli.report import LATEST, Asked
from loadtests.cli.stored import RunArgument, url_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analysis.verify.found import Looked

SHOWN: Final = 20
"""Differences that are told one by one."""
NAMED: Final = 3
"""Runs without rows that are told by name."""


@click.command(
    epilog="""\b
Examples:
  firsttoken verify                                        # results/latest
  firsttoken verify results/20260101-120000-ab --json
  firsttoken verify results/A results/B --report report     # what `firsttoken report results/A results/B` has drawn"""
)
@click.argument("runs", nargs=-1, type=RunArgument(whole=True), metavar="[RUN]...")
@click.option(
    "--report", "drawn", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR",
    help="The directory of a report of all these RUNs together.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="As JSON: what was checked, by the path of each run and page.")
def verify(runs: tuple[Path, ...], *, drawn: Path | None, as_json: bool) -> int:
    """Recompute every number of a report from its rows, and say what differs (default: results/latest).

    Checked are the files against the digests that run.json has kept since the run ended, run.json against its copy in
    requests.parquet, every derived value of a row against its stamps, chunks, tokens and prices, validity.json and
    quantiles.parquet against the rows, and report.html with its charts against the same page drawn again; of a
    campaign, a sweep or a search, each run and then the page of all.

    Made-up rows cannot be told from measured ones if all that follows from them and both digests were rewritten too.
    The exit code is 1 if something differs, 3 if the rows are not there to check.
    """
    paths = each_of(runs or (LATEST,))
    folders = [folder for path in paths for folder in _folders(path)]
    looked = {url_of(folder) or str(folder): list(_of(folder)) for folder in folders}
    if drawn is not None:
        looked[str(drawn)] = list(_page(paths, drawn))
    if as_json:
        dump({name: [one.to_json() for one in every] for name, every in looked.items()})
    else:
        _show(looked)
    every = [one for some in looked.values() for one in some]
    return 3 if any(one.missing for one in every) else 1 if any(one.differences for one in every) else 0


def _folders(path: Path) -> list[Path]:
    """Each run that a path stands for, and behind those of a campaign its own folder, where there is a page of all."""
    from analysis.campaign import is_campaign
    from analysis.compare.sides import run_folders
    from analysis.rundir import RunError
    from loadtests.record import REPORT

    if not path.is_dir():
        raise RunError(f"{path}: no such run directory; `firsttoken runs` lists what is in results")
    found = run_folders(path) or [path]
    return [*found, path] if is_campaign(path) and (path / REPORT).is_file() else found


def _of(folder: Path) -> Iterator[Looked]:
    from analysis.campaign import is_campaign
    from analysis.verify import run

    if is_campaign(folder):
        yield from _page([folder], folder)
        return
    told = list(run.check(folder, run.about(folder)))
    yield from told
    if not any(one.missing for one in told):
        yield from _judged(folder)


def _judged(folder: Path) -> Iterator[Looked]:
    """What follows from the rows once they are judged; the page too, where it was drawn."""
    from analysis.report import run as of_run
    from analysis.rundir import RunError
    from analysis.verify import judgement, report, run
    from analysis.verify.found import Looked
    from loadtests.record import REPORT

    try:
        judged = run.judged_again(folder)
    except RunError as error:
        yield Looked("judgement", note=str(error), missing=True)
        return
    yield from judgement.check(judged)
    if (folder / REPORT).is_file():
        asked = _asked(folder)
        if not run.held_against(judged, asked.objectives):
            judged = run.judged_again(folder, asked.objectives)
        yield from report.check(folder, of_run.made(judged, asked.title, asked.objectives))


def _page(paths: list[Path], folder: Path) -> Iterator[Looked]:
    """The page of a campaign, a sweep or a search, or of several runs, that lies in a folder."""
    from analysis.rundir import RunError
    from analysis.verify.found import Looked
    from loadtests.record import REPORT

    if not (folder / REPORT).is_file():
        raise RunError(f"{folder}: no {REPORT} in it; name the directory that `firsttoken report` has written")
    gone = _without_rows(paths)
    looked = None
    with suppress(RunError) if gone else nullcontext():
        looked = list(_compared(paths, folder))
    if looked is None or (gone and any(one.differences for one in looked)):
        why = f"no rows any more in {gone}: the page cannot be made anew"
        looked = [Looked(REPORT, note=why, missing=True)]
    yield from looked


def _compared(paths: list[Path], folder: Path) -> Iterator[Looked]:
    from analysis.verify import report
    from loadtests.cli.report import made_of

    made, _ = made_of(paths, _asked(folder), {})
    yield from report.check(folder, made)


def _without_rows(paths: list[Path]) -> str:
    """The runs that paths stand for whose rows were pruned, the first few by name; empty where there are none."""
    from analysis.compare.sides import run_folders
    from loadtests.record import REQUESTS

    every = [run for path in paths for run in run_folders(path)]
    gone = [f"{run.resolve().parent.name}/{run.resolve().name}" for run in every if not (run / REQUESTS).is_file()]
    more = len(gone) - NAMED
    return ", ".join(gone[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _asked(folder: Path) -> Asked:
    """With which options a page was asked for, as it says itself."""
    from analysis.verify import page
    from loadtests.record import REPORT

    told = page.meta((folder / REPORT).read_text(encoding="utf-8", errors="replace")).get("options")
    usual = Asked()
    known: dict[str, Any] = {}
    for key, value in told.items() if isinstance(told, dict) else ():
        plain = tuple(value) if isinstance(value, list) else value
        is_known = key in Asked._fields and isinstance(plain, type(getattr(usual, key)))
        if is_known and (not isinstance(plain, tuple) or all(isinstance(one, str) for one in plain)):
            known[key] = plain
    return usual._replace(**known)


# On the terminal.


def _show(looked: dict[str, list[Looked]]) -> None:
    left = SHOWN
    for name, every in looked.items():
        click.echo(name)
        for one in every:
            mark = "✗" if one.differences or one.missing else "·" if one.note else "✓"
            click.echo(f"  {mark} {one.what}" + (f": {one.note}" if one.note else ""))
            for difference in one.differences[: max(0, left)]:
                click.echo(f"    {difference}")
            left -= len(one.differences)
    if left < 0:
        click.echo(f"and {-left:,} more")
    differ = SHOWN - left
    click.echo(f"{differ:,} {'thing differs' if differ == 1 else 'things differ'}" if differ else "nothing differs")
