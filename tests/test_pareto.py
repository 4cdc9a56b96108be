"""Much for one user against much for all: what nothing beats in both."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from points import point

from analysis.capacity import curve, pareto


def test_by_hand() -> None:
    """(50, 100) and (20, 400) trade; (20, 300) has less for all than (20, 400), (10, 400) less for one."""
    values = [(50.0, 100.0), (20.0, 300.0), (20.0, 400.0), (10.0, 400.0), (50.0, 100.0)]

    assert pareto.beaten(values) == [None, 2, None, 2, None]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=20))
def test_nothing_on_the_frontier_is_beaten_and_everything_else_is(values: list[tuple[int, int]]) -> None:
    def beats(one: tuple[int, int], other: tuple[int, int]) -> bool:
        return one[0] >= other[0] and one[1] >= other[1] and one != other

    found = pareto.beaten([(float(x), float(y)) for x, y in values])
    for place, by in enumerate(found):
        if by is None:
            assert not any(beats(other, values[place]) for other in values)
        else:
            assert beats(values[by], values[place])
            assert found[by] is None


def test_arms_are_held_against_each_other_and_only_steady_loads() -> None:
    """At 2 b gives 60 to one and 300 to all: more of both than a at 2. a at 8 is unstable and beats nobody."""
    points = [
        point(1, arm="a", user_tokens_per_s=80.0, output_tokens_per_s=100.0),
        point(2, arm="a", user_tokens_per_s=50.0, output_tokens_per_s=200.0),
        point(8, arm="a", user_tokens_per_s=90.0, output_tokens_per_s=900.0, state="unstable"),
        point(2, arm="b", user_tokens_per_s=60.0, output_tokens_per_s=300.0),
        point(4, arm="b", user_tokens_per_s=None),
    ]
    found = pareto.trades(curve.curves(points))

    assert [(one.arm, one.load, one.beaten_by) for one in found] == [
        ("a", 1.0, None), ("a", 2.0, ("b", 2.0)), ("b", 2.0, None),
    ]  # fmt: skip
    assert [(one.arm, one.load) for one in pareto.frontier(found)] == [("a", 1.0), ("b", 2.0)]
    assert found[1].to_json()["frontier"] is False
