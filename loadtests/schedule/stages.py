"""
Stages: the rate or the concurrency over time, read from a TOML file.

    [[stage]]
    duration = "60s"
    rate = [2, 20]      # a linear ramp; one number is a level; `concurrency` is written alike

    [[stage]]
    burst = 100         # a spike at that instant, among stages of a rate
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self

from loadtests.schedule.bounds import MAX_ARRIVALS, MAX_S, ScheduleError, shown
from loadtests.units import UnitError, not_one_of, per_second, seconds

KEYS: Final = ("burst", "concurrency", "duration", "rate")
MAX_USERS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Stage:
    """
    One piece of the load.

    Attributes:
        kind: "rate" (arrivals per second), "concurrency" (users), "burst" (arrivals at one instant).
        start, end: The level at its two ends, linear between them; 0 for a burst.
        duration_s: 0 for a burst.
        n: Arrivals of a burst; 0 for the others.
    """

    kind: Literal["rate", "concurrency", "burst"]
    start: float = 0.0
    end: float = 0.0
    duration_s: float = 0.0
    n: int = 0

    def to_json(self) -> dict[str, Any]:
        """As kept in run.json."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """From run.json."""
        return cls(**value)


def read_stages(path: str | Path) -> tuple[Stage, ...]:
    """
    The stages of a TOML file, in order.

    Raises:
        ScheduleError: It cannot be read, or a stage is wrong: one line with the file, the line and the key.
    """
    label = str(path)
    text = _text(label)
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScheduleError(_syntax(label, str(error), text)) from None
    except RecursionError:
        raise ScheduleError(f"{label}: is nested too deeply to hold stages") from None
    lines = _Lines(text)
    for key in tables:
        if key != "stage":
            raise ScheduleError(f"{label}:{lines.of_key(key) or 1}: key {key} {not_one_of(key, ['stage'])}")
    raw = tables.get("stage", [])
    if not isinstance(raw, list) or not raw or not all(isinstance(item, dict) for item in raw):
        raise ScheduleError(f"{label}: holds no [[stage]]; one has a duration and a rate or a concurrency, or a burst")
    places = [_Place(label, lines, i) for i in range(len(raw))]
    return _together(tuple(map(_stage, raw, places)), places)


def _text(label: str) -> str:
    try:
        return Path(label).read_bytes().decode()
    except OSError as error:
        raise ScheduleError(f"{label}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise ScheduleError(f"{label}: isn't UTF-8 (byte {error.start})") from None


def _syntax(label: str, error: str, text: str) -> str:
    at = re.search(r" \(at line (\d+), column (\d+)\)$", error)
    what = re.sub(r" \(at [^()]*\)$", "", error)
    return (
        f"{label}:{at[1]}: {what} (column {at[2]})" if at else f"{label}:{len(text.splitlines())}: {what} (at the end)"
    )


# One stage.


def _stage(raw: dict[str, Any], place: _Place) -> Stage:
    for key in raw:
        if key not in KEYS:
            raise place.error(key, f"the key {not_one_of(key, KEYS)}")
    kinds = [key for key in ("rate", "concurrency", "burst") if key in raw]
    if len(kinds) != 1:
        raise place.error(None, f"has {' and '.join(kinds) or 'none'} of [rate, concurrency, burst]; give one")
    kind = kinds[0]
    if kind == "burst":
        if "duration" in raw:
            raise place.error("duration", "belongs to no burst, which is one instant; leave it out")
        return Stage("burst", n=_whole(raw["burst"], 1, MAX_ARRIVALS, place, "burst"))
    if "duration" not in raw:
        raise place.error(None, 'has no duration; give one like "60s"')
    duration_s = _duration(raw["duration"], place)
    levels = raw[kind] if isinstance(raw[kind], list) else [raw[kind]] * 2
    if len(levels) != 2:
        raise place.error(kind, f"{shown(raw[kind])} isn't one number or a pair like [2, 20]")
    if kind == "rate":
        start, end = (_rate(level, place) for level in levels)
        return Stage("rate", start, end, duration_s)
    start, end = (float(_whole(level, 0, MAX_USERS, place, kind)) for level in levels)
    return Stage("concurrency", start, end, duration_s)


def _duration(value: Any, place: _Place) -> float:
    try:
        found = seconds(value) if isinstance(value, str) else float(value) if _is_number(value) else 0.0
    except (UnitError, OverflowError):
        found = 0.0
    if not 0 < found <= MAX_S:
        raise place.error("duration", f"{shown(value)} isn't a duration like 90s, 5m or 1h, in (0, {MAX_S:g} s]")
    return found


def _rate(value: Any, place: _Place) -> float:
    try:
        found = per_second(value) if isinstance(value, str) else float(value) if _is_number(value) else -1.0
    except (UnitError, OverflowError):
        found = -1.0
    if not 0 <= found <= MAX_ARRIVALS:
        raise place.error("rate", f'{shown(value)} isn\'t a rate like 8 or "90/m", in [0, {MAX_ARRIVALS}/s]')
    return found


def _whole(value: Any, least: int, most: int, place: _Place, key: str) -> int:
    if type(value) is not int or not least <= value <= most:
        raise place.error(key, f"{shown(value)} isn't a whole number in [{least}, {most}]")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# All stages.


def _together(stages: tuple[Stage, ...], places: list[_Place]) -> tuple[Stage, ...]:
    first = next((stage.kind for stage in stages if stage.kind != "burst"), "rate")
    for stage, place in zip(stages, places, strict=True):
        if (stage.kind == "concurrency") != (first == "concurrency"):
            raise place.error(stage.kind, f"stands beside a stage of {first}; a file has rates and bursts, or users")
    levels = [max(stage.start, stage.end, stage.n) for stage in stages]
    if max(levels) == 0:
        raise places[0].error(first, f"is 0 in every stage; at least one needs a {first} above 0")
    return stages


# Places in the file.


class _Lines:
    """Where stages and keys stand in the text of a TOML file; tomllib doesn't tell."""

    def __init__(self, text: str) -> None:
        self.lines = text.splitlines()
        self.heads = [i for i, line in enumerate(self.lines) if re.match(r"\s*\[\[\s*[\"']?stage[\"']?\s*\]\]", line)]

    def of_key(self, key: str, first: int = 0, end: int | None = None) -> int | None:
        """The line, from 1, on which a key or table of this name stands; None: none that can be told."""
        pattern = re.compile(rf"\s*(\[+\s*)?[\"']?{re.escape(key)}[\"']?\s*[\].=]")
        found = (i + 1 for i, line in enumerate(self.lines[first:end], first) if pattern.match(line))
        return next(found, None)

    def of_stage(self, number: int, key: str | None) -> int:
        """The line of a key of the stage, else of the stage, else of whatever holds the stages."""
        if number >= len(self.heads):
            return self.of_key("stage") or 1
        head = self.heads[number]
        end = self.heads[number + 1] if number + 1 < len(self.heads) else None
        return (self.of_key(key, head + 1, end) if key else None) or head + 1


class _Place:
    """One stage of a file."""

    def __init__(self, label: str, lines: _Lines, number: int) -> None:
        self.label, self.lines, self.number = label, lines, number

    def error(self, key: str | None, text: str) -> ScheduleError:
        """The line about this stage, or about the value of one of its keys."""
        at = self.lines.of_stage(self.number, key)
        return ScheduleError(f"{self.label}:{at}: stage {self.number + 1}{f', {key}:' if key else ''} {text}")
