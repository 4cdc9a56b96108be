"""
The master's book of a budget over many machines: what of the caps is leased to whom, and what is free. Pure.

A machine spends only what was leased to it before, so that no cap is ever exceeded, whatever is lost or late on the
way. Both sides tell each other sums since the start and never differences: a message that got lost is healed by the
next one, and one that comes twice does nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from loadtests.tally import Caps, Spend

if TYPE_CHECKING:
    from collections.abc import Sequence


class Told(NamedTuple):
    """
    What a machine says of its lease.

    Attributes:
        seen: All that it knows to have been granted.
        returned: All that it ever gave back.
        under_way: Requests that have reserved and are not over, or are just about to.
        want: What it would like to have; zeros, or less than the fair share, where that is enough.
        short: What it lacks for a request that waits; zeros where none does.
    """

    seen: Spend
    returned: Spend
    under_way: int
    want: Spend = Spend()
    short: Spend = Spend()

    def to_json(self) -> list[Any]:
        """As plain lists and numbers."""
        return [list(value) if isinstance(value, Spend) else value for value in self]

    @classmethod
    def from_json(cls, value: Sequence[Any]) -> Told:
        """From `to_json`."""
        seen, returned, under_way, want, short = value
        return cls(Spend(*seen), Spend(*returned), under_way, Spend(*want), Spend(*short))


class Answer(NamedTuple):
    """
    What a machine that asked gets.

    Attributes:
        grant: All that was ever granted to it, with what it gets now.
        recall: Which workers are to give back what they have not spent, before it can have more.
        spent: Which cap is reached, for people; "" where none is.
    """

    grant: Spend
    recall: tuple[int, ...] = ()
    spent: str = ""


@dataclass(slots=True)
class _Account:
    """One worker's lease; `drained`: all of it is settled, and nothing was granted since."""

    granted: Spend = field(default_factory=Spend)
    returned: Spend = field(default_factory=Spend)
    drained: bool = True

    @property
    def leased(self) -> Spend:
        return self.granted.plus(self.returned, -1)


class Ledger:
    """
    The caps of a plan, and who may spend how much of them.

    Args:
        caps: Of the plan; at least one.
        workers: As many as are expected; a fair share takes those into account that have not asked yet.
    """

    def __init__(self, caps: Caps, workers: int = 1) -> None:
        self._caps = caps
        self._workers = workers
        self._accounts: dict[int, _Account] = {}
        self._settled = Spend()
        self._lost = Spend()

    @property
    def free(self) -> Spend:
        """What nobody has; 0 for counts without a cap, and where more was taken than reserved."""
        taken = self._settled.plus(self._lost)
        for account in self._accounts.values():
            taken = taken.plus(account.leased)
        return self._caps.only(self._caps.all().plus(taken, -1)).at_least(Spend())

    def ask(self, worker: int, told: Told) -> Answer:
        """
        A machine asks for more.

        It gets what it wants as far as that is free, or its fair share where that is more: what is free, divided by
        twice the workers. Where its next request waits and finds no room, it gets nothing until the others have given
        back what they have not spent; once all is spent, and nothing under way could turn out cheaper, that is said.
        """
        account = self._hear(worker, told)
        if told.seen != account.granted:
            return Answer(account.granted)  # the last grant is on its way or was lost; or it is another life's
        free = self.free
        if not self._caps.beyond(told.short, free):
            share = free.share(1, 2 * max(self._workers, len(self._accounts)))
            part = told.want.at_least(told.short).at_least(share).at_most(free)
            account.granted = account.granted.plus(part)
            account.drained = account.drained and part == Spend()
            return Answer(account.granted)
        recall = tuple(number for number, other in self._accounts.items() if number != worker and not other.drained)
        waits = bool(recall) or told.under_way > 0
        return Answer(account.granted, recall, "" if waits else self._spent(told.short, free))

    def returned(self, worker: int, told: Told) -> None:
        """A machine has given back what it had not spent; what it has under way may turn out cheaper still."""
        account = self._hear(worker, told)
        account.drained = told.seen == account.granted and told.under_way == 0

    def lost(self, worker: int) -> None:
        """Nothing more is heard of a worker: what was leased to it counts as spent, since it may have sent it."""
        self._lost = self._lost.plus(self._accounts.pop(worker, _Account()).leased)

    def done(self, worker: int, settled: Spend) -> None:
        """A worker has ended in good order and taken no more than this: the rest of its lease is free."""
        if self._accounts.pop(worker, None) is not None:
            self._settled = self._settled.plus(settled)

    def _hear(self, worker: int, told: Told) -> _Account:
        account = self._accounts.setdefault(worker, _Account())
        if told.seen == told.seen.at_most(account.granted):  # else it speaks of a life that was lost
            account.returned = account.returned.at_least(told.returned)
        return account

    def _spent(self, short: Spend, free: Spend) -> str:
        caps = self._caps.all()
        option, value, cap = self._caps.beyond(caps.plus(free, -1).plus(short), caps)[0]
        text = f"{option} {cap:g} is spent: the next request may take it to {value:,.6g}"
        lost = any(self._lost)
        return f"{text} (what was leased to lost workers counts as spent)" if lost else text
