"""LLM Gateway, which DeutschlandGPT very probably is built on: named events, usage always, `error` as a boolean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from loadtests.mock.manner import DONE, Manner
from loadtests.mock.providers.deutschlandgpt import RULES
from loadtests.mock.providers.provider import Provider, Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.mock.providers.rules import Problem


def refuse(status: int, message: str, problems: Sequence[Problem] = ()) -> Refusal:
    """Flat, with `error` true."""
    return {"error": True, "status": status, "message": "; ".join(map(str, problems)) or message}, []


def named(number: int, value: Any) -> bytes:
    """An event with its name and number."""
    name = b"done" if value == DONE else b"error" if isinstance(value, dict) and "error" in value else b"chunk"
    data = value if isinstance(value, bytes) else orjson.dumps(value)
    return b"event: %b\ndata: %b\nid: %d\n\n" % (name, data, number)


MANNER: Final = Manner(every={"role": "assistant"}, usage="choice", frame=named)

LLMGATEWAY: Final = Provider(
    name="llmgateway",
    summary='/v1; events with names and ids, usage always, errors {"error":true,"status","message"}',
    base="/v1",
    rules=RULES,
    refuse=refuse,
    caps=("max_tokens",),
    honoured=frozenset({"tools", "response_format"}),
    usage="always",
    manner=MANNER,
    models=("gpt-4o",),
)
