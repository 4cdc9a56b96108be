"""
May this run be believed? The checks of a run against itself, and the verdict that follows.

A failed check hides no number: it stamps the table, the charts, the report and the exit code.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from analysis.checks import answers, client, completeness, host, load
from analysis.checks.rule import Check, evidence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analysis.rundir import Run
    from analysis.window import Window

Verdict = Literal["valid", "doubtful", "invalid"]
VERDICTS: Final[tuple[str, ...]] = get_args(Verdict)
"""From the best to the worst."""

SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Validity:
    """All checks of a run and what follows from them."""

    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of the checks."""
        found = {check.status for check in self.checks}
        return "invalid" if "invalid" in found else "doubtful" if "doubtful" in found else "valid"

    @property
    def faults(self) -> tuple[Check, ...]:
        """The checks that keep the run from being valid, the worst first."""
        faults = [check for check in self.checks if check.status in {"doubtful", "invalid"}]
        return tuple(sorted(faults, key=lambda check: check.status != "invalid"))

    def to_json(self) -> dict[str, Any]:
        """What validity.json holds."""
        return {
            "schema_version": SCHEMA_VERSION,
            "verdict": self.verdict,
            "checks": [asdict(check) for check in self.checks],
        }


def worst(of: Iterable[Validity]) -> Validity:
    """The one with the worst verdict, the first of equals."""
    return max(of, key=lambda one: VERDICTS.index(one.verdict))


def worst_word(verdicts: Iterable[str]) -> str:
    """The same of verdicts as words."""
    return max(verdicts, key=VERDICTS.index)


def examine(run: Run, window: Window) -> Validity:
    """Every check, in order of number."""
    seen = evidence(run, window)
    every = (*client.CHECKS, *host.CHECKS, *load.CHECKS, *answers.CHECKS, *completeness.CHECKS)
    checks = (check(seen) for check in every)
    return Validity(tuple(sorted(checks, key=lambda check: check.number)))
