"""Why a run ends before its plan does: one word for programs, one line for people."""

from __future__ import annotations

from typing import Literal, NamedTuple

Word = Literal[
    "interrupt", "refused", "throttled", "failing", "decided", "budget", "disk_full", "no_descriptors", "worker_lost",
    "orphaned",
]  # fmt: skip


class Stop(NamedTuple):
    """
    The reason of an early end.

    Attributes:
        word: "interrupt" (Ctrl-C), "refused" (401, 402, 403, 426, or the wrong model), "throttled" (429 and its like
            again and again), "failing" (most requests fail), "decided" (what it was made to find out is known),
            "budget" (spent), "disk_full", "no_descriptors", "worker_lost", or "orphaned" (the parent process is gone).
        text: The same for people, redacted.
        arm: The name of the arm whose answers it is about; "" where there is one arm, or where it is about the run.
    """

    word: Word
    text: str
    arm: str = ""
