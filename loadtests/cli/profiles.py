"""`firsttoken profiles`: which providers are known, what one says, whether a file of one's own is right."""

from __future__ import annotations

import click


@click.group(invoke_without_command=True)
@click.pass_context
def profiles(ctx: click.Context) -> None:
    """List, show and check provider profiles.

    Without a sub-command: the list. A profile is a TOML file; `run --profile FILE` takes one of your own.
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_)


@profiles.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_(as_json: bool = False) -> None:
    """One line per shipped profile."""
    from loadtests.cli.judge import dump
    from loadtests.profiles import load, names

    found = [load(name) for name in names()]
    if as_json:
        dump([profile.model_dump(mode="json") for profile in found])
        return
    width = max(len(profile.name) for profile in found)
    for profile in found:
        where = "embedded" if profile.embedded else profile.base_url
        click.echo(f"{profile.name:<{width}}  {profile.title:<36}  {profile.verified:<10}  {where}")


@profiles.command()
@click.argument("name")
def show(name: str) -> None:
    """Everything one profile says, as JSON."""
    from loadtests.cli.judge import dump
    from loadtests.profiles import load

    dump(load(name).model_dump(mode="json"))


@profiles.command()
@click.argument("file")
def check(file: str) -> None:
    """Check a profile file of your own; a mistake is one line and exit code 2."""
    from loadtests.profiles import load

    profile = load(file)
    click.echo(f"{file}: fine ({profile.name}, {profile.url or 'embedded'})")
