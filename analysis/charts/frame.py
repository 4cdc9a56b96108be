"""
The common look of all charts: size, colours, axes, the footer, and how a figure becomes a file.

Text stays text in the SVG; the same run gives the same bytes.
"""

from __future__ import annotations

import io
import math
import re
import textwrap
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from analysis.charts.values import NO_TABLE, Spot, Table, Trace, spots, table
from analysis.metrics import BY_NAME
from analysis.units import SHOWN_UNIT, digits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

    from analysis.rundir import Run
    from analysis.summary import Summary

# Okabe & Ito, "Color Universal Design" (2008): told apart with any colour vision.
BLUE: Final = "#0072B2"
ORANGE: Final = "#D55E00"
GREEN: Final = "#009E73"
PURPLE: Final = "#CC79A7"
SKY: Final = "#56B4E9"
YELLOW: Final = "#E69F00"
GREY: Final = "#6B7280"
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
NO_GLYPH: Final = r"(?s)Glyph \d+ .*missing from|Matplotlib currently does not support \w+ natively"
"""What matplotlib warns of where its font lacks a letter of a name."""


@contextmanager
def _look() -> Iterator[None]:
    """The look, without warnings of letters that the font lacks: of an SVG the reader's fonts draw them."""
    with warnings.catch_warnings(), mpl.rc_context(LOOK):
        warnings.filterwarnings("ignore", NO_GLYPH, UserWarning)
        yield


@dataclass(frozen=True, slots=True)
class Chart:
    """
    A finished chart.

    Attributes:
        alt: Says in words what is to be seen.
        svg: A whole document.
        table: The values behind it.
        spots: Where a pointer finds which of them.
    """

    name: str
    title: str
    alt: str
    svg: str
    table: Table = NO_TABLE
    spots: tuple[Spot, ...] = ()
    _figure: Figure | None = field(default=None, compare=False, repr=False)

    @property
    def is_empty(self) -> bool:
        """It says in words why there is nothing to be drawn."""
        return self.alt.startswith("Empty: ")

    def png(self, dpi: int = 200) -> bytes:
        """The same as a picture of pixels, white behind it; of a letter that matplotlib's own font lacks, a box."""
        assert self._figure is not None
        buffer = io.BytesIO()
        with _look():
            FigureCanvasAgg(self._figure)
            self._figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None, "Title": self.title})
        return buffer.getvalue()


@dataclass(slots=True)
class Canvas:
    """
    What a chart draws on.

    Attributes:
        alt: Set by the chart: what it shows, in words and numbers.
        traces: What it drew, for the table and the pointer.
        table: In place of the one that is made from the traces.
    """

    figure: Figure
    title: str = ""
    alt: str = ""
    traces: list[Trace] = field(default_factory=list)
    table: Table | None = None

    def tell(
        self, axes: Axes, name: str, x: ArrayLike, y: ArrayLike, *, band: tuple[ArrayLike, ArrayLike] | None = None,
        text: Callable[[int], str] | None = None,
    ) -> None:  # fmt: skip
        """
        Say what was drawn: it goes into the table behind the chart and under the pointer.

        Args:
            axes: Where; its labels name the columns and give the units.
            name: Of the line; empty where there is one alone.
            x: Shape (n,), in the axes' own units.
            y: Likewise, NaN for a hole.
            band: Lower and upper ends of the intervals of y, NaN for none.
            text: Words for the i-th point, for where name, value and place don't say it.
        """
        low, high = (None, None) if band is None else (np.asarray(end, dtype=np.float64) for end in band)
        at_x, at_y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        self.traces.append(Trace(axes, name, at_x, at_y, low, high, text))

    def tabulate(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Say which table stands behind the chart, where its traces make none that reads well."""
        self.table = Table(tuple(columns), tuple(tuple(row) for row in rows))

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
    with _look():
        canvas = Canvas(Figure())
        chart(canvas)
        height = float(canvas.figure.get_figheight())
        small = textwrap.fill(footer, 128)
        canvas.figure.text(0.15 / WIDTH, 0.1 / height, small, size=7, color=GREY, va="bottom", linespacing=1.3)
        svg = _svg(canvas)
        width, height = (float(side) for side in canvas.figure.bbox.size)
        behind = canvas.table if canvas.table is not None else table(canvas.traces)
        found = spots(canvas.traces, (width, height))
        return Chart(name, canvas.title, canvas.alt, svg, behind, found, canvas.figure)


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
    """Round numbers between low and high, nine at the most, ascending."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)):
        ticks = [float(f"{step * 10.0**k:.4g}") for k in decades for step in steps if low <= step * 10.0**k <= high]
        if len(ticks) >= 4:
            return ticks[:: math.ceil(len(ticks) / 9)]
    evenly = MaxNLocator(8, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return [float(f"{tick:.10g}") for tick in evenly if low <= tick <= high]


def label_end(axes: Axes, at: tuple[float, float], text: str, colour: str, dy: float = 0) -> None:
    """A line's name at its end, in its colour, dy points above it."""
    axes.annotate(
        text, at, (4, dy), textcoords="offset points", color=colour, size=8.5, va="center", annotation_clip=False
    )


def ms(value_s: float) -> str:
    """A duration as labels show it."""
    return f"{digits(1000 * value_s)} ms" if value_s < 10 else f"{digits(value_s)} s"
