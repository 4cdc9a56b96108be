"""What a schedule may be: its limits, the checks of its numbers, and the fraction that a number was meant as."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import Any, Final

MAX_ARRIVALS: Final = 100_000_000
"""Arrivals of one schedule: 800 MB of offsets. More is a slip of the pen."""

MAX_S: Final = 1e9
"""Length of one schedule, 31 years: its nanoseconds fit an int64 with room for the run around it."""

NS: Final = 1_000_000_000


class ScheduleError(ValueError):
    """A schedule that cannot be made; its text is one line with the option or file, the bad value, what is allowed."""


def meant(value: float) -> Fraction:
    """The fraction a float was meant as (0.1 is 1/10, 100/60 is 5/3), or the float's own exact value."""
    simple = Fraction(value).limit_denominator(1_000_000)
    return simple if float(simple) == value else Fraction(value)


def check(rate_per_s: float | None, duration_s: float | None, requests: int | None) -> float:
    """
    The rate, where the three make a schedule.

    Raises:
        ScheduleError: One is out of range, or what bounds the schedule is missing.
    """
    if rate_per_s is None:
        raise ScheduleError("neither --rate nor --stages is given; these --arrivals need one of them")
    if not 0 < rate_per_s < math.inf:
        raise ScheduleError(f"--rate {rate_per_s} isn't a finite number of arrivals per second, more than 0")
    check_bounds(duration_s, requests)
    if duration_s is None and requests is None:
        raise ScheduleError("neither --duration nor --requests is given; a schedule needs one of them")
    if duration_s is None and requests is not None and requests / rate_per_s > MAX_S:
        raise ScheduleError(f"--rate {rate_per_s}/s takes more than {MAX_S:g} s for {requests} requests; raise it")
    if requests is None and duration_s is not None and rate_per_s * duration_s > MAX_ARRIVALS:
        arrivals = f"{rate_per_s * duration_s:.3g}"
        raise ScheduleError(f"--rate {rate_per_s}/s for {duration_s} s is {arrivals} arrivals, at most {MAX_ARRIVALS}")
    return rate_per_s


def check_bounds(duration_s: float | None, requests: int | None) -> None:
    """Raise ScheduleError where the duration or the number of requests is given and out of range."""
    if duration_s is not None and not 0 < duration_s <= MAX_S:
        raise ScheduleError(f"--duration {duration_s} isn't a number of seconds in (0, {MAX_S:g}]")
    if requests is not None and not 1 <= requests <= MAX_ARRIVALS:
        raise ScheduleError(f"--requests {requests} isn't a whole number in [1, {MAX_ARRIVALS}]")


def shown(value: Any, most: int = 40) -> str:
    """A bad value as a message shows it: as JSON, short, on one line whatever it holds."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"


def check_worker(worker: int, workers: int) -> None:
    """Hold a worker's number against the number of workers; a wrong one is our own flaw."""
    assert 0 <= worker < workers, f"worker {worker} of {workers}"
