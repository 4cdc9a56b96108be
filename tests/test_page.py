"""What all pages share: charts that are part of them, what they know of themselves, and how they get on the disk."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import synthetic

from analysis import arms, rundir, summary
from analysis.charts.frame import BLUE, ORANGE, Canvas, Chart, drawn
from analysis.report import page
from analysis.report.made import Made, put
from analysis.report.markdown import table, text
from analysis.report.run import made
from analysis.units import NONE

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.record import Record


def line(name: str = "line", label: str = "TTFT (ms, log scale)") -> Chart:
    """Three points: (1, 10), (2, 20) with an interval, (3, none)."""

    def draw(canvas: Canvas) -> None:
        axes = canvas.axes("A line & more")
        axes.fill_between([1, 2], [8, 18], [12, 22], color=ORANGE)
        axes.plot([1, 2], [10, 20], color=BLUE)
        axes.set(xlabel="load (requests/s)", ylabel=label)
        band = [np.nan, 18, np.nan], [np.nan, 22, np.nan]
        canvas.tell(axes, "", [1, 2, 3], [10, 20, np.nan], band=band)
        canvas.alt = 'Two points, "quoted" & <marked>.'

    return drawn(name, draw, "n = 2")


def test_a_chart_has_its_values_as_a_table() -> None:
    found = line().table

    assert found.columns == ("load (requests/s)", "TTFT (ms)")
    assert found.rows == (("1", "10.0"), ("2", "20.0 [18.0, 22.0]"), ("3", NONE))


def test_a_pointer_finds_the_values_where_they_are_drawn() -> None:
    """The axes of a plain chart begin 0.75 in from the left of 7.6; x runs from 1 to 2 with margins of 5 %."""
    first, last = line().spots

    assert [spot.text for spot in (first, last)] == [
        "TTFT 10.0 ms at load 1 requests/s", "TTFT 20.0 [18.0, 22.0] ms at load 2 requests/s",
    ]  # fmt: skip
    left, right = 0.75 / 7.6, 1 - 0.35 / 7.6
    width = right - left
    assert first.x == pytest.approx(left + width * 0.05 / 1.1, abs=1e-3)
    assert last.x == pytest.approx(right - width * 0.05 / 1.1, abs=1e-3)
    assert first.y > last.y  # from the top


def test_lines_over_the_same_places_stand_side_by_side_and_others_below_each_other() -> None:
    def draw(canvas: Canvas, *, alike: bool) -> None:
        axes = canvas.axes("Two lines")
        axes.set(xlabel="t (s)", ylabel="in flight")
        canvas.tell(axes, "a", [0, 1], [5, 6])
        canvas.tell(axes, "b", [0, 1] if alike else [0, 2], [7, 8])

    assert drawn("x", lambda canvas: draw(canvas, alike=True), "").table.columns == ("t (s)", "a", "b")
    below = drawn("x", lambda canvas: draw(canvas, alike=False), "").table
    assert [row[0] for row in below.rows] == ["a", "a", "b", "b"]


def test_a_chart_in_a_page_takes_the_page_s_colours_and_has_names_of_its_own() -> None:
    one, two = (page.inline(line(name)) for name in ("one", "two"))

    assert "var(--blue)" in one
    assert "var(--card)" in one
    assert BLUE.lower() not in one
    names = [set(re.findall(r'id="([^"]+)"', text)) for text in (one, two)]
    assert names[0]
    assert not names[0] & names[1]
    referred = set(re.findall(r'(?:href="|url\()#([^")]+)', one))
    assert referred == names[0]
    assert "<style" not in one
    ET.fromstring(one)


def test_words_of_a_chart_cannot_become_markup() -> None:
    shown = str(page.figure(line()))

    assert "&lt;marked&gt;" in shown
    assert "<marked>" not in shown
    spots = re.search(r'data-spots="([^"]*)"', shown)
    assert spots is not None


def test_what_a_page_knows_of_itself_cannot_end_its_block() -> None:
    shown = str(page._inert(json.dumps({"title": "</script><b>&"})))

    assert not set("<>&") & set(shown)
    assert json.loads(shown) == {"title": "</script><b>&"}


def test_a_picture_of_pixels_is_one() -> None:
    assert line().png(50).startswith(b"\x89PNG\r\n")


def test_pictures_of_an_earlier_report_go(tmp_path: Path) -> None:
    """Of a chart that is drawn anew without its PNG the old one goes too; whatever else lies there stays."""
    told = '<script type="application/json" id="firsttoken">{}</script>'.join(page.figure(line(name)) for name in "ab")
    (tmp_path / "charts").mkdir()
    for own in (tmp_path / "charts" / "own.svg", tmp_path / "report.md"):
        own.write_text("mine")
    put(tmp_path, Made(told, (line("a"),), "# t\n"))
    assert (tmp_path / "report.md").read_text() == "mine"
    put(tmp_path, Made(told, (line("a"), line("b")), "# t\n"), png=True, markdown=True)
    assert (tmp_path / "charts" / "b.png").is_file()
    put(tmp_path, Made(told, (line("b"),), "# t\n"))

    assert {path.name for path in (tmp_path / "charts").iterdir()} == {"b.svg", "own.svg"}
    assert not (tmp_path / "report.md").exists()


def test_markdown_keeps_its_shape_whatever_is_in_it() -> None:
    assert text("a|b\n<c> *d*") == r"a\|b \<c\> \*d\*"
    assert table(("x", "y"), [("1|2", "3")]) == ["| x | y |", "|---|--:|", r"| 1\|2 | 3 |"]


def test_markdown_of_a_run_has_its_arms_beside_each_other_its_window_failures_and_fairness(tmp_path: Path) -> None:
    """Every fourth request of both arms fails; the slower one's first token takes twice as long."""

    def fail(row: Record, _: np.random.Generator) -> None:
        if row.seq % 4 == 3:
            row.outcome, row.error_kind, row.status = "error", "upstream", 500

    both = {
        name: synthetic.Recipe(n=80, tokens=5, ttft_s=ttft_s, change=fail) for name, ttft_s in (("a", 0.1), ("b", 0.2))
    }
    path = synthetic.write_arms(tmp_path / "r", both, blocks=4)
    told = made([summary.judge(run) for run in arms.arms(rundir.load(path))]).markdown

    assert "\n## b against a: invalid, worse in " in told
    assert "(within one run)" in told
    assert "| metric | A: a | B: b | B / A | 95 % | p | verdict |" in told
    assert told.count("\nWindow 0.") == 2
    assert told.count("\n| upstream (server, status 500), % | 20 | 25 | ") == 2
    assert "\n## Fairness sheet\n" in told
    assert "| circumstance | a | b |" in told
