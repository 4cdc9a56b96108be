"""A panel that is redrawn in place, on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from rich.console import Group
from rich.live import Live
from rich.text import Text

from loadtests.cli.view.figures import Figures
from loadtests.cli.view.layout import drawn

if TYPE_CHECKING:
    from rich.console import Console

    from loadtests.fleet import Fleet
    from loadtests.plan import Plan
    from loadtests.standing import Following

DRAW_EVERY_S: Final = 0.25
ECHO: Final = 2
"""Columns that stay free for the ^C that a terminal shows by itself: it must not begin another line."""


class Panel:
    """
    The figures of a run, drawn four times a second at most; gone when it is over.

    Args:
        plan: Of the run.
        title: What is being done; stays above.
        following: Says how the run stands.
        console: Where it is drawn.
    """

    def __init__(self, plan: Plan, title: str, following: Following, console: Console) -> None:
        self._title, self._following, self._console = title, following, console
        self._figures = Figures(plan, following)
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._next_s = 0.0

    def __enter__(self) -> Self:
        self._console.print(Text(self._title, "bold"))
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def update(self, fleet: Fleet, elapsed_s: float) -> None:
        """Redraw, where it is time."""
        self._figures.take(self._following.at(fleet), elapsed_s)
        if elapsed_s >= self._next_s:
            self._next_s = elapsed_s + DRAW_EVERY_S
            size = self._console.size
            self._live.update(Group(*drawn(self._figures, size.width - ECHO, size.height)), refresh=True)

    def say(self, text: str) -> None:
        """One line above the panel."""
        self._console.print(Text(text))
