"""
One rung: the embedded provider as a process, our own run against it with full records, and the comparison of both.

Where the machine has two cores or more, the provider keeps one to itself and the client the others, so that neither is
measured by what the other leaves it.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from loadtests import profiles
from loadtests import run as runs
from loadtests.calibrate.figures import FiguresError, Span, compare
from loadtests.mock import process
from loadtests.plan import Plan
from loadtests.rundir import Setup

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.calibrate.ladder import Rung, Seen
    from loadtests.fleet import Fleet
    from loadtests.watch import Interrupts

START_S: Final = 1.5
"""Left out at the start, in seconds: all users begin at once."""

COUNTED_S: Final = 2.18
"""What counts after that: two answers of each stream, so that every part of an answer has its weight."""

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


def measure(rung: Rung, interrupts: Interrupts) -> Seen:
    """
    Do a rung: about six seconds.

    Args:
        rung: What to do.
        interrupts: Whoever wants it to stop.

    Raises:
        FiguresError: It left nothing to compare.
        MockError, RunError: It could not begin.
        StoppedError: Somebody stopped it.
    """
    span = Span(START_S, START_S + COUNTED_S)
    with tempfile.TemporaryDirectory(prefix="firsttoken-calibrate-") as folder, _cores() as (theirs, ours):
        truth = Path(folder) / "truth"
        with process.start(rung.play.script(), truth) as mock:
            if theirs:
                os.sched_setaffinity(mock.popen.pid, theirs)
                os.sched_setaffinity(0, ours)
            watched = _Watched(mock.popen.pid)
            result = runs.execute(_setup(rung, mock.base_url, Path(folder), span.until_s), watched, interrupts)
        interrupts.check()
        if result.finished is None or result.stop:
            raise FiguresError(f"{rung.users} users: {result.stop.text if result.stop else 'the run was not finished'}")
        return compare(rung, result.path, truth, span, watched.cpu(span))


def _setup(rung: Rung, base_url: str, out: Path, duration_s: float) -> Setup:
    """As `firsttoken run --profile vllm --base-url URL --model mock --concurrency N --duration S` makes it."""
    plan = Plan.single(
        "mock", mode="closed", concurrency=rung.users, duration_s=duration_s, salt=secrets.token_hex(4),
        stream_share=1.0 if rung.kind == "stream" else 0.0, output_tokens=rung.play.tokens, accept_errors=True,
    )  # fmt: skip
    return Setup(plan, [profiles.load("vllm").with_overrides(base_url=base_url)], out, "calibrate", ["calibrate"])


@contextmanager
def _cores() -> Iterator[tuple[set[int], set[int]]]:
    """The provider's core and ours; nobody's on a machine with one. What this process had before is given back."""
    before = os.sched_getaffinity(0)
    first, *others = sorted(before)
    try:
        yield ({first}, set(others)) if others else (set(), set())
    finally:
        os.sched_setaffinity(0, before)


class _Watched:
    """A view that shows nothing and notes the provider's CPU time, a few times a second."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._at_s: list[float] = []
        self._used_s: list[float] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def update(self, _fleet: Fleet, elapsed_s: float) -> None:
        """Note it."""
        fields = Path(f"/proc/{self._pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
        self._at_s.append(elapsed_s)
        self._used_s.append((int(fields[11]) + int(fields[12])) / TICKS_PER_S)

    def say(self, text: str) -> None:
        """Nothing: the table says it."""

    def cpu(self, span: Span) -> float:
        """Share of a core over that time."""
        used = np.interp([span.from_s, span.until_s], self._at_s, self._used_s) if self._at_s else np.zeros(2)
        return float(used[1] - used[0]) / span.length_s
