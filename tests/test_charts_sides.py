"""Charts of several sides: thinned curves, names that keep apart, bubbles, the forest plot."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from digests import side
from manyruns import ERRORS, TTFT95

from analysis.charts import arms, forest, worth
from analysis.charts.frame import drawn
from analysis.charts.sides import Curve, Seen, apart, curve, pooled, rest, short, spread
from analysis.charts.worth import Worth
from analysis.compare.ranking import rank
from analysis.compare.rules import Rules
from analysis.compare.standing import Standing
from analysis.units import NONE


def test_a_thinned_curve_keeps_its_quantiles() -> None:
    """0 to 1 in 100,000 even steps: each quantile is its own share."""
    found = curve(np.linspace(0, 1, 100_000))

    assert found.values.size <= 240
    assert found.at(np.array([0.5, 0.95, 0.999])) == pytest.approx([0.5, 0.95, 0.999], abs=1e-3)


def test_runs_are_pooled_by_how_many_requests_they_have() -> None:
    """100 values of 1 and 300 of 2: a quarter is not greater than 1."""
    both = pooled([curve(np.ones(100)), curve(np.full(300, 2.0)), curve(np.array([np.nan]))])

    assert both.n == 400
    assert float(both.shares[both.values == 1.0].max()) == pytest.approx(0.25)
    assert both.shares[-1] == pytest.approx(1.0)


def test_the_band_over_runs_is_the_t_interval_of_their_logs() -> None:
    """Medians of 1, e, e^2: sd of the logs 1, t(2) = 4.303, half-width 4.303 / sqrt(3) = 2.484; two runs have none."""
    runs = [curve(np.full(50, np.e**k)) for k in range(3)]
    found = spread(runs, np.array([0.5]))

    assert found is not None
    assert np.log(found[1][0]) == pytest.approx(2.484, abs=1e-3)
    assert np.log(found[0][0]) == pytest.approx(-2.484, abs=1e-3)
    assert spread(runs[:2], np.array([0.5])) is None


def test_names_move_apart_and_no_further() -> None:
    """3 and 4 are too near by 9 and share the way; 50 stays."""
    assert apart([4.0, 50.0, 3.0], 10.0) == [8.5, 50.0, -1.5]
    assert apart([0.0, 20.0], 10.0) == [0.0, 20.0]


def seen(name: str, ttft_s: float, runs: int = 3, failed: int = 0) -> Seen:
    rng = np.random.default_rng(1)
    curves = tuple(curve(ttft_s * rng.lognormal(0, 0.2, 400)) for _ in range(runs))
    kinds = Counter({"throttled": failed}) if failed else Counter()
    return Seen(
        name, curves, curves, curves, kinds, 400 * runs, tuple((60.0 * k, ttft_s, 1.4 * ttft_s) for k in range(runs))
    )


def test_more_sides_than_a_panel_holds_are_said() -> None:
    """Eight: seven are drawn, and the chart says so."""
    many = [seen(f"side {k}", 0.1 * 1.2**k) for k in range(8)]
    charts = {chart.name: chart for chart in arms.charts(many, [(0.95, 0.4)], "small print")}

    assert rest([one.name for one in many]) == "7 of 8 sides drawn, all in the table"
    assert "7 of 8 sides drawn" in charts["ttft"].svg
    assert "side 6" in charts["ttft"].svg
    assert "side 7" not in charts["ttft"].svg
    assert "objective: p95 &lt; 400 ms" in charts["ttft"].svg
    assert charts["failures"].alt == "Empty: None of the 8,400 requests failed."


def test_failures_are_told_by_kind_and_by_whose_they_are() -> None:
    chart = next(
        one for one in arms.charts([seen("a", 0.1, failed=12), seen("b", 0.1)], [], "") if one.name == "failures"
    )

    assert chart.table.rows == (("a", "throttled", "rate limit", "12", "1.00 %"),)
    assert chart.alt == "Failed requests: a 1.00 % of 1,200; b 0 % of 1,200."


def test_waiting_to_be_sent_shows_beside_the_service_time() -> None:
    """Half a second of waiting for all: a second line. None: it is said that there is none."""
    one = seen("a", 0.1)
    late = replace(one, latency=tuple(Curve(c.values + 0.5, c.shares, c.n) for c in one.latency))
    told = [{chart.name: chart.svg for chart in arms.charts([each], [], "")}["percentiles"] for each in (one, late)]

    assert "from send: the same" in told[0]
    assert "thin: from send" in told[1]


def test_without_anything_to_draw_a_chart_says_why() -> None:
    told = {chart.name: chart.alt for chart in arms.charts([Seen("a"), Seen("b")], [], "")}

    assert told["ttft"].startswith("Empty: No streamed answer completed")
    assert told["runs"].startswith("Empty: One run alone shows no trend")
    assert worth.chart([], ["a"], "TTFT p95", "", "").is_empty
    assert forest.chart([], "").is_empty


def test_cost_against_latency_names_each_side_once() -> None:
    """Two bubbles at the same place: their names do not lie on each other."""
    here = Standing("", 0.5, 0.4, 0.6, 5, 1, 2)
    wait = Standing("", 0.3, 0.28, 0.33, 5, 1, 2)
    sides = [Worth("one provider", here, wait, 8.0), Worth("another one", here, wait, 4.0)]
    chart = drawn("cost", lambda canvas: worth.draw(canvas, sides, ["one provider", "another one"], "TTFT p95", ""), "")

    assert chart.svg.count(">one provider<") == 1
    assert [spot.text for spot in chart.spots] == [
        "one provider: 0.500 USD, 300 ms, goodput 8.00/s", "another one: 0.500 USD, 300 ms, goodput 4.00/s",
    ]  # fmt: skip


def test_the_forest_has_a_line_a_pair_with_what_follows() -> None:
    """100 ms against 200: B is surely worse; error rates of 0.1 and 0.1 points apart lie within a point."""
    fast, slow = [0.1, 0.101, 0.099, 0.1, 0.1], [0.2, 0.202, 0.198, 0.2, 0.2]
    sides = {
        "fast": side({TTFT95: fast, ERRORS: [0.01, 0.011, 0.009, 0.01, 0.01]}),
        "slow": side({TTFT95: slow, ERRORS: [0.011, 0.012, 0.01, 0.011, 0.011]}, at=100),
    }
    chart = forest.chart(rank(sides, Rules(across=frozenset({"seed"}))).orders, "small print")

    assert [(row[0], row[-1].split(",")[0]) for row in chart.table.rows] == [
        ("TTFT p95", "fast better"), ("error rate", "within margin"),
    ]  # fmt: skip
    assert "B / A (ratio, log scale)" in chart.svg
    assert "B - A (points)" in chart.svg
    assert len(chart.spots) == 2


def test_what_costs_nothing_has_no_place_on_a_log_scale_and_is_named() -> None:
    wait = Standing("", 0.3, 0.28, 0.33, 5, 1, 2)
    sides = [Worth(name, Standing("", cost, None, None, 5, 1, 2), wait, 8.0) for name, cost in (("a", 0.5), ("b", 0.0))]

    assert "at no cost: b" in worth.chart(sides, ["a", "b"], "TTFT p95", "", "").svg
    assert worth.chart(sides[1:], ["a", "b"], "TTFT p95", "", "").alt == "Empty: Requests to b cost nothing."


def test_the_forest_of_many_sides_may_have_a_metric_that_nobody_is_ranked_by() -> None:
    """9 sides are 36 pairs a metric, and of these two the second is known of a side alone that is invalid."""
    sides = {f"s{k}": side({TTFT95: [0.1 + k, 0.101 + k, 0.099 + k] * 2}, at=100 * k) for k in range(10)}
    sides["bad"] = side({ERRORS: [0.5] * 6}, at=5000, verdict="invalid")
    orders = rank(sides, Rules(across=frozenset({"seed"}))).orders

    assert [bool(order.standings) for order in orders] == [True, False]
    assert "more pairs not drawn" in forest.chart(orders, "").svg


def test_long_names_that_begin_alike_stay_apart() -> None:
    assert short("provider-eu-west-1-fast") == "provider…st-1-fast"
    assert len(short("x" * 50)) == 18


def test_the_table_behind_has_the_percentiles_of_every_side() -> None:
    """Drawn or not; 3 runs of 400 requests say nothing about p99.9."""
    many = [seen(f"side {k}", 0.1 * 1.2**k, failed=k) for k in range(8)]
    tables = {chart.name: chart.table for chart in arms.charts(many, [], "")}

    for name in ("ttft", "percentiles"):
        assert tables[name].columns[3] == "p50 (ms)"
        assert [row[0] for row in tables[name].rows] == [one.name for one in many]
        assert float(tables[name].rows[0][3]) == pytest.approx(100, rel=0.05)
        assert tables[name].rows[0][-1] == NONE
    assert tables["failures"].rows[-1][0] == "side 7"
