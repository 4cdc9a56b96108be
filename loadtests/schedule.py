"""
When requests go out: an open loop's arrivals computed ahead from a seed, or a closed loop's users and their turns.

Pure: no clock, no I/O. A schedule is made once, hashed into the manifest and sharded over the workers by index, so that
the same seed offers the same load on any number of workers.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from loadtests.units import not_one_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Offsets: TypeAlias = NDArray[np.int64]

MAX_ARRIVALS: Final = 100_000_000
"""Arrivals of one schedule: 800 MB of offsets. More is a slip of the pen."""

MAX_S: Final = 1e9
"""Length of one schedule, 31 years: its nanoseconds fit an int64 with room for the run around it."""

_NS: Final = 1_000_000_000


class ScheduleError(ValueError):
    """A schedule that cannot be made; its text is one line with the option, the bad value and the allowed ones."""


# Arrival processes.


def constant(rate_per_s: float, duration_s: float | None, requests: int | None = None) -> Offsets:
    """
    Evenly spaced arrivals: arrival i at i / rate, the first at 0.

    Args:
        rate_per_s: Arrivals per second, > 0.
        duration_s: No arrival at or after this moment; None: as long as the requests last.
        requests: At most so many; None: as many as the duration holds.

    Returns:
        Shape (n,), ascending, nanoseconds since the start, each rounded once (halves up) from the exact quotient.

    Raises:
        ScheduleError: Rate, duration or requests out of range, or none of the last two.
    """
    _check(rate_per_s, duration_s, requests)
    rate = _meant(rate_per_s)
    n = min(math.ceil(rate * _meant(duration_s)) if duration_s else MAX_ARRIVALS, requests or MAX_ARRIVALS)
    p, q = rate.numerator, rate.denominator
    # i / rate = i * q / p seconds. With i = a * p + b the first part is whole seconds; the rest stays below q seconds,
    # exact in int64 where 2 * p * q * 1e9 fits, else in Python's integers.
    exact = np.int64 if (2 * q * _NS + 1) * p < 2**63 else object
    whole, rest = np.divmod(np.arange(n, dtype=np.int64), min(p, 2**62))
    offsets = whole.astype(exact) * (q * _NS) + (rest.astype(exact) * (2 * q * _NS) + p) // (2 * p)
    ascending: Offsets = offsets.astype(np.int64)
    return ascending


def poisson(rate_per_s: float, duration_s: float | None, seed: int, requests: int | None = None) -> Offsets:
    """
    Arrivals of a Poisson process: independent exponential gaps with mean 1 / rate, nothing rescaled.

    Args:
        rate_per_s: Mean arrivals per second, > 0.
        duration_s: No arrival at or after this moment; None: as long as the requests last.
        seed: Of numpy's PCG64; a shorter schedule of the same seed and rate is a prefix of a longer one.
        requests: At most so many; None: as many as fall into the duration.

    Returns:
        Shape (n,), ascending, nanoseconds since the start.

    Raises:
        ScheduleError: Rate, duration or requests out of range, or none of the last two.

    Source: MLPerf inference_rules.adoc, Server scenario; Knuth, TAOCP vol. 2, 3.4.1.
    """
    _check(rate_per_s, duration_s, requests)
    rng = np.random.Generator(np.random.PCG64(seed))
    most = requests or MAX_ARRIVALS
    mean = min(rate_per_s * duration_s if duration_s else most, most)
    block = int(min(mean + 6 * math.sqrt(mean), most)) + 16
    blocks: list[NDArray[np.float64]] = []
    at_s, drawn = 0.0, 0
    while drawn < most and (duration_s is None or at_s < duration_s):
        gaps = rng.standard_exponential(block) / rate_per_s
        gaps[0] += at_s
        blocks.append(np.cumsum(gaps))
        at_s, drawn = float(blocks[-1][-1]), drawn + block
    times = np.concatenate(blocks)
    kept = times if duration_s is None else times[: np.searchsorted(times, duration_s, side="left")]
    return np.rint(kept[:requests] * _NS).astype(np.int64)


ARRIVALS: Final[dict[str, Callable[[float, float | None, int, int | None], Offsets]]] = {
    "constant": lambda rate_per_s, duration_s, _seed, requests: constant(rate_per_s, duration_s, requests),
    "poisson": poisson,
}
"""Values of --arrivals."""


# The two loops.


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """An open loop: `offsets_ns`, shape (n,), ascending, nanoseconds since the start; seq is the index."""

    offsets_ns: Offsets

    def __len__(self) -> int:
        return len(self.offsets_ns)

    def digest(self) -> str:
        """The sha256 of the offsets as little-endian int64, in hex."""
        return hashlib.sha256(self.offsets_ns.astype("<i8").tobytes()).hexdigest()

    def shard(self, worker: int, workers: int) -> Offsets:
        """The seqs of one worker, ascending: those with seq % workers == worker."""
        _check_worker(worker, workers)
        return np.arange(worker, len(self), workers, dtype=np.int64)


def open_loop(
    arrivals: str, rate_per_s: float, duration_s: float | None, seed: int, requests: int | None = None
) -> Schedule:
    """
    The schedule of an open loop; it ends with the duration or with the requests, whichever comes first.

    Raises:
        ScheduleError: An unknown arrival process, a value out of range, or no arrival at all.
    """
    if arrivals not in ARRIVALS:
        raise ScheduleError(f'--arrivals "{arrivals}" {not_one_of(arrivals, ARRIVALS)}')
    if seed < 0:
        raise ScheduleError(f"--seed {seed} isn't a whole number of at least 0")
    offsets = ARRIVALS[arrivals](rate_per_s, duration_s, seed, requests)
    if not len(offsets):
        raise ScheduleError(f"--duration {duration_s} s holds no arrival at --rate {rate_per_s}/s; make it longer")
    return Schedule(_frozen(offsets))


@dataclass(frozen=True, slots=True)
class Closed:
    """
    A closed loop: so many users, each sending when its last answer is over.

    User u's k-th request (from 0) has seq k * users + u. It ends with the duration (seconds), with the requests (of
    all users together), whichever comes first, or with neither: then somebody stops it.

    Raises:
        ScheduleError: A value out of range.
    """

    users: int
    duration_s: float | None
    requests: int | None

    def __post_init__(self) -> None:
        if self.users < 1:
            raise ScheduleError(f"--concurrency {self.users} isn't a whole number of at least 1")
        if self.duration_s is not None or self.requests is not None:
            _check(1.0, self.duration_s, self.requests)

    def users_of(self, worker: int, workers: int) -> range:
        """The users of one worker that get a request at all: those with user % workers == worker."""
        _check_worker(worker, workers)
        return range(worker, self.users if self.requests is None else min(self.users, self.requests), workers)

    def seq(self, user: int, k: int) -> int:
        """The seq of a user's k-th request, both from 0."""
        return k * self.users + user

    def allows(self, seq: int) -> bool:
        """Whether the number of requests leaves room for this one."""
        return self.requests is None or seq < self.requests


# Checks.


def _meant(value: float) -> Fraction:
    """The fraction a float was meant as (0.1 is 1/10, 100/60 is 5/3), or the float's own exact value."""
    simple = Fraction(value).limit_denominator(1_000_000)
    return simple if float(simple) == value else Fraction(value)


def _frozen(offsets: Offsets) -> Offsets:
    offsets.setflags(write=False)
    return offsets


def _check(rate_per_s: float, duration_s: float | None, requests: int | None) -> None:
    if not 0 < rate_per_s < math.inf:
        raise ScheduleError(f"--rate {rate_per_s} isn't a finite number of arrivals per second, more than 0")
    if duration_s is not None and not 0 < duration_s <= MAX_S:
        raise ScheduleError(f"--duration {duration_s} isn't a number of seconds in (0, {MAX_S:g}]")
    if requests is not None and not 1 <= requests <= MAX_ARRIVALS:
        raise ScheduleError(f"--requests {requests} isn't a whole number in [1, {MAX_ARRIVALS}]")
    if duration_s is None and requests is None:
        raise ScheduleError("neither --duration nor --requests is given; a schedule needs one of them")
    if duration_s is None and requests is not None and requests / rate_per_s > MAX_S:
        raise ScheduleError(f"--rate {rate_per_s}/s takes more than {MAX_S:g} s for {requests} requests; raise it")
    if requests is None and duration_s is not None and rate_per_s * duration_s > MAX_ARRIVALS:
        arrivals = f"{rate_per_s * duration_s:.3g}"
        raise ScheduleError(f"--rate {rate_per_s}/s for {duration_s} s is {arrivals} arrivals, at most {MAX_ARRIVALS}")


def _check_worker(worker: int, workers: int) -> None:
    assert 0 <= worker < workers, f"worker {worker} of {workers}"
