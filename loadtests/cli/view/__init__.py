"""
What a person sees while a run is on: a panel on a terminal, a line each ten seconds anywhere else.

Drawn by the parent process, which offers no load; the figures are what the workers last said.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from loadtests.cli.exposing import Beside
from loadtests.cli.view.plain import Lines
from loadtests.standing import Following

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from loadtests.exposed import Endpoint
    from loadtests.rundir import Setup
    from loadtests.watch import View

__all__ = ["draws", "headline", "view_for"]


def view_for(setup: Setup, endpoint: Endpoint | None = None) -> View:
    """
    A panel on a terminal that can draw one, else plain lines; both on stderr, so that stdout stays the result's.

    Args:
        setup: Of the run.
        endpoint: Is told of it, too.
    """
    from rich.console import Console

    from loadtests.cli.view.panel import Panel

    console, following = Console(stderr=True), Following(setup.plan)
    view: View
    if draws(console, os.environ):
        view = Panel(setup.plan, headline(setup), following, console)
    else:
        view = Lines(setup.plan, headline(setup), following)
    return view if endpoint is None else Beside(view, endpoint, setup, following)


def draws(console: Console, environ: Mapping[str, str]) -> bool:
    """Whether something that is redrawn in place is of use there: a terminal, not dumb, and not a log of CI."""
    is_log = environ.get("CI", "").lower() not in {"", "0", "false"}
    blocks = console.encoding.lower().replace("-", "").startswith("utf")
    return console.is_terminal and not console.is_dumb_terminal and not is_log and blocks


def headline(setup: Setup) -> str:
    """What is being done, in one line."""
    from loadtests.forecast import load_phrase

    plan = setup.plan
    whom = " | ".join(
        f"{profile.name if arm.name == 'default' else arm.name} · {arm.model}"
        for arm, profile in zip(plan.arms, setup.profiles, strict=True)
    )
    return f"{whom} · {load_phrase(plan)}, {plan.streamed:.0%} streaming · seed {plan.seed}"
