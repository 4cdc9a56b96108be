"""`firsttoken history`: where a number changed for good over many runs."""

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
    from collections.abc import Sequence

    from rich.console import Console
    from rich.text import Text

    from analysis.replicates.history import Course, History, Series, Step

LINE = 60
"""Points of a drawn line; of more, the last so many."""

BARS = "▁▂▃▄▅▆▇█"

EXAMPLES = """\b
Examples:
  firsttoken run --label commit=$(git rev-parse --short HEAD) --repeats 5 ...
      one campaign for each commit
  firsttoken history --label commit
      all runs in results/, one point for each commit, and where numbers changed
  firsttoken history baseline/ --metric ttft_p99 --metric goodput --min-effect 5% --svg history.svg
      two numbers, from the quantiles.parquet files that a repository keeps, as a chart"""


@click.command(epilog=EXAMPLES)
@click.argument("runs", nargs=-1, type=RunArgument(), metavar="[FOLDER|RUN]...")
@click.option(
    "--metric", "metrics", multiple=True, metavar="NAME",
    help="A number to follow, like ttft_p50 or goodput (default: the gate's primary ones). Repeatable.",
)  # fmt: skip
@click.option(
    "--label", metavar="KEY", help="Runs with the same value of this label are one point; see run --label KEY=VALUE."
)
@click.option(
    "--min-effect", type=Share(), default="2%", show_default=True, metavar="SHARE",
    help="Changes smaller than this are left out; for shares like the error rate, points.",
)  # fmt: skip
@click.option("--svg", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Draw a chart too.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, one object.")
def history(
    runs: tuple[Path, ...], *, metrics: tuple[str, ...], label: str | None, min_effect: float, svg: Path | None,
    as_json: bool,
) -> int:  # fmt: skip
    """Put many runs in order of time and say where a number changed for good (default: results).

    FOLDER holds runs, campaigns or quantiles.parquet files. Runs of another profile, model, load or kind of machine
    form another series; runs that are not valid are left out and named. Change points are found by E-divisive means and
    a t test (p < 0.001): one odd run is not a change, and two to four runs must follow before one is seen.
    """
    from analysis.compare.rules import PRIMARY
    from analysis.replicates.history import trace

    found = trace(
        digests_of(runs or (Path("results"),)), metrics or PRIMARY, label=label, least_effect=min_effect,
        asked=bool(metrics),
    )  # fmt: skip
    if svg is not None:
        _draw(found, svg)
    if as_json:
        dump(found.to_json())
    else:
        _show(found)
    return 0


def _draw(found: History, svg: Path) -> None:
    from analysis.charts.history import chart
    from analysis.files import place_text

    try:
        place_text(svg, chart(found).svg)
    except OSError as error:
        raise click.UsageError(f"--svg {svg}: {error.strerror}; name a file in a folder that exists") from None


def _show(found: History) -> None:
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 110)
    for place, series in enumerate(found.series):
        if place:
            console.print()
        _show_series(series, console)


def _show_series(series: Series, console: Console) -> None:
    from rich.text import Text

    from analysis.replicates.history import LEAST_POINTS

    console.print(Text(series.name, style="bold"))
    if series.why:
        console.print(Text(f"  another series: {'; '.join(series.why[:4])}", style="dim"))
    console.print(Text(f"  {_points(series)}", style="dim"))
    if series.invalid:
        console.print(Text(f"  left out, not valid: {', '.join(series.invalid)}", style="yellow"))
    if len(series.points) < LEAST_POINTS:
        console.print(Text(f"  a change needs {LEAST_POINTS} points or more to be seen"))
    for course in series.courses:
        for text in _lines(course):
            console.print(text, soft_wrap=True)


def _points(series: Series) -> str:
    count, runs = len(series.points), sum(len(point.runs) for point in series.points)
    if not count:
        return "no run of it is valid"
    told = f"{count} point{'s' * (count != 1)}" + (f" of {runs} runs" if runs != count else "")
    return f"{told}, {series.points[0].label} to {series.points[-1].label}"


def _lines(course: Course) -> list[Text]:
    """A number as a line of bars, marks below it where it changed, and a sentence for each change."""
    from rich.text import Text

    from analysis.replicates.spread import unit_of
    from analysis.units import NONE, SHOWN_UNIT, shown

    unit = unit_of(course.place)
    known = [value for value in course.values if value is not None]
    ends = f"{shown(min(known), unit)}{NONE}{shown(max(known), unit)} {SHOWN_UNIT[unit]}"
    lines = [Text.assemble(f"  {course.place.words:<16} ", bars(course.values), (f"  {ends}", "dim"))]
    if course.steps:
        lines.append(Text(" " * 19 + marks(course), style="bold"))
    return [*lines, *(_told(course, step) for step in course.steps)]


def bars(values: Sequence[float | None]) -> str:
    """The last values as bars between the least and the greatest of them; a dot for none."""
    shown = values[-LINE:]
    known = [value for value in shown if value is not None]
    low, high = min(known), max(known)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join("·" if value is None else BARS[round((value - low) * scale)] for value in shown)


def marks(course: Course) -> str:
    """A mark below each of the bars at which a new level begins."""
    first = max(0, len(course.values) - LINE)
    places = [step.index - first for step in course.steps if step.index >= first]
    return "".join("▲" if place in places else " " for place in range(max(places, default=-1) + 1))


def _told(course: Course, step: Step) -> Text:
    from rich.text import Text

    from analysis.replicates.spread import unit_of
    from analysis.units import SHOWN_UNIT, shown

    unit = unit_of(course.place)
    word, colour = {True: ("worse", "red"), False: ("better", "green"), None: ("changed", "")}[step.worse]
    levels = f"{shown(step.before, unit)} → {shown(step.after, unit)} {SHOWN_UNIT[unit]}"
    change, beside = _change(course, step), f"; together with {'; '.join(step.beside)}" if step.beside else ""
    return Text.assemble(
        "    ▲ at ", (step.label, "bold"), f": {levels}, {change}, p {step.p:.1g}, ", (word, colour), beside
    )


def _change(course: Course, step: Step) -> str:
    """How far it went: points of a share, else per cent, which a level of 0 has not."""
    from analysis.replicates.spread import told, unit_of

    if course.scale == "ratio" or unit_of(course.place) == "share":
        return told(step.size, course.scale, sign=True)
    if min(step.before, step.after) <= 0:
        return "from or to 0"
    return told(step.after / step.before - 1, "ratio", sign=True)
