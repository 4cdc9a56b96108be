"""Charts of a sweep: whole documents that say what is no property of the server, and why they are empty."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from xml.etree import ElementTree as ET

import pytest
from points import exponential, point

from analysis import objectives
from analysis.capacity.curve import curves
from analysis.charts import load, pareto
from analysis.objectives import Outcome

if TYPE_CHECKING:
    from analysis.capacity.answer import Answer
    from analysis.capacity.point import Point
    from analysis.charts import Chart

PROMISE = Outcome("ttft_p95<2s", "ttft_s", 0.97, 0.95, 1.5, 0.95, 0.98, 1000, "met", "")


def queue(arm: str = "mock", mu: float = 10.0) -> list[Point]:
    """M/M/1, two runs a load, and a load beyond it that is drawn hollow."""
    runs = [
        exponential(load, speed, arm=arm, outcomes=(PROMISE,))
        for speed in (0.999 * mu, 1.001 * mu)
        for load in (1.0, 3.0, 5.0, 7.0, 9.0)
    ]
    return [*runs, point(12.0, arm=arm, state="unstable", ttft_s=(20.0, 60.0, 90.0), outcomes=(PROMISE,))]


def words(chart: Chart) -> str:
    root = ET.fromstring(chart.svg)
    return " ".join("".join(one.itertext()) for one in root.iter() if one.tag.endswith("}text"))


@pytest.fixture(scope="module")
def drawn() -> dict[str, Chart]:
    terms = [objectives.parse(text) for text in ("ttft_p95<2s", "tpot<80ms", "error_rate<1%")]
    answer = cast("Answer", SimpleNamespace(mode="rate", value=8.2, lo=8.0, hi=8.5))
    found = load.curves(curves(queue()), terms, {"mock": answer}, "kernel")
    return {chart.name: chart for chart in found}


def test_one_arm_has_four_charts(drawn: dict[str, Chart]) -> None:
    assert list(drawn) == ["load", "offered", "scaling", "pareto"]
    for chart in drawn.values():
        told = words(chart)
        assert chart.title in told
        assert "n = 11,000 · 11 runs at 6 loads · windows of 60.0 s · open loop · kernel clock · 11 valid" in told
        assert not chart.alt.startswith("Empty")
        assert len(chart.svg) < 150_000


def test_a_latency_that_is_always_zero_has_no_panel() -> None:
    """Answers that come in one piece have a TPOT of 0, which no log scale has."""
    found = load.curves(curves([point(x, tpot_s=(0.0, 0.0, 0.0)) for x in (1.0, 2.0)]))

    assert "TTFT" in words(found[0])
    assert "TPOT" not in words(found[0])


def test_latency_against_load_marks_promises_capacity_and_what_is_unstable(drawn: dict[str, Chart]) -> None:
    told = words(drawn["load"])

    for expected in (
        "ttft_p95<2s", "tpot<80ms", "p50", "p95", "p99", "hollow: ○ unstable", "capacity 8.20/s [8.00 to 8.50]",
        "TTFT (ms, log scale)", "TPOT (ms, log scale)", "offered load (requests/s, log scale)",
    ):  # fmt: skip
        assert expected in told
    assert "error_rate" not in told
    # ln(20) / (10 - 1) and ln(20) / (10 - 9), in ms.
    assert drawn["load"].alt.startswith(
        "p95 TTFT of 6 loads, 5 of them steady; 333 ms at 1/s; 2,996 ms at 9/s; unstable from 12/s; capacity 8.20/s"
    )


def test_what_is_no_latency_of_the_server_is_on_no_line(drawn: dict[str, Chart]) -> None:
    """A line has one point for each steady load; hollow marks have no filling."""
    assert "fill: none" in drawn["load"].svg or 'fill="none"' in drawn["load"].svg
    assert "60,000" not in drawn["load"].alt
    assert "9.00 requests/s achieved at 9/s, the highest steady load" in drawn["offered"].alt
    assert "goodput highest at 9/s with 9.00/s" in drawn["offered"].alt
    assert "not steady, left out: 12" in words(drawn["scaling"])


def test_the_same_points_give_the_same_bytes() -> None:
    assert load.curves(curves(queue())) == load.curves(curves(queue()))


def test_several_arms_share_their_axes_and_are_compared() -> None:
    found = load.curves(curves([*queue("a"), *queue("b", 20.0)]))
    names = [chart.name for chart in found]

    assert names == ["load-1", "offered-1", "scaling-1", "load-2", "offered-2", "scaling-2", "pareto", "arms"]
    assert [chart.title for chart in found if chart.name.startswith("load")] == [
        "Latency against load, a", "Latency against load, b",
    ]  # fmt: skip
    assert "a ends at 2,996 ms, b ends at 272 ms" in found[-1].alt


@pytest.mark.parametrize(
    ("changes", "empty"),
    [
        ({"ttft_s": (None,) * 3, "tpot_s": (None,) * 3, "latency_s": (None,) * 3}, {"load", "scaling"}),
        ({"achieved_per_s": None}, {"offered", "scaling"}),
        ({"user_tokens_per_s": None}, {"scaling", "pareto"}),
        ({"state": "quota"}, {"scaling", "pareto"}),
    ],
)
def test_an_empty_chart_says_why(changes: dict[str, Any], empty: set[str]) -> None:
    """Two loads are too few to scale by."""
    found = load.curves(curves([point(load, **changes) for load in (1.0, 2.0)]))

    assert {chart.name for chart in found if chart.alt.startswith("Empty")} == empty
    for chart in found:
        ET.fromstring(chart.svg)


def test_one_load_of_one_run_is_drawn() -> None:
    found = load.curves(curves([point(4.0, mode="concurrency", ttft_s=(0.1, None, None))]))

    assert not found[0].alt.startswith("Empty")
    assert "users (maximum requests in flight, log scale)" in words(found[0])
    assert "y = x" not in words(found[1])


def test_labels_of_loads_do_not_lie_on_each_other() -> None:
    """Two arms with nearly the same values: every label of the frontier is there, a dominated one may be left out."""
    points = [
        point(float(load), arm=arm, user_tokens_per_s=(60.0 - load) * less, output_tokens_per_s=100.0 * load * less)
        for arm, less in (("a", 1.0), ("b", 0.999))
        for load in range(1, 9)
    ]
    chart = load.curves(curves(points))[-2]

    assert chart.name == "pareto"
    told = words(chart).split()
    assert all(told.count(f"{load}/s") >= 1 for load in range(1, 9))
    assert not pareto._meet((0, 0, 1, 1), (1, 0, 2, 1))
    assert pareto._meet((0, 0, 2, 2), (1, 1, 3, 3))
