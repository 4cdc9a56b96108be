"""
How many runs, and of how many requests, would find an effect: power before anything is sent.

The run is the replicate; power is exact, by the noncentral t distribution. Levels are those of Holm's first step,
alpha / family, which the least p of the primary family has to pass.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from analysis import stats
from analysis.compare.rules import LEAST_RUNS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis.replicates.noise import Noise
    from analysis.replicates.spread import Scale

SCHEMA_VERSION: Final = 1
MOST_RUNS: Final = 2000

STEPS: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Lengths of a run that the table shows, as multiples of that learned from or assumed."""


@dataclass(frozen=True, slots=True)
class Design:
    """
    What is asked of a comparison.

    Attributes:
        effects: By name, what has to be found: 0.05 is 5 %, or 5 points of a share; `""` holds for all others.
        family: How many numbers share alpha.
        rho: Correlation of the two sides of a pair; None: not paired.
    """

    effects: Mapping[str, float]
    power: float = 0.9
    alpha: float = 0.05
    family: int = 6
    rho: float | None = None

    @property
    def level(self) -> float:
        """Of each test: Holm's first step."""
        return self.alpha / self.family

    def effect(self, noise: Noise) -> float:
        """What has to be found of a number, on its scale."""
        found = self.effects.get(noise.name, self.effects.get(noise.name.partition(" (")[0], self.effects[""]))
        return math.log1p(found) if noise.scale == "ratio" else found

    def runs(self, noise: Noise, sd: float) -> int | None:
        """Runs a side, never fewer than a gate takes; None: more than `MOST_RUNS`."""
        found = stats.runs_needed(self.effect(noise), sd, self.level, self.power, self.rho, MOST_RUNS)
        return None if found is None else max(found, LEAST_RUNS)


@dataclass(frozen=True, slots=True)
class Need:
    """
    What one number needs at the length learned from or assumed.

    Attributes:
        effect: 0.05 is 5 %, or 5 points of a share.
        runs: A side; None: more than `MOST_RUNS`.
        power: Of so many runs, exactly.
        runs_upper: At the upper end of the sd; None: more than `MOST_RUNS`, or the sd was given.
    """

    name: str
    scale: Scale
    effect: float
    sd: float
    sd_upper: float | None
    learned_from: int
    runs: int | None
    power: float | None
    runs_upper: int | None


@dataclass(frozen=True, slots=True)
class Choice:
    """
    One length of a run, and what it costs.

    Attributes:
        requests: Of a run.
        runs: A side, by number of the plan, in its order; None: more than `MOST_RUNS`, or not known at this length.
        most: The most of them, which serves all; None where one is None.
        total: Requests of both sides.
        time_s: Of all runs one after another, without rests; None where nobody knows how long a run is.
    """

    requests: int
    runs: tuple[int | None, ...]
    most: int | None
    total: int | None
    time_s: float | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is needed, and the trade of runs for requests."""

    design: Design
    needs: tuple[Need, ...]
    choices: tuple[Choice, ...]

    @property
    def cheapest(self) -> Choice | None:
        """The length with the fewest requests in all; None where none serves all numbers."""
        return min((one for one in self.choices if one.total is not None), key=_total, default=None)

    def to_json(self) -> dict[str, Any]:
        """As plain values; keys are stable within a schema version."""
        design = asdict(self.design) | {"effects": dict(self.design.effects), "level": self.design.level}
        found = {"needs": [asdict(one) for one in self.needs], "choices": [asdict(one) for one in self.choices]}
        return {"schema_version": SCHEMA_VERSION, "design": design, **found}


def _total(choice: Choice) -> int:
    assert choice.total is not None
    return choice.total


def plan(design: Design, noises: Sequence[Noise], requests: float, run_s: float | None = None) -> Plan:
    """
    What each number needs, and what runs of other lengths would cost.

    Args:
        design: What is asked.
        noises: Of each number, at least one.
        requests: Of a run of the length learned from or assumed, all arrivals.
        run_s: How long such a run takes.
    """
    needs = tuple(_need(design, noise) for noise in noises)
    known = all(noise.within is not None for noise in noises)
    least = max(noise.least / noise.requests for noise in noises)
    steps = [step for step in (STEPS if known else (1.0,)) if step >= min(1.0, least)]
    return Plan(design, needs, tuple(_choice(design, noises, step, requests, run_s) for step in steps))


def _need(design: Design, noise: Noise) -> Need:
    sd, upper = noise.sd(), noise.sd_upper()
    runs, effect = design.runs(noise, sd), design.effect(noise)
    power = None if runs is None else stats.power(runs, runs, sd, effect, design.level, design.rho)
    asked = math.expm1(effect) if noise.scale == "ratio" else effect
    more = None if upper is None else design.runs(noise, upper)
    return Need(noise.name, noise.scale, asked, sd, upper, noise.runs, runs, power, more)


def _choice(design: Design, noises: Sequence[Noise], step: float, arrivals: float, run_s: float | None) -> Choice:
    requests = round(arrivals * step)
    runs = tuple(design.runs(noise, noise.sd(noise.requests * step)) for noise in noises)
    known = [one for one in runs if one is not None]
    most = max(known) if len(known) == len(runs) else None
    total = None if most is None else 2 * most * requests
    time_s = None if most is None or run_s is None else 2 * most * run_s * step
    return Choice(requests, runs, most, total, time_s)
