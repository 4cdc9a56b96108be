"""
Laws of drawn numbers (lengths in tokens, times in seconds), and the draws that they are asked with.

A draw is a hash of a label, so that it depends on nothing else and is the same on every machine. A law is a quantile
function: it turns a number between 0 and 1 into a length or a time.
"""

from __future__ import annotations

import hashlib
import json
import math
from bisect import bisect_left
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from loadtests.redact import redact
from loadtests.units import not_one_of, seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Unit: TypeAlias = Literal["tokens", "s"]
Figures: TypeAlias = "dict[str, Any]"

MOST_TOKENS: Final = 1_000_000
MOST_VALUES: Final = 10_000
"""Different values of an empirical law: they are kept with the run."""

MEAN_POINTS: Final = 10_000
"""Quantiles that a mean is taken over; within a percent of the true one unless a tail is very heavy."""

_LEAST: Final[dict[Unit, int]] = {"tokens": 1, "s": 0}

_NORMAL: Final = NormalDist()

SHORT: Final = {
    "fixed": ("value",), "uniform": ("min", "max"), "normal": ("mean", "sd"), "lognormal": ("median", "sigma"),
    "exponential": ("mean",), "empirical": (),
}  # fmt: skip
"""The laws, and the figures that the short text gives in this order: `lognormal:120:0.8`."""

_BOUNDED: Final = ("normal", "lognormal", "exponential")
"""Laws that `min` and `max` cut off: what would lie outside is moved to the bound."""


class LawError(ValueError):
    """
    A law that cannot be read; its text is one line.

    Attributes:
        key: The key of the table that is wrong, with which the text begins; empty for anything else.
    """

    def __init__(self, text: str, key: str = "") -> None:
        super().__init__(" ".join(f"{key} {text}".split()))
        self.key = key


# Drawing. A numpy Generator costs 15 us to make, a hash 1 us; and a hash gives the same bytes everywhere.


def draw(label: str) -> bytes:
    """40 bytes that depend on the label alone."""
    return hashlib.blake2b(label.encode(), digest_size=40).digest()


def unit(word: int) -> float:
    """A 64-bit word as a number strictly between 0 and 1; 52 bits, so that the half below is exact."""
    return ((word >> 12) + 0.5) / 2**52


def drawn(label: str) -> float:
    """A number strictly between 0 and 1 that depends on the label alone."""
    return unit(int.from_bytes(draw(label)[:8], "little"))


# Laws.


@dataclass(frozen=True)
class Law:
    """
    A law of lengths in tokens (whole, at least 1) or of times in seconds (at least 0).

    Attributes:
        name: One of `SHORT`.
        unit: "tokens" or "s".
        figures: Its parameters by their names; `min` and `max` are bounds that values outside are moved to.
    """

    name: str
    unit: Unit
    figures: Figures
    _raw: Callable[[float], float] = field(repr=False, compare=False)

    def at(self, u: float) -> float:
        """The quantile at 0 < u < 1: never falls as u grows."""
        low, high = self._bounds
        value = self._raw(u)
        value = low if value < low else min(value, high)
        return round(value) if self.unit == "tokens" else float(value)

    @cached_property
    def _bounds(self) -> tuple[float, float]:
        """Nothing is below 1 token or 0 s, and nothing above `MOST_TOKENS`, whatever the tail."""
        most = MOST_TOKENS if self.unit == "tokens" else math.inf
        return self.figures.get("min", _LEAST[self.unit]), self.figures.get("max", most)

    @cached_property
    def mean(self) -> float:
        """The mean of what it gives, bounds and rounding included."""
        if self.name == "fixed":
            return self.at(0.5)
        return math.fsum(self.at((i + 0.5) / MEAN_POINTS) for i in range(MEAN_POINTS)) / MEAN_POINTS

    def words(self) -> str:
        """The law for people: `lognormal, median 120, 16 to 2000`."""
        mark = " s" if self.unit == "s" else ""
        said = {key: f"{value:g}{mark}" for key, value in self.figures.items() if isinstance(value, float | int)}
        if self.name == "fixed":
            return said["value"]
        if self.name == "empirical":
            return f"empirical, {len(self.figures['values'])} values, mean {self.mean:.4g}{mark}"
        middle = [f"{key} {said[key]}" for key in ("median", "mean") if key in said]
        low, high = said.get("min"), said.get("max")
        bounds = f"{low} to {high}" if low and high else f"at least {low}" if low else f"at most {high}" if high else ""
        return ", ".join([self.name, *middle, *([bounds] if bounds else [])])

    def to_json(self) -> Figures:
        """The law as a table that `law_of` reads, with every value in it."""
        return {"law": self.name, **self.figures}


def law_of(value: Any, unit: Unit) -> Law:
    """
    The law that a value of a TOML or JSON file, or of an option, describes.

    Args:
        value: A number; a text like "2s", "lognormal:120:0.8", "uniform:10:200", "normal:100:20", "exponential:2s",
            "fixed:5"; or a table {law="lognormal", median=120, sigma=0.8, min=16, max=2000} and the like, "empirical"
            with `values` and, if wanted, `weights`.
        unit: What it is a law of.

    Raises:
        LawError: It describes none.
    """
    if isinstance(value, dict):
        return _of_table(value, unit)
    if isinstance(value, str) and (value.partition(":")[0] in SHORT or not value[:1].isdigit()):
        return _of_text(value, unit)
    return _law("fixed", unit, {"value": _amount(value, unit, least=_LEAST[unit])})


def _of_text(text: str, unit: Unit) -> Law:
    name, *given = text.split(":")
    if not SHORT.get(name):
        laws = [law for law, keys in SHORT.items() if keys]
        raise LawError(f"{_shown(text)} is no number and no law: {_shown(name)} {not_one_of(name, laws)}")
    if len(given) != len(SHORT[name]):
        raise LawError(f"{_shown(text)} isn't {':'.join([name, *(key.upper() for key in SHORT[name])])}")
    try:
        return _of_table({"law": name, **dict(zip(SHORT[name], given, strict=True))}, unit)
    except LawError as error:
        raise LawError(f"{_shown(text)}: {error}") from None


def _of_table(table: Mapping[str, Any], unit: Unit) -> Law:
    name = table.get("law")
    if name is None:
        raise LawError(f"is missing; it is one of [{', '.join(SHORT)}]", "law")
    if not isinstance(name, str) or name not in SHORT:
        raise LawError(f"{_shown(name)} {not_one_of(str(name), SHORT)}", "law")
    if name == "empirical":
        return _law(name, unit, _empirical(table, unit))
    allowed = [*SHORT[name], *(("min", "max") if name in _BOUNDED else ())]
    _check_keys(table, allowed)
    if missing := [key for key in SHORT[name] if key not in table]:
        raise LawError(f"is missing; law {name} needs it", missing[0])
    figures = {key: _figure(table[key], key, unit) for key in allowed if key in table}
    if figures.get("min", 0) > figures.get("max", math.inf):
        raise LawError(f"{figures['min']:g} is above max {figures['max']:g}", "min")
    return _law(name, unit, figures)


def _check_keys(table: Mapping[str, Any], allowed: Sequence[str]) -> None:
    for key in table:
        if key not in {"law", *allowed}:
            raise LawError(not_one_of(key, allowed), key)


def _figure(value: Any, key: str, unit: Unit) -> float:
    if key in {"mean", "median"}:
        return _amount(value, unit, key, above=True)
    if key in {"sd", "sigma"}:
        return _amount(value, unit if key == "sd" else "tokens", key)
    return _amount(value, unit, key, least=_LEAST[unit], whole=unit == "tokens")


def _amount(
    value: Any, unit: Unit, key: str = "", *, least: int = 0, above: bool = False, whole: bool = False
) -> float:
    number = math.nan  # in this unit
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):  # UnitError is a ValueError
            number = seconds(value, zero=True) if unit == "s" and isinstance(value, str) else float(value)
    if math.isfinite(number) and (number > least or (number == least and not above)) and not (whole and number % 1):
        return int(number) if number % 1 == 0 else number
    allowed = "a duration like 2s or 500ms" if unit == "s" else "a whole number" if whole else "a number"
    raise LawError(f"{_shown(value)} isn't {allowed} {'above' if above else 'of at least'} {least}", key)


def _law(name: str, unit: Unit, figures: Figures) -> Law:
    for key in ("value", "min", "max", "mean", "median"):
        if unit == "tokens" and key in figures and figures[key] > MOST_TOKENS:
            raise LawError(f"{figures[key]:g} isn't a number of tokens of at most {MOST_TOKENS:,}", key)
    return Law(name, unit, figures, _QUANTILES[name](unit, figures))


# Quantile functions by the law's name: unit and figures in, u to value out.


def _fixed(_: Unit, figures: Figures) -> Callable[[float], float]:
    value = float(figures["value"])
    return lambda _: value


def _uniform(unit: Unit, figures: Figures) -> Callable[[float], float]:
    """Of tokens every whole number from `min` to `max`, both included, is as likely."""
    low, high = figures["min"], figures["max"]
    if unit == "tokens":
        return lambda u: low + int((high - low + 1) * u)
    return lambda u: float(low + (high - low) * u)


def _normal(_: Unit, figures: Figures) -> Callable[[float], float]:
    mean, sd = figures["mean"], figures["sd"]
    return lambda u: float(mean + sd * _NORMAL.inv_cdf(u))


def _lognormal(_: Unit, figures: Figures) -> Callable[[float], float]:
    """Of u: exp(log(median) + sigma * z), z the standard normal quantile."""
    mu, sigma = math.log(figures["median"]), figures["sigma"]
    return lambda u: math.exp(min(700.0, mu + sigma * _NORMAL.inv_cdf(u)))


def _exponential(_: Unit, figures: Figures) -> Callable[[float], float]:
    mean = figures["mean"]
    return lambda u: float(-mean * math.log1p(-u))


def _steps(_: Unit, figures: Figures) -> Callable[[float], float]:
    """The least value whose share of the weights, with all below it, reaches u."""
    values = figures["values"]
    sums = list(accumulate(figures.get("weights") or [1] * len(values)))
    total = sums[-1]
    return lambda u: float(values[min(bisect_left(sums, u * total), len(values) - 1)])


_QUANTILES: Final[dict[str, Callable[[Unit, Figures], Callable[[float], float]]]] = {
    "fixed": _fixed, "uniform": _uniform, "normal": _normal, "lognormal": _lognormal, "exponential": _exponential,
    "empirical": _steps,
}  # fmt: skip


# Empirical laws.


def _empirical(table: Mapping[str, Any], unit: Unit) -> Figures:
    """Different values, ascending, with their weights; no weights where all are alike."""
    _check_keys(table, ["values", "weights"])
    values = _listed(table, "values", unit, _LEAST[unit])
    weights = _listed(table, "weights", "tokens", 0) if "weights" in table else [1.0] * len(values)
    if len(weights) != len(values) or not sum(weights):
        raise LawError(f"aren't one number for each of the {len(values)} values, with one above 0", "weights")
    total: dict[float, float] = {}
    for value, weight in zip(values, weights, strict=True):
        total[value] = total.get(value, 0) + weight
    kept = sorted((value, weight) for value, weight in total.items() if weight)
    if len(kept) > MOST_VALUES:
        raise LawError(f"give {len(kept)} different values, at most {MOST_VALUES}: round them", "values")
    alike = len({weight for _, weight in kept}) == 1
    figures: Figures = {"values": [value for value, _ in kept]}
    return figures if alike else {**figures, "weights": [weight for _, weight in kept]}


def _listed(table: Mapping[str, Any], key: str, unit: Unit, least: int) -> list[float]:
    given = table.get(key)
    if not isinstance(given, list) or not given:
        raise LawError(f"{_shown(given)} isn't an array of numbers", key)
    return [_amount(value, unit, f"{key}[{i}]", least=least) for i, value in enumerate(given)]


def _shown(value: Any) -> str:
    text = redact(json.dumps(value, ensure_ascii=False, default=str), ())
    return text if len(text) <= 60 else f"{text[:59]}…"
