"""
The workers of a run, wherever they are, as their master sees them: one start, one word for all, and what each said.

Processes of this machine (`here`) and of others (`hub`) are spoken to alike. What a lost worker had goes to the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from loadtests import clock
from loadtests.fleet.dealer import Dealer
from loadtests.fleet.here import Here
from loadtests.fleet.member import FleetError, Member, total
from loadtests.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loadtests.plan import Plan

__all__ = ["START_NS", "Crew", "Fleet", "FleetError", "Here", "Member", "total"]

READY_S: Final = 60.0
LEAD_NS: Final = 50_000_000
"""Between a command that begins something and that moment, so that every worker has heard it."""

START_NS: Final = 300_000_000
"""The same for the start of a run: the first requests, a burst perhaps, are made in the meantime."""

FENCE_NS: Final = 10_000_000_000
"""What is taken from a worker that lives is taken from so far ahead: until then it has heard of it, or has stopped."""


class Crew(Protocol):
    """How some kind of workers is spoken to; `members` grows where somebody joins late."""

    members: list[Member]

    def tell(self, member: Member, command: dict[str, Any]) -> None:
        """Say something to one of them; harmless where it has ended."""

    def listen(self, timeout_s: float) -> None:
        """Take in what they say within this time, and who has ended."""

    def came(self) -> int:
        """How many there are so far, ready or not."""

    def late_ns(self) -> int:
        """How long a command may take to be heard, at most about."""

    def settled(self) -> bool:
        """Whether all that can come of their rows is here."""

    def kill(self) -> None:
        """End them at once; what they had flushed stays."""

    def close(self) -> None:
        """End what still runs, politely first."""


class Fleet:
    """
    All workers of a run.

    Args:
        plan: Of the run.
        parts: Where its inputs are.
        crew: The workers.

    Attributes:
        parts: The same.
        zero_ns: The run's start on the monotonic clock; set before `start`.
        slot: The number of the slot at hand.
    """

    def __init__(self, plan: Plan, parts: Path, crew: Crew) -> None:
        self.zero_ns = clock.monotonic_ns()
        self._crew, self.parts = crew, parts
        self._plan, self._planned = plan, plan.workers
        self._dealer = Dealer(plan, parts)
        self.slot, self._slot_ns = 0, 0
        self._began = self._ending = False
        self._paused: dict[str, int] = {}
        self.on_change: Callable[[], None] = lambda: None

    @property
    def members(self) -> list[Member]:
        """By their number."""
        return self._crew.members

    # From the start to the end.

    def wait_ready(self, stop: Callable[[], bool], within_s: float = READY_S) -> None:
        """
        Wait until every worker has come, has read its plan and could start, or until `stop` says so.

        Raises:
            FleetError: One of them ended instead, or took too long.
        """
        until = clock.monotonic_ns() + int(within_s * 1e9)
        while not stop() and not self.ready():
            self.listen(0.1)
            if clock.monotonic_ns() > until:
                raise FleetError(self._too_few(within_s))

    def _too_few(self, within_s: float) -> str:
        """Who did not come, or came and could not start."""
        came, ready = self._crew.came(), sum(member.ready for member in self.members)
        if came < self._planned:
            return f"{came} of {self._planned} workers have joined within {within_s:g} s"
        return f"{ready} of {self._planned} workers were ready within {within_s:g} s"

    def ready(self) -> bool:
        """
        Whether all planned workers have read their plan and could start.

        Raises:
            FleetError: One of them ended instead.
        """
        for member in self.members:
            if member.gone:
                raise FleetError(f"{member.name}: {member.gone}" if member.where else member.gone)
        return sum(member.ready for member in self.members) >= self._planned

    def lead_ns(self) -> int:
        """From now to a start that all of them have heard of by then."""
        return START_NS + self._crew.late_ns()

    def start(self) -> None:
        """Begin at `zero_ns`."""
        self._began = True
        for member in self.members:
            member.started = True
        for member in self.members:
            self._start(member)

    def _start(self, member: Member) -> None:
        """Say when the run began, or begins, and what has become of it since."""
        member.started = True
        deals = self._dealer.shards.to_json()
        live = [one.number for one in self.members if one.plays]
        told = {"zero_ns": self.zero_ns, "slot": self.slot, "start_ns": self._slot_ns, "deals": deals, "live": live}
        self._crew.tell(member, {"do": "start", **told})

    def elapsed_s(self) -> float:
        """Seconds since the run's start, at least 0."""
        return max(0.0, (clock.monotonic_ns() - self.zero_ns) / 1e9)

    def stop(self, stop: Stop) -> None:
        """Offer no more; what is in flight goes on."""
        self._ending = True
        self._tell({"do": "stop", "stop": [*stop]})

    def end(self) -> None:
        """Offer no more, and for no reason that anybody would have to be told: the load is as long as it was."""
        self._ending = True
        self._tell({"do": "end"})

    def cancel(self, flag: str) -> None:
        """End what is in flight; each request is recorded as cancelled."""
        self._ending = True
        self._tell({"do": "cancel", "flag": flag})

    def pause(self, arm: str, until_ns: int) -> None:
        """The provider of an arm asked one worker for a pause: all of them keep it."""
        self._paused[arm] = until_ns
        self._tell({"do": "pause", "arm": arm, "until_ns": until_ns})

    def go(self, slot: int) -> None:
        """All are done with the slot before this one: it begins, or behind the last one the run is over."""
        self.slot = slot
        self._slot_ns = clock.monotonic_ns() - self.zero_ns + LEAD_NS + self._crew.late_ns()
        self._tell({"do": "go", "slot": slot, "start_ns": self._slot_ns})

    def kill(self) -> None:
        """End the workers at once; what they had flushed stays."""
        self._crew.kill()

    def _tell(self, command: dict[str, Any]) -> None:
        for member in self.members:
            if member.started:
                self._crew.tell(member, command)

    def listen(self, timeout_s: float) -> None:
        """Take in what the workers say within this time; see to who was lost, and to who has joined late."""
        self._crew.listen(timeout_s)
        if self._began:
            for member in self.members:
                if member.started and member.gone and not member.dealt:
                    self._replace(member)
                elif member.ready and not member.started and member.alive and not self._ending:
                    self._welcome(member)

    def close(self) -> None:
        """End what still runs, politely first."""
        self.cancel("run_end")
        self._crew.close()

    # Who is lost, and who comes late.

    def _heirs(self) -> tuple[int, ...]:
        """Who can take over: those who still offer; who has nothing of its own goes first."""
        able = [one.number for one in self.members if one.plays and one.reached < self.slot]
        owned = set(range(self._planned)).union(*(deal.to for deal in self._dealer.shards.deals))
        idle = [number for number in able if number not in owned]
        return tuple(idle or able)

    def _replace(self, lost: Member) -> None:
        """What a lost worker had, and nobody has sent by now, goes to the others."""
        lost.dealt = True
        now_ns = clock.monotonic_ns() - self.zero_ns
        lost.about |= {"lost_ns": now_ns, "why": lost.gone, "seen_ns": lost.seen_ns - self.zero_ns}
        heirs, later = self._heirs(), tuple(one.number for one in self.members if one.plays)
        if self._dealer.can_deal and not self._ending:
            if heirs:
                self._deal((lost.number,), heirs, now_ns + START_NS + self._crew.late_ns())
            elif later and self._dealer.has_slot(self.slot + 1):
                self._deal((lost.number,), later, None)
        self.on_change()

    def _welcome(self, member: Member) -> None:
        """Somebody joins late: it gets its part of what is to come; users of a closed loop stay where they are."""
        able = tuple(one.number for one in self.members if one.plays and one.reached < self.slot)
        if self._dealer.deals_arrivals:
            at_ns = clock.monotonic_ns() - self.zero_ns + FENCE_NS
            self._deal(able, (*able, member.number), at_ns)
        self._start(member)
        for arm, until_ns in self._paused.items():
            self._crew.tell(member, {"do": "pause", "arm": arm, "until_ns": until_ns})
        self.on_change()

    def _deal(self, of: tuple[int, ...], to: tuple[int, ...], at_ns: int | None) -> None:
        """Give what some have to others: from a moment of the run on, or from the next slot on."""
        slot, into_ns = (self.slot + 1, 0) if at_ns is None else (self.slot, at_ns - self._slot_ns)
        deal = self._dealer.deal(of, to, slot, into_ns)
        live = [one for one in self.members if one.plays]
        numbers = sorted({one.number for one in live}.union(to))
        for one in live:
            self._crew.tell(one, {"do": "deal", "deal": deal.to_json(), "live": numbers})

    def to_json(self) -> dict[str, Any]:
        """What run.json keeps of them: each worker, and who had what."""
        workers = [
            {"number": one.number, "host": one.where or None, "lost_ns": None, "why": None, **one.about}
            for one in self.members
        ]
        return {"workers": workers, "shards": self._dealer.shards.to_json()}

    # What they said.

    @property
    def done(self) -> bool:
        """Every worker is over, or gone, and what can come of its rows is here."""
        return not any(member.plays for member in self.members) and self._crew.settled()

    def stopping(self) -> Stop | None:
        """Why a worker stopped before its plan did; None where none has."""
        return next((member.stopping for member in self.members if member.stopping), None)

    def paused_until_ns(self) -> dict[str, int]:
        """By the name of an arm, the latest moment of the run up to which some worker was asked to pause."""
        latest: dict[str, int] = {}
        for member in self.members:
            for arm, until_ns in member.status.get("paused_until_ns", {}).items():
                latest[arm] = max(latest.get(arm, -1), until_ns)
        return latest

    def reached(self) -> int:
        """The last slot that all workers are done with, but those who are gone; -1 before the first."""
        return min((member.reached for member in self.members if not member.gone and member.started), default=-1)

    def lost(self) -> list[Member]:
        """The workers that ended without a word, or without their last rows."""
        return [member for member in self.members if member.gone and member.started]

    def dead_end(self) -> Stop | None:
        """Why a run cannot go on: a process here is gone, and what it had reserved of the budget is nobody's now."""
        return self.why_lost() if self._plan.has_budget and any(not one.where for one in self.lost()) else None

    def why_lost(self) -> Stop | None:
        """What a run says whose worker died; None where all live."""
        lost = self.lost()
        if not lost:
            return None
        first = lost[0]
        who = first.name if len(lost) == 1 else "workers " + ", ".join(str(one.number) for one in lost)
        rest = "nobody was left" if not any(not one.gone for one in self.members if one.started) else self._rest(first)
        how = "left" if first.gone.startswith("stopped by") else "ended unasked"
        return Stop("worker_lost", f"{who} {how}: {first.gone}; {rest}")

    def _rest(self, first: Member) -> str:
        """What became of what they had."""
        if not any(first.number in deal.of for deal in self._dealer.shards.deals):
            return "what it had left was not sent"
        at_s = first.about.get("lost_ns", 0) / 1e9
        return f"the others took over at {at_s:.1f} s"
