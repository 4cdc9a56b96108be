"""
What is counted against the caps of a run, and the small file in which the processes of one machine count it together.

The load processes reserve and settle in it (see `budget`); where the caps are those of a run over many machines, the
agent beside them writes into it what the master has leased to this one (see `lease`).
"""

from __future__ import annotations

import fcntl
import os
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loadtests.plan import Plan


DUST: Final = 1e-9
"""Of a cap in money: less than that is rounding, since sums of fractions are not exact."""


class Spend(NamedTuple):
    """Requests, tokens (input and output) and money in the currency of the profile's prices."""

    requests: int = 0
    tokens: int = 0
    cost: float = 0.0

    def plus(self, other: Spend, sign: int = 1) -> Spend:
        """Both together, or the difference."""
        return Spend(
            self.requests + sign * other.requests, self.tokens + sign * other.tokens, self.cost + sign * other.cost
        )

    def share(self, times: int, of: int) -> Spend:
        """So many times this, divided by so many; whole requests and tokens, rounded down."""
        return Spend(self.requests * times // of, self.tokens * times // of, self.cost * times / of)

    def at_least(self, other: Spend) -> Spend:
        """The larger of both, count by count."""
        return Spend(max(self.requests, other.requests), max(self.tokens, other.tokens), max(self.cost, other.cost))

    def at_most(self, other: Spend) -> Spend:
        """The smaller of both, count by count."""
        return Spend(min(self.requests, other.requests), min(self.tokens, other.tokens), min(self.cost, other.cost))


class Caps(NamedTuple):
    """A plan's caps; None: that count is never limiting."""

    requests: int | None = None
    tokens: int | None = None
    cost: float | None = None

    @classmethod
    def of(cls, plan: Plan) -> Caps:
        """Those of this plan."""
        return cls(plan.budget_requests, plan.budget_tokens, plan.budget_cost)

    def only(self, spend: Spend) -> Spend:
        """The counts that have a cap, and 0 for the others."""
        return Spend(
            0 if self.requests is None else spend.requests,
            0 if self.tokens is None else spend.tokens,
            0.0 if self.cost is None else spend.cost,
        )

    def all(self) -> Spend:
        """All that may be spent; 0 where there is no cap."""
        return self.only(Spend(self.requests or 0, self.tokens or 0, self.cost or 0.0))

    def beyond(self, spend: Spend, most: Spend) -> list[tuple[str, float, float]]:
        """The option, the value and the cap of each capped count that is larger than it may be; money by `DUST`."""
        found: list[tuple[str, float, float]] = []
        if self.requests is not None and spend.requests > most.requests:
            found.append(("--budget-requests", spend.requests, self.requests))
        if self.tokens is not None and spend.tokens > most.tokens:
            found.append(("--budget-tokens", spend.tokens, self.tokens))
        if self.cost is not None and spend.cost > most.cost + DUST * self.cost:
            found.append(("--budget-cost", spend.cost, self.cost))
        return found


class Counts(NamedTuple):
    """
    One machine's counts.

    Attributes:
        settled: What was taken by requests that are over.
        reserved: By requests under way, at most.
        asked: By all that ever reserved, at most.
        granted, returned: All that the master ever leased to this machine, and all that it ever gave back.
        wanted: What the last request needs that found no room; zeros once one has found it.
        final: The master has no more to give.
        lately: Requests that reserved within the last second; known to `Lease.counts` alone.
    """

    settled: Spend = Spend()
    reserved: Spend = Spend()
    asked: Spend = Spend()
    granted: Spend = Spend()
    returned: Spend = Spend()
    wanted: Spend = Spend()
    final: int = 0
    lately: int = 0

    @property
    def room(self) -> Spend:
        """What is leased and neither taken nor reserved; without meaning for a count that has no cap."""
        return self.granted.plus(self.returned, -1).plus(self.settled, -1).plus(self.reserved, -1)


_COUNTS: Final = struct.Struct("=" + 6 * "qqd" + "q")
"""All but the last of them."""


class Tally:
    """
    The file of one machine's counts, changed under a lock that dies with its holder; for one thread of a process.

    Args:
        path: Made where it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        """Give the file back."""
        os.close(self._fd)

    @contextmanager
    def held(self) -> Iterator[Counts]:
        """The counts, which nobody else changes meanwhile."""
        fcntl.lockf(self._fd, fcntl.LOCK_EX)
        try:
            raw = os.pread(self._fd, _COUNTS.size, 0)
            yield _counts(*_COUNTS.unpack(raw)) if len(raw) == _COUNTS.size else Counts()
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN)

    def write(self, counts: Counts) -> None:
        """Put these in their place; while they are held."""
        settled, reserved, asked, granted, returned, wanted, final, _ = counts
        raw = _COUNTS.pack(*settled, *reserved, *asked, *granted, *returned, *wanted, final)
        os.pwrite(self._fd, raw, 0)


def _counts(*v: Any) -> Counts:
    spends = Spend(*v[:3]), Spend(*v[3:6]), Spend(*v[6:9]), Spend(*v[9:12]), Spend(*v[12:15]), Spend(*v[15:18])
    return Counts(*spends, v[18])
