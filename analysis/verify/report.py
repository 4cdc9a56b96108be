"""report.html, charts/ and report.md against the same made anew."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from analysis.report.made import MARKDOWN
from analysis.verify import page
from analysis.verify.found import Difference, Looked
from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from analysis.charts import Chart
    from analysis.report.made import Made

ROWS: Final = "the rows"


def check(folder: Path, made: Made) -> Iterator[Looked]:
    """
    A report as it lies in a folder.

    Args:
        folder: With report.html in it.
        made: The same anew.
    """
    kept = (folder / record.REPORT).read_text(encoding="utf-8", errors="replace")
    looked = page.check(record.REPORT, kept, made.html)
    yield looked
    if page.other_versions(kept, made.html):
        yield Looked(record.CHARTS, note="drawn by other versions: not compared")
    elif (folder / record.CHARTS).is_dir():
        yield _charts(folder, made.charts)
    if pictures := len(list((folder / record.CHARTS).glob("*.png"))):
        yield Looked(f"{record.CHARTS}: {pictures} PNG", note="pixels are not compared; their SVG are")
    if (folder / MARKDOWN).is_file():
        yield _markdown((folder / MARKDOWN).read_text(encoding="utf-8", errors="replace"), made.markdown)


def _charts(folder: Path, charts: Sequence[Chart]) -> Looked:
    found = []
    for chart in charts:
        name = f"{record.CHARTS}/{chart.name}.svg"
        if not (folder / name).is_file():
            found.append(Difference(name, "", ROWS, "a chart"))
        elif (kept := (folder / name).read_text(encoding="utf-8", errors="replace")) != chart.svg:
            found += page.check(name, kept, chart.svg).differences
    return Looked(f"{record.CHARTS}: {len(charts)} charts", tuple(found))


def _markdown(kept: str, anew: str) -> Looked:
    pairs = list(zip_longest(kept.splitlines(), anew.splitlines(), fillvalue=""))
    found = [
        Difference(MARKDOWN, f'"{old}"', ROWS, f'"{new}"', f"line {line}")
        for line, (old, new) in enumerate(pairs, 1)
        if old != new
    ]
    return Looked(f"{MARKDOWN}: {len(pairs)} lines", tuple(found))
