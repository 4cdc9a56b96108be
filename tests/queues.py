"""A server in virtual time: a queue with c slots and known service times, whose exact answer theory gives."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import optimize

from analysis import stats
from analysis.capacity import probe as probing
from analysis.capacity.point import Point
from analysis.capacity.search import following
from analysis.objectives import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from analysis.capacity.probe import Probe, Step
    from analysis.capacity.search import Asked

    Array = NDArray[np.float64]

__all__ = ["Server", "capacity", "erlang_c", "np", "point", "probing", "replace", "search"]


def erlang_c(slots: int, busy: float) -> float:
    """The share of arrivals that wait in M/M/c with this many busy on average; by the recursion for Erlang's B."""
    lost = 1.0
    for k in range(1, slots + 1):
        lost = busy * lost / (k + busy * lost)
    return lost / (1 - busy / slots * (1 - lost))


def capacity(slots: int, limit_s: float, share: float = 0.95) -> float:
    """
    The rate at which just this share of arrivals waits less than limit_s in M/M/c with mean service 1 s.

    P(W > t) = C(c, lambda) exp(-(c - lambda) t).
    """

    def beyond(rate: float) -> float:
        return erlang_c(slots, rate) * math.exp(-(slots - rate) * limit_s) - (1 - share)

    return float(optimize.brentq(beyond, 1e-3, slots - 1e-9))


@dataclass
class Server:
    """
    First come, first served, by c slots; TTFT is the wait.

    Attributes:
        draw: Service times, given a generator and how many.
        sick: Times that service takes once more than `breaks_at` wait, until it is drained.
    """

    slots: int
    limit_s: float
    n: int = 6600
    seed: int = 1
    draw: Callable[[np.random.Generator, int], Array] = field(default=lambda rng, n: rng.exponential(1.0, n))
    sick: float = 1.0
    breaks_at: int = 10**9
    is_sick: bool = False
    played: list[tuple[int, int]] = field(default_factory=list)

    def drain(self) -> None:
        """Nobody is there for a while: it recovers, which it never does under load."""
        self.is_sick = False

    def play(self, step: Step, piece: int) -> Point:
        """One run of a step."""
        self.played.append((step.number, piece))
        rng = np.random.default_rng((self.seed, step.number, piece))
        services = self.draw(rng, self.n)
        if step.mode == "concurrency":
            waits, stays, length_s, arrived = self._closed(services, int(step.load))
        else:
            arrived = np.cumsum(rng.exponential(1 / step.load, self.n))
            waits, length_s = self._open(arrived, services), float(arrived[-1])
            stays = waits + services
        kept = slice(self.n // 10, None)
        grown = np.polyfit(np.arange(self.n - self.n // 10), waits[kept], 1)[0] * self.n
        over = int((arrived + stays <= length_s).sum())
        unstable = step.mode == "rate" and over / self.n < 0.98 and grown > 3 * float(stays.mean()) / 2
        return point(step, waits[kept] < self.limit_s, float(stays[kept].mean()), length_s, unstable=unstable)

    def _open(self, arrived: Array, services: Array) -> Array:
        """Waits, shape (n,)."""
        free, waits = [0.0] * self.slots, np.empty(self.n)
        began: list[float] = []
        for i, (at, service) in enumerate(zip(arrived.tolist(), services.tolist(), strict=True)):
            while began and began[0] <= at:
                heapq.heappop(began)
            self.is_sick = self.is_sick or len(began) > self.breaks_at
            start = max(at, free[0])
            heapq.heapreplace(free, start + service * (self.sick if self.is_sick else 1.0))
            if start > at:
                heapq.heappush(began, start)
            waits[i] = start - at
        return waits

    def _closed(self, services: Array, users: int) -> tuple[Array, Array, float, Array]:
        """Waits and stays of users who ask again at once, how long it took, and when each asked."""
        asks, free = [0.0] * users, [0.0] * self.slots
        waits, asked = np.empty(self.n), np.empty(self.n)
        for i, service in enumerate(services.tolist()):
            at = heapq.heappop(asks)
            start = max(at, free[0])
            heapq.heapreplace(free, start + service)
            heapq.heappush(asks, start + service)
            waits[i], asked[i] = start - at, at
        return waits, waits + services, float(asked[-1]), asked


def point(step: Step, hits: NDArray[np.bool_], stay_s: float, length_s: float, *, unstable: bool = False) -> Point:
    """A run whose promise `ttft_p95<limit` these requests kept."""
    worth = stats.effective_count(hits)
    share = float(hits.mean())
    verdict = stats.attains(share * worth, worth, 0.95)
    outcome = Outcome(
        "ttft_p95<limit", "ttft_s", share, 0.95, None, None, None, hits.size, verdict, "", n_eff=worth
    )  # fmt: skip
    nothing: dict[str, Any] = dict.fromkeys((
        "goodput_per_s", "error_rate", "attainment", "user_tokens_per_s", "input_tokens_per_s", "output_tokens_per_s",
        "input_tokens", "output_tokens", "cached_share", "cost_per_1k_good", "cost_per_m_output", "little",
    ))  # fmt: skip
    none = (None, None, None)
    return Point(
        run=f"{step.number}", arm="", mode=step.mode, load=step.load, length_s=length_s, requests=hits.size,
        offered_per_s=step.load if step.mode == "rate" else None, achieved_per_s=hits.size / length_s,
        in_flight=step.load * stay_s if step.mode == "rate" else step.load, stay_s=stay_s, ttft_s=none, tpot_s=none,
        latency_s=none, state="unstable" if unstable else "steady", why="the queue grew" if unstable else "",
        verdict="valid", outcomes=(outcome,), **nothing,
    )  # fmt: skip


def search(
    server: Server, asked: Asked, probes: list[Probe] | None = None, *, drain: bool = True, stop_after: int = 10**9
) -> list[Probe]:
    """Play a search to its end, or for so many runs more; what was played already is given."""
    probes = list(probes or [])
    for _ in range(stop_after):
        step = following(probes, asked)
        if step is None:
            break
        before = probes.pop().points if probes and probes[-1].step == step else ()
        if drain:
            server.drain()
        probes.append(probing.of(step, [*before, server.play(step, len(before))]))
    return probes
