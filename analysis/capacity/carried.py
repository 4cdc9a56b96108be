"""A capacity as requests per second of one replica, whichever way it was found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from analysis.capacity.figures import Figure, plain, told

if TYPE_CHECKING:
    from analysis.capacity.answer import Answer
    from analysis.capacity.point import Mode, Point

Bound = Literal["", "at least", "quota"]

OPEN_ABOVE: Final = {"client", "most"}
"""What ends a search below the server's own limit."""


@dataclass(frozen=True, slots=True)
class Carried:
    """
    Requests per second that one replica carries within its promises.

    Attributes:
        per_s: With the interval of the capacity.
        bound: `at least`: the search ended before the server's limit; `quota`: what the provider allows, whatever the
            server could do; empty: the server's own.
        mode: What was searched over.
        load: The capacity in the unit that it was searched in: arrivals per second, or users.
        turns: Requests of one arrival: more than 1 where conversations arrive.
    """

    per_s: Figure
    bound: Bound
    mode: Mode
    load: Figure
    turns: float = 1.0

    def shown(self, figure: Figure, *, whole: bool = False) -> str:
        """A number that rests on it: 8.1 (7.5 to 8.5); where the search ended before the limit, at least 8."""
        return f"at least {plain(figure.value, whole=whole)}" if self.bound else told(figure, whole=whole)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def carried(answer: Answer) -> Carried | None:
    """
    What an answer means in requests per second.

    Of arrivals: times the requests that each brings. Of users: the rate X that was measured at the nearest steady load
    N. Throughput rises with users ever more slowly, so a smaller number n has at least X n / N and a greater one at
    most that: the interval's ends are taken so, and the value never goes beyond X.

    Returns:
        None without a capacity; of users also without a steady run that says their rate.
    """
    if answer.value is None or answer.value <= 0:
        return None
    bound: Bound = "quota" if answer.limited_by == "quota" else "at least" if answer.limited_by in OPEN_ABOVE else ""
    load = Figure(answer.value, answer.lo, None if bound == "at least" else answer.hi)
    point = answer.best
    if answer.mode == "rate":
        turns = 1.0 if point is None else turns_of(point)
        return Carried(load.times(turns), bound, "rate", load, turns)
    if point is None or not point.achieved_per_s or point.load <= 0:
        return None
    x, n = point.achieved_per_s, point.load
    lo = None if load.lo is None else x * min(1.0, load.lo / n)
    hi = None if load.hi is None else x * max(1.0, load.hi / n)
    return Carried(Figure(x * min(1.0, load.value / n), lo, hi), bound, "concurrency", load)


def turns_of(point: Point) -> float:
    """Requests in the window for each arrival; 1 without conversations, or where nobody knows."""
    if not point.offered_per_s or point.length_s <= 0:
        return 1.0
    found = point.requests / point.length_s / point.offered_per_s
    return found if found > 1.001 else 1.0
