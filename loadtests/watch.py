"""A run while it is on, in the parent process: what is shown, what is passed on, and what stops it early."""

from __future__ import annotations

import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol, Self

from loadtests import clock
from loadtests.fleet.passing import Passing
from loadtests.hopeless import Curtailment
from loadtests.stop import Stop

if TYPE_CHECKING:
    from types import FrameType

    from loadtests.fleet import Fleet
    from loadtests.plan import Plan

GRACE_S: Final = 5.0
"""How long requests in flight may go on after a stop that somebody asked for."""

KILL_S: Final = 10.0
"""How long after a cancel a worker may take to end."""

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FAR_NS: Final = 1 << 62
INTERRUPT: Final = Stop("interrupt", "stopped by Ctrl-C or a signal; what was recorded is kept")


class View(Protocol):
    """Who is shown how a run goes; entered before it and left after it."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...

    def update(self, fleet: Fleet, elapsed_s: float) -> None:
        """A few times a second."""

    def say(self, text: str) -> None:
        """One line for people."""


class StoppedError(Exception):
    """Somebody stopped a run before its first request: there is nothing to finish."""


class Interrupts:
    """
    Counts Ctrl-C (and TERM and HUP), instead of raising in the middle of things.

    Attributes:
        count: How many while the load was on.
        over: The load is over, and the run is judged: one more changes nothing of that, two end it.
    """

    def __init__(self) -> None:
        self.count = self._late = 0
        self.over = False

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._take) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def check(self) -> None:
        """
        Before the first request.

        Raises:
            StoppedError: Somebody has stopped the run.
        """
        if self.count:
            raise StoppedError("stopped before the first request; nothing was sent")

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        self.count += not self.over
        self._late += self.over
        if self._late > 1:
            raise KeyboardInterrupt


def watch(fleet: Fleet, view: View, interrupts: Interrupts, plan: Plan) -> None:
    """Show the run and pass on what stops it, a limit of its plan among that, until every worker is over."""
    stopping, passing, curtailment = Stopping(fleet, view, interrupts), Passing(fleet), Curtailment(fleet, plan)
    while not fleet.done:
        fleet.listen(0.1)
        with suppress(OSError):  # whoever looked on may have gone
            view.update(fleet, fleet.elapsed_s())
        passing.look()
        curtailment.look()
        stopping.look(clock.monotonic_ns())
    fleet.listen(0)
    with suppress(OSError):
        view.update(fleet, fleet.elapsed_s())


class Stopping:
    """What stops a run early from outside: somebody's Ctrl-C, each time harder."""

    def __init__(self, fleet: Fleet, view: View, interrupts: Interrupts) -> None:
        self._fleet, self._view, self._interrupts = fleet, view, interrupts
        self._heard = 0
        self._cancel_at = self._kill_at = FAR_NS

    def look(self, now_ns: int) -> None:
        """Do what is due."""
        if self._interrupts.count > self._heard:
            self._heard = self._interrupts.count
            self._interrupted(now_ns)
        if now_ns >= self._kill_at:
            self._kill_at = FAR_NS
            self._fleet.kill()
        elif now_ns >= self._cancel_at:
            self._cancel_at, self._kill_at = FAR_NS, now_ns + int(KILL_S * 1e9)
            self._fleet.cancel("user_cancel")

    def _interrupted(self, now_ns: int) -> None:
        """Once: finish what is in flight; twice: cancel it; thrice: end the workers as they are."""
        if self._heard == 1:
            with suppress(OSError):
                self._view.say(f"stopping: requests in flight have {GRACE_S:g} s; Ctrl-C again to cancel them")
            self._fleet.stop(INTERRUPT)
            self._cancel_at = now_ns + int(GRACE_S * 1e9)
        elif self._heard == 2:
            self._cancel_at = now_ns
        else:
            self._kill_at = now_ns
