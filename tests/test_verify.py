"""What a run directory says follows from its rows, and any one thing that was changed is found and named."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import synthetic
from click.testing import CliRunner
from test_campaign import write as write_campaign
from test_finish import TEN, run_dir
from test_found import write as write_loads

from analysis import campaign, objectives, rundir, summary
from analysis.charts.frame import Chart
from analysis.charts.values import Spot, Table
from analysis.files import write_judgement
from analysis.quantiles import ABOUT
from analysis.report.made import put
from analysis.report.page import figure
from analysis.report.run import made
from analysis.verify import files, judgement, page, rows, run, tokens
from loadtests import manifest, record, seal
from loadtests.cli.report import Asked
from loadtests.cli.report import report as drawn
from loadtests.cli.verify import _asked, _folders, _of, _page, verify
from loadtests.finish import finish
from loadtests.parts import write_parquet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PRICES = {"input_per_million": 3.0, "output_per_million": 15.0, "cached_input_per_million": 0.3, "currency": "USD"}
N = 160


def priced(row: record.Record, _: Any) -> None:
    """3 USD a million tokens in, 0.3 for the cached ones, 15 out."""
    row.cached_tokens = 2
    assert row.input_tokens is not None
    assert row.output_tokens is not None
    row.cost_usd = ((row.input_tokens - 2) * 3.0 + 2 * 0.3 + row.output_tokens * 15.0) / 1e6
    if row.seq == 7:
        row.outcome, row.error_kind, row.error, row.flags = "error", "no_finish", "it stopped", ["no_done"]


def seal_up(path: Path) -> None:
    """What `finish` does at a run's end."""
    about = manifest.read(path)
    table = pq.read_table(path / record.REQUESTS)
    write_parquet(table, path / record.REQUESTS, about={record.SETTINGS: seal.settings(about)})
    manifest.write(path, about | {"files": seal.files(path)})


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with its report."""
    profile = {"name": "mock", "base_url": "http://127.0.0.1:8091/v1", "prices": PRICES}
    arm = {"name": "", "model": "tiny-1", "params": {}, "new_connections": False, "profile": profile}
    told = {"profile": profile, "arms": [arm], "rows": N}
    recipe = synthetic.Recipe(n=N, change=priced, manifest=told)
    path = synthetic.write(tmp_path_factory.mktemp("verify") / "r", recipe)
    seal_up(path)
    judged = [summary.judge(rundir.load(path))]
    write_judgement(judged)
    put(path, made(judged), markdown=True)
    return path


@pytest.fixture
def mine(sealed: Path, tmp_path: Path) -> Path:
    """A copy of it to change."""
    return shutil.copytree(sealed, tmp_path / "r")


@pytest.fixture
def bare(sealed: Path, tmp_path: Path) -> Path:
    """A copy without what was judged and drawn."""
    for name in (record.MANIFEST, record.REQUESTS, record.CLIENT):
        shutil.copy(sealed / name, tmp_path / name)
    return tmp_path


def asked(*words: str | Path) -> tuple[int, str]:
    """Exit code and output of the verb."""
    done = CliRunner().invoke(verify, [str(word) for word in words], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return int(done.return_value), done.output


def found(path: Path) -> list[str]:
    """What is found without judging."""
    return [str(one) for looked in run.check(path, run.about(path)) for one in looked.differences]


def rewrite(path: Path, change: Callable[[pa.Table], pa.Table], *, keep: bool = True) -> None:
    """Change the rows as an editor of parquet would; with the digest made right afterwards, or not."""
    file = path / record.REQUESTS
    settings = pq.read_metadata(file).metadata[record.SETTINGS.encode()]
    write_parquet(change(pq.read_table(file)), file, about={record.SETTINGS: settings})
    if not keep:
        manifest.write(path, manifest.read(path) | {"files": seal.files(path)})


def test_a_run_that_nobody_touched_is_as_it_says_also_by_another_name_and_with_labels(mine: Path) -> None:
    moved = mine.rename(mine.parent / "elsewhere")
    manifest.write(moved, manifest.read(moved) | {"labels": {"who": "me"}})
    code, told = asked(moved)
    numbers = re.search(r"report.html: ([\d,]+) numbers", told)

    assert code == 0, told
    assert told.splitlines()[-1] == "nothing differs"
    assert len(re.findall("^  ✓", told, re.MULTILINE)) == 10
    assert numbers is not None
    assert int(numbers[1].replace(",", "")) > 1000


@pytest.mark.parametrize("labels", [[1, 2], 5, "x"])
def test_labels_of_a_wrong_kind_are_no_labels(mine: Path, labels: Any) -> None:
    """They are people's: whatever stands there, the numbers are what they were."""
    manifest.write(mine, manifest.read(mine) | {"labels": labels})
    code, told = asked(mine)

    assert code == 0, told
    assert summary.judge(rundir.load(mine)).summary.facts.labels == {}


@pytest.mark.slow
def test_a_report_with_other_objectives_is_made_anew_with_these(mine: Path) -> None:
    (mine / "report.md").unlink()
    redrawn(mine, "--objective", "ttft_p95<1ms")
    told = asked(mine)

    assert "ttft_p95&lt;1ms" in (mine / record.REPORT).read_text(encoding="utf-8")
    assert told[0] == 0, told[1]


# Cells.


def changed(table: pa.Table, column: str) -> pa.Table:
    """One cell has another value: of the first row where there is one, else of row 3, where it was null."""
    place = table.schema.get_field_index(column)
    field, values = table.schema.field(place), table.column(place).to_pylist()
    row = next((row for row, value in enumerate(values) if value not in (None, [])), 3)
    values[row] = another(values[row], field.type)
    return table.set_column(place, field, pa.array(values, field.type))


def another(value: Any, kind: pa.DataType) -> Any:
    if pa.types.is_list(kind):
        return [another(value[0] if value else None, kind.value_type), *(value or [])[1:]]
    if pa.types.is_boolean(kind):
        return not value
    if pa.types.is_floating(kind):
        return (value or 0.0) + 0.001
    return (value or 0) + 1 if pa.types.is_integer(kind) else f"{value or ''}x"


@pytest.mark.parametrize("column", [column.name for column in record.REQUEST_COLUMNS])
def test_one_changed_cell_is_found_whatever_the_column(bare: Path, column: str) -> None:
    """Also where no number rests on it: the file is not the one that the run wrote."""
    rewrite(bare, lambda table: changed(table, column))
    told = [one for looked in files.check(bare, manifest.read(bare)) for one in looked.differences]

    assert [(one.file, one.place) for one in told] == [("requests.parquet", "changed")]


FOLLOW = (
    "run_id", "profile", "model", "phase", "outcome", "error_kind", "tokens_from", "clock", "flags", "first_token_ns",
    "scheduled_ns", "sent_ns", "last_token_ns", "output_tokens", "input_tokens", "cached_tokens", "output_chars",
    "ttft_s", "ttft_from_send_s", "latency_s", "latency_from_send_s", "send_lag_s", "tpot_s", "output_tokens_per_s",
    "max_gap_s", "first_chunk_tokens", "chunks", "chunk_gap_us", "chunk_chars", "shared_reads", "cost_usd", "stream",
)  # fmt: skip


@pytest.mark.parametrize("column", FOLLOW)
def test_one_changed_cell_that_others_follow_from_or_that_follows_is_found_without_a_digest(
    bare: Path, column: str
) -> None:
    """Somebody has made the digest right again."""
    rewrite(bare, lambda table: changed(table, column), keep=False)
    told = found(bare)

    assert told
    assert all(line.startswith("requests.parquet: ") and ", row " in line for line in told), told


def test_a_changed_cell_is_named_with_what_it_should_be(bare: Path) -> None:
    before = pq.read_table(bare / record.REQUESTS).column("latency_s")[0].as_py()
    rewrite(bare, lambda table: changed(table, "latency_s"))

    assert f"requests.parquet: {before + 0.001:.6g} where its stamps say {before:.6g} (latency_s, row 0)" in found(bare)


def test_rows_that_were_added_taken_away_or_moved_are_found(bare: Path, sealed: Path) -> None:
    def less(table: pa.Table) -> pa.Table:
        return table.slice(0, N - 1)

    def moved(table: pa.Table) -> pa.Table:
        return table.take(pa.array([1, 0, *range(2, N)]))

    rewrite(bare, less, keep=False)
    assert found(bare) == ["requests.parquet: 159 rows where run.json says 160"]
    rewrite(bare, lambda _: moved(pq.read_table(sealed / record.REQUESTS)), keep=False)
    assert found(bare) == ["requests.parquet: another order where the schedule says by time, arm and seq (row 0)"]


def test_rows_out_of_order_are_found_across_groups_of_them(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "AT_ONCE", 50)
    assert found(bare) == []
    rewrite(bare, lambda table: table.take(pa.array([*range(50), N - 1, *range(50, N - 1)])), keep=False)

    assert found(bare) == ["requests.parquet: another order where the schedule says by time, arm and seq (row 50)"]


# Settings.


@pytest.mark.parametrize("price", ["input_per_million", "output_per_million", "cached_input_per_million"])
@pytest.mark.parametrize("place", ["profile", "arms"])
def test_one_changed_price_is_found_and_named(bare: Path, price: str, place: str) -> None:
    about = manifest.read(bare)
    profile = about["profile"] if place == "profile" else about["arms"][0]["profile"]
    was, profile["prices"][price] = profile["prices"][price], 99.0
    manifest.write(bare, about)

    told = found(bare)
    name = f"{place}{'.0.profile' if place == 'arms' else ''}.prices.{price}"
    assert f"run.json: 99.0 where requests.parquet says {was} ({name})" in told
    assert len(told) == (2 if place == "arms" else 1)  # rows have their arm's prices
    assert any("where run.json's prices say " in line for line in told) == (place == "arms")


@pytest.mark.parametrize("value", [None, "3.0"])
def test_a_price_that_was_taken_out_or_is_no_number_any_more_is_found(bare: Path, value: str | None) -> None:
    about = manifest.read(bare)
    prices = about["arms"][0]["profile"]["prices"]
    del prices["input_per_million"]
    prices |= {} if value is None else {"input_per_million": value}
    manifest.write(bare, about)

    was = "nothing" if value is None else f'"{value}"'
    told = found(bare)
    assert f"run.json: {was} where requests.parquet says 3.0 (arms.0.profile.prices.input_per_million)" in told
    assert any(f"where run.json's prices say null (cost_usd, row 0; {N} rows differ)" in line for line in told)


def test_of_a_run_from_before_arms_had_names_the_prices_are_those_of_all_rows(bare: Path) -> None:
    """Its name is no arm's."""
    table = pq.read_table(bare / record.REQUESTS).replace_schema_metadata({"schema_version": "1"})
    pq.write_table(table, bare / record.REQUESTS)
    about = {key: value for key, value in manifest.read(bare).items() if key not in ("files", "arms")}
    manifest.write(bare, about)
    assert found(bare) == []

    about["profile"]["prices"]["output_per_million"] = 16.0
    manifest.write(bare, about)
    assert [line.split(" (")[1] for line in found(bare)] == [f"cost_usd, row 0; {N} rows differ)"]


@pytest.mark.parametrize(
    ("key", "value"), [("arms", "x"), ("arms", [7]), ("rows", "x"), ("profile", 7), ("plan", "x"), ("host", "x")]
)
def test_another_kind_of_value_in_run_json_is_found_and_trips_nobody(bare: Path, key: str, value: Any) -> None:
    manifest.write(bare, manifest.read(bare) | {key: value})
    code, told = asked(bare)

    assert code in {1, 3}
    assert re.search(rf"run\.json: .* where requests\.parquet says .* \({key}", told)


def test_settings_in_a_footer_that_are_none_are_found(bare: Path) -> None:
    write_parquet(pq.read_table(bare / record.REQUESTS), bare / record.REQUESTS, about={record.SETTINGS: b"{"})

    assert any(line.startswith("requests.parquet: no JSON where run.json says settings ") for line in found(bare))


def test_of_an_older_run_without_digests_a_changed_price_is_found_by_the_rows(bare: Path) -> None:
    table = pq.read_table(bare / record.REQUESTS).replace_schema_metadata({"schema_version": "1"})
    pq.write_table(table, bare / record.REQUESTS)
    about = {key: value for key, value in manifest.read(bare).items() if key != "files"}
    manifest.write(bare, about)
    notes = [one.note for one in run.check(bare, about) if one.note]
    assert found(bare) == []
    assert len(notes) == 2
    assert "recomputed only" in notes[0]

    about["arms"][0]["profile"]["prices"]["output_per_million"] = 16.0
    manifest.write(bare, about)
    assert [line.split(" (")[1] for line in found(bare)] == [f"cost_usd, row 0; {N} rows differ)"]


@pytest.mark.parametrize("names", [(), (record.CLIENT,), (record.REQUESTS,)])
def test_digests_that_were_taken_out_are_missed(bare: Path, names: tuple[str, ...]) -> None:
    """With them a change of what no other column follows from could not be seen."""
    rewrite(bare, lambda table: changed(table, "bytes_sent"))
    about = manifest.read(bare)
    manifest.write(bare, about | {"files": {name: about["files"][name] for name in names}})
    gone = {record.REQUESTS, record.CLIENT} - set(names)

    missed = [line for line in found(bare) if line.startswith("run.json: nothing where ")]
    assert len(missed) == 1
    assert "(files)" in missed[0] if not names else f"where {gone.pop()} says sha256 " in missed[0]


def test_a_run_that_was_sealed_cannot_pass_for_an_older_one(bare: Path) -> None:
    file = bare / record.REQUESTS
    pq.write_table(pq.read_table(file).replace_schema_metadata({"schema_version": "1"}), file)
    manifest.write(bare, manifest.read(bare) | {"files": seal.files(bare)})

    assert found(bare) == ["requests.parquet: nothing where run.json says settings in its footer"]


# Judgement.


def test_what_was_changed_in_the_files_that_are_made_of_the_rows_is_found_and_named(mine: Path) -> None:
    """A verdict, a quantile, a number of the page, a line of a chart, a number in markdown; and nothing else."""
    was = edit_verdict(mine / record.VALIDITY)
    edit_quantile(mine / record.QUANTILES)
    number, edited = edit_page(mine / record.REPORT)
    chart = min((mine / record.CHARTS).glob("*.svg"))
    chart.write_text(re.sub(r'd="M (\d)', r'd="M 9\1', chart.read_text(encoding="utf-8"), count=1), encoding="utf-8")
    markdown = mine / "report.md"
    markdown.write_text(re.sub(r"\d\d", "99", markdown.read_text(encoding="utf-8"), count=1), encoding="utf-8")

    code, told = asked(mine)
    assert code == 1
    assert f'validity.json: "invalid" where the rows say "{was}" (verdict)' in told
    assert re.search(r"quantiles\.parquet: [\d.e-]+ where the rows say [\d.e-]+ \(numbers\.", told)
    assert f'report.html: "{edited}" where the rows say "{number}" (Percentiles, TTFT ms, p50 95 %)' in told
    assert f"charts/{chart.name}: other lines where the rows say these" in told
    assert "report.md: " in told
    assert told.endswith("5 things differ\n")


@pytest.mark.parametrize("told", [{"objectives": ["zzz"]}, {"objectives": [5]}, {"objectives": 5}, {"facts": None}])
def test_whatever_quantiles_tell_of_themselves_is_found_and_trips_nobody(
    bare: Path, sealed: Path, told: dict[str, Any]
) -> None:
    table = pq.read_table(sealed / record.QUANTILES)
    about = json.loads(table.schema.metadata[ABOUT])
    about[0] |= told
    kept = table.replace_schema_metadata(dict(table.schema.metadata) | {ABOUT: json.dumps(about).encode()})
    pq.write_table(kept, bare / record.QUANTILES)
    shutil.copy(sealed / record.VALIDITY, bare / record.VALIDITY)

    validity, quantiles = judgement.check(run.judged_again(bare))
    assert not validity.differences
    assert quantiles.differences


def test_a_page_knows_its_objectives_and_not_the_file_they_came_from(sealed: Path, tmp_path: Path) -> None:
    """The file may be gone, or another one, when the page is made anew."""
    file = tmp_path / "promised.toml"
    file.write_text('objectives = ["ttft_p95 < 1000 ms"]')
    judged = summary.judge(rundir.load(sealed), objectives.read([str(file)]))

    assert page.meta(made([judged], objectives=[str(file)]).html)["options"]["objectives"] == ["ttft_p95<1s"]


def edit_verdict(file: Path) -> str:
    validity = json.loads(file.read_bytes())
    was, validity["verdict"] = validity["verdict"], "invalid"
    file.write_text(json.dumps(validity))
    return str(was)


def edit_quantile(file: Path) -> None:
    quantiles = pq.read_table(file)
    values = quantiles.column("value").to_pylist()
    values[5] *= 1.01
    place = quantiles.schema.get_field_index("value")
    pq.write_table(quantiles.set_column(place, quantiles.schema.field(place), pa.array(values)), file)


def edit_page(file: Path) -> tuple[str, str]:
    """The median of TTFT one more; as it was, and as it is."""
    html = file.read_text(encoding="utf-8")
    match = re.search(r"<td>TTFT <small>ms</small></td><td class=\"n\">(\d+)</td>\s*<td class=\"v\">(\d+)", html)
    assert match is not None
    edited = str(int(match[2]) + 1)
    file.write_text(html[: match.start(2)] + edited + html[match.end(2) :], encoding="utf-8")
    return match[2], edited


# The page.


SVG = """<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="10pt" height="5pt" viewBox="0 0 10 5">
<g id="a_1"><path d="M 1.5 2 L 3 4" style="stroke: #0072b2; stroke-width: 2"/><text x="7">90 ms</text></g></svg>"""
SMALL = """<!doctype html><html lang="en"><head><title>r-1: valid</title><style>p { margin: 3px }</style></head><body>
<h2>Numbers of 2</h2><table><tr><th>metric</th><th>p50</th></tr><tr><td>TTFT</td><td title="from 64">206 <small>
199 to 213</small></td></tr></table>%s<pre>firsttoken run --rate 8</pre><details><pre>{"seed": 1, "prices": [0.5, 2e3],
"text": "15 and 16"}</pre></details><script type="application/json">{"options": {"alpha": 0.05}}</script>
<script>const x = 17;</script></body></html>"""


def test_every_digit_of_a_page_counts() -> None:
    """In headings, tables, hover values, labels and lines of charts, the manifest, the look: one after another."""
    drawn_of = Chart("c-3", "T 4", "alt 5", SVG, Table(("x 6", "y"), (("7", "8.25"),)), (Spot(0.1234, 0.5, "9 ms"),))
    html = SMALL % figure(drawn_of)
    masked = re.sub(r"&#\d+;|</?h2>", lambda found: "x" * len(found[0]), html)
    digits = list(re.finditer(r"\d", masked))
    assert len(digits) == 70
    for span in digits:
        edited = html[: span.start()] + str((int(span[0]) + 1) % 10) + html[span.end() :]
        assert page.check("report.html", edited, html).differences, html[span.start() - 40 : span.end() + 20]


@pytest.mark.parametrize("place", [0.2, 0.5, 0.7, 0.9])
def test_a_digit_of_a_whole_page_counts(sealed: Path, place: float) -> None:
    html = (sealed / record.REPORT).read_text(encoding="utf-8")
    span = re.compile(r"\d(?!\d*;)").search(html, int(place * len(html)))
    assert span is not None
    edited = html[: span.start()] + str((int(span[0]) + 1) % 10) + html[span.end() :]

    assert page.check("report.html", edited, html).differences


def test_every_text_and_hover_value_with_a_number_is_compared(sealed: Path) -> None:
    """All of them changed at once: as many differences as there are such things."""
    html = (sealed / record.REPORT).read_text(encoding="utf-8")
    before = tokens.tokens(html)
    after = [one._replace(text=one.text + "0") if one.kind in page.VALUES else one for one in before]

    assert len(list(page.pairs(after, before))) == sum(one.kind in page.VALUES for one in before)


def test_a_row_that_was_taken_out_of_the_page_is_found_and_nothing_else(sealed: Path) -> None:
    html = (sealed / record.REPORT).read_text(encoding="utf-8")
    edited = re.sub(r"<tr><td>TPOT.*?</tr>", "", html, count=1, flags=re.DOTALL)
    looked = page.check("report.html", edited, html)

    told = [one for one in looked.differences if one.found != "these"]
    assert [one.found for one in told[:2]] == ['"TPOT"', '"ms"']
    assert all(not one.kept and one.place.startswith("Percentiles, ") for one in told)
    assert len(looked.differences) == len(told) + 1


def test_of_a_page_that_another_version_drew_what_both_have_is_compared(sealed: Path) -> None:
    """It had another chart, a table less and other lines; a number that both have was edited."""
    html = (sealed / record.REPORT).read_text(encoding="utf-8")
    older = re.sub(r'("matplotlib": )"[^"]*"', r'\1"3.0"', html)
    older = re.sub(r'd="M (\d)', r'd="M 9\1', older)
    older = re.sub(r'<figure id="chart-ttft">.*?</figure>', "", older, count=1, flags=re.DOTALL)
    looked = page.check("report.html", older, html)

    assert looked.differences == ()
    assert looked.note.startswith("drawn by matplotlib 3.0, here is ")
    edited = re.sub(r"<b>(\d)", r"<b>9\1", older, count=1)
    assert len(page.check("report.html", edited, html).differences) == 1


def redrawn(*words: str | Path) -> None:
    done = CliRunner().invoke(drawn, [str(word) for word in words], standalone_mode=False)
    if done.exception is not None:
        raise done.exception


def test_a_label_in_which_sides_differ_is_no_number_of_a_page() -> None:
    """Labels are people's: they may come and go after a report was drawn."""
    labelled = SMALL.replace("%s", '<p class="soft">labels.who: not set → me 9</p>%s') % ""

    assert not page.check("report.html", labelled, SMALL % "").differences
    assert page.check("report.html", labelled.replace("206", "207"), SMALL % "").differences


def test_pictures_of_pixels_are_said_not_to_be_compared(mine: Path) -> None:
    (mine / record.CHARTS / "ttft.png").write_bytes(b"not even one")
    code, told = asked(mine)

    assert (code, "charts: 1 PNG: pixels are not compared; their SVG are" in told) == (0, True)


def raise_a_number(file: Path) -> None:
    """The first number in a table, one digit longer."""
    html = file.read_text(encoding="utf-8")
    edited = re.sub(r'(<td class="[nv]">)(\d)', r"\g<1>1\g<2>", html, count=1)
    assert edited != html
    file.write_text(edited, encoding="utf-8")


@pytest.mark.slow
def test_the_page_of_several_runs_is_made_anew_too(tmp_path: Path) -> None:
    a, b = (synthetic.write(tmp_path / f"r{seed}", synthetic.Recipe(n=60, seed=seed)) for seed in (1, 2))
    page_of = tmp_path / "both"
    redrawn(a, b, "--out", page_of, "--title", "A & B", "--across", "seed", "--margin", "ttft_p95=15%")
    whole = page_of / record.REPORT
    assert not any(one.differences for one in _page([a, b], page_of))

    raise_a_number(whole)
    assert [len(one.differences) for one in _page([a, b], page_of)] == [1, 0]


def test_the_page_of_a_sweep_is_made_anew_too(tmp_path: Path) -> None:
    write_loads(tmp_path, "sweep", ["firsttoken", "sweep"])
    redrawn(tmp_path)
    assert _folders(tmp_path)[-1] == tmp_path
    assert not any(one.differences for one in _of(tmp_path))

    raise_a_number(tmp_path / record.REPORT)
    assert [len(one.differences) for one in _of(tmp_path)] == [1, 0]


@pytest.mark.parametrize("kind", ["sweep", "capacity"])
def test_the_page_of_a_sweep_knows_its_objectives_and_not_the_file_they_came_from(tmp_path: Path, kind: str) -> None:
    file, folder = tmp_path / "promised.toml", tmp_path / kind
    file.write_text('name = "quick"\nobjectives = ["ttft_p95 < 300 ms"]')
    write_loads(folder, kind, ["firsttoken", kind])
    redrawn(folder, "--objective", file)
    file.unlink()

    assert _asked(folder).objectives == ("ttft_p95<300ms",)
    assert not any(one.differences for one in _of(folder))


@pytest.mark.parametrize("told", [{"foo": None}, {"objectives": [1]}, {"title": 5, "alpha": "x"}])
def test_options_that_no_page_of_ours_has_are_not_taken(tmp_path: Path, told: dict[str, Any]) -> None:
    """Somebody has written them into it; that they stand there is found with the rest."""
    kept = json.dumps({"options": told | {"across": ["seed"]}})
    (tmp_path / record.REPORT).write_text(f'<script type="application/json" id="firsttoken">{kept}</script>')

    assert _asked(tmp_path) == Asked(across=("seed",))


# What cannot be said.


def test_without_rows_nothing_can_be_said(bare: Path) -> None:
    (bare / record.REQUESTS).unlink()
    code, told = asked(bare)

    assert code == 3
    assert "requests.parquet: nothing where run.json says sha256 " in told
    assert "there are no rows: nothing can be recomputed" in told


def test_rows_that_were_pruned_are_no_difference_but_nothing_to_go_by_either(bare: Path) -> None:
    (bare / record.REQUESTS).unlink()
    manifest.write(bare, manifest.read(bare) | {"rows_pruned": {"rows": N}})
    code, told = asked(bare)

    assert code == 3
    assert told.endswith("nothing differs\n")
    assert "the rows were pruned: nothing can be recomputed" in told


def pruned(*folders: Path) -> None:
    """As `runs prune --rows-only` does it."""
    for folder in folders:
        (folder / record.REQUESTS).unlink()
        manifest.write(folder, manifest.read(folder) | {"rows_pruned": {"rows": N}})


def test_a_page_of_runs_whose_rows_were_pruned_is_not_checked_and_that_is_said_once(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path / "c", {"a": 1.0, "b": 1.2}, rounds=2)
    for one in folder.glob("0?"):
        write_judgement([summary.judge(run_of) for run_of in campaign.runs_of(one)])
    redrawn(folder)
    assert not any(one.differences for one in _page([folder], folder))

    pruned(*folder.glob("0?"))
    code, told = asked(folder)
    assert code == 3
    assert told[told.index(f"{folder}\n") :].splitlines()[1:] == [
        "  ✗ report.html: no rows any more in c/01, c/02, c/03 and 1 more: the page cannot be made anew",
        "nothing differs",
    ]
    redrawn(folder)
    assert not any(one.differences or one.missing for one in _page([folder], folder))


def test_a_page_of_a_sweep_that_lacks_the_rows_of_one_run_is_not_checked(tmp_path: Path) -> None:
    """Without them its answer cannot even be told."""
    write_loads(tmp_path / "s", "sweep", ["firsttoken", "sweep"])
    redrawn(tmp_path / "s")
    pruned(tmp_path / "s" / "02")
    (looked,) = _page([tmp_path / "s"], tmp_path / "s")

    assert (looked.missing, looked.differences) == (True, ())
    assert looked.note.startswith("no rows any more in s/02: the page cannot")


@pytest.mark.parametrize("name", [record.REQUESTS, record.CLIENT])
def test_a_file_that_is_cut_short_is_said(bare: Path, name: str) -> None:
    file = bare / name
    file.write_bytes(file.read_bytes()[:1000])
    code, told = asked(bare)

    assert code == 3
    assert f"{name}: sha256 " in told


def test_a_run_that_is_on_or_none_at_all_is_refused(tmp_path: Path, bare: Path) -> None:
    with pytest.raises(rundir.RunError, match="no such run directory"):
        asked(tmp_path / "none")
    (bare / record.REQUESTS).unlink()
    (bare / record.PARTS).mkdir()
    with pytest.raises(rundir.RunError, match="repair"):
        asked(bare)


def test_twenty_differences_are_told_and_the_others_counted_and_json_has_all(bare: Path) -> None:
    about = manifest.read(bare)
    manifest.write(bare, about | {f"added_{number}": number for number in range(25)})
    code, told = asked(bare)
    looked = json.loads(asked(bare, "--json")[1])[str(bare)]
    differences = [one for some in looked for one in some["differences"]]

    assert code == 1
    assert len(re.findall("^    run.json: ", told, re.MULTILINE)) == 20
    assert told.endswith("and 5 more\n25 things differ\n")
    assert differences[3] == {
        "file": "run.json", "kept": "3", "by": "requests.parquet", "found": "", "place": "added_3"
    }  # fmt: skip


# The seal.


def test_the_seal_is_what_may_not_change(sealed: Path) -> None:
    about = manifest.read(sealed)
    kept = json.loads(seal.settings(about))

    assert kept.keys() == about.keys() - {"files", "labels", "stop"}
    assert about["files"].keys() == {record.REQUESTS, record.CLIENT}
    assert pc.all(pq.read_table(sealed / record.REQUESTS).column("run_id").is_valid()).as_py()


def test_finishing_a_run_seals_it_and_a_reason_that_comes_later_breaks_no_seal(tmp_path: Path) -> None:
    path = run_dir(tmp_path, TEN, {0: list(range(9))}, {0: 10})
    finish(path)
    about = manifest.read(path)
    manifest.write(path, about | {"stop": {"reason": "run_time", "text": "by Locust"}})

    assert about["files"] == seal.files(path)
    assert found(path) == []
    finish(path)
    assert found(path) == []
    manifest.write(path, about | {"plan": about["plan"] | {"rate": 99.0}})
    assert found(path) == ["run.json: 99.0 where requests.parquet says 10.0 (plan.rate)"]
