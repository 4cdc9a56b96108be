"""The end of a run that Locust started: how long it was meant to be, why it ended, and its files."""

from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from loadtests import child, manifest
from loadtests.plan import TRACE, Plan
from loadtests.record import PARTS

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.stop import Stop

logger = logging.getLogger("firsttoken")


def finished(path: Path, stop: dict[str, str] | None) -> int:
    """Make the run's files in other processes and print its summary; the worst exit code, 3 where it is not valid."""
    code = 0
    for verb in ("repair", "report", "summary"):
        done = subprocess.run(  # noqa: S603 - our own module
            child.command("loadtests.cli", verb, str(path)), env=child.environment(), capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        code = code or done.returncode
        if verb == "repair" and not done.returncode and stop is not None:
            manifest.write(path, manifest.read(path) | {"stop": stop})
        if verb == "summary":
            sys.stdout.write(done.stdout)
        elif verb == "report" or done.returncode:
            logger.info("%s", (done.stdout or done.stderr).strip())
    return code


def why_ended(stopping: Stop | None, plan: Plan, *, cut: bool) -> dict[str, str] | None:
    """
    Why a run ended before its plan did, as run.json keeps it; None where it didn't.

    A schedule that Locust cut is a shorter one; turns that were still to come are not, since nobody knows when.
    """
    if stopping is not None:
        return {"reason": stopping.word, "text": stopping.text}
    if cut and plan.mode == "open" and plan.has_conversations:
        return {"reason": "run_time", "text": "by Locust, with conversations under way (--run-time, or by hand)"}
    return None


def shorten(path: Path, last_due_ns: int) -> None:
    """A test that was stopped by hand had no longer schedule than that: what would have come is not missing."""
    about, inputs = manifest.read(path), path / PARTS
    plan = Plan.from_manifest(about)
    if plan.mode != "open" or last_due_ns < 0:
        return
    schedule = plan.open_schedule(inputs)
    if last_due_ns >= schedule.offsets_ns[-1]:
        return
    plan = replace(plan, duration_s=(last_due_ns + 1) / 1e9)
    if plan.trace is not None:
        plan.open_schedule().save(inputs / TRACE)
    manifest.write(path, about | {"plan": plan.to_json(), "planned": plan.open_schedule(inputs).requests})
