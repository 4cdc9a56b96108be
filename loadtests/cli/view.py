"""
What a person sees while a run is on: one panel on a terminal, a line each ten seconds anywhere else.

Drawn by the parent process, which offers no load; the figures are what the workers last said.
"""

from __future__ import annotations

import sys
from bisect import insort
from typing import TYPE_CHECKING, Final, Self

from loadtests.fleet import total

if TYPE_CHECKING:
    from rich.console import Group

    from loadtests.fleet import Fleet, Member
    from loadtests.rundir import Setup
    from loadtests.watch import View

QUIET_EVERY_S: Final = 10.0
DRAW_EVERY_S: Final = 0.25
WIDE: Final = 110
"""Columns of a terminal from which on the figures fit one line."""

KEEP: Final = 20_000
"""Times to first token kept for the live percentiles, at most; halved when there are more."""


def view_for(setup: Setup) -> View:
    """A panel on a terminal that can draw one, else plain lines; both on stderr, so that stdout stays the result's."""
    from rich.console import Console

    console = Console(stderr=True)
    return Panel(setup, console) if console.is_terminal and not console.is_dumb_terminal else Lines(setup)


class Figures:
    """The fleet's statuses as the figures that are shown."""

    def __init__(self) -> None:
        self._ttft_ms: list[float] = []
        self._seen: dict[int, float] = {}
        self._last: tuple[float, int] = (0.0, 0)
        self.tokens_per_s = 0.0

    def take(self, fleet: Fleet, elapsed_s: float) -> None:
        """Take in what is new."""
        for member in fleet.members:
            self._take_sample(member)
        tokens = total(fleet.members, "output_tokens")
        at_s, before = self._last
        if elapsed_s - at_s >= 2:
            self.tokens_per_s = (tokens - before) / (elapsed_s - at_s)
            self._last = (elapsed_s, tokens)
        elif at_s == 0 and elapsed_s > 0:
            self.tokens_per_s = tokens / elapsed_s

    def _take_sample(self, member: Member) -> None:
        at_s = member.status.get("t_s", 0.0)
        if self._seen.get(member.number) == at_s:
            return
        self._seen[member.number] = at_s
        for value in member.status.get("ttft_us", ()):
            insort(self._ttft_ms, value / 1000)
        if len(self._ttft_ms) > KEEP:
            self._ttft_ms = self._ttft_ms[::2]

    def ttft(self, p: float) -> str:
        """A percentile of the times to first token so far, in ms."""
        values = self._ttft_ms
        return f"{values[min(len(values) - 1, int(p * len(values)))]:.0f} ms" if values else "-"

    def line(self, fleet: Fleet, elapsed_s: float) -> list[tuple[str, str]]:
        """Label and figure, in the order a person reads them."""
        members = fleet.members
        kinds: dict[str, int] = {}
        for member in members:
            for kind, n in member.status.get("kinds", {}).items():
                kinds[kind] = kinds.get(kind, 0) + n
        errors = total(members, "errors")
        said = f" ({', '.join(f'{kind} {n}' for kind, n in sorted(kinds.items()))})" if kinds else ""
        done = total(members, "ok") + errors + total(members, "cancelled")
        return [
            ("elapsed", f"{elapsed_s:.0f} s"),
            ("in flight", str(total(members, "in_flight"))),
            ("done", str(done)),
            ("errors", f"{errors}{said}"),
            ("TTFT p50", self.ttft(0.5)),
            ("p95", self.ttft(0.95)),
            ("tokens/s", f"{self.tokens_per_s:.0f}"),
        ]


def headline(setup: Setup) -> str:
    """What is being done, in one line."""
    from loadtests.forecast import load_phrase

    plan = setup.plan
    whom = " | ".join(
        f"{profile.name if arm.name == 'default' else arm.name} · {arm.model}"
        for arm, profile in zip(plan.arms, setup.profiles, strict=True)
    )
    return f"{whom} · {load_phrase(plan)}, {plan.streamed:.0%} streaming · seed {plan.seed}"


class Lines:
    """Plain lines, for a pipe, a log or a dumb terminal."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._figures = Figures()
        self._next_s = QUIET_EVERY_S

    def __enter__(self) -> Self:
        self.say(headline(self._setup))
        return self

    def __exit__(self, *_: object) -> None:
        return

    def update(self, fleet: Fleet, elapsed_s: float) -> None:
        """A line each ten seconds."""
        self._figures.take(fleet, elapsed_s)
        if elapsed_s >= self._next_s:
            self._next_s += QUIET_EVERY_S
            self.say(" · ".join(f"{label} {figure}" for label, figure in self._figures.line(fleet, elapsed_s)))

    def say(self, text: str) -> None:
        """One line."""
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


class Panel:
    """A progress bar with the figures beside it, redrawn in place."""

    def __init__(self, setup: Setup, console: object) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.progress import BarColumn, Progress, TextColumn

        assert isinstance(console, Console)
        self._setup = setup
        self._figures, self._way = Figures(), Way(setup)
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(40), TextColumn("{task.percentage:>3.0f} %")
        )
        self._task = self._progress.add_task("starting", total=1.0)
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._console = console
        self._next_s = 0.0

    def __enter__(self) -> Self:
        self._console.print(f"[bold]{headline(self._setup)}[/bold]", highlight=False)
        self._live.start()
        self._live.update(self._progress, refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def update(self, fleet: Fleet, elapsed_s: float) -> None:
        """Redraw, four times a second at most."""
        self._figures.take(fleet, elapsed_s)
        if elapsed_s >= self._next_s:
            self._next_s = elapsed_s + DRAW_EVERY_S
            self._progress.update(
                self._task, description=self._way.word(fleet, elapsed_s), completed=self._way.share(fleet, elapsed_s)
            )
            self._live.update(self._drawn(fleet, elapsed_s), refresh=True)

    def say(self, text: str) -> None:
        """One line above the panel."""
        self._console.print(text, highlight=False)

    def _drawn(self, fleet: Fleet, elapsed_s: float) -> Group:
        from rich.console import Group
        from rich.text import Text

        figures = self._figures.line(fleet, elapsed_s)
        words = [f"[dim]{label}[/dim] [bold]{figure}[/bold]" for label, figure in figures]
        lines = [words] if self._console.width >= WIDE else [words[:4], words[4:]]
        return Group(self._progress, *(Text.from_markup("   ".join(line)) for line in lines))


class Way:
    """How far a run has come, and where it is."""

    def __init__(self, setup: Setup) -> None:
        from loadtests.slots import slots

        plan = setup.plan
        self._plan = plan
        schedule = plan.open_schedule() if plan.mode == "open" else None
        self._slots = slots(plan, schedule)
        sides = len(plan.arms)
        self._requests = plan.requests if schedule is None else schedule.requests
        self._requests = self._requests and self._requests * sides
        by_turns = sides if plan.interleaved else 1
        length_s = plan.closed_schedule().duration_s if schedule is None else schedule.length_s
        self._length_s = length_s and length_s * by_turns

    def share(self, fleet: Fleet, elapsed_s: float) -> float:
        """0 to 1, by what there is of requests and time."""
        if self._plan.mode == "open":
            return min(1.0, total(fleet.members, "issued") / (self._requests or 1))
        by_time = elapsed_s / self._length_s if self._length_s else 0.0
        by_count = total(fleet.members, "issued") / self._requests if self._requests else 0.0
        return min(1.0, max(by_time, by_count))

    def word(self, fleet: Fleet, elapsed_s: float) -> str:
        """What is going on: which arm plays, or that the last answers are waited for."""
        at: list[int] = [one.status["slot"] for one in fleet.members if one.status.get("slot") is not None]
        if self._plan.interleaved:
            if not at:
                return "draining"
            slot = self._slots[min(at)]
            return f"{self._plan.arms[slot.arms[0]].name}, block {(slot.block or 0) + 1} of {self._plan.blocks}"
        return "draining" if self._length_s and elapsed_s > self._length_s else "running"
