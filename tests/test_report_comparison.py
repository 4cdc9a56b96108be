"""The page of several sides: from run directories to one file that can be handed on."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import manyruns
import pytest
import synthetic
from pages import text_of

from analysis.campaign import members, runs_of
from analysis.charts import arms
from analysis.compare.rules import Rules
from analysis.digest import Number
from analysis.files import write_judgement
from analysis.places import RUN, Place
from analysis.report import comparison, standings
from analysis.report.gathered import gather, reported
from analysis.rundir import RunError
from analysis.summary import judge
from analysis.units import NONE
from analysis.verify.page import meta

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from analysis.report.made import Made
    from analysis.rundir import Run
    from loadtests.record import Record

ARMS = {"fast": 0.1, "slow": 0.2, "near": 0.201}
ROUNDS = 5


def priced(row: Record, _: np.random.Generator) -> None:
    """A tenth of a cent each; every 40th fails."""
    row.cost_usd = 0.001
    if row.seq % 40 == 39:
        row.outcome, row.error_kind, row.status = "error", "upstream", 500
        row.first_token_ns = row.last_token_ns = None


def write(folder: Path, arms: dict[str, float], rounds: int = ROUNDS) -> Path:
    """A campaign whose rounds play each arm with a seed of their own, each run judged as it would be at its end."""
    runs: list[dict[str, Any]] = []
    for number in range(rounds):
        for arm, ttft_s in arms.items():
            name = f"{len(runs) + 1:02}"
            profile = {"name": arm, "base_url": f"http://127.0.0.1/{arm}", "prices": {"output_per_million": 1.0}}
            manifest = {
                "run_id": f"id-{name}", "campaign_id": folder.name, "round": number, "profile": profile,
                "started_unix_ns": manyruns.START_NS + len(runs) * 60 * 10**9,
            }  # fmt: skip
            recipe = synthetic.Recipe(n=80, seed=number + 1, ttft_s=ttft_s, change=priced, manifest=manifest)
            synthetic.write(folder / name, recipe)
            runs.append({"folder": name, "arm": arm, "round": number, "seed": number + 1, "state": "done"})
    told = {"schema_version": 1, "runs": runs, "arms": list(arms), "argv": ["firsttoken", "run", "--repeats", "5"]}
    (folder / "campaign.json").write_text(json.dumps(told))
    for run in gather_runs(folder):
        write_judgement([judge(run)])
    return folder


def gather_runs(folder: Path) -> list[Run]:
    return [run for member in members(folder) for run in runs_of(member)]


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("results") / "three", ARMS)


@pytest.fixture(scope="module")
def made(campaign: Path) -> Made:
    return comparison.made(gather([campaign]), Rules(), {"title": "Three providers"})


def test_the_page_says_who_leads_by_how_much_and_who_is_not_told_apart(made: Made) -> None:
    """100 ms against 200 ms of median, the same arrivals: half. 200 against 201 ms is no difference that matters."""
    text = re.sub(r"\s+", " ", made.html)

    assert "<title>Three providers: " in text
    assert re.search(r"fast leads in TTFT p50", text)
    assert "TTFT p50: fast first; slow and near share places 2 to 3" in text
    assert re.search(r"fast&#39;s TTFT p50 is \d\d % lower than slow&#39;s", text)
    assert "firsttoken run --repeats 5" in text
    assert "Fairness sheet" in text


def test_the_page_needs_nothing_and_knows_how_it_was_made(made: Made) -> None:
    assert not re.search(r"""(src|href)=["']?(https?:|//)|@import|url\(http""", made.html)
    told = re.search(r'id="firsttoken">(.*?)</script>', made.html)
    assert told
    assert json.loads(told[1])["kind"] == "comparison"


@pytest.mark.slow
def test_the_same_campaign_elsewhere_gives_the_same_page_which_links_to_the_reports_there(
    campaign: Path, made: Made, tmp_path: Path
) -> None:
    other = tmp_path / campaign.name
    shutil.copytree(campaign, other)

    found = gather([other])
    assert comparison.made(found, Rules(), {"title": "Three providers"}).html == made.html
    assert str(campaign.parent) not in made.html
    assert not found.links
    assert reported(other) == ()
    (other / "02" / "report.html").write_text("")
    assert gather([other], linked=reported(other)).links == {"three/02 · slow": "02/report.html"}
    assert not gather([other]).links


def test_every_chart_is_there_with_its_values(made: Made) -> None:
    charts = {chart.name: chart for chart in made.charts}

    assert list(charts) == ["ttft", "percentiles", "failures", "runs", "pairs", "cost"]
    assert {row[0] for row in charts["ttft"].table.rows} == set(ARMS)
    assert charts["ttft"].alt.startswith("Time to first token: fast p50 ")
    assert ("fast", "upstream", "server", "10", "2.50 %") in charts["failures"].table.rows
    assert "TTFT p50: ▼ fast better, p < 0.0001" in charts["pairs"].alt
    assert "fast" in charts["cost"].alt
    assert all(chart.spots for chart in charts.values())
    assert "15 runs of 3 sides" in charts["runs"].svg


def test_markdown_has_the_table_the_sentences_and_the_sheet(made: Made) -> None:
    assert made.markdown.startswith("# Three providers\n")
    assert re.search(r"^\| fast \| 10\d \\\[", made.markdown, re.MULTILINE)
    assert "- **TTFT p50**: fast first; slow and near share places 2 to 3" in made.markdown
    assert "## Fairness sheet" in made.markdown
    assert "firsttoken run --repeats 5" in made.markdown


def test_runs_of_one_arm_stand_beside_each_other_without_ranks(tmp_path: Path) -> None:
    """A campaign of one arm: one side, its runs, and no other to be ahead of."""
    alone = write(tmp_path / "alone", {"fast": 0.1}, rounds=3)
    made = comparison.made(gather([alone]), Rules(), {"title": ""})

    assert [chart.name for chart in made.charts] == ["ttft", "percentiles", "failures", "runs"]
    assert "<h2>Ranking</h2>" not in made.html
    assert "leads in" not in made.html
    assert "alone/03" in made.html


def test_several_paths_are_sides_by_their_own_names(campaign: Path) -> None:
    """Two runs of the same arm are two sides, called after their directories; runs of different arms after these."""
    same = gather([campaign / "01", campaign / "04"])
    other = gather([campaign / "01", campaign / "02"])

    assert [(side.name, side.seen.name) for side in same.sides] == [("01", "01"), ("04", "04")]
    assert [side.name for side in other.sides] == ["fast", "slow"]
    told = comparison.made(same, Rules(across=frozenset({"seed"})), {})
    assert "one run a side says nothing about the next one" in told.html
    assert "Compared although they may differ in seed" in told.html
    unlike = comparison.made(same, Rules(), {})
    assert "the runs are not alike in seed: 1 against 2" in unlike.html


def test_no_two_sides_have_one_name_and_no_run_is_two_sides(campaign: Path, tmp_path: Path) -> None:
    """Folders of the same name are told apart by those they lie in; a run named twice, by a link too, is one."""
    for name in ("old", "new"):
        shutil.copytree(campaign / "01", tmp_path / name / "01")
    (tmp_path / "link").symlink_to(tmp_path / "old", target_is_directory=True)

    found = gather([tmp_path / name / "01" for name in ("old", "new", "link")])
    assert [side.name for side in found.sides] == ["old/01", "new/01"]
    assert list(found.digests) == ["old/01", "new/01"]
    kept = [one / "quantiles.parquet" for one in (campaign / "02", campaign / "05")]
    assert [side.name for side in gather(kept).sides] == ["02/quantiles.parquet", "05/quantiles.parquet"]
    assert gather([campaign / f"0{k}" for k in range(1, 6)]).name == "01, 02 and 3 more"


def test_lost_requests_failed_too(tmp_path: Path) -> None:
    """5 of 80 have no row that any process wrote: the chart says what the error rate says, 6.25 %."""

    def lose(row: Record, _: np.random.Generator) -> None:
        if row.seq % 16 == 15:
            row.outcome = "lost"

    (side,) = gather([synthetic.write(tmp_path / "r", synthetic.Recipe(n=80, change=lose))]).sides
    (chart,) = (one for one in arms.charts([side.seen], [], "") if one.name == "failures")

    assert chart.alt == "Failed requests: r 6.25 % of 80."


def test_digests_alone_are_enough_for_a_ranking(tmp_path: Path) -> None:
    """A repository keeps quantiles.parquet files: numbers without curves."""
    folder = manyruns.keep(
        tmp_path / "kept",
        [manyruns.run(at, {manyruns.TTFT95: 0.1 + 0.001 * at}, arm="ab"[at % 2]) for at in range(10)],
    )
    found = gather([folder])
    made = comparison.made(found, Rules(across=frozenset({"seed"})), {})

    assert {side.name: len(side.digests) for side in found.sides} == {"a": 5, "b": 5}
    assert all(chart.is_empty for chart in made.charts if chart.name in {"ttft", "percentiles"})
    assert "a and b: TTFT p95" in made.html


TWO: Any = {"a": (0.1, 0.101, 0.099, 0.1005, 0.0995), "b": (0.2, 0.202, 0.198, 0.201, 0.199)}


def kept(tmp_path: Path, runs: tuple[int, int] = (5, 5), **more: tuple[Any, Any]) -> Made:
    """Two sides of digests alone, so many runs each; `more` is what each side has of a digest's own."""
    digests = [
        manyruns.run(100 * k + at, {manyruns.TTFT95: value}, arm=arm, **{key: both[k] for key, both in more.items()})
        for k, (arm, values) in enumerate(TWO.items())
        for at, value in enumerate(values[: runs[k]])
    ]
    across = frozenset({"seed", "load", "objectives"})
    return comparison.made(gather([manyruns.keep(tmp_path / "kept", digests)]), Rules(across=across), {})


@pytest.mark.parametrize(
    ("runs", "around"),
    [((5, 5), "over the runs"), ((5, 1), "over the runs; for a side with one run, within that run")],
)
def test_it_is_said_where_intervals_come_from(tmp_path: Path, runs: tuple[int, int], around: str) -> None:
    made = kept(tmp_path, runs)

    assert f"Below each number: its 95 % interval {around}." in made.html
    assert f"In brackets: the 95 % interval {around}; " in made.markdown


def test_sides_of_different_objectives_and_models_each_tell_their_own(tmp_path: Path) -> None:
    made = kept(tmp_path, objectives=(("ttft_p95<1s",), ("ttft_p95<2s",)), settings=({"model": "m1"}, {"model": "m2"}))

    assert "Good requests met: a: ttft_p95&lt;1s; b: ttft_p95&lt;2s" in made.html
    assert r"Good requests met: a: ttft\_p95\<1s; b: ttft\_p95\<2s" in made.markdown
    assert "Compared although they may differ in load, objectives, seed, as requested." in made.markdown
    (side,) = gather([manyruns.keep(tmp_path / "one", [
        manyruns.run(at, {manyruns.TTFT95: 0.1}, settings={"model": f"m{at}"}) for at in (1, 2)
    ])]).sides  # fmt: skip
    assert "mock · model m1 or mock · model m2" in comparison.made(gather([tmp_path / "one"]), Rules(), {}).html
    assert len(side.digests) == 2


def test_the_page_keeps_objectives_as_texts(tmp_path: Path) -> None:
    """Not as the file or the preset that they were asked for by."""
    folder = manyruns.keep(tmp_path / "kept", [manyruns.run(0, {manyruns.TTFT95: 0.1}, objectives=("ttft_p95<1s",))])
    html = comparison.made(gather([folder]), Rules(), {"objectives": ("promised.toml",)}).html

    assert meta(html)["options"] == {"objectives": ["ttft_p95<1s"]}


def test_a_load_that_differs_is_told_of_each_side(campaign: Path) -> None:
    """Arms that were asked together differ in each other's name, which is no load."""
    found = gather([campaign])
    one, *others = found.sides
    usual = one.digests[0].facts.load

    def loaded(load: str) -> Made:
        digest = replace(one.digests[0], facts=replace(one.digests[0].facts, load=load))
        return comparison.made(replace(found, sides=(replace(one, digests=(digest,)), *others)), Rules(), {})

    together, other = loaded(f"{usual}, together with slow"), loaded("open loop, poisson 99/s")
    assert "each side" not in together.html.partition("<h2>")[0]
    assert all(words in text_of(other.html.partition("<h2>")[0]) for words in ("side's own load", "99/s", usual))
    assert all("each side's own load" in chart.svg for chart in other.charts if chart.name == "runs")


def test_numbers_that_some_runs_lack_say_how_many_have_them(tmp_path: Path) -> None:
    numbers: list[Any] = [{manyruns.TTFT95: 0.1, manyruns.TTFT: 0.1}] * 3 + [{manyruns.TTFT: 0.1}] * 2
    folder = manyruns.keep(tmp_path / "kept", [manyruns.run(at, one) for at, one in enumerate(numbers)])
    made = comparison.made(gather([folder]), Rules(), {})

    assert made.html.count("<small>3 of 5 runs</small>") == 1
    assert made.markdown.count("(3 of 5 runs)") == 1


def test_what_is_certain_of_few_runs_is_told_with_how_few(tmp_path: Path) -> None:
    """Twice the time, in three runs a side: worse, but no regression, and no line says that nobody knows."""
    made = kept(tmp_path, (3, 3))

    assert "b against a: worse in ttft_p95 (under 5 runs)" in made.html
    assert "<td>worse, but under 5 runs a side</td>" in made.html
    assert "not distinguishable</td>" not in made.html
    assert "b against a: worse in ttft_p95</summary>" in kept(tmp_path / "whole").html


def test_no_p_is_nothing(tmp_path: Path) -> None:
    """All of 10,000 requests against none: the normal law has no number that small."""
    shares = [manyruns.run(at, {manyruns.ERRORS: Number(float(at > 4), 2000)}, arm="ab"[at > 4]) for at in range(10)]
    html = comparison.made(
        gather([manyruns.keep(tmp_path / "kept", shares)]), Rules(across=frozenset({"seed"})), {}
    ).html

    assert '<td class="n">&lt; 0.0001</td>' in html
    assert "p &lt; 0.0001" in html


def test_markdown_tells_how_sides_are_ranked_in_the_words_of_the_page(made: Made) -> None:
    page, plain = text_of(made.html), made.markdown.replace("\\", "")

    for words in (standings.PLACES, standings.RANKED):
        assert words in re.sub(r"\s+", " ", page)
        assert words in plain


LENGTH = Place("mean_output_tokens", None, RUN, "usage", "")


def of_lengths(tmp_path: Path, *lengths: float) -> Made:
    """Sides of five valid runs each, alike in TTFT, whose answers are so long on average."""
    digests = [
        manyruns.run(100 * k + at, {manyruns.TTFT95: 0.1 + at / 1e4, LENGTH: length + at / 10}, arm="abc"[k])
        for k, length in enumerate(lengths)
        for at in range(5)
    ]
    folder = manyruns.keep(tmp_path / "kept", digests)
    return comparison.made(gather([folder]), Rules(across=frozenset({"seed"})), {})


def test_sides_that_did_other_work_are_no_valid_comparison(tmp_path: Path) -> None:
    """Every run is valid; `compare` says INVALID, and so do page, markdown and charts, with the reason."""
    made, three = of_lengths(tmp_path / "2", 50, 30), of_lengths(tmp_path / "3", 50, 30, 31)
    head = text_of(made.html.partition("<h2>")[0])

    assert ": invalid</title>" in made.html
    assert "a and b fail the check output length of the sides: 50.2 against 30.2 tokens. The sides did not " in head
    assert "\n**INVALID** · " in made.markdown
    assert "a and b fail the check output length of the sides: 50.2 against 30.2 tokens. " in made.markdown
    assert "a and b, and 1 more pair, fail the check output length" in three.markdown
    assert "**VALID**" in of_lengths(tmp_path / "same", 50, 50).markdown


def test_sides_that_stand_in_no_pair_are_not_just_valid(tmp_path: Path) -> None:
    digests = [manyruns.run(at, {manyruns.TTFT95: 0.1}, arm=arm) for at, arm in enumerate("ab")]
    made = comparison.made(gather([manyruns.keep(tmp_path / "kept", digests)]), Rules(), {})

    for told in (made.markdown, text_of(made.html)):
        assert "No two sides can be compared: see Not compared, and why." in told


def test_of_one_run_a_rough_percentile_has_its_mark_and_its_interval(tmp_path: Path) -> None:
    """From 130 requests on a p95 is firm; below, its interval may have no upper end."""
    numbers = {"a": Number(0.31, 116, 0.27, None), "b": Number(0.33, 300, 0.3, 0.36), "c": Number(0.32, 100, 0.3, 0.34)}
    digests = [manyruns.run(at, {manyruns.TTFT95: one}, arm=arm) for at, (arm, one) in enumerate(numbers.items())]
    made = comparison.made(gather([manyruns.keep(tmp_path / "kept", digests)]), Rules(across=frozenset({"seed"})), {})

    plain = made.markdown.replace("\\", "").replace(NONE, " to ")
    for cell in ("| a | 310~ [270 to ∞]", "| b | 330 [300 to 360]", "| c | 320~ [300 to 340]"):
        assert cell in plain
    assert "~ rests on a few extreme values." in made.markdown
    assert "310~" in made.html
    assert "~ rests" in made.html


def test_prices_without_a_day_are_of_no_day(made: Made) -> None:
    (cost,) = (chart for chart in made.charts if chart.name == "cost")

    assert "prices of" not in cost.svg


def test_where_nothing_is_one_line_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run, campaign or quantiles"):
        gather([tmp_path])


def test_a_sweep_beside_a_run_is_refused(campaign: Path, tmp_path: Path) -> None:
    """Its runs are of different loads: no repeats of each other."""
    (tmp_path / "campaign.json").write_text(json.dumps({"schema_version": 1, "kind": "sweep", "runs": []}))

    with pytest.raises(RunError, match="different loads"):
        gather([campaign / "01", tmp_path])
