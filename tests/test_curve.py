"""Runs of several loads as one curve: means with intervals, and loads that say nothing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from points import point

from analysis.capacity import curve

if TYPE_CHECKING:
    from analysis.capacity.point import Point, State


def one(*points: Point) -> curve.Curve:
    return curve.curve("mock", "rate", points)


def test_latencies_are_averaged_as_logarithms_and_the_rest_as_it_is() -> None:
    """p95 of 100 and 400 ms: the geometric mean is 200. t(1 df) is 12.706; the logs' sd / sqrt(2) is ln(4) / 2."""
    runs = [point(2.0, ttft_s=(None, p95, None), achieved_per_s=done) for p95, done in ((0.1, 1.0), (0.4, 3.0))]
    (level,) = one(*runs).levels

    p95, achieved = level.numbers["ttft_p95_s"], level.numbers["achieved_per_s"]
    half = 12.7062 * math.log(4) / 2
    assert (p95.value, p95.lo, p95.hi) == pytest.approx((0.2, 0.2 * math.exp(-half), 0.2 * math.exp(half)), rel=1e-4)
    assert achieved.value == 2.0
    # 2 +- 12.7 stays above 0, below which no rate is.
    assert (achieved.lo, achieved.hi) == pytest.approx((0.0, 2 + 12.7062), rel=1e-4)
    assert "ttft_p50_s" not in level.numbers


def test_one_run_has_no_interval() -> None:
    (level,) = one(point(2.0)).levels
    number = level.numbers["ttft_p95_s"]

    assert (number.value, number.lo, number.hi, number.runs) == (0.2, None, None, 1)


@pytest.mark.parametrize(
    ("states", "state", "used"),
    [
        (["steady", "steady", "unstable"], "unstable", 1),
        (["steady", "quota", "failed"], "failed", 1),
        (["quota", "steady"], "quota", 1),
        (["client", "steady", "steady"], "steady", 2),
        (["client", "client"], "client", 2),
    ],
)
def test_a_load_is_what_the_worst_of_its_runs_is_but_a_slow_client_is_left_out(
    states: list[State], state: State, used: int
) -> None:
    """Values of other states are 1,000 times as high: none of them may be in the mean."""
    points = [
        point(4.0, state=each, why=f"{each} it is", latency_s=(0.5 if each == state else 500.0,) * 3) for each in states
    ]
    (level,) = one(*points).levels

    assert level.state == state
    assert level.why == ("" if state == "steady" else f"{state} it is")
    assert level.value("latency_p50_s") == pytest.approx(0.5)
    assert len(level.used) == used
    assert len(level.points) == len(states)


@pytest.mark.parametrize(("invalid", "state", "used"), [(1, "steady", 2), (2, "invalid", 2), (3, "invalid", 3)])
def test_steady_runs_that_are_invalid_are_not_read(invalid: int, state: str, used: int) -> None:
    points = [
        point(4.0, verdict="invalid" if place < invalid else "valid", stay_s=500.0 if place < invalid else 0.5)
        for place in range(3)
    ]
    found = one(*points)
    (level,) = found.levels

    assert (level.state, len(level.used), len(found.steady)) == (state, used, state == "steady")
    assert level.value("stay_s") == (0.5 if state == "steady" else 500.0)


def test_percentiles_need_requests_over_all_runs_of_a_load() -> None:
    """p99 needs 299: two runs of 200 have them, one has not; p95 needs 59."""
    both, single = one(*(point(1.0, requests=200) for _ in range(2)), point(2.0, requests=200)).levels

    assert "ttft_p99_s" in both.numbers
    assert "ttft_p99_s" not in single.numbers
    assert "ttft_p95_s" in single.numbers


def test_a_percentile_needs_requests_that_have_such_a_latency() -> None:
    """Of 200 requests 40 were streamed: too few for a p95 of TTFT, which needs 59; all have a latency."""
    (level,) = one(point(1.0, requests=200, counts=(40, 40, 200))).levels

    assert "ttft_p95_s" not in level.numbers
    assert "latency_p95_s" in level.numbers


def test_loads_ascend_and_runs_of_nearly_the_same_load_are_together() -> None:
    """0.1 + 0.2 is not 0.3 for a computer."""
    found = one(point(4.0), point(0.1 + 0.2), point(0.3), point(1.0))

    assert [(level.load, len(level.points)) for level in found.levels] == [(0.3, 2), (1.0, 1), (4.0, 1)]


def test_goodput_peaks_at_a_steady_load_only() -> None:
    goodput = {1.0: 1.0, 2.0: 1.9, 3.0: 1.5, 4.0: 3.0}
    states = ["steady", "steady", "steady", "unstable"]
    found = one(
        *(point(x, goodput_per_s=y, state=state) for (x, y), state in zip(goodput.items(), states, strict=True))
    )

    assert found.peak is not None
    assert found.peak.load == 2.0
    assert found.unstable_from == 4.0
    assert one(point(1.0, state="quota")).peak is None


def test_arms_and_modes_are_apart() -> None:
    a, b = point(1.0, arm="a"), point(1.0, arm="b")
    users = point(8.0, arm="b", mode="concurrency")

    assert list(curve.curves([b, a, users])) == ["b by rate", "a", "b by concurrency"]
    assert [len(each.points) for each in curve.curves([b, a, users]).values()] == [1, 1, 1]


def test_json_has_every_number_of_every_load() -> None:
    told = one(point(1.0), point(2.0, state="client", why="its CPU was full")).levels[1].to_json()

    assert set(told["numbers"]) == set(curve.NAMES)
    assert told["numbers"]["cost_per_1k_good"] is None
    assert told["numbers"]["ttft_p95_s"] == {"value": 0.2, "lo": None, "hi": None, "runs": 1}
    assert (told["state"], told["why"], told["requests"]) == ("client", "its CPU was full", 1000)
