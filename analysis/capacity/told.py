"""A campaign of many loads as it lies on disk: its runs as points, their curves, and what a search of them says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analysis import campaign, server
from analysis.capacity import carried, curve, knee, point
from analysis.capacity import probe as probing
from analysis.capacity.answer import conclude
from analysis.capacity.meaning import mean
from analysis.capacity.probe import Step
from analysis.rundir import RunError
from analysis.summary import judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from analysis.capacity.answer import Answer
    from analysis.capacity.curve import Curve
    from analysis.capacity.meaning import Asked, Meaning
    from analysis.capacity.point import Mode, Point
    from analysis.capacity.probe import Probe
    from analysis.facts import Facts
    from analysis.objectives import Objectives
    from analysis.server import Served
    from analysis.summary import Judged

KINDS = ("sweep", "capacity")


@dataclass(frozen=True, slots=True)
class Told:
    """
    A sweep, or a search for the capacity.

    Attributes:
        kind: `sweep` or `capacity`.
        objectives: What its runs were held against, as texts.
        facts: The circumstances of the first run of each arm.
        points: Its runs in the order of time.
        answers: Of a search: one for each arm and each way of loading it.
        served: By a run's folder, what its server said of itself, where it was asked.
        said: The same over its window, with what follows.
        manifest: campaign.json.
    """

    path: Path
    kind: str
    objectives: tuple[str, ...]
    facts: Mapping[str, Facts]
    points: tuple[Point, ...]
    curves: Mapping[str, Curve]
    answers: tuple[Answer, ...]
    served: Mapping[str, Served]
    said: Mapping[str, server.Told]
    manifest: campaign.Campaign

    @property
    def is_over(self) -> bool:
        """Whether all runs that were planned are done; else what it tells is its state so far."""
        return all(run.get("state") == "done" for run in self.manifest.runs)

    @property
    def name(self) -> str:
        """What it is called in sentences."""
        return "search" if self.kind == "capacity" else "sweep"


def is_told(path: Path) -> bool:
    """Whether a sweep or a search lies there."""
    return campaign.is_campaign(path) and campaign.read(path).kind in KINDS


def read(path: Path, objectives: Objectives | None = None) -> Told:
    """
    Read and judge all its runs that are over.

    Args:
        path: A campaign's folder.
        objectives: What to hold its runs against; None: what they were played with.

    Raises:
        RunError: No campaign of many loads, or none of its runs is over.
    """
    if not is_told(path):
        raise RunError(f"{path}: not a sweep or a search; `firsttoken sweep` and `firsttoken capacity` make them")
    about = campaign.read(path)
    over = [run for run in about.runs if run.get("state") == "done" and run.get("step")]
    if not over:
        raise RunError(f"{path}: none of its runs has finished yet")
    pairs = [(run, judged) for run in over for judged in _judged(about.path / str(run["folder"]), objectives)]
    return of(about, pairs)


def of(about: campaign.Campaign, pairs: Sequence[tuple[Mapping[str, Any], Judged]]) -> Told:
    """
    The same of runs that are judged already.

    Args:
        about: The campaign.
        pairs: Each run that is over, as campaign.json tells it, with its judgement; of arms that were played together
            a pair each.
    """
    points = [(run["step"], point.of(judged)) for run, judged in pairs]
    facts: dict[str, Facts] = {}
    served = {}
    for run, judged in pairs:
        facts.setdefault(judged.run.arm, judged.summary.facts)
        if (told := server.read(judged.run)) is not None:
            served[str(run["folder"])] = told
    return Told(
        path=about.path,
        kind=about.kind,
        objectives=next((judged.measured.objectives.texts for _, judged in pairs), ()),
        facts=facts,
        points=tuple(one for _, one in points),
        curves=curve.curves(one for step, one in points if step.get("kind") != "base"),
        answers=_answers(points) if about.kind == "capacity" else (),
        served=served,
        said={str(run["folder"]): one.summary.server for run, one in pairs if one.summary.server is not None},
        manifest=about,
    )


def meanings(told: Told, asked: Asked | None = None) -> list[Meaning]:
    """What each answer means beside what was asked; of a rate with the knee of its curve, where the probes tell one."""
    return [mean(answer, asked, _knee(told, answer)) for answer in told.answers]


def _knee(told: Told, answer: Answer) -> float | None:
    """Requests a second from which on waiting grows out of proportion: where it doubled, else by the curve's shape."""
    mine = [one for one in told.curves.values() if (one.arm, one.mode) == (answer.arm, "rate")]
    if answer.mode != "rate" or not mine:
        return None
    found = knee.knee(mine[0])
    at = found.double.load if found.double.load is not None else found.bend.load
    return at if at is None or answer.best is None else at * carried.turns_of(answer.best)


def _judged(folder: Path, objectives: Objectives | None) -> list[Judged]:
    return [judge(run, objectives) for run in campaign.runs_of(folder)]


def _answers(points: Sequence[tuple[Mapping[str, Any], Point]]) -> tuple[Answer, ...]:
    """One of each search, by arm and by what was searched for."""
    found = []
    for arm in dict.fromkeys(one.arm for _, one in points):
        mine = [(step, one) for step, one in points if one.arm == arm]
        for search in dict.fromkeys(str(step["search"]) for step, _ in mine):
            probes = probes_of((step, one) for step, one in mine if step["search"] == search)
            texts = tuple(term.text for term in probes[0].terms)
            found.append(conclude(probes, _mode(search), arm, texts))
    return tuple(found)


def _mode(search: str) -> Mode:
    return "concurrency" if search == "concurrency" else "rate"


def probes_of(points: Iterable[tuple[Mapping[str, Any], Point]]) -> list[Probe]:
    """
    The probes of one search of one arm, in their order.

    Args:
        points: Its runs, each with its step as campaign.json keeps it.
    """
    steps: dict[int, Mapping[str, Any]] = {}
    runs: dict[int, list[Point]] = {}
    for step, one in points:
        steps.setdefault(int(step["number"]), step)
        runs.setdefault(int(step["number"]), []).append(one)
    return [probing.of(step_of(steps[number]), runs[number]) for number in sorted(steps)]


def step_of(told: Mapping[str, Any]) -> Step:
    """A step as campaign.json keeps it."""
    return Step(int(told["number"]), told["mode"], float(told["load"]), told["kind"], float(told["length_s"]))
