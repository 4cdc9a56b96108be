"""What a result file of another tool tells: its requests as records, and what is known of load and provider."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadtests.record import Record

FROM_SEND: Final = "from_send"
"""The flag of a request whose meant moment nobody kept: latency counts from its send."""


class ImportsError(ValueError):
    """A file that no run can be made of; its text is one line: which file, what is wrong, and the fix."""


@dataclass(frozen=True, slots=True)
class Told:
    """
    One run of another tool.

    Attributes:
        tool: Its name, as people write it.
        version: Of the tool; empty where the file doesn't say.
        records: Its requests. Stamps are ns since the first of them; without `moments` each has an axis of its own, on
            which it is sent at 0.
        moments: When the requests went out is told.
        since: What scheduled_ns is: the moment the tool's pacer let a request go, or its send.
        plan: The load as far as the tool tells it, in the words of `plan.Plan`.
        profile: Name and address of who was asked.
        seed: Of the tool's random numbers; None where it doesn't say.
        started_unix_ns: CLOCK_REALTIME at 0; None where it doesn't say.
        stopped: Why it ended before its plan did; empty where it didn't, or nobody says.
        broken: Lines that could not be read.
        notes: What is not told, or counted otherwise than by us, a sentence each.
        about: What else it says of itself, kept as it is.
    """

    tool: str
    version: str
    records: list[Record]
    moments: bool
    since: Literal["release", "send"]
    plan: dict[str, Any]
    profile: dict[str, Any]
    model: str = ""
    seed: int | None = None
    started_unix_ns: int | None = None
    stopped: str = ""
    broken: int = 0
    notes: tuple[str, ...] = ()
    about: dict[str, Any] = field(default_factory=dict)


# Values of a file that anybody may have written.

LONG_NS: Final = 1 << 50
"""13 days: what is longer is no duration, and no run. A few of them are exact as floating-point numbers too."""
EPOCH_NS: Final = 1 << 62
"""A moment of CLOCK_REALTIME that is later is none."""
MANY: Final = (1 << 31) - 1


def number(value: Any) -> float | None:
    """A finite number that is not negative, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= EPOCH_NS:
        return None
    return float(value)


def count(value: Any, most: int = MANY) -> int | None:
    """A whole number from 0 to the most that a column holds, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        return None
    return int(value) if value == int(value) else None


def nanoseconds(value: Any, unit_ns: float) -> int | None:
    """A duration told in a unit, else None."""
    found = number(value)
    return None if found is None or found * unit_ns > LONG_NS else round(found * unit_ns)


def text(value: Any) -> str:
    """A text that can be stored, else empty."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def table(value: Any) -> Mapping[str, Any]:
    """An object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """A list, else an empty one."""
    return value if isinstance(value, list) else []


def plain(values: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Of some values the texts, truths and numbers, as they are."""
    found = {name: text(values[name]) or values[name] for name in names if name in values}
    kinds = (str, bool, int, float)
    return {k: v for k, v in found.items() if isinstance(v, kinds) and (isinstance(v, str) or abs(v) < EPOCH_NS)}
