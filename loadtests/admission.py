"""Whether a request may be sent, as far as the run's budget goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import gevent

from loadtests.budget import FILE, WAIT, Budget
from loadtests.lease import LEASED
from loadtests.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from loadtests.arrival import Arrival
    from loadtests.plan import Plan
    from loadtests.profiles import Profile
    from loadtests.record import Record

POLL_S: Final = 0.05


class Admission:
    """
    Reserves, settles and releases what requests may spend.

    Args:
        profiles: Of the plan's arms, in their order.
        parts: The run's parts directory, where the processes of this machine count.
        offering: Whether load is still offered.
        stop: Called when a cap is reached.
    """

    def __init__(
        self, plan: Plan, profiles: Sequence[Profile], parts: Path, offering: Callable[[], bool],
        stop: Callable[[Stop], None],
    ) -> None:  # fmt: skip
        self._offering, self._stop = offering, stop
        self._budget: Budget | None = None
        if plan.has_budget:
            self._budget = Budget(plan, profiles, parts / FILE, leased=(parts / LEASED).exists())

    def admit(self, arrival: Arrival) -> bool:
        """Reserve what an arrival may spend; False where it finds no room. Where a cap is reached, the run ends."""
        if self._budget is None:
            return True
        reached = self._budget.reserve(arrival.arm, arrival.request, arrival.body_bytes)
        while reached == WAIT and arrival.user is not None and self._offering():
            gevent.sleep(POLL_S)
            reached = self._budget.reserve(arrival.arm, arrival.request, arrival.body_bytes)
        if reached and reached != WAIT:
            self._stop(Stop("budget", reached))
        return not reached

    def release(self, arrival: Arrival) -> None:
        """What an arrival that was not sent had reserved is free again."""
        if self._budget is not None:
            self._budget.release(arrival.arm, arrival.request.seq)

    def settle(self, arrival: Arrival, record: Record | None) -> None:
        """A request is over: what it took counts, instead of what it might have."""
        if self._budget is not None:
            self._budget.settle(arrival.arm, arrival.request.seq, record)

    def close(self) -> None:
        """Count no more."""
        if self._budget is not None:
            self._budget.close()
