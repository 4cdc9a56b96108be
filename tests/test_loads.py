"""The loads of a sweep as they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests import loads
from loadtests.units import UnitError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1,2,4,8", (1, 2, 4, 8)),
        ("8, 90/m,8/s", (1.5, 8)),
        ("1..16:5", (1, 2, 4, 8, 16)),
        ("1..16:6", (1, 1.74, 3.03, 5.28, 9.19, 16)),  # 16^(1/5) = 1.7411
        ("60/m..4/s:2,0.5", (0.5, 1, 4)),
    ],
)
def test_rates(text: str, found: tuple[float, ...]) -> None:
    assert loads.rates(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [("1,2,4", (1, 2, 4)), ("1..64:7", (1, 2, 4, 8, 16, 32, 64)), ("1..4:7", (1, 2, 3, 4)), ("3", (3,))],
)
def test_users_are_whole_and_each_once(text: str, found: tuple[float, ...]) -> None:
    assert loads.users(text) == found


def test_around_a_rate() -> None:
    assert loads.around(12.5) == (2.5, 5, 7.5, 8.75, 10, 11.25, 12.5, 13.75)


@pytest.mark.parametrize("text", ["", "1,", "4..2:3", "2..2:3", "1..2", "1..2:1", "1..2:x", "a", "-1,2", "1..1e3:4"])
def test_what_is_no_list_of_loads_is_one_line(text: str) -> None:
    for read in (loads.rates, loads.users):
        with pytest.raises(UnitError) as raised:
            read(text)
        assert "\n" not in str(raised.value)


def test_too_many_are_refused() -> None:
    with pytest.raises(UnitError, match="101 loads; name at most 100"):
        loads.users(",".join(map(str, range(1, 102))))


@given(
    low=st.floats(0.01, 1000).map(lambda x: float(f"{x:.4f}")), ratio=st.floats(1.01, 1000), steps=st.integers(2, 40)
)
def test_a_range_rises_in_equal_ratios_from_end_to_end(low: float, ratio: float, steps: int) -> None:
    """Each load is within its rounding (3 digits: half a percent) of low * (high / low)^(k / (steps - 1))."""
    high = float(f"{low * ratio:.4f}")
    found = loads.rates(f"{low:.4f}..{high:.4f}:{steps}")

    assert found == tuple(sorted(set(found)))
    assert (found[0], found[-1]) == (low, high)
    assert len(found) <= steps
    meant = [low * (high / low) ** (k / (steps - 1)) for k in range(steps)]
    assert all(min(abs(load / one - 1) for one in meant) < 0.0051 for load in found)


@given(st.lists(st.integers(1, 1_000_000), min_size=1, max_size=50))
def test_a_list_is_what_it_says(values: list[int]) -> None:
    assert loads.users(",".join(map(str, values))) == tuple(sorted({float(value) for value in values}))
