"""How many digits a number deserves."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from analysis.capacity.figures import Figure, money, paid, percent, rounded, told
from analysis.capacity.promise import in_words


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        # Half the width is 1.95: a 1 in front keeps two digits; 0.31, 3 and 20 one.
        (Figure(41.234, 39.21, 43.11), "41.2 (39.2 to 43.2)"),
        (Figure(41.234, 40.93, 41.55), "41.2 (40.9 to 41.6)"),
        (Figure(41.234, 38.2, 44.2), "41 (38 to 45)"),
        (Figure(1234.5, 1210.0, 1250.0), "1,230 (1,210 to 1,250)"),
        (Figure(0.0123, 0.0119, 0.0127), "0.0123 (0.0119 to 0.0127)"),
        # The ends are whole tenths but for the last bit.
        (Figure(0.3, 0.1 + 0.2, 0.7), "0.30 (0.30 to 0.70)"),
        (Figure(8.19, 0.376, 178.4), "8.2 (0.3 to 178.4)"),
        (Figure(12.0, 11.0, 14.0), "12.0 (11.0 to 14.0)"),
        (Figure(41.234), "41.2"),
        (Figure(41.234, 41.234, 41.234), "41.2"),
        (Figure(41.234, 39.21, None), "41 (at least 39)"),
        (Figure(41.234, None, 43.11), "41.2 (at most 43.2)"),
        (Figure(0.0, 0.0, 0.0), "0"),
    ],
)
def test_the_interval_decides_the_digits(figure: Figure, expected: str) -> None:
    assert told(figure) == expected


@given(st.floats(1e-6, 1e7), st.floats(1e-4, 1), st.floats(1e-4, 1))
def test_what_is_shown_holds_what_was_found_and_little_more(value: float, below: float, above: float) -> None:
    found = Figure(value, value * (1 - below), value * (1 + above))
    middle, lo, hi = (float((text or "nan").replace(",", "")) for text in rounded(found))
    assert found.lo is not None
    assert found.hi is not None
    half = (found.hi - found.lo) / 2

    assert lo <= found.lo * (1 + 1e-9)
    assert hi >= found.hi * (1 - 1e-9)
    assert found.lo - lo <= half * (1 + 1e-6)
    assert abs(middle - value) <= half / 2


@given(st.floats(0.1, 1e3), st.floats(0.1, 1e3), st.floats(0.1, 1e3), st.floats(0.1, 1e3))
def test_dividing_by_a_number_turns_its_interval_round(a: float, b: float, c: float, top: float) -> None:
    lo, value, hi = sorted((a, b, c))
    assume(lo > 0)
    found = Figure(value, lo, hi).under(top)

    assert found.lo is not None
    assert found.hi is not None
    assert found.lo <= found.value <= found.hi
    assert found.value == pytest.approx(top / value)


def test_an_end_at_zero_has_no_inverse() -> None:
    assert Figure(2.0, 0.0, 4.0).under(8.0) == Figure(4.0, 2.0, None)


@pytest.mark.parametrize(
    ("amount", "expected"),
    [(7300.4, "7,300 USD"), (12.3456, "12.35 USD"), (0.12345, "0.123 USD"), (0.00147, "0.00147 USD"), (0.0, "0 USD")],
)
def test_money(amount: float, expected: str) -> None:
    assert money(amount) == expected
    assert paid(Figure(amount)) == expected


@pytest.mark.parametrize(
    ("share", "expected"), [(0.25, "25 %"), (0.042, "4.2 %"), (0.04, "4 %"), (0.0999, "10 %"), (1.2, "120 %")]
)
def test_shares(share: float, expected: str) -> None:
    assert percent(share) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ttft_p95<2s", "95 of 100 answers begin within 2 s"),
        ("latency_p99.9<10s", "999 of 1,000 answers are complete within 10 s"),
        ("tpot_p95<50ms", "95 of 100 answers go on with less than 50 ms for each further token (a piece of a word)"),
        ("ttft<450ms", "good answers begin within 450 ms"),
        ("error_rate<1%", "less than 1 % of the requests fail"),
        ("cost_per_1k_good<2.5", "1,000 good requests cost less than 2.5 USD"),
        ("fluidity(2s,50ms)_p90>0.9", "fluidity(2s,50ms)_p90>0.9 holds"),
        ("stability", "stability"),
    ],
)
def test_promises_in_words(text: str, expected: str) -> None:
    assert in_words(text) == expected
