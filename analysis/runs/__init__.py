"""
The front door for notebooks: a run with its rows as a DataFrame, its numbers, and its charts a line each.

    from analysis.runs import load

    run = load("results/latest")
    run.requests[["ttft_s", "latency_s"]].describe()
    run.chart("ttft")

Nothing is computed in a way of its own here: numbers and charts are those of `firsttoken summary`, `report` and
`compare`. Importing it loads pandas, but no matplotlib before the first chart.

    loaded     a run, and how it is read
    drawing    a chart as notebooks show and files keep it
    frames     numbers as DataFrames
    comparing  two sides beside each other
"""

from analysis.rundir import RunError
from analysis.runs.comparing import compare
from analysis.runs.loaded import LoadedRun, load, load_all

__all__ = ["LoadedRun", "RunError", "compare", "load", "load_all"]
