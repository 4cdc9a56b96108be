"""
Where one process stands in the slots of its plan.

Slots are played one after the other, and no process is ahead of another: each says when all of a slot that it had in
its hands is over (it has reached a point), and whoever watches over all of them says when the next one begins.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import gevent.event

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.slots import Slot

NONE: Final = -1


class Course:
    """
    The slots of a run as one process plays them.

    Args:
        slots: In order of playing.
        hold: Behind the last slot the load stays on until all that was to be measured is over everywhere.

    Attributes:
        slot: The one at hand; None before the first, between two, and after the last.
        start_ns: Where it began on the run's axis.
        offered: All that the slot at hand plans has been offered by this process.
        over: Nothing more is to be played.
        on_reached: Called with a slot's number when all of it that was here is over; somebody answers with `go`.
    """

    def __init__(self, slots: list[Slot], *, hold: bool) -> None:
        self.slots = slots
        self.slot: Slot | None = None
        self.start_ns = 0
        self.offered = self.over = False
        self.on_reached: Callable[[int], None] = lambda _point: None
        self._hold = hold
        self._told = NONE
        self._played_ns: Counter[tuple[int, ...]] = Counter()  # by who plays, where slots have no length of their own
        self._changed = gevent.event.Event()

    def go(self, number: int, start_ns: int) -> None:
        """The slot of this number begins at this moment of the run; behind the last one, all is over."""
        if self.over or number >= len(self.slots):
            self.end()
            return
        if number and self.slots[number - 1].length_ns is None:
            self._played_ns[self.slots[number - 1].arms] += start_ns - self.start_ns
        self.slot, self.start_ns = self.slots[number], start_ns
        self.offered = False
        self._announce()

    def end(self) -> None:
        """Nothing more is to be played."""
        self.slot, self.over = None, True
        self._announce()

    def wait(self, timeout_s: float | None = None) -> None:
        """Let this greenlet sleep until another slot begins, or all is over."""
        self._changed.wait(timeout_s)

    def _announce(self) -> None:
        self._changed.set()
        self._changed = gevent.event.Event()

    @property
    def is_last(self) -> bool:
        """No other slot follows the one at hand."""
        return self.slot is None or self.slot.number + 1 == len(self.slots)

    @property
    def is_final(self) -> bool:
        """Nothing follows the slot at hand, neither another one nor a tail."""
        return self.is_last and not self._hold

    def axis_ns(self, at_ns: int) -> int:
        """A moment of the run on the schedule's own axis."""
        slot = self.slot
        if slot is None:
            return at_ns
        first_ns = self._played_ns[slot.arms] if slot.length_ns is None else slot.first_ns
        return at_ns - self.start_ns + first_ns

    def takes(self, slot: Slot) -> bool:
        """Closed loop: a user may ask something in this slot."""
        return self.slot is slot and (self.is_last or not self.offered)

    def settle(self, measured: int) -> None:
        """
        Look whether the slot at hand is over here, and say so, once.

        Args:
            measured: Requests of it under way that count; those of the tail don't.
        """
        slot = self.slot
        if slot is None or not self.offered or measured or slot.number <= self._told:
            return
        self._told = slot.number
        if not self.is_last:
            self.slot = None
        self.on_reached(slot.number)
