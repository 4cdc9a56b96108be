"""The page about a sweep or a search: one HTML file that needs nothing else, and its charts beside it."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from analysis import campaign
from analysis.capacity import answered, levels, method
from analysis.capacity.beside import COLUMNS, beside
from analysis.capacity.meaning import UNNAMED
from analysis.capacity.page import link
from analysis.capacity.ranout import edge
from analysis.capacity.show import are_several, both, meant, named
from analysis.capacity.tried import at
from analysis.charts import bars, load, money, search, swept, timeline
from analysis.charts.frame import draw_one
from analysis.objectives import read as promises
from analysis.report import page
from analysis.report.made import Made, put
from analysis.report.markdown import of_loads
from analysis.rundir import RunError
from analysis.summary import judge
from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from analysis.capacity.answer import Answer
    from analysis.capacity.meaning import Meaning
    from analysis.capacity.told import Told
    from analysis.charts.frame import Chart

USERS: Final = "users"


class Figure(NamedTuple):
    """A chart where it stands on the page: under which heading, and what is said above it."""

    section: str
    chart: Chart
    above: str = ""


def write(told: Told, meanings: Sequence[Meaning] = ()) -> Path:
    """
    Write report.html and charts/*.svg into a campaign's folder.

    Args:
        told: A sweep, or a search.
        meanings: Of each answer of a search; without any, only the capacities are told.

    Returns:
        The path of report.html.
    """
    return put(told.path, made(told, meanings))


def made(told: Told, meanings: Sequence[Meaning] = (), title: str = "", objectives: Sequence[str] = ()) -> Made:
    """
    The report of a sweep or a search, a function of the files of its runs alone.

    Args:
        told: It.
        meanings: Of each answer of a search.
        title: What stands above it; else its name.
        objectives: What its runs were held against, where that is not what they were played with; the page keeps them
            as texts, since a file of them may be gone or another one tomorrow.
    """
    known = meant(told, meanings)
    figures = _of_search(told, known) if told.answers else _of_sweep(told)
    shown = _shown(told, known)
    options = {"title": title, "objectives": list(told.objectives) if objectives else []}
    page_of = page.render(
        "capacity/capacity.html.j2", told.kind, options,
        title=title or told.path.name,
        sections=_sections(figures), **shown,
    )  # fmt: skip
    return Made(page_of, tuple(one.chart for one in figures), of_loads(title or told.path.name, shown))


def _shown(told: Told, meanings: Sequence[Meaning]) -> dict[str, Any]:
    """What the page says in words and numbers."""
    about, manifest = _json(told.path / campaign.FILE), _json(told.path / told.points[0].run / record.MANIFEST)
    argv = about.get("argv") or next(iter(told.facts.values())).argv
    versions = manifest.get("versions") or {}
    return {
        "name": told.path.name,
        "so_far": _so_far(told),
        "answers": [answered.answered(one, told) for one in meanings],
        "arms": [] if told.answers else [_arm(name, told) for name in told.curves],
        "beside": _beside(meanings),
        "both": [{"sentences": pair.sentences, "use": pair.use} for pair in both(told.answers)],
        "method": method.of_search(about) if told.answers else method.of_sweep(told, about),
        "limits": method.limits(told),
        "objectives": told.objectives,
        "facts": [_facts(arm, told) for arm in told.facts],
        "versions": versions,
        "version": versions.get("firsttoken", ""),
        "runs": [_run(place, told) for place in range(len(told.points))],
        "command": shlex.join(argv) or "not recorded",
        "manifest": json.dumps(about, indent=1, ensure_ascii=False),
    }


def _so_far(told: Told) -> str:
    """That it is not over; from its file alone, so that the page is the same wherever it is drawn."""
    if told.is_over:
        return ""
    verb = f"`firsttoken {told.kind} --resume {told.path.name}`"
    return f"This {told.name} is not over, and this is its state so far; where it was stopped, {verb} continues it."


def _json(path: Path) -> dict[str, Any]:
    """A file beside the page; empty where it is not there."""
    found = json.loads(path.read_bytes()) if path.is_file() else {}
    assert isinstance(found, dict)
    return found


def _sections(figures: Sequence[Figure]) -> list[dict[str, Any]]:
    """Figures by their headings, in order of appearance."""
    titles = dict.fromkeys(figure.section for figure in figures)
    return [
        {
            "title": title,
            "figures": [{"chart": one.chart, "above": one.above} for one in figures if one.section == title],
        }
        for title in titles
    ]


def _arm(name: str, told: Told) -> dict[str, Any]:
    return levels.swept(name, told.curves[name], told.path, named=len(told.curves) > 1)


def _beside(meanings: Sequence[Meaning]) -> dict[str, Any] | None:
    if not are_several(meanings):
        return None
    found = beside(meanings)
    return {
        "columns": COLUMNS,
        "rows": [named(row, found) for row in found.rows],
        "said": [*found.ranking, *found.break_even, *found.notes],
    }


def _facts(arm: str, told: Told) -> dict[str, Any]:
    one = told.facts[arm]
    runs = sum(point.arm == arm for point in told.points)
    return {"arm": "" if arm == UNNAMED else arm, "runs": runs, "f": one}


def _run(place: int, told: Told) -> dict[str, Any]:
    point = told.points[place]
    unit = "/s" if point.mode == "rate" else f" user{'' if point.load == 1 else 's'}"
    several = len(told.facts) > 1
    return {
        "link": link(told.path, point.run), "load": f"{point.load:.4g}{unit}", "arm": point.arm if several else "",
        "n": f"{point.requests:,}", "state": point.state, "why": point.why, "verdict": point.verdict,
    }  # fmt: skip


# Charts.


def _of_sweep(told: Told) -> list[Figure]:
    return [Figure("Charts", chart) for chart in _of_load(told, {})]


def _of_load(told: Told, answers: Mapping[str, Answer]) -> list[Chart]:
    """Those of the curves, but for those that have nothing to show."""
    if not told.curves:
        return []
    curves = {_label(name): curve for name, curve in told.curves.items()}
    answers = {_label(name): answer for name, answer in answers.items()}
    drawn = load.curves(curves, promises(told.objectives).terms if told.objectives else (), answers, _clock(told))
    return [chart for chart in drawn if not chart.is_empty]


def _label(name: str) -> str:
    """A curve's name for people: `fast by users`; without that of an arm that nobody named."""
    words = name.removeprefix(f"{UNNAMED} ")
    return words.removesuffix("concurrency") + USERS if words.endswith("by concurrency") else words


def _clock(told: Told) -> str:
    clocks = {facts.clock for facts in told.facts.values()}
    return clocks.pop() if len(clocks) == 1 else "mixed"


def _of_search(told: Told, meanings: Sequence[Meaning]) -> list[Figure]:
    small = swept.footer(told.curves.values(), _clock(told))
    found = []
    if are_several(meanings):
        found.append(Figure("Side by side", bars.chart(beside(meanings).rows, small)))
    for place, answer in enumerate(told.answers):
        several = len(told.answers) > 1
        of = f", {_label(f'{answer.arm} by {answer.mode}')}" if several else ""
        found.append(Figure("The search", search.chart(answer, small, f"search{f'-{place + 1}' * several}", of)))
    names = {_curve(answer, told): answer for answer in told.answers}
    found += [Figure("Latency and throughput at each load", chart) for chart in _of_load(told, names)]
    if any(map(money.is_known, meanings)):
        found.append(Figure("Cost against latency", money.chart(meanings, small)))
    return [*found, *_of_server(told)]


def _curve(answer: Answer, told: Told) -> str:
    """The name of an answer's curve: the arm's, or where it was loaded both ways, that with the way."""
    both_ways = f"{answer.arm} by {answer.mode}"
    return both_ways if both_ways in told.curves else answer.arm


def _of_server(told: Told) -> Iterator[Figure]:
    """The runs on both sides of each capacity over time, with the server's figures; none where it was not asked."""
    for answer in told.answers:
        for probe, which in zip(edge(answer), ("the highest load that passed", "the lowest that failed"), strict=True):
            run = None if probe is None else next((one.run for one in probe.points if one.run in told.said), None)
            chart = None if run is None else _timeline(told.path / run, answer.arm)
            if probe is not None and chart is not None:
                above = f"Probe {probe.step.number}, {at(probe)}: {which}. {' '.join(_says(told, run))}".strip()
                yield Figure("The server's own view", chart, above)


def _says(told: Told, run: str | None) -> list[str]:
    return [f"{text[:1].upper()}{text[1:]}." for text in told.said[run].says] if run else []


def _timeline(folder: Path, arm: str) -> Chart | None:
    """A run over time; None where its rows are not there any more."""
    try:
        runs = campaign.runs_of(folder)
    except RunError:
        return None
    run = next((one for one in runs if one.arm == arm), runs[0])
    name = re.sub(r"[^\w.-]+", "_", f"timeline-{folder.name}-{arm}" if len(runs) > 1 else f"timeline-{folder.name}")
    return draw_one(name, timeline.timeline, run, judge(run).summary)
