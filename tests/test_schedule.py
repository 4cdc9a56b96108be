"""Arrivals against their definition and their distribution."""

from __future__ import annotations

import hashlib
import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from loadtests.schedule import ARRIVALS, MAX_ARRIVALS, Closed, ScheduleError, constant, open_loop, poisson


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


@given(st.sampled_from(sorted(ARRIVALS)), st.floats(0.5, 500), st.floats(5, 20), st.integers(0, 2**63))
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


def test_a_shorter_poisson_schedule_is_a_prefix_of_a_longer_one() -> None:
    long = poisson(50, 100, seed=3)
    short = poisson(50, 10, seed=3)

    assert np.array_equal(short, long[: len(short)])
    assert np.array_equal(poisson(50, None, 3, requests=77), long[:77])


def test_a_seed_gives_the_same_schedule_and_another_seed_another() -> None:
    assert open_loop("poisson", 8, 20, 1).digest() == open_loop("poisson", 8, 20, 1).digest()
    assert open_loop("poisson", 8, 20, 1).digest() != open_loop("poisson", 8, 20, 2).digest()


@pytest.mark.parametrize("arrivals", sorted(ARRIVALS))
def test_whichever_ends_first_ends_the_schedule(arrivals: str) -> None:
    whole = open_loop(arrivals, 8, 20, 1)

    assert len(open_loop(arrivals, 8, 20, 1, requests=10)) == 10
    assert len(open_loop(arrivals, 8, 20, 1, requests=10_000)) == len(whole)
    assert len(open_loop(arrivals, 8, None, 1, requests=10_000)) == 10_000
    assert list(open_loop(arrivals, 8, 20, 1, requests=10).offsets_ns) == list(whole.offsets_ns[:10])


def test_the_digest_is_the_sha256_of_little_endian_int64() -> None:
    schedule = open_loop("constant", 2, 1, 0)

    assert schedule.digest() == hashlib.sha256(struct.pack("<qq", 0, 500_000_000)).hexdigest()


def test_a_schedule_cannot_be_changed() -> None:
    schedule = open_loop("constant", 2, 1, 0)

    with pytest.raises(ValueError, match="read-only"):
        schedule.offsets_ns[0] = 1
    with pytest.raises(AttributeError):
        schedule.offsets_ns = np.zeros(1, dtype=np.int64)  # type: ignore[misc]


@given(st.integers(1, 300), st.integers(1, 12))
def test_the_shards_of_all_workers_are_the_schedule(requests: int, workers: int) -> None:
    schedule = open_loop("constant", 8, None, 0, requests)

    shards = [schedule.shard(worker, workers).tolist() for worker in range(workers)]

    assert sorted(seq for shard in shards for seq in shard) == list(range(requests))
    assert all(seq % workers == worker for worker, shard in enumerate(shards) for seq in shard)


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ('--arrivals "poison" isn\'t one of [constant, poisson]; did you mean "poisson"?', ("poison", 8, 20, 1)),
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
def test_a_mistake_is_one_line_with_the_option(line: str, arguments: tuple[str, float, float, int]) -> None:
    with pytest.raises(ScheduleError) as caught:
        open_loop(*arguments)

    assert str(caught.value) == line.replace("1e6 s", "1000000.0 s")


def test_the_users_of_a_closed_loop_are_numbered_row_by_row() -> None:
    """3 users: user 1's requests are seqs 1, 4, 7; 7 requests in all are seqs 0 to 6."""
    closed = Closed(users=3, duration_s=None, requests=7)

    assert [closed.seq(1, k) for k in range(3)] == [1, 4, 7]
    assert [seq for seq in range(9) if closed.allows(seq)] == list(range(7))
    assert Closed(3, None, None).allows(10**12)


@given(st.integers(1, 100), st.integers(1, 12))
def test_every_user_has_one_worker(users: int, workers: int) -> None:
    closed = Closed(users, 1.0, None)

    shares = [list(closed.users_of(worker, workers)) for worker in range(workers)]

    assert sorted(user for share in shares for user in share) == list(range(users))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize(("users", "duration_s", "requests"), [(0, None, None), (1, 0.0, None), (1, None, 0)])
def test_a_closed_loop_of_nothing_is_refused(users: int, duration_s: float | None, requests: int | None) -> None:
    with pytest.raises(ScheduleError, match="isn't a"):
        Closed(users, duration_s, requests)
