"""Durations and rates as people write them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.units import UnitError, not_one_of, per_second, seconds


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("90", 90.0),
        ("90s", 90.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("250ms", 0.25),
        ("0.5", 0.5),
        (".5s", 0.5),
        (" 2 m ", 120.0),
    ],
)
def test_a_duration_is_read_in_seconds(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize(
    ("text", "value"), [("8", 8.0), ("8/s", 8.0), ("90/m", 1.5), ("3600/h", 1.0), ("0.5", 0.5), ("1 / m", 1 / 60)]
)
def test_a_rate_is_read_per_second(text: str, value: float) -> None:
    assert per_second(text) == value


@pytest.mark.parametrize(
    "text",
    ["", "s", "-1", "0", "0s", "0ms", "nan", "inf", "1e3", "1_0", "5 minutes", "5M", "1d", "1m30s", "٣", "9" * 400],
)
def test_what_is_no_duration_is_refused_in_one_line_with_the_allowed_forms(text: str) -> None:
    with pytest.raises(UnitError) as caught:
        seconds(text)

    line = str(caught.value)
    assert "\n" not in line
    assert "90s" in line
    assert "250ms" in line
    assert text[:30] in line


@pytest.mark.parametrize("text", ["", "/s", "-1", "0", "0/s", "nan", "inf", "8/d", "8/ms", "8rps", "8/s/s", "9" * 400])
def test_what_is_no_rate_is_refused_in_one_line_with_the_allowed_forms(text: str) -> None:
    with pytest.raises(UnitError) as caught:
        per_second(text)

    line = str(caught.value)
    assert "\n" not in line
    assert "90/m" in line
    assert text[:30] in line


def test_zero_is_a_duration_where_it_means_something() -> None:
    assert seconds("0", zero=True) == 0.0
    with pytest.raises(UnitError):
        seconds("-0", zero=True)


def test_the_line_names_value_and_forms() -> None:
    with pytest.raises(UnitError) as caught:
        seconds("5 min")

    assert str(caught.value) == "'5 min' isn't a duration like 90, 90s, 5m, 1h or 250ms, more than 0"


@given(st.text())
def test_any_text_is_a_positive_number_or_a_unit_error(text: str) -> None:
    for parse in (seconds, per_second):
        try:
            value = parse(text)
        except UnitError as error:
            assert "\n" not in str(error)  # noqa: PT017 - either way is fine, both are checked
        else:
            assert value > 0
            assert math.isfinite(value)


@given(st.integers(1, 10**9), st.sampled_from([("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)]))
def test_a_unit_multiplies(number: int, unit: tuple[str, float]) -> None:
    name, factor = unit

    assert seconds(f"{number}{name}") == pytest.approx(number * factor, rel=1e-15)


def test_an_unknown_name_gets_the_list_and_the_nearest() -> None:
    assert not_one_of("poison", ["constant", "poisson"]) == (
        'isn\'t one of [constant, poisson]; did you mean "poisson"?'
    )
    assert not_one_of("enviroment", ["env", "header"]) == 'isn\'t one of [env, header]; did you mean "env"?'
    assert not_one_of("zzz", ["env", "header"]) == "isn't one of [env, header]"
    assert not_one_of("", ["env", "header"]) == "isn't one of [env, header]"
