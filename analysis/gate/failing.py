"""A candidate that fails its requests: its runs are not valid for that alone, and that is what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analysis.checks.rule import Check
    from analysis.compare.comparison import Comparison
    from analysis.digest import Digest
    from analysis.gate.attained import Attained
    from analysis.gate.verdict import Played

FAILED_REQUESTS: Final = 14
"""The number of the check that looks at the share of failures."""

COUNTED: Final = frozenset({"error_rate", "goodput_per_s", "attainment"})
"""Metrics that count failures; all others are those of the requests that survived."""


def is_worse(
    baseline: Sequence[Digest],
    candidate: Sequence[Digest],
    comparison: Comparison | None,
    objectives: Sequence[Attained],
) -> bool:
    """Whether failed requests are all that keeps the candidate's runs from being valid, and by them it is worse."""
    if any(one.verdict == "invalid" for one in baseline) or not _is_failing(candidate):
        return False
    if comparison is not None and any(check.status == "invalid" for check in comparison.checks):
        return False
    lines = () if comparison is None else comparison.primary
    return any(line.place.metric in COUNTED and line.verdict == "regression" for line in lines) or any(
        one.metric in COUNTED and one.verdict == "missed" for one in objectives
    )


def _is_failing(candidate: Sequence[Digest]) -> bool:
    broken = [one for one in candidate if one.verdict == "invalid"]
    return bool(broken) and all({check.number for check in _invalid(one)} == {FAILED_REQUESTS} for one in broken)


def has_failed(runs: Iterable[Played]) -> bool:
    """Whether failed requests are among what keeps one of the runs from being valid."""
    return any(check.number == FAILED_REQUESTS for run in runs for check in _invalid(run))


def _invalid(run: Digest | Played) -> list[Check]:
    return [check for check in run.faults if check.status == "invalid"]
