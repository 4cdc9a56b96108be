"""Whether a request may be sent, as far as the run's budget goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import gevent

from loadtests import clock
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
LEASE_POLL_S: Final = 0.01
LEASE_WAIT_NS: Final = 1_000_000_000


class Admission:
    """
    Reserves, settles and releases what requests may spend.

    Args:
        profiles: Of the plan's arms, in their order.
        parts: The run's parts directory, where the processes of this machine count.
        going: Whether the run goes on for a user, who may wait for room; and for an arrival that has been launched.
        stop: Called when a cap is reached.

    Attributes:
        leased: The budget is many machines', and lent to this one bit by bit: an arrival may have to wait for its part.
    """

    def __init__(
        self, plan: Plan, profiles: Sequence[Profile], parts: Path, going: Callable[[Arrival], bool],
        stop: Callable[[Stop], None],
    ) -> None:  # fmt: skip
        self._going, self._stop = going, stop
        self._budget: Budget | None = None
        self.leased = plan.has_budget and (parts / LEASED).exists()
        if plan.has_budget:
            self._budget = Budget(plan, profiles, parts / FILE, leased=self.leased)

    def admit(self, arrival: Arrival) -> bool:
        """Reserve what an arrival may spend; False where it finds no room. Where a cap is reached, the run ends."""
        if self._budget is None:
            return True
        until_ns = clock.monotonic_ns() + LEASE_WAIT_NS
        reached = self._budget.reserve(arrival.arm, arrival.request, arrival.body_bytes)
        while reached == WAIT and self._may_wait(arrival, until_ns):
            gevent.sleep(LEASE_POLL_S if arrival.user is None else POLL_S)
            reached = self._budget.reserve(arrival.arm, arrival.request, arrival.body_bytes)
        if reached and reached != WAIT:
            self._stop(Stop("budget", reached))
        return not reached

    def _may_wait(self, arrival: Arrival, until_ns: int) -> bool:
        """A user waits while the run goes on; an arrival, in a greenlet of its own, as long as a lease may take."""
        if not self._going(arrival):
            return False
        return arrival.user is not None or (self.leased and clock.monotonic_ns() < until_ns)

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
