"""
Objectives: what a service promises its users, written as `ttft_p95<2s`, and whether a run kept it.

`words` says what can be promised, `text` reads and writes promises, `presets` holds those that others published,
`reading` gathers them from the command line and from files, `judge` holds a run against them.
"""

from __future__ import annotations

from analysis.objectives.judge import Outcome, counted, good, judge
from analysis.objectives.presets import PRESETS, Preset
from analysis.objectives.reading import is_file, read, read_table
from analysis.objectives.text import Objective, ObjectiveError, Objectives, parse

__all__ = [
    "PRESETS",
    "Objective",
    "ObjectiveError",
    "Objectives",
    "Outcome",
    "Preset",
    "counted",
    "good",
    "is_file",
    "judge",
    "parse",
    "read",
    "read_table",
]
