"""
What a request's fields wish for besides prose: a function call, JSON by a schema, several choices, texts to stop at.

Pure, from the fields to a `Wish`; what is no wish of a kind that the house honours is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from loadtests.mock.request import Wish

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

ALL: Final = frozenset({"n", "stop", "tools", "response_format"})
MOST_CHOICES: Final = 16
DEEPEST: Final = 16
"""Levels of a schema that are followed; below them everything is null."""


def wish_of(asked: Mapping[str, Any], honoured: Collection[str]) -> Wish | None:
    """What is wished for, of what is honoured (some of `ALL`); None where that is nothing."""
    if ALL.isdisjoint(asked):
        return None
    heard = {name: asked.get(name) for name in ALL if name in honoured}
    call = _call(heard.get("tools"), asked)
    wish = Wish(
        n=_n(heard.get("n")),
        stops=_stops(heard.get("stop")),
        call=call,
        json=None if call else _json(heard.get("response_format")),
    )
    return None if wish == Wish() else wish


def _n(value: Any) -> int:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value > 1
    return min(value, MOST_CHOICES) if is_count else 1


def _stops(value: Any) -> tuple[str, ...]:
    texts = value if isinstance(value, list) else [value]
    return tuple(text for text in texts if isinstance(text, str) and text)


def _call(tools: Any, asked: Mapping[str, Any]) -> tuple[str, str] | None:
    """The function to call: the one that was chosen, else the first; none where its result is there already."""
    functions = [tool.get("function") for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    named = {f["name"]: f for f in functions if isinstance(f, dict) and isinstance(f.get("name"), str)}
    choice = asked.get("tool_choice")
    if not named or choice == "none" or (choice in (None, "auto") and _has_result(asked.get("messages"))):
        return None
    chosen = choice.get("function") if isinstance(choice, dict) else None
    name = chosen.get("name") if isinstance(chosen, dict) else None
    function = named[name] if isinstance(name, str) and name in named else next(iter(named.values()))
    return function["name"], orjson.dumps(instance(function.get("parameters", {"type": "object"}))).decode()


def _has_result(messages: Any) -> bool:
    last = messages[-1] if isinstance(messages, list) and messages else None
    return isinstance(last, dict) and last.get("role") == "tool"


def _json(form: Any) -> str | None:
    kind = form.get("type") if isinstance(form, dict) else None
    if kind == "json_object":
        return '{"answer":"first token"}'
    if kind != "json_schema":
        return None
    about = form.get("json_schema")
    schema = about.get("schema") if isinstance(about, dict) else None
    return orjson.dumps(instance(schema)).decode()


def instance(schema: Any, root: Any = None, depth: int = 0) -> Any:
    """
    A small value that a JSON schema allows: required properties alone, the fewest items, the least number.

    Args:
        schema: object, array, string, number, integer, boolean, null, enum, const, anyOf, oneOf, allOf and local $ref.
        root: What a $ref starts from; the schema itself at first.
        depth: Levels above it.
    """
    if not isinstance(schema, dict) or depth > DEEPEST:
        return None
    root = schema if root is None else root
    if isinstance(reference := schema.get("$ref"), str):
        return instance(_referred(root, reference), root, depth + 1)
    for key in ("anyOf", "oneOf", "allOf"):
        if isinstance(schema.get(key), list) and schema[key]:
            return instance(schema[key][0], root, depth + 1)
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    return _typed(schema, root, depth)


def _typed(schema: dict[str, Any], root: Any, depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else None)
    match kind[0] if isinstance(kind, list) and kind else kind:
        case "object":
            inner, wanted = schema.get("properties"), schema.get("required")
            inner = inner if isinstance(inner, dict) else {}
            names = [name for name in wanted if isinstance(name, str)] if isinstance(wanted, list) else []
            return {name: instance(inner.get(name), root, depth + 1) for name in names}
        case "array":
            return [instance(schema.get("items"), root, depth + 1)] * _count(
                schema, "minItems", 100 if depth < 2 else 1
            )
        case "string":
            text = "first token".ljust(_count(schema, "minLength", 1000), ".")
            return text[: _count(schema, "maxLength", 1000)] if "maxLength" in schema else text
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return True
    return None


def _count(schema: dict[str, Any], key: str, most: int) -> int:
    value = schema.get(key)
    return min(value, most) if isinstance(value, int) and value > 0 else 0


def _number(schema: dict[str, Any]) -> Any:
    """0, or what is nearest to it between the bounds."""
    value: Any = 0
    for key, step in (("minimum", 0), ("exclusiveMinimum", 1), ("maximum", 0), ("exclusiveMaximum", -1)):
        bound = schema.get(key)
        if not isinstance(bound, int | float) or isinstance(bound, bool):
            continue
        value = max(value, bound + step) if "Min" in key or "min" in key else min(value, bound + step)
    return value


def _referred(root: Any, reference: str) -> Any:
    """What a reference inside the schema points at: "#/$defs/name"."""
    value = root
    for part in reference.split("/")[1:]:
        value = value.get(part) if isinstance(value, dict) else None
    return value
