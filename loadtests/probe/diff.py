"""What a profile should say instead, as the lines of its TOML file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.probe.finding import Change


def diff_lines(changes: Sequence[Change]) -> list[str]:
    """The lines, by table: first those of the top, then each table under its head."""
    tables: dict[str, list[str]] = {}
    for change in changes:
        table, _ = place(change.key)
        tables.setdefault(table, []).append(line(change))
    found = list(dict.fromkeys(tables.pop("", [])))
    for table in sorted(tables):
        found += ["", f"[{table}]", *dict.fromkeys(tables[table])]
    return found


def line(change: Change) -> str:
    """One line, with what it was and why in its comment."""
    _, key = place(change.key)
    name = key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml(key)
    if change.adds:
        return f"# {name}: add {toml(change.value)}"
    if change.value is None:
        return f"# take out: {name} = {toml(change.was)}   # {change.why}"
    was = f"was {toml(change.was)}: " if change.was is not None else "new: "
    return f"{name} = {toml(change.value)}   # {was}{change.why}"


def place(key: str) -> tuple[str, str]:
    """The table that a dotted key stands in, and its name there; names inside params.* tables may have dots."""
    parts = key.split(".")
    is_named = parts[:2] == ["rate_limit", "headers"] or (parts[0] == "params" and len(parts) > 2)
    depth = 2 if is_named else len(parts) - 1
    return ".".join(parts[:depth]), ".".join(parts[depth:])


def toml(value: Any) -> str:
    """A JSON value as TOML writes it; JSON's texts, numbers and arrays are TOML as they are."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    return orjson.dumps(value).decode()
