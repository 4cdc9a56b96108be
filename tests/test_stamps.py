"""From the kernel's stamps to moments on the axis: synthetic stamps, known answers."""

from __future__ import annotations

import struct
from array import array

from hypothesis import given
from hypothesis import strategies as st

from loadtests.wire.stamps import MANY, NO_STAMP, place

S = 1_000_000_000


def stamp(ns: int) -> bytes:
    """What the kernel says for this moment of an axis that begins one second after 1970."""
    return struct.pack("qq", *divmod(S + ns, S))


def placed(reads: list[tuple[int | None, int]], last_ns: int = 0) -> tuple[list[int], list[int]]:
    """Moments and lags of reads as (kernel's moment or None, reader's moment), the axis 100 ns behind the clock."""
    kernel = bytearray(b"".join(NO_STAMP if at is None else stamp(at) for at, _ in reads))
    moments, lags = place(kernel, array("q", [user + 100 for _, user in reads]), S, 100, last_ns)
    return moments.tolist(), lags.tolist()


def test_a_stamp_is_put_on_the_axis_and_its_reader_was_late_by_the_rest() -> None:
    assert placed([(5000, 5007), (6000, 6100)]) == ([5000, 6000], [7, 100])


def test_a_read_without_a_stamp_takes_its_readers_moment_and_has_no_lag() -> None:
    assert placed([(None, 5007), (6000, 6100)]) == ([5007, 6000], [100])


def test_after_loss_a_later_read_is_not_earlier_than_the_one_ahead_of_it() -> None:
    """TCP hands 9,000 on only when the lost segment has come: what came before it (8,000) was not readable then."""
    assert placed([(9000, 9500), (8000, 9600), (9900, 9950)])[0] == [9000, 9000, 9900]


def test_the_running_maximum_goes_on_from_the_reads_before() -> None:
    assert placed([(5000, 5100)], last_ns=7000)[0] == [7000]


def test_nothing_is_received_after_it_was_read() -> None:
    """A clock set forward by an hour between two measurements of the offset."""
    assert placed([(3600 * S, 5000), (6000, 6500)]) == ([5000, 6000], [0, 500])


READ = st.tuples(st.none() | st.integers(-1000, 10**7), st.integers(0, 10**7))


@given(st.lists(READ, min_size=MANY, max_size=3 * MANY), st.integers(0, 10**7))
def test_many_at_once_are_placed_as_they_are_one_by_one(reads: list[tuple[int | None, int]], last_ns: int) -> None:
    moments, lags = [], []
    last = last_ns
    for read in reads:
        (last,), lag = placed([read], last)
        moments.append(last)
        lags += lag

    assert placed(reads, last_ns) == (moments, lags)
