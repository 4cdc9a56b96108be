"""A closed loop: so many users, each sending when its last answer is over; how many there are may change over time."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from loadtests.schedule.bounds import MAX_S, NS, ScheduleError, check_bounds, meant
from loadtests.units import not_one_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.schedule.stages import Stage


@dataclass(frozen=True, slots=True)
class Closed:
    """
    A closed loop.

    User u's k-th request (from 0) has seq k * users + u. It ends with the duration (seconds), with the requests (of
    all users together), whichever comes first, or with neither: then somebody stops it.

    Attributes:
        users: The most there are at any time.
        steps: From this moment on (nanoseconds, ascending) so many users; none before the first. Empty: all, always.

    Raises:
        ScheduleError: A value out of range.
    """

    users: int
    duration_s: float | None
    requests: int | None
    steps: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if self.users < 1:
            raise ScheduleError(f"--concurrency {self.users} isn't a whole number of at least 1")
        check_bounds(self.duration_s, self.requests)

    def at(self, ns: int) -> int:
        """How many users there are to be at this moment; they are those with the lowest numbers."""
        if not self.steps:
            return self.users
        place = bisect_right(self.steps, ns, key=lambda step: step[0])
        return self.steps[place - 1][1] if place else 0

    def seq(self, user: int, k: int) -> int:
        """The seq of a user's k-th request, both from 0."""
        return k * self.users + user

    def allows(self, seq: int) -> bool:
        """Whether the number of requests leaves room for this one."""
        return self.requests is None or seq < self.requests


def closed_loop(
    concurrency: int | None,
    duration_s: float | None,
    requests: int | None,
    *,
    ramp_s: float = 0.0,
    stages: tuple[Stage, ...] = (),
) -> Closed:
    """
    A closed loop whose users come one after the other, or that follows stages of concurrency.

    Args:
        concurrency: Users; None with stages, whose highest number it is.
        duration_s: With stages at most their length, which is also the default.
        requests: Of all users together; None: no bound.
        ramp_s: User u comes at u * ramp_s / concurrency.
        stages: Of the kind `concurrency`.

    Raises:
        ScheduleError: A value out of range, or stages beside --concurrency or a ramp.
    """
    if stages:
        return _staged(concurrency, duration_s, requests, ramp_s, stages)
    if concurrency is None:
        raise ScheduleError("neither --concurrency nor --stages is given; a closed loop needs one of them")
    if not 0 <= ramp_s <= (duration_s or MAX_S):
        within = f"the --duration of {duration_s:g} s" if duration_s else f"{MAX_S:g} s"
        raise ScheduleError(f"a ramp of {ramp_s} s isn't between 0 and {within}")
    plain = Closed(concurrency, duration_s, requests)
    if not ramp_s:
        return plain
    gap = meant(ramp_s) / concurrency * NS
    steps = {round(u * gap): u + 1 for u in range(concurrency)}
    return Closed(concurrency, duration_s, requests, tuple(steps.items()))


def _staged(
    concurrency: int | None, duration_s: float | None, requests: int | None, ramp_s: float, stages: tuple[Stage, ...]
) -> Closed:
    if concurrency is not None or ramp_s:
        other = "--concurrency" if concurrency is not None else "a ramp"
        raise ScheduleError(f"{other} and stages of concurrency exclude each other; the stages say how many users")
    for stage in stages:
        if stage.kind != "concurrency":
            raise ScheduleError(f"a stage of {stage.kind} {not_one_of(stage.kind, ['concurrency'])} in a closed loop")
    whole_s = float(sum(meant(stage.duration_s) for stage in stages))
    length_s = whole_s if duration_s is None else min(whole_s, duration_s)
    users = int(max(max(stage.start, stage.end) for stage in stages))
    if users < 1:
        raise ScheduleError("the stages never have a user; one of them needs a concurrency of at least 1")
    # A dict, as of two steps at one moment the later one counts.
    steps = list({ns: n for ns, n in _steps(stages) if ns < length_s * NS}.items())
    changes = [step for before, step in pairwise([(0, -1), *steps]) if step[1] != before[1]]
    return Closed(users, length_s, requests, tuple(changes))


def _steps(stages: tuple[Stage, ...]) -> Iterator[tuple[int, int]]:
    """The moments, nanoseconds, at which the line through the stages meets a whole number of users, and the number."""
    began = meant(0.0)
    for stage in stages:
        start, end, length = int(stage.start), int(stage.end), meant(stage.duration_s)
        sign = 1 if end >= start else -1
        for n in range(start, end + sign, sign):
            yield round((began + (length * (n - start) / (end - start) if end != start else 0)) * NS), n
        began += length
