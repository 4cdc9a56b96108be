"""Stages: rates integrate exactly, concurrency steps where its line meets whole numbers, mistakes name their line."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from loadtests.schedule import ScheduleError, Stage, closed_loop, open_loop, read_stages

if TYPE_CHECKING:
    from pathlib import Path

RAMP = (Stage("rate", 0, 20, 10),)
USERS = (Stage("concurrency", 1, 1, 1),)
NOBODY = (Stage("concurrency", 0, 0, 1),)
rates = st.one_of(st.integers(0, 40).map(float), st.floats(0.5, 40).map(lambda rate: round(rate, 3)))
rate_stages = st.builds(Stage, st.just("rate"), rates, rates, st.floats(0.1, 5).map(lambda s: round(s, 3)))
bursts = st.builds(lambda n: Stage("burst", n=n), st.integers(1, 30))
some_stages = st.lists(st.one_of(rate_stages, bursts), min_size=1, max_size=6).map(tuple)


def exactly(stages: tuple[Stage, ...]) -> int:
    """The integral of the rate, rounded up, and the bursts."""
    simple = [[Fraction(str(x)) for x in (stage.start, stage.end, stage.duration_s)] for stage in stages]
    return math.ceil(sum((a + b) / 2 * d for a, b, d in simple)) + sum(stage.n for stage in stages)


def test_a_ramp_is_its_integral() -> None:
    """0 to 20/s over 10 s: L(t) = t^2, so 100 arrivals, arrival i at sqrt(i): the 49th at 7 s, the 50th at 7.071 s."""
    offsets = open_loop("constant", None, None, 0, stages=RAMP).offsets_ns

    assert len(offsets) == 100
    assert offsets[49] == 7 * 10**9
    assert offsets[50] == 7_071_067_812
    assert np.all(np.abs(offsets - 1e9 * np.sqrt(np.arange(100))) <= 1)


def test_a_falling_ramp_ends_at_rest() -> None:
    """20 to 0/s over 10 s: L(t) = 20 t - t^2, arrival i at 10 - sqrt(100 - i)."""
    offsets = open_loop("constant", None, None, 0, stages=(Stage("rate", 20, 0, 10),)).offsets_ns

    assert np.all(np.abs(offsets - 1e9 * (10 - np.sqrt(100 - np.arange(100)))) <= 1)


def test_levels_a_pause_and_a_spike() -> None:
    """2/s for 1 s, nothing for 2 s, 3 at once at 3 s, then 4/s for 0.5 s: 0, 0.5, three at 3, and 3, 3.25."""
    stages = (Stage("rate", 2, 2, 1), Stage("rate", 0, 0, 2), Stage("burst", n=3), Stage("rate", 4, 4, 0.5))
    schedule = open_loop("constant", None, None, 0, stages=stages)

    assert schedule.offsets_ns.tolist() == [int(s * 10**9) for s in (0, 0.5, 3, 3, 3, 3, 3.25)]
    assert schedule.length_s == 3.5


@given(some_stages)
def test_constant_arrivals_number_the_integral_exactly(stages: tuple[Stage, ...]) -> None:
    assume(exactly(stages))
    schedule = open_loop("constant", None, None, 0, stages=stages)

    assert len(schedule) == exactly(stages)
    assert np.all(np.diff(schedule.offsets_ns) >= 0)
    assert schedule.offsets_ns[0] >= 0
    assert schedule.offsets_ns[-1] <= round(schedule.length_s * 1e9)


@given(st.floats(0.5, 100), st.floats(0.5, 20))
def test_one_level_is_the_plain_schedule(rate: float, duration_s: float) -> None:
    level = (Stage("rate", rate, rate, duration_s),)

    assert (
        open_loop("constant", None, None, 0, stages=level).digest()
        == open_loop("constant", rate, duration_s, 0).digest()
    )


@given(st.sampled_from(["constant", "poisson", "gamma:0.5", "burst:3"]), some_stages, some_stages, st.integers(0, 99))
def test_longer_stages_begin_with_the_shorter_ones(
    arrivals: str, stages: tuple[Stage, ...], more: tuple[Stage, ...], seed: int
) -> None:
    assume(exactly(stages) and max(s.start + s.end + s.n for s in stages) > 0)
    try:
        short = open_loop(arrivals, None, None, seed, stages=stages)
    except ScheduleError as error:
        assert "hold no arrival" in str(error)  # noqa: PT017 - a thin random schedule may be empty
        return
    long = open_loop(arrivals, None, None, seed, stages=(*stages, *more))
    held = open_loop(arrivals, None, None, seed, stages=stages, hold_s=3)

    assert np.array_equal(long.offsets_ns[: len(short)], short.offsets_ns)
    assert np.array_equal(held.offsets_ns[: len(short)], short.offsets_ns)
    assert held.digest() == short.digest()


def test_a_tail_of_stages_goes_on_at_their_last_rate() -> None:
    """The ramp ends at 20/s: the 100 arrivals are followed by 20/s for 2 s, the first of them at 10 s."""
    held = open_loop("constant", None, None, 0, stages=RAMP, hold_s=2)

    assert (held.planned, len(held), held.length_s) == (100, 140, 10)
    assert held.offsets_ns[100:].tolist() == [10 * 10**9 + i * 50_000_000 for i in range(40)]


@pytest.mark.parametrize(
    ("duration_s", "requests", "n", "length_s"), [(5, None, 25, 5), (None, 50, 50, 7), (60, 999, 100, 10)]
)
def test_whichever_ends_first_ends_the_stages(
    duration_s: float | None, requests: int | None, n: int, length_s: float
) -> None:
    """L(5 s) = 25; the last of 50 is arrival 49, at 7 s; the stages themselves hold 100 in 10 s."""
    schedule = open_loop("constant", None, duration_s, 0, requests, stages=RAMP)

    assert (len(schedule), schedule.length_s) == (n, length_s)


@pytest.mark.parametrize("cv", [1.0, 0.5])
def test_random_arrivals_are_the_unit_process_rescaled(cv: float) -> None:
    """L(t) = t^2 of the arrivals of a ramp 0 to 400/s over 50 s (times 4) has gaps of the law with mean 1."""
    offsets = open_loop(f"gamma:{cv}", None, None, 11, stages=(Stage("rate", 0, 400, 50),)).offsets_ns
    gaps = np.diff(4 * (offsets / 1e9) ** 2, prepend=0)

    assert abs(len(offsets) - 10_000) < 4 * cv * 100
    assert stats.kstest(gaps, stats.gamma(cv**-2, scale=cv**2).cdf).pvalue > 0.01


# Concurrency.


def test_concurrency_steps_where_its_line_meets_whole_numbers() -> None:
    """1 to 4 over 6 s meets 2 at 2 s, 3 at 4 s; 4 for 4 s; down to 2 over 1 s meets 3 at 10.5 s and 2 at the end."""
    stages = (Stage("concurrency", 1, 4, 6), Stage("concurrency", 4, 4, 4), Stage("concurrency", 4, 2, 1))
    closed = closed_loop(None, None, None, stages=stages)

    assert closed.users == 4
    assert closed.duration_s == 11
    assert closed.steps == ((0, 1), (2 * 10**9, 2), (4 * 10**9, 3), (6 * 10**9, 4), (10_500_000_000, 3))
    assert closed_loop(None, 5, None, stages=stages).steps == closed.steps[:3]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.floats(0.1, 9)), min_size=1, max_size=5))
def test_users_are_within_one_of_the_line(parts: list[tuple[int, int, float]]) -> None:
    assume(any(a or b for a, b, _ in parts))
    stages = tuple(Stage("concurrency", a, b, d) for a, b, d in parts)
    closed = closed_loop(None, None, None, stages=stages)

    assert [ns for ns, _ in closed.steps] == sorted({ns for ns, _ in closed.steps})
    began = 0.0
    for a, b, d in parts:
        for share in (0.01, 0.37, 0.93):
            assert abs(closed.at(int((began + share * d) * 1e9)) - (a + (b - a) * share)) <= 1
        began += d


@pytest.mark.parametrize(
    ("line", "concurrency", "stages"),
    [
        ("--concurrency and stages of concurrency exclude each other; the stages say how many users", 3, USERS),
        ("a stage of rate isn't one of [concurrency] in a closed loop", None, RAMP),
        ("the stages never have a user; one of them needs a concurrency of at least 1", None, NOBODY),
    ],
)
def test_stages_of_a_closed_loop_are_checked(line: str, concurrency: int | None, stages: tuple[Stage, ...]) -> None:
    with pytest.raises(ScheduleError) as caught:
        closed_loop(concurrency, None, None, stages=stages)

    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("line", "arrivals", "stages"),
    [
        ("a stage of concurrency isn't one of [rate, burst] in an open loop", "constant", USERS),
        ("--stages hold no arrival in 5 s", "poisson", (Stage("rate", 0, 0, 5),)),
        ("--stages are 1e+09 arrivals and bursts, at most 100000000", "poisson", (Stage("rate", 1e8, 1e8, 10),)),
        ("--stages take 2e+09 s, at most 1e+09 s", "constant", (Stage("rate", 1e-6, 1e-6, 1e9),) * 2),
    ],
)
def test_stages_of_an_open_loop_are_checked(line: str, arrivals: str, stages: tuple[Stage, ...]) -> None:
    with pytest.raises(ScheduleError) as caught:
        open_loop(arrivals, None, None, 1, stages=stages)

    assert str(caught.value) == line


# Files.

HEAD = "[[stage]]\n"
KEYS = "[burst, concurrency, duration, rate]"
KINDS = "[rate, concurrency, burst]"
DURATION = "isn't a duration like 90s, 5m or 1h, in (0, 1e+09 s]"
RATE = 'isn\'t a rate like 8 or "90/m", in [0, 100000000/s]'


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "stages.toml"
    path.write_text(text)
    return str(path)


def test_a_file_is_read_in_order(tmp_path: Path) -> None:
    text = """
        [[stage]]
        duration = "1m"
        rate = [2, "1200/m"]
        [[stage]]
        burst = 100
        [[stage]]
        duration = 30
        rate = 8
    """
    stages = (Stage("rate", 2, 20, 60), Stage("burst", n=100), Stage("rate", 8, 8, 30))

    assert read_stages(written(tmp_path, text)) == stages
    assert tuple(Stage.from_json(stage.to_json()) for stage in stages) == stages
    assert hash(stages) == hash(read_stages(written(tmp_path, text)))


def test_stages_of_users_are_read(tmp_path: Path) -> None:
    text = 'stage = [{duration = "5s", concurrency = [1, 10]}, {duration = "5s", concurrency = 4}]'

    assert read_stages(written(tmp_path, text)) == (Stage("concurrency", 1, 10, 5), Stage("concurrency", 4, 4, 5))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('duration = "60q"\nrate = 8', f':2: stage 1, duration: "60q" {DURATION}'),
        ("duration = 0\nrate = 8", f":2: stage 1, duration: 0 {DURATION}"),
        (f'rate = 1\nduration = 5\n\n{HEAD}duration = 5\n# fast\nrate = "fast"', f':8: stage 2, rate: "fast" {RATE}'),
        ("duration = 5\nrate = [1, -2]", f":3: stage 1, rate: -2 {RATE}"),
        ("duration = 5\nrate = nan", f":3: stage 1, rate: NaN {RATE}"),
        ("duration = 5\nrate = [1, 2, 3]", ":3: stage 1, rate: [1, 2, 3] isn't one number or a pair like [2, 20]"),
        ("duration = 5\nconcurrency = 1.5", ":3: stage 1, concurrency: 1.5 isn't a whole number in [0, 1000000]"),
        ("burst = true", ":2: stage 1, burst: true isn't a whole number in [1, 100000000]"),
        ("burst = 5\nduration = 5", ":3: stage 1, duration: belongs to no burst, which is one instant; leave it out"),
        ("rate = 5", ':1: stage 1 has no duration; give one like "60s"'),
        ("duration = 5", f":1: stage 1 has none of {KINDS}; give one"),
        ("duration = 5\nrate = 1\nconcurrency = 2", f":1: stage 1 has rate and concurrency of {KINDS}; give one"),
        ("duration = 5\nrat = 1", f':3: stage 1, rat: the key isn\'t one of {KEYS}; did you mean "rate"?'),
        (
            f"duration = 5\nrate = 1\n{HEAD}duration = 5\nconcurrency = 1",
            ":6: stage 2, concurrency: stands beside a stage of rate; a file has rates and bursts, or users",
        ),
        ("duration = 5\nrate = [0, 0]", ":3: stage 1, rate: is 0 in every stage; at least one needs a rate above 0"),
        ("duration = 5\nrate = 1\n[other]\nx = 1", ":4: key other isn't one of [stage]"),
        ("duration = ", ":2: Invalid value (at the end)"),
        ("duration = 5 5", ":2: Expected newline or end of document after a statement (column 14)"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(tmp_path: Path, text: str, line: str) -> None:
    path = written(tmp_path, HEAD + text)
    with pytest.raises(ScheduleError) as caught:
        read_stages(path)

    assert str(caught.value) == path + line


@pytest.mark.parametrize("text", ["", "stage = 3", "stage = []"])
def test_a_file_without_stages_says_what_one_is(tmp_path: Path, text: str) -> None:
    with pytest.raises(ScheduleError, match=r"holds no \[\[stage\]\]; one has a duration"):
        read_stages(written(tmp_path, text))


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ScheduleError, match=r"no\.toml: cannot be read \(No such file or directory\)$"):
        read_stages(tmp_path / "no.toml")
