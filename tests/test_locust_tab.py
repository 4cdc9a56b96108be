"""What the tab in Locust's web UI shows, and what its addresses give."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from flask import Blueprint, Flask, jsonify

from loadtests import histogram
from loadtests.locust_tab import KEY, Answers, Seconds, Tab, add_tab
from loadtests.locust_tab.answers import LATEST, MOST, OTHERS
from loadtests.locust_tab.pages import ELEMENT, HERE
from loadtests.locust_tab.seconds import KEPT_S, WINDOW_S, Second
from loadtests.record import CHARTS, REPORT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from flask.testing import FlaskClient


def answers(*told: tuple[str, float, float | None]) -> Answers:
    found = Answers()
    for one in told:
        found.add(one)
    return found


# The table.


def test_the_table_has_a_row_per_workload_and_a_dash_where_nothing_is_known() -> None:
    """Medians of 10, 20 and 30 ms and of 1, 2 and 3 tokens/s, p95 29 ms, p05 1.1 tokens/s; `b` never streamed."""
    first, second = answers(("b", 5.0, None), ("a", 1.0, 10.0), ("a", 3.0, 30.0), ("a", 2.0, 20.0)).rows()

    assert first == {
        "name": "a", "answers": 3, "ttft_p50": "20.0", "ttft_p95": "29.0", "ttft_max": "30.0", "tokens_p50": "2.0",
        "tokens_p05": "1.1",
    }  # fmt: skip
    assert (second["name"], second["answers"], second["ttft_p50"], second["tokens_p50"]) == ("b", 1, "-", "5.0")


def test_what_workers_have_drained_adds_up_at_the_master() -> None:
    one, other = answers(("a", 1.0, 10.0), ("a", 3.0, None)), answers(("a", 2.0, 20.0), ("b", 4.0, 40.0))
    whole = Answers()
    for worker in (one, other, one):  # the third has nothing new
        whole.take(worker.drained())

    assert [(row["name"], row["answers"], row["ttft_max"]) for row in whole.rows()] == [
        ("a", 3, "20.0"), ("b", 1, "40.0")
    ]  # fmt: skip
    assert one.rows() == []


def test_the_table_is_bounded() -> None:
    """All are counted; percentiles are of the latest, whose times are here all above those before; names end too."""
    long = answers(*(("a", 1.0, float(i)) for i in range(3 * LATEST)))
    many = answers(*((f"name {i:03}", 1.0, 1.0) for i in range(10 * MOST)))

    (row,) = long.rows()
    assert (row["answers"], row["ttft_max"]) == (3 * LATEST, f"{3 * LATEST - 1:.1f}")
    assert float(row["ttft_p50"]) == pytest.approx(2.5 * LATEST, rel=0.001)
    assert len(many.rows()) == MOST + 1
    assert {row["name"]: row["answers"] for row in many.rows()}[OTHERS] == 9 * MOST


# The charts.


def status(tokens: int, in_flight: int, ttft_ms: Iterable[int] = ()) -> dict[str, Any]:
    """What a worker tells of itself, all since the run's start."""
    counts: histogram.Bins = {}
    for ms in ttft_ms:
        histogram.add(counts, {histogram.bin_of(ms * 1_000_000): 1})
    return {"in_flight": in_flight, "arms": {"default": {"output_tokens": tokens, "ttft": histogram.flat(counts)}}}


def test_a_second_tells_of_its_window_over_all_workers() -> None:
    """
    Second 1: 30 tokens and 20 TTFTs of 100 ms, of which p95 can just be told; a bin is 2.5 % wide at most.

    Second 3, as the 2nd was missed: 60 tokens more in 2 s, the same TTFTs.
    """
    seconds = Seconds()
    seconds.tick(0.5, [status(9, 9)])
    seconds.tick(1.0, [status(10, 1, [100] * 20), status(20, 2), {}])
    seconds.tick(1.9, [status(99, 9)])
    seconds.tick(3.0, [status(40, 3, [100] * 20), status(50, 4), {}])
    found = seconds.columns()

    assert found["t_s"] == [1.0, 3.0]
    assert found["tokens_per_s"] == [30.0, 30.0]
    assert found["in_flight"] == [3, 7]
    assert found["ttft_p50_ms"] == pytest.approx([100, 100], rel=0.025)
    assert found["ttft_p95_ms"] == pytest.approx([100, 100], rel=0.025)


def test_what_is_older_than_the_window_is_forgotten() -> None:
    """100 slow first tokens in the first second, then one fast each second: no p95 of so few."""
    seconds = Seconds()
    for second in range(1, 2 * WINDOW_S + 1):
        seconds.tick(second, [status(100 * second, 0, [900] * 100 + [100] * (second - 1))])
    found = seconds.columns()

    assert found["ttft_p50_ms"][WINDOW_S - 1] == pytest.approx(900, rel=0.025)
    assert found["ttft_p50_ms"][WINDOW_S] == pytest.approx(100, rel=0.025)
    assert found["ttft_p95_ms"][WINDOW_S - 1 :][:2] == [pytest.approx(900, rel=0.025), None]
    assert set(found["tokens_per_s"]) == {100.0}


def test_the_seconds_are_bounded_and_a_test_without_answers_has_some_too() -> None:
    seconds = Seconds()
    for second in range(1, KEPT_S + 50):
        seconds.tick(second, [{}])
    found = seconds.columns()

    assert (found["t_s"][0], found["t_s"][-1], len(found["t_s"])) == (50, KEPT_S + 49, KEPT_S)
    assert set(found["ttft_p50_ms"]) == {None}
    assert set(found["tokens_per_s"]) == {0.0}


def test_the_script_draws_what_is_told() -> None:
    told = Tab().to_json()
    script = (HERE / "tab.js").read_text()

    assert set(told["seconds"]) == set(Second._fields)
    assert all(f"'{name}'" in script for name in Second._fields if name != "t_s")
    assert all(f"{name}" in script for name in (*told, "t_s"))
    assert f"customElements.define('{ELEMENT}'" in script
    assert "http" not in script.replace("http://www.w3.org/2000/svg", "")


# The addresses.

STATS = {"stats": [], "errors": [], "total_rps": 1.5, "state": "running"}


def web(tab: Tab, base: str | None = None) -> FlaskClient:
    """A Flask application with Locust's two addresses that the tab has to do with, as its web UI makes it."""
    app, locust = Flask(__name__), Blueprint("locust", __name__, url_prefix=base)  # by our name: Flask imports it
    locust.add_url_rule("/", "index", lambda: "<html><head></head></html>")
    locust.add_url_rule("/stats/requests", "request_stats", lambda: jsonify(STATS))
    app.register_blueprint(locust)
    tabs: dict[str, list[dict[str, str]]] = {"extended_tabs": [{"key": "mine"}]}
    add_tab(SimpleNamespace(app=app, template_args=tabs, auth_required_if_enabled=lambda view: view), tab)
    assert [one["key"] for one in tabs["extended_tabs"]] == ["mine", KEY]
    assert tabs["extended_tabs"][1]["component"] == ELEMENT
    return app.test_client()


@pytest.mark.parametrize("base", [None, "/load"])
def test_locusts_page_gets_our_script_and_keeps_its_own_statistics(base: str | None) -> None:
    tab = Tab()
    tab.answers.add(("chat", 50.0, 200.0))
    client = web(tab, base)
    at = base or ""
    stats = client.get(f"{at}/stats/requests").json

    assert 'src="./firsttoken/tab.js"></script></head>' in client.get(f"{at}/").text
    assert (client.get(f"{at}/firsttoken/tab.js", buffered=True).mimetype or "").endswith("/javascript")
    assert stats is not None
    assert stats | STATS == stats
    assert [(one["key"], one["data"][0]["name"]) for one in stats.pop("extended_stats")] == [(KEY, "chat")]
    assert stats == STATS


def run_of(folder: Path, name: str) -> Path:
    run = folder / name
    (run / CHARTS).mkdir(parents=True)
    (run / REPORT).write_text(f"<title>{name}</title>")
    (run / CHARTS / "ttft.svg").write_text("<svg/>")
    (run / "run.json").write_text("{}")
    return run


def test_each_test_shows_its_own_figures_and_leaves_its_report(tmp_path: Path) -> None:
    tab, first, second = Tab(), run_of(tmp_path, "1"), run_of(tmp_path, "2")
    client = web(tab)
    states = [client.get("/firsttoken/figures").json]
    for run in (first, second):
        tab.begin(run)
        states.append(client.get("/firsttoken/figures").json)
        tab.answers.add(("chat", 50.0, 200.0))
        tab.seconds.tick(1.0, [status(5, 1)])
        tab.finishing()
        states.append(client.get("/firsttoken/figures").json)
        tab.end(run)
        states.append(client.get("/firsttoken/figures").json)

    assert [(told["run"], told["state"], told["reports"]) for told in states if told] == [
        ("", "waiting", []),
        ("1", "running", []), ("1", "finishing", []), ("1", "finished", ["1"]),
        ("2", "running", ["1"]), ("2", "finishing", ["1"]), ("2", "finished", ["2", "1"]),
    ]  # fmt: skip
    assert [len(told["seconds"]["t_s"]) for told in states if told] == [0, 0, 1, 1, 0, 1, 1]
    assert [len(told["rows"]) for told in states if told] == [0, 0, 1, 1, 0, 1, 1]
    assert client.get("/firsttoken/reports/1/report.html", buffered=True).text == "<title>1</title>"
    assert client.get("/firsttoken/reports/2/charts/ttft.svg", buffered=True).mimetype == "image/svg+xml"


def test_a_test_without_a_report_has_no_link(tmp_path: Path) -> None:
    tab = Tab()
    tab.begin(tmp_path)
    tab.end(tmp_path)

    assert tab.to_json()["reports"] == []


def test_a_test_that_could_not_start_says_why() -> None:
    tab = Tab()
    tab.refuse("nothing reached")

    assert (tab.to_json()["state"], tab.to_json()["why"]) == ("refused", "nothing reached")


@pytest.mark.parametrize(
    "address",
    [
        "reports/2/report.html",  # there, but no test of this process
        "reports/1/run.json",
        "reports/1/charts/../run.json",
        "reports/1/charts/..%2frun.json",
        "reports/1/charts/%2e%2e/run.json",
        "reports/1%2f..%2f2/report.html",
        "reports/../1/report.html",
        "reports/1/charts/",
        "pages.py",
    ],
)
def test_nothing_else_is_served(tmp_path: Path, address: str) -> None:
    tab = Tab()
    run_of(tmp_path, "2")
    tab.end(run_of(tmp_path, "1"))

    assert web(tab).get(f"/firsttoken/{address}").status_code == 404
