"""The report: one file that needs nothing, written whole or not at all."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
import synthetic
from pages import fetched, nests

from analysis import arms, charts, files, metrics, report, rundir, summary
from analysis.report import run as of_run
from loadtests import record
from loadtests.cli.report import Asked, made_of

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path) -> str:
    run = rundir.load(path)
    return report.write([summary.judge(run)]).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A sound run with its report."""
    path = synthetic.write(tmp_path_factory.mktemp("report") / "r")
    return path, write(path)


def test_everything_is_written_and_nothing_is_left_over(written: tuple[Path, str]) -> None:
    path, _ = written

    assert sorted(p.name for p in path.iterdir()) == [
        "charts", "client.parquet", "quantiles.parquet", "report.html", "requests.parquet", "run.json", "validity.json",
    ]  # fmt: skip
    assert {p.stem for p in (path / record.CHARTS).iterdir()} == set(charts.ALL)
    assert all(p.suffix == ".svg" for p in (path / record.CHARTS).iterdir())
    assert pq.read_table(path / record.QUANTILES).num_rows > 100


def test_the_page_needs_no_network(written: tuple[Path, str]) -> None:
    _, page = written

    assert fetched(page) == []


def test_the_verdict_comes_first_and_the_method_is_there(written: tuple[Path, str]) -> None:
    _, page = written

    assert nests(page)
    assert page.index('class="stamp">valid') < page.index("requests/s done") < page.index("<figure")
    assert all(metric.formula in html.unescape(page) for metric in metrics.METRICS)
    assert "firsttoken run --rate 8" in page
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def test_what_a_server_says_cannot_become_markup(tmp_path: Path) -> None:
    """The model's name comes from the other side; it is shown, not run."""
    evil = "<script>alert(1)</script>"

    def name(row: record.Record, _: Any) -> None:
        row.model_answered = evil

    page = write(synthetic.write(tmp_path / "r", synthetic.Recipe(change=name, manifest={"model": evil + "x"})))

    assert evil not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("options", [{"rows": []}, {"recipe": synthetic.Recipe(n=1)}])
def test_hardly_any_data_is_a_report_too(tmp_path: Path, options: dict[str, Any]) -> None:
    page = write(synthetic.write(tmp_path / "r", **options))

    assert "How to reproduce" in page


def test_writing_again_replaces(written: tuple[Path, str]) -> None:
    path, page = written

    assert write(path) == page


def test_a_gate_s_files_need_no_drawing(tmp_path: Path) -> None:
    path = synthetic.write(tmp_path / "r", synthetic.Recipe(n=10))
    run = rundir.load(path)
    files.write_judgement([summary.judge(run)])

    assert json.loads((path / record.VALIDITY).read_text())["schema_version"] == 1
    assert not (path / record.REPORT).exists()


def test_a_failed_write_leaves_no_half_file(tmp_path: Path) -> None:
    def fail(partial: Path) -> None:
        partial.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        files.place(tmp_path / "report.html", fail)
    assert list(tmp_path.iterdir()) == []


def test_arms_stand_in_one_report_after_their_comparison(tmp_path: Path) -> None:
    """Charts and checks of each by its name; a name that is no file's name becomes one."""
    recipe = synthetic.Recipe(n=80, tokens=5)
    path = synthetic.write_arms(tmp_path / "r", {"a": recipe, "b/2": recipe}, blocks=4)
    page = report.write([summary.judge(run) for run in arms.arms(rundir.load(path))]).read_text(encoding="utf-8")
    stored = json.loads((path / record.VALIDITY).read_text())
    quantiles = pq.read_table(path / record.QUANTILES)

    assert nests(page)
    assert page.index("b/2 against a: ") < page.index("requests/s done")
    assert "Paired over 4 blocks" in page
    names = {p.stem for p in (path / record.CHARTS).iterdir()}
    assert names == {f"{arm}-{name}" for arm in ("a", "b_2") for name in charts.ALL}
    assert page.count("<figure") == 2 * len(charts.ALL)
    assert list(stored["arms"]) == ["a", "b/2"]
    assert stored["verdict"] == "valid", stored
    assert set(quantiles.column("arm").to_pylist()) == {"a", "b/2"}


def test_names_of_arms_that_become_alike_keep_their_charts_apart() -> None:
    assert of_run._prefixes(["a.b", "a_b", "c"]) == ["a_b-1-", "a_b-2-", "c-"]
    assert of_run._prefixes(["alone"]) == [""]


def test_markdown_tells_a_command_as_a_shell_takes_it(tmp_path: Path) -> None:
    path = synthetic.write(tmp_path / "r", synthetic.Recipe(n=5, manifest={"argv": ["firsttoken", "run", "a<b c"]}))

    assert "firsttoken run 'a<b c'\n" in of_run.made([summary.judge(rundir.load(path))]).markdown


@pytest.mark.parametrize(
    ("asked", "option"),
    [(Asked(margins=("x",)), "--margin"), (Asked(alpha=0.1), "--alpha"), (Asked(across=("seed",)), "--across")],
)
def test_rules_of_a_comparison_are_refused_for_the_page_of_one_run(
    written: tuple[Path, str], asked: Asked, option: str
) -> None:
    with pytest.raises(rundir.RunError, match=f"{option} is for the report of a comparison"):
        made_of([written[0]], asked, {})
