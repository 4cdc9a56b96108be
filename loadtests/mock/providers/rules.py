"""Rules for the parameters of a request, as data, and what a request breaks of them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """
    What a value has to be.

    Attributes:
        types: Names of JSON types, by "|".
        is_required: It has to be there.
        low, high: Least and greatest number.
        choices: The strings that are allowed; other types are not bound by it.
        fields: Rules for the fields of an object.
        items: The rule for the entries of an array.
    """

    types: str
    is_required: bool = False
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    fields: Mapping[str, Rule] = field(default_factory=dict)
    items: Rule | None = None


class Problem(NamedTuple):
    """What is wrong: where (keys and places), its kind (missing, type, range, choice) and what should be."""

    at: tuple[str | int, ...]
    kind: str
    text: str

    @property
    def where(self) -> str:
        """Keys and places, by dots."""
        return ".".join(map(str, self.at))

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


def check(rules: Mapping[str, Rule], value: Mapping[str, Any], at: tuple[str | int, ...] = ()) -> list[Problem]:
    """What the fields of an object break of their rules, in the rules' order."""
    found: list[Problem] = []
    for name, rule in rules.items():
        if name in value:
            found += _check(rule, value[name], (*at, name))
        elif rule.is_required:
            found.append(Problem((*at, name), "missing", "is required"))
    return found


def _check(rule: Rule, value: Any, at: tuple[str | int, ...]) -> list[Problem]:
    if not any(_is(value, name) for name in rule.types.split("|")):
        return [Problem(at, "type", f"should be {rule.types.replace('|', ' or ')}")]
    if isinstance(value, str) and rule.choices and value not in rule.choices:
        return [Problem(at, "choice", f"should be one of {', '.join(rule.choices)}")]
    if isinstance(value, int | float) and not isinstance(value, bool) and not _is_between(value, rule):
        return [Problem(at, "range", f"should be from {rule.low:g} to {rule.high:g}")]
    if isinstance(value, dict):
        return check(rule.fields, value, at)
    if isinstance(value, list) and rule.items is not None:
        return [problem for place, item in enumerate(value) for problem in _check(rule.items, item, (*at, place))]
    return []


def _is(value: Any, name: str) -> bool:
    return isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def _is_between(value: float, rule: Rule) -> bool:
    return (rule.low is None or value >= rule.low) and (rule.high is None or value <= rule.high)
