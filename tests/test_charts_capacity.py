"""The charts of a search: whole SVG documents that show every probe, and say why when they are empty."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import answered
import points
import pytest
import searches

from analysis.capacity import meaning
from analysis.charts import bars, money, search

if TYPE_CHECKING:
    from analysis.capacity.answer import Answer
    from analysis.charts.frame import Chart


def words(chart: Chart) -> list[str]:
    """Its texts, in the order they were drawn."""
    root = ET.fromstring(chart.svg)
    return ["".join(one.itertext()).strip() for one in root.iter() if one.tag.endswith("}text")]


@pytest.fixture(scope="module")
def fast() -> Answer:
    return searches.answer()


def meant(arm: str, *loads: float, price: float | None = 2.5, **more: Any) -> meaning.Meaning:
    """A deployment whose p95 grows with the load, 10 % of its capacity on both sides of it."""
    runs = [
        points.point(load, arm=arm, run=f"{load:g}", requests=round(60 * load), ttft_s=(0.1, load / 10, load / 5))
        for load in loads
    ]
    found = answered.answer(loads[-1], 0.9 * loads[-1], 1.1 * loads[-1], *runs, arm=arm, **more)
    return meaning.mean(found, meaning.Asked(price_per_h=price))


# The search.


def test_every_probe_of_the_search_is_told_and_the_promise_is_a_line(fast: Answer) -> None:
    chart = search.chart(fast, "n = 1")
    told = words(chart)

    assert "capacity 5.3/s (5.0 to 5.6)" in told
    assert "objective: 95 %" in told
    assert "requests that met ttft_p95<2s (%, logit scale)" in told
    probes = [probe for probe in fast.probes if probe.step.mode == "rate"]
    assert chart.alt.count("/s ") == len(probes)
    assert all(f"{probe.load:.4g}/s" in chart.alt for probe in probes)


def test_ticks_of_the_shares_are_apart_and_all_is_a_tick_of_its_own(fast: Answer) -> None:
    """5.5 % of the axis' height of some 236 points is 13, more than a line of text."""
    root = ET.fromstring(search.chart(fast, "").svg)
    ticks = [one for one in root.iter() if re.match(r"ytick_\d", one.get("id") or "")]
    lines = [one for tick in ticks for one in tick.iter() if one.get("id", "").startswith("text")]
    heights = sorted(
        float(text.get("y") or "nan") for one in lines for text in one.iter() if text.tag.endswith("}text")
    )

    assert "100" in words(search.chart(fast, ""))
    assert len(heights) > 4
    assert min(b - a for a, b in pairwise(heights)) > 10


def test_a_probe_that_is_not_steady_is_hollow(fast: Answer) -> None:
    probes = tuple(
        replace(probe, points=tuple(replace(point, state="unstable", why="it grew") for point in probe.points))
        if probe.decision == "fail" else probe
        for probe in fast.probes
    )  # fmt: skip

    assert any("hollow" in word for word in words(search.chart(replace(fast, probes=probes), "")))
    assert not any("hollow" in word for word in words(search.chart(fast, "")))


def test_a_search_that_never_broke_says_at_least(fast: Answer) -> None:
    told = words(search.chart(replace(fast, limited_by="most", hi=None, crossing=None), ""))

    assert "capacity at least 5.3/s" in told


def test_without_shares_the_chart_says_so() -> None:
    chart = search.chart(answered.answer(8.0, 7.0, 9.0), "")

    assert chart.alt.startswith("Empty: No per-request objective")


def test_the_same_search_gives_the_same_bytes(fast: Answer) -> None:
    assert search.chart(fast, "x") == search.chart(fast, "x")


# Deployments.


def test_bars_stand_as_given_and_name_their_interval() -> None:
    told = words(bars.chart([meant("fast", 4.0, 8.0), meant("slow", 2.0, 3.0)], ""))

    assert {"fast", "slow", "8.0 (7.2 to 8.8)/s", "3.0 (2.7 to 3.3)/s"} <= set(told)
    assert bars.chart([], "").alt.startswith("Empty")


def test_of_machines_every_load_has_its_cost() -> None:
    """2.5 USD/h at 4 good requests a second: 2.5 / 3600 / 4 x 1000 = 0.1736 USD for 1,000."""
    one, two = money.paid(meant("fast", 4.0, 8.0))

    assert one.per_1k_good == pytest.approx(0.1736, abs=1e-4)
    assert two.per_1k_good == pytest.approx(one.per_1k_good / 2)
    assert (one.is_best, two.is_best) == (False, True)


def test_loads_far_beyond_the_capacity_and_those_not_steady_cost_nothing_worth_knowing() -> None:
    found = answered.answer(
        4.0, 3.6, 4.4, points.point(4.0), points.point(8.0), points.point(4.2, state="unstable"),
    )  # fmt: skip

    assert [one.load for one in money.paid(meaning.mean(found, meaning.Asked(price_per_h=1.0)))] == ["4/s"]


def test_cost_against_latency_names_each_deployment_at_its_capacity() -> None:
    rows = [meant("fast", 4.0, 8.0), meant("slow", 2.0, 3.0)]
    told = words(money.chart(rows, ""))

    assert {"fast, 8/s", "slow, 3/s"} <= set(told)
    assert any("machines at 2.5 USD/h" in word for word in told)
    assert money.chart([meant("fast", 4.0, price=None)], "").alt.startswith("Empty")
