"""The messages of a conversation and of a batch request, as datasets write them."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from loadtests.units import not_one_of
from loadtests.workload.datasets.model import RowError, shown

_SPEAKERS: Final = {
    "user": ("user", "human"),
    "assistant": ("assistant", "gpt", "chatgpt", "bing", "bard", "model"),
    "system": ("system", "developer"),
    "tool": ("tool", "function", "function_call", "function_response", "tool_call", "observation"),
}
"""Who speaks, by what ShareGPT (`from`) and OpenAI (`role`) call them."""

_ROLE_OF: Final = {name: role for role, names in _SPEAKERS.items() for name in names}


class Conversation(NamedTuple):
    """A conversation as far as it is asked: `Example` has the same fields."""

    messages: tuple[dict[str, Any], ...]
    turns: tuple[str, ...]
    output_chars: int | None


def conversation(value: Any) -> Conversation | None:
    """
    What a user says, and how long the first answer is; the answers themselves come from whoever is tested.

    Args:
        value: A list of {"from", "value"} or {"role", "content"}; what an assistant or a tool says is left out.

    Returns:
        None where no user says anything.

    Raises:
        RowError: It is no such list.
    """
    before: list[dict[str, Any]] = []
    asked: list[Any] = []
    answer: int | None = None
    for number, message in enumerate(_listed(value), 1):
        role, content = _spoken(number, message)
        if not text_of(content).strip():
            continue
        if role == "user":
            asked.append(content)
        elif role == "system" and not asked:
            before.append({"role": "system", "content": content})
        elif role == "assistant" and len(asked) == 1 and answer is None:
            answer = len(text_of(content))
    if not asked:
        return None
    first = {"role": "user", "content": asked[0]}
    return Conversation((*before, first), tuple(text_of(content) for content in asked[1:]), answer)


def as_they_are(value: Any) -> tuple[dict[str, Any], ...]:
    """
    The messages of a request that is whole already.

    Raises:
        RowError: There is none, or one has no role.
    """
    found = _listed(value)
    if not found:
        raise RowError("has no messages")
    for number, message in enumerate(found, 1):
        if not isinstance(message.get("role"), str):
            raise RowError(f"message {number}: has no role")
    return tuple(found)


def text_of(content: Any) -> str:
    """The text of a message's content, which may be a list of parts; empty where it has none."""
    if isinstance(content, list):
        return "\n".join(part["text"] for part in content if isinstance(part, dict) and _is_text(part.get("text")))
    return content if isinstance(content, str) else ""


def _spoken(number: int, message: dict[str, Any]) -> tuple[str, Any]:
    name = message.get("from", message.get("role"))
    if not isinstance(name, str):
        raise RowError(f"message {number}: has neither from nor role")
    role = _ROLE_OF.get(name.lower())
    if role is None:
        raise RowError(f"message {number}: {shown(name)} {not_one_of(name, _ROLE_OF)}")
    content = message.get("value", message.get("content"))
    if not (content is None or isinstance(content, str | list)):
        raise RowError(f"message {number}: {shown(content)} isn't text")
    return role, content


def _listed(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise RowError(f"{shown(value)} isn't a list of messages")
    for number, message in enumerate(value, 1):
        if not isinstance(message, dict):
            raise RowError(f"message {number}: {shown(message)} isn't an object")
    return value


def _is_text(value: Any) -> bool:
    return isinstance(value, str)
