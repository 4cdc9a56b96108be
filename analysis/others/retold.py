"""What another tool would have reported of a run: its metrics, names and units, and where its definitions differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from analysis.units import NONE, digits

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCHEMA_VERSION: Final = 1
VALUE: Final = "value"
"""The statistic of a line that has one number for the whole run."""

Wanted = Mapping[str, str | float]
"""
By a tool's name of a statistic: `mean`, `std` (of the population), `min`, `max`, `sum`, `count`, or a percentile, 0 to
100, interpolated linearly between ranks as `numpy.percentile` does.
"""

_MOMENTS: Final[dict[str, Callable[[NDArray[np.float64]], float]]] = {
    "mean": np.mean, "std": np.std, "min": np.min, "max": np.max, "sum": np.sum, "count": np.size,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class RetoldLine:
    """
    One metric.

    Attributes:
        key: As the tool's own result file names it.
        name: As the tool prints it.
        unit: The tool's, empty where the name has it or there is none.
        values: By the tool's name of the statistic, `value` alone for a number of the whole run; None where
            no request has it.
    """

    key: str
    name: str
    unit: str
    values: Mapping[str, float | None]

    @property
    def is_single(self) -> bool:
        """One number for the whole run."""
        return VALUE in self.values

    def to_json(self) -> dict[str, Any]:
        """Plain values; an infinite one, which JSON has no number for, is the text `inf`."""
        told = {
            name: "inf" if value is not None and math.isinf(value) else value for name, value in self.values.items()
        }
        return {"name": self.name, "unit": self.unit, **told}


@dataclass(frozen=True, slots=True)
class Retold:
    """
    One run of one arm as another tool would have it.

    Attributes:
        tool: Its name on the command line.
        source: Which version's definitions these are.
        run: The run's name.
        verdict: Whether the run may be believed, as the summary says.
        shown: The statistics that the table shows, in the tool's order; the lines have all of them.
        notes: Where its definitions differ from ours and how much that is here, and what the rows cannot tell.
    """

    tool: str
    source: str
    run: str
    verdict: str
    shown: tuple[str, ...]
    lines: tuple[RetoldLine, ...]
    notes: tuple[str, ...]

    def line(self, key: str) -> RetoldLine:
        """A line by its key."""
        return next(line for line in self.lines if line.key == key)

    def to_json(self) -> dict[str, Any]:
        """As plain values; keys are stable within a schema version, those of the metrics are the tool's."""
        metrics = {line.key: line.to_json() for line in self.lines}
        told = {"schema_version": SCHEMA_VERSION, "as": self.tool, "source": self.source, "run": self.run}
        return {**told, "verdict": self.verdict, "metrics": metrics, "notes": list(self.notes)}


def one(key: str, name: str, value: float | None, unit: str = "") -> RetoldLine:
    """A line of one number."""
    return RetoldLine(key, name, unit, {VALUE: None if value is None else float(value)})


def many(key: str, name: str, unit: str, values: NDArray[np.float64], wanted: Wanted, scale: float = 1.0) -> RetoldLine:
    """A line of statistics over values, shape (n,), NaN left out; `scale` is from our base unit to the line's."""
    known = values[~np.isnan(values)] * scale
    return RetoldLine(key, name, unit, {told: _statistic(known, what) for told, what in wanted.items()})


def _statistic(known: NDArray[np.float64], what: str | float) -> float | None:
    if not known.size:
        return None
    return float(_MOMENTS[what](known)) if isinstance(what, str) else float(np.percentile(known, what))


def against(theirs: NDArray[np.float64], ours: NDArray[np.float64], unit: str = "ms", scale: float = 1000.0) -> str:
    """How much a definition matters: the medians by both, over the same requests; infinite speeds are no numbers."""
    told = [_median(values, scale) for values in (theirs, ours)]
    return f"median {told[0]} {unit}, ours {told[1]} {unit}"


def _median(values: NDArray[np.float64], scale: float) -> str:
    known = values[np.isfinite(values)]
    return digits(scale * float(np.median(known))) if known.size else NONE
