"""What is wrong with a profile, in one line: the place, the bad value, what is allowed; never a secret."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from loadtests.proxies import masked
from loadtests.redact import redact
from loadtests.units import not_one_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pydantic_core import ErrorDetails

_ALLOWED: Final = {
    "string_type": "a text", "bool_type": "true or false", "float_type": "a number", "finite_number": "a finite number",
    "greater_than": "a number above 0", "greater_than_equal": "a number of at least 0", "dict_type": "a table",
    "model_type": "a table", "tuple_type": "an array", "too_short": "an array with something in it",
    "too_long": "an array of two numbers", "date_type": "a date like 2026-01-31",
    "date_from_datetime_parsing": "a date like 2026-01-31", "date_from_datetime_inexact": "a date like 2026-01-31",
    "date_parsing": "a date like 2026-01-31", "int_type": "a whole number",
}  # fmt: skip


class ProfileError(ValueError):
    """A profile, or a value for one, that cannot be used; its text is the one line to show."""


def mistake(error: ErrorDetails, keys: Callable[[tuple[int | str, ...]], Iterable[str]]) -> str:
    """
    One error of pydantic as one line: the place, the bad value, what is allowed.

    Args:
        error: One of a ValidationError's.
        keys: The allowed keys of the table in which a place stands.
    """
    kind, loc, value, more = error["type"], error["loc"], error["input"], error.get("ctx", {})
    parts = [f"[{part}]" if isinstance(part, int) else f".{_key(part)}" for part in loc if part != "[key]"]
    place = "".join(parts).lstrip(".")
    if kind == "extra_forbidden":
        return f"{place} {not_one_of(str(loc[-1]), sorted(keys(loc)))}"
    if kind == "missing":
        return f"{place} is missing"
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", more["expected"])
        return f"{place} {shown(value)} {not_one_of(str(value), allowed)}"
    expected = more["error"] if kind == "value_error" else _ALLOWED.get(kind, error["msg"])
    return f"{place} {shown(value)} isn't {expected}"


def _key(part: str) -> str:
    """A key as it was written; quoted and escaped where it would break the line."""
    return part if part.isprintable() else json.dumps(part)


def syntax_line(label: str, error: str, text: str) -> str:
    """A syntax error with its line; tomllib tells the place at the end of its text."""
    at = re.search(r" \(at line (\d+), column (\d+)\)$", error)
    what = re.sub(r" \(at [^()]*\)$", "", error)
    where = f"{at[1]}: {what} (column {at[2]})" if at else f"{len(text.splitlines())}: {what} (at the end)"
    return redact(f"{label}:{where}", ())


def listed(allowed: Iterable[Any]) -> str:
    """Allowed values in brackets."""
    return f"[{', '.join(str(value) for value in allowed)}]"


def shown(value: Any) -> str:
    """A bad value as JSON: short, and without a secret; `user:password@` is one."""
    if isinstance(value, str) and ":" in value.rpartition("@")[0]:
        value = masked(value)
    text = redact(json.dumps(value, ensure_ascii=False, default=str), ())
    return text if len(text) <= 60 else f"{text[:59]}…"
