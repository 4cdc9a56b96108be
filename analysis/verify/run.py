"""One run directory: its files, its rows, its settings, its judgement, its report."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from analysis import campaign, objectives
from analysis.rundir import RunError, is_unfinished
from analysis.summary import judge
from analysis.verify import files, judgement, rows, settings
from analysis.verify.found import Looked
from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from analysis.rundir import Run
    from analysis.summary import Judged

STRANGE: Final = (AttributeError, KeyError, TypeError, ValueError)
"""What comes of a list where a number should be."""


def about(folder: Path) -> dict[str, Any]:
    """
    The run.json of a finished run.

    Raises:
        RunError: There is no run, or one that is not finished.
    """
    if is_unfinished(folder):
        raise RunError(f"{folder}: the run is still on or was killed; `firsttoken repair {folder}` finishes it")
    path = folder / record.MANIFEST
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise RunError(f"{folder}: not a run directory (no {record.MANIFEST} in it)") from None
    except ValueError as error:
        raise RunError(f"{path}: not JSON ({error})") from None
    if not isinstance(found, dict):
        raise RunError(f"{path}: not a manifest of firsttoken")
    return found


def check(folder: Path, told: dict[str, Any]) -> Iterator[Looked]:
    """
    What can be said without judging: files, rows and settings.

    Args:
        folder: A run directory.
        told: Its run.json.
    """
    yield from files.check(folder, told)
    if not (folder / record.REQUESTS).is_file():
        why = "the rows were pruned" if files.PRUNED in told else "there are no rows"
        yield Looked(record.REQUESTS, note=f"{why}: nothing can be recomputed", missing=True)
        return
    try:
        found = list(rows.check(folder, told))
    except STRANGE as error:
        found = [Looked(record.REQUESTS, note=_why_strange(folder, told, error))]
    yield from found
    if not any(one.missing for one in found):
        yield settings.check(folder, told)


def judged_again(path: Path, texts: Sequence[str] | None = None) -> list[Judged]:
    """
    The arms of a run, called what they were called when they were judged last; its directory may have another name now.

    Args:
        path: A run directory.
        texts: What to hold them against; empty: what they were planned with; None: what they were held against last.

    Raises:
        RunError: It cannot be read.
    """
    try:
        return _all_judged(path, texts)
    except RunError:
        raise
    except STRANGE as error:
        raise RunError(_why_strange(path, about(path), error)) from None


def _why_strange(folder: Path, told: dict[str, Any], error: Exception) -> str:
    """That somebody has put another kind of value into run.json; what is no such thing is raised again."""
    if not settings.check(folder, told).differences:
        raise error
    return f"{record.MANIFEST} was changed so that nothing can be computed by it ({error})"


def _all_judged(path: Path, texts: Sequence[str] | None) -> list[Judged]:
    kept = [one for one in judgement.told(path) if isinstance(one.get("facts"), dict)]
    before = {str(one["facts"].get("arm", "")): one for one in kept}
    return [_judged(run, before.get(run.arm) or {}, texts) for run in campaign.runs_of(path)]


def _judged(run: Run, before: dict[str, Any], texts: Sequence[str] | None) -> Judged:
    name = (before.get("facts") or {}).get("name")
    promised = _kept(before.get("objectives")) if texts is None else texts
    found = objectives.read(promised or run.plan.get("objectives") or ())
    return judge(replace(run, label=str(name)) if name else run, found)


def _kept(texts: Any) -> Sequence[str]:
    """Objectives as quantiles.parquet has them; none where these are none."""
    try:
        return [objectives.parse(str(text)).text for text in texts or ()]
    except (objectives.ObjectiveError, TypeError):
        return ()


def held_against(judged: Sequence[Judged], texts: Sequence[str]) -> bool:
    """Whether these arms were held against this; against what they were planned with, where it is empty."""
    run, measured = judged[0].run, judged[0].measured
    return measured.objectives.texts == objectives.read(texts or run.plan.get("objectives") or ()).texts
