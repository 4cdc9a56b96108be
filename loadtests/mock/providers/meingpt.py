"""meinGPT: seven parameters count, all others are accepted and ignored, max_tokens among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadtests.mock.providers.provider import Provider, Refusal
from loadtests.mock.providers.rules import Problem, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RULES: Final[Mapping[str, Rule]] = {
    "model": Rule("string", is_required=True),
    "messages": Rule("array", is_required=True, items=Rule("object")),
    "response_format": Rule("object"),
    "stream": Rule("boolean"),
    "temperature": Rule("number", low=0, high=2),
    "tools": Rule("array", items=Rule("object")),
    "tool_choice": Rule("string|object", choices=("auto", "none", "required")),
}


def refuse(_status: int, message: str, problems: Sequence[Problem] = ()) -> Refusal:
    """Flat: status and message."""
    return {"status": "error", "message": "; ".join(map(str, problems)) or message}, []


MEINGPT: Final = Provider(
    name="meingpt",
    summary='/api/openai/v1; max_tokens, stop, n and more are ignored; errors {"status":"error","message"}',
    base="/api/openai/v1",
    rules=RULES,
    refuse=refuse,
    key_prefix="sk_meingpt_",
    others="ignored",
    caps=(),
    honoured=frozenset({"tools", "response_format"}),
    usage="never",
    models=("gpt-4o-mini", "gpt-4o", "claude-3-5-sonnet"),
)
