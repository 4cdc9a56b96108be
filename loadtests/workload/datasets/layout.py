"""Which columns of a file hold what, and one row of it as an example."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from loadtests.units import not_one_of
from loadtests.workload.datasets import messages as talk
from loadtests.workload.datasets.model import Example, RowError, listed, shown
from loadtests.workload.datasets.text import parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROLES: Final = ("prompt", "system", "messages", "output_tokens")
"""What a column can be, and its usual name."""

_CONVERSATIONS: Final = ("conversations", "conversation", "messages")
_BATCH: Final = ("messages", "max_completion_tokens", "max_tokens", "model", "stream", "stream_options")
"""Body fields with a place of their own; what is left of a body is the example's `extra`."""

_ABSENT: Final = object()
_WHOLE: Final = re.compile(r"([0-9]+)(?:\.0*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Columns:
    """
    The column of each part of an example; None where there is none.

    Attributes:
        heads: The file's own columns that these are in; what of parquet is read.
        optional: Those that a row may go without, but not all rows, since the user named them.
    """

    prompt: str | None
    system: str | None
    messages: str | None
    output_tokens: str | None
    heads: tuple[str, ...]
    optional: tuple[str, ...]

    def missing(self, column: str, row: Mapping[str, Any]) -> bool:
        """Whether a row has nothing of this name, not even an empty value."""
        return _at(row, column) is _ABSENT


def columns_of(named: Mapping[str, str], first: Mapping[str, Any], *, header: bool, talks: bool) -> Columns:
    """
    Which columns hold what: the named ones, and of the others those with the usual names.

    Args:
        named: Role to column, as the user says.
        first: The header or the first row.
        header: Whether it is the header, so that every row has these columns and no other.
        talks: Whether the rows are conversations, and hold no single prompt.

    Raises:
        RowError: A column that isn't there, or nothing with a usual name.
    """
    found = {name: name for name in ("system", "output_tokens") if name in first or not header} | dict(named)
    if not {"prompt", "messages"} & set(named):
        found |= _usual(first, () if talks else ("prompt",))
    heads = {column: column if column in first else column.partition(".")[0] for column in found.values()}
    for column, head in heads.items():
        if header and head not in first:
            raise RowError(f"column {column}: {not_one_of(column, first)}")
    optional = [named[role] for role in ("system", "output_tokens") if role in named]
    parts = {role: found.get(role) for role in ROLES}
    return Columns(**parts, heads=tuple(dict.fromkeys(heads.values())), optional=tuple(optional))


def _usual(first: Mapping[str, Any], prompts: tuple[str, ...]) -> dict[str, str]:
    """The column with the prompt or the conversation, by its usual name."""
    names = (*prompts, *_CONVERSATIONS)
    for name in names:
        if name in first:
            return {"prompt" if name in prompts else "messages": name}
    hint = 'prompt = "question"' if prompts else 'messages = "dialog"'
    raise RowError(f"has none of the columns [{', '.join(names)}]; name yours in columns, like {hint}: {listed(first)}")


def is_batch(row: Mapping[str, Any]) -> bool:
    """Whether a row looks like a line of OpenAI batch input."""
    return isinstance(row.get("body"), dict) and "messages" in row["body"]


def example(columns: Columns | None, row: Mapping[str, Any]) -> Example | None:
    """
    One row.

    Args:
        columns: Of its parts; None for a line of OpenAI batch input.
        row: By column.

    Returns:
        None where it has no text of a user.

    Raises:
        RowError: A column is missing or holds something else.
    """
    return _batched(row) if columns is None else _mapped(columns, row)


def _batched(row: Mapping[str, Any]) -> Example:
    column = "body.messages"
    messages: tuple[dict[str, Any], ...] = _read(column, _wanted(row, column), talk.as_they_are)
    body = row["body"]
    cap = next((name for name in ("max_completion_tokens", "max_tokens") if body.get(name) is not None), "max_tokens")
    extra = {name: value for name, value in body.items() if name not in _BATCH}
    return Example(messages, output_tokens=_read(f"body.{cap}", body.get(cap), _tokens), extra=extra)


def _mapped(columns: Columns, row: Mapping[str, Any]) -> Example | None:
    system: str = _read(columns.system, _maybe(row, columns.system), _text)
    tokens: int | None = _read(columns.output_tokens, _maybe(row, columns.output_tokens), _tokens)
    column, read = (columns.messages, _conversation) if columns.messages else (columns.prompt, _prompt)
    assert column is not None
    found: talk.Conversation | None = _read(column, _wanted(row, column), read)
    if found is None:
        return None
    messages = found.messages
    if system.strip() and messages[0]["role"] != "system":
        messages = ({"role": "system", "content": system}, *messages)
    return Example(messages, found.turns, tokens, found.output_chars)


# Values.


def _at(row: Mapping[str, Any], column: str) -> Any:
    """What a row has under a name; a name with dots leads into objects unless the row has it as it is."""
    if column in row:
        return row[column]
    value: Any = row
    for name in column.split("."):
        if not isinstance(value, dict) or name not in value:
            return _ABSENT
        value = value[name]
    return value


def _maybe(row: Mapping[str, Any], column: str | None) -> Any:
    found = _ABSENT if column is None else _at(row, column)
    return None if found is _ABSENT else found


def _wanted(row: Mapping[str, Any], column: str) -> Any:
    found = _at(row, column)
    if found is _ABSENT:
        raise RowError(f"column {column}: is missing; {listed(row)}")
    return found


def _read(column: str | None, value: Any, read: Callable[[Any], Any]) -> Any:
    """A cell, with the column in front of what is wrong with it."""
    try:
        return read(value)
    except RowError as error:
        raise RowError(f"column {column}: {error}") from None


def _prompt(value: Any) -> talk.Conversation | None:
    return talk.conversation([{"role": "user", "content": _text(value)}])


def _conversation(value: Any) -> talk.Conversation | None:
    """Of a list, or of its JSON where a column holds nothing but text."""
    if isinstance(value, str):
        value = parsed(value) if value.strip() else []
    return talk.conversation([] if value is None else value)


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    raise RowError(f"{shown(value)} isn't text")


def _tokens(value: Any) -> int | None:
    """A number of tokens; None where the cell is empty, which in a column of floats is NaN."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, float) and math.isnan(value):
        return None
    match = None if isinstance(value, bool) else _WHOLE.fullmatch(str(value).strip())
    number = int(match[1]) if match and len(match[1]) < 20 else 0
    if not 1 <= number < 2**31:
        raise RowError(f"{shown(value)} isn't a whole number of at least 1")
    return number
