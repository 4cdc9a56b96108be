"""`firsttoken gate`: candidate against baseline and objectives, one exit code for a build server."""

from __future__ import annotations

import errno
import glob
import os
import re
import sys
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from loadtests.cli.output import fail
from loadtests.cli.stored import RunArgument

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from analysis.gate.verdict import Verdict

NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._]|-(?!-)){0,59}")
COLOURS: Final = {"pass": "green", "regression": "red", "invalid": "red", "inconclusive": "yellow"}
HINT: Final = "name runs to compare it with (--baseline), or what it has to meet (--objectives 'ttft_p95<2s')"

EXAMPLES = """\b
Examples:
  firsttoken gate --baseline results/main --candidate results/pr
      two campaigns, each made by `firsttoken run --repeats 5 ...`
  firsttoken gate --baseline baseline/ --candidate 'results/*-vllm' --margin ttft_p95=15% --across host
      a folder of quantiles.parquet files kept in a repository, and every run that matches a pattern
  firsttoken gate --baseline results/ab --baseline-arm old --candidate results/ab --candidate-arm new
      two arms of one campaign, played in turn: the surest comparison
  firsttoken gate --candidate results/latest --objectives 'ttft_p95<2s' --objectives 'error_rate<1%'
      objectives alone
  firsttoken gate --baseline results/main --candidate results/pr --objectives slo.toml --on-inconclusive pass

\b
Exit codes:
  0 pass   1 regression, or an objective missed   2 usage, or runs that are not alike   3 a run is not valid
  4 inconclusive: too few runs or requests to decide (--on-inconclusive pass|fail makes it 0 or 1)"""


class RunsArgument(click.ParamType[list[Path]]):
    """A run, a campaign, a folder of either or of quantiles.parquet files, a URL, or a pattern in quotes."""

    name = "runs"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[Path]:
        """The paths it stands for, in order of their names, each place once."""
        if "://" in value or not glob.has_magic(value) or Path(value).exists():
            return [RunArgument().convert(value, param, ctx)]
        places = map(Path, sorted(glob.glob(value)))  # noqa: PTH207 - a pattern may begin anywhere
        found = [path for path in places if path.is_dir() or path.suffix == ".parquet"]
        if not found:
            self.fail(f'no run matches "{value}"; name a run, a campaign or a folder of them', param, ctx)
        return list({path.resolve(): path for path in reversed(found)}.values())[::-1]


class Gate(click.Command):
    """The verb; what is wrong with its words is told in its files too."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the words; --out and --name are looked for by themselves, as click may not get to them."""
        out, name = _word(args, "--out"), _word(args, "--name") or ""
        with _told_in(None if out is None else Path(out), name):
            return super().make_context(info_name, args, parent, **extra)


@click.command(cls=Gate, epilog=EXAMPLES)
@click.option(
    "--baseline", multiple=True, type=RunsArgument(), metavar="RUNS", help="The runs to judge against; repeatable."
)
@click.option("--candidate", multiple=True, type=RunsArgument(), metavar="RUNS", help="The runs to judge; repeatable.")
@click.option("--baseline-arm", metavar="NAME", help="Arm to take as baseline, if its runs have several.")
@click.option("--candidate-arm", metavar="NAME", help="Arm to take as candidate, if its runs have several.")
@click.option(
    "--objectives",
    multiple=True,
    metavar="FILE|PRESET|TEXT",
    help="What the candidate has to meet, like 'ttft_p95<2s'; a TOML file may hold margins, primary and alpha too;"
    " repeatable.",
)
@click.option(
    "--margin",
    "margins",
    multiple=True,
    metavar="NAME=AMOUNT",
    help="Acceptable change, like ttft_p95=15%; repeatable.  [default: p95, p99 10%; shares 1%; else 5%]",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="A metric that decides, instead of TTFT p50 and p95, TPOT p50, latency p95, goodput, error rate; repeatable.",
)
@click.option(
    "--alpha",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="F",
    help="Chance of a false alarm, over all metrics that decide.  [default: 0.05]",
)
@click.option(
    "--across",
    multiple=True,
    metavar="WORDS",
    help="What the sides may differ in: host, seed, load, workload, objectives, output, cache; comma-separated.",
)
@click.option(
    "--on-inconclusive",
    type=click.Choice(["pass", "fail"]),
    help="Exit with 0 or 1 instead of 4 if it cannot decide; never with 0 if a metric that decides is missing.",
)
@click.option("--name", default="", metavar="NAME", help="Keeps several gates of one pull request apart.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where verdict.json, junit.xml and comment.md go.  [default: gate, or gate-NAME]",
)
@click.option("--json", "as_json", is_flag=True, help="Print verdict.json; messages go to stderr.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of verdict.json, and do nothing else.")
def gate(**given: Any) -> int:
    """Judge a candidate's runs against a baseline's, against objectives, or both: one verdict for a build server.

    A regression is a change for the worse beyond chance, with 5 runs a side or more, corrected for the number of
    metrics. A pass is a change that is certainly below its margin. Anything else is inconclusive, and says how many
    runs would decide.

    Of several candidate runs, an objective is missed if more than half of them miss it by themselves, and met if more
    than half meet it and none misses. What that leaves open is judged on the requests of all runs together, if there
    are 5 runs or more. Runs that are not valid decide nothing, with one exception: if a candidate's runs are invalid
    because its requests fail, and error rate, goodput or attainment shows it, that is a regression.

    Besides the exit code it leaves verdict.json, junit.xml and comment.md; under GitHub Actions it adds to the step's
    summary and prints annotations. The same runs give the same files.
    """
    from analysis.gate import files

    if given["schema"]:
        click.echo(files.schema(), nl=False)
        return 0
    folder = _folder(given["out"], given["name"])
    with _told_in(given["out"], given["name"]):
        _check(given)
        assert folder is not None
        with suppress(OSError):
            files.clear(folder)
        verdict = _judged(given)
    try:
        place = files.write(verdict, folder)
    except OSError as error:
        text = f"--out {folder}: {error.strerror or error}; name another place"
        return fail(text, 3 if error.errno == errno.ENOSPC else 2)
    _show(verdict, place, as_json=given["as_json"])
    _tell_github(verdict, err=given["as_json"])
    return verdict.exit_code


def _folder(out: Path | None, name: str) -> Path | None:
    """Where the files go; None for a name that none may have."""
    if out is not None:
        return out
    return Path(f"gate-{name.replace(' ', '-')}" if name else "gate") if not name or NAME.fullmatch(name) else None


def _word(args: Sequence[str], option: str) -> str | None:
    """What was last said for an option."""
    found = [after for word, after in pairwise(args) if word == option]
    found += [word.partition("=")[2] for word in args if word.startswith(f"{option}=")]
    return found[-1] if found else None


@contextmanager
def _told_in(out: Path | None, name: str) -> Iterator[None]:
    """What goes wrong is told where the verdict would be, in the place of an earlier one, and goes on."""
    try:
        yield
    except (click.exceptions.Exit, click.exceptions.Abort):
        raise
    except Exception as error:
        from analysis.gate import files
        from analysis.gate.annotations import mistake
        from loadtests.guard import masked

        folder = _folder(out, name)
        said = error.format_message() if isinstance(error, click.ClickException) else str(error)
        text = " ".join(masked(said).split())
        with suppress(OSError):
            if folder is not None:
                files.write_mistake(text, name, folder)
        if os.environ.get("GITHUB_ACTIONS") == "true":
            click.echo(mistake(text, name), err=True)
        raise


def _check(given: dict[str, Any]) -> None:
    """Refuse what cannot be judged before anything is read."""
    if not given["candidate"]:
        raise click.UsageError("--candidate is missing: name the runs to judge")
    if not given["baseline"] and not given["objectives"]:
        raise click.UsageError(f"nothing to judge the candidate by: {HINT}")
    for option in ("baseline_arm", "margins", "metrics", "alpha", "across"):
        if given[option] and not given["baseline"]:
            word = {"margins": "margin", "metrics": "metric"}.get(option, option.replace("_", "-"))
            raise click.UsageError(f"--{word} is about a comparison: name the runs to compare with --baseline")
    if given["name"] and not NAME.fullmatch(given["name"]):
        allowed = "letters, digits, space and ._- (no --), at most 60"
        raise click.UsageError(f'--name "{given["name"]}": isn\'t {allowed}')


def _judged(given: dict[str, Any]) -> Verdict:
    from analysis.gate.asked import rules
    from analysis.gate.evidence import Asked, gather
    from analysis.gate.verdict import decide
    from analysis.objectives import is_file, read

    objectives = read(given["objectives"])
    held = [term for term in objectives.terms if term not in objectives.idle]
    if not held and not given["baseline"]:
        raise click.UsageError(f"--objectives {' '.join(given['objectives'])}: holds nothing that decides; {HINT}")
    files = [Path(value) for value in given["objectives"] if is_file(value)]
    across = [word.strip() for words in given["across"] for word in words.split(",") if word.strip()]
    baseline, candidate = ([path for paths in given[side] for path in paths] for side in ("baseline", "candidate"))
    judged_by = rules(given["margins"], given["metrics"], given["alpha"], across, files)
    asked = Asked(baseline, candidate, objectives, judged_by, (given["baseline_arm"], given["candidate_arm"]))
    return decide(gather(asked), given["name"], given["on_inconclusive"])


# What is said about it.


def _show(verdict: Verdict, place: Path, *, as_json: bool) -> None:
    """The comparison's table, the objectives, then the verdict with its reason and the next step."""
    from rich.console import Console

    from analysis.compare.table import render
    from analysis.gate import files

    console = Console(width=None if sys.stdout.isatty() else 100, stderr=as_json)
    if as_json:
        click.echo(files.text_of(verdict), nl=False)
    elif verdict.comparison is not None:
        render(verdict.comparison, console, brief=True)
        console.print()
    _say(verdict, console)
    click.echo(f"verdict: {os.path.relpath(place)}", err=as_json)


def _say(verdict: Verdict, console: Console) -> None:
    from rich.text import Text

    from analysis.gate import words

    first, *others = verdict.reasons
    told = map(words.promise, verdict.objectives)
    lines = [Text(one) for one in told if one not in verdict.reasons]
    lines.append(Text.assemble((verdict.verdict.upper(), f"bold {COLOURS[verdict.verdict]}"), f"  {first}"))
    lines += [Text(f"  {reason}") for reason in others]
    for line in [*lines, *([Text(f"next: {verdict.next_step}")] if verdict.next_step else [])]:
        console.print(line, soft_wrap=True)


def _tell_github(verdict: Verdict, *, err: bool) -> None:
    """Annotations and the step's summary, where this is a step of GitHub Actions."""
    from analysis.gate import files
    from analysis.gate.annotations import commands

    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in commands(verdict):
            click.echo(line, err=err)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            why = "" if files.append_summary(verdict, Path(summary)) else "it has no room left"
        except OSError as error:
            why = str(error.strerror or error)
        if why:
            click.echo(f"note: $GITHUB_STEP_SUMMARY: {why}; comment.md has it", err=True)
