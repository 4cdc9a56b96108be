"""Why a server's capacity by rate and its capacity by users differ, from the figures of both searches."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from scipy import special

from analysis.capacity.beside import ratio
from analysis.capacity.carried import carried
from analysis.capacity.figures import Figure, percent, plain, rounded, told
from analysis.capacity.users import think_of

if TYPE_CHECKING:
    from analysis.capacity.answer import Answer
    from analysis.capacity.carried import Carried
    from analysis.capacity.point import Mode, Point

Verdict = Literal["agree", "closed above", "open above", "not comparable"]

CLOSES: Final = 0.05
"""Little's law counts as closed where its two sides differ by no more."""
THINKS: Final = 0.05
"""Of the waiting: users who think for less ask again at once."""

ENDED: Final = {"quota": "your quota", "client": "the limit of the load generator", "most": "the most it was to try"}

USE: Final = (
    "Size by the rate where people come by themselves, as on a public service: nobody holds back because others wait. "
    "Size by the number of users where that number is fixed and each waits for an answer before the next request: a "
    "pool of agents, a batch job with so many workers."
)


class Law(NamedTuple):
    """Little's law over one steady run: gap = |L - lambda W| / L."""

    mode: Mode
    load: float
    gap: float


@dataclass(frozen=True, slots=True)
class Reconciled:
    """
    What both answers say beside each other.

    Attributes:
        ratio: Requests per second by users over those by rate, with its interval; None where one is missing.
        think_s: How long the users thought, mean; None where it is not told.
        reached: Share of the time in which arrivals of their own accord, with the open loop's mean in flight, have as
            many there as the closed loop has at most; None where it is not told.
        laws: Little's law in each steady run, the best first.
        sentences: All of it for a reader.
    """

    verdict: Verdict
    ratio: Figure | None
    think_s: float | None
    reached: float | None
    laws: tuple[Law, ...]
    sentences: tuple[str, ...]
    use: str = USE

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "laws": [law._asdict() for law in self.laws]}


class _Both(NamedTuple):
    """Two answers for one server, and what each carries."""

    by_rate: Answer
    by_users: Answer
    rate: Carried
    closed: Carried

    @property
    def n(self) -> int:
        """The users at the capacity."""
        return max(1, round(self.closed.load.value))


def reconcile(by_rate: Answer, by_users: Answer) -> Reconciled:
    """Hold the two answers for one server against each other."""
    assert (by_rate.mode, by_users.mode) == ("rate", "concurrency"), "one answer of each mode"
    rate, closed = carried(by_rate), carried(by_users)
    laws = tuple(sorted(little(by_rate) + little(by_users), key=lambda law: law.gap))
    if rate is None or closed is None:
        word, answer = ("rate", by_rate) if rate is None else ("users", by_users)
        none = f"There is no capacity by {word} to compare with: {answer.reason}."
        return Reconciled("not comparable", None, None, None, laws, (none, *_closing(laws)))
    both = _Both(by_rate, by_users, rate, closed)
    found = ratio(closed.per_s, rate.per_s)
    verdict = _verdict(found, both)
    think_s = None if by_users.best is None else think_of(by_users.best)
    reached = _reached(both)
    said = (*_one_unit(both, think_s), *_why(verdict, both, found, reached), *_closing(laws))
    return Reconciled(verdict, found, think_s, reached, laws, said)


def little(answer: Answer) -> tuple[Law, ...]:
    """Little's law in each steady run of a search, those of one request at a time included."""
    points = [point for probe in answer.probes for point in probe.points if point.state == "steady"]
    known = [Law(point.mode, point.load, point.little) for point in points if point.little is not None]
    return tuple(known)


def _verdict(found: Figure, both: _Both) -> Verdict:
    if both.rate.bound or both.closed.bound or found.lo is None or found.hi is None:
        return "not comparable"
    return "closed above" if found.lo > 1 else "open above" if found.hi < 1 else "agree"


def _reached(both: _Both) -> float | None:
    """P(Poisson(L) >= N): how many are there of those who come by themselves, on a server with room for all."""
    point = both.by_rate.best
    return None if point is None or not point.in_flight else float(special.gammainc(both.n, point.in_flight))


# In words.


def _one_unit(both: _Both, think_s: float | None) -> list[str]:
    """The two answers as requests per second."""
    rate, closed = told(both.rate.per_s, "/s"), told(both.closed.load, whole=True)
    said = [
        f"By rate it carries {rate}; by users {closed} of them, who ask {rounded(both.closed.per_s)[0]}/s together."
    ]
    point = both.by_users.best
    if point is None or point.stay_s is None or think_s is None or not point.achieved_per_s:
        return said
    thinks = f"thinks for {plain(think_s)} s" if think_s > THINKS * point.stay_s else "asks again at once"
    cycle = point.stay_s + (think_s if think_s > THINKS * point.stay_s else 0.0)
    said.append(
        f"Little's law joins the two: {point.load:.4g} users, each of whom waits {plain(point.stay_s)} s and then "
        f"{thinks}, make {point.load:.4g} / {plain(cycle)} s = {plain(point.load / cycle)}/s; measured were "
        f"{plain(point.achieved_per_s)}/s. However slow it gets, {point.load:.4g} users never have more than "
        f"{point.load:.4g} requests waiting."
    )
    return said


def _why(verdict: Verdict, both: _Both, found: Figure, reached: float | None) -> list[str]:
    if verdict == "not comparable":
        return [_bound(both)]
    times = told(found, " times")
    if verdict == "agree":
        said = f"Both agree within their intervals: by users it is {times} the rate."
        return [said, *_swing(both.by_rate.best, both.n, reached)]
    if verdict == "closed above":
        said = (
            f"By users it carries {times} as much. Requests that come by themselves bunch; users who wait for "
            "their answers cannot, for their queue is never longer than they are."
        )
        return [said, *_swing(both.by_rate.best, both.n, reached), *_limits(both)]
    said = f"By users it carries {times} as much: less, though users who wait cannot bunch as arrivals do."
    return [said, *_occupied(both.by_rate.best, both.n), *_limits(both)]


def _bound(both: _Both) -> str:
    for answer, name in ((both.by_rate, "rate"), (both.by_users, "users")):
        if answer.limited_by in ENDED:
            ended = ENDED[answer.limited_by]
            return f"The search by {name} ended at {ended}, so that their difference says nothing of the server."
    return "One of them has an open end, so that nobody can tell whether they differ."


def _swing(point: Point | None, n: int, reached: float | None) -> list[str]:
    """How the in flight of an open loop goes up and down, against the closed loop's most."""
    if point is None or point.in_flight is None or reached is None:
        return []
    mean = f"At {point.load:.4g}/s {plain(point.in_flight)} are in flight on average"
    if point.in_flight >= n:
        return [f"{mean}, no fewer than the {n} that the users have at most."]
    if reached < 0.001:
        return [f"{mean}; arrivals that swing by chance alone would hardly ever make {n} of them."]
    often = f"by chance alone there are {n} or more for about {percent(reached)} of the time"
    return [f"{mean}, but arrivals swing: {often}, as many as all the users together."]


def _occupied(point: Point | None, n: int) -> list[str]:
    if point is None or point.in_flight is None:
        return []
    mean = f"At {point.load:.4g}/s {plain(point.in_flight)} are in flight on average"
    if point.in_flight > n:
        return [f"{mean}, more than {n} users ever have: these are held back by their number, not by the server."]
    return [f"{mean}, fewer than the {n} of the users, so that their number alone does not explain it."]


def _limits(both: _Both) -> list[str]:
    """Two searches that ended at different promises do not measure the same thing."""
    rate, users = both.by_rate.limited_by, both.by_users.limited_by
    return [] if rate == users else [f"They end at different limits, too: {rate} by rate, {users} by users."]


def _closing(laws: tuple[Law, ...]) -> list[str]:
    """Whether the figures of each run hold together."""
    if not laws:
        return []
    wide = [f"{_load(law)} ({percent(law.gap)})" for law in laws if law.gap > CLOSES]
    worst = max(laws, key=lambda law: law.gap)
    runs = "the one steady run" if len(laws) == 1 else f"each of the {len(laws)} steady runs"
    if not wide:
        gap = f"{percent(worst.gap)}, at {_load(worst)}"
        return [f"The figures hold together: in flight = rate x time in {runs}, at worst within {gap}."]
    count = f"{len(wide)} of {len(laws)} steady runs"
    return [f"In {count} in flight is off from rate x time by more than {percent(CLOSES)}: {', '.join(wide)}."]


def _load(law: Law) -> str:
    return f"{law.load:.4g}/s" if law.mode == "rate" else f"{law.load:.4g} user{'' if law.load == 1 else 's'}"
