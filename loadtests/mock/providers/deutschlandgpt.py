"""DeutschlandGPT: few documented parameters, short errors; usage in streams is not documented, so there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadtests.mock.providers.provider import Provider, Refusal
from loadtests.mock.providers.rules import Problem, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RULES: Final[Mapping[str, Rule]] = {
    "model": Rule("string", is_required=True),
    "messages": Rule("array", is_required=True, items=Rule("object")),
    "tools": Rule("array", items=Rule("object")),
    "temperature": Rule("number"),
    "max_tokens": Rule("number"),
    "response_format": Rule("object"),
    "stream": Rule("boolean"),
}


def short(status: int, message: str, problems: Sequence[Problem] = ()) -> Refusal:
    """A message alone; for a 500 all four fields."""
    text = "; ".join(map(str, problems)) or message
    if status < 500:
        return {"error": {"message": text}}, []
    return {"error": {"message": text, "type": "gateway_error", "param": "", "code": "gateway_error"}}, []


DEUTSCHLANDGPT: Final = Provider(
    name="deutschlandgpt",
    summary='/v1; errors {"error":{"message"}}, long for a 500; no usage in streams',
    base="/v1",
    rules=RULES,
    refuse=short,
    caps=("max_tokens",),
    honoured=frozenset({"tools", "response_format"}),
    usage="never",
    models=("gpt-4o",),
)
