"""Stages of concurrency as a Locust shape: Locust starts and stops the users, looking once a second how many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from locust import LoadTestShape

if TYPE_CHECKING:
    from loadtests.schedule import Closed


class Stages(LoadTestShape):
    """Users over time as a closed loop's steps say; the test stops when they are over."""

    abstract = True  # Locust takes the first shape it finds in a locustfile: never this one by accident

    def __init__(self, loop: Closed) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Locust's
        self._loop = loop

    def tick(self) -> tuple[int, float] | None:
        """Users and how many may come or go per second: all at once; None at the end."""
        at_s = float(self.get_run_time())  # type: ignore[no-untyped-call]  # Locust's
        if self._loop.duration_s is not None and at_s >= self._loop.duration_s:
            return None
        return self._loop.at(int(at_s * 1e9)), float(self._loop.users)
