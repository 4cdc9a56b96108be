"""The load as text and as SVG, of known schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from analysis.charts import schedule as chart
from loadtests.cli.sketch import EIGHTHS, sketch, sketch_users
from loadtests.schedule import Stage, closed_loop, open_loop

if TYPE_CHECKING:
    from analysis.charts import Chart

RAMP = open_loop("constant", None, None, 0, stages=(Stage("rate", 0, 16, 8),), hold_s=2)
TIMES_S = RAMP.offsets_ns / 1e9


def test_a_ramp_rises_by_its_rate() -> None:
    """
    0 to 16/s over 8 s: L(t) = t^2, 64 arrivals, 16 bars of half a second.

    Bar i holds the whole numbers in [(i / 2)^2, ((i + 1) / 2)^2): 1, 0, 2, 1, 3, 2 and so on, twice as many per second.
    Of 8 rows at 16/s in all, 2/s are one row.
    """
    lines = sketch(TIMES_S[: RAMP.planned], 8, 26, plain=False)

    assert lines[0] == "arrivals/s, a bar is 0.5 s"
    assert lines[1].startswith("      16 ┤")
    assert lines[5].startswith("       8 ┤")
    assert lines[9] == "       0 ┼" + "─" * 16
    assert lines[8] == "         │█ ██████████████"
    heights = [sum(len(line) > 10 + i and line[10 + i] == "█" for line in lines[1:9]) for i in range(16)]
    assert heights == [1, 0, 2, 1, 3, 2, 4, 3, 5, 4, 6, 5, 7, 6, 8, 7]


def test_the_time_axis_has_round_moments_and_a_unit() -> None:
    assert sketch(TIMES_S[: RAMP.planned], 8, 26, plain=False)[10] == "         0   2   4   6   8 s"
    assert sketch(np.arange(0, 7200, 0.5), 7200, 82, plain=False)[10].split() == [
        "0",
        "20",
        "40",
        "60",
        "80",
        "100",
        "120",
        "min",
    ]


@pytest.mark.parametrize("plain", [True, False])
@given(times=st.lists(st.floats(0, 50), min_size=1, max_size=80), width=st.integers(1, 200))
def test_every_line_fits_and_plain_is_ascii(plain: bool, times: list[float], width: int) -> None:
    lines = sketch(np.sort(times), 50.0, width, plain=plain)

    assert len(lines) == 11
    assert max(map(len, lines[1:-1])) <= max(width, 30)
    assert all(line.isascii() for line in lines) == plain
    assert any(mark in "".join(lines[1:9])[9:] for mark in ("#:." if plain else EIGHTHS[1:]))


@given(st.sampled_from([3, 7, 10, 20, 40]), st.sampled_from([8, 10, 30, 60, 100]))
def test_constant_arrivals_are_level(rate: int, length_s: int) -> None:
    """With bars that hold a whole number of arrivals, none may fall into its neighbour by a float's width."""
    times_s = open_loop("constant", rate, length_s, 0).offsets_ns / 1e9
    lines = sketch(times_s, length_s, 60, plain=False)
    bar_s = float(lines[0].split()[-2])

    assume((rate * bar_s) % 1 == 0)
    assert all(len(set(line[10:])) <= 1 for line in lines[1:9])


def test_one_burst_is_one_line() -> None:
    assert sketch(np.zeros(100), 0, 80) == ["arrivals/s: all 100 at once, at 0 s"]


def test_users_are_shown_where_they_come_and_go() -> None:
    """1 to 8 over 7 s, 8 until 12 s, then to 0 over 8 s: 20 bars of a second; the last one has 1 user."""
    stages = (Stage("concurrency", 1, 8, 7), Stage("concurrency", 8, 8, 5), Stage("concurrency", 8, 0, 8))
    closed = closed_loop(None, None, None, stages=stages)
    lines = sketch_users(closed.steps, 20, 30, plain=False)

    assert lines[0] == "users, a bar is 1 s"
    heights = [sum(len(line) > 10 + i and line[10 + i] == "█" for line in lines[1:9]) for i in range(20)]
    assert heights == [1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 8, 8, 8, 7, 6, 5, 4, 3, 2, 1]


def test_no_users_before_the_first_step() -> None:
    lines = sketch_users([(5 * 10**9, 3)], 10, 30, plain=True)

    assert lines[8].startswith("         |" + " " * 10 + "#")


# As SVG.


def words(svg: str) -> str:
    root = ET.fromstring(svg)
    return " ".join("".join(element.itertext()) for element in root.iter() if element.tag.endswith("}text"))


def test_a_schedule_is_drawn_with_its_tail() -> None:
    """64 arrivals in 8 s are 8/s in the mean; 2 s at 16/s follow."""
    drawn = chart.arrivals(TIMES_S, 64, 8, "seed 1")

    assert drawn.title == "Arrivals over time, in bins of 0.5 s"
    assert drawn.alt == "64 arrivals in 8 s, 8.00/s on average, at most 16.0/s in a bin, and 32 in a tail after it."
    shown = words(drawn.svg)
    assert all(text in shown for text in (drawn.title, "arrivals/s", "seed 1", "shaded: tail after the planned end"))
    assert "shaded" not in words(chart.arrivals(TIMES_S[:64], 64, 8).svg)
    assert drawn.svg == chart.arrivals(TIMES_S, 64, 8, "seed 1").svg


def test_users_are_drawn_as_steps() -> None:
    drawn = chart.users(np.array([0.0, 2, 4]), np.array([1.0, 2, 3]), 10)

    assert drawn.alt == "Up to 3 users over 10 s, in 3 steps."
    assert all(text in words(drawn.svg) for text in ("Users over time", "users", "time since the run's start (s)"))


@pytest.mark.parametrize(
    ("drawn", "alt"),
    [
        (chart.arrivals(np.zeros(0), 0, 8), "Empty: The schedule has no arrivals."),
        (chart.arrivals(np.zeros(7), 7, 0), "Empty: All 7 arrivals come at once, at 0 s."),
        (chart.users(np.zeros(0), np.zeros(0), 8), "Empty: The closed loop never has a user."),
    ],
)
def test_a_chart_without_a_course_says_why(drawn: Chart, alt: str) -> None:
    assert drawn.alt == alt
    ET.fromstring(drawn.svg)
