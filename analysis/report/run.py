"""The page of one run: each of its arms by itself, after their comparison where there are several."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from analysis import charts, digest, fairness, stats, table
from analysis.compare import sides
from analysis.compare.rules import Rules
from analysis.files import write_judgement
from analysis.metrics import METRICS
from analysis.report import page
from analysis.report.made import Made, put
from analysis.report.markdown import of_run
from analysis.report.pairs import shown_pair
from analysis.summary import SHOWN
from analysis.units import NONE, SHOWN_UNIT, shown
from analysis.validity import worst
from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from analysis.charts import Chart
    from analysis.compare.comparison import Comparison
    from analysis.fairness import Sheet
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
    if not judged[0].run.unfinished:
        write_judgement(judged)
    return put(judged[0].run.path, made(judged))


def made(judged: Sequence[Judged], title: str = "", objectives: Sequence[str] = ()) -> Made:
    """
    The report of a run, a function of its files alone.

    Args:
        judged: Its arms.
        title: What stands above it; else the run's name.
        objectives: What it was held against, where that is not what it was planned with; the page keeps them as texts,
            since a file of them may be gone or another one tomorrow.
    """
    prefixes = _prefixes([one.run.arm for one in judged])
    drawn = [_drawn(one, prefix) for one, prefix in zip(judged, prefixes, strict=True)]
    told = [_shown_arm(one.summary, some) for one, some in zip(judged, drawn, strict=True)]
    first, *others = (one.run.arm for one in judged)
    comparisons = [shown_pair((first, b), one) for b, one in zip(others, _comparisons(judged), strict=True)]
    options = {"title": title, "objectives": list(judged[0].measured.objectives.texts) if objectives else []}
    name = _name(judged)
    sheet = fairness_of({one.run.arm if len(judged) > 1 else name: fairness.of(one.run) for one in judged})
    page_of = html(judged, told, comparisons, sheet, options)
    plain = of_run(title or name, told, comparisons, sheet)
    return Made(page_of, tuple(chart for some in drawn for chart in some), plain)


def _drawn(one: Judged, prefix: str) -> list[Chart]:
    return [replace(chart, name=prefix + chart.name) for chart in charts.draw(one.run, one.summary)]


def _prefixes(arms: Sequence[str]) -> list[str]:
    """What stands before the charts' names of each arm, as part of a file's and of an id; nothing for one alone."""
    if len(arms) < 2:
        return [""]
    plain = [re.sub(r"[^\w-]+", "_", arm) for arm in arms]
    alike = {name for name, n in Counter(name.lower() for name in plain).items() if n > 1}
    return [f"{name}-{i}-" if name.lower() in alike else f"{name}-" for i, name in enumerate(plain, 1)]


def _name(judged: Sequence[Judged]) -> str:
    first = judged[0].run
    return first.name.removesuffix(f" · {first.arm}")


# The page.


def html(
    judged: Sequence[Judged], arms: Sequence[dict[str, Any]], comparisons: Sequence[dict[str, Any]],
    sheet: Mapping[str, Any], options: Mapping[str, Any],
) -> str:  # fmt: skip
    """The report as one self-contained page: a comparison of the arms where there are several, then each by itself."""
    first, name = judged[0], _name(judged)
    manifest = json.loads((first.run.path / record.MANIFEST).read_bytes())
    return page.render(
        "report/run.html.j2", "run", options,
        title=options["title"] or name,
        name=name,
        verdict=worst(one.summary.validity for one in judged).verdict,
        arms=arms,
        comparisons=comparisons,
        fairness=sheet,
        ps=[f"p{100 * p:g}" for p in SHOWN],
        **method(),
        command=shlex.join(first.summary.facts.argv) or "not recorded",
        manifest=json.dumps(manifest, indent=1, ensure_ascii=False),
        version=first.run.manifest.get("versions", {}).get("firsttoken", ""),
    )  # fmt: skip


def fairness_of(sheets: Mapping[str, Sheet]) -> dict[str, Any]:
    """What the fairness sheet tells, a column a side."""
    return {"names": list(sheets), "entries": fairness.entries(sheets), "biases": fairness.biases(sheets)}


def method() -> dict[str, Any]:
    """What the method box tells: every metric, and from how many requests a percentile is printed."""
    least = " / ".join(f"{stats.least_count(p):,} (p{100 * p:g})" for p in stats.LADDER[1:])
    return {"metrics": METRICS, "least": least}


def _comparisons(judged: Sequence[Judged]) -> list[Comparison]:
    """The first arm against each other one."""
    return sides.within([digest.of(one) for one in judged], Rules()) if len(judged) > 1 else []


def _shown_arm(summary: Summary, drawn: list[Chart]) -> dict[str, Any]:
    return {
        "s": summary,
        "counts": table.counts(summary),
        "checks": _checks(summary),
        "headline": _headline(summary),
        "rates": [_shown_rate(rate, summary.source_of(rate)) for rate in summary.rates if rate.value is not None],
        "table": [_shown_row(row, summary.source_of(row)) for row in summary.rows],
        "charts": drawn,
    }


def _checks(summary: Summary) -> str:
    """How many checks ended how, in words."""
    found = Counter(check.status for check in summary.validity.checks)
    return ", ".join(f"{n} {status.replace('_', ' ')}" for status, n in found.most_common())


def _shown_rate(rate: Rate, source: str) -> dict[str, str]:
    ends = [shown(end, rate.unit) for end in (rate.lo, rate.hi) if end is not None]
    value = NONE if rate.value is None else shown(rate.value, rate.unit)
    note = NONE.join(ends) or rate.reason or ""
    label, unit = _named(rate.label, source), SHOWN_UNIT[rate.unit]
    return {"label": label, "unit": unit, "value": value, "note": note, "n": f"{rate.n:,}"}


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
