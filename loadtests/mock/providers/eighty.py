"""8080: OpenAI's parameters by strict types, and answers so fast that a stream arrives in one write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from loadtests.mock.manner import Manner
from loadtests.mock.providers.provider import Provider, Refusal
from loadtests.mock.providers.rules import Problem, Rule
from loadtests.mock.score import Piece, Score, played

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loadtests.mock.scene import Scene
    from loadtests.mock.score import Field

_TYPE: Final = Rule("string", choices=("object", "array", "string", "number", "boolean", "integer", "null"))
_SCHEMA: Final = Rule(
    "object",
    fields={
        "type": _TYPE,
        "description": Rule("string"),
        "properties": Rule("object"),
        "required": Rule("array", items=Rule("string")),
        "items": Rule("object"),
        "enum": Rule("array"),
        "additionalProperties": Rule("boolean"),
    },
)
_CALL: Final = Rule(
    "object",
    fields={
        "id": Rule("string", is_required=True),
        "type": Rule("string", is_required=True),
        "function": Rule(
            "object", fields={"name": Rule("string", is_required=True), "arguments": Rule("string", is_required=True)}
        ),
    },
)
_MESSAGE: Final = Rule(
    "object",
    fields={
        "role": Rule("string", is_required=True, choices=("system", "user", "assistant", "developer", "tool")),
        "content": Rule("string"),
        "name": Rule("string"),
        "refusal": Rule("string"),
        "tool_calls": Rule("array", items=_CALL),
        "tool_call_id": Rule("string"),
    },
)
_FUNCTION: Final = Rule(
    "object",
    is_required=True,
    fields={
        "name": Rule("string", is_required=True),
        "description": Rule("string"),
        "parameters": _SCHEMA,
        "strict": Rule("boolean"),
    },
)
_FORMAT: Final = Rule(
    "object",
    fields={
        "type": Rule("string", is_required=True, choices=("text", "json_object", "json_schema")),
        "json_schema": Rule(
            "object",
            fields={
                "description": Rule("string"),
                "name": Rule("string", is_required=True),
                "schema": Rule("object", is_required=True),
                "strict": Rule("boolean"),
            },
        ),
    },
)
RULES: Final[Mapping[str, Rule]] = {
    "messages": Rule("array", is_required=True, items=_MESSAGE),
    "model": Rule("string", is_required=True),
    "reasoning_effort": Rule("string", choices=("minimal", "medium", "high")),
    "stream": Rule("boolean"),
    "stream_options": Rule("object", fields={"include_usage": Rule("boolean")}),
    "parallel_tool_calls": Rule("boolean"),
    "user": Rule("string"),
    "tools": Rule(
        "array",
        items=Rule("object", fields={"type": Rule("string", is_required=True), "function": _FUNCTION}),
    ),
    "frequency_penalty": Rule("number"),
    "logit_bias": Rule("object"),
    "logprobs": Rule("boolean"),
    "top_logprobs": Rule("integer"),
    "max_completion_tokens": Rule("integer"),
    "n": Rule("integer"),
    "presence_penalty": Rule("integer"),
    "response_format": _FORMAT,
    "stop": Rule("array", items=Rule("string")),
    "temperature": Rule("number"),
    "top_p": Rule("number"),
}
KINDS: Final = {401: ("Unauthorized", "invalid_api_key"), 429: ("Rate limited", "rate_limit_exceeded")}
"""Type and code of the two documented errors."""


def refuse(status: int, message: str, problems: Sequence[Problem] = ()) -> Refusal:
    """OpenAI's error object without `param`."""
    kind, code = KINDS.get(status, ("invalid_request_error", "invalid_request" if status < 500 else "server_error"))
    return {"error": {"message": "; ".join(map(str, problems)) or message, "type": kind, "code": code}}, []


def counts(scene: Scene) -> dict[str, Any]:
    """The usage object: three counts, and the seconds that it took."""
    usage = {key: value for key, value in scene.usage().items() if key.endswith("_tokens")}
    return {**usage, "total_time": scene.first_ns / 1e9}


def at_once(scene: Scene, manner: Manner, fields: Sequence[Field] = ()) -> Score:
    """All of it in one write, when the first token is due."""
    score = played(scene, manner, fields)
    said = tuple(part for piece in score.pieces for part in piece.said)
    return Score((Piece(scene.first_ns, b"".join(score.writes), said),), score.ending, score.tokens)


EIGHTY: Final = Provider(
    name="8080",
    summary="/v1; strict types, reasoning_effort minimal|medium|high, whole answers in one write, usage.total_time",
    base="/v1",
    rules=RULES,
    refuse=refuse,
    caps=("max_completion_tokens",),
    manner=Manner(counts=counts),
    play=at_once,
    models=("8080/taalas/llama3.1-8b-instruct", "8080/llama-8b"),
)
