"""`python -m loadtests.mock`: serve, and say where in one line of JSON on stdout."""

from __future__ import annotations

import argparse
import os
import sys

import orjson

from loadtests.mock.options import add_arguments, listing, settings_from
from loadtests.mock.serve import serve


def announce(port: int, scheme: str) -> None:
    """Print the line that whoever started the process waits for."""
    print(orjson.dumps({"port": port, "scheme": scheme, "pid": os.getpid()}).decode(), flush=True)  # noqa: T201  the contract


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; a mistake in it is one line on stderr and exit code 2."""
    parser = argparse.ArgumentParser("loadtests.mock", description="An OpenAI-style provider with known truth.")
    add_arguments(parser)
    parser.add_argument("--list", action="store_true", help="list providers and scenarios, and end")
    values = vars(parser.parse_args(arguments))
    if values["list"]:
        print("\n".join(listing()))  # noqa: T201  the command line prints
        return 0
    try:
        serve(settings_from(values), announce)
    except (ValueError, OSError) as error:
        print(f"mock: {error}", file=sys.stderr)  # noqa: T201  the command line prints
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
