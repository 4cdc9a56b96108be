"""Laws of drawn numbers: quantile functions whose values, means and mistakes are known."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.draws import Law, LawError, draw, drawn, law_of, unit

TENTHS = [(i + 0.5) / 10 for i in range(10)]


def test_a_draw_depends_on_its_label_alone() -> None:
    """Golden bytes: prompts and arrivals of a seed rest on them."""
    assert draw("request 0 0").hex()[:16] == "d8e1380fd13a0252"
    assert len(draw("")) == 40
    assert drawn("a") == drawn("a") != drawn("b")


def test_a_word_becomes_a_number_strictly_between_0_and_1() -> None:
    """(0 + 0.5) / 2^52 and (2^52 - 0.5) / 2^52: both are doubles."""
    assert unit(0) == 2**-53
    assert unit(2**64 - 1) == 1 - 2**-53


@pytest.mark.parametrize(
    ("value", "unit_", "u", "expected"),
    [
        (5, "tokens", 0.5, 5),
        ("5", "tokens", 0.5, 5),
        ("fixed:5", "tokens", 0.9, 5),
        ("2s", "s", 0.5, 2.0),
        ("500ms", "s", 0.5, 0.5),
        (0, "s", 0.5, 0.0),
        # Ten equal steps of 10, 11, .. 19.
        ("uniform:10:19", "tokens", 0.05, 10),
        ("uniform:10:19", "tokens", 0.95, 19),
        ("uniform:1s:3s", "s", 0.25, 1.5),
        # The normal quantile of Phi(1) = 0.841345 is 1.
        ("normal:100:20", "tokens", 0.5, 100),
        ("normal:100:20", "tokens", 0.8413447460685429, 120),
        ("normal:1:20", "tokens", 0.01, 1),
        ("normal:1:20", "s", 0.01, 0.0),
        ("lognormal:120:0.8", "tokens", 0.5, 120),
        # 120 * e^0.8 = 267.06
        ("lognormal:120:0.8", "tokens", 0.8413447460685429, 267),
        ({"law": "lognormal", "median": 120, "sigma": 0.8, "max": 200}, "tokens", 0.99, 200),
        ({"law": "lognormal", "median": 120, "sigma": 0.8, "min": 16}, "tokens", 0.001, 16),
        # -2 * ln(1 - 0.5) = 1.386
        ("exponential:2s", "s", 0.5, 2 * math.log(2)),
        ({"law": "exponential", "mean": "2s", "max": "1s"}, "s", 0.5, 1.0),
        # Weights 1, 2, 1: cumulated 0.25, 0.75, 1.
        ({"law": "empirical", "values": [30, 10, 20], "weights": [1, 1, 2]}, "tokens", 0.25, 10),
        ({"law": "empirical", "values": [30, 10, 20], "weights": [1, 1, 2]}, "tokens", 0.26, 20),
        ({"law": "empirical", "values": [30, 10, 20, 20]}, "tokens", 0.76, 30),
        ({"law": "empirical", "values": ["1s", 2.5]}, "s", 0.9, 2.5),
        # exp(10 + 50 z) overflows in the tail; a million tokens is the end.
        ("lognormal:22026:50", "tokens", 1 - 2**-53, 1_000_000),
    ],
)  # fmt: skip
def test_a_quantile_is_what_the_law_says(value: Any, unit_: Any, u: float, expected: float) -> None:
    found = law_of(value, unit_).at(u)

    assert found == pytest.approx(expected, abs=1e-9)
    assert isinstance(found, int) == (unit_ == "tokens")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, 5), ("uniform:10:19", 14.5), ("normal:100:20", 100), ("exponential:50", 50),
        # 120 * exp(0.8^2 / 2) = 165.3
        ("lognormal:120:0.8", 165.3),
        ({"law": "empirical", "values": [10, 20], "weights": [3, 1]}, 12.5),
    ],
)  # fmt: skip
def test_the_mean_is_that_of_the_law(value: Any, expected: float) -> None:
    """Rounding to whole tokens moves it by little."""
    assert law_of(value, "tokens").mean == pytest.approx(expected, rel=0.01)


AMOUNT = st.integers(1, 5000)
LAWS = st.one_of(
    st.builds(lambda a, b: {"law": "uniform", "min": min(a, b), "max": max(a, b)}, AMOUNT, AMOUNT),
    st.builds(lambda m, s: {"law": "lognormal", "median": m, "sigma": s}, AMOUNT, st.floats(0, 3)),
    st.builds(lambda m, s: {"law": "normal", "mean": m, "sd": s}, AMOUNT, st.floats(0, 1000)),
    st.builds(lambda m: {"law": "exponential", "mean": m}, AMOUNT),
    st.builds(lambda v: {"law": "empirical", "values": v}, st.lists(AMOUNT, min_size=1, max_size=20)),
)


@given(LAWS, AMOUNT, AMOUNT, st.lists(st.integers(0, 2**64 - 1), min_size=2, max_size=20))
def test_a_law_never_falls_and_keeps_its_bounds(table: dict[str, Any], a: int, b: int, words: list[int]) -> None:
    """What it gives is also what its JSON gives."""
    if table["law"] in {"lognormal", "normal", "exponential"}:
        table |= {"min": min(a, b), "max": max(a, b)}
    law = law_of(table, "tokens")
    found = [law.at(unit(word)) for word in sorted(words)]

    assert found == sorted(found)
    assert all(table.get("min", 1) <= value <= table.get("max", 1_000_000) for value in found)
    again = law_of(law.to_json(), "tokens")
    assert again == law
    assert [again.at(unit(word)) for word in sorted(words)] == found


@given(LAWS)
def test_ten_quantiles_lie_around_the_mean(table: dict[str, Any]) -> None:
    law = law_of(table, "tokens")

    assert min(law.at(1e-9), 1) <= law.mean <= law.at(1 - 1e-9)


@pytest.mark.parametrize(
    ("value", "unit_", "words"),
    [
        (5, "tokens", "5"),
        ("90s", "s", "90 s"),
        ("uniform:10:20", "tokens", "uniform, 10 to 20"),
        ({"law": "lognormal", "median": 120, "sigma": 0.8, "min": 16, "max": 2000}, "tokens",
         "lognormal, median 120, 16 to 2000"),
        ({"law": "normal", "mean": 100, "sd": 5, "min": 16}, "tokens", "normal, mean 100, at least 16"),
        ({"law": "exponential", "mean": "2s", "max": "9s"}, "s", "exponential, mean 2 s, at most 9 s"),
        ({"law": "empirical", "values": [10, 20]}, "tokens", "empirical, 2 values, mean 15"),
    ],
)  # fmt: skip
def test_a_law_is_said_for_people(value: Any, unit_: Any, words: str) -> None:
    assert law_of(value, unit_).words() == words


def test_equal_values_are_kept_once_with_their_weights() -> None:
    law = law_of({"law": "empirical", "values": [3, 1, 3, 2, 2, 2]}, "tokens")

    assert law.to_json() == {"law": "empirical", "values": [1, 2, 3], "weights": [1, 3, 2]}


LOGNORMAL = {"law": "lognormal", "median": 120, "sigma": 0.8}


@pytest.mark.parametrize(
    ("value", "unit_", "said"),
    [
        ("lognrmal:1:2", "tokens", '"lognrmal:1:2" is no number and no law: "lognrmal" isn\'t one of [fixed, uniform'),
        ("lognrmal:1:2", "tokens", 'normal, lognormal, exponential]; did you mean "lognormal"?'),
        ("lognormal:120", "tokens", '"lognormal:120" isn\'t lognormal:MEDIAN:SIGMA'),
        ("uniform:20:10", "tokens", '"uniform:20:10": min 20 is above max 10'),
        ("normal:x:1", "tokens", '"normal:x:1": mean "x" isn\'t a number above 0'),
        ("exponential:2parsecs", "s", 'mean "2parsecs" isn\'t a duration like 2s or 500ms above 0'),
        (0, "tokens", "0 isn't a number of at least 1"),
        (-1, "s", "-1 isn't a duration like 2s or 500ms of at least 0"),
        (math.nan, "tokens", "NaN isn't a number of at least 1"),
        (True, "tokens", "true isn't a number"),
        (None, "tokens", "null isn't a number"),
        ([1], "tokens", "[1] isn't a number"),
        ("", "tokens", '"" is no number and no law'),
        ("5 apples", "tokens", '"5 apples" isn\'t a number of at least 1'),
        ({}, "tokens", "law is missing; it is one of [fixed, uniform"),
        ({"law": "zipf"}, "tokens", 'law "zipf" isn\'t one of [fixed, uniform'),
        ({"law": 3}, "tokens", "law 3 isn't one of"),
        ({"law": "lognormal", "median": 5}, "tokens", "sigma is missing; law lognormal needs it"),
        (LOGNORMAL | {"sd": 2}, "tokens", "sd isn't one of [median, sigma, min, max]"),
        (LOGNORMAL | {"sigma": -1}, "tokens", "sigma -1 isn't a number of at least 0"),
        (LOGNORMAL | {"min": 0}, "tokens", "min 0 isn't a whole number of at least 1"),
        (LOGNORMAL | {"max": 1.5}, "tokens", "max 1.5 isn't a whole number of at least 1"),
        (LOGNORMAL | {"min": 9, "max": 8}, "tokens", "min 9 is above max 8"),
        ({"law": "empirical"}, "tokens", "values null isn't an array of numbers"),
        ({"law": "empirical", "values": []}, "tokens", "values [] isn't an array of numbers"),
        ({"law": "empirical", "values": [1, "x"]}, "tokens", 'values[1] "x" isn\'t a number of at least 1'),
        ({"law": "empirical", "values": [1], "weights": [1, 2]}, "tokens", "aren't one number for each of the 1"),
        ({"law": "empirical", "values": [1], "weights": [0]}, "tokens", "with one above 0"),
        ({"law": "empirical", "values": list(range(1, 20_000))}, "tokens", "give 19999 different values, at most"),
    ],
)  # fmt: skip
def test_what_is_no_law_is_said_in_a_line(value: Any, unit_: Any, said: str) -> None:
    with pytest.raises(LawError) as caught:
        law_of(value, unit_)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=30) | st.dictionaries(st.sampled_from(["law", "median", "sigma", "min"]), st.text(max_size=9)))
def test_any_text_or_table_is_a_law_or_a_line(value: Any) -> None:
    with suppress(LawError):
        assert isinstance(law_of(value, "s"), Law)


def test_a_mistake_is_one_line_whatever_is_in_it() -> None:
    with pytest.raises(LawError) as caught:
        law_of({"law": "fixed", "a\nb": 1}, "s")
    assert str(caught.value) == "a b isn't one of [value]"


def test_the_quantiles_of_a_law_have_its_shape() -> None:
    """Ten midpoints of the uniform law from 1 to 10 are its ten values."""
    assert [law_of("uniform:1:10", "tokens").at(u) for u in TENTHS] == list(range(1, 11))
