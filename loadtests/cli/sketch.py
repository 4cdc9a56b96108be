"""The load over time as text: a bar per stretch of time, in eighths of a line where the terminal can show them."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

ROWS: Final = 8
EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
THIRDS: Final = " .:#"
"""Where the terminal's encoding isn't UTF-8."""

TOPS: Final = (1, 1.2, 1.6, 2, 3, 4, 5, 6, 8)
"""Heights of the axis: what is round halved, too."""

FEW: Final = 20
"""With fewer arrivals than four in a bar, at most so many bars: more would show their chance, not the load."""


def sketch(
    times_s: Array, length_s: float, width: int, label: str = "arrivals/s", *, plain: bool | None = None
) -> list[str]:
    """
    Arrivals per second over time.

    Args:
        times_s: Shape (n,), seconds since the start; what is not in [0, length_s] is left out.
        length_s: End of the axis; 0 where there is one burst, which is told in one line.
        width: Columns there are; 30 at least are taken.
        label: What the bars show.
        plain: ASCII only; None: as stdout's encoding allows.

    Returns:
        The lines, the first one the label with the width of a bar.
    """
    inside = times_s[(times_s >= 0) & (times_s <= length_s)]
    if not length_s:
        return [f"{label}: all {len(inside):,} at once, at 0 s"]
    edges = _edges(length_s, min(_room(width), max(FEW, len(inside) // 4)))
    # Half a nanosecond later, so that an arrival on a round moment falls behind an edge that is a float's width off.
    values = np.histogram(np.minimum(inside + 5e-10, length_s), edges)[0] / np.diff(edges)
    return [f"{label}, {_legend(edges)}", *_bars(values, edges, width, plain=_plain(plain))]


def sketch_users(
    steps: Sequence[tuple[int, int]], length_s: float, width: int, label: str = "users", *, plain: bool | None = None
) -> list[str]:
    """
    Users over time.

    Args:
        steps: From this moment on (nanoseconds, ascending) so many users; none before the first.
        length_s: End of the axis, > 0.
        width: Columns there are; 30 at least are taken.
        label: What the bars show.
        plain: ASCII only; None: as stdout's encoding allows.

    Returns:
        The lines; a bar is as high as the most users of its stretch.
    """
    edges = _edges(length_s, _room(width))
    began, users = np.array([ns / 1e9 for ns, _ in steps]), np.array([0, *(n for _, n in steps)])
    # Of each stretch: what was on when it began, and what came within it.
    on = np.searchsorted(began, edges[:-1], side="right")
    until = np.searchsorted(began, edges[1:], side="left")
    values = np.array([users[lo : max(lo, hi) + 1].max() for lo, hi in zip(on, until, strict=True)], dtype=np.float64)
    return [f"{label}, {_legend(edges)}", *_bars(values, edges, width, plain=_plain(plain))]


def _plain(plain: bool | None) -> bool:
    return "utf" not in (sys.stdout.encoding or "").lower() if plain is None else plain


def _legend(edges: Array) -> str:
    return f"a bar is {_number(float(edges[1] - edges[0]))} s"


def _room(width: int) -> int:
    """Columns for bars beside the axis and its numbers."""
    return max(width, 30) - 10


def _edges(length_s: float, most: int) -> Array:
    """Edges of at most so many stretches of a round length; the last one ends with the axis, half as long or more."""
    step = _round_up(length_s / most)
    inner = np.arange(1, math.floor(length_s / step + 0.5 + 1e-9)) * step
    return np.concatenate([[0.0], inner, [length_s]])


def _round_up(value: float, steps: Sequence[float] = (1, 2, 5)) -> float:
    """The least of these times a power of ten that is not less, but for a float's error."""
    decade = math.floor(math.log10(value))
    found = (float(f"{step}e{k}") for k in range(decade, decade + 2) for step in steps)
    return next(step for step in found if step >= value * (1 - 1e-9))


# Drawing.


def _bars(values: Array, edges: Array, width: int, *, plain: bool) -> list[str]:
    levels = THIRDS if plain else EIGHTHS
    top = _round_up(max(float(values.max()), 1e-9), TOPS)
    columns = max(1, _room(width) // len(values))
    heights = np.minimum(np.ceil(values / top * ROWS * (len(levels) - 1) - 1e-9), ROWS * (len(levels) - 1))
    marks = {ROWS - 1: _number(top), ROWS // 2 - 1: _number(top / 2)}
    lines = []
    for row in range(ROWS - 1, -1, -1):
        filled = np.clip(heights - row * (len(levels) - 1), 0, len(levels) - 1).astype(int)
        bars = "".join(levels[level] * columns for level in filled.tolist())
        axis = ("+" if row in marks else "|") if plain else ("┤" if row in marks else "│")
        lines.append(f"{marks.get(row, ''):>8} {axis}{bars}".rstrip())
    floor = ("+" + "-" * (columns * len(values))) if plain else ("┼" + "─" * (columns * len(values)))
    return [*lines, f"{'0':>8} {floor}", _time_axis(float(edges[-1]), float(edges[1] - edges[0]), columns)]


def _time_axis(length_s: float, step_s: float, columns: int) -> str:
    """Round moments below their place, with the unit behind the last."""
    unit_s, unit = next((u for u in ((3600, "h"), (60, "min")) if length_s >= 4 * u[0]), (1, "s"))
    gap = _round_up(length_s / unit_s / 6)
    line = ""
    for i in range(int(length_s / unit_s / gap + 1e-9) + 1):
        text, place = _number(i * gap), 9 + round(i * gap * unit_s / step_s * columns)
        start = max(place - len(text) // 2, 0)
        line = f"{line:<{start}}{text}" if start > len(line) else line
    return f"{line} {unit}"


def _number(value: float) -> str:
    return f"{value:,.3f}".rstrip("0").rstrip(".") if 0.001 <= value < 1e6 else f"{value:.3g}"
