"""Charts: whole SVG documents, the same every time, that say why when they are empty."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
import pyarrow.parquet as pq
import pytest
import synthetic

from analysis import arms, charts, rundir, series, summary
from analysis.charts import frame, streams
from loadtests import record

if TYPE_CHECKING:
    from pathlib import Path


def draw(path: Path) -> list[charts.Chart]:
    run = rundir.load(path, columns=rundir.JUDGED)
    return charts.draw(run, summary.judge(run).summary)


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[charts.Chart]]:
    """A sound run and its charts."""
    path = synthetic.write(tmp_path_factory.mktemp("healthy") / "r")
    return path, draw(path)


def break_all(row: record.Record, _: np.random.Generator) -> None:
    row.outcome, row.error_kind = "error", "connect"
    row.first_token_ns = row.last_token_ns = row.chunks = row.chunk_ns = row.chunk_kind = row.chunk_chars = None


def reason_first(row: record.Record, _: np.random.Generator) -> None:
    if row.chunk_kind:
        row.chunk_kind = [record.REASONING] * 5 + [record.CONTENT] * (len(row.chunk_kind) - 5)


def test_a_healthy_run_fills_all_but_that_of_failures(healthy: tuple[Path, list[charts.Chart]]) -> None:
    """No failure among 160: Wilson's upper end is z^2 / (160 + z^2) = 2.34 %."""
    _, drawn = healthy

    assert [chart.name for chart in drawn] == [*charts.ALL]
    assert [chart.name for chart in drawn if chart.is_empty] == ["failures"]
    (none,) = (chart for chart in drawn if chart.is_empty)
    words = "All 160 requests were answered in full: at most 2.34 % of such requests fail, with 95 % confidence."
    assert none.alt == f"Empty: {words}"
    for chart in drawn:
        root = ET.fromstring(chart.svg)
        words = " ".join("".join(element.itertext()) for element in root.iter() if element.tag.endswith("}text"))
        assert chart.title in words
        assert "n = 160" in words
        assert "kernel clock · valid" in words
        assert len(chart.svg) < 100_000


def test_every_chart_tells_its_values(healthy: tuple[Path, list[charts.Chart]]) -> None:
    """In a table of few rows, and under a pointer inside the figure."""
    for chart in healthy[1]:
        assert chart.is_empty != bool(chart.table.rows) == bool(chart.spots), chart.name
        assert {len(row) for row in chart.table.rows} <= {len(chart.table.columns)}
        assert len(chart.table.rows) <= 61
        assert all(0 <= spot.x <= 1 and 0 <= spot.y <= 1 and spot.text for spot in chart.spots)


def test_the_percentiles_that_the_requests_support_are_marked(healthy: tuple[Path, list[charts.Chart]]) -> None:
    """Of 131 streams p50 and p95, and no p99; in the order of the run, as sorted values would seem to hang together."""
    root = ET.fromstring(healthy[1][0].svg)
    marks = {"".join(element.itertext()).split()[0] for element in root.iter() if element.tag.endswith("}text")}

    assert {"p50", "p95"} <= marks
    assert "p99" not in marks


def test_charts_are_self_contained_and_undated(healthy: tuple[Path, list[charts.Chart]]) -> None:
    for chart in healthy[1]:
        links = re.findall(r'(?:href|src)="([^"]*)"', chart.svg)
        assert all(link.startswith(("#", "data:")) for link in links)
        assert "<dc:date>" not in chart.svg
        assert "Roboto" in chart.svg


def test_the_same_run_gives_the_same_bytes(healthy: tuple[Path, list[charts.Chart]]) -> None:
    path, drawn = healthy

    assert draw(path) == drawn


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rows": []}, "No request"),
        ({"recipe": synthetic.Recipe(n=20, change=break_all)}, "None of the 20 requests"),
        ({"recipe": synthetic.Recipe(n=20, stream_share=0.0)}, "No streamed answer was requested"),
    ],
)
def test_an_empty_chart_says_why(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    drawn = {chart.name: chart for chart in draw(synthetic.write(tmp_path / "r", **options))}

    for name in ("ttft", "gaps", "stalls", "position", "tokens", "prompt"):
        assert drawn[name].alt.startswith("Empty: ")
        assert said in drawn[name].alt
    for chart in drawn.values():
        ET.fromstring(chart.svg)


@pytest.mark.parametrize("tokens", [2, 30])
def test_one_request_is_drawn(tmp_path: Path, tokens: int) -> None:
    drawn = draw(synthetic.write(tmp_path / "r", synthetic.Recipe(n=1, stream_share=1.0, tokens=tokens)))

    assert [chart.name for chart in drawn if chart.is_empty] == ["failures"]
    assert all(chart.spots for chart in drawn if not chart.is_empty)


@pytest.mark.parametrize("name", ["通义千问 メール", "مرحبا", "हिन्दी", "🚀"])
def test_a_name_in_any_script_is_text_in_the_svg_and_no_warning(name: str) -> None:
    """Warnings are errors here: a browser has fonts for it, and a terminal is no place for what one of ours lacks."""
    drawn = frame.drawn("c", lambda canvas: canvas.say(name, f"from {name}"), f"n = 1 · {name}")

    assert "".join(ET.fromstring(drawn.svg).itertext()).count(name) >= 3
    assert drawn.png().startswith(b"\x89PNG")


def test_without_chunk_lists_charts_say_so(tmp_path: Path) -> None:
    path = synthetic.write(tmp_path / "r")
    file = path / record.REQUESTS
    pq.write_table(pq.read_table(file).drop_columns(list(rundir.CHUNK_LISTS)), file)
    drawn = {chart.name: chart for chart in draw(path)}

    for name in ("gaps", "stalls", "position", "tokens"):
        assert "has no chunk times" in drawn[name].alt


def test_many_marks_become_a_picture_and_the_file_stays_small(tmp_path: Path) -> None:
    recipe = synthetic.Recipe(n=2000, rate=40, stream_share=1.0, change=reason_first)
    drawn = draw(synthetic.write(tmp_path / "r", recipe))

    assert max(len(chart.svg) for chart in drawn) < 150_000
    raster = next(chart for chart in drawn if chart.name == "tokens")
    assert raster.title == "Every chunk of 200 of 2,000 streamed answers"
    assert {"reasoning", "content"} <= set(re.findall(r">(\w+)</text>", raster.svg))


def test_marks_are_the_chunks_of_the_answers_chosen(tmp_path: Path) -> None:
    """Each answer's first mark is its TTFT, its last one last token - scheduled; also of one of two arms."""
    path = synthetic.write_arms(tmp_path / "r", dict.fromkeys("ab", synthetic.Recipe(n=40, stream_share=1.0)))
    run = arms.arms(rundir.load(path))[1]
    chosen = np.array([3, 4, 21, 39])
    found = streams.marks(run, chosen)

    last = (rundir.seconds(run.requests, "last_token_ns") - rundir.seconds(run.requests, "scheduled_ns"))[chosen]
    assert found.at_s[found.is_first] == pytest.approx(rundir.numbers(run.requests, "ttft_s")[chosen], abs=1e-5)
    assert [found.at_s[found.answer == k].max() for k in range(4)] == pytest.approx(last.tolist(), abs=1e-4)
    assert found.is_first.sum() == np.unique(found.answer).size == 4


def test_gaps_are_counted_where_and_when_they_were(tmp_path: Path) -> None:
    """Gaps of 20 ms but one of 2 s: a step lies at 10 us x 10^(k / 480), so 2 s, 5.301 decades above, is step 2544."""

    def stall(row: record.Record, _: np.random.Generator) -> None:
        first = (row.sent_ns or 0) + 100_000_000
        gaps = np.full(29, 20_000_000)
        gaps[10] = 2_000_000_000 if row.seq == 7 else gaps[10]
        synthetic.give_stream(row, first + np.concatenate([[0], np.cumsum(gaps)]))

    run = rundir.load(
        synthetic.write(tmp_path / "r", synthetic.Recipe(n=16, stream_share=1.0, poisson=False, change=stall))
    )
    found = streams.heat(run, np.ones(16, dtype=bool))

    assert found.gaps.n == found.grid.counts.sum() == 16 * 29
    assert (found.gaps.quantile(0.5), found.gaps.most) == (0.02, 2.0)
    # Arrival 7 comes at 1 s and its stall ends at 1 + 0.1 + 10 x 0.02 + 2 = 3.3 s.
    assert np.argwhere(found.grid.counts[:, 2544:]).tolist() == [[3, 0]]


@pytest.mark.parametrize(("low", "high"), [(1, 1000), (90, 400), (99, 101), (0.01, 5e4), (3, 3.3)])
def test_log_ticks_are_round_and_few(low: float, high: float) -> None:
    ticks = frame.log_ticks(low, high)

    assert 2 <= len(ticks) <= 9
    assert all(low <= tick <= high for tick in ticks)
    assert ticks == sorted(ticks)


def test_a_short_log_axis_has_evenly_spread_ticks() -> None:
    assert frame.log_ticks(670, 1200) == [700, 800, 900, 1000, 1100, 1200]


def test_a_quantile_per_bin_is_of_that_bin() -> None:
    """Bins [0, 1), [1, 2), [2, 3): medians of (1, 3), of nothing, of 5; an unknown value is not counted."""
    moments = np.array([0.1, 0.9, 2.5, 0.5])
    found = series.quantile_per_bin(moments, np.array([1.0, 3.0, 5.0, np.nan]), np.arange(4.0), 0.5)

    np.testing.assert_array_equal(found, [2.0, np.nan, 5.0])
