"""The page about a sweep or a search: the answer first, everything in one file, nothing left out or made up."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import answered
import points
import pytest
import searches
import synthetic
from pages import fetched, nests, text_of

from analysis.capacity import levels, meaning, method, report
from analysis.capacity.curve import curves
from analysis.capacity.page import link
from analysis.capacity.ranout import edge
from analysis.server import Finding, Told
from loadtests import record

ASKED = meaning.Asked(peak_per_s=30.0, growth=0.2, price_per_h=2.5)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """One answer with machines and money; the runs at its edge are on disk, and their server was asked."""
    path = tmp_path_factory.mktemp("searched")
    answer = searches.answer()
    said = {}
    for probe in edge(answer):
        assert probe is not None
        run = probe.points[0].run
        synthetic.write(path / run, synthetic.Recipe(n=60))
        said[run] = Told("vLLM", ("x",), {}, (), (Finding("kv_cache", "the KV cache was full"),), ())
    argv = ["firsttoken", "capacity", "--objective", "ttft_p95<2s"]
    about = {"argv": argv, "rest_s": 5.0, "options": {"probes": 14}, "runs": []}
    (path / "campaign.json").write_text(json.dumps(about))
    told = searches.of(path, [answer], said=said)
    return path, report.write(told, [meaning.mean(answer, ASKED)]).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Two runs at each of six loads, the last of which is too much."""
    path = tmp_path_factory.mktemp("swept")
    mine = [
        replace(points.exponential(load, 10.0), run=f"{2 * place + again:02d}")
        for place, load in enumerate((1.0, 3.0, 5.0, 7.0, 9.0))
        for again in (1, 2)
    ]
    over = points.point(11.0, run="11", state="unstable", why="in flight grew by 1.3/s")
    return path, report.write(searches.campaign(path, "sweep", [*mine, over])).read_text(encoding="utf-8")


# A search.


def test_the_answer_comes_first_then_its_numbers_then_the_search(searched: tuple[Path, str]) -> None:
    _, page = searched
    text = text_of(page)
    order = [
        "fast carries 5.3 (5.0 to 5.6) requests a second; the peak takes 11 (10 to 11) machines.",
        "machines for the peak 11", "The search", "Latency and throughput at each load", "Cost against latency",
        "The server's own view Probe", "Probes #", "Limits of this result", "Method", "How to reproduce",
    ]  # fmt: skip

    places = [text.index(words) for words in order]
    assert places == sorted(places)
    assert "capacity, requests/s 5.3 95 %: 5.0 to 5.6" in text
    assert nests(page)


def test_the_page_needs_nothing_but_links_to_its_runs(searched: tuple[Path, str]) -> None:
    path, page = searched

    assert page.count("<figure") == len(list((path / record.CHARTS).glob("*.svg")))
    assert set(fetched(page)) >= {f"{one.name}/" for one in path.iterdir() if one.name[:2] == "fa"}
    assert all(one.endswith("/") for one in fetched(page))


def test_every_probe_is_in_the_table_and_what_was_asked_at_the_end(searched: tuple[Path, str]) -> None:
    text = text_of(searched[1])

    for probe in searches.answer().probes:
        assert f" {probe.step.number} {probe.step.kind} " in text
    assert "firsttoken capacity --objective 'ttft_p95<2s'" in text
    assert "then 5 s pass" in text
    assert "At most 14 probes" in text


def test_the_runs_at_the_edge_are_drawn_with_what_their_server_said(searched: tuple[Path, str]) -> None:
    path, page = searched
    drawn = sorted(one.stem for one in (path / record.CHARTS).glob("timeline-*.svg"))

    assert len(drawn) == 2
    assert text_of(page).count("The KV cache was full.") == 2
    assert "the lowest load that missed the objective, the server (vLLM) says: the KV cache was full." in text_of(page)


def test_charts_are_whole_and_told_in_words(searched: tuple[Path, str]) -> None:
    path, page = searched

    for file in (path / record.CHARTS).glob("*.svg"):
        ET.fromstring(file.read_text())
    alts = re.findall(r'alt="([^"]*)"', page)
    assert all(alts)
    assert not any(alt.startswith("Empty") for alt in alts)


def test_several_deployments_come_side_by_side_before_each_alone(tmp_path: Path) -> None:
    by_rate = [points.point(load, arm="fast", run=f"{load:g}") for load in (2.0, 4.0)]
    users = [points.point(load, arm="fast", run=f"u{load:g}", mode="concurrency") for load in (2.0, 4.0)]
    others = [points.point(load, arm="slow", run=f"s{load:g}") for load in (1.0, 2.0)]
    answers = [
        answered.answer(5.3, 5.0, 5.6, *by_rate),
        answered.answer(2.7, 2.6, 2.8, *others, arm="slow"),
        answered.answer(9.0, 9.0, 9.0, *users, mode="concurrency"),
    ]
    page = report.write(searches.of(tmp_path, answers)).read_text()
    text = text_of(page)

    assert text.index("Deployments side by side") < text.index("fast carries 5.3")
    assert "By rate and by users" in text
    assert {"search-1", "search-2", "search-3", "capacities"} <= {one.stem for one in (tmp_path / "charts").iterdir()}
    assert nests(page)


def test_without_a_capacity_the_page_says_why(tmp_path: Path) -> None:
    runs = [points.point(load, arm="fast", run=f"{load:g}") for load in (1.0, 2.0)]
    none = answered.answer(None, None, 5.0, *runs, limited_by="failures", reason="nothing decided")
    text = text_of(report.write(searches.of(tmp_path, [none])).read_text())

    assert "no capacity What fast carries could not be determined: nothing decided; it is below 5." in text


def test_what_others_name_cannot_become_markup(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    told = searches.campaign(tmp_path, "sweep", [points.point(1.0, why=evil, state="failed")])
    told = replace(told, facts={arm: replace(one, model=evil) for arm, one in told.facts.items()})
    page = report.write(told).read_text()

    assert evil not in page
    assert page.count("&lt;script&gt;") > 1


# A sweep.


def test_a_sweep_says_what_was_found_then_its_loads(swept: tuple[Path, str]) -> None:
    """M/M/1 with mu = 10: p95 is twice its value at 1/s, where 10 - rate is half of 9, at 5.5/s."""
    path, page = swept
    text = text_of(page)

    found = re.search(r"Unstable from 11/s on; p95 TTFT twice its low-load value from ([\d.]+)/s on", text)
    assert found is not None
    assert float(found[1]) == pytest.approx(5.5, rel=0.05)  # on a line between 5/s and 7/s
    assert "in flight grew by 1.3/s" in text
    assert text.index("Unstable from") < text.index("Loads rate, 1/s") < text.index("Charts") < text.index("Method")
    assert {"load", "offered", "scaling"} <= {one.stem for one in (path / "charts").iterdir()}
    assert nests(page)


def test_a_load_that_is_not_steady_has_no_interval_and_links_to_its_run(swept: tuple[Path, str]) -> None:
    curve = next(iter(curves([points.point(11.0, run="11", state="unstable", why="it grew")] * 2).values()))
    row = levels.swept("a", curve, swept[0], named=False)["rows"][0]

    assert (row["state"], row["class"], row["why"]) == ("unstable", "s-invalid", "it grew")
    assert not any(cell["note"] for cell in row["cells"])
    assert row["links"][0] == {"run": "11", "to": "11/"}


def test_a_run_with_a_page_of_its_own_is_linked_to_it(tmp_path: Path) -> None:
    (tmp_path / "07").mkdir()
    (tmp_path / "07" / record.REPORT).write_text("x")

    assert link(tmp_path, "07") == {"run": "07", "to": "07/report.html"}


# What limits it.


def test_doubt_is_said_where_there_is_any() -> None:
    mine = [points.point(4.0), points.point(5.0, verdict="doubtful", run="09"), points.point(6.0, little=0.2, run="12")]
    said = " ".join(method.limits(searches.campaign(Path("x"), "sweep", mine)))

    assert "1 of 3 runs is doubtful by their own checks: run 09." in said
    assert "In run 12 in flight is more than 5 % off" in said
    assert "quota" not in said


def test_a_quota_and_a_client_at_its_limit_say_nothing_of_the_server() -> None:
    mine = [points.point(4.0, state="quota"), points.point(5.0, state="client")]
    said = " ".join(method.limits(searches.campaign(Path("x"), "sweep", mine)))

    assert "1 of 2 runs say nothing of the server: the load generator was at its limit." in said
    assert "1 of 2 runs say nothing of the server: the provider's quota was met." in said
