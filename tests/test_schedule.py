"""Arrivals against their definition and their distribution; schedules as data; closed loops."""

from __future__ import annotations

import hashlib
import struct
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from loadtests.schedule import (
    MAX_ARRIVALS,
    Closed,
    Schedule,
    ScheduleError,
    Size,
    Sizes,
    closed_loop,
    constant,
    law_of,
    open_loop,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

NAMES = "[constant, poisson, gamma:CV, burst:N, trace:FILE]"
LAWS = ["constant", "poisson", "gamma:0.3", "gamma:2.5", "burst:7"]


def poisson(rate_per_s: float, duration_s: float | None, seed: int, requests: int | None = None) -> NDArray[np.int64]:
    return law_of("poisson").offsets(rate_per_s, duration_s, seed, requests)


def test_eight_a_second_for_twenty_seconds_is_160_arrivals_125_ms_apart() -> None:
    offsets = constant(8, 20)

    assert offsets.dtype == np.int64
    assert offsets.tolist() == [i * 125_000_000 for i in range(160)]


def test_an_awkward_rate_does_not_drift() -> None:
    """3/s: arrival i at i/3 s, rounded once; after 30,000 arrivals still exact: 10,000 s."""
    offsets = constant(3, 20_000)

    assert len(offsets) == 60_000
    assert offsets[:4].tolist() == [0, 333_333_333, 666_666_667, 1_000_000_000]
    assert offsets[30_000] == 10_000 * 10**9


def test_a_decimal_rate_means_its_decimal() -> None:
    """0.1/s is one arrival in 10 s although the float is a little more than a tenth; 100 a minute is 5/3 a second."""
    assert constant(0.1, 30).tolist() == [0, 10 * 10**9, 20 * 10**9]
    assert constant(100 / 60, 3).tolist() == [0, 600_000_000, 1_200_000_000, 1_800_000_000, 2_400_000_000]


@given(st.floats(1e-3, 1e5), st.integers(1, 400))
def test_every_arrival_is_the_exact_quotient_rounded_once(rate: float, n: int) -> None:
    """Against rational arithmetic; the rate counts as the simplest fraction with the same float."""
    simple = Fraction(rate).limit_denominator(1_000_000)
    meant = simple if float(simple) == rate else Fraction(rate)

    offsets = constant(rate, None, n)

    for i, offset in enumerate(offsets.tolist()):
        assert abs(Fraction(i) * 10**9 / meant - offset) <= Fraction(1, 2)


@given(st.sampled_from(LAWS), st.floats(0.5, 500), st.floats(5, 20), st.integers(0, 2**63))
def test_offsets_ascend_within_the_duration(arrivals: str, rate: float, duration: float, seed: int) -> None:
    try:
        offsets = open_loop(arrivals, rate, duration, seed).offsets_ns
    except ScheduleError as error:
        assert "holds no arrival" in str(error)  # noqa: PT017 - a thin Poisson schedule may be empty
        return

    assert offsets[0] >= 0
    assert offsets[-1] <= round(duration * 1e9)
    assert np.all(np.diff(offsets) >= 0)


@pytest.mark.parametrize("seed", range(5))
def test_poisson_keeps_its_rate(seed: int) -> None:
    """5/s for 10,000 s is 50,000 arrivals, within four standard deviations: 4 * sqrt(50,000) = 894."""
    assert abs(len(poisson(5, 10_000, seed)) - 50_000) < 894


def test_poisson_counts_vary_as_a_poisson_count_does() -> None:
    """100 runs of 400 expected arrivals: the variance of the counts over 400 is chi-squared(99) / 99, 0.5 to 1.7."""
    counts = [len(poisson(20, 20, seed)) for seed in range(100)]

    assert 0.5 < np.var(counts, ddof=1) / 400 < 1.7


def test_poisson_gaps_are_exponential_and_independent() -> None:
    """Kolmogorov-Smirnov against the exponential, the first gap included; neighbouring gaps do not correlate."""
    offsets = poisson(40, 500, seed=7)
    gaps_s = np.diff(offsets, prepend=0) / 1e9

    assert stats.kstest(gaps_s, stats.expon(scale=1 / 40).cdf).pvalue > 0.01
    assert abs(np.corrcoef(gaps_s[:-1], gaps_s[1:])[0, 1]) < 4 / np.sqrt(len(gaps_s))


@pytest.mark.parametrize("cv", [0.3, 1.0, 1.5])
def test_gamma_gaps_follow_their_law(cv: float) -> None:
    """Gamma of shape 1 / cv^2 and mean 1/40 s, by Kolmogorov-Smirnov; so their standard deviation is cv / 40 s."""
    offsets = open_loop(f"gamma:{cv}", 40, 500, seed=7).offsets_ns
    gaps_s = np.diff(offsets, prepend=0) / 1e9

    assert stats.kstest(gaps_s, stats.gamma(cv**-2, scale=cv**2 / 40).cdf).pvalue > 0.01
    assert abs(np.corrcoef(gaps_s[:-1], gaps_s[1:])[0, 1]) < 4 / np.sqrt(len(gaps_s))
    assert np.std(gaps_s) == pytest.approx(cv / 40, rel=0.05)


def test_gamma_with_a_cv_of_one_is_poisson() -> None:
    assert open_loop("gamma:1", 8, 20, 5).digest() == open_loop("poisson", 8, 20, 5).digest()


def test_a_burst_without_a_rate_is_one_group_at_the_start() -> None:
    schedule = open_loop("burst:100", None, None, 0)

    assert schedule.offsets_ns.tolist() == [0] * 100
    assert schedule.length_s == 0
    assert len(open_loop("burst:100", None, None, 0, requests=30)) == 30


def test_bursts_with_a_rate_are_groups_that_keep_its_mean() -> None:
    """4 together at 8/s: a group each half second; 2 s hold four groups, 16 arrivals."""
    offsets = open_loop("burst:4", 8, 2, 0).offsets_ns

    assert offsets.tolist() == [i * 500_000_000 for i in range(4) for _ in range(4)]


@given(st.sampled_from(LAWS), st.floats(0.5, 300), st.integers(0, 2**63), st.floats(1, 10), st.floats(1, 10))
def test_a_shorter_schedule_is_a_prefix_of_a_longer_one(
    arrivals: str, rate: float, seed: int, short_s: float, more_s: float
) -> None:
    long = law_of(arrivals).offsets(rate, short_s + more_s, seed, None)
    short = law_of(arrivals).offsets(rate, short_s, seed, None)

    assert np.array_equal(short, long[: len(short)])
    assert np.array_equal(
        law_of(arrivals).offsets(rate, None, seed, 77), law_of(arrivals).offsets(rate, None, seed, 99)[:77]
    )


@pytest.mark.parametrize("arrivals", LAWS)
@pytest.mark.parametrize("requests", [None, 33])
def test_a_tail_goes_on_by_the_same_law(arrivals: str, requests: int | None) -> None:
    plain = open_loop(arrivals, 40, 20, 3, requests)
    held = open_loop(arrivals, 40, 20, 3, requests, hold_s=10)

    assert plain.planned == len(plain) == held.planned
    assert np.array_equal(held.offsets_ns[: held.planned], plain.offsets_ns)
    assert held.digest() == plain.digest()
    assert held.length_s == plain.length_s == (20 if requests is None else plain.offsets_ns[-1] / 1e9)
    assert (held.length_s + 8) * 1e9 < held.offsets_ns[-1] <= (held.length_s + 10) * 1e9
    assert held.shard(0, 1).tolist() == list(range(len(held)))


def test_a_seed_gives_the_same_schedule_and_another_seed_another() -> None:
    assert open_loop("poisson", 8, 20, 1).digest() == open_loop("poisson", 8, 20, 1).digest()
    assert open_loop("poisson", 8, 20, 1).digest() != open_loop("poisson", 8, 20, 2).digest()


@pytest.mark.parametrize("arrivals", LAWS)
def test_whichever_ends_first_ends_the_schedule(arrivals: str) -> None:
    whole = open_loop(arrivals, 8, 20, 1)

    assert len(open_loop(arrivals, 8, 20, 1, requests=10)) == 10
    assert len(open_loop(arrivals, 8, 20, 1, requests=10_000)) == len(whole)
    assert len(open_loop(arrivals, 8, None, 1, requests=10_000)) == 10_000
    assert list(open_loop(arrivals, 8, 20, 1, requests=10).offsets_ns) == list(whole.offsets_ns[:10])


def test_the_same_arguments_give_the_same_object() -> None:
    assert open_loop("poisson", 8, 20, 1) is open_loop("poisson", 8, 20, 1)


def test_the_digest_is_the_sha256_of_little_endian_int64() -> None:
    schedule = open_loop("constant", 2, 1, 0)

    assert schedule.digest() == hashlib.sha256(struct.pack("<qq", 0, 500_000_000)).hexdigest()


def test_a_schedule_cannot_be_changed() -> None:
    schedule = open_loop("constant", 2, 1, 0)

    with pytest.raises(ValueError, match="read-only"):
        schedule.offsets_ns[0] = 1
    with pytest.raises(AttributeError):
        schedule.offsets_ns = np.zeros(1, dtype=np.int64)  # type: ignore[misc]


# Schedules as data.


def sized() -> Schedule:
    """Three arrivals with sizes, the last one of a tail."""
    sizes = Sizes(
        np.array([10, -1, 30], np.int32), np.array([1, 2, -1], np.int32), np.array([5, 6, 5, 9]), np.array([0, 2, 2, 4])
    )
    return Schedule(np.array([0, 10, 20]), planned=2, length_s=1.5, sizes=sizes)


def test_turns_number_the_requests_arrival_by_arrival() -> None:
    """Turns 2, 1, 3: seqs 0 and 1 are of arrival 0, 2 of arrival 1, 3 to 5 of arrival 2, which is the tail."""
    schedule = sized().with_turns(np.array([2, 1, 3], np.int32))

    assert [schedule.place(seq) for seq in range(6)] == [(0, 0), (0, 1), (1, 0), (2, 0), (2, 1), (2, 2)]
    assert all(schedule.seq(*schedule.place(seq)) == seq for seq in range(6))
    assert [schedule.turns_of(a) for a in range(3)] == [2, 1, 3]
    assert schedule.requests == 3
    assert sized().requests == 2
    assert sized().place(1) == (1, 0)


def test_a_size_says_what_the_trace_said() -> None:
    schedule = sized()

    assert schedule.size_of(0) == Size(10, 1, (5, 6))
    assert schedule.size_of(1) == Size(None, 2, ())
    assert schedule.size_of(2) == Size(30, None, (5, 9))
    assert open_loop("constant", 8, 1, 0).size_of(0) is None


def test_taken_sizes_are_those_of_the_places() -> None:
    sizes = sized().sizes
    assert sizes is not None

    taken = sizes.take(np.array([2, 0, 1, 2]))

    assert [taken.of(i) for i in range(4)] == [sizes.of(2), sizes.of(0), sizes.of(1), sizes.of(2)]


@pytest.mark.parametrize("turns", [None, np.array([2, 1, 3], np.int32)])
def test_a_saved_schedule_comes_back(tmp_path: Path, turns: NDArray[np.int32] | None) -> None:
    schedule = sized() if turns is None else sized().with_turns(turns)
    schedule.save(tmp_path / "schedule.arrow")

    again = Schedule.load(tmp_path / "schedule.arrow")

    assert again.digest() == schedule.digest()
    assert again.offsets_ns.tolist() == schedule.offsets_ns.tolist()
    assert (again.planned, again.length_s, again.requests) == (2, 1.5, schedule.requests)
    assert [again.size_of(a) for a in range(3)] == [schedule.size_of(a) for a in range(3)]
    assert [again.turns_of(a) for a in range(3)] == [schedule.turns_of(a) for a in range(3)]
    with pytest.raises(ValueError, match="read-only"):
        again.offsets_ns[0] = 1


def test_a_plain_saved_schedule_comes_back_plain(tmp_path: Path) -> None:
    schedule = open_loop("poisson", 50, 2, 1, hold_s=1)
    schedule.save(tmp_path / "schedule.arrow")

    again = Schedule.load(tmp_path / "schedule.arrow")

    assert (again.sizes, again.turns, again.planned, len(again)) == (None, None, schedule.planned, len(schedule))
    assert again.digest() == schedule.digest()


def test_sizes_and_turns_change_the_digest_and_the_tail_does_not() -> None:
    plain = Schedule(np.array([0, 10, 20]), 2, 1.5)
    digests = {s.digest() for s in (plain, sized(), sized().with_turns(np.array([2, 1, 3], np.int32)))}

    assert len(digests) == 3
    assert Schedule(np.array([0, 10]), 2, 9.0).digest() == plain.digest()
    assert sized().with_turns(np.array([2, 1, 9], np.int32)).digest() in digests


@given(st.integers(1, 300), st.integers(1, 12))
def test_the_shards_of_all_workers_are_the_schedule(requests: int, workers: int) -> None:
    schedule = open_loop("constant", 8, None, 0, requests)

    shards = [schedule.shard(worker, workers).tolist() for worker in range(workers)]

    assert sorted(seq for shard in shards for seq in shard) == list(range(requests))
    assert all(seq % workers == worker for worker, shard in enumerate(shards) for seq in shard)


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        (f'--arrivals "poison" isn\'t one of {NAMES}; did you mean "poisson"?', ("poison", 8, 20, 1)),
        (f'--arrivals "gamma" isn\'t one of {NAMES}; did you mean "gamma:CV"?', ("gamma", 8, 20, 1)),
        ('--arrivals "gamma:0" isn\'t gamma:CV with a CV in [0.01, 100]', ("gamma:0", 8, 20, 1)),
        ('--arrivals "gamma:nan" isn\'t gamma:CV with a CV in [0.01, 100]', ("gamma:nan", 8, 20, 1)),
        ('--arrivals "burst:1.5" isn\'t burst:N with a whole N in [1, 100000000]', ("burst:1.5", 8, 20, 1)),
        ("neither --rate nor --stages is given; these --arrivals need one of them", ("poisson", None, 20, 1)),
        ("--rate 0 isn't a finite number of arrivals per second, more than 0", ("constant", 0, 20, 1)),
        ("--rate nan isn't a finite number of arrivals per second, more than 0", ("poisson", float("nan"), 20, 1)),
        ("--duration -1 isn't a number of seconds in (0, 1e+09]", ("constant", 8, -1, 1)),
        ("--duration inf isn't a number of seconds in (0, 1e+09]", ("constant", 8, float("inf"), 1)),
        (f"--requests 0 isn't a whole number in [1, {MAX_ARRIVALS}]", ("constant", 8, None, 1, 0)),
        ("neither --duration nor --requests is given; a schedule needs one of them", ("constant", 8, None, 1)),
        ("--seed -1 isn't a whole number of at least 0", ("poisson", 8, 20, -1)),
        ("--rate 1000000.0/s for 1e6 s is 1e+12 arrivals, at most 100000000", ("poisson", 1e6, 1e6, 1)),
        ("--rate 1e-09/s takes more than 1e+09 s for 10 requests; raise it", ("constant", 1e-9, None, 1, 10)),
        ("--duration 1 s holds no arrival at --rate 1e-06/s; make it longer", ("poisson", 1e-6, 1, 1)),
    ],
)
def test_a_mistake_is_one_line_with_the_option(
    line: str, arguments: tuple[str, float | None, float | None, int]
) -> None:
    with pytest.raises(ScheduleError) as caught:
        open_loop(*arguments)

    assert str(caught.value) == line.replace("1e6 s", "1000000.0 s")


def test_the_users_of_a_closed_loop_are_numbered_row_by_row() -> None:
    """3 users: user 1's requests are seqs 1, 4, 7; 7 requests in all are seqs 0 to 6."""
    closed = Closed(users=3, duration_s=None, requests=7)

    assert [closed.seq(1, k) for k in range(3)] == [1, 4, 7]
    assert [seq for seq in range(9) if closed.allows(seq)] == list(range(7))
    assert Closed(3, None, None).allows(10**12)


@pytest.mark.parametrize(("users", "duration_s", "requests"), [(0, None, None), (1, 0.0, None), (1, None, 0)])
def test_a_closed_loop_of_nothing_is_refused(users: int, duration_s: float | None, requests: int | None) -> None:
    with pytest.raises(ScheduleError, match="isn't a"):
        Closed(users, duration_s, requests)


def test_users_of_a_ramp_come_one_after_the_other() -> None:
    """4 users over 2 s: user u comes at u * 2 / 4 s."""
    closed = closed_loop(4, 20, None, ramp_s=2)

    assert closed.steps == ((0, 1), (500_000_000, 2), (1_000_000_000, 3), (1_500_000_000, 4))
    assert [closed.at(ns) for ns in (0, 499_999_999, 500_000_000, 10**12)] == [1, 1, 2, 4]
    assert closed_loop(4, 20, None).at(0) == 4


@pytest.mark.parametrize(
    ("line", "concurrency", "ramp_s"),
    [
        ("neither --concurrency nor --stages is given; a closed loop needs one of them", None, 0),
        ("--concurrency 0 isn't a whole number of at least 1", 0, 0),
        ("a ramp of 30 s isn't between 0 and the --duration of 20 s", 4, 30),
        ("a ramp of nan s isn't between 0 and the --duration of 20 s", 4, float("nan")),
    ],
)
def test_a_closed_loop_that_cannot_be_is_one_line(line: str, concurrency: int | None, ramp_s: float) -> None:
    with pytest.raises(ScheduleError) as caught:
        closed_loop(concurrency, 20, None, ramp_s=ramp_s)

    assert str(caught.value) == line
