"""`firsttoken profiles`: which providers are known, what one says, whether a file of your own is right."""

from __future__ import annotations

import os
import sys
from textwrap import wrap
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from loadtests.profiles import Profile

LABEL = 36
"""Characters of the widest label that still has its text beside it."""

JSON = click.option("--json", "as_json", is_flag=True, help="As JSON.")


@click.group(
    invoke_without_command=True,
    epilog="""\b
Examples:
  firsttoken profiles
  firsttoken profiles show morpheus
  firsttoken profiles check mine.toml""",
)
@JSON
@click.pass_context
def profiles(ctx: click.Context, *, as_json: bool) -> None:
    """List, show and check provider profiles.

    Without a sub-command: the list. A profile is a TOML file; `run --profile FILE` takes one of your own.
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_, as_json=as_json)


@profiles.command(
    "list",
    short_help="One line per shipped profile.",
    epilog="""\b
Examples:
  firsttoken profiles list
  firsttoken profiles list --json""",
)
@JSON
def list_(*, as_json: bool = False) -> None:
    """One line per shipped profile: what its facts rest on, its key, where requests go."""
    from loadtests.cli.output import dump
    from loadtests.profiles import load, names

    found = [load(name) for name in names()]
    if as_json:
        dump([profile.model_dump(mode="json") for profile in found])
        return
    _table(found, _console())


def _table(found: list[Profile], console: Console) -> None:
    from rich.text import Text

    rows = [("NAME", "PROVIDER", "FACTS", "KEY", "ADDRESS"), *map(_line, found)]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    for number, row in enumerate(rows):
        text = Text("  ".join([*(f"{row[i]:<{width}}" for i, width in enumerate(widths)), row[4]]))
        if number == 0:
            text.stylize("bold")
        text.highlight_regex(r", \d+\?|unverified", "yellow")
        console.print(text, soft_wrap=True)
    console.print("\nFACTS: where they come from, and how many nobody has verified.", style="dim")
    console.print("`firsttoken profiles show NAME` explains one; a file of your own works too.", style="dim")


def _line(profile: Profile) -> tuple[str, str, str, str, str]:
    doubts = f", {len(profile.unverified)}?" if profile.unverified else ""
    env = profile.auth.env
    key = "set" if env and os.environ.get(env, "").strip() else ("needed" if profile.auth.required else "-")
    where = "embedded" if profile.embedded else profile.base_url
    return profile.name, profile.title, f"{profile.verified}{doubts}", key, where


@profiles.command(
    short_help="Explain one profile in words.",
    epilog="""\b
Examples:
  firsttoken profiles show 8080
  firsttoken profiles show azure --json
  firsttoken profiles show ./mine.toml""",
)
@click.argument("name", metavar="NAME|FILE")
@JSON
def show(name: str, *, as_json: bool) -> None:
    """Explain one profile: what is sent, what is ignored or refused, what errors look like, what is unverified."""
    from loadtests.cli.output import dump
    from loadtests.profiles import load

    profile = load(name)
    if as_json:
        dump(profile.model_dump(mode="json"))
    else:
        _explain(profile, _console())


def _explain(profile: Profile, console: Console) -> None:
    from rich.text import Text

    from loadtests.cli.explained import VERIFIED, sections

    console.print(Text.assemble((profile.name, "bold"), f" — {profile.title}, {VERIFIED[profile.verified]}"))
    for heading, rows in sections(profile, os.environ):
        console.print(Text(f"\n{heading}", "bold"))
        width = min(max(len(label) for label, _ in rows), LABEL)
        for label, text in rows:
            _say(label, text, width, console)


def _say(label: str, text: str, width: int, console: Console) -> None:
    """A label and its text beside it, wrapped; without a label the text is an item of a list."""
    from rich.text import Text

    head = f"  {label:<{width}}  " if label else "  - "
    lines = wrap(text, console.width - len(head), break_long_words=False, break_on_hyphens=False) or [""]
    if len(label) > width:
        lines, head = ["", *lines], f"  {' ' * width}  "
    for number, line in enumerate(lines):
        start = (f"  {label:<{width}}  " if label else head) if number == 0 else " " * len(head)
        console.print(Text.assemble((start, "cyan"), line) if line else Text(start.rstrip(), "cyan"), soft_wrap=True)


@profiles.command(
    short_help="Check a profile file of your own.",
    epilog="""\b
Examples:
  firsttoken profiles check mine.toml
  firsttoken profiles check mine.toml --json""",
)
@click.argument("file", metavar="FILE")
@JSON
def check(file: str, *, as_json: bool) -> int:
    """Check a profile file of your own: a line for each mistake and exit code 2, else what to know about it."""
    from loadtests.cli.output import dump
    from loadtests.options import unpriced
    from loadtests.profiles import mistakes, warnings

    profile, found = mistakes(file)
    doubts = [*warnings(profile, os.environ), *filter(None, [unpriced(profile)])] if profile else []
    if as_json:
        dump({"file": file, "mistakes": found, "warnings": doubts})
        return 2 if found else 0
    for text in found:
        click.echo(f"firsttoken: {' '.join(text.split())}", err=True)
    if profile is None:
        return 2
    where = "embedded" if profile.embedded else profile.url
    click.echo(f"{file}: fine ({profile.name}, {where})")
    for text in doubts:
        click.echo(f"  {text}")
    return 0


def _console() -> Console:
    """Colours and the window's width on a terminal only; never wider than 100, for reading."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    console.width = min(console.width, 100) if sys.stdout.isatty() else 100
    return console
