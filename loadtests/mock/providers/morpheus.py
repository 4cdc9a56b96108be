"""Morpheus: sessions that open slowly, fallback to a default model, tools only as a stream, five shapes of error."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from loadtests.mock.manner import CALL_ID, Manner
from loadtests.mock.providers.provider import Provider, Refusal
from loadtests.mock.providers.rules import Problem, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loadtests.mock.request import Request
    from loadtests.mock.scene import Scene
    from loadtests.mock.score import Field

_MESSAGE: Final = Rule(
    "object",
    fields={
        "role": Rule("string", is_required=True),
        "content": Rule("string|null|array"),
        "name": Rule("string|null"),
        "tool_calls": Rule("array|null"),
        "tool_call_id": Rule("string|null"),
    },
)
_FUNCTION: Final = Rule(
    "object",
    is_required=True,
    fields={
        "name": Rule("string", is_required=True),
        "description": Rule("string|null"),
        "parameters": Rule("object|null"),
    },
)
RULES: Final[Mapping[str, Rule]] = {
    "model": Rule("string|null"),
    "messages": Rule("array", is_required=True, items=_MESSAGE),
    "temperature": Rule("number|null"),
    "top_p": Rule("number|null"),
    "n": Rule("integer|null"),
    "stream": Rule("boolean|null"),
    "stop": Rule("string|array|null"),
    "max_tokens": Rule("integer|null"),
    "presence_penalty": Rule("number|null"),
    "frequency_penalty": Rule("number|null"),
    "tools": Rule("array|null", items=Rule("object", fields={"type": Rule("string"), "function": _FUNCTION})),
    "tool_choice": Rule("string|object|null"),
    "session_id": Rule("string|null"),
}
PYDANTIC: Final = {"missing": "Field required", "range": "Input is out of range", "choice": "Input is not a choice"}
LIMITS: Final = {"Requests": 60, "Tokens": 100_000}
"""Of one minute."""

MINUTE_S: Final = 60
KINDS: Final = {402: "insufficient_balance", 502: "proxy_error", 503: "server_error", 504: "timeout"}


def complain(authorization: str, key: str | None) -> str | None:
    """Keys begin with sk-, and may come without "Bearer "."""
    token = authorization.removeprefix("Bearer ").strip()
    if not token:
        return "API key missing"
    if not token.startswith("sk-"):
        return "Invalid API key format. Must start with sk-"
    return "Invalid API key" if key is not None and token != key else None


def refuse(status: int, message: str, problems: Sequence[Problem] = ()) -> Refusal:
    """A detail in words, a list of details, or an error object: by the status."""
    if status == 401:
        return {"detail": message}, [("WWW-Authenticate", "Bearer")]
    if status == 404:
        return {"detail": "Not Found"}, []
    if status == 422:
        details = [_detail(problem) for problem in problems]
        return {"detail": details or [{"loc": ["body"], "msg": message, "type": "json_invalid"}]}, []
    if status == 429:
        error = {"message": message, "type": "requests", "param": None, "code": "rate_limit_exceeded"}
        return {"error": error}, [("Retry-After", "2")]
    return {"error": {"message": message, "type": KINDS.get(status, "gateway_error")}}, []


def _detail(problem: Problem) -> dict[str, Any]:
    """A problem as FastAPI says it."""
    kind = problem.text.removeprefix("should be ").split(" or ")[0]
    said = PYDANTIC.get(problem.kind, f"Input should be a valid {kind}")
    return {
        "loc": ["body", *problem.at],
        "msg": said,
        "type": problem.kind if problem.kind == "missing" else f"{kind}_type",
    }


def fields(created_s: int) -> list[Field]:
    """The limits of a minute; what is reset, when the minute of the clock ends."""
    minute = datetime.fromtimestamp(created_s // MINUTE_S * MINUTE_S + MINUTE_S, UTC).isoformat()
    told = [("X-Process-Time", "0.01")]
    for what, limit in LIMITS.items():
        told += [(f"X-RateLimit-Limit-{what}", str(limit)), (f"X-RateLimit-Remaining-{what}", str(limit - 1))]
        told.append((f"X-RateLimit-Reset-{what}", minute))
    return told


def breaks(request: Request, asked: Mapping[str, Any]) -> list[str]:
    """The seed's rules for Accept and for tools."""
    is_stream = asked.get("stream") is True
    wanted = "text/event-stream" if is_stream else "application/json"
    found = [] if wanted in request.header("accept") else [f"Accept is not {wanted}"]
    return [*found, "tools without streaming"] if asked.get("tools") and not is_stream else found


def calls(name: str, pieces: tuple[str, ...]) -> list[tuple[dict[str, Any], str]]:
    """A call in two chunks: the name, then all arguments with an empty id and type."""
    arguments = "".join(pieces)
    begin = {"index": 0, "id": CALL_ID, "type": "function", "function": {"name": name, "arguments": ""}}
    rest = {"index": 0, "id": "", "type": "", "function": {"name": "", "arguments": arguments}}
    return [({"role": "assistant", "tool_calls": [begin]}, name), ({"tool_calls": [rest]}, arguments)]


def tells(scene: Scene) -> Mapping[str, Any]:
    """What the network's nodes count themselves."""
    counted = {key: value for key, value in scene.usage().items() if key.endswith("_tokens")}
    return {"usage_from_provider": counted, "usage_from_consumer": counted}


MORPHEUS: Final = Provider(
    name="morpheus",
    summary="/api/v1; keys sk-…, 422 as FastAPI says it, cold sessions, fallback model, tools only streamed",
    base="/api/v1",
    rules=RULES,
    refuse=refuse,
    invalid=422,
    complain=complain,
    others="dropped",
    caps=("max_tokens",),
    honoured=frozenset({"n", "stop", "tools"}),
    forces_stream=True,
    usage="always",
    manner=Manner(opening={"role": "assistant"}, calls=calls, finish="content", tells=tells),
    fields=fields,
    breaks=breaks,
    models=("llama-3.3-70b", "mistral-31-24b", "llama-3.2-3b", "qwen3-235b"),
    falls_back=True,
    has_sessions=True,
)
