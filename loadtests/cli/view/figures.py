"""The figures of a run as they are shown: rates and percentiles of the last ten seconds, and of the run so far."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from loadtests import histogram
from loadtests.cli.view.way import Way

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadtests.live import Side
    from loadtests.plan import Plan
    from loadtests.standing import Following, Health, Standing

LATELY_S: Final = 10.0
SPARK_S: Final = 5.0
"""Of so many seconds is what a sparkline shows of each second."""

SPARKS: Final = 60
STEP_S: Final = 0.4
"""Standings closer than this to the one before are not kept."""

BUSY: Final = {"cpu": 0.8, "hub_lag_us": 5000.0, "wake_lag_p99_us": 1000.0}
"""From here on a run's checks find the client doubtful: see `analysis.checks.client`."""

WORDS: Final = {"cpu": "its core is full", "hub_lag_us": "its loop is held up", "wake_lag_p99_us": "it reads late"}


@dataclass(frozen=True, slots=True)
class Stretch:
    """What happened between two moments of a run."""

    then: Standing
    now: Standing

    @property
    def length_s(self) -> float:
        """Seconds; 0 at the start."""
        return self.now.t_s - self.then.t_s

    def _per_s(self, before: int, after: int) -> float | None:
        return (after - before) / self.length_s if self.length_s > 0 else None

    @property
    def offered_per_s(self) -> float | None:
        """What was due; None in closed loop."""
        if self.now.due is None or self.then.due is None:
            return None
        return self._per_s(self.then.due, self.now.due)

    @property
    def achieved_per_s(self) -> float | None:
        """What was over."""
        return self._per_s(self.then.whole.done, self.now.whole.done)

    @property
    def tokens_per_s(self) -> float | None:
        """Of the answers that were over."""
        return self._per_s(self.then.whole.output_tokens, self.now.whole.output_tokens)

    def ttft_s(self, p: float) -> float | None:
        """A percentile; None where there are too few."""
        return histogram.quantile_s(histogram.since(self.now.whole.ttft, self.then.whole.ttft), p)

    def tpot_s(self, p: float) -> float | None:
        """The same of TPOT."""
        return histogram.quantile_s(histogram.since(self.now.whole.tpot, self.then.whole.tpot), p)

    @property
    def falls_behind(self) -> bool:
        """
        The server: less was over than was due, by more than chance does.

        Of n arrivals a Poisson process has n ± sqrt(n), and at most so many answers more are under way at the end.
        """
        if self.now.due is None or self.then.due is None or self.length_s < 0.9 * LATELY_S or not self.then.whole.done:
            return False
        due, done = self.now.due - self.then.due, self.now.whole.done - self.then.whole.done
        return done < 0.95 * due and due - done > 3 * max(1.0, due**0.5)


class Figures:
    """
    Takes in how a run stands, again and again.

    Attributes:
        sparks: By name, one value for each of the last seconds; None where there was nothing.
    """

    def __init__(self, plan: Plan, following: Following) -> None:
        self.plan, self.way = plan, Way(plan, following)
        self._schedule = None if plan.mode == "open" else plan.closed_schedule()
        self._past: deque[Standing] = deque()
        self._next_s = 1.0
        self.elapsed_s = 0.0
        self.sparks: Mapping[str, deque[float | None]] = {
            name: deque(maxlen=SPARKS) for name in ("TTFT p50", "tokens/s", "in flight")
        }

    def take(self, standing: Standing, elapsed_s: float) -> None:
        """How the run stands now, and how long it has been on."""
        self.elapsed_s = elapsed_s
        if self._past and standing.t_s < self._past[-1].t_s + STEP_S and len(self._past) > 1:
            self._past.pop()
        self._past.append(standing)
        while len(self._past) > 2 and self._past[1].t_s <= standing.t_s - LATELY_S:
            self._past.popleft()
        if elapsed_s >= self._next_s:
            self._next_s = max(self._next_s + 1, elapsed_s)
            self._spark()

    def _spark(self) -> None:
        last = self.over(SPARK_S)
        self.sparks["TTFT p50"].append(last.ttft_s(0.5))  # five seconds seldom have the 20 that a p95 needs
        self.sparks["tokens/s"].append(last.tokens_per_s)
        self.sparks["in flight"].append(last.now.in_flight)

    @property
    def now(self) -> Standing:
        """The run as it stands."""
        return self._past[-1]

    @property
    def whole(self) -> Side:
        """All of it so far."""
        return self.now.whole

    def over(self, seconds: float = LATELY_S) -> Stretch:
        """The last so many seconds, or as far as they go."""
        since_s = self.now.t_s - seconds
        first = next((one for one in reversed(self._past) if one.t_s <= since_s), self._past[0])
        return Stretch(first, self.now)

    @property
    def users(self) -> int | None:
        """How many users a closed loop wants now; None in open loop."""
        return None if self._schedule is None else self._schedule.at(int(self.elapsed_s * 1e9))

    @property
    def late(self) -> int:
        """Requests that were due and nobody here has picked up: the client's own fault, from a tenth of a second on."""
        now = self.now
        if now.due is None:
            return 0
        behind = now.due - now.issued - now.waiting
        return behind if behind > max(2.0, 0.1 * (self.over().offered_per_s or 0.0)) else 0

    def health(self) -> Health:
        """Of the last second, the worst of the workers, by figure."""
        worst: Health = {}
        for one in self.now.health.values():
            worst |= {name: max(value, worst.get(name, value)) for name, value in one.items()}
        return worst

    def busy(self) -> str:
        """What ails the client in most of the last seconds, in words; "" where nothing does."""
        if self.late:
            return f"{self.late:,} sends are late"
        for name, limit in BUSY.items():
            seen = [max((one.get(name, 0.0) for one in past.health.values()), default=0.0) for past in self._past]
            if 2 * sum(value > limit for value in seen) > len(seen):
                return WORDS[name]
        return ""
