"""A schedule before it is played: as text on the terminal, and as an SVG beside the runs."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

import numpy as np

from analysis.charts import schedule as chart
from analysis.files import place_text
from loadtests.cli.sketch import sketch, sketch_users
from loadtests.rundir import RunError

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.charts.frame import Chart
    from loadtests.plan import Plan

FILE: Final = "schedule.svg"
WIDEST: Final = 100
UNBOUNDED_S: Final = 60.0
"""Of a closed loop that only its requests end, so much is drawn."""


def draw(plan: Plan, out: Path) -> tuple[Path, list[str]]:
    """
    Draw the schedule of a plan.

    Returns:
        The SVG's path, and the lines of the text.

    Raises:
        RunError: The picture cannot be written there.
    """
    drawn, lines = _users(plan) if plan.mode == "closed" else _arrivals(plan)
    try:
        out.mkdir(parents=True, exist_ok=True)
        return place_text(out / FILE, drawn.svg), lines
    except OSError as error:
        raise RunError(f"--out {out}: {error.strerror or error}; name a directory that can be written") from None


def _arrivals(plan: Plan) -> tuple[Chart, list[str]]:
    from loadtests.forecast import load_phrase

    made = plan.open_schedule()
    times_s = made.offsets_ns / 1e9
    footer = f"{load_phrase(plan)} · seed {plan.seed} · {made.digest()[:12]}"
    return chart.arrivals(times_s, made.planned, made.length_s, footer), sketch(
        times_s[: made.planned], made.length_s, _width()
    )


def _users(plan: Plan) -> tuple[Chart, list[str]]:
    from loadtests.forecast import load_phrase

    loop = plan.closed_schedule()
    steps = loop.steps or ((0, loop.users),)
    moments_s = np.array([at_ns for at_ns, _ in steps]) / 1e9
    counts = np.array([users for _, users in steps], dtype=np.float64)
    length_s = max(loop.duration_s or UNBOUNDED_S, float(moments_s[-1]))
    drawn = chart.users(moments_s, counts, length_s, load_phrase(plan))
    return drawn, sketch_users(steps, length_s, _width())


def _width() -> int:
    return min(shutil.get_terminal_size((WIDEST, 24)).columns, WIDEST)
