"""
What is due when: a heap, and beside it a queue for what comes in order by itself.

Streams with one constant gap do: the one that was written first is due again first, so that a write costs the queue's
two ends and not the heap's logarithm. Whatever would come out of order goes to the heap; what is popped is always in
order of its moment.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadtests.mock.connection import Delivery


class Due:
    """Deliveries by the moment of their next write, in monotonic nanoseconds."""

    __slots__ = ("_heap", "_order", "_queue")

    def __init__(self) -> None:
        self._queue: deque[tuple[int, Delivery]] = deque()
        self._heap: list[tuple[int, int, Delivery]] = []
        self._order = count()

    def begin(self, at_ns: int, delivery: Delivery) -> None:
        """Add one whose first write this is: how far ahead that is depends on the request."""
        heappush(self._heap, (at_ns, next(self._order), delivery))

    def go_on(self, at_ns: int, delivery: Delivery) -> None:
        """Add one that has just been written."""
        queue = self._queue
        if queue and at_ns < queue[-1][0]:
            heappush(self._heap, (at_ns, next(self._order), delivery))
        else:
            queue.append((at_ns, delivery))

    def pop(self, now_ns: int) -> Delivery | None:
        """The one that is due first, if it is due by now."""
        queue, heap = self._queue, self._heap
        if queue and not (heap and heap[0][0] < queue[0][0]):
            return queue.popleft()[1] if queue[0][0] <= now_ns else None
        return heappop(heap)[2] if heap and heap[0][0] <= now_ns else None

    def first_ns(self) -> int | None:
        """When something is due first; None while nothing is."""
        moments = [entry[0][0] for entry in (self._queue, self._heap) if entry]
        return min(moments, default=None)

    def clear(self) -> None:
        """Forget all."""
        self._queue.clear()
        self._heap.clear()
