"""A search for the capacity while it is played: the next step of each, its run, and what all of them say in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from loadtests.cli.after import gone_since
from loadtests.cli.found import draw, say_so_far, searched_code
from loadtests.cli.judged import judged_of
from loadtests.cli.output import console_of, dump, fail
from loadtests.cli.output import plain as one_or_all
from loadtests.cli.searches import Search, plain, promised, searches_of
from loadtests.cli.stepping import Playing
from loadtests.cli.stored import url_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from analysis.capacity.meaning import Asked as Wanted
    from analysis.capacity.meaning import Meaning
    from analysis.capacity.probe import Step
    from analysis.capacity.told import Told
    from analysis.summary import Judged
    from loadtests.campaign import Campaign, Entry
    from loadtests.exposed import Endpoint
    from loadtests.rundir import Setup


# The play.


def play(campaign: Campaign, wanted: Wanted, endpoint: Endpoint | None = None, *, report: bool, as_json: bool) -> int:
    """
    Play what is left of all searches, by turns, and say what they found.

    Returns:
        130 where it was stopped, 2 or 3 where it cannot go on; else what the answers mean, see `searched_code`.
    """
    from analysis.capacity.told import meanings as meanings_of
    from loadtests.watch import Interrupts

    with campaign, Interrupts() as interrupts:
        playing = Playing(campaign, interrupts, endpoint)
        searches, kept = begun(campaign)
        code = 0
        for search, entry in _turns(campaign, searches):
            found = playing.play(entry)
            if isinstance(found, int):
                code = found
                break
            if why := gone_since(campaign.path / entry.folder):
                campaign.done(entry, stopped=True)
                code = fail(f"{why}; that says nothing about its load", 3)
                break
            kept.append((entry, found[0]))
            _take(search, entry, found[0])
        interrupts.over = True
    told = _told(campaign, kept)
    if told is None:
        return code or 3
    if code:
        click.echo(
            f"firsttoken: the search is not over; continue: `firsttoken capacity --resume {campaign.path}`", err=True
        )
    meanings = meanings_of(told, wanted)
    _show([(told, meanings)], as_json=as_json)
    if report:
        draw(told, meanings)
    click.echo(f"campaign: {url_of(campaign.path) or campaign.path}", err=True)
    return code or searched_code(told.answers)


def begun(campaign: Campaign) -> tuple[list[Search], list[tuple[Entry, Judged]]]:
    """The searches of a campaign with what is over of them, and the runs that this rests on."""
    from analysis.capacity import point

    searches, kept = searches_of(campaign.setup, campaign.options), []
    for entry in campaign.entries:
        for search in searches:
            if search.holds(entry):
                search.turns += entry.state != "stopped"
                if entry.state == "done":
                    judged = judged_of(campaign.path / entry.folder)[0]
                    kept.append((entry, judged))
                    search.runs.append((entry.step or {}, point.of(judged)))
    return searches, kept


def _turns(campaign: Campaign, searches: Sequence[Search]) -> Iterator[tuple[Search, Entry]]:
    """What was cut short first; then the next step of the search that has had the fewest runs, until all are over."""
    texts = campaign.setup.plan.objectives
    for entry in list(campaign.planned()):
        yield next(search for search in searches if search.holds(entry)), entry
    while True:
        steps = ((search, search.following()) for search in sorted(searches, key=lambda one: one.turns))
        search, step = next(((search, step) for search, step in steps if step is not None), (None, None))
        if search is None or step is None:
            return
        _say(search, step)
        entry = campaign.add([plain(search, step, texts)], [search.turns], [search.arm])[0]
        search.turns += 1
        yield search, entry


def _take(search: Search, entry: Entry, judged: Judged) -> None:
    from analysis.capacity import point, show

    search.runs.append((entry.step or {}, point.of(judged)))
    click.echo(show.probe_line(search.probes[-1]), err=True)


def _say(search: Search, step: Step) -> None:
    from analysis.capacity import show
    from loadtests.cli.foretold import load_words

    whose = f"{search.arm}: " if search.arm != "default" else ""
    what = f"probe {step.number}, {step.kind}: {load_words({'mode': step.mode, 'load': float(f'{step.load:.4g}')})}"
    click.echo(f"{whose}{what}; {show.progress(search.probes, search.asked)}", err=True)


# What it says.


def _told(campaign: Campaign, kept: Sequence[tuple[Entry, Judged]]) -> Told | None:
    """All runs together; None where none is over."""
    from analysis.campaign import read
    from analysis.capacity import told

    if not kept:
        return None
    order = {entry.folder: place for place, entry in enumerate(campaign.entries)}
    pairs = sorted(kept, key=lambda pair: order[pair[0].folder])
    return told.of(read(campaign.path), [(entry.to_json(), judged) for entry, judged in pairs])


def _show(every: Sequence[tuple[Told, list[Meaning]]], *, as_json: bool) -> None:
    """What each campaign found, and where there are several, all of that side by side."""
    from analysis.capacity import show
    from analysis.capacity.beside import beside

    if as_json:
        dump(one_or_all([show.plain(told, meanings) for told, meanings in every]))
        return
    console = console_of()
    for told, meanings in every:
        show.render(told, console, meanings)
        console.print()
    if len(every) > 1:
        show.render_beside(beside([one for _, meanings in every for one in meanings]), console)


def tell(paths: Sequence[Path], objectives: Sequence[str], wanted: Wanted, *, as_json: bool) -> int:
    """Say again what campaigns found that are there, side by side, with other questions."""
    from analysis.capacity import told

    others = promised(objectives) if objectives else None
    every = [told.read(path, others) for path in paths]
    if sweeps := [str(one.path) for one in every if not one.answers]:
        raise click.UsageError(f"{sweeps[0]}: a sweep, which finds no capacity; `firsttoken summary` tells it")
    for one in [] if as_json else every:
        say_so_far(one)
    _show([(one, told.meanings(one, wanted)) for one in every], as_json=as_json)
    return searched_code([answer for one in every for answer in one.answers])


# Before it.


def outlined(setup: Setup, options: Mapping[str, Any]) -> list[str]:
    """What a search is going to do, in lines for people."""
    from loadtests.campaign import stepped
    from loadtests.forecast import forecast, outline

    count = len(searches_of(setup, options))
    most_s = options["probes"] * count * (options["duration"] + setup.plan.warmup_s + 10)
    by = {"rate": "arrivals per second", "concurrency": "users", "both": "arrivals per second, and by users"}
    load = (
        f"a search by {by[options['by']]}: {count} x at most {options['probes']} probes of {options['duration']:g} s or"
        f" more, to ±{100 * options['precision']:g} %"
    )
    alone = stepped(setup.plan, {"mode": "concurrency", "load": 1})  # as long as it takes, which only budgets bound
    lines = outline(setup.profiles, setup.plan, load=load, worst=forecast(setup.profiles, alone))
    return [*lines, f"time     about {most_s / 60:.0f} min, more where a probe has to be extended"]


def rehearse(setup: Setup, options: Mapping[str, Any], *, as_json: bool) -> None:
    """Show what would be played; nothing is sent."""
    if as_json:
        profiles = [profile.model_dump(mode="json") for profile in setup.profiles]
        dump({"profiles": profiles, "plan": setup.plan.to_json(), "options": dict(options)})
        return
    for line in outlined(setup, options):
        click.echo(line)
    click.echo("nothing was sent (--dry-run)")


def confirm(setup: Setup, options: Mapping[str, Any], *, yes: bool) -> None:
    """
    Show a search at a remote provider, and ask before it is played.

    Raises:
        click.UsageError: Nothing bounds it.
    """
    from loadtests.cli.before import ask
    from loadtests.targets import is_local

    remote = [profile.base_url for profile in setup.profiles if not is_local(profile)]
    if not remote:
        return
    if not setup.plan.has_budget:
        raise click.UsageError(
            f"{remote[0]} is remote, and how much a search sends is not known ahead; cap it with --budget-requests,"
            " --budget-tokens or --budget-cost"
        )
    for line in outlined(setup, options):
        click.echo(line, err=True)
    if not yes:
        ask(f"{', '.join(dict.fromkeys(remote))} is remote, and a search goes up to its limit", "Send it?")
