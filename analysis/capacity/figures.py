"""Numbers with their interval: how many digits each deserves, and how they read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Final, Literal

from analysis.units import digits

Unsure = Literal["", "at least", "at most"]

LONGEST: Final = 12
"""Decimal places that a number is shown with at most."""


@dataclass(frozen=True, slots=True)
class Figure:
    """
    A number with its 95 % interval.

    Attributes:
        lo, hi: None: nobody knows how far out that end is.
    """

    value: float
    lo: float | None = None
    hi: float | None = None

    def times(self, factor: float) -> Figure:
        """Number and interval in another unit; the factor is more than 0."""
        lo, hi = (None if end is None else end * factor for end in (self.lo, self.hi))
        return Figure(self.value * factor, lo, hi)

    def under(self, top: float) -> Figure:
        """Top divided by it: the ends change places; an end at 0 has none."""
        lo, hi = (None if not end else top / end for end in (self.hi, self.lo))
        return Figure(top / self.value, lo, hi)


def told(figure: Figure, unit: str = "", *, whole: bool = False) -> str:
    """41.2/s (39.2 to 43.1); 41/s (at least 39); 41/s where there is no interval; never parts of a whole thing."""
    value, lo, hi = rounded(figure, whole=whole)
    if lo is None and hi is None:
        return f"{value}{unit}"
    if lo is None or hi is None:
        return f"{value}{unit} ({f'at most {hi}' if lo is None else f'at least {lo}'})"
    return f"{value}{unit}" if lo == hi == value else f"{value}{unit} ({lo} to {hi})"


def rounded(figure: Figure, *, whole: bool = False) -> tuple[str, str | None, str | None]:
    """
    Value and ends as texts; the interval decides the digits.

    Half its width keeps one digit, two where the first is a 1, and the value always two; the ends are rounded
    outwards. Without an interval the value keeps three digits.

    Args:
        figure: The number.
        whole: Of people or machines: no digits behind the point.
    """
    ends = [end for end in (figure.lo, figure.hi) if end is not None and math.isfinite(end)]
    half = max((abs(end - figure.value) for end in ends), default=0.0) if len(ends) < 2 else abs(ends[1] - ends[0]) / 2
    if not half or not math.isfinite(figure.value):
        lo, hi = (None if end is None else plain(end, whole=whole) for end in (figure.lo, figure.hi))
        return plain(figure.value, whole=whole), lo, hi
    place = math.floor(math.log10(half / 2))
    if figure.value:
        place = min(place, math.floor(math.log10(abs(figure.value))) - 1)
    place = max(place, 0 if whole else -LONGEST)
    lo, hi = (
        None if end is None else _at(end, place, how)
        for end, how in ((figure.lo, ROUND_FLOOR), (figure.hi, ROUND_CEILING))
    )
    return _at(figure.value, place, ROUND_HALF_EVEN), lo, hi


def _at(value: float, place: int, how: str) -> str:
    """Rounded to a power of ten, never shown with an exponent."""
    if not math.isfinite(value):
        return digits(value)
    # Eleven digits: 0.1 + 0.2 isn't a little more than 0.3.
    exact = Decimal(f"{value:.11g}").quantize(Decimal(1).scaleb(place), rounding=how)
    return f"{exact + 0:,.{max(0, -place)}f}"


def plain(value: float, *, whole: bool = False) -> str:
    """Three digits and no zeros behind them: 20, 2.5, 1,234; for what was stated, and where there is no interval."""
    text = f"{value:,.0f}" if whole and abs(value) >= 1 else digits(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float) -> str:
    """A share in whole per cent, with one digit below ten: 4.2 %, 58 %."""
    size = 100 * share
    return f"{size:.1f} %" if abs(size) < 9.95 and round(size, 1) != round(size) else f"{size:.0f} %"


def money(amount: float) -> str:
    """USD as on a bill: whole ones from 1,000 on, cents below, three digits of what is less than one."""
    if abs(amount) >= 1000:
        return f"{amount:,.0f} USD"
    return f"{amount:,.2f} USD" if abs(amount) >= 1 else f"{Decimal(f'{amount:.3g}'):f} USD"


def paid(figure: Figure) -> str:
    """An amount with its interval: 0.42 USD (0.39 to 0.45)."""
    if figure.lo is None and figure.hi is None:
        return money(figure.value)
    return told(figure, " USD")
