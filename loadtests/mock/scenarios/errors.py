"""Errors inside an answer whose status is 200, as each server words them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from loadtests.mock.manner import DONE, Beat, sse
from loadtests.mock.providers.llmgateway import MANNER, named
from loadtests.mock.scenarios.ends import half
from loadtests.mock.scenarios.scenario import PLAIN, fails
from loadtests.mock.score import pieces_of, streamed, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.mock.scenarios.scenario import Scenario
    from loadtests.mock.scene import Scene
    from loadtests.mock.score import Score

MESSAGE: Final = "The model ran out of memory."
OLD_LLAMACPP: Final = b'error: {"code":500,"message":"The model ran out of memory.","type":"server_error"}\n\n'


def _after_half(*values: Any) -> Callable[[Scene], Score]:
    """Half of the tokens, then these events; a value may be a function of the scene, or an event's bytes."""

    def play(scene: Scene) -> Score:
        made = half(scene)
        told = [value(scene) if callable(value) else value for value in values]
        rest = pieces_of((Beat(made[-1].at_ns, value) for value in told), _as_is)
        return streamed(scene, [*made, *rest])

    return play


def _as_is(number: int, value: Any) -> bytes:
    return value if isinstance(value, bytes) and value.endswith(b"\n\n") else sse(number, value)


def _with_choice(**more: Any) -> Callable[[Scene], dict[str, Any]]:
    """A chunk that carries an error beside a choice."""
    return lambda scene: {**scene.chunk({"content": ""}, "error"), "provider": "mock", **more}


def _groq(scene: Scene) -> dict[str, Any]:
    return {**scene.chunk({}), "x_groq": {"id": "req_1", "error": MESSAGE}}


def _gateway(scene: Scene) -> Score:
    """LLM Gateway: named events, the error's among them, and the done event after it."""
    error = {"message": MESSAGE, "type": "upstream_error", "param": None, "code": "upstream_error"}
    made = [Beat(scene.first_ns, scene.chunk({**MANNER.every, "content": scene.play.texts[0]}), (_content(scene),))]
    made += [Beat(scene.first_ns, {"error": error}), Beat(scene.first_ns, DONE)]
    return streamed(scene, pieces_of(made, named))


def _content(scene: Scene) -> tuple[str, str]:
    return "content", scene.play.texts[0]


def _named_message(scene: Scene) -> Score:
    """The event's name alone says that it is an error."""
    event = b'event: error\ndata: {"message":"The model ran out of memory."}\n\n'
    return _after_half(event)(scene)


def _error(**keys: Any) -> dict[str, Any]:
    return {"error": {"message": MESSAGE, **keys}}


def _stream(name: str, summary: str, *values: Any, **truth: Any) -> Scenario:
    """An error after half of the tokens; without [DONE] among the values that is told too."""
    flags = () if DONE in values else ("no_done",)
    return fails(f"error_{name}", summary, _after_half(*values), "stream_error", flags=flags, **truth)


def _whole(name: str, summary: str, value: Any) -> Scenario:
    return fails(f"error_{name}", summary, lambda scene: whole(scene, value), "stream_error", asked=PLAIN)


MORPHEUS: Final = (
    "proxy_error", "gateway_error", "retry_failed", "server_error", "rate_limit_error", "client_error",
    "unexpected_empty_response", "tool_call_processing_failure",
)  # fmt: skip

ERRORS: Final = (
    _stream("openai", "OpenAI: message and type, then the end", _error(type="server_error")),
    _stream("openrouter", "OpenRouter: error beside a choice with finish_reason error",
            _with_choice(error={"code": "server_error", "message": MESSAGE}), finish_reason="error"),
    _stream("openrouter_int", "the same with a number as its code",
            _with_choice(error={"code": 502, "message": MESSAGE}), finish_reason="error"),
    _stream("vllm", "vLLM: all four fields, code a number, then [DONE]",
            _error(type="InternalServerError", param=None, code=500), DONE),
    _stream("vllm_old", 'older vLLM: object "error" inside', _error(
        object="error", type="BadRequestError", param=None, code=400), DONE),
    _stream("sglang", "SGLang: type is the status' name, then [DONE]",
            _error(type="BAD_REQUEST", param=None, code=400), DONE),
    _stream("tgi", "TGI: http_status_code, then [DONE]", _error(http_status_code=422), DONE),
    _stream("tgi_native", "TGI's own route: error and error_type as texts",
            {"error": MESSAGE, "error_type": "incomplete_generation"}),
    _stream("llamacpp", "llama.cpp: code, message, type", _error(code=500, type="server_error")),
    _stream("llamacpp_old", "older llama.cpp: a field of the name error, then [DONE]", OLD_LLAMACPP, DONE),
    _stream("litellm", 'LiteLLM: "None" as a text', _error(type="None", param="None", code="500")),
    _stream("groq", "Groq: x_groq.error in a chunk", _groq),
    _stream("cerebras", "Cerebras: status_code beside the error",
            {**_error(type="server_error", param="", code="internal", id="chatcmpl-1"), "status_code": 500}),
    *(_stream(f"morpheus_{kind}", f"Morpheus: type {kind}, a status, then the end", _error(type=kind, status=502))
      for kind in MORPHEUS),
    _stream("morpheus_session", "Morpheus: session_id in place of a status",
            _error(type="proxy_error", session_id="0x5e55")),
    fails("error_llmgateway", "LLM Gateway: event: error, then event: done", _gateway, "stream_error"),
    fails("error_event_name", "event: error with a message and no error key", _named_message, "stream_error",
          flags=("no_done",)),
    _stream("string", "error is a text", {"error": MESSAGE}),
    _stream("true", "error is true, message beside it", {"error": True, "status": 500, "message": MESSAGE}),
    _stream("detail", "FastAPI: error beside detail", {"error": {"detail": MESSAGE}, "detail": MESSAGE}),
    _whole("plain", "a whole answer of status 200 that is an error object", _error(type="server_error")),
    _whole("plain_string", "a whole answer of status 200 whose error is a text", {"error": MESSAGE}),
    _whole("plain_meingpt", "a whole answer of status 200 that says status error", {
        "status": "error", "message": MESSAGE}),
)  # fmt: skip
