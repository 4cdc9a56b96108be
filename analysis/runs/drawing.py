"""One chart, as notebooks show it and files keep it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from analysis.files import place
from analysis.rundir import RunError

if TYPE_CHECKING:
    from analysis.charts import Chart


@dataclass(frozen=True, slots=True)
class Drawing:
    """
    A chart of a run.

    Attributes:
        chart: What `firsttoken report` shows too.
    """

    chart: Chart

    @property
    def title(self) -> str:
        """What stands above it."""
        return self.chart.title

    @property
    def alt(self) -> str:
        """What is to be seen, in words."""
        return self.chart.alt

    @property
    def svg(self) -> str:
        """The whole document; its text is text."""
        return self.chart.svg

    @property
    def table(self) -> pd.DataFrame:
        """The values behind it, as they are printed."""
        behind = self.chart.table
        return pd.DataFrame(list(behind.rows), columns=list(behind.columns))

    def save(self, path: str | Path, dpi: int = 200) -> Path:
        """
        Write it as a file, whole or not at all.

        Args:
            path: Its name ends in .svg or .png.
            dpi: Of a .png.

        Raises:
            RunError: Another kind of file, or a folder that is not there.
        """
        path = Path(path)
        kind = path.suffix.lower()
        if kind not in {".svg", ".png"}:
            raise RunError(f"{path}: a chart is saved as .svg or .png; name such a file")
        data = self.svg.encode() if kind == ".svg" else self.chart.png(dpi)
        try:
            return place(path, lambda partial: partial.write_bytes(data))
        except OSError as error:
            raise RunError(f"{path}: {error.strerror or error}; name a file in a folder that exists") from None

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_html_(self) -> str:
        """As a picture: the ids inside of several charts on one page would be mixed up."""
        data = base64.b64encode(self.svg.encode()).decode()
        return f'<img alt="{escape(self.alt)}" style="max-width:100%" src="data:image/svg+xml;base64,{data}">'

    def __repr__(self) -> str:
        return f"<chart {self.chart.name}: {self.alt}>"
