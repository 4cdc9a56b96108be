"""A report as it is made, and how it gets into a directory."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from analysis.files import place, place_text
from loadtests import record

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.charts import Chart

MARKDOWN: Final = "report.md"
PICTURES: Final = (".svg", ".png")
CHART: Final = re.compile(r'<figure id="chart-([\w.-]+)">')


@dataclass(frozen=True, slots=True)
class Made:
    """
    A report that nobody has written yet.

    Attributes:
        html: The whole page.
        charts: In the order of the page, each name once.
        markdown: The same without pictures.
    """

    html: str
    charts: tuple[Chart, ...]
    markdown: str


def put(folder: Path, made: Made, *, png: bool = False, markdown: bool = False) -> Path:
    """
    Write report.html and charts/*.svg; what is there of an earlier report and not of this one is taken away.

    Args:
        folder: Where to; made where it is not there.
        made: What to write.
        png: charts/*.png too.
        markdown: report.md too.

    Returns:
        The path of report.html.
    """
    charts, earlier = folder / record.CHARTS, _earlier(folder / record.REPORT)
    charts.mkdir(parents=True, exist_ok=True)
    for chart in made.charts:
        place_text(charts / f"{chart.name}.svg", chart.svg)
        if png:
            _picture(charts / f"{chart.name}.png", chart)
    drawn = {f"{chart.name}{kind}" for chart in made.charts for kind in (PICTURES if png else PICTURES[:1])}
    for name in {f"{name}{kind}" for name in earlier for kind in PICTURES} - drawn:
        (charts / name).unlink(missing_ok=True)
    if markdown:
        place_text(folder / MARKDOWN, made.markdown)
    elif earlier:
        (folder / MARKDOWN).unlink(missing_ok=True)  # it would say something else
    return place_text(folder / record.REPORT, made.html)


def _picture(path: Path, chart: Chart) -> None:
    place(path, lambda partial: partial.write_bytes(chart.png()))


def _earlier(page: Path) -> set[str]:
    """The charts of the report that is there; none where there is no report of ours."""
    if not page.is_file():
        return set()
    text = page.read_text(encoding="utf-8", errors="replace")
    return set(CHART.findall(text)) if '<script type="application/json" id="firsttoken">' in text else set()
