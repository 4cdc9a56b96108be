"""
How far the gate can be trusted: the same thing against itself, and planted effects, thousands of simulated times.

Seeded, so that the figures are the README's; each is told with Wilson's interval at 95 %.
"""

from __future__ import annotations

import numpy as np
import pytest
import simulation
import trust

pytestmark = pytest.mark.slow

DRAWS = 2000


@pytest.mark.parametrize("runs", [5, 8])
def test_the_same_thing_against_itself_is_seldom_a_regression(runs: int) -> None:
    """At most 5 % of pairs have REGRESSION in any primary metric, and at most 6.5 % at the upper end."""
    found = trust.against_itself(runs, DRAWS, seed=7)

    assert found.regressions.share <= 0.05
    assert found.regressions.hi <= 0.065
    assert found.invalid <= 0.01 * DRAWS


@pytest.mark.parametrize("runs", [5, 8])
def test_the_interval_of_the_ratio_holds_the_truth(runs: int) -> None:
    """95 of 100 intervals of TTFT p50's and p95's ratio hold the true ratio of 1.05: 93 to 97 % of 2,000."""
    for share in trust.coverage(runs, DRAWS, seed=11).values():
        assert 0.93 <= share.share <= 0.97


@pytest.mark.parametrize("seed", trust.SEEDS[:2])
@pytest.mark.parametrize(("name", "effect"), [("ttft_p50", 0.05), ("ttft_p99", 0.10)])
def test_a_planted_effect_is_found_with_the_runs_that_the_plan_says(name: str, effect: float, seed: int) -> None:
    """The plan is for power .90; at least 87 % of 600 pairs are found; the README has three seeds more."""
    found = trust.planted(name, effect, draws=600, seed=seed)

    assert found.found.share >= 0.87


def test_one_run_a_side_never_fails_the_gate_whatever_the_effect() -> None:
    """Twice as slow, and still only INCONCLUSIVE with what would be needed."""
    rng = np.random.default_rng(3)
    for _ in range(50):
        comparison = trust.compared(
            simulation.numbers(simulation.Server(), rng, 1), simulation.numbers(simulation.Server(slower=2.0), rng, 1)
        )
        assert comparison.verdict == "inconclusive"
        assert "--repeats 5" in " ".join(comparison.notes)
