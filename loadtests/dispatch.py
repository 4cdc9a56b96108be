"""
Open loop: every arrival of the schedule goes out on time, however many are in flight.

One greenlet walks this worker's shard of the schedule; it makes the next requests' bytes while it would only wait, and
sleeps on the receiver's timer. A late arrival is sent at once and keeps its scheduled moment; one inside a pause that
the provider asked for is not sent later in a burst but recorded as unsent.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import gevent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loadtests.engine import Engine
    from loadtests.send import Arrival

AHEAD: Final = 64
"""Requests prepared ahead of their moment, at most."""

SLACK_NS: Final = 3_000_000
"""Closer than this to the next arrival nothing is prepared."""


def offer(engine: Engine, deliver: Callable[[Arrival], object]) -> None:
    """
    Offer this worker's shard of an open-loop plan.

    Args:
        engine: Begun.
        deliver: Sends an arrival; called in a greenlet of its own for each.
    """
    try:
        _offer(engine, deliver)
    finally:
        engine.exhausted()  # a flaw of ours must not leave a run that never ends


def _offer(engine: Engine, deliver: Callable[[Arrival], object]) -> None:
    receiver = engine.receiver
    arrivals = _arrivals(engine)
    ready: deque[Arrival] = deque()
    while engine.offering:
        arrival = ready.popleft() if ready else next(arrivals, None)
        if arrival is None:
            break
        while len(ready) < AHEAD and receiver.now_ns() < arrival.scheduled_ns - SLACK_NS:
            following = next(arrivals, None)
            if following is None:
                break
            ready.append(following)
            gevent.sleep(0)
        receiver.sleep_until(arrival.scheduled_ns - engine.sender.lead_ns)
        if not engine.offering:
            break
        engine.last_due_ns = arrival.scheduled_ns
        if arrival.scheduled_ns < engine.conduct.paused_until_ns:
            engine.withhold(arrival, "paused")
        elif not engine.admit(arrival):
            engine.withhold(arrival, "budget")
        else:
            engine.launch(deliver, arrival)


def _arrivals(engine: Engine) -> Iterator[Arrival]:
    schedule = engine.schedule
    assert schedule is not None, "a closed loop has no schedule to offer"
    for seq in schedule.shard(engine.worker, engine.plan.workers):
        yield engine.prepare(int(seq), int(schedule.offsets_ns[seq]))
