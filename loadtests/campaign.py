"""
A campaign: runs that belong together, in one folder.

Each round plays every arm once, as a run of its own, in an order drawn from the seed; the runs of a round have the same
seed, so the same arrivals and prompts, and every round another one. Arms that play together are one run a round.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import orjson
import pyarrow.parquet as pq

from loadtests.budget import BudgetError, spent
from loadtests.draws import draw
from loadtests.record import REQUESTS
from loadtests.rundir import Place as InCampaign
from loadtests.rundir import RunError, Setup, folder_of, point_latest
from loadtests.tally import Spend

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loadtests.plan import Plan

FILE: Final = "campaign.json"
SCHEMA_VERSION: Final = 1
JUDGE_S: Final = 300.0
"""How long a run may take to be judged before the next one: workers on other machines wait for that."""


@dataclass(slots=True)
class Entry:
    """
    One run of a campaign.

    Attributes:
        arm: Its name; all of them, parted by commas, where arms play together.
        state: `planned`, `done` or `stopped`.
    """

    folder: str
    arm: str
    round: int
    seed: int
    state: str = "planned"


class Campaign:
    """
    A campaign and its file.

    Args:
        setup: Of one run with all arms; each run of the campaign follows from it.
        repeats: Rounds.
        rest_s: Between two runs.
    """

    def __init__(self, setup: Setup, repeats: int, rest_s: float) -> None:
        self.setup, self.repeats, self.rest_s = setup, repeats, rest_s
        self.path: Path = folder_of(setup)
        self.entries = list(entries(setup, repeats))
        self._spent = Spend()
        self._write()
        point_latest(setup.out, self.path.name)

    def setups(self) -> Iterator[tuple[Entry, Setup]]:
        """
        What each run is made from, in the order in which they are played.

        The budgets are the campaign's: each run has what those before it have left.

        Raises:
            BudgetError: Nothing is left for the next run.
        """
        for entry in self.entries:
            yield entry, self._setup(entry)

    def done(self, entry: Entry, *, stopped: bool = False) -> None:
        """A run of it has ended."""
        if self.setup.plan.has_budget:
            columns = ["sent_ns", "input_tokens", "output_tokens", "output_cap", "cost_usd"]
            rows = pq.read_table(self.path / entry.folder / REQUESTS, columns=columns)
            self._spent = self._spent.plus(spent(rows))
        entry.state = "stopped" if stopped else "done"
        self._write()
        point_latest(self.setup.out, self.path.name)

    def _setup(self, entry: Entry) -> Setup:
        plan = self.setup.plan
        places = [place for place, arm in enumerate(plan.arms) if plan.together or arm.name == entry.arm]
        one = replace(
            plan, arms=tuple(plan.arms[place] for place in places), seed=entry.seed,
            salt=draw(f"salt {plan.salt} {entry.folder}").hex()[:8], **self._left(plan),
        )  # fmt: skip
        profiles = [self.setup.profiles[place] for place in places]
        place = InCampaign(self.path.name, entry.folder, entry.round)
        remote = self.setup.remote
        if remote is not None and entry is not self.entries[-1]:
            remote = remote._replace(again_s=self.rest_s + JUDGE_S)
        return replace(self.setup, plan=one, profiles=profiles, out=self.path, campaign=place, remote=remote)

    def _left(self, plan: Plan) -> dict[str, Any]:
        caps = {"requests": plan.budget_requests, "tokens": plan.budget_tokens, "cost": plan.budget_cost}
        left = {name: cap - getattr(self._spent, name) for name, cap in caps.items() if cap is not None}
        for name, value in left.items():
            if value <= 0:
                raise BudgetError(f"--budget-{name} {caps[name]:g} is spent by the runs so far; the campaign ends here")
        return {f"budget_{name}": value for name, value in left.items()}

    def to_json(self) -> dict[str, Any]:
        """As campaign.json keeps it."""
        return {
            "schema_version": SCHEMA_VERSION,
            "campaign_id": self.path.name,
            "name": self.setup.name,
            "argv": self.setup.argv,
            "labels": self.setup.labels,
            "arms": [arm.name for arm in self.setup.plan.arms],
            "repeats": self.repeats,
            "rest_s": self.rest_s,
            "seed": self.setup.plan.seed,
            "runs": [asdict(entry) for entry in self.entries],
        }

    def _write(self) -> None:
        partial = self.path / f"{FILE}.tmp"
        try:
            partial.write_bytes(orjson.dumps(self.to_json(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
            partial.replace(self.path / FILE)
        except OSError as error:
            raise RunError(f"{self.path}: {error.strerror or error}; the campaign cannot go on") from None


def entries(setup: Setup, repeats: int) -> Iterator[Entry]:
    """The runs of a campaign in the order in which they are played."""
    plan = setup.plan
    names = [",".join(arm.name for arm in plan.arms)] if plan.together else [arm.name for arm in plan.arms]
    width = max(2, len(str(repeats * len(names))))
    number = 0
    for round_ in range(repeats):
        for name in sorted(names, key=lambda name: draw(f"round {plan.seed} {round_} {name}")):
            number += 1
            yield Entry(f"{number:0{width}d}", name, round_, plan.seed + round_)
