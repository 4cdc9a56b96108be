"""What an answer means to whoever pays: all that can be said of it and of what was asked beside it, in one place."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from analysis.capacity import carried as carrying
from analysis.capacity import mix as mixes
from analysis.capacity import money
from analysis.capacity import users as people
from analysis.capacity.sizing import GROWTH, HEADROOM, Demand, Room, Sizing, SizingError, room, size

if TYPE_CHECKING:
    from analysis.capacity.answer import Answer
    from analysis.capacity.carried import Carried
    from analysis.capacity.mix import Mix
    from analysis.capacity.money import BreakEven, Rent, Tokens
    from analysis.capacity.peak import Peak
    from analysis.capacity.users import Users


UNNAMED: Final = "default"
"""The arm of a run of which nobody named any."""


@dataclass(frozen=True, slots=True)
class Asked:
    """
    What somebody wants to know beside the capacity. Rates are requests per second; None: not asked.

    Attributes:
        peak_per_s: To be carried; else that of `users`, else that of `trace`.
        trace: The peak of a trace; its mean counts where none is stated.
        users: That many at the peak, thinking `think_s` between two requests.
        mean_per_s: Over a month.
        load_per_s: Today's, of `replicas` that are there; None: the grown peak on the replicas found.
        think_s: Between two requests of a user.
        turns: Requests of a session.
        price_per_h: Of one replica, USD.
        weight: What an output token counts, in input tokens, where a bill is shared out.
        api_per_request: What another provider asks for such a request, USD, mean; its name is `api`.
    """

    peak_per_s: float | None = None
    trace: Peak | None = None
    users: float | None = None
    mean_per_s: float | None = None
    load_per_s: float | None = None
    replicas: int = 1
    growth: float = GROWTH
    headroom: float = HEADROOM
    failures: int | None = None
    think_s: float | None = None
    turns: float | None = None
    price_per_h: float | None = None
    weight: float | None = None
    api_per_request: float | None = None
    api: str = "the API"


@dataclass(frozen=True, slots=True)
class Meaning:
    """
    An answer and what follows from it; None where it was not asked, or nobody can tell.

    Attributes:
        knee_per_s: Of one replica: from where on waiting grows out of proportion.
        peak_per_s: What was sized for, before growth; `peak_of` says in words where it comes from.
        not_sized: Why a stated peak was not sized; empty where it was, or none was stated.
    """

    answer: Answer
    asked: Asked
    carried: Carried | None
    mix: Mix | None
    knee_per_s: float | None
    peak_per_s: float | None
    peak_of: str
    sizing: Sizing | None
    not_sized: str
    room: Room | None
    users: Users | None
    rent: Rent | None
    tokens: Tokens | None
    break_even: BreakEven | None

    @property
    def arm(self) -> str:
        """Its name; empty where nobody gave it one."""
        return "" if self.answer.arm == UNNAMED else self.answer.arm

    def to_json(self) -> dict[str, Any]:
        """As plain values, without the probes: those are the answer's own."""
        a = self.answer
        told = {name: getattr(a, name) for name in ("arm", "mode", "value", "lo", "hi", "limited_by", "reason")}
        parts = ("carried", "mix", "sizing", "room", "users", "rent", "tokens", "break_even")
        found = {name: None if (part := getattr(self, name)) is None else part.to_json() for name in parts}
        asked = {**asdict(self.asked), "trace": None if self.asked.trace is None else self.asked.trace.to_json()}
        peak = {"peak_per_s": self.peak_per_s, "peak_of": self.peak_of, "not_sized": self.not_sized}
        return {**told, **found, **peak, "knee_per_s": self.knee_per_s, "asked": asked}


def mean(answer: Answer, asked: Asked | None = None, knee_per_s: float | None = None) -> Meaning:
    """
    Say what an answer means.

    Args:
        answer: Of one arm.
        asked: Beside the capacity.
        knee_per_s: Of the same arm's curve, where a sweep tells one.

    Raises:
        SizingError: A number that nothing can be sized by.
    """
    asked = asked or Asked()
    carried = carrying.carried(answer)
    work = None if carried is None else mixes.mix(answer.best, carried)
    peak, peak_of = _peak(asked, work)
    month = asked.mean_per_s or (asked.trace.mean_per_s if asked.trace and asked.peak_per_s is None else None)
    sizing, not_sized = _sized(asked, carried, peak)
    tokens = money.tokens(answer.best, peak and peak * (1 + asked.growth), month)
    rent = None
    if asked.price_per_h is not None and carried is not None and work is not None:
        rent = money.rent(asked.price_per_h, carried, work, sizing, month, asked.weight)
    return Meaning(
        answer, asked, carried, work, knee_per_s, peak, peak_of, sizing, not_sized,
        room=_room(asked, carried, sizing, knee_per_s),
        users=_users(asked, carried, work),
        rent=rent,
        tokens=tokens,
        break_even=_break_even(asked, carried, sizing, rent),
    )  # fmt: skip


def _peak(asked: Asked, work: Mix | None) -> tuple[float | None, str]:
    """What has to be carried, and where that comes from."""
    if asked.peak_per_s is not None:
        return asked.peak_per_s, "as stated"
    if asked.users is not None and work is not None and work.response_s is not None:
        think_s = asked.think_s or 0.0
        rate = people.requests_per_s(asked.users, work.response_s, think_s)
        return rate, f"{asked.users:,.0f} users who wait {work.response_s:.3g} s and think for {think_s:.3g} s"
    if asked.trace is not None:
        return asked.trace.per_s, f"from the trace: {asked.trace.rule}"
    return None, ""


def _sized(asked: Asked, carried: Carried | None, peak: float | None) -> tuple[Sizing | None, str]:
    if peak is None:
        return None, "the response time is not known, so users cannot be turned into a rate" if asked.users else ""
    demand = Demand(peak, asked.growth, asked.headroom, asked.failures)
    if carried is None:
        return None, "there is no capacity to divide the peak by"
    if carried.bound == "quota":
        return None, "the limit is your quota, which more machines don't raise"
    return size(demand, carried), ""


def _room(asked: Asked, carried: Carried | None, sizing: Sizing | None, knee_per_s: float | None) -> Room | None:
    if carried is None:
        return None
    if asked.load_per_s is not None:
        return room(asked.load_per_s, carried, asked.replicas, knee_per_s)
    if sizing is not None:
        return room(sizing.demand.grown_per_s, carried, sizing.replicas, knee_per_s)
    return None


def _users(asked: Asked, carried: Carried | None, work: Mix | None) -> Users | None:
    if carried is None or work is None or work.response_s is None:
        return None
    if asked.think_s is None and asked.turns is None and asked.users is None:
        return None
    return people.users(carried.per_s, work.response_s, asked.think_s or 0.0, asked.turns)


def _break_even(asked: Asked, carried: Carried | None, sizing: Sizing | None, rent: Rent | None) -> BreakEven | None:
    if rent is None or carried is None or asked.api_per_request is None:
        return None
    if not 0 <= asked.api_per_request < math.inf:
        raise SizingError(f"{asked.api_per_request:g} USD a request isn't finite and 0 or more")
    replicas = sizing.replicas if sizing is not None else 1
    return money.break_even(rent.price_per_h, replicas, carried, asked.api_per_request)
