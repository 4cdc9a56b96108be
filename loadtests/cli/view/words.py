"""Figures in the words and digits in which a person reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadtests.live import Side

NONE: Final = "-"
BLOCKS: Final = "▁▂▃▄▅▆▇█"


def figure(value: float | None) -> str:
    """Three digits of it, or all of its integer part."""
    if value is None:
        return NONE
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def milliseconds(value_s: float | None) -> str:
    """A time in ms, without its unit."""
    return figure(None if value_s is None else 1000 * value_s)


def per_s(value: float | None) -> str:
    """A rate."""
    return NONE if value is None else f"{figure(value)}/s"


def clocked(value_s: float) -> str:
    """A length of time that is counted."""
    whole = round(value_s)
    if whole < 100:
        return f"{whole} s"
    minutes, seconds = divmod(whole, 60)
    return f"{minutes}:{seconds:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


def errors_of(side: Side) -> str:
    """Errors by their kind, the most frequent first; "" without any."""
    kinds = sorted(side.kinds.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{kind} {n:,}" for kind, n in kinds)


def spark(values: Iterable[float | None], width: int) -> str:
    """The last values as blocks from 0 to their maximum, the newest at the right; a blank where there is none."""
    last = list(values)[-width:]
    top = max((value for value in last if value is not None), default=0.0)
    return "".join(" " if value is None else BLOCKS[_level(value, top)] for value in last).rjust(width)


def _level(value: float, top: float) -> int:
    return min(len(BLOCKS) - 1, int(len(BLOCKS) * value / top)) if top > 0 else 0
