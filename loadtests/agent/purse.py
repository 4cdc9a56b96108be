"""An agent's part in a run's budget: it asks the master for more before the load runs out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from loadtests import manifest
from loadtests.budget import FILE
from loadtests.lease import LEASED, Lease, hunger
from loadtests.plan import Plan
from loadtests.tally import Spend

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.agent.place import Place

LOOK_NS: Final = 50_000_000
"""A machine that runs out between two looks waits so much longer."""


class Purse:
    """
    The lease of one machine, kept filled.

    Args:
        place: The worker's directory, whose load process counts there.
        say: Says something to the master; what gets lost is said again at the next look.
    """

    def __init__(self, place: Place, say: Callable[[dict[str, Any]], object]) -> None:
        self._plan = Plan.from_manifest(manifest.read(place.path))
        self._lease: Lease | None = None
        if self._plan.has_budget:
            (place.parts / LEASED).touch()
            self._lease = Lease(place.parts / FILE)
        self._say = say
        self._looked_ns = 0

    def look(self, now_ns: int) -> None:
        """Ask for more, where that is due."""
        if self._lease is None or now_ns - self._looked_ns < LOOK_NS:
            return
        self._looked_ns = now_ns
        if told := hunger(self._lease.counts(), self._plan):
            self._say({"kind": "ask", "told": told.to_json()})

    def hear(self, message: dict[str, Any]) -> None:
        """What the master says to it: a grant, a recall, or that all is spent."""
        if self._lease is None:
            return
        if message["kind"] == "grant":
            self._lease.grant(Spend(*message["grant"]))
            if message["spent"]:
                self._lease.end()
        else:
            self._say({"kind": "returned", "told": self._lease.give_back().to_json()})

    def settled(self) -> list[Any]:
        """What was really taken here, once all is over."""
        return [*(Spend() if self._lease is None else self._lease.counts().settled)]
