"""`firsttoken runs`: what lies in a folder of runs; labels given afterwards; what is not needed any more, deleted."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from loadtests import clock
from loadtests.cli.stored import RunArgument

if TYPE_CHECKING:
    from loadtests.cli.kept import Kept
    from loadtests.cli.pruning import Chosen

RESULTS: Final = Path("results")
AGE: Final = re.compile(r"\s*([0-9]{1,15}(?:\.[0-9]*)?|\.[0-9]+)\s*(m|h|d|w)\s*")
AGES_S: Final = {"m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
SIZE: Final = re.compile(r"\s*([0-9]{1,15}(?:\.[0-9]*)?|\.[0-9]+)\s*(k|M|G|T)?B?\s*", re.IGNORECASE)
BYTES: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
JSON: Final = click.option("--json", "as_json", is_flag=True, help="As JSON.")
FOLDER: Final = click.argument(
    "folder", default=RESULTS, type=click.Path(path_type=Path), metavar="[FOLDER]",
)  # fmt: skip


class Age(click.ParamType[float]):
    """How long ago: 90m, 12h, 7d, 4w; in seconds."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds as float."""
        match = AGE.fullmatch(str(value))
        if match is None:
            self.fail(f"{value!r} isn't an age like 90m, 12h, 7d or 4w", param, ctx)
        return float(match[1]) * AGES_S[match[2]]


class Size(click.ParamType[int]):
    """Bytes: 500MB, 1GB, 1.5G."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes as int."""
        match = SIZE.fullmatch(str(value))
        if match is None:
            self.fail(f"{value!r} isn't a size like 500MB, 1GB or 1.5G", param, ctx)
        return int(float(match[1]) * BYTES[(match[2] or "").upper()])


class Listing(click.Group):
    """A group whose list needs no word of its own: `runs FOLDER` beside `runs label ...`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """What begins with no sub-command, and asks for no help, is meant for the list."""
        if not args or args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["list", *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Of the list; the sub-commands follow below."""
        formatter.write_usage(ctx.command_path, "[FOLDER] [OPTIONS]")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Those of the list, then the sub-commands."""
        click.Command.format_options(self.commands["list"], ctx, formatter)
        self.format_commands(ctx, formatter)


@click.group(
    cls=Listing,
    epilog="""\b
Examples:
  firsttoken runs
      what is in results/, the newest first
  firsttoken runs --since 7d --label branch=main --profile vllm
  firsttoken runs label results/latest build=1234 keep=release
      labels given afterwards; `history --label build` goes by them
  firsttoken runs prune --older-than 30d --dry-run
      what would go; without --dry-run it asks, then deletes
  firsttoken runs prune --larger-than 1GB --rows-only
      the rows go, the numbers stay: compare, gate and history still work""",
)
def runs() -> None:
    """List what is in a folder of runs (default: results), label it, prune it.

    One line for each run and campaign, as it was judged when it ended; nothing is judged again.
    """


@runs.command(
    "list",
    short_help="A line for each run and each campaign.",
    epilog="""\b
Examples:
  firsttoken runs list
  firsttoken runs list results/20261123-101500-vllm
      the runs of a campaign
  firsttoken runs list --json""",
)
@FOLDER
@click.option("--label", "labels", multiple=True, metavar="KEY[=VALUE]", help="Only those with this label. Repeatable.")
@click.option("--profile", metavar="NAME", help="Only those of this profile.")
@click.option("--since", type=Age(), metavar="AGE", help="Only those begun within 90m, 12h, 7d, 4w.")
@JSON
def list_(folder: Path, *, labels: tuple[str, ...], profile: str | None, since: float | None, as_json: bool) -> None:
    """One line per run and per campaign, the newest first: what was asked of whom, its verdict, TTFT, labels, size.

    TTFT is that of streams, in ms, where there are enough requests for it. FOLDER may be a campaign, or a run.
    """
    from loadtests.cli.listed import show
    from loadtests.cli.output import dump

    found = [kept for kept in _found(folder) if _is_asked(kept, labels, profile, since)]
    if as_json:
        dump([kept.to_json() for kept in found])
    elif found:
        show(found)
    else:
        asked = labels or profile or since
        click.echo(f"{folder}: no run {'of that kind ' if asked else ''}in it", err=True)


def _found(folder: Path) -> list[Kept]:
    """What is to be listed: what is in a folder, the runs of a campaign, or a run."""
    from loadtests.cli import kept

    _there(folder)
    one = kept.of(folder.resolve())
    if one is None:
        return kept.in_folder(folder)
    return list(one.runs) if one.is_campaign and one.runs else [one]


def _there(folder: Path) -> None:
    if ":/" in str(folder):  # of a URL, as a path has it
        raise click.UsageError(f"{folder}: `runs` looks into folders on this disk; name one")
    if not folder.is_dir():
        fix = "`firsttoken run` makes the first run" if folder == RESULTS else "name the folder that --out was given"
        raise click.UsageError(f"{folder}: no such folder; {fix}")


def _is_asked(kept: Kept, labels: tuple[str, ...], profile: str | None, since: float | None) -> bool:
    for pair in labels:
        key, equals, value = pair.partition("=")
        if not any(key in one.labels and (not equals or one.labels[key] == value) for one in (kept, *kept.runs)):
            return False
    if profile is not None and profile not in kept.profiles:
        return False
    return since is None or clock.realtime_ns() - kept.started_unix_ns <= since * 1e9


@runs.command(
    short_help="Add labels to a run or a campaign, or remove them.",
    epilog="""\b
Examples:
  firsttoken runs label results/latest
      the labels it has
  firsttoken runs label results/latest build=1234 branch=main
  firsttoken runs label results/20261123-101500-vllm keep=baseline
      prune keeps what is labelled keep
  firsttoken runs label results/latest --remove build""",
)
@click.argument("run", type=RunArgument(), metavar="RUN")
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--remove", "gone", multiple=True, metavar="KEY", help="Remove this label. Repeatable.")
@JSON
def label(run: Path, pairs: tuple[str, ...], *, gone: tuple[str, ...], as_json: bool) -> None:
    """Add labels to a run that is over, or remove them; without any, show those it has.

    Labels of a campaign go to all its runs. They are kept in run.json and with the numbers that history, compare and
    gate read; an existing report.html shows the old ones until it is drawn again.
    """
    from loadtests.cli.before import labels_of
    from loadtests.cli.labelling import relabel
    from loadtests.cli.listed import plain
    from loadtests.cli.output import dump
    from loadtests.record import REPORT

    given = labels_of(pairs, "")
    labels = relabel(run, given, gone)
    if as_json:
        dump(labels)
        return
    click.echo(plain(" ".join(f"{key}={value}" for key, value in sorted(labels.items()))) or "no labels")
    if (given or gone) and (run / REPORT).is_file():
        click.echo(f"note: {run / REPORT} shows the labels it was drawn with", err=True)


@runs.command(
    short_help="Delete runs and campaigns that are no longer needed.",
    epilog="""\b
Examples:
  firsttoken runs prune --keep 20 --dry-run
  firsttoken runs prune --older-than 30d --yes
  firsttoken runs prune --invalid --older-than 1d
      what is invalid and older than a day
  firsttoken runs prune --older-than 2w --rows-only
      requests.parquet goes; quantiles.parquet, the report and run.json stay""",
)
@FOLDER
@click.option("--keep", type=click.IntRange(min=0), metavar="N", help="All but the N newest.")
@click.option("--older-than", "older_s", type=Age(), metavar="AGE", help="Begun longer ago than 12h, 30d, 4w.")
@click.option("--invalid", is_flag=True, help="Called invalid by their own checks; of a campaign all runs.")
@click.option("--larger-than", "larger", type=Size(), metavar="SIZE", help="Larger than 500MB, 1GB.")
@click.option(
    "--rows-only", is_flag=True,
    help="Delete only requests.parquet: compare, gate and history work without it, summary and report do not.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show what would go, and delete nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@JSON
def prune(
    folder: Path, *, keep: int | None, older_s: float | None, invalid: bool, larger: int | None, rows_only: bool,
    dry_run: bool, yes: bool, as_json: bool,
) -> None:  # fmt: skip
    """Delete runs and campaigns of a folder that are no longer needed (default: results).

    Only what all the options given together name is deleted; give at least one. It is shown first, and you are asked. A
    run that is on stays, as does everything labelled keep=... and everything that is not a run or a campaign; links are
    not followed. A campaign goes as a whole. `latest` points to the newest that is left.
    """
    from loadtests.cli import kept, pruning

    if keep is None and older_s is None and larger is None and not invalid:
        raise click.UsageError("say what may go: --keep N, --older-than AGE, --invalid or --larger-than SIZE")
    _there(folder)
    if kept.of(folder.resolve()) is not None:
        raise click.UsageError(f"{folder}: a run or a campaign, which is deleted as a whole; name the folder it is in")
    rules = pruning.Rules(clock.realtime_ns(), keep, older_s, invalid, larger)
    chosen = pruning.choose(kept.in_folder(folder), rules, rows_only=rows_only)
    done = _prune(folder, chosen, rows_only=rows_only, dry_run=dry_run, yes=yes, quiet=as_json)
    if as_json:
        from loadtests.cli.output import dump

        gone = [one for one in done if not one.stays]
        dump({
            "pruned": [] if dry_run else [one.kept.name for one in gone], "freed_bytes": sum(one.freed for one in gone),
            "would_go": [one.kept.name for one in chosen if not one.stays],
            "stays": {one.kept.name: one.stays for one in done if one.stays},
        })  # fmt: skip


def _prune(
    folder: Path, chosen: list[Chosen], *, rows_only: bool, dry_run: bool, yes: bool, quiet: bool
) -> list[Chosen]:
    """Show what goes, ask, delete; returns what has gone, or would, and what stays after all."""
    from loadtests.cli import pruning
    from loadtests.cli.before import ask
    from loadtests.cli.listed import plain

    going = [one for one in chosen if not one.stays]
    if not quiet:
        _show(folder, chosen, rows_only=rows_only)
    if dry_run or not going:
        return chosen
    what = "the rows of " if rows_only else ""
    if not yes:
        ask(f"this deletes {what}{_told(going)} for good", "Delete them?")
    pruning.sweep_up(folder)
    done = [one if one.stays else replace(one, stays=pruning.delete(one.kept, rows_only=rows_only)) for one in chosen]
    pruning.mend_latest(folder)
    if not quiet:
        click.echo(f"deleted {what}{_told([one for one in done if not one.stays])}")
        for before, one in zip(chosen, done, strict=True):
            if one.stays != before.stays:
                click.echo(f"note: {plain(one.kept.name)} stays: {plain(one.stays)}", err=True)
    return done


def _show(folder: Path, chosen: list[Chosen], *, rows_only: bool) -> None:
    from loadtests.cli.listed import plain, sized, started

    for one in chosen:
        labels = "".join(f"  {key}={value}" for key, value in sorted(one.kept.labels.items()))
        word = f"stays: {one.stays}" if one.stays else f"{sized(one.freed):>8}  {one.kept.kind}{labels}"
        click.echo(plain(f"{started(one.kept)}  {one.kept.name}  {word}"))
    if not any(not one.stays for one in chosen):
        click.echo(f"{folder}: nothing {'of that kind has rows' if rows_only else 'of that kind'} to delete")


def _told(chosen: list[Chosen]) -> str:
    """How many they are and what that frees."""
    from loadtests.cli.listed import counted, sized

    return f"{counted([one.kept for one in chosen])} ({sized(sum(one.freed for one in chosen))})"
