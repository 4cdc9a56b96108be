"""Where latency bends: by shape, and where it has doubled."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from points import exponential, point

from analysis.capacity import curve, knee

if TYPE_CHECKING:
    from analysis.capacity.point import Point

MU = 10.0


def of(*points: Point) -> knee.Knee:
    return knee.knee(curve.curve("mock", "rate", points))


def test_the_knee_of_a_queue_is_where_its_slope_is_that_of_the_chord() -> None:
    """
    With y = k / (10 - x) from 0.01 to 9 x - y, both scaled, is greatest where y' is the chord's slope.

    k / (10 - x)^2 = (k / 1 - k / 9.99) / 8.99 gives 10 - x = sqrt(8.99 / 0.8999) = 3.161, so x = 6.839; on a grid of
    0.31 the nearest loads are 6.83 and 6.52.
    """
    found = of(*(exponential(load, MU) for load in np.linspace(0.01, 9.0, 30)))

    assert found.bend.load == pytest.approx(6.83, abs=0.01)
    assert (found.bend.lo, found.bend.hi) == pytest.approx((6.52, 7.14), abs=0.01)


def test_latency_of_a_queue_has_doubled_halfway_from_the_lowest_load_to_the_highest_possible() -> None:
    """From k / (10 - x) = 2 k / (10 - 1) follows x = (10 + 1) / 2 = 5.5."""
    found = of(*(exponential(load, MU) for load in np.linspace(1.0, 9.0, 60)))

    assert (found.low, found.low_load) == pytest.approx((math.log(20) / 9, 1.0))
    assert found.double.load == pytest.approx(5.5, rel=1e-3)
    assert (found.double.lo, found.double.hi) == (None, None)
    assert found.double.reason == "a load with one run has no interval"


def test_between_two_loads_a_line_in_logarithms_is_followed() -> None:
    """p95 = load^2 passes 2 x at sqrt(2), whatever the loads next to it."""
    assert of(*(point(x, ttft_s=(None, x**2, None)) for x in (1, 1.2, 3, 4, 5))).double.load == pytest.approx(2**0.5)


def test_the_range_joins_the_intervals_of_both_values() -> None:
    """
    p95 = load^2, two runs a load, e^+-h around it: each half-width is w = 12.706 h, that of a ratio sqrt(2) w.

    The upper side of the ratio passes 2 where 2 ln(load) = ln 2 - sqrt(2) w, the lower where it is ln 2 + sqrt(2) w.
    """
    h = 0.01
    runs = [
        point(load, ttft_s=(None, load**2 * math.exp(sign * h), None))
        for load in np.geomspace(1, 4, 200)
        for sign in (-1, 1)
    ]
    found = of(*runs).double
    wide = math.sqrt(2) * 12.7062 * h

    assert found.load == pytest.approx(2**0.5, rel=1e-3)
    assert found.lo == pytest.approx(math.exp((math.log(2) - wide) / 2), rel=0.01)
    assert found.hi == pytest.approx(math.exp((math.log(2) + wide) / 2), rel=0.01)


def test_only_steady_loads_are_read() -> None:
    """The unstable load's latency would have doubled."""
    steady = [point(load, ttft_s=(None, 0.1 + load / 100, None)) for load in (1, 2, 3, 4, 5)]
    found = of(*steady, point(6.0, state="unstable", ttft_s=(None, 60.0, None)))

    assert found.double.load is None
    assert found.double.reason == "not reached at steady loads up to 5; 6 is unstable"
    assert found.bend.load is None
    assert found.bend.reason == "it never reaches 1.5 times its value at the lowest load"


def test_four_steady_loads_are_too_few() -> None:
    found = of(*(exponential(load, MU) for load in (1, 4, 7, 9)), point(20, state="failed"))

    assert (found.bend.load, found.double.load) == (None, None)
    assert found.bend.reason == "4 steady loads with a p95; 5 are needed"


@pytest.mark.parametrize("bend", [lambda x: x, np.sqrt], ids=["straight", "concave"])
def test_what_rises_evenly_or_turns_down_has_no_knee(bend: np.ufunc) -> None:
    x = np.linspace(1.0, 9.0, 9)

    assert knee.kneedle(x, np.asarray(bend(x))) is None


def test_without_streams_the_latency_is_read() -> None:
    found = of(*(point(x, ttft_s=(None,) * 3, latency_s=(None, 1 / (10 - x), None)) for x in (1, 3, 5, 7, 9)))

    assert found.metric == "latency_p95_s"
    assert found.double.load is not None
