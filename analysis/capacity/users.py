"""Users and requests by Little's law: N users who each wait R and think Z ask N / (R + Z) times a second."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from analysis.capacity.sizing import SizingError

if TYPE_CHECKING:
    from analysis.capacity.figures import Figure
    from analysis.capacity.point import Point


def requests_per_s(users: float, response_s: float, think_s: float) -> float:
    """What so many users ask a second: X = N / (R + Z)."""
    if not users > 0 or response_s < 0 or think_s < 0 or response_s + think_s <= 0:
        raise SizingError(
            f"{users:g} users with {response_s:g} s of response and {think_s:g} s of thinking ask nothing"
        )
    return users / (response_s + think_s)


@dataclass(frozen=True, slots=True)
class Users:
    """
    Who stands behind a rate.

    Attributes:
        per_s: Requests per second.
        response_s: How long one is in the system, mean, at that load.
        think_s: How long a user thinks between two of them.
        users: At the keyboard: waiting or thinking.
        waiting: Of these, in the system at any moment.
        turns: Requests of one session; None: sessions are not asked about.
        sessions_per_s: That begin.
        sessions: Under way at any moment: nobody thinks after the last answer.
    """

    per_s: Figure
    response_s: float
    think_s: float
    users: Figure
    waiting: float
    turns: float | None = None
    sessions_per_s: Figure | None = None
    sessions: Figure | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def users(per_s: Figure, response_s: float, think_s: float, turns: float | None = None) -> Users:
    """
    The users, and with turns the sessions, whose requests make up a rate.

    The response time is that at the value, for the ends too.

    Raises:
        SizingError: A time below 0, or fewer than one turn.
    """
    if response_s < 0 or think_s < 0:
        raise SizingError(f"times of {response_s:g} s and {think_s:g} s aren't 0 or more")
    found = per_s.times(response_s + think_s)
    if turns is None:
        return Users(per_s, response_s, think_s, found, per_s.value * response_s)
    if turns < 1:
        raise SizingError(f"{turns:g} turns of a session aren't 1 or more")
    begun = per_s.times(1 / turns)
    under_way = begun.times(turns * response_s + (turns - 1) * think_s)
    return Users(per_s, response_s, think_s, found, per_s.value * response_s, turns, begun, under_way)


def think_of(point: Point) -> float | None:
    """How long the users of a closed loop thought, mean: Z = N / X - R; None where it is not told."""
    if point.mode != "concurrency" or not point.achieved_per_s or point.stay_s is None:
        return None
    return max(0.0, point.load / point.achieved_per_s - point.stay_s)
