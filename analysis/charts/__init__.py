"""
The charts of a run as SVG: what the table cannot show.

Each is a function of the run and its summary that draws into a figure; this module lists them. Importing it loads
matplotlib, so only the report does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.charts import client, failures, latency, position, stalls, streams, timeline
from analysis.charts.frame import Chart, draw_one

if TYPE_CHECKING:
    from analysis.rundir import Run
    from analysis.summary import Summary

__all__ = ["ALL", "Chart", "draw"]

ALL = {
    "ttft": latency.ttft_ecdf,
    "percentiles": latency.percentiles,
    "timeline": timeline.timeline,
    "gaps": streams.gaps,
    "stalls": stalls.stalls,
    "position": position.position,
    "tokens": streams.raster,
    "prompt": latency.by_prompt,
    "failures": failures.failures,
    "client": client.client,
}


def draw(run: Run, summary: Summary) -> list[Chart]:
    """
    All charts of a run, in the order they are read.

    Args:
        run: Of one arm; some of the charts read the chunk lists of its file, a piece at a time.
        summary: Of the same run.
    """
    return [draw_one(name, chart, run, summary) for name, chart in ALL.items()]
