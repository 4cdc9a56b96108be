"""
What `firsttoken calibrate` found, kept in the user's cache: this machine's limits, which every later run is held to.

One JSON file, `$XDG_CACHE_HOME/firsttoken/calibration.json` (`~/.cache` where that is unset). A file of another
machine, kernel, Python or firsttoken says nothing about this one and counts as none, and so does one that cannot be
read.

Format history:
    1  first version.
"""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from loadtests import __version__, manifest

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Limit:
    """The most per second that one load-making process did cleanly; `at_least`: the provider gave out before it."""

    per_s: float
    at_least: bool


@dataclass(frozen=True, slots=True)
class Calibration:
    """
    The limits of one load-making process on one machine.

    Attributes:
        date: Day and time in UTC, ISO 8601.
        events: Socket reads with bytes of streamed answers; None where not even the lowest rung was clean.
        requests: Whole answers; the same.
        rungs: The rows of the table, for people to look at again.
    """

    host: dict[str, Any]
    date: str
    events: Limit | None
    requests: Limit | None
    rungs: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As kept, and as `firsttoken calibrate --json` prints it."""
        limits = {"events_per_s": self.events, "requests_per_s": self.requests}
        return {
            "version": VERSION,
            "date": self.date,
            "host": self.host,
            "limits": {name: None if limit is None else asdict(limit) for name, limit in limits.items()},
            "rungs": self.rungs,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Calibration:
        """
        From what was kept.

        Raises:
            KeyError, TypeError, ValueError: It is something else.
        """
        limits = {name: None if it is None else Limit(float(it["per_s"]), bool(it["at_least"]))
                  for name, it in value["limits"].items()}  # fmt: skip
        if any(it is not None and not 0 < it.per_s < float("inf") for it in limits.values()):
            raise ValueError("a limit that is none")
        return cls(
            dict(value["host"]),
            str(value["date"]),
            limits["events_per_s"],
            limits["requests_per_s"],
            list(value["rungs"]),
        )


def fingerprint() -> dict[str, Any]:
    """What a calibration holds for: the machine, and what runs on it."""
    host = manifest.host()
    return {
        "cpu": host["cpu"],
        "cpus": host["cpus"],
        "kernel": host["kernel"],
        "python": platform.python_version(),
        "firsttoken": __version__,
    }


def place() -> Path:
    """Where the file is."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    cache = Path(base) if base.startswith("/") else Path.home() / ".cache"
    return cache / "firsttoken" / "calibration.json"


def keep(calibration: Calibration) -> Path:
    """
    Write the file whole or not at all; returns its path.

    Raises:
        OSError: It cannot be written.
    """
    path = place()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(orjson.dumps(calibration.to_json(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def find() -> Calibration | None:
    """The calibration of this machine; None where there is none that holds for it."""
    try:
        value = orjson.loads(place().read_bytes())
        if value["version"] != VERSION:
            return None
        found = Calibration.from_json(value)
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, AttributeError):
        return None
    return found if found.host == fingerprint() else None
