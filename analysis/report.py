"""The report: one HTML file that needs nothing else, and its charts beside it."""

from __future__ import annotations

import base64
import json
import re
import shlex
from typing import TYPE_CHECKING, Any, Final

import jinja2

from analysis import charts, digest, stats, table
from analysis.compare import sides
from analysis.compare.rules import Rules
from analysis.files import place_text, write_judgement
from analysis.metrics import METRICS
from analysis.summary import SHOWN
from analysis.units import NONE, SHOWN_UNIT, shown
from analysis.validity import worst
from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from analysis.charts import Chart
    from analysis.compare.comparison import Comparison, Line
    from analysis.rows import Cell, Rate, Row
    from analysis.summary import Judged, Summary

HEADLINE: Final = (("ttft_s", 0.5), ("ttft_s", 0.95), ("latency_s", 0.5), ("latency_s", 0.95), ("tpot_s", 0.5))


def write(judged: Sequence[Judged]) -> Path:
    """
    Write report.html, charts/*.svg, validity.json and quantiles.parquet into the run directory.

    The files that the arms were read from must still be there. Of an unfinished run nothing is written that a later
    judgement would read.

    Args:
        judged: The arms of one run; of several, the charts' names begin with the arm's.

    Returns:
        The path of report.html.
    """
    folder = judged[0].run.path
    if not judged[0].run.unfinished:
        write_judgement(judged)
    drawn = [charts.draw(one.run, one.summary) for one in judged]
    (folder / record.CHARTS).mkdir(exist_ok=True)
    for one, some in zip(judged, drawn, strict=True):
        prefix = f"{_plain(one.run.arm)}-" if len(judged) > 1 else ""
        for chart in some:
            place_text(folder / record.CHARTS / f"{prefix}{chart.name}.svg", chart.svg)
    return place_text(folder / record.REPORT, html(judged, drawn))


def _plain(name: str) -> str:
    """A name as part of a file's."""
    return re.sub(r"[^\w.-]+", "_", name)


# The page.


def html(judged: Sequence[Judged], drawn: Sequence[list[Chart]]) -> str:
    """The report as one self-contained page: a comparison of the arms where there are several, then each by itself."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("analysis", "."), autoescape=True, undefined=jinja2.StrictUndefined
    )
    first = judged[0]
    manifest = json.loads((first.run.path / record.MANIFEST).read_bytes())
    return environment.get_template("report.html.j2").render(
        name=first.run.name.removesuffix(f" · {first.run.arm}"),
        verdict=worst(one.summary.validity for one in judged).verdict,
        arms=[_shown_arm(one.summary, some) for one, some in zip(judged, drawn, strict=True)],
        comparisons=[_shown_comparison(one) for one in _comparisons(judged)],
        ps=[f"p{100 * p:g}" for p in SHOWN],
        metrics=METRICS,
        least=" / ".join(f"{stats.least_count(p):,} (p{100 * p:g})" for p in stats.LADDER[1:]),
        command=shlex.join(first.summary.facts.argv) or "not recorded",
        manifest=json.dumps(manifest, indent=1, ensure_ascii=False),
        version=first.run.manifest.get("versions", {}).get("firsttoken", ""),
    )


def _comparisons(judged: Sequence[Judged]) -> list[Comparison]:
    """The first arm against each other one."""
    return sides.within([digest.of(one) for one in judged], Rules()) if len(judged) > 1 else []


def _shown_arm(summary: Summary, drawn: list[Chart]) -> dict[str, Any]:
    return {
        "s": summary,
        "counts": table.counts(summary),
        "headline": _headline(summary),
        "rates": [_shown_rate(rate, summary.source_of(rate)) for rate in summary.rates if rate.value is not None],
        "table": [_shown_row(row, summary.source_of(row)) for row in summary.rows],
        "charts": [{"alt": chart.alt, "data": data_uri(chart.svg)} for chart in drawn],
    }


def _shown_rate(rate: Rate, source: str) -> dict[str, str]:
    ends = [shown(end, rate.unit) for end in (rate.lo, rate.hi) if end is not None]
    value = NONE if rate.value is None else shown(rate.value, rate.unit)
    note = NONE.join(ends) or rate.reason or ""
    label, unit = _named(rate.label, source), SHOWN_UNIT[rate.unit]
    return {"label": label, "unit": unit, "value": value, "note": note, "n": f"{rate.n:,}"}


def _shown_comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "a": comparison.a, "b": comparison.b, "settings": comparison.settings, "notes": comparison.notes,
        "verdict": comparison.verdict, "lines": [_shown_line(line) for line in comparison.lines],
    }  # fmt: skip


def _shown_line(line: Line) -> dict[str, str]:
    a, b = (NONE if value is None else shown(value, line.unit) for value in (line.a, line.b))
    points = line.scale == "difference"
    told = [_shown_effect(value, points=points) for value in (line.effect, line.lo, line.hi) if value is not None]
    around = f"{told[1]}{NONE}{told[2]}" if len(told) == 3 else line.reason if line.effect is None else ""
    group = f", {line.place.group}" if line.place.by or line.place.group == "whole" else ""
    verdict = (
        line.verdict.replace("_", " ") if line.primary else "worse" if line.worse else "better" if line.better else ""
    )
    return {
        "label": line.label + group, "what": line.place.what, "unit": SHOWN_UNIT[line.unit], "a": a, "b": b,
        "ratio": told[0] if told else NONE, "note": around, "verdict": verdict,
        "p": "" if line.p_adjusted is None else f"{line.p_adjusted:.2g}",
    }  # fmt: skip


def _shown_effect(value: float, *, points: bool) -> str:
    return f"{100 * value:+.2f} pt" if points else f"{value:.3f}"


def data_uri(svg: str) -> str:
    """As an image of its own, so that the names inside one chart cannot meet those of another."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _headline(summary: Summary) -> list[dict[str, str]]:
    """The few numbers on top: what was carried, what failed, and how long it took."""
    shown_first = {"requests_per_s": "requests/s done", "error_rate": "failed, %"}
    top = [
        {"label": label} | {key: told[key] for key in ("value", "note")}
        for metric, label in shown_first.items()
        for told in (_shown_rate(rate, "") for rate in summary.rates if rate.metric == metric)
    ]
    for metric, p in HEADLINE:
        row = summary.row(metric)
        if row is not None:
            cell = _shown_cell(row, row.cell(p))
            label = f"{_named(row.label, summary.source_of(row))} p{100 * p:g}"
            top.append({"label": f"{label}, {SHOWN_UNIT[row.unit]}", "value": cell["value"], "note": cell["note"]})
    return top


def _named(label: str, source: str) -> str:
    return f"{label} ({source})" if source else label


def _shown_row(row: Row, source: str) -> dict[str, Any]:
    cells = [_shown_cell(row, cell) for cell in row.cells]
    ends = [NONE if value is None else shown(value, row.unit) for value in (row.mean, row.worst)]
    label = _named(row.label, source)
    return {"label": label, "unit": SHOWN_UNIT[row.unit], "n": f"{row.n:,}", "cells": cells, "ends": ends}


def _shown_cell(row: Row, cell: Cell) -> dict[str, str]:
    if cell.value is None:
        return {"value": NONE, "note": cell.reason or "", "why": ""}
    low = "0" if cell.lo is None else shown(cell.lo, row.unit)
    high = "∞" if cell.hi is None else shown(cell.hi, row.unit)
    bounded = cell.lo is not None or cell.hi is not None
    note = f"{low}{NONE}{high}" if bounded else "no interval"
    why = f"rests on a few extreme values; firm from {stats.firm_count(cell.p):,} requests" if cell.mark else ""
    return {"value": shown(cell.value, row.unit) + cell.mark, "note": note, "why": why}
