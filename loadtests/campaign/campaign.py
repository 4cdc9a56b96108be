"""
A campaign: planned, played run by run, and gone on with where it was interrupted.

Each round plays every step with every arm once, as a run of its own, in an order drawn from the seed; the runs of a
round have the same seed, so the same prompts and, at the same load, the same arrivals, and every round another one.
Arms that play together are one run. More may be planned while it is played.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import pyarrow.parquet as pq

from loadtests.budget import BudgetError, spent
from loadtests.campaign import file
from loadtests.campaign.entry import Entry, Step, entries, parts_of
from loadtests.campaign.leftover import left_over
from loadtests.draws import draw
from loadtests.record import REQUESTS
from loadtests.rundir import Place as InCampaign
from loadtests.rundir import Setup, folder_of, point_latest
from loadtests.tally import Spend

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from loadtests.plan import Plan

JUDGE_S = 300.0
"""How long a run may take to be judged before the next one: workers on other machines wait for that."""


class Campaign:
    """
    A campaign and its file; its folder is held until it is closed.

    Args:
        path: Its folder.
        setup: Of one run with all arms; each run of the campaign follows from it.
        rest_s: Between two runs.
        kind: `repeats`, `sweep` or `capacity`.
        options: What its verb needs to know to go on with it, as plain JSON.
        runs: Those that are planned or over.

    Raises:
        RunError: Somebody else holds the folder.
    """

    def __init__(
        self, path: Path, setup: Setup, rest_s: float, kind: str, options: dict[str, Any], runs: Iterable[Entry] = ()
    ) -> None:
        self.path, self.setup, self.rest_s, self.kind, self.options = path, setup, rest_s, kind, options
        self.entries = list(runs)
        self._spent = Spend()
        self._held: int | None = file.hold(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let others have it."""
        if self._held is not None:
            file.let_go(self._held)
            self._held = None

    @classmethod
    def begin(
        cls, setup: Setup, repeats: int, rest_s: float, *, kind: str = "repeats",
        options: dict[str, Any] | None = None, steps: Sequence[Step | None] = (None,),
    ) -> Self:  # fmt: skip
        """
        A new one in a folder of its own, with so many rounds of these steps planned; without steps, none.

        Raises:
            RunError: The folder cannot be made.
        """
        campaign = cls(folder_of(setup), setup, rest_s, kind, options or {})
        campaign.add(steps, range(repeats))
        point_latest(setup.out, campaign.path.name)
        return campaign

    @classmethod
    def resume(cls, path: Path, kind: str) -> Self:
        """
        One that was interrupted: what is done is kept, what was cut short is finished as it is and planned again.

        Raises:
            RunError: No campaign of this kind, one of an earlier version, or somebody else holds it.
            RunIsOnError: The workers of a run of it are still at it.
        """
        told, folder = file.read(path, kind), path.resolve()
        runs = [Entry(**entry) for entry in told["runs"]]
        campaign = cls(
            folder, file.setup_of(folder, told), told["rest_s"], told["kind"], told.get("options") or {}, runs
        )
        try:
            campaign._take_up()
        except BaseException:
            campaign.close()
            raise
        return campaign

    def _take_up(self) -> None:
        """See what is there of each run, and plan again what was cut short."""
        for entry in self.entries:
            if entry.state == "planned" and (self.path / entry.folder).exists():
                entry.state = left_over(self.path / entry.folder)
        for entry in [entry for entry in self.entries if entry.state == "stopped"]:
            if not any(other.what == entry.what and other.state != "stopped" for other in self.entries):
                again = replace(entry, folder=self._unused(entry.folder), state="planned")
                self.entries.insert(self.entries.index(entry) + 1, again)
        for entry in self.entries:
            self._count(entry)
        self.keep()

    def _unused(self, folder: str) -> str:
        """A folder for it again. Those that follow keep theirs, and with it the salt of their prompts."""
        stem, taken = folder.partition("-")[0], {entry.folder for entry in self.entries}
        return next(name for n in range(2, 1000) if (name := f"{stem}-{n}") not in taken)

    # What it plays.

    def add(self, steps: Sequence[Step | None], rounds: Sequence[int], arms: Sequence[str] = ()) -> list[Entry]:
        """Plan more, see `entries`; what is planned already is left aside. Returns the new ones."""
        made = list(entries(self.setup.plan, steps, rounds, arms, self.entries))
        self.extend(made)
        return made

    def extend(self, runs: Iterable[Entry]) -> None:
        """Plan these behind all others."""
        self.entries += runs
        self.keep()

    @property
    def steps(self) -> list[Step]:
        """What its runs change of the plan, each once, in the order in which they were first played."""
        found: list[Step] = []
        for entry in self.entries:
            if entry.step is not None and entry.step not in found:
                found.append(entry.step)
        return found

    @property
    def repeats(self) -> int:
        """How many rounds are planned."""
        return max((entry.round + 1 for entry in self.entries), default=0)

    def planned(self) -> Iterator[Entry]:
        """What is still to be played, in that order; what is added meanwhile too."""
        yield from (entry for entry in self.entries if entry.state == "planned")

    def place(self, entry: Entry) -> str:
        """Which of how many it is, as `3 of 12`; what was cut short, and is played again, counts once."""
        alive = [one.folder for one in self.entries if one is entry or one.state != "stopped"]
        return f"{alive.index(entry.folder) + 1} of {len(alive)}"

    def setup_of(self, entry: Entry) -> Setup:
        """
        What a run of it is made from. The budgets are the campaign's: it has what those before it have left.

        Raises:
            BudgetError: Nothing is left for it.
        """
        (plan, profiles), remote = parts_of(self.setup, entry), self.setup.remote
        salt = draw(f"salt {plan.salt} {entry.folder}").hex()[:8]
        plan = replace(plan, salt=salt, **self._left(plan))
        if remote is not None and (self.kind == "capacity" or entry is not self.entries[-1]):
            remote = remote._replace(again_s=self.rest_s + JUDGE_S)
        here = InCampaign(self.path.name, entry.folder, entry.round)
        return replace(self.setup, plan=plan, profiles=profiles, out=self.path, campaign=here, remote=remote)

    def done(self, entry: Entry, *, stopped: bool = False) -> None:
        """A run of it has ended."""
        entry.state = "stopped" if stopped else "done"
        self._count(entry)
        self.keep()
        point_latest(self.setup.out, self.path.name)

    # What it may spend.

    def _count(self, entry: Entry) -> None:
        """What a run that is over has spent."""
        rows = self.path / entry.folder / REQUESTS
        if self.setup.plan.has_budget and entry.state != "planned" and rows.is_file():
            columns = ["sent_ns", "input_tokens", "output_tokens", "output_cap", "cost_usd"]
            self._spent = self._spent.plus(spent(pq.read_table(rows, columns=columns)))

    def _left(self, plan: Plan) -> dict[str, Any]:
        caps = {"requests": plan.budget_requests, "tokens": plan.budget_tokens, "cost": plan.budget_cost}
        left = {name: cap - getattr(self._spent, name) for name, cap in caps.items() if cap is not None}
        for name, value in left.items():
            if value <= 0:
                raise BudgetError(f"--budget-{name} {caps[name]:g} is spent by the runs so far; the campaign ends here")
        return {f"budget_{name}": value for name, value in left.items()}

    # Its file.

    def to_json(self) -> dict[str, Any]:
        """As campaign.json keeps it."""
        return {
            "schema_version": file.SCHEMA_VERSION,
            "campaign_id": self.path.name,
            "kind": self.kind,
            "options": self.options,
            "repeats": self.repeats,
            "rest_s": self.rest_s,
            **file.facts_of(self.setup),
            "runs": [entry.to_json() for entry in self.entries],
        }

    def keep(self) -> None:
        """
        Write the file as it is now.

        Raises:
            RunError: It cannot be written.
        """
        file.write(self.path, self.to_json())
