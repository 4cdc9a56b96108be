"""
What a closed-loop user does between two answers: wait until it may ask, ask, and remember what was said.

Knows nothing of Locust; `users` has the classes that do all this again and again.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

import gevent

if TYPE_CHECKING:
    from loadtests.arrival import Arrival, Conversation
    from loadtests.engine import Engine
    from loadtests.record import Record
    from loadtests.slots import Slot
    from loadtests.workload import Request

IDLE_S: Final = 0.2
RESUME_S: Final = 1.0
"""After a pause, users come back within this time, each at its own moment."""


def take(engine: Engine, place: int) -> tuple[Slot, int] | None:
    """
    Wait until a user may ask.

    Returns:
        The slot at hand and the seq of the user's next request; None where the run offers no more.
    """
    course = engine.course
    while engine.offering:
        slot = course.slot
        if slot is None or not course.takes(slot):
            course.wait(IDLE_S)
            continue
        if (early_ns := course.start_ns - engine.receiver.now_ns()) > 0:
            gevent.sleep(early_ns / 1e9)
        rest(engine, engine.places.arm_of(place, slot))
        if not course.takes(slot) or not engine.offering:
            continue
        seq = engine.places.next_seq(place, slot, tail=course.offered)
        if seq is not None:
            return slot, seq
        if course.is_final:
            return None
        if engine.places.out(place):
            engine.offered()
        if not course.is_last:
            course.wait(IDLE_S)
    return None


def rest(engine: Engine, arm: str) -> None:
    """
    Wait while the provider asks for a pause, and a moment where nothing could even be connected.

    After a pause users come back one by one, and look again before they do. Returns early where the run offers no more.
    """
    conduct = engine.conducts[arm]
    while engine.offering:
        now_ns = engine.receiver.now_ns()
        paused = conduct.paused_until_ns > now_ns
        wait_ns = max(conduct.paused_until_ns, conduct.no_connection_until_ns) - now_ns
        if wait_ns <= 0:
            return
        gevent.sleep(min(wait_ns / 1e9, 0.1))
        if paused and conduct.paused_until_ns <= engine.receiver.now_ns():
            gevent.sleep(random.random() * RESUME_S)


def asked(engine: Engine, place: int, slot: Slot, seq: int) -> tuple[Request, Conversation | None]:
    """What the workload has a user ask next, and the conversation it belongs to, if there are any."""
    if not engine.plan.has_conversations:
        return engine.workload.request(seq), None
    talk = engine.places.talk(place, slot, seq)
    return talk.ask(engine.workload, seq), talk


def turn(engine: Engine, request: Request, place: int, slot: Slot) -> Arrival | None:
    """
    A user's request once it may go out; its moment is then, since no wait of ours is the provider's latency.

    Returns:
        None where the budget has no room for it, its slot is over, or the run offers no more.
    """
    arm, user = engine.places.arm_of(place, slot), engine.places.side(place, slot)[1]
    arrival = engine.arrivals.make(request, engine.receiver.now_ns(), arm=arm, user=user)
    if not engine.admission.admit(arrival):
        return None
    rest(engine, arm)
    if not engine.offering or not engine.course.takes(slot):
        engine.admission.release(arrival)
        return None
    engine.arrivals.place(arrival, engine.receiver.now_ns())
    return arrival


def converse(engine: Engine, arrival: Arrival, talk: Conversation | None, place: int, slot: Slot) -> Record:
    """Send a user's request, as a turn of a conversation where it is one."""
    if talk is None:
        return engine.send(arrival)
    arrival.conversation, arrival.turn, arrival.keep_text = talk, talk.turn, not talk.is_last
    record = engine.send(arrival)
    if arrival.went_well and not talk.is_last:
        talk.answered(arrival.request, arrival.text)
    else:
        engine.places.hang_up(place, slot)
    return record
