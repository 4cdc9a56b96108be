"""`firsttoken mock`: the embedded mock provider on its own, for looking at, for scripts and for other tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from loadtests.mock.options import OPTIONS, listing, settings_from

if TYPE_CHECKING:
    from collections.abc import Callable


def _with_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The mock's own option table as click's options."""
    for option in reversed(OPTIONS):
        kwargs: dict[str, Any] = {"help": option.help}
        if option.kind is bool:
            kwargs["is_flag"] = True
        else:
            kwargs |= {"type": click.Choice(option.choices) if option.choices else option.kind}
            kwargs |= {"metavar": option.metavar} if option.metavar else {}
            if option.is_repeatable:
                kwargs["multiple"] = True
            else:
                kwargs |= {"default": option.default, "show_default": option.default is not None}
        command = click.option(option.flag, option.name, **kwargs)(command)
    return command


@click.command(
    epilog="""\b
Examples:
  firsttoken mock --port 8900
  firsttoken run --base-url http://127.0.0.1:8900/v1 --profile vllm --model mock

\b
A documented provider, with a log of what was asked and which of its rules that broke:
  firsttoken mock --port 8900 --provider meingpt --request-log asked.jsonl
  firsttoken mock --port 8900 --provider morpheus --cold-session 3

\b
Things that go wrong: in one of twenty requests, as a named scenario, or as each request asks:
  firsttoken mock --port 8900 --error-rate 0.05 --fault http_429 --fault reset
  firsttoken mock --port 8900 --scenario named_events --scenario cut --scenario-share 0.5
  firsttoken mock --list
  curl -N http://127.0.0.1:8900/v1/chat/completions -H 'X-Mock-Scenario: error_vllm' \\
       -d '{"model":"mock","stream":true,"messages":[{"role":"user","content":"hi"}]}'

\b
As fast as possible, the same bytes for every request; both sigmas must be 0:
  firsttoken mock --port 8900 --prepared --ttft-sigma 0 --gap-sigma 0"""
)
@_with_options
@click.option("--list", "lists", is_flag=True, help="list providers and scenarios, and exit")
def mock(lists: bool, **values: Any) -> int:
    """Start the embedded mock provider on its own: chat completions with seeded times and a log of what it sent.

    Prints one line of JSON with its port once it listens; Ctrl-C ends it. --provider makes it play one of the providers
    that profiles exist for, --scenario one of the ways in which streams and errors differ or go wrong.
    """
    from loadtests.mock.__main__ import announce
    from loadtests.mock.serve import serve

    if lists:
        click.echo("\n".join(listing()))
        return 0
    try:
        serve(settings_from(values), announce)
    except (ValueError, OSError) as error:
        raise click.UsageError(str(error)) from None
    return 0
