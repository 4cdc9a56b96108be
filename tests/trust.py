"""The gate's figures by simulation: false alarms, coverage, power; run as a program it prints the README's table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import simulation
from scipy import stats as scipy_stats
from simulation import Server, digests, numbers

from analysis import stats
from analysis.compare.judge import compare
from analysis.compare.rules import PRIMARY, Rules
from analysis.replicates.planning import Design

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.compare.comparison import Comparison, Line

    Numbers = dict[str, NDArray[np.float64]]

SEEDS: Final = (1, 2, 3, 4, 5)
BATCH: Final = 100
PILOT: Final = 2000
"""Runs that the plan learns the noise from: so many that its own chance does not matter."""


@dataclass(frozen=True, slots=True)
class Share:
    """How often something happened, with Wilson's 95 % interval."""

    hits: int
    of: int

    @property
    def share(self) -> float:
        """0 to 1."""
        return self.hits / self.of

    @property
    def hi(self) -> float:
        """Upper end."""
        return stats.wilson(self.hits, self.of)[1]

    def __str__(self) -> str:
        lo, hi = stats.wilson(self.hits, self.of)
        return f"{100 * self.share:.1f} % [{100 * lo:.1f}, {100 * hi:.1f}]"


@dataclass(frozen=True, slots=True)
class Alarms:
    """Of pairs of the same thing: those with a REGRESSION, those that passed, those that a check called invalid."""

    regressions: Share
    passes: Share
    invalid: int


@dataclass(frozen=True, slots=True)
class Planted:
    """Of pairs with an effect: how many runs the plan asked for, and how often the metric was a REGRESSION."""

    runs: int
    found: Share


def compared(a: Numbers, b: Numbers, primary: tuple[str, ...] = PRIMARY) -> Comparison:
    """The gate's own judgement of two sides."""
    first = len(a["ttft_p50"])
    return compare(digests(a), digests(b, first), Rules(primary=primary, only_primary=True), ("A", "B"))


def pairs(runs: int, draws: int, seed: int, other: Server | None = None) -> list[tuple[Numbers, Numbers]]:
    """So many pairs of sides of so many runs each; B of another server where one is given."""
    rng = np.random.default_rng(seed)
    found = []
    for begin in range(0, draws, BATCH):
        n = min(BATCH, draws - begin)
        sides = [numbers(server, rng, n * runs) for server in (Server(), other or Server())]
        found += [(_cut(sides[0], runs * i, runs), _cut(sides[1], runs * i, runs)) for i in range(n)]
    return found


def _cut(of: Numbers, at: int, n: int) -> Numbers:
    return {name: values[at : at + n] for name, values in of.items()}


def line(comparison: Comparison, name: str) -> Line:
    """The line of a primary number."""
    return next(one for one in comparison.primary if one.place.words == name)


def against_itself(runs: int, draws: int, seed: int) -> Alarms:
    """The same server on both sides."""
    found = [compared(a, b) for a, b in pairs(runs, draws, seed)]
    alarms = sum(any(one.verdict == "regression" for one in comparison.primary) for comparison in found)
    verdicts = [comparison.verdict for comparison in found]
    return Alarms(Share(alarms, draws), Share(verdicts.count("pass"), draws), verdicts.count("invalid"))


def pooled(runs: int, draws: int, seed: int) -> Share:
    """The same server on both sides, judged by all requests of a side in one heap (Mann and Whitney, p < 0.05)."""
    rng = np.random.default_rng(seed)
    sides = ((simulation.ttft(Server(), rng, runs).ravel() for _ in "ab") for _ in range(draws))
    return Share(sum(scipy_stats.mannwhitneyu(*pair).pvalue < 0.05 for pair in sides), draws)


def coverage(runs: int, draws: int, seed: int) -> dict[str, Share]:
    """How often the interval of the ratio holds the true one, for a server that is 5 % slower in TTFT."""
    hits = dict.fromkeys(("ttft_p50", "ttft_p95"), 0)
    for a, b in pairs(runs, draws, seed, Server(slower=1.05)):
        comparison = compared(a, b)
        for name in hits:
            one = line(comparison, name)
            assert one.lo is not None
            assert one.hi is not None
            hits[name] += one.lo <= 1.05 <= one.hi
    return {name: Share(n, draws) for name, n in hits.items()}


def planned(name: str, effect: float, family: int, seed: int) -> int:
    """Runs a side that the plan says for power .90, from the noise of many runs of the same server."""
    sd = float(np.std(np.log(numbers(Server(), np.random.default_rng([seed, 99]), PILOT)[name]), ddof=1))
    runs = stats.runs_needed(np.log1p(effect), sd, Design({"": effect}, family=family).level)
    assert runs is not None
    return max(runs, 5)


def planted(name: str, effect: float, draws: int, seed: int) -> Planted:
    """A server slower by the effect, judged with the runs that the plan says; the number is one of the primary six."""
    primary = PRIMARY if name in PRIMARY else (name, *PRIMARY[1:])
    runs = planned(name, effect, len(primary), seed)
    found = [compared(a, b, primary) for a, b in pairs(runs, draws, seed, Server(slower=1 + effect))]
    hits = sum(line(comparison, name).verdict == "regression" for comparison in found)
    return Planted(runs, Share(hits, draws))


def table() -> str:
    """The README's table."""
    rows = [
        ("the same server, 5 + 5 runs: REGRESSION in any primary metric", f"{against_itself(5, 2000, 7).regressions}"),
        ("the same server, 8 + 8 runs", f"{against_itself(8, 2000, 7).regressions}"),
        ("the same server, 5 + 5 runs, all requests of a side in one heap: TTFT differs", f"{pooled(5, 300, 7)}"),
    ]
    for runs in (5, 8):
        told = coverage(runs, 2000, 11)
        rows += [
            (f"95 % interval of the ratio of {name} holds the truth, {runs} + {runs}", str(told[name])) for name in told
        ]
    for name, effect in (("ttft_p50", 0.05), ("ttft_p99", 0.10)):
        found = [planted(name, effect, 600, seed) for seed in SEEDS]
        sizes = ", ".join(str(one.runs) for one in found)
        shares = ", ".join(f"{100 * one.found.share:.1f} %" for one in found)
        rows += [
            (f"+{100 * effect:.0f} % in {name}, with the runs that `plan` says for power 0.9 ({sizes}): found", shares)
        ]
    return "\n".join(["| simulated | |", "|---|---|", *(f"| {what} | {share} |" for what, share in rows)])


if __name__ == "__main__":
    print(table())  # noqa: T201 - a program's output
