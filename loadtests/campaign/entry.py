"""One run of a campaign: which arm, in which round, and what it changes of the campaign's plan."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from loadtests.draws import draw

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from loadtests.plan import Plan
    from loadtests.profiles import Profile
    from loadtests.rundir import Setup

Step: TypeAlias = "dict[str, Any]"
"""
What a run changes of the campaign's plan, as plain JSON.

`mode` ("rate" or "concurrency") and `load` (arrivals per second, or users); `length_s`, `requests` and `live_limits`
where they are not the plan's; and whatever else whoever planned it wants to find again.
"""


@dataclass(slots=True)
class Entry:
    """
    One run of a campaign.

    Attributes:
        arm: Its name; all of them, parted by commas, where arms play together.
        state: `planned`, `done` or `stopped`; what was stopped may be played again as an entry of its own.
        step: None: the plan as it is.
    """

    folder: str
    arm: str
    round: int
    seed: int
    state: str = "planned"
    step: Step | None = None

    @property
    def what(self) -> tuple[str, int, Step | None]:
        """What is played: entries that have it in common are one, played again."""
        return self.arm, self.round, self.step

    def to_json(self) -> dict[str, Any]:
        """As campaign.json keeps it."""
        return {key: value for key, value in asdict(self).items() if key != "step" or value is not None}


def sides(plan: Plan) -> list[str]:
    """What the arms of the runs are called."""
    return [",".join(arm.name for arm in plan.arms)] if plan.together else [arm.name for arm in plan.arms]


def entries(
    plan: Plan, steps: Sequence[Step | None], rounds: Sequence[int], arms: Sequence[str] = (),
    known: Collection[Entry] = (),
) -> Iterator[Entry]:  # fmt: skip
    """
    Runs in the order in which they are played: each round every step with every arm, in an order drawn for it.

    Args:
        plan: Of the campaign.
        steps: None: the plan as it is.
        rounds: Each has a seed of its own, that of the plan and so many more.
        arms: As `sides` names them; none: all.
        known: What is planned already, and left aside.
    """
    pairs = [(name, step) for step in steps for name in arms or sides(plan)]
    old = [entry.what for entry in known]
    new = [
        (name, round_, step)
        for round_ in rounds
        for name, step in sorted(pairs, key=lambda pair: draw(f"round {plan.seed} {round_} {_words(*pair)}"))
        if (name, round_, step) not in old
    ]
    first = len({entry.folder.partition("-")[0] for entry in known}) + 1
    width = max(2, len(str(first + len(new) - 1)), *(len(entry.folder.partition("-")[0]) for entry in known))
    for number, (name, round_, step) in enumerate(new, first):
        yield Entry(f"{number:0{width}d}", name, round_, plan.seed + round_, step=step)


def _words(name: str, step: Step | None) -> str:
    """What the place of a run in its round is drawn by."""
    return name if step is None else f"{name} {step['mode']} {step['load']:g}"


def stepped(plan: Plan, step: Step | None) -> Plan:
    """The plan at a step of the load; a cap on its time moves with its end."""
    if step is None:
        return plan
    length_s = step.get("length_s", plan.duration_s)
    changes: dict[str, Any] = {"duration_s": length_s, "requests": step.get("requests", plan.requests)}
    if plan.budget_time_s is not None and length_s is not None and plan.duration_s is not None:
        changes["budget_time_s"] = plan.budget_time_s + max(0.0, length_s - plan.duration_s)
    if "live_limits" in step:
        changes["live_limits"] = tuple(step["live_limits"])
    if step["mode"] == "rate":
        return replace(plan, mode="open", rate=step["load"], concurrency=None, ramp_s=0.0, think=None, **changes)
    changes |= {"concurrency": int(step["load"]), "rate": None, "arrivals": "poisson", "max_in_flight": None}
    return replace(plan, mode="closed", **changes)


def parts_of(setup: Setup, entry: Entry) -> tuple[Plan, list[Profile]]:
    """The plan and the profiles of a run of a campaign: its arms alone, at its step, with its seed."""
    plan = stepped(setup.plan, entry.step)
    places = [place for place, arm in enumerate(plan.arms) if plan.together or arm.name == entry.arm]
    plan = replace(plan, arms=tuple(plan.arms[place] for place in places), seed=entry.seed)
    if setup.remote is None and plan.mode == "closed":  # each worker needs a user
        plan = replace(plan, workers=min(plan.workers, plan.closed_schedule().users))
    return plan, [setup.profiles[place] for place in places]
