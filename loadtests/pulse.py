"""Each second of a process: a sample of its health, and its rows to the disk."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import gevent

from loadtests.sink import DiskFullError
from loadtests.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.client import Health
    from loadtests.flight import Flight
    from loadtests.sink import Sink

SAMPLE_S: Final = 1.0


class Pulse:
    """
    Samples and flushes, once a second.

    Args:
        stop: Called when there is no room for more rows.
    """

    def __init__(self, health: Health, sink: Sink, flight: Flight, stop: Callable[[Stop], None]) -> None:
        self._health, self._sink, self._flight, self._stop = health, sink, flight, stop
        self._greenlet: Any = None

    def start(self) -> None:
        """From now on."""
        self._health.start()
        self._greenlet = gevent.spawn(self._beat)

    def end(self) -> None:
        """
        No more, but for a last sample.

        Raises:
            DiskFullError: It found no room.
        """
        self._health.stop()
        if self._greenlet is not None:
            self._greenlet.kill()
            self._sample()

    def _beat(self) -> None:
        while True:
            gevent.sleep(SAMPLE_S)
            try:
                self._sample()
                self._sink.flush()
            except DiskFullError as error:
                self._stop(Stop("disk_full", f"disk full: {error}"))
                return
            except Exception:  # noqa: BLE001 - a flaw of ours: it is shown; the rows are kept and tried again
                gevent.get_hub().handle_error(self, *sys.exc_info())
            if self._sink.full:
                self._stop(Stop("disk_full", "disk full: the last rows took the reserve"))
                return

    def _sample(self) -> None:
        flight = self._flight
        self._sink.sample(self._health.sample(in_flight=flight.in_flight, issued=flight.issued, done=flight.done))
