"""What was looked at, and what differs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_CHARS: Final = 60


@dataclass(frozen=True, slots=True)
class Difference:
    """
    One thing that does not follow from another.

    Attributes:
        file: Where it stands.
        kept: What stands there; empty where something is missing.
        by: What says otherwise, as the subject of a sentence: `the rows`.
        found: What should stand there; empty where nothing should.
        place: Which of the things in the file it is.
    """

    file: str
    kept: str
    by: str
    found: str
    place: str = ""

    def __str__(self) -> str:
        """In a line."""
        kept, found = _cut(self.kept) or "nothing", _cut(self.found) or "nothing"
        verb = "say" if self.by.endswith("s") and not self.by.endswith("_ns") else "says"
        return f"{self.file}: {kept} where {self.by} {verb} {found}" + (f" ({self.place})" if self.place else "")


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MOST_CHARS else f"{text[: MOST_CHARS - 1]}…"


@dataclass(frozen=True, slots=True)
class Looked:
    """
    One thing that was looked at.

    Attributes:
        what: It, with how much there was of it: `requests.parquet: 3,400 derived values`.
        differences: All that was found; empty where it is as it should be.
        note: Why not all of it could be looked at; empty where all was.
        missing: It is not there or cannot be read.
    """

    what: str
    differences: tuple[Difference, ...] = ()
    note: str = ""
    missing: bool = False

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        keys = ("file", "kept", "by", "found", "place")
        told = [{key: getattr(one, key) for key in keys} for one in self.differences]
        return {"what": self.what, "note": self.note, "missing": self.missing, "differences": told}


# Values inside JSON.


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every text, number, truth and null of a JSON value with its dotted path; empty lists and objects too."""
    if isinstance(value, dict) and value:
        for key, inside in value.items():
            yield from leaves(inside, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple) and value:
        for place, inside in enumerate(value):
            yield from leaves(inside, f"{path}.{place}" if path else str(place))
    else:
        yield path, value


def alike(one: Any, other: Any) -> bool:
    """Whether two values are the same; floats to 12 digits, since another machine's libraries may add otherwise."""
    if isinstance(one, float) and isinstance(other, float):
        return one == other or abs(one - other) <= 1e-12 * max(abs(one), abs(other)) or (one != one and other != other)  # noqa: PLR0124 - NaN
    return bool(one == other and isinstance(one, bool) == isinstance(other, bool))


def compare(file: str, kept: Any, found: Any, by: str) -> tuple[Difference, ...]:
    """
    Two JSON values, leaf by leaf.

    Args:
        file: Where the first stands.
        kept: As it stands there.
        found: As it should.
        by: What says so.
    """
    here, there = dict(leaves(kept)), dict(leaves(found))
    absent = object()
    return tuple(
        Difference(file, _word(here, path), by, _word(there, path), path)
        for path in dict.fromkeys([*here, *there])
        if not alike(here.get(path, absent), there.get(path, absent))
    )


def _word(values: dict[str, Any], path: str) -> str:
    if path not in values:
        return ""
    value = values[path]
    return f'"{value}"' if isinstance(value, str) else "null" if value is None else str(value)
