"""`firsttoken mock`: the embedded provider alone, for looking at, for scripts and for other tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from loadtests.mock.options import OPTIONS, settings_from

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
  firsttoken mock --port 8900 --error-rate 0.05 --fault http_429 --fault reset
  firsttoken run --base-url http://127.0.0.1:8900/v1 --profile vllm --model mock"""
)
@_with_options
def mock(**values: Any) -> int:
    """Start the embedded provider alone: OpenAI-style chat completions with seeded times and a log of what it sent.

    Prints one line of JSON with its port once it listens; Ctrl-C ends it.
    """
    from loadtests.mock.__main__ import announce
    from loadtests.mock.serve import serve

    try:
        serve(settings_from(values), announce)
    except (ValueError, OSError) as error:
        raise click.UsageError(str(error)) from None
    return 0
