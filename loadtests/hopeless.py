"""
Whether a run can still keep its promises: workers count what broke a limit, the parent ends the run that cannot.

A limit says how many requests may break it. Once more of them have, the promise is broken whatever follows, so that
ending there decides nothing that the whole run would not have decided (curtailed sampling: no peeking is involved).
A failed request broke every limit that it falls under, as analysis counts it; what a person or the run's end took back
broke none. Of what is in flight counts what has had no byte of an answer within the limit.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from loadtests.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from loadtests.arrival import Arrival
    from loadtests.fleet import Fleet, Member
    from loadtests.plan import Plan
    from loadtests.record import Record

    Limit = dict[str, Any]
    Counts = dict[str, list[int]]

IN_FLIGHT: Final = "in_flight"
OF_STREAMS: Final = frozenset({"ttft_s", "tpot_s"})
TAKEN_BACK: Final = frozenset({"user_cancel", "run_end"})
MOST_LOOKED_AT: Final = 2000
"""Of what is in flight, the oldest that are looked at for each status: a millisecond of a worker's time."""


# What a plan may hold.


def at_most(most: int, column: str, limit_s: float) -> Limit:
    """
    So many requests of phase measure may fail, or have no less than the limit.

    Args:
        most: Of each arm.
        column: "ttft_s" or "tpot_s" of streams, or "latency_s".
        limit_s: Seconds.

    Raises:
        ValueError: No such column.
    """
    if column not in _AMOUNTS:
        raise ValueError(f"column {column!r} isn't one of {', '.join(sorted(_AMOUNTS))}")
    return {"column": column, "op": "<", "limit": limit_s, "most": most}


def most_in_flight(most: int) -> Limit:
    """More requests than this in flight end the run: its queue runs away."""
    return {"column": IN_FLIGHT, "most": most}


# What one request had.


def ttft_s(record: Record) -> float | None:
    """As `derive` has it of a request that asked for a stream; None without a token."""
    if record.first_token_ns is None or "not_streamed" in (record.flags or ()):
        return None
    return (record.first_token_ns - record.scheduled_ns) / 1e9


def _latency_s(record: Record) -> float | None:
    streamed = record.stream and "not_streamed" not in (record.flags or ())
    over_ns = record.last_token_ns if streamed or "streamed_unasked" in (record.flags or ()) else record.end_ns
    return None if over_ns is None or record.headers_ns is None else (over_ns - record.scheduled_ns) / 1e9


def tpot_s(record: Record) -> float | None:
    """As `derive` has it; None where there is nothing between the tokens."""
    first_ns, last_ns, chars = record.first_token_ns, record.last_token_ns, record.chunk_chars
    if first_ns is None or last_ns is None or chars is None or (record.chunks or 0) < 2 or not record.output_tokens:
        return None
    every = sum(chars)
    share = chars[0] / every if every else 0.0
    rest = record.output_tokens - max(1.0, round(share * record.output_tokens))
    return (last_ns - first_ns) / rest / 1e9 if rest > 0 and share else None


_AMOUNTS: Final[dict[str, Callable[[Record], float | None]]] = {
    "ttft_s": ttft_s, "latency_s": _latency_s, "tpot_s": tpot_s,
}  # fmt: skip


def broke(limit: Limit, record: Record) -> bool:
    """Whether a request that is over broke a limit."""
    if record.phase != "measure" or (limit["column"] in OF_STREAMS and not record.stream):
        return False
    if record.outcome != "ok":
        return record.outcome not in {"cancelled", "unsent"} or TAKEN_BACK.isdisjoint(record.flags or ())
    amount = _AMOUNTS[limit["column"]](record)
    if amount is None:
        return bool(limit["column"] != "tpot_s")  # an answer in one piece has nothing between its tokens
    return bool(amount >= limit["limit"])


class Misses:
    """
    One worker's counts since its start.

    Args:
        limits: Of the plan.
    """

    def __init__(self, limits: Sequence[Limit] = ()) -> None:
        self._limits = [limit for limit in limits if limit["column"] != IN_FLIGHT]
        self._broke: Counts = {}

    def add(self, record: Record) -> None:
        """Count a request that is over."""
        if self._limits:
            of_arm = self._broke.setdefault(record.arm, [0] * len(self._limits))
            for place, limit in enumerate(self._limits):
                of_arm[place] += broke(limit, record)

    def so_far(self, under_way: Iterable[Arrival], now_ns: int) -> Counts:
        """By arm, how many broke each limit, with those under way that can't keep it any more; the oldest first."""
        if not self._limits:
            return {}
        found = {arm: [*counts] for arm, counts in self._broke.items()}
        for arrival in islice(under_way, MOST_LOOKED_AT):
            if arrival.phase == "measure" and arrival.is_silent:
                of_arm = found.setdefault(arrival.arm, [0] * len(self._limits))
                for place, limit in enumerate(self._limits):
                    of_arm[place] += _is_late(limit, arrival, now_ns)
        return found


def _is_late(limit: Limit, arrival: Arrival, now_ns: int) -> bool:
    """Nothing of its answer is there by now; of TPOT that says nothing."""
    column = limit["column"]
    if column == "tpot_s" or (column in OF_STREAMS and not arrival.request.stream):
        return False
    return bool(now_ns - arrival.scheduled_ns > limit["limit"] * 1e9)


# The parent.


class Curtailment:
    """
    Ends a run once it is decided: nothing more is offered, and what is in flight is given up so that the server drains.

    Args:
        fleet: Listened to by somebody else.
        plan: Of the run.
    """

    def __init__(self, fleet: Fleet, plan: Plan) -> None:
        self._fleet, self._limits = fleet, plan.live_limits
        self._arms = [arm.name for arm in plan.arms]
        self._over = not plan.live_limits

    def look(self) -> None:
        """See whether it is decided by now."""
        if self._over or self._fleet.stopping() is not None:
            return
        if (stop := decided(self._limits, self._fleet.members, self._arms)) is not None:
            self._over = True
            self._fleet.stop(stop)
            self._fleet.cancel("run_end")


def decided(limits: Sequence[Limit], members: Iterable[Member], arms: Sequence[str]) -> Stop | None:
    """Why a run needs no end: a queue that runs away, or no arm that could still keep all that it promised."""
    said = [member.status for member in members]
    in_flight = sum(int(status.get(IN_FLIGHT, 0)) for status in said)
    for limit in limits:
        if limit["column"] == IN_FLIGHT and in_flight > limit["most"]:
            return Stop("decided", f"{in_flight:,} in flight, more than {limit['most']:,}: the queue is out of control")
    of_requests = [limit for limit in limits if limit["column"] != IN_FLIGHT]
    broken = [_broken(of_requests, said, arm) for arm in arms]
    return Stop("decided", "; ".join(dict.fromkeys(broken))) if broken and all(broken) else None


def _broken(limits: Sequence[Limit], said: Sequence[dict[str, Any]], arm: str) -> str:
    """The limit that an arm can't keep any more, in words; "" where it can keep all."""
    for place, limit in enumerate(limits):
        late = sum(sum(status.get("missed", {}).get(arm, ())[place : place + 1]) for status in said)
        if late > limit["most"]:
            kept = f"{limit['column']} {limit['op']} {limit['limit']:g}"
            return f"ended early: {kept} can no longer be met: {late:,} broke it, {limit['most']:,} may"
    return ""
