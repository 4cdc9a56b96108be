"""Before a run: what it is going to do is shown, and asked about where somebody else's machine and money are meant."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from loadtests.plan import Plan
    from loadtests.profiles import Profile
    from loadtests.rundir import Remote


def confirm(profiles: Sequence[Profile], plan: Plan, *, yes: bool, rounds: int = 0) -> None:
    """Show the plan of a remote run; ask before more than the careful defaults is sent."""
    from loadtests.defaults import beyond_defaults
    from loadtests.forecast import outline
    from loadtests.targets import is_local

    for line in outline(profiles, plan, rounds):
        click.echo(line, err=True)
    more = beyond_defaults(profiles, plan)
    if rounds > 1:
        more.append(f"{rounds} rounds of that")
    if more and not yes:
        where = ", ".join(profile.base_url for profile in profiles if not is_local(profile))
        ask(f"{where} is remote, and this asks for {', '.join(more)}", "Send it?")


def ask(text: str, question: str) -> None:
    """
    Ask whether this is meant.

    Raises:
        click.UsageError: Nobody is there to be asked.
        click.Abort: It is not.
    """
    if not sys.stdin.isatty():
        raise click.UsageError(f"{text}; add --yes if that is intended")
    click.echo(text, err=True)
    click.confirm(question, abort=True, err=True)


def rehearse(profiles: Sequence[Profile], plan: Plan, out: Path, rounds: int, *, as_json: bool) -> None:
    """What a run would do and send, and its schedule as a picture, without sending anything."""
    from loadtests.cli.drawing import draw
    from loadtests.cli.output import dump
    from loadtests.forecast import forecast, outline

    examples = _examples(profiles[0], plan)
    drawn, sketched = draw(plan, out)
    if as_json:
        dump({
            "profiles": [profile.model_dump(mode="json") for profile in profiles],
            "arms": [asdict(arm) for arm in plan.arms], "plan": plan.to_json(),
            "worst_case": forecast(profiles, plan).to_json(), "examples": examples, "drawn": str(drawn),
        })  # fmt: skip
        return
    for line in [*outline(profiles, plan, rounds), "", *sketched]:
        click.echo(line)
    for kind, body in examples.items():
        click.echo(f"\n{kind} request, for example:\n{_pretty(body)}")
    click.echo(f"\nthe schedule as a picture: {os.path.relpath(drawn)}\nnothing was sent (--dry-run)")


def _examples(profile: Profile, plan: Plan) -> dict[str, Any]:
    """The body of the first streamed and of the first plain request, as it would go out to the first arm."""
    import orjson

    from loadtests.dialect import body_of

    source, arm = plan.source(), plan.arms[0]
    made = plan.open_schedule(source=source) if plan.mode == "open" else None
    found: dict[str, Any] = {}
    for place in range(100 if made is None else min(100, made.planned)):
        seq, size = (place, None) if made is None else (made.seq(place, 0), made.size_of(place))
        request = source.request(seq, a=place, size=size)
        kind = "streamed" if request.stream else "plain"
        if kind not in found:
            found[kind] = orjson.loads(body_of(profile, arm.model, arm.params, request))
        if len(found) == (2 if 0 < plan.streamed < 1 else 1):
            break
    return found


def _pretty(body: dict[str, Any]) -> str:
    """A body for reading: long texts are cut."""
    import orjson

    messages = [
        {key: value if len(str(value)) <= 80 else f"{str(value)[:79]}…" for key, value in message.items()}
        for message in body["messages"]
    ]
    return orjson.dumps({**body, "messages": messages}, option=orjson.OPT_INDENT_2).decode()


def argv() -> list[str]:
    """The command line as run.json keeps it."""
    from loadtests.guard import masked

    return ["firsttoken", *map(masked, sys.argv[1:])]


def refuse_key(profiles: Sequence[Profile], words: Mapping[str, Iterable[str | None]]) -> None:
    """
    Refuse a secret where run.json would keep it.

    Args:
        profiles: Those asked, whose secrets the guard knows.
        words: What was given, by its option.

    Raises:
        click.UsageError: Eight characters in a row of a secret are in one of them.
    """
    from loadtests.guard import leaks

    for option, given in words.items():
        if any(leaks(word) for word in given if word):
            keys = ", ".join(profile.auth.env for profile in profiles if profile.auth.env)
            whose = f"the key in {keys} or of the proxy's password" if keys else "a password"
            raise click.UsageError(f"{option} ...: holds a part of {whose}, and run.json would keep it; leave it out")


def stem(name: str) -> str:
    """The part of a run directory's name that says who was asked."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "run"


def labels_of(pairs: tuple[str, ...], option: str = "--label ") -> dict[str, str]:
    """`KEY=VALUE` pairs, and what they are called where one is refused."""
    from loadtests.redact import looks_secret

    labels = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise click.UsageError(f"{option}{pair!r}: write KEY=VALUE, for example {option}build=1234")
        if looks_secret(value):
            raise click.UsageError(
                f"{option}{key}=...: looks like a key, and labels are kept in run.json; leave it out"
            )
        labels[key] = value
    return labels


def objectives_of(values: tuple[str, ...]) -> tuple[str, ...]:
    """
    What the run promises, as texts; what decides nothing by itself is said.

    Raises:
        click.UsageError: A file without any.
        ObjectiveError: One that cannot be used.
    """
    if not values:
        return ()
    from analysis.objectives import read

    found = read(values)
    if not found.terms:
        raise click.UsageError(
            f'--objective {" ".join(values)}: holds no objective; write objectives = ["ttft_p95<2s"]'
        )
    for term in found.idle:
        fix = f"add attainment>99%, or give it a share: {term.word}_p99{term.op}..."
        click.echo(f"note: {term.text} defines a good request and decides nothing by itself; {fix}", err=True)
    return found.texts


JOIN_S = 300.0


def remote_of(given: dict[str, Any]) -> Remote | None:
    """
    Where the workers come from, if they are on other machines; None where they are processes here.

    Raises:
        UsageError: Options that only one of the two has.
    """
    from loadtests.rundir import Remote
    from loadtests.units import PORT

    if given["expect_workers"] is None:
        for option in ("bind", "join_within"):
            if given[option] is not None:
                name = f"--{option.replace('_', '-')}"
                raise click.UsageError(f"{name} is for workers on other machines; give --expect-workers N, or drop it")
        return None
    if given["workers"] is not None:
        raise click.UsageError("--workers are processes here, --expect-workers machines elsewhere; give one of the two")
    return Remote(given["bind"] or ("*", PORT), given["join_within"] or JOIN_S)
