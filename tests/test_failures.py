"""Failures by kind and by whose doing they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import synthetic

from analysis import failures, rundir, stats
from loadtests.record import ERROR_KINDS

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from loadtests import record


def test_every_kind_of_failure_is_of_one_family() -> None:
    named = [kind for kinds in failures.FAMILIES.values() for kind in kinds]

    assert sorted(named) == sorted(ERROR_KINDS)
    assert len(set(named)) == len(named)


def test_failures_are_told_the_most_frequent_first(tmp_path: Path) -> None:
    """Of 40 requests 10 were throttled and 4 reset; 2 never went out and are no part of the whole: 38."""

    def fail(row: record.Record, _: np.random.Generator) -> None:
        if row.seq % 4 == 0:
            row.outcome, row.error_kind, row.status, row.error = "error", "throttled", 429, "slow down"
        elif row.seq % 10 == 1:
            row.outcome, row.error_kind, row.status = "error", "reset", None
        elif row.seq in {2, 3}:
            row.outcome = "unsent"

    found = failures.of(rundir.load(synthetic.write(tmp_path / "r", synthetic.Recipe(n=40, change=fail))).requests)

    assert [(one.kind, one.family, one.n, one.status, one.said) for one in found] == [
        ("throttled", "rate limit", 10, 429, "slow down"), ("reset", "network", 4, None, ""),
    ]  # fmt: skip
    assert found[0].share == pytest.approx(10 / 38)
    assert (found[0].lo, found[0].hi) == pytest.approx(stats.wilson(10, 38))


def test_where_nothing_failed_there_is_nothing_to_tell(tmp_path: Path) -> None:
    run = rundir.load(synthetic.write(tmp_path / "r", synthetic.Recipe(n=5)))

    assert failures.of(run.requests) == ()
    assert failures.of(run.requests[:0]) == ()
