"""
What a master says to those who make its load, done: the same words for a process of ours and for a Locust worker.

They may have come over a network, late, or from another version: what makes no sense here is left alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loadtests import clock
from loadtests.shards import Deal
from loadtests.stop import Stop

if TYPE_CHECKING:
    from loadtests.engine import Engine


def obey(engine: Engine, command: dict[str, Any]) -> None:
    """
    Do what a command says.

    Not a second start, nothing of a run's course before its start (which tells how far it has come), no pause for an
    arm that the plan does not have, and nothing for a word that nobody knows.
    """
    match command:
        case {"do": "start", "zero_ns": zero_ns, "slot": slot, "start_ns": start_ns, "deals": deals}:
            if not engine.began:
                engine.shards.deals[:] = map(Deal.from_json, deals)
                engine.begin(zero_ns, slot, start_ns, command.get("live") or ())
        case {"do": "stop", "stop": stop}:
            engine.stop(Stop(*stop))
        case {"do": "until", "at_ns": at_ns}:
            engine.until_ns = at_ns
        case {"do": "end"}:
            engine.exhausted()
        case {"do": "cancel", "flag": flag}:
            engine.cancel(flag)
        case {"do": "pause", "arm": arm, "until_ns": until_ns} if arm in engine.conducts:
            engine.conducts[arm].pause(until_ns)
        case {"do": "go", "slot": slot, "start_ns": start_ns} if engine.began:
            engine.go(slot, start_ns)
        case {"do": "deal", "deal": deal, "live": live} if engine.began:
            engine.deal(Deal.from_json(deal), live)


def look(engine: Engine) -> None:
    """Offer no more where nobody has said for too long that this worker is counted on: others may go on for it."""
    if engine.until_ns is not None and clock.monotonic_ns() > engine.until_ns:
        engine.stop(Stop("orphaned", "nothing heard of the master"))
