"""
The common look of all charts: size, colours, axes, the footer, and how a figure becomes a file.

Text stays text in the SVG; the same run gives the same bytes.
"""

from __future__ import annotations

import io
import math
import re
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from analysis.metrics import BY_NAME
from analysis.units import SHOWN_UNIT, digits

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

    from analysis.runs import Run
    from analysis.summary import Summary

# Okabe & Ito, "Color Universal Design" (2008): told apart with any colour vision.
BLUE: Final = "#0072B2"
ORANGE: Final = "#D55E00"
GREEN: Final = "#009E73"
PURPLE: Final = "#CC79A7"
SKY: Final = "#56B4E9"
GREY: Final = "#8A8F98"
PALE: Final = "#E4E7EB"
INK: Final = "#1F2933"

WIDTH: Final = 7.6
FONTS: Final = "-apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
LOOK: Final[Any] = {
    "svg.fonttype": "none", "svg.hashsalt": "firsttoken", "font.family": "DejaVu Sans", "font.size": 9,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": GREY, "axes.linewidth": 0.8,
    "xtick.color": INK, "ytick.color": INK, "xtick.labelsize": 8.5, "ytick.labelsize": 8.5,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": PALE, "grid.linewidth": 0.7,
    "axes.axisbelow": True, "lines.linewidth": 1.8, "figure.facecolor": "white", "savefig.facecolor": "white",
    "figure.dpi": 100, "path.simplify": True, "text.parse_math": False,
}  # fmt: skip
RASTER_DPI: Final = 150


@dataclass(frozen=True, slots=True)
class Chart:
    """A finished chart: `svg` is a whole document, `alt` says in words what is to be seen."""

    name: str
    title: str
    alt: str
    svg: str


@dataclass(slots=True)
class Canvas:
    """
    What a chart draws on.

    Attributes:
        alt: Set by the chart: what it shows, in words and numbers.
    """

    figure: Figure
    title: str = ""
    alt: str = ""

    def axes(self, title: str, height: float = 4.2, **margins: float) -> Axes:
        """The one pair of axes of a plain chart."""
        self.frame(title, height)
        return self.figure.add_axes(self.box(height, **margins))

    def frame(self, title: str, height: float) -> None:
        """Size and title."""
        self.title = title
        self.figure.set_size_inches(WIDTH, height)
        self.figure.text(0.15 / WIDTH, 1 - 0.26 / height, title, weight="bold", size=11, va="center")

    @staticmethod
    def box(
        height: float, left: float = 0.75, right: float = 0.35, top: float = 0.55, bottom: float = 0.95
    ) -> tuple[float, float, float, float]:
        """Axes that leave these margins, in inches."""
        return (left / WIDTH, bottom / height, 1 - (left + right) / WIDTH, 1 - (top + bottom) / height)

    def say(self, title: str, words: str) -> None:
        """An empty chart that says why it is empty."""
        self.frame(title, 2.0)
        self.figure.text(0.5, 0.55, textwrap.fill(words, 80), ha="center", va="center", size=10, color=GREY)
        self.alt = f"Empty: {words}"


def draw_one(name: str, chart: Callable[[Canvas, Run, Summary], None], run: Run, summary: Summary) -> Chart:
    """Run one chart's function and save what it drew."""
    return drawn(name, lambda canvas: chart(canvas, run, summary), summary.footer())


def drawn(name: str, chart: Callable[[Canvas], None], footer: str) -> Chart:
    """A chart of anything that its function draws, with a line of small print below."""
    with mpl.rc_context(LOOK):
        canvas = Canvas(Figure())
        chart(canvas)
        height = float(canvas.figure.get_figheight())
        small = textwrap.fill(footer, 128)
        canvas.figure.text(0.15 / WIDTH, 0.1 / height, small, size=7, color=GREY, va="bottom", linespacing=1.3)
        return Chart(name, canvas.title, canvas.alt, _svg(canvas))


def _svg(canvas: Canvas) -> str:
    buffer = io.StringIO()
    FigureCanvasSVG(canvas.figure)
    metadata = {"Date": None, "Creator": None, "Title": canvas.title, "Description": canvas.alt}
    canvas.figure.savefig(buffer, format="svg", metadata=metadata, dpi=RASTER_DPI)
    return re.sub(r"'DejaVu Sans'(, sans-serif)?", FONTS, buffer.getvalue())


# Axes.


def axis(metric: str, *, log: bool = False) -> str:
    """What an axis is called: the metric's label and the unit it is shown in."""
    told = BY_NAME[metric]
    return f"{told.label} ({SHOWN_UNIT[told.unit]}{', log scale' if log else ''})"


def log_axis(axes: Axes, which: str, low: float, high: float, unit: str = "") -> None:
    """A log axis from low to high with plain numbers at 1, 2, 5 x 10^k, or evenly spread ones on a short range."""
    low, high = low * 0.92, high * 1.08
    getattr(axes, f"set_{which}scale")("log")
    getattr(axes, f"set_{which}lim")(low, high)
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(FixedLocator(log_ticks(low, high)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}{unit}"))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers between low and high, five to nine of them, ascending."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8), (*(1 + i / 10 for i in range(90)),)):
        ticks = [float(f"{step * 10.0**k:.4g}") for k in decades for step in steps if low <= step * 10.0**k <= high]
        if len(ticks) >= 4:
            return ticks[:: math.ceil(len(ticks) / 9)]
    return ticks


def label_end(axes: Axes, at: tuple[float, float], text: str, colour: str, dy: float = 0) -> None:
    """A line's name at its end, in its colour, dy points above it."""
    axes.annotate(
        text, at, (4, dy), textcoords="offset points", color=colour, size=8.5, va="center", annotation_clip=False
    )


def ms(value_s: float) -> str:
    """A duration as labels show it."""
    return f"{digits(1000 * value_s)} ms" if value_s < 10 else f"{digits(value_s)} s"
