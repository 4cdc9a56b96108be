"""What failed of several sides, and by whose doing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from analysis.charts.frame import INK, WIDTH
from analysis.charts.sides import short, styled
from analysis.failures import FAMILIES, FAMILY_OF
from analysis.units import digits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from analysis.charts.frame import Canvas
    from analysis.charts.sides import Seen

BAR: Final = 0.46
"""Inches of a side's bar."""
LEAST_LABEL: Final = 0.09
"""Share of the axis from which on a part of a bar has room for its own number."""


def draw(canvas: Canvas, seen: Sequence[Seen]) -> None:
    """Chart 16: of each side the share of requests that failed, by whose doing it was."""
    title = "Failed requests by cause"
    styles = styled([one.name for one in seen])
    shown = [one for one in seen if one.name in styles and one.went]
    if not any(one.failures for one in shown):
        n = sum(one.went for one in shown)
        canvas.say(title, f"None of the {n:,} requests failed.")
        return
    families = [name for name in (*FAMILIES, "other") if any(_family(one, name) for one in shown)]
    colours = dict(zip(families, (style[0] for style in styled(families).values()), strict=False))
    axes = canvas.axes(title, 1.95 + BAR * len(shown), left=1.5, right=0.9, top=0.95)
    most = 100 * max(one.failures.total() / one.went for one in shown)
    axes.set_xlim(0, 1.02 * most)
    for place, one in enumerate(shown):
        _stack(canvas, axes, one, len(shown) - 1 - place, colours)
    axes.set_yticks(range(len(shown)), [short(one.name) for one in shown[::-1]])
    axes.set_ylim(-0.6, len(shown) - 0.4)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("failed requests (%)")
    _families(canvas, colours)
    rows = [
        (one.name, kind, FAMILY_OF.get(kind, "other"), f"{n:,}", f"{digits(100 * n / one.went)} %")
        for one in seen for kind, n in one.failures.most_common()
    ]  # fmt: skip
    canvas.tabulate(("side", "kind", "cause", "requests", "share"), rows)
    told = (f"{one.name} {digits(100 * one.failures.total() / one.went)} % of {one.went:,}" for one in shown)
    canvas.alt = f"Failed requests: {'; '.join(told)}."


def _family(one: Seen, family: str) -> int:
    return sum(n for kind, n in one.failures.items() if FAMILY_OF.get(kind, "other") == family)


def _stack(canvas: Canvas, axes: Axes, one: Seen, y: int, colours: dict[str, str]) -> None:
    left, whole = 0.0, axes.get_xlim()[1]
    for family, colour in colours.items():
        width = 100 * _family(one, family) / one.went
        axes.barh(y, width, left=left, height=0.55, color=colour, lw=0)
        if width > LEAST_LABEL * whole:
            axes.text(
                left + width / 2, y, digits(width), ha="center", va="center", size=8, color="white", weight="bold"
            )
        if width:
            words = f"{one.name}: {family} {digits(width)} %"
            canvas.tell(axes, one.name, [left + width / 2], [y], text=lambda _, words=words: words)  # type: ignore[misc]
        left += width
    axes.annotate(
        f"{digits(left)} %", (left, y), (6, 0), textcoords="offset points", va="center", size=8.5, color=INK,
        annotation_clip=False,
    )  # fmt: skip


def _families(canvas: Canvas, colours: dict[str, str]) -> None:
    """The parts' names in their colours, in one line below the title."""
    height, x = float(canvas.figure.get_figheight()), 1.5
    for family, colour in colours.items():
        canvas.figure.text(x / WIDTH, 1 - 0.62 / height, family, size=8.5, color=colour, weight="bold", va="center")
        x += 0.3 + 0.078 * len(family)
