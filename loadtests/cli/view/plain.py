"""Plain lines, for a pipe, a log, or a terminal that cannot be drawn on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, Self

from loadtests import histogram
from loadtests.cli.view.figures import Figures
from loadtests.cli.view.words import errors_of, figure, milliseconds, per_s

if TYPE_CHECKING:
    from loadtests.fleet import Fleet
    from loadtests.plan import Plan
    from loadtests.standing import Following

EVERY_S: Final = 10.0


class Lines:
    """
    A line each ten seconds.

    Args:
        plan: Of the run.
        title: What is being done.
        following: Says how the run stands.
    """

    def __init__(self, plan: Plan, title: str, following: Following) -> None:
        self._title, self._following = title, following
        self._figures = Figures(plan, following)
        self._next_s = EVERY_S

    def __enter__(self) -> Self:
        self.say(self._title)
        return self

    def __exit__(self, *_: object) -> None:
        return

    def update(self, fleet: Fleet, elapsed_s: float) -> None:
        """Say how it goes, where it is time."""
        self._figures.take(self._following.at(fleet), elapsed_s)
        if elapsed_s >= self._next_s:
            self._next_s += EVERY_S
            self.say(line_of(self._figures))

    def say(self, text: str) -> None:
        """One line."""
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def line_of(figures: Figures) -> str:
    """How a run stands, in one line: rates of the last ten seconds, times of the whole run."""
    last, now, whole = figures.over(), figures.now, figures.whole
    ttft, tpot = (
        [milliseconds(histogram.quantile_s(bins, p)) for p in (0.5, 0.95)] for bins in (whole.ttft, whole.tpot)
    )
    offered = f"users {figures.users}" if figures.users is not None else f"offered {per_s(last.offered_per_s)}"
    kinds, busy = errors_of(whole), figures.busy()
    words = [
        f"{figures.elapsed_s:.0f} s",
        offered,
        f"achieved {per_s(last.achieved_per_s)}{' (behind)' if last.falls_behind else ''}",
        f"in flight {now.in_flight:,}{f' (+{now.waiting:,} waiting)' if now.waiting else ''}",
        f"ok {whole.ok:,}",
        f"errors {whole.errors:,}{kinds and f' ({kinds})'}",
        f"TTFT p50 {ttft[0]} p95 {ttft[1]} ms",
        f"TPOT p50 {tpot[0]} p95 {tpot[1]} ms",
        f"tokens/s {figure(last.tokens_per_s)}",
        f"client {f'busy: {busy}' if busy else 'fine'}",
    ]
    return " · ".join(words)
