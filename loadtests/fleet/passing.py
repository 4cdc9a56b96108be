"""What one worker says and all must know: a provider's pause, the end of a slot, a reason to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadtests.fleet import Fleet
    from loadtests.stop import Stop


class Passing:
    """
    Passes on what is new.

    Args:
        fleet: Listened to by somebody else.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._paused: dict[str, int] = {}
        self._reached = -1
        self._stop: Stop | None = None

    def look(self) -> None:
        """Tell all what one has said since the last look."""
        fleet = self._fleet
        for arm, until_ns in fleet.paused_until_ns().items():
            if until_ns > self._paused.get(arm, -1):
                self._paused[arm] = until_ns
                fleet.pause(arm, until_ns)
        if fleet.reached() > self._reached:
            self._reached = fleet.reached()
            fleet.go(self._reached + 1)
        if self._stop is None and (stop := fleet.stopping() or fleet.dead_end()):
            self._stop = stop
            fleet.stop(stop)
