"""What the metrics are counted from: a run, its window, the window's rows, and what makes a request good."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from analysis import window
from analysis.inside import chunks

if TYPE_CHECKING:
    import pandas as pd

    from analysis.inside.chunks import Chunks
    from analysis.objectives import Objectives
    from analysis.rundir import Run
    from analysis.window import Window


@dataclass(frozen=True, slots=True)
class Measured:
    """
    One run of one arm over its window.

    Attributes:
        rows: Those of the run's rows that are in the window, in order of their scheduled moments.
        chunks: What the per-chunk lists say; None where the file has none.
    """

    run: Run
    window: Window
    rows: pd.DataFrame
    objectives: Objectives
    chunks: Chunks | None


def of(run: Run, objectives: Objectives) -> Measured:
    """Find a run's window, and read what its chunks say; what they say of a request stands in its row then."""
    found = window.find(run)
    told = chunks.read(run, found, found.edges, objectives.deadlines)
    if told is not None:
        run = replace(run, requests=run.requests.assign(**told.columns))
    return Measured(run, found, found.rows(run.requests), objectives, told)
