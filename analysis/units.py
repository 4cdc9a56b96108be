"""Numbers as people read them: the one place where base units become milliseconds and per cent."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from analysis.metrics import Unit

NONE: Final = "\N{EN DASH}"
"""Stands for a value that is not there."""

SHOWN_UNIT: Final = {"s": "ms", "1/s": "1/s", "share": "%", "tokens": "tokens", "USD": "USD"}
_FACTOR = {"s": 1000.0, "1/s": 1.0, "share": 100.0, "tokens": 1.0, "USD": 1.0}


def shown(value: float, unit: Unit) -> str:
    """A value in the unit people read it in, three digits, without the unit's name."""
    return digits(value * _FACTOR[unit])


def digits(value: float) -> str:
    """Three significant digits, never fewer than the whole number: 0.012, 1.23, 12.3, 123, 1,234."""
    if not math.isfinite(value):
        return "∞" if value > 0 else str(value)
    size = abs(value)
    if size < 0.0005:
        return "0" if size == 0 else f"{value:.1g}" if size >= 0.0001 else f"{value:.0e}"
    places = max(0, 2 - math.floor(math.log10(size))) if size < 100 else 0
    text = f"{value:,.{min(places, 3)}f}"
    # 9.996 rounds to 10.00: one digit too many.
    if "." in text and len(text.replace("-", "").replace(".", "").lstrip("0")) > 3:
        text = text[:-1].rstrip(".")
    return text


def span(seconds: float) -> str:
    """A duration: 20 s, 1.5 s, 12 min."""
    return f"{seconds / 60:.3g} min" if seconds >= 600 else f"{seconds:.4g} s"
