"""What a campaign is going to do, before it does: which runs, for how long, and what they may take at most."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from loadtests.campaign import Entry, Step
    from loadtests.forecast import Forecast
    from loadtests.plan import Plan
    from loadtests.rundir import Setup

OVERHEAD_S: Final = 3.0
"""Of a run, beside its schedule and the rest before it: workers come up, the last answers come in, it is judged."""


def load_words(step: Step) -> str:
    """A load for people."""
    load, users = step["load"], "user" if step["load"] == 1 else "users"
    return f"{load:g}/s" if step["mode"] == "rate" else f"{load:g} {users}"


def length_s(plan: Plan) -> float | None:
    """How long the schedule of a run is; None where only its answers say."""
    if plan.duration_s is not None and plan.requests is None:
        return plan.duration_s
    return plan.open_schedule().length_s if plan.mode == "open" else plan.duration_s


def seconds(setup: Setup, entries: Iterable[Entry], rest_s: float, overhead_s: float = OVERHEAD_S) -> float:
    """About how long these runs take; what only answers bound counts as the time that nothing takes."""
    from loadtests.campaign import stepped

    lengths: dict[str, float] = {}
    found = 0.0
    for entry in entries:
        key = str(entry.step)
        if key not in lengths:
            lengths[key] = length_s(stepped(setup.plan, entry.step)) or 0.0
        found += lengths[key] + rest_s + overhead_s
    return found


def time_words(value_s: float) -> str:
    """A length of time for people, as exactly as an estimate is."""
    if value_s < 90:
        return f"{max(1, round(value_s))} s"
    return f"{value_s / 60:.0f} min" if value_s < 5400 else f"{value_s / 3600:.1f} h"


def worst_case(setup: Setup, entries: Iterable[Entry]) -> Forecast:
    """What these runs may take at most, at least one; budgets in tokens and money may cut it short."""
    from loadtests.campaign import parts_of
    from loadtests.forecast import forecast, total

    first: dict[str, Entry] = {}
    counts: Counter[str] = Counter()
    for entry in entries:
        key = f"{entry.arm} {entry.step}"
        counts[key] += 1
        first.setdefault(key, entry)
    each = []
    for key, entry in first.items():
        plan, profiles = parts_of(setup, entry)
        each += [forecast(profiles, plan)] * counts[key]
    return total(each, setup.plan.budget_requests)


def outlined(setup: Setup, entries: Sequence[Entry], rest_s: float, worst: Forecast) -> list[str]:
    """The runs of a campaign in lines for people."""
    from loadtests.forecast import outline

    steps = {load_words(entry.step): entry.step["load"] for entry in entries if entry.step is not None}
    loads, rounds = sorted(steps, key=lambda words: steps[words]), len({entry.round for entry in entries})
    each_s = {length_s(setup.plan)} if setup.plan.requests is None else set()
    runs = (
        f"{len(entries)} run{'s' * (len(entries) != 1)}{''.join(f' of {s:g} s' for s in each_s if s)} in random order"
    )
    load = f"a sweep of {', '.join(loads)}; {rounds} round{'s' * (rounds != 1)}, {runs}" if loads else ""
    least = "about" if length_s(setup.plan) is not None else "more than"
    took = time_words(seconds(setup, entries, rest_s))
    return [
        *outline(setup.profiles, setup.plan, rounds, load=load, worst=worst),
        f"time     {least} {took}, plus what the last answers of each run take",
    ]


def rehearse(setup: Setup, entries: Sequence[Entry], rest_s: float, *, as_json: bool) -> None:
    """Show what would be played, how long it takes and what it may cost; nothing is sent."""
    from loadtests.cli.output import dump

    worst = worst_case(setup, entries) if entries else None
    if as_json:
        dump(_plain(setup, entries, rest_s, worst))
        return
    if worst is None:
        click.echo("no runs are left to make (--dry-run)")
        return
    for line in outlined(setup, entries, rest_s, worst):
        click.echo(line)
    several = len(setup.plan.arms) > 1 and not setup.plan.together
    for round_, played in groupby(entries, key=lambda entry: entry.round):
        order = (load_words(one.step or {}) + (f" {one.arm}" if several else "") for one in played)
        click.echo(f"round {round_ + 1}  {', '.join(order)}")
    click.echo("nothing was sent (--dry-run)")


def _plain(setup: Setup, entries: Sequence[Entry], rest_s: float, worst: Forecast | None) -> dict[str, Any]:
    return {
        "profiles": [profile.model_dump(mode="json") for profile in setup.profiles],
        "plan": setup.plan.to_json(),
        "runs": [entry.to_json() for entry in entries],
        "rest_s": rest_s,
        "seconds": seconds(setup, entries, rest_s),
        "worst_case": worst and worst.to_json(),
    }


def confirm(setup: Setup, entries: Sequence[Entry], rest_s: float, *, yes: bool) -> None:
    """Show the runs of a remote campaign, all of them together; ask before they are sent."""
    from loadtests.cli.before import ask
    from loadtests.targets import is_local

    remote = [profile.base_url for profile in setup.profiles if not is_local(profile)]
    if not remote or not entries:
        return
    worst = worst_case(setup, entries)
    for line in outlined(setup, entries, rest_s, worst):
        click.echo(line, err=True)
    if not yes:
        what = f"this asks for {len(entries)} runs: {worst.line()}"
        ask(f"{', '.join(dict.fromkeys(remote))} is remote, and {what}", "Send it?")
