"""
What `firsttoken calibrate` found, kept in the user's cache: this machine's limits, which every later run is held to.

One JSON file, `$XDG_CACHE_HOME/firsttoken/calibration.json` (`~/.cache` where that is unset). A file of another
machine, kernel, Python or firsttoken says nothing about this one and counts as none, and so does one that cannot be
read.

Format history:
    1  first version.
    2  a limit says what lies above it (`below`, `ended_by`).
"""

from __future__ import annotations

import os
import platform
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

import orjson

from loadtests import __version__, manifest

VERSION: Final = 2

GAP: Final = 1.25
"""With the first load that was not clean further above the last clean one than this, the limit is somewhere between."""

EndedBy = Literal["client", "provider", "ladder"]


@dataclass(frozen=True, slots=True)
class Limit:
    """
    The most per second that one load-making process did cleanly, and what is known of more.

    Attributes:
        per_s: Of the last clean rung.
        below: Of the next one, where the client spoilt it: the limit is below that; None where there is none.
        ended_by: Why the climb ended there: the client gave out, the provider did, or the ladder had no more rungs.
    """

    per_s: float
    below: float | None
    ended_by: EndedBy

    @property
    def at_least(self) -> bool:
        """Whether the limit may as well be far above `per_s`: nothing near it was seen to be too much."""
        return self.below is None or self.below > GAP * self.per_s

    def to_json(self) -> dict[str, Any]:
        """As kept."""
        return asdict(self) | {"at_least": self.at_least}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Limit:
        """
        From what was kept.

        Raises:
            KeyError, TypeError, ValueError: It is something else.
        """
        below, ended_by = value["below"], value["ended_by"]
        found = cls(float(value["per_s"]), None if below is None else float(below), ended_by)
        if not 0 < found.per_s < float("inf") or ended_by not in get_args(EndedBy):
            raise ValueError("a limit that is none")
        if (below is None) == (ended_by == "client") or (found.below or float("inf")) <= found.per_s:
            raise ValueError("a limit above its own bound")
        return found


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
            "limits": {name: None if limit is None else limit.to_json() for name, limit in limits.items()},
            "rungs": self.rungs,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Calibration:
        """
        From what was kept.

        Raises:
            KeyError, TypeError, ValueError: It is something else.
        """
        limits = {name: None if it is None else Limit.from_json(it) for name, it in value["limits"].items()}
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


def check_place() -> None:
    """
    Make sure that a calibration can be kept, before it is measured.

    Raises:
        OSError: It could not be.
    """
    folder = place().parent
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


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
