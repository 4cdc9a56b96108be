"""The report: one HTML file that needs nothing else, and its charts beside it."""

from __future__ import annotations

import base64
import json
import shlex
from typing import TYPE_CHECKING, Any, Final

import jinja2

from analysis import charts, runs, stats, table
from analysis.files import place_text, write_judgement
from analysis.metrics import METRICS
from analysis.summary import SHOWN
from analysis.units import NONE, SHOWN_UNIT, shown
from loadtests import record

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.charts import Chart
    from analysis.runs import Run
    from analysis.summary import Cell, Row, Summary

HEADLINE: Final = (("ttft_s", 0.5), ("ttft_s", 0.95), ("latency_s", 0.5), ("latency_s", 0.95), ("tpot_s", 0.5))


def write(run: Run, summary: Summary) -> Path:
    """
    Write report.html, charts/*.svg, validity.json and quantiles.parquet into the run directory.

    The chunk lists are read here if the run was loaded without them.

    Returns:
        The path of report.html.
    """
    write_judgement(run, summary)
    if not set(runs.CHUNK_LISTS) <= set(run.requests.columns):
        run = runs.load(run.path, chunks=True)
    drawn = charts.draw(run, summary)
    (run.path / record.CHARTS).mkdir(exist_ok=True)
    for chart in drawn:
        place_text(run.path / record.CHARTS / f"{chart.name}.svg", chart.svg)
    return place_text(run.path / record.REPORT, html(run, summary, drawn))


# The page.


def html(run: Run, summary: Summary, drawn: list[Chart]) -> str:
    """The report as one self-contained page."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("analysis", "."), autoescape=True, undefined=jinja2.StrictUndefined
    )
    page = environment.get_template("report.html.j2")
    return page.render(
        s=summary,
        counts=table.counts(summary),
        headline=_headline(summary),
        ps=[f"p{100 * p:g}" for p in SHOWN],
        table=[_shown_row(row, summary.source_of(row)) for row in summary.rows],
        charts=[{"alt": chart.alt, "data": _data_uri(chart.svg)} for chart in drawn],
        metrics=METRICS,
        least=" / ".join(f"{stats.least_count(p):,} (p{100 * p:g})" for p in stats.LADDER[1:]),
        command=shlex.join(summary.facts.argv) or "not recorded",
        manifest=json.dumps(run.manifest, indent=1, ensure_ascii=False),
        version=run.manifest.get("versions", {}).get("firsttoken", ""),
    )


def _data_uri(svg: str) -> str:
    """As an image of its own, so that the names inside one chart cannot meet those of another."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _headline(summary: Summary) -> list[dict[str, str]]:
    """The few numbers on top: what was carried, what failed, and how long it took."""
    carried, failed = summary.rate("requests_per_s"), summary.rate("error_rate")
    top = [
        {"label": "requests/s done", "value": NONE if carried is None else shown(carried, "1/s"), "note": ""},
        {"label": "failed", "value": NONE if failed is None else f"{shown(failed, 'share')} %", "note": ""},
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
    return {"label": _named(row.label, source), "unit": SHOWN_UNIT[row.unit], "n": f"{row.n:,}", "cells": cells}


def _shown_cell(row: Row, cell: Cell) -> dict[str, str]:
    if cell.value is None:
        return {"value": NONE, "note": cell.reason or "", "why": ""}
    low = "0" if cell.lo is None else shown(cell.lo, row.unit)
    high = "∞" if cell.hi is None else shown(cell.hi, row.unit)
    bounded = cell.lo is not None or cell.hi is not None
    note = f"{low}{NONE}{high}" if bounded else "no interval"
    why = f"rests on a few extreme values; firm from {stats.firm_count(cell.p):,} requests" if cell.mark else ""
    return {"value": shown(cell.value, row.unit) + cell.mark, "note": note, "why": why}
