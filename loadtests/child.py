"""Python processes of our own: started with the same interpreter, and with this code and no namesake of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

_HOME: Final = str(Path(__file__).resolve().parent.parent)


def command(module: str, *arguments: str) -> list[str]:
    """The command line of a module of ours; -P, so that a folder called loadtests where the user stands is not it."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment() -> dict[str, str]:
    """This process' environment, with our home first on the path."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (_HOME, os.environ.get("PYTHONPATH"))))}
